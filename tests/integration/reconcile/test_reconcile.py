"""What others bill is compared with what is recorded: every planted difference is found, and none is invented."""

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from bills import FIRST, NOON, SECOND, TODAY, Books, books_of, found
from newapi import consumed

from service.api.exports.requests import ExportRequest
from service.errors import RequestError
from service.export.files.encoders import ExportFormat
from service.export.sources.source import encoder_for, file_parts, open_source
from service.imports.sources.file import FileSource
from service.query.model.errors import BadInputError, OutOfRetentionError
from service.reconcile.report import as_json, csv_text, html_text, json_text
from service.storage.control.refusals import NO_ACCOUNT, RefusalCount, add_refusals


@pytest.fixture
async def books(database_url: str, tmp_path: Path) -> AsyncIterator[Books]:
    async with books_of(database_url, tmp_path) as books:
        yield books


async def test_twelve_planted_differences_are_found_by_id_and_none_is_invented(books: Books) -> None:
    """Two of most kinds among forty calls that agree, a failed one, a corrected one, and one from around midnight."""
    rows: list[dict[str, Any]] = []

    def bill(id_: str, moment: datetime, amount: str, **facts: Any) -> None:
        rows.append(
            {"id": id_, "time": moment.isoformat(), "model": "m-1", "currency": "USD", "amount": amount} | facts
        )

    for number in range(40):
        moment = (FIRST, SECOND)[number % 2] + NOON + timedelta(seconds=number)
        await books.record(f"same-{number}", moment, "0.25")
        bill(f"same-{number}", moment + timedelta(seconds=30), "0.25")
    late = SECOND + timedelta(days=1) - timedelta(seconds=1)
    await books.record("over-midnight", SECOND - timedelta(seconds=1), "0.25")
    bill("over-midnight", SECOND + timedelta(seconds=1), "0.25")
    await books.record("failed", FIRST + NOON, None, status="failed", error={"type": "E"})
    await books.record("corrected", FIRST + NOON, "0.5")
    await books.record("refund", FIRST + NOON, "-0.2", corrects="corrected")
    bill("corrected", FIRST + NOON, "0.3")
    await books.record("by-their-id", FIRST + NOON, "0.25", provider_request_id="gen-17")
    bill("gen-17", FIRST + NOON, "0.25")

    bill("missing-here-1", FIRST + NOON, "0.7")
    bill("missing-here-2", FIRST + NOON, "0.7")
    await books.record("missing-there-1", FIRST + NOON, "0.9")
    await books.record("missing-there-2", late, "0.9", model="openai/M-2-2026-01-01")
    bill("same-0", FIRST + NOON, "0.25")
    bill("same-2", FIRST + NOON, "0.25")
    await books.record("other-name", FIRST + NOON, "0.25", provider_request_id="same-4")
    await books.record("dearer", SECOND + NOON, "1.00")
    bill("dearer", SECOND + NOON, "1.01")
    await books.record("euros", SECOND + NOON, "1.00", currency="EUR")
    bill("euros", SECOND + NOON, "1.00")
    await books.record("unpriced-1", SECOND + NOON, None)
    await books.record("unpriced-2", SECOND + NOON, None)
    bill("unpriced-1", SECOND + NOON, "2")
    bill("unpriced-2", SECOND + NOON, "2")
    bill("refused", SECOND + NOON, "0.1")
    await add_refusals(books.ingest.database.writer, [RefusalCount(SECOND + NOON, NO_ACCOUNT, 1, "FIELD_MISSING", 1)])

    result = await books.compare(books.file(rows))

    first, second = FIRST.date().isoformat(), SECOND.date().isoformat()
    assert found(result) == {
        ("MISSING_HERE", first, "m-1", "USD"): 2,
        ("MISSING_THERE", first, "m-1", "USD"): 1,
        ("MISSING_THERE", second, "m-2", "USD"): 1,
        ("DOUBLED_THERE", first, "m-1", "USD"): 2,
        ("DOUBLED_HERE", first, "m-1", "USD"): 1,
        ("PRICED_DIFFERENTLY", second, "m-1", "USD"): 2,
        ("UNPRICED", second, "m-1", "USD"): 2,
        ("REFUSED", second, "m-1", "USD"): 1,
    }
    assert result.by_ids and sum(found(result).values()) == 12
    lines = list(csv.DictReader(io.StringIO(csv_text(result))))
    assert sum(int(line["calls"]) for line in lines) == 12
    page = html_text(result)
    assert "<script" not in page and "http" not in page and page.count("MISSING_THERE") == 3
    json.dumps(as_json(result))


