"""Laws of LiteLLM's payloads: parts of money sum to the amount to the last digit or are not given, whatever is
reported; and a payload is read the same by the short way and by the long one.
"""

import json
from decimal import Decimal
from typing import Any

from gateway_rows import litellm_pairs
from hypothesis import given
from hypothesis import strategies as st

from policies import Report
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.litellm.fields import KNOWN
from service.ingest.formats.native.reader import read_row

ENTRY = {"litellm_call_id": "c", "call_type": "acompletion", "status": "success", "model": "m", "startTime": 1795341600}
PRICES = st.sampled_from([1e-08, 2e-07, 2.5e-06, 3.75e-06, 1.1e-06, 1.5e-05, 3.3333333e-07, 0.00061])
TOKENS = st.integers(0, 300_000)
COSTS = st.one_of(
    st.floats(0, 10), st.integers(0, 3), st.none(), st.sampled_from(["0.5", "much", -0.1, 1e300, True, [], {}])
)
NAMES = (
    *("input_cost", "cache_read_cost", "cache_creation_cost", "output_cost", "reasoning_cost", "total_cost"),
    *("tool_usage_cost", "guardrail_cost", "discount_amount", "margin_total_amount"),
)
NAMED = sorted(KNOWN)
ADDITIONAL = st.dictionaries(st.text(max_size=3), COSTS, max_size=2)
BREAKDOWNS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, COSTS) | {"additional_costs": ADDITIONAL})


def read(**facts: Any) -> Report:
    outcome = read_entry(json.dumps(ENTRY | facts).encode())
    assert isinstance(outcome, Report), outcome
    return outcome


def assert_sums(report: Report) -> None:
    if report.amount_parts is not None:
        assert sum(part.amount for part in report.amount_parts) == report.amount
        for part in report.amount_parts:
            if part.quantity is not None and part.unit_price is not None:
                assert part.quantity * part.unit_price == part.amount


@given(TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, PRICES, PRICES, PRICES, PRICES)
def test_what_litellm_prices_comes_in_parts(
    fresh: int, read_: int, written: int, said: int, thought: int, price: float, cached: float, kept: float, out: float
) -> None:
    """Costs as LiteLLM works them out, in binary floats, the cache inside the input: there are parts, and they sum."""
    cache_read, cache_written = read_ * cached, written * kept
    costs = {
        "input_cost": fresh * price + cache_read + cache_written,
        "cache_read_cost": cache_read,
        "cache_creation_cost": cache_written,
        "output_cost": (said + thought) * out,
        "reasoning_cost": thought * out,
    }
    usage = {
        "prompt_tokens_details": {"cached_tokens": read_, "cache_creation_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": thought},
    }
    got = read(
        response_cost=costs["input_cost"] + costs["output_cost"],
        cost_breakdown=costs,
        prompt_tokens=fresh + read_ + written,
        completion_tokens=said + thought,
        usage=usage,
    )

    assert_sums(got)
    assert (got.amount_parts is not None) == bool(got.amount)


@given(st.one_of(st.floats(0, 50), st.just(0.5), st.none()), BREAKDOWNS)
def test_parts_of_any_breakdown_sum_or_are_absent(cost: float | None, breakdown: dict[str, Any]) -> None:
    """No breakdown costs the call, and none is shown that is not the amount."""
    assert_sums(read(response_cost=cost, cost_breakdown=breakdown))


@given(
    st.lists(st.decimals(-10, 10, places=12), max_size=5),
    st.decimals(-1, 1, places=12).filter(bool),
    st.booleans(),
)
def test_native_parts_sum_or_are_absent(amounts: list[Decimal], missing: Decimal, whole: bool) -> None:
    """Parts that are the amount are kept, parts that are not are counted as dropped."""
    total = sum(amounts, Decimal(0)) + (0 if whole else missing)
    parts = [{"name": "input", "amount": f"{amount:f}"} for amount in amounts]
    row = {"id": "a", "started_at": "2026-11-22T10:00:00Z", "model": "m", "status": "succeeded", "corrects": "b"}

    got = read_row(json.dumps(row | {"amount": f"{total:f}", "amount_parts": parts}).encode())

    assert isinstance(got, Report)
    assert (got.amount_parts is not None) == (whole and bool(amounts))
    assert got.dropped.get("amount_parts", 0) == int(not whole and bool(amounts))
    assert_sums(got)


ODD = st.sampled_from(
    [
        None,
        "",
        "None",
        "x",
        "1.5",
        "2026-11-30 10:00:00",
        0,
        0.0,
        -1,
        True,
        [],
        ["a:b"],
        {},
        {"user": "ada"},
        1e300,
        2.5,
    ]
)


@given(st.sampled_from([pair["callback"] for pair in litellm_pairs()]), st.dictionaries(st.sampled_from(NAMED), ODD))
def test_a_field_that_is_not_known_changes_nothing(payload: dict[str, Any], odd: dict[str, Any]) -> None:
    """What is decoded in one step is read as what has to be taken apart first, whatever its values are."""
    usual, unusual = (read_entry(json.dumps(payload | odd | more).encode()) for more in ({}, {"unheard_of": None}))

    if isinstance(usual, Report) and isinstance(unusual, Report):
        for report in (usual, unusual):
            report.content.sort()
            report.identifiers, report.persons = tuple(sorted(report.identifiers)), tuple(sorted(report.persons))
    assert usual == unusual
