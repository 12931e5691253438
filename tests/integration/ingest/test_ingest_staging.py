"""The two ways into the database: a few rows as a parameter of the statement, many by a copy before it."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from bodies import read_native
from conftest import Server
from ingesting import RECENT, Ingest, body, call, eventually, ingesting

from policies import Report
from service.ingest.pipeline.batch_store import FEW_MAX, insert_given
from service.ingest.pipeline.inserting import create_staging, insert_copied
from service.ingest.preparation.batch_context import rules_in_force
from service.ingest.preparation.preparation import Preparation, Prepared
from service.ingest.results import Status
from service.storage.ids import Identities

AWKWARD = "tab\tquote\"back\\slash 'apostrophe' {brace} \u2028 \u00e9\U0001f980 \\x41 $1 \\."
LARGEST = 2**31 - 1
ROWS: list[dict[str, Any]] = [
    call("plain"),
    call("awkward-" + AWKWARD),
    call("tagged", tags={"team": AWKWARD, "empty": "", "null": "null", "number": "1e400"}),
    call("user", user="u-1", api_key="key-1", account="acme", operation="chat", provider="openai"),
    call("largest", input_tokens=LARGEST, output_tokens=LARGEST, latency_ms=LARGEST, time_to_first_token_ms=0),
    call("amounts", amount="999999999999999.999999999999", currency="EUR", streamed=True, served_model="gpt-4o-1"),
    call("smallest", amount="0.000000000001", cache_read_tokens=0, cache_write_tokens=1, reasoning_tokens=2),
    call("estimated", model="gpt-4o", input_tokens=1000, output_tokens=10),
    call("micro", started_at=(RECENT + timedelta(microseconds=1)).isoformat(), streamed=False),
    call("attributes", trace_id=AWKWARD, attempt=32767, cache_hit=True, units={"images": 2, "seconds": "0.5"}),
    call("attribute", team="search"),
    call(
        "failed",
        status="failed",
        error={
            "type": "BadRequestError",
            "code": "400",
            "message": f"the key sk-proj-{'Ab1' * 16} of ann@example.com is bad {AWKWARD}",
            "parameters": {"temperature": 3, "max_tokens": 5},
        },
    ),
    call("failed-plain", status="failed", error={"type": "Timeout"}),
    call("failed-untold", status="failed"),
]
DELTAS = """
    SELECT account_id, tier, bucket_at, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, latency_buckets
    FROM usage_delta ORDER BY account_id, model, failed, provider, api_key, currency, bucket_at
"""
EVERYTHING = (
    "SELECT * FROM call ORDER BY account_id, id",
    "SELECT * FROM call_error ORDER BY account_id, id",
    DELTAS,
)
LOGGING = (
    {"log_statement": "'all'"},
    {"log_statement": "'mod'"},
    {"log_min_duration_statement": "0"},
    {"log_min_duration_sample": "0", "log_statement_sample_rate": "1"},
    {"log_transaction_sample_rate": "1"},
    {"log_parameter_max_length_on_error": "-1", "log_parameter_max_length": "0"},
)


async def prepared(ingest: Ingest, rows: list[dict[str, Any]]) -> list[Prepared]:
    """The rows as they wait for the writer's connection, their partitions made."""
    await ingest.report(*rows)
    await ingest.database.owner.execute("DELETE FROM call; DELETE FROM call_error; DELETE FROM usage_delta")
    rules = rules_in_force(ingest)()
    await ingest.accounts.ensure({"acme", "default"})
    identities = Identities(b"p" * 32)
    preparation = Preparation(rules, ingest.accounts, ingest.keyring, identities, RECENT + timedelta(hours=2))
    calls = []
    for report in read_native(body(*rows)):
        assert isinstance(report, Report), report
        outcome = await preparation.prepare(report, 1, rules.admission.admit(report))
        assert isinstance(outcome, Prepared), outcome
        calls.append(outcome)
    return calls


def facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """What was reported, and not when it was stored."""
    return {name: value for name, value in row.items() if name != "recorded_at"}


async def test_both_ways_store_the_same(any_database_url: str, tmp_path: Path) -> None:
    """Every column of every table but the moment of storing is the same, byte for byte, on the oldest and the newest
    PostgreSQL.
    """
    async with ingesting(any_database_url, tmp_path) as ingest:
        calls = await prepared(ingest, ROWS)
        stored = []
        for insert in (insert_given, insert_copied):
            async with ingest.database.writer.acquire() as connection:
                await create_staging(connection)
                assert await insert(connection, calls) == set()
                again = await insert(connection, calls)
            assert again == {call.key for call in calls}
            stored.append([[facts(row) for row in await ingest.fetch(statement)] for statement in EVERYTHING])
            await ingest.database.owner.execute("DELETE FROM call; DELETE FROM call_error; DELETE FROM usage_delta")

        assert stored[0] == stored[1]
        assert [len(rows) > 0 for rows in stored[0]] == [True, True, True]
        assert len(stored[0][0]) == len(ROWS)