async def test_twelve_planted_differences_are_found_in_sums(books: Books) -> None:
    """Without ids, by day, model and currency: currencies stay apart, and what agrees is not named."""
    days = [TODAY - timedelta(days=10 - number) for number in range(8)]
    rows: list[dict[str, Any]] = []

    def bill(number: int, model: str, amount: str, tokens: int, currency: str = "USD") -> None:
        day = days[number].date().isoformat()
        rows.append({"day": day, "model": model, "currency": currency, "amount": amount, "tokens": tokens})

    async def record(number: int, model: str, amount: str | None, tokens: int, **facts: Any) -> None:
        id_ = f"{number}-{model}-{facts}"
        await books.record(id_, days[number] + NOON, amount, model=model, input_tokens=tokens, output_tokens=0, **facts)

    for number in range(8):
        await record(number, "same", "3.5", 100)
        bill(number, "same", "3.5", 100)
        await record(number, "same", "5", 100, currency="EUR")
        bill(number, "same", "5", 100, currency="EUR")
    for number in (0, 1):
        bill(number, "only-there", "2", 50)
        await record(number, "only-here", "2", 50)
        await record(number, "twice-there", "2", 50)
        bill(number, "twice-there", "4", 100)
        await record(number, "twice-here", "4", 100)
        bill(number, "twice-here", "2", 50)
        await record(number, "dearer", "2", 50)
        bill(number, "dearer", "2.5", 50)
    await record(2, "unpriced", None, 50)
    bill(2, "unpriced", "1", 50)
    bill(3, "refused", "1", 50)
    await add_refusals(books.ingest.database.writer, [RefusalCount(days[3] + NOON, NO_ACCOUNT, 1, "FIELD_MISSING", 7)])

    result = await books.compare(books.file(rows, "bill.ndjson"))

    day = [one.date().isoformat() for one in days]
    assert {key: count for key, count in found(result).items() if key[2] != "same"} == found(result)
    assert set(found(result)) == {
        *((kind, day[number], model, "USD") for number in (0, 1) for kind, model in (
            ("MISSING_HERE", "only-there"), ("MISSING_THERE", "only-here"), ("DOUBLED_THERE", "twice-there"),
            ("DOUBLED_HERE", "twice-here"), ("PRICED_DIFFERENTLY", "dearer"),
        )),
        ("UNPRICED", day[2], "unpriced", "USD"),
        ("REFUSED", day[3], "refused", "USD"),
    }  # fmt: skip
    assert not result.by_ids
    assert result.theirs["EUR"] == result.ours["EUR"] == 40


async def test_days_are_those_of_the_providers_time_zone(books: Books) -> None:
    """A call at 20:00 UTC is of the next day in Shanghai: so compared nothing differs, by UTC all of it."""
    for number in range(3):
        await books.record(f"c{number}", FIRST + timedelta(hours=20, minutes=number), "1")
    bill = [{"day": SECOND.date().isoformat(), "model": "m-1", "currency": "USD", "amount": "3"}]

    there = await books.compare(books.file(bill), zone=ZoneInfo("Asia/Shanghai"))
    days = (FIRST.date(), SECOND.date())
    in_utc = await books.compare(books.file(bill), days=days)

    assert found(there) == {}
    assert {key[:2] for key in found(in_utc)} == {
        ("MISSING_THERE", FIRST.date().isoformat()),
        ("MISSING_HERE", SECOND.date().isoformat()),
    }


async def test_single_calls_are_of_the_days_of_the_time_zone_too(books: Books) -> None:
    """What is missing there is said on the day that it was in Shanghai."""
    await books.record("theirs", FIRST + timedelta(hours=20), "1")
    await books.record("ours", FIRST + timedelta(hours=20), "1")
    bill = [{"id": "theirs", "day": SECOND.date().isoformat(), "model": "m-1", "currency": "USD", "amount": "1"}]

    result = await books.compare(books.file(bill), zone=ZoneInfo("Asia/Shanghai"))

    assert found(result) == {("MISSING_THERE", SECOND.date().isoformat(), "m-1", "USD"): 1}


@pytest.mark.parametrize(("amount", "differs"), [("0.33", False), ("0.34", True)])
async def test_what_an_invoice_rounds_is_no_difference(books: Books, amount: str, differs: bool) -> None:
    """Cents may be off by half a cent a row, and by no more, where nothing else is tolerated."""
    await books.record("c", FIRST + NOON, "0.334999")
    bill = [{"day": FIRST.date().isoformat(), "model": "m-1", "currency": "USD", "amount": amount}]

    result = await books.compare(books.file(bill), tolerance=Decimal(0))

    assert bool(found(result)) is differs


