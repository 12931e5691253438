"""Bills of clouds beside what is recorded: FOCUS and AWS's Cost and Usage Report, with twelve planted differences."""

import csv
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from bills import Books, books_of, found

from service.reconcile.report import as_json, csv_text, html_text
from service.storage.control.refusals import NO_ACCOUNT, RefusalCount, add_refusals

ZONE: Final = ZoneInfo("America/Los_Angeles")
MIDNIGHT: Final = datetime.now(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS: Final = [MIDNIGHT - timedelta(days=9 - number) for number in range(6)]
EVENING: Final = timedelta(hours=20)
"""Of the next day by UTC."""


@dataclass(frozen=True)
class Planted:
    """A model on a day: what is recorded of it (None: nothing), what is billed, and what is to be found."""

    day: int
    model: str
    ours: str | None
    theirs: str | None
    kind: str | None = None
    currency: str = "USD"
    is_priced: bool = True


PLAN: Final = [
    *(Planted(day, "same", "3.5", "3.5") for day in range(6)),
    *(Planted(day, "same", "5", "5", currency="EUR") for day in range(6)),
    *(Planted(day, "within", "100", "100.05") for day in range(3)),
    Planted(0, "only-there", None, "2", "MISSING_HERE"),
    Planted(0, "only-here", "2", None, "MISSING_THERE"),
    Planted(1, "only-here", "2", None, "MISSING_THERE"),
    Planted(1, "twice-there", "2", "4", "DOUBLED_THERE"),
    Planted(2, "twice-here", "4", "2", "DOUBLED_HERE"),
    Planted(3, "twice-here", "4", "2", "DOUBLED_HERE"),
    Planted(2, "dearer", "100", "100.11", "PRICED_DIFFERENTLY"),
    Planted(3, "cheaper", "1.25", "0.75", "PRICED_DIFFERENTLY"),
    Planted(4, "unpriced", "0", "1", "UNPRICED", is_priced=False),
    Planted(5, "refused", None, "1", "REFUSED"),
    Planted(4, "currency", "7", None, "MISSING_THERE", currency="EUR"),
    Planted(4, "currency", None, "7", "MISSING_HERE"),
]
Columns = Callable[[str, datetime, str, str, str], dict[str, Any]]


def focus(model: str, hour: datetime, amount: str, currency: str, meter: str) -> dict[str, Any]:
    """A charge of an hour, as FOCUS 1.2 has it."""
    return {
        "BilledCost": amount,
        "BillingAccountId": "1234",
        "BillingCurrency": currency,
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": f"{model} {meter} tokens",
        "ChargePeriodStart": f"{hour:%Y-%m-%dT%H}:00:00Z",
        "ChargePeriodEnd": f"{hour + timedelta(hours=1):%Y-%m-%dT%H}:00:00Z",
        "ListCost": "999",
        "ServiceName": "Models",
        "SkuId": model.upper(),
        "SkuMeter": meter,
    }


def cur(model: str, hour: datetime, amount: str, currency: str, meter: str) -> dict[str, Any]:
    """A line of an hour, as AWS's report has it in Parquet and Athena."""
    return {
        "identity_line_item_id": f"{model}{hour}{meter}",
        "bill_payer_account_id": "1234",
        "line_item_line_item_type": "Usage",
        "line_item_usage_start_date": f"{hour:%Y-%m-%dT%H}:00:00Z",
        "line_item_product_code": "AmazonBedrock",
        "line_item_usage_type": f"USE1-{model}-{meter}-tokens",
        "line_item_currency_code": currency,
        "line_item_unblended_cost": amount,
        "line_item_blended_cost": "999",
        "product_model": model,
    }


def legacy_cur(model: str, hour: datetime, amount: str, currency: str, meter: str) -> dict[str, Any]:
    """The same with the names of its CSV files."""
    names = {"identity", "bill", "line_item", "product"}
    return {_slashed(name, names): value for name, value in cur(model, hour, amount, currency, meter).items()}


def _slashed(name: str, prefixes: set[str]) -> str:
    prefix = next(one for one in prefixes if name.startswith(f"{one}_"))
    first, *others = prefix.split("_")
    words = name.removeprefix(f"{prefix}_").split("_")
    inner = words[0] if prefix == "product" else "".join(word.capitalize() for word in words)
    return f"{first}{''.join(word.capitalize() for word in others)}/{inner}"


def lines(columns: Columns) -> list[dict[str, Any]]:
    """The bill: each amount in two parts, of the morning and of the evening."""
    rows: list[dict[str, Any]] = []
    for planted in PLAN:
        if planted.theirs is None:
            continue
        part = (Decimal(planted.theirs) * Decimal("0.6")).quantize(Decimal(1).scaleb(-10))
        for amount, after, meter in (
            (part, timedelta(hours=9), "input"),
            (Decimal(planted.theirs) - part, EVENING, "output"),
        ):
            hour = (DAYS[planted.day] + after).astimezone(UTC)
            rows.append(columns(planted.model, hour, f"{amount:.10f}", planted.currency, meter))
    return rows


@pytest.fixture
async def books(database_url: str, tmp_path: Path) -> AsyncIterator[Books]:
    async with books_of(database_url, tmp_path) as books:
        for planted in PLAN:
            for number, after in enumerate((timedelta(hours=10), EVENING)):
                if planted.ours is not None:
                    amount = str(Decimal(planted.ours) / 2) if planted.is_priced else None
                    id_ = f"{planted.day}-{planted.model}-{planted.currency}-{number}"
                    facts = {"model": planted.model} | ({"currency": planted.currency} if amount else {})
                    await books.record(id_, DAYS[planted.day] + after, amount, **facts)
        refusal = RefusalCount(DAYS[5] + EVENING, NO_ACCOUNT, 1, "FIELD_MISSING", 3)
        await add_refusals(books.ingest.database.writer, [refusal])
        yield books


@pytest.mark.parametrize(("layout", "columns"), [("focus", focus), ("aws-cur", cur), ("aws-cur", legacy_cur)])
async def test_twelve_planted_differences_are_found(books: Books, layout: str, columns: Columns) -> None:
    """By day of the provider's time zone, model and currency; what agrees, or is within the tolerance, is not named."""
    result = await books.compare(books.file(lines(columns)), zone=ZONE)

    expected = {
        (planted.kind, DAYS[planted.day].date().isoformat(), planted.model, planted.currency)
        for planted in PLAN
        if planted.kind is not None
    }
    assert len(expected) == 12
    assert (result.layout, result.unread, result.by_ids) == (layout, {}, False)
    assert set(found(result)) == expected
    said = list(csv.DictReader(io.StringIO(csv_text(result))))
    assert {(line["kind"], line["day"], line["model"], line["currency"]) for line in said} == expected
    assert len(as_json(result)["differences"]) == 12
    assert html_text(result).count("MISSING_THERE") >= 3
    assert result.theirs["EUR"] == 30 and result.ours["EUR"] == 37


async def test_a_tolerance_and_another_zone_find_others(books: Books) -> None:
    """Nothing tolerated, what was within differs; by days of UTC the evenings are of other days."""
    strict = await books.compare(books.file(lines(focus)), zone=ZONE, tolerance=Decimal(0))
    assert {key for key in found(strict) if key[2] == "within"} == {
        ("PRICED_DIFFERENTLY", DAYS[day].date().isoformat(), "within", "USD") for day in range(3)
    }
    lenient = await books.compare(books.file(lines(focus)), zone=ZONE, tolerance=Decimal("0.002"))
    assert not [key for key in found(lenient) if key[2] == "dearer"]
    days = {key[1] for key in found(await books.compare(books.file(lines(focus)))) if key[2] == "only-here"}
    assert DAYS[2].date().isoformat() in days


async def test_lines_that_cannot_be_read_and_fees_are_told(books: Books) -> None:
    """A tax is named by what it is, a line without an amount or a day is counted, and the rest is compared."""
    bill = lines(cur)
    odd = {"line_item_unblended_cost": "1,50"}, {"line_item_usage_start_date": ""}, {"line_item_unblended_cost": "NaN"}
    bill += [bill[0] | one for one in odd]
    bill.append(bill[0] | {"product_model": "", "line_item_usage_type": "Tax", "line_item_line_item_type": "Tax"})
    result = await books.compare(books.file(bill), zone=ZONE)

    assert sum(result.unread.values()) == 3
    assert [key[0] for key in found(result) if key[2] == "tax"] == ["MISSING_HERE"]
    assert len(found(result)) == 13
