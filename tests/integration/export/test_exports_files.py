"""The formats of exports, read by the programs that people have, and with the types that they find there."""

import csv
import gzip
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from evidence import Auditor
from http_server import Served, serve
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.admission.segments import ErrorDetails
from policies.policy.model import Role

AMOUNT = Decimal("12345678901234.000000000001")
START = datetime(2026, 11, 3, 22, 59, 59, 123000, tzinfo=UTC)


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


@pytest.fixture
async def served(seeded: SeededLedger) -> AsyncIterator[Served]:
    parts = [{"meter": "input", "quantity": "3", "unit_price": "0.000000000000125", "amount": "0.25"}]
    calls = [
        StoredCall(START, source_id="=1+1", api_key="007", amount=AMOUNT, currency="USD", amount_source=1,
                   input_tokens=2**31 - 1, streamed=True, tags={"team": "a;=b"}, amount_parts=parts,
                   model="ж, \"x\"\r\ny"),
        StoredCall(START + timedelta(hours=1), source_id="-5", account="globex", failed=True, error_type="E",
                   units={"images": "2.5"}, error=StoredError(details=ErrorDetails(("no",), {}))),
        StoredCall(START + timedelta(hours=2), source_id="last", amount=Decimal("-0.5"), currency="USD",
                   amount_source=1, streamed=False),
    ]  # fmt: skip
    await seeded.put(calls)
    async with serve(seeded) as served:
        yield served


async def reader(served: Served, role: Role = Role.ADMIN, *accounts: int) -> Auditor:
    return Auditor(served, await served.key(role, *accounts))


async def parquet(served: Served, tmp_path: Path, kind: str = "CALLS", **wanted: Any) -> Path:
    path = tmp_path / "file.parquet"
    path.write_bytes((await (await reader(served)).exported(kind, "PARQUET", **wanted))[1])
    return path


async def test_parquet_has_exact_types(served: Served, tmp_path: Path) -> None:
    """Money is decimal128(38, 12), moments are timestamps in UTC, counts integers, lists lists; all zstd."""
    path = await parquet(served, tmp_path)
    file = pq.ParquetFile(path)
    types = {field.name: field.type for field in file.schema_arrow}

    assert types["amount.amount"] == pa.decimal128(38, 12)
    assert types["startedAt"] == pa.timestamp("us", "UTC")
    assert (types["inputTokens"], types["streamed"], types["sourceId"]) == (pa.int32(), pa.bool_(), pa.string())
    assert types["tags"] == pa.list_(pa.struct([("key", pa.string()), ("value", pa.string())]))
    inner = {field.name: field.type for field in types["amountParts"].value_type}
    assert (inner["amount"], inner["unitPrice"]) == (pa.decimal128(38, 12), pa.decimal128(38, 15))
    group = file.metadata.row_group(0)
    assert {group.column(place).compression for place in range(group.num_columns)} == {"ZSTD"}
    first, second, third = file.read().to_pylist()
    assert (first["amount.amount"], first["startedAt"]) == (AMOUNT, START)
    assert (first["inputTokens"], first["streamed"], first["model"]) == (2**31 - 1, True, 'ж, "x"\r\ny')
    assert first["amountParts"][0]["unitPrice"] == Decimal("0.000000000000125")
    assert first["tags"] == [{"key": "team", "value": "a;=b"}]
    assert (second["amount.amount"], second["streamed"], second["tags"]) == (None, None, None)
    assert second["units"] == [{"name": "images", "quantity": Decimal("2.5")}]
    assert third["amount.amount"] == Decimal("-0.5")
    assert json.loads(file.schema_arrow.metadata[b"calledger"])["kind"] == "CALLS"


async def test_parquet_is_what_ndjson_says(served: Served, tmp_path: Path) -> None:
    """The same rows in the same order, value by value, for each kind."""
    one = await reader(served)
    for kind in ("CALLS", "ERRORS", "COSTS"):
        table = pq.read_table(await parquet(served, tmp_path, kind)).to_pylist()
        lines = [json.loads(line) for line in (await one.exported(kind))[1].splitlines()]
        assert len(lines) == len(table) > 0
        for row, line in zip(table, lines, strict=True):
            assert {name: said(value) for name, value in row.items()} == dict(flat(line, row))


def said(value: Any) -> Any:
    """As the answers of GraphQL have it."""
    match value:
        case Decimal():
            text = format(value, "f")
            return text.rstrip("0").rstrip(".") if "." in text else text
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
        case list():
            return [{name: said(inner) for name, inner in one.items()} for one in value]
        case bool() | None | float():
            return value
        case int():
            return str(value)
    return value


def flat(line: dict[str, Any], row: dict[str, Any]) -> list[tuple[str, Any]]:
    """The values of a line by the columns of a table; integers as texts, as some are."""
    found = []
    for name in row:
        first, _, part = name.partition(".")
        value = line[first] if not part or line[first] is None else line[first][part]
        found.append((name, str(value) if type(value) is int else numbers(value)))
    return found


def numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [{name: str(one) if type(one) is int else one for name, one in inner.items()} for inner in value]
    return value


async def test_pandas_reads_exact_money(served: Served, tmp_path: Path) -> None:
    """Parquet with Arrow's types; CSV where docs/exports.md says which types to ask for."""
    frame = pandas.read_parquet(await parquet(served, tmp_path), dtype_backend="pyarrow")
    assert frame["amount.amount"].sum() == AMOUNT - Decimal("0.5")
    assert str(frame["startedAt"].dtype) == "timestamp[us, tz=UTC][pyarrow]"
    _, body = await (await reader(served)).exported("CALLS", "CSV")
    money = pandas.ArrowDtype(pa.decimal128(38, 12))
    frame = pandas.read_csv(
        io.BytesIO(body), dtype_backend="pyarrow", dtype={"apiKey": "string", "amount.amount": "string"},
        parse_dates=["startedAt"], keep_default_na=False, na_values=[""],
    )  # fmt: skip
    assert frame["amount.amount"].astype(money).sum() == AMOUNT - Decimal("0.5")
    assert list(frame["apiKey"].fillna("-")) == ["007", "-", "-"]
    assert frame["startedAt"][0] == pandas.Timestamp(START)


async def test_polars_reads_exact_money(served: Served, tmp_path: Path) -> None:
    """Parquet as it is; CSV with a schema; NDJSON with texts for money."""
    frame = polars.read_parquet(await parquet(served, tmp_path))
    assert frame.schema["amount.amount"] == polars.Decimal(38, 12)
    assert frame.schema["startedAt"] == polars.Datetime("us", "UTC")
    assert frame["amount.amount"].sum() == AMOUNT - Decimal("0.5")
    assert frame["streamed"].to_list() == [True, None, False]
    one = await reader(served)
    _, body = await one.exported("CALLS", "CSV")
    types = {"apiKey": polars.String, "amount.amount": polars.Decimal(38, 12)}
    frame = polars.read_csv(body, schema_overrides=types, try_parse_dates=True)
    assert frame["amount.amount"].sum() == AMOUNT - Decimal("0.5")
    assert frame["apiKey"].to_list() == ["007", None, None]
    assert frame["startedAt"][0] == START
    _, body = await one.exported("CALLS", "NDJSON")
    frame = polars.read_ndjson(body)
    assert frame["amount"].struct.field("amount").cast(polars.Decimal(38, 12)).sum() == AMOUNT - Decimal("0.5")