async def test_our_own_focus_rows_are_what_is_recorded(books: Books) -> None:
    """An export as FOCUS, read back as a bill, differs in nothing, estimates and corrections included."""
    await books.record("a", FIRST + NOON, "0.123456789012", account="acme")
    await books.record("b", FIRST + NOON, None, model="gpt-4o", input_tokens=1000, output_tokens=10)
    await books.record("back", FIRST + NOON, "-0.1", corrects="a", account="acme")
    end = TODAY.strftime("%Y-%m-%dT00:00:00Z")
    request = ExportRequest("FOCUS", ExportFormat.CSV.name, (), {"startedAt": {"lt": end}})
    source = await open_source(books.reader, books.scope, request)
    data = [part async for part, _ in file_parts(source, encoder_for(request, source.layout, {}))]
    (books.folder / "focus.csv").write_bytes(b"".join(data))

    result = await books.compare(FileSource(books.folder / "focus.csv"))

    assert (result.layout, result.unread, found(result)) == ("focus", {}, {})
    assert result.rows > 2 and result.theirs == result.ours


async def test_only_the_accounts_that_are_asked_for_are_compared(books: Books) -> None:
    """Calls of others are not missing in a bill of one account."""
    await books.record("a", FIRST + NOON, "1", account="acme")
    await books.record("b", FIRST + NOON, "1", account="other")
    bill = [{"day": FIRST.date().isoformat(), "model": "m-1", "currency": "USD", "amount": "1"}]

    assert found(await books.compare(books.file(bill), accounts=("acme",))) == {}
    assert found(await books.compare(books.file(bill)))


@pytest.mark.parametrize("known", [{"id": "x"}, {}])
async def test_days_that_are_purged_are_refused(books: Books, known: dict[str, str]) -> None:
    """Nothing is said to be missing that was recorded once, and is gone; by sums these reach further back."""
    day = (TODAY - timedelta(days=401 if known else 9 * 366)).date().isoformat()
    bill = [{"day": day, "model": "m", "currency": "USD", "amount": "1"} | known]

    with pytest.raises((RequestError, BadInputError, OutOfRetentionError)):
        await books.compare(books.file(bill))


async def test_an_invoice_with_other_names_of_columns(books: Books) -> None:
    """What finance has is told column by column; a column that is not there is named with those that are near."""
    await books.record("a", FIRST + NOON, "1.5")
    bill = [{"Datum": FIRST.date().isoformat(), "Modell": "m-1", "Betrag": "1.5", "id": "no-id-of-ours"}]
    columns = {"day": "Datum", "model": "Modell", "amount": "Betrag", "id": "id"}

    with pytest.raises(RequestError, match=r"of no bill that is known.*--column amount=COLUMN"):
        await books.compare(books.file([{"Datum": "2026-11-01", "Betrag": "1"}]))
    with pytest.raises(RequestError, match="the file has no column `Betrach` for `amount`, but `Betrag`"):
        await books.compare(books.file(bill), columns=columns | {"amount": "Betrach"}, layout="invoice")
    by_id = await books.compare(books.file(bill), columns=columns, layout="invoice", currency="USD")
    assert {kind for kind, *_ in found(by_id)} == {"MISSING_HERE", "MISSING_THERE"}
    sums = [{**bill[0], "id": ""}]
    by_sums = await books.compare(books.file(sums), columns=columns, layout="invoice", currency="USD")
    assert (found(by_sums), by_sums.theirs) == ({}, {"USD": Decimal("1.5")})


async def test_rows_of_finance_that_cannot_be_read_say_what_to_write(books: Books) -> None:
    """Amounts with a decimal comma, days of another form and rows without a currency are counted, each with its way
    out; the others are compared."""
    day = FIRST.date().isoformat()
    await books.record("a", FIRST + NOON, "1")
    rows = [
        {"day": day, "model": "m-1", "currency": "USD", "amount": "1"},
        {"day": day, "model": "m-1", "currency": "USD", "amount": "1.234,56"},
        {"day": "30.11.2026", "model": "m-1", "currency": "USD", "amount": "1"},
        {"day": day, "model": "m-1", "currency": "", "amount": "1"},
        {"day": day, "model": "m-1", "currency": "USD", "amount": "NaN"},
    ]
    result = await books.compare(books.file(rows))

    assert found(result) == {}
    assert sorted(result.unread) == [
        "has an amount that is none",
        "has an amount that is none: write it with a point and without thousands, such as 1234.56",
        "has no currency: give it by --currency",
        "has no day, and no time that can be read: write 2026-11-30 or RFC 3339",
    ]


