"""Bills are read by their columns, exactly, and a million of their rows fit into little memory."""

import json
import tracemalloc
from collections.abc import Generator
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pytest

from service.errors import RequestError
from service.reconcile.billed import Billed
from service.reconcile.layouts import BilledRow, BilledRowError, billed_row, flattened, layout_of

UTC = ZoneInfo("UTC")
Made = TypeVar("Made")
DAY = date(2026, 11, 2)


def done(steps: Generator[None, None, Made]) -> tuple[int, Made]:
    """How many steps there were, and what came of them."""
    number = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return number, end.value
        number += 1


def read(row: Any, zone: ZoneInfo = UTC) -> list[BilledRow]:
    rows = list(flattened(json.loads(json.dumps(row), parse_float=Decimal)))
    layout = layout_of(set(rows[0]))
    return [billed_row(layout, one, zone, None) for one in rows]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"day": "2026-11-02", "model": "M", "currency": "eur", "amount": "1.50", "tokens": "7"},
            (DAY, "M", "EUR", Decimal("1.5"), 2, 7, None),
        ),
        (
            {"ChargePeriodStart": "2026-11-02T00:00:00Z", "BilledCost": "2", "BillingCurrency": "USD", "SkuId": "m"},
            (DAY, "m", "USD", Decimal(2), 0, None, None),
        ),
        (
            {"line_item_usage_start_date": "2026-11-02T05:00:00Z", "line_item_unblended_cost": "0.000001",
             "line_item_currency_code": "USD", "product_model": "Claude"},
            (DAY, "Claude", "USD", Decimal("0.000001"), 6, None, None),
        ),
        (
            {"request_id": "r1", "startTime": "2026-11-02T23:30:00+00:00", "spend": 0.00022500000000000002,
             "model": "gpt-4o", "total_tokens": 12},
            (DAY, "gpt-4o", "USD", Decimal("0.000225"), 6, 12, "r1"),
        ),
        (
            {"generation_id": "gen-1", "created_at": "2026-11-02 10:00:00", "cost_total": "0.1",
             "model_permaslug": "openai/gpt-4o", "tokens_prompt": "5", "tokens_completion": "6"},
            (DAY, "openai/gpt-4o", "USD", Decimal("0.1"), 1, 11, "gen-1"),
        ),
        (
            {"date": "2026-11-02 00:00:00", "model": "openai/gpt-4o", "usage": 0.5, "requests": 3},
            (DAY, "openai/gpt-4o", "USD", Decimal("0.5"), 1, None, None),
        ),
        (
            {"start_time": 1793577600, "end_time": 1793664000,
             "results": [{"amount": {"value": 0.06, "currency": "usd"}, "line_item": "gpt-4o-2024-08-06, input"}]},
            (DAY, "gpt-4o-2024-08-06", "USD", Decimal("0.06"), 2, None, None),
        ),
        (
            {"starting_at": "2026-11-02T00:00:00Z", "results": [{"amount": "123.45", "currency": "USD", "model": "c"}]},
            (DAY, "c", "USD", Decimal("1.2345"), 2, None, None),
        ),
    ],
)  # fmt: skip
def test_the_layouts_of_bills_are_read(row: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """An invoice, FOCUS, AWS, LiteLLM, OpenRouter twice, OpenAI's costs by line, Anthropic's in cents."""
    [got] = read(row)
    assert (*got[:4], got.tokens, got.id) == (*expected[:4], *expected[5:])


def test_a_moment_is_of_the_day_of_the_time_zone_and_a_day_is_as_it_stands() -> None:
    """Half past eleven at night by UTC is the next morning in Shanghai; a bare time is of the provider's zone."""
    row = {"model": "m", "currency": "USD", "amount": "1"}
    shanghai = ZoneInfo("Asia/Shanghai")
    moments = ("2026-11-01T23:30:00Z", "2026-11-02T23:30:00", "2026-11-02")
    assert {read({**row, "time": moment}, shanghai)[0].day for moment in moments} == {DAY}


@pytest.mark.parametrize(
    "row",
    [
        {"amount": "NaN"}, {"amount": "1e99"}, {"amount": "1" * 60}, {"amount": True}, {"amount": [1]},
        {"amount": None},
        {"day": "2026-02-30"}, {"day": "99999-01-01"}, {"day": 10**30}, {"day": None}, {"model": ""}, {"model": {}},
        {"currency": "<b>"}, {"currency": None}, {"tokens": "many"}, {"id": [1]},
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_refused_by_itself(row: dict[str, Any]) -> None:
    """Whatever stands in it: its own error, and never another one."""
    layout = layout_of({"day", "model", "currency", "amount"})
    whole = {"day": "2026-11-02", "model": "m", "currency": "USD", "amount": "1"} | row
    with pytest.raises(BilledRowError):
        billed_row(layout, whole, UTC, None)


@pytest.mark.parametrize("row", [[], "x", 1, None, {"results": [1]}])
def test_what_is_no_row_is_refused(row: Any) -> None:
    """Arrays, texts and buckets of anything."""
    with pytest.raises(BilledRowError):
        list(flattened(row))


def test_columns_of_no_bill_are_refused() -> None:
    """With what an invoice needs."""
    with pytest.raises(RequestError, match="needs `day`, `model`, `currency` and `amount`"):
        layout_of({"a", "b"})


def test_rows_take_little_memory_however_many_there_are() -> None:
    """Some sixty bytes a row while they are sorted, ids of a hundred characters or not."""
    rows, billed = 50_000, Billed()
    tracemalloc.start()
    for number in range(rows):
        billed.add(BilledRow(DAY, "m", "USD", Decimal(number), 2, 1, f"{'x' * 100}{number}"))
    steps, singles = done(billed.singles())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 120 * rows
    assert singles is not None and len(singles) == rows
    # A few thousand rows a step: others of the event loop have their turn between them.
    assert steps > 2 * rows / 5_000
    assert not any(singles.repeats(place) or singles.is_found(place) for place in range(rows))
    place = singles.find(["nothing", f"{'x' * 100}4711"])
    assert place is not None and singles.row(place)[1] == 4711