async def test_duckdb_reads_exact_money(served: Served, tmp_path: Path) -> None:
    """Parquet as it is; CSV with the types of docs/exports.md."""
    path = await parquet(served, tmp_path)
    base = duckdb.connect()
    base.execute("SET TimeZone = 'UTC'")
    found = dict(base.execute("SELECT name, type FROM parquet_schema(?)", [str(path)]).fetchall())
    assert "startedAt" in found
    query = f'SELECT sum("amount.amount"), min("startedAt"), any_value(tags[1].value) FROM \'{path}\''
    assert base.execute(query).fetchone() == (AMOUNT - Decimal("0.5"), START, "a;=b")
    types = dict(base.execute(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '{path}')").fetchall())
    assert (types["amount.amount"], types["startedAt"]) == ("DECIMAL(38,12)", "TIMESTAMP WITH TIME ZONE")
    lines = tmp_path / "file.csv"
    lines.write_bytes((await (await reader(served)).exported("CALLS", "CSV"))[1])
    query = f"""
        SELECT sum("amount.amount"), min("startedAt"), min("apiKey"), count(*)
        FROM read_csv('{lines}', types = {{'amount.amount': 'DECIMAL(38,12)', 'apiKey': 'VARCHAR',
            'startedAt': 'TIMESTAMPTZ'}})
    """
    assert base.execute(query).fetchone() == (AMOUNT - Decimal("0.5"), START, "007", 3)


async def test_a_spreadsheet_takes_nothing_for_a_formula(served: Served, tmp_path: Path) -> None:
    """Each cell of the CSV put into a workbook as it is: none becomes a formula, and numbers stay what they are."""
    _, body = await (await reader(served)).exported(
        "CALLS", "CSV", fields=["sourceId", "model", "amount", "inputTokens"]
    )
    book = openpyxl.Workbook()
    for row in csv.reader(io.StringIO(body.decode(), newline="")):
        book.active.append(row)
    book.active["A9"] = "=1+1"  # what it would take for one
    book.save(tmp_path / "calls.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "calls.xlsx").active
    kinds = {cell.coordinate: cell.data_type for line in sheet.iter_rows() for cell in line}
    assert [place for place, kind in kinds.items() if kind == "f"] == ["A9"]
    assert [sheet[f"A{line}"].value for line in (2, 3, 4)] == ["'=1+1", "-5", "last"]
    assert Decimal(sheet["C2"].value) == AMOUNT
    book.close()


async def test_gzip_is_the_same_file_compressed(served: Served) -> None:
    """CSV and NDJSON; the digest and size are those of the file that is fetched."""
    one = await reader(served)
    for form in ("CSV", "NDJSON"):
        _, plain = await one.exported("CALLS", form)
        export, body = await one.exported("CALLS", form, compression="GZIP")
        assert gzip.decompress(body) == plain
        assert export["bytes"] == str(len(body))
        answer = await one.fetch(export["url"])
        assert answer.headers["Content-Type"] == "application/gzip"
        assert "Content-Encoding" not in answer.headers
        assert f'{form.lower()}.gz"' in answer.headers["Content-Disposition"]


async def test_costs_by_local_month_and_by_any_grouping(served: Served) -> None:
    """What `costs` answers for the same arguments, row by row: months of Vienna's clock, tags, and no bucket at all."""
    one = await reader(served)
    key = "model account bucketStart bucketEnd currency"
    month = 'groupBy: [MODEL, ACCOUNT], bucket: MONTH, timeZone: "Europe/Vienna"'
    asked = {"groupBy": ["MODEL", "ACCOUNT"], "bucket": "MONTH", "timeZone": "Europe/Vienna"}
    answer = await one.ask(f"{{ costs({month}) {{ rows {{ key {{ {key} }} calls amount {{ amount currency }} }} }} }}")
    export, body = await one.exported("COSTS", fields=["key", "calls", "amount"], **asked)
    lines = [json.loads(line) for line in body.splitlines()]

    assert lines == answer["costs"]["rows"]
    assert lines[0]["key"]["bucketStart"] == "2026-10-31T23:00:00.000Z"
    assert json.loads(export["manifest"])["grouping"]["timeZone"] == "Europe/Vienna"
    _, body = await one.exported("COSTS", "CSV", groupBy=[], groupByTags=["team"], bucket=None, fields=["key", "calls"])
    [head, *rows] = csv.reader(io.StringIO(body.decode(), newline=""))
    assert head == ["key.tags", "key.currency", "calls"]
    assert sorted(row[2] for row in rows) == ["1", "1", "1"]


async def test_costs_have_no_limit_on_rows(seeded: SeededLedger) -> None:
    """More groups than `costs` ever answers, each once."""
    count = 10_500
    await seeded.put(StoredCall(START + timedelta(milliseconds=one), api_key=f"key-{one}") for one in range(count))
    async with serve(seeded) as served:
        _, body = await (await reader(served)).exported("COSTS", "CSV", groupBy=["API_KEY"], fields=["key", "calls"])
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert {row["key.apiKey"] for row in rows} == {f"key-{one}" for one in range(count)}
    assert len(rows) == count


async def test_many_accounts_and_pages_lose_and_double_nothing(seeded: SeededLedger) -> None:
    """Thousands of calls of twenty accounts, dense and with gaps of months, come out once each, in order of time."""
    moments = [START + timedelta(milliseconds=7 * one) for one in range(2_500)]
    moments += [START - timedelta(days=40, seconds=one) for one in range(30)] + [START - timedelta(days=200)]
    moments += [START + timedelta(hours=one) for one in range(1, 200)] + [await seeded.now() + timedelta(minutes=2)]
    calls = [
        StoredCall(moment, account=f"account-{place % 20}", source_id=f"s{place}")
        for place, moment in enumerate(moments)
    ]
    ids = await seeded.put(calls)
    async with serve(seeded) as served:
        _, body = await (await reader(served)).exported("CALLS", fields=["id", "startedAt"])
        number = await seeded.accounts.find("account-3")
        _, few = await (await reader(served, Role.PARTNER, number)).exported("CALLS", fields=["id", "startedAt"])
    rows = [json.loads(line) for line in body.splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(ids)
    assert [row["startedAt"] for row in rows] == sorted(row["startedAt"] for row in rows)
    assert {json.loads(line)["id"] for line in few.splitlines()} == set(ids[3::20])


async def test_rows_that_parquet_cannot_hold_fail_clearly(served: Served) -> None:
    """A number beyond decimal128(38, 12) is no other number in the file: the export fails, and says what to choose."""
    owner = served.runtime.database.owner
    await owner.execute("ALTER TABLE call DISABLE TRIGGER USER")
    await owner.execute("UPDATE call SET amount = 1e27 WHERE amount IS NOT NULL")
    one = await reader(served)
    created = await one.ask(
        "mutation { createExport(input: {kind: CALLS, format: PARQUET}) { export { id } } }",
    )
    failed = await one.ended(created["createExport"]["export"]["id"])
    assert (failed["state"], "choose CSV or NDJSON" in failed["failure"]) == ("FAILED", True)


async def test_without_pyarrow_it_is_said_at_once(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra refuses Parquet, and goes on with the rest."""
    monkeypatch.setattr("service.api.exports.mutations.find_spec", lambda _: None)
    one = await reader(served)
    code, message = await one.refused("CALLS", "PARQUET")
    assert (code, "calledger[parquet]" in message) == ("BAD_USER_INPUT", True)
    assert (await one.exported("CALLS", "CSV"))[1]