async def test_rows_of_aws_are_compared_by_day_and_model(books: Books) -> None:
    """Rows of AWS's Cost and Usage Report, by the hour, sum up to what is recorded; tax is no model of ours."""
    await books.record("a", FIRST + NOON, "3", model="claude-sonnet-4")
    shared = {"line_item_usage_start_date": f"{FIRST:%Y-%m-%dT%H}:00:00Z", "line_item_currency_code": "USD"}
    rows = [
        {**shared, "product_model": "Claude-Sonnet-4", "line_item_unblended_cost": "1.0000000000"},
        {**shared, "product_model": "Claude-Sonnet-4", "line_item_unblended_cost": "2.0000000000"},
        {**shared, "line_item_usage_type": "Tax", "line_item_unblended_cost": "0.57"},
    ]
    result = await books.compare(books.file(rows))

    assert result.layout == "aws-cur"
    assert found(result) == {("MISSING_HERE", FIRST.date().isoformat(), "tax", "USD"): 1}


async def test_calls_of_another_gateway_are_not_missing_in_a_log(books: Books) -> None:
    """What LiteLLM or a program reported is no business of new-api's log, unless it has its id; the number of a row is
    none. A bill is compared with whatever is recorded."""
    moment, noon = int((FIRST + NOON).timestamp()), FIRST + NOON
    rows = [consumed(id_, created_at=moment, use_time=0) for id_ in range(1, 5)]
    await books.pull(*rows[:3])
    await books.record("elsewhere", noon, "7")
    await books.record("log-2", noon, "8")
    await books.record("the-same", noon, "9", provider_request_id="log-4")

    result = await books.compare_log(*rows[1:])
    day = FIRST.date().isoformat()
    assert found(result) == {
        ("MISSING_THERE", day, "gpt-4o", "USD"): 1,
        ("PRICED_DIFFERENTLY", day, "gpt-4o", "USD"): 1,
    }
    assert (result.calls, result.ours) == (4, {"USD": 9 + 3 * Decimal("0.003508")})
    bill = [{"id": "log-2", "day": day, "model": "gpt-4o", "currency": "USD", "amount": "0.003508"}]
    billed = found(await books.compare(books.file(bill)))
    assert billed["MISSING_THERE", day, "m-1", "USD"] == 2


async def test_a_refund_that_is_too_large_for_single_calls_is_compared_by_sums(books: Books) -> None:
    """A log whose amounts do not fit is compared with the sums of what its gateway reported, and of that alone."""
    moment = int((FIRST + NOON).timestamp())
    task = {"task_id": "t1", "is_task": True}
    rows = [consumed(1, created_at=moment, use_time=0, other=task)]
    rows.append(consumed(2, created_at=moment, type=6, quota=9_300_000 * 500_000, other={"task_id": "t1"}))
    await books.pull(rows[0])  # nothing can be taken back that was not billed: such a refund is refused
    await books.record("elsewhere", FIRST + NOON, "7", model="gpt-4o")

    result = await books.compare_log(*rows)
    assert not result.by_ids
    assert (result.theirs["USD"], result.ours["USD"]) == (Decimal("0.003508") - 9_300_000, Decimal("0.003508"))
    assert found(result) == {("PRICED_DIFFERENTLY", FIRST.date().isoformat(), "gpt-4o", "USD"): 1}


async def test_a_credential_in_the_place_of_a_model_is_kept_nowhere(books: Books) -> None:
    """Both sides name a model as calls are stored with it, so that they are alike and nothing of it is in a report."""
    secret = "sk-proj-" + "Zk4" * 16
    names = (
        secret,
        f"models/{secret}",
        "jane.doe@example.com",
        "g\0pt\u200b-4o",
        f"{'x ' * 92}{secret}",
        f"{'x' * 780} {secret}",
    )
    day = FIRST.date().isoformat()
    for number, name in enumerate(names[:3]):
        await books.record(f"call-{number}", FIRST + NOON, "1", model=name)
    rows = [{"day": day, "model": name, "currency": "USD", "amount": "1"} for name in names]

    result = await books.compare(books.file(rows, "bill.ndjson"))
    said = json_text(result)
    assert "Zk4" not in said and "zk4" not in said and "jane" not in said
    assert {key.model for key in result.differences.found} >= {"gpt-4o"}
    assert (len(found(result)), {key[0] for key in found(result)}) == (3, {"MISSING_HERE"})