async def test_both_ways_refuse_the_same(ingest: Ingest) -> None:
    """A value that a text column cannot hold, or the driver cannot send, is refused by either way, and costs all."""
    good, bad = await prepared(ingest, [call("good"), call("bad")])
    place = bad.record.index("gpt-4o")
    for text in ("nul \x00", "half a pair \ud800"):
        worse = replace(bad, record=(*bad.record[:place], text, *bad.record[place + 1 :]))
        for insert in (insert_given, insert_copied):
            async with ingest.database.writer.acquire() as connection:
                await create_staging(connection)
                with pytest.raises((asyncpg.DataError, ValueError, TypeError)):
                    await insert(connection, [good, worse])

    assert await ingest.value("SELECT count(*) FROM call") == 0
    assert await ingest.value("SELECT count(*) FROM usage_delta") == 0


@pytest.mark.plain("a trigger on calls")
@pytest.mark.parametrize(("rows", "few"), [(1, True), (FEW_MAX, True), (FEW_MAX + 1, False)])
async def test_few_rows_come_with_the_statement(ingest: Ingest, rows: int, few: bool) -> None:
    """Up to `FEW_MAX` rows need no copy where the server logs no parameters."""
    await ingest.note("current_query()")
    await ingest.report(*(call(f"r{n}") for n in range(rows)))

    assert ["json_to_recordset" in statement for statement in await ingest.noted()] == [few]


@pytest.mark.parametrize("settings", LOGGING, ids=lambda settings: next(iter(settings)))
async def test_nothing_of_a_call_is_in_the_log_of_a_server_that_logs_parameters(
    any_server: Server, any_database_url: str, tmp_path: Path, settings: dict[str, str]
) -> None:
    """Logs outlive windows: where statements are logged with their parameters, rows are copied, however few."""
    name = urlsplit(any_database_url).path.removeprefix("/")
    log = any_server.folder / "server.log"
    told = log.stat().st_size
    for setting, value in settings.items():
        any_server.execute(f"ALTER DATABASE {name} SET {setting} = {value}")
    canary = f"canary-{name}"
    async with ingesting(any_database_url, tmp_path) as ingest:
        await ingest.database.owner.execute("ALTER TABLE call ADD CHECK (model <> 'cursed')")
        verdicts = await ingest.report(call(f"{canary}-1", api_key=canary), call(f"{canary}-2", model="cursed"))
        assert [verdict.status for verdict in verdicts] == [Status.ACCEPTED, Status.REJECTED]

    lines = log.read_bytes()[told:].decode()
    assert "call_staged" in lines, "the server logs statements: else this test says nothing"
    assert canary not in lines


async def test_calls_that_are_stored_stay_accepted_when_the_connection_goes_after(ingest: Ingest) -> None:
    """What this report brought is ACCEPTED, although the digests of its duplicates were looked up a second time."""
    await ingest.report(call("old"), call("changed", amount="1"))
    locked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1"
    async with ingest.database.owner.acquire() as first, ingest.database.owner.acquire() as second:
        before, between = first.transaction(), second.transaction()
        await before.start()
        await first.execute("LOCK TABLE call IN SHARE MODE")
        report = asyncio.create_task(ingest.report(call("old"), call("new"), call("changed", amount="2")))
        await eventually(lambda: ingest.value(locked, "%json_to_recordset%"))
        await between.start()
        lock = asyncio.create_task(second.execute("LOCK TABLE call IN ACCESS EXCLUSIVE MODE"))
        await eventually(lambda: ingest.value(locked, "LOCK TABLE call IN ACCESS%"))
        await before.rollback()
        await lock
        await eventually(lambda: ingest.value(locked, "%wanted.position%"))
        assert await ingest.value(
            "SELECT pg_terminate_backend($1::integer)", await ingest.value(locked, "%wanted.position%")
        )
        await between.rollback()
        verdicts = await report

    assert [verdict.status for verdict in verdicts] == [Status.DUPLICATE, Status.ACCEPTED, Status.CONFLICT]
    assert await ingest.value("SELECT count(*) FROM call") == 3
