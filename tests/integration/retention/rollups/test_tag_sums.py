"""Sums by tag through all that happens to them: policies, too many values, damage, purges, erasures, other roles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ingesting import call, eventually
from retaining import NOW, RetainedLedger, open_retained

from policies.policy.model import Policy, Role
from policies.policy.views import view_table
from service.query.cost_stream import stream_records
from service.query.model.errors import BadInputError, OutOfRetentionError
from service.query.model.predicate import And, Compare, TagMatch
from service.query.model.scope import Scope
from service.query.records.ordering import Cursors
from service.query.usage.consistency import check_usage
from service.query.usage.report import Costs, CostSource, read_costs
from service.query.usage.report_request import CostRequest
from service.query.usage.source import UsageReader
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.rollups.compaction import LOCK
from service.retention.rollups.rebuild import days_to_rebuild, rebuild_derived_sums, rebuild_sums
from service.retention.rollups.tag_check import check_tags, check_tags_of_all
from service.retention.rollups.tag_keys import forget_unlisted, keep_tags, sum_history
from service.retention.rollups.tag_sums import CROWDED_MIN, EVERY_TABLE
from service.storage.cold.catalogue import ColdFile, add_file
from service.storage.connection import Connection, advisory_lock

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
DAY = timedelta(days=1)
SINCE = "SELECT summed_from FROM usage_tag_key"
WAITING = """
    SELECT count(*) FROM pg_locks WHERE NOT granted
        AND (relation = 'call'::regclass OR (classid::bigint << 32) + objid::bigint = $1)
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""How many wait for the lock of compaction or for calls."""
SUMS = "SELECT coalesce(sum(calls), 0)::int FROM usage_tag_day"


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(database_url, tmp_path, delay=timedelta(hours=72)) as retained:
        yield retained


async def report(
    retained: RetainedLedger, *teams: str | None, days: int = 1, account: str = "acme", start: str = ""
) -> None:
    moment = (MIDNIGHT - timedelta(days=days, minutes=-40)).isoformat()
    rows: list[dict[str, Any]] = [
        call(f"{account}-{days}-{start}{number}", started_at=moment, account=account, amount="1", currency="USD",
             latency_ms=9, tags={} if team is None else {"team": team})
        for number, team in enumerate(teams)
    ]  # fmt: skip
    await retained.report(*rows)


def reader_of(retained: RetainedLedger, accounts: tuple[int, ...] | None = None) -> UsageReader:
    policy = retained.retention.policy()
    scope = Scope("key", Role.ADMIN, accounts, policy, view_table(policy, Role.ADMIN))
    return UsageReader(retained.ingest.database, retained.ingest.accounts, scope, NOW, Cursors(bytes(32)))


def since(days: int, *more: Any) -> And:
    return And((Compare("startedAt", "gte", MIDNIGHT - days * DAY), *more))


async def costs(retained: RetainedLedger, days: int = 30, *more: Any, **options: Any) -> Costs:
    options = {"tags": ["team"], "row_figures": frozenset({"calls", "amount", "latencyMs"})} | options
    return await read_costs(reader_of(retained), CostRequest(since(days, *more), **options))


def by_team(found: Costs) -> dict[str | None, int]:
    return {row.key.tags["team"]: int(row.figures.sums["calls"]) for row in found.rows if row.key.tags}


def with_dimensions(policy: Policy, *tags: str) -> Policy:
    return replace(policy, tag_keys=policy.tag_keys | {*tags}, tag_dimensions=frozenset(tags))


async def wrong(retained: RetainedLedger) -> list[str]:
    owner, policy = retained.retention.owner, retained.retention.policy()
    found = [one.table async for one in check_tags(owner, policy)]
    return sorted({*found, *[one.table async for one in check_tags_of_all(owner, policy)]})


async def test_a_tag_that_is_listed_later_shows_no_part_as_the_whole(retained: RetainedLedger) -> None:
    """From its day on it is summed, before single calls answer, and `coverage` says so; `rebuild-sums` sums those too,
    a day at a time, whenever it was killed. Then nothing reads the calls.
    """
    await report(retained, "ads", "ads", None, days=3)
    await report(retained, "search", days=2)
    await keep_tags(retained.retention)
    await report(retained, "ads", days=0)
    await report(retained, "late", None, days=3, start="late")
    await retained.compact()

    expected = {"ads": 3, "search": 1, "late": 1, None: 2}
    found = await costs(retained)
    assert (by_team(found), found.coverage.source) == (expected, CostSource.BOTH)
    today = await costs(retained, 0)
    assert (by_team(today), today.coverage.source) == ({"ads": 1}, CostSource.ROLLUPS)
    assert await wrong(retained) == []

    history = asyncio.create_task(sum_history(retained.retention))
    await eventually(lambda: retained.value("SELECT min(summed_from) < $1 FROM usage_tag_key", MIDNIGHT))
    history.cancel()
    await asyncio.gather(history, return_exceptions=True)
    assert by_team(await costs(retained)) == expected
    assert await sum_history(retained.retention) > 300
    await retained.compact()
    found = await costs(retained)
    assert (by_team(found), found.coverage.source) == (expected, CostSource.ROLLUPS)
    assert await wrong(retained) == []
    assert await sum_history(retained.retention) == 0


async def waiting(connection: Connection, number: int) -> bool:
    return await connection.fetchval(WAITING, LOCK) == number


async def list_moved(connection: Connection) -> None:
    """List a file of the calls of ten days."""
    moved = ColdFile(0, 1, MIDNIGHT - 7 * DAY, MIDNIGHT + 3 * DAY, "call_x", "x", 1, 1, "00" * 32, False)
    await add_file(connection, moved, "")
    await connection.execute("UPDATE cold_file SET frozen_at = clock_timestamp()")


async def test_calls_that_move_to_files_meanwhile_are_not_missed(retained: RetainedLedger) -> None:
    """Before each day whoever sums history looks for files anew: of what is in one by then, sums do not answer."""
    await report(retained, "ads", days=3)
    await keep_tags(retained.retention)
    owner, since = retained.retention.owner, await retained.value(SINCE)
    async with advisory_lock(owner, LOCK) as connection:
        history = asyncio.create_task(sum_history(retained.retention))
        await eventually(lambda: waiting(connection, 1))
        await list_moved(connection)
    assert (await history, await retained.value(SINCE)) == (0, since)


async def test_calls_that_move_to_files_meanwhile_are_no_difference(retained: RetainedLedger) -> None:
    """Whoever misses calls of a day looks for files again: rows go, and their file is listed, in one transaction."""
    await keep_tags(retained.retention)
    await report(retained, "ads", days=0)
    await retained.compact()
    owner, policy = retained.retention.owner, retained.retention.policy()

    async def found(check: Callable[..., AsyncIterator[object]]) -> list[object]:
        return [one async for one in check(owner, policy)]

    async with owner.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE call IN ACCESS EXCLUSIVE MODE")
        looking = [asyncio.create_task(found(check)) for check in (check_usage, check_tags)]
        await eventually(lambda: waiting(connection, 2))
        await connection.execute("DELETE FROM call")
        await list_moved(connection)
    assert await asyncio.gather(*looking) == [[], []]


async def test_writers_that_do_not_know_the_tag_are_waited_for(retained: RetainedLedger) -> None:
    """Calls that are stored while the tag is added are counted once."""
    done = asyncio.Event()

    async def write() -> None:
        for number in range(12):
            await report(retained, "ads", "ads", days=0, start=f"{number}-")
        done.set()

    writing = asyncio.create_task(write())
    await asyncio.sleep(0)
    await keep_tags(retained.retention)
    while not done.is_set():
        await retained.compact()
        await asyncio.sleep(0)
    await writing
    await retained.compact()
    assert by_team(await costs(retained)) == {"ads": 24}
    assert await wrong(retained) == []


async def test_a_tag_off_the_list_answers_nothing_and_its_sums_go_after_the_delay(retained: RetainedLedger) -> None:
    """Listed again in time it has lost nothing; later it begins anew."""
    listed = retained.retention.policy()
    await keep_tags(retained.retention)
    await report(retained, "ads", None)
    await retained.compact()
    retained.ingest.use_policy(with_dimensions(listed, "project"))
    with pytest.raises(BadInputError, match="`team` is not a tag that the policy allows"):
        await costs(retained)
    filtered = await costs(retained, 30, TagMatch("team", ()), tags=[])
    assert filtered.coverage.source is CostSource.CALLS
    await keep_tags(retained.retention)
    await forget_unlisted(retained.retention)
    await report(retained, "ads", start="more")
    retained.ingest.use_policy(listed)
    await keep_tags(retained.retention)
    found = await costs(retained)
    assert (by_team(found), found.coverage.source) == ({"ads": 2, None: 1}, CostSource.ROLLUPS)

    retained.ingest.use_policy(with_dimensions(listed, "project"))
    await keep_tags(retained.retention)
    await retained.retention.owner.execute("UPDATE usage_tag_key SET unlisted_at = unlisted_at - interval '73 hours'")
    await forget_unlisted(retained.retention)
    assert await retained.column("SELECT tag_key FROM usage_tag_key") == ["project"]
    for table in (*EVERY_TABLE, "usage_tag_delta"):
        assert await retained.value(f"SELECT count(*) FROM {table} WHERE tag_key = 'team'") == 0
    retained.ingest.use_policy(listed)
    await keep_tags(retained.retention)
    found = await costs(retained)
    assert (by_team(found), found.coverage.source) == ({"ads": 2, None: 1}, CostSource.BOTH)


async def test_too_many_values_of_a_tag_are_not_summed(retained: RetainedLedger) -> None:
    """An account with more on a day has none in the sums: single calls answer for it, and for all; sums still do for
    the other. What it reports later that day is not summed either, and an erasure ends it.
    """
    await keep_tags(retained.retention)
    await report(retained, "ads", None, account="other")
    await report(retained, *(f"team-{number}" for number in range(CROWDED_MIN + 1)))
    found = await costs(retained, first=2_000)
    assert (len(found.rows), found.coverage.source) == (CROWDED_MIN + 3, CostSource.ROLLUPS)
    await retained.compact()
    await report(retained, "one-more", start="late")
    await retained.compact()

    assert await retained.value(SUMS) == 1
    assert await retained.value(f"{SUMS}_all") == 1
    found = await costs(retained, first=2_000)
    assert (len(found.rows), found.coverage.source) == (CROWDED_MIN + 4, CostSource.CALLS)
    other = await costs(retained, 30, Compare("account", "eq", "other"))
    assert (by_team(other), other.coverage.source) == ({"ads": 1, None: 1}, CostSource.ROLLUPS)
    assert await wrong(retained) == []
    streamed = [
        len(part.rows) async for part in stream_records(reader_of(retained), CostRequest(since(30), tags=["team"]), 500)
    ]
    assert sum(streamed) == CROWDED_MIN + 4

    await request_erasure(
        retained.retention, kind=ErasureKind.ACCOUNT, account="acme", user=None, reason="asked", actor="cli"
    )
    assert await retained.value("SELECT count(*) FROM usage_tag_crowded") == 0
    found = await costs(retained)
    assert (by_team(found), found.coverage.source) == ({"ads": 1, None: 1}, CostSource.ROLLUPS)
    assert await wrong(retained) == []


@pytest.mark.parametrize(
    "damage",
    [
        *(f"UPDATE {table} SET amount = amount + 1" for table in EVERY_TABLE),
        "DELETE FROM usage_tag_half_hour",
        "DELETE FROM usage_tag_day_all",
        "UPDATE usage_tag_day SET tag_value = 'x' || tag_value",
        "UPDATE usage_tag_half_hour SET latency = 0",
        "INSERT INTO usage_tag_delta SELECT * FROM usage_tag_delta",
        "DELETE FROM usage_tag_delta",
    ],
)
async def test_damage_is_found_and_mended(retained: RetainedLedger, damage: str) -> None:
    """fsck names it under `usage`, and after `rebuild-sums` sums are those of the calls again."""
    await keep_tags(retained.retention)
    await report(retained, "ads", "search", None)
    await retained.compact()
    await report(retained, "ads", start="later")
    right = await costs(retained)
    await retained.retention.owner.execute(damage)

    assert "sums by tag differ" in (await retained.findings())["usage"]
    days = await days_to_rebuild(retained.retention)
    assert [one async for one in rebuild_sums(retained.retention, days, actor="cli")]
    await retained.compact()
    await rebuild_derived_sums(retained.retention)

    assert await retained.findings() == {}
    assert (await costs(retained)).rows == right.rows


async def test_sums_have_the_windows_of_their_rollups(retained: RetainedLedger) -> None:
    """With the quarter hours' partition their half hours go; UTC days answer on, when the calls are gone."""
    await keep_tags(retained.retention)
    await report(retained, "ads", None, days=500)
    await report(retained, "search", days=1)
    await retained.compact()
    assert await retained.value("SELECT sum(calls)::int FROM usage_tag_half_hour") == 2
    await retained.purge()

    for table in ("usage_tag_half_hour", "usage_tag_half_hour_all"):
        assert await retained.value(f"SELECT sum(calls)::int FROM {table}") == 1
    assert await retained.value("SELECT count(*) FROM call") == 1
    found = await costs(retained, 600)
    assert (by_team(found), found.coverage.source) == ({"ads": 1, "search": 1, None: 1}, CostSource.ROLLUPS)
    await retained.retention.owner.execute("UPDATE usage_tag_key SET summed_from = $1", MIDNIGHT - 2 * DAY)
    with pytest.raises(OutOfRetentionError, match="sums by this tag are there from"):
        await costs(retained, 600)


async def test_a_persons_name_leaves_the_sums(retained: RetainedLedger) -> None:
    """As a value of a tag it goes from calls and sums alike, also from sums whose calls are gone."""
    await keep_tags(retained.retention)
    await report(retained, "bob@example.com", "ads", days=20)
    await report(retained, "bob@example.com", "ads", days=2)
    await retained.compact()
    await report(retained, "bob@example.com", days=1)
    await retained.retention.owner.execute("DELETE FROM call WHERE started_at < $1", MIDNIGHT - 10 * DAY)

    await request_erasure(
        retained.retention, kind=ErasureKind.USER, account="acme", user="bob@example.com", reason="asked", actor="cli"
    )

    for table in (*EVERY_TABLE, "usage_tag_delta"):
        assert await retained.value(f"SELECT count(*) FROM {table} WHERE tag_value LIKE '%bob%'") == 0
    teams = by_team(await costs(retained))
    assert teams.pop("ads") == 2
    assert list(teams.values()) == [3]
    await retained.retention.owner.execute(
        "UPDATE usage_tag_key SET summed_from = $1", MIDNIGHT - 5 * DAY
    )  # of the days before, a test has deleted calls
    assert await wrong(retained) == []


async def test_a_scoped_key_reads_its_accounts_alone(retained: RetainedLedger) -> None:
    """By its scope, and once more by the database; sums over all accounts are closed to it."""
    await keep_tags(retained.retention)
    await report(retained, "ads", "ads")
    await report(retained, "search", account="other")
    await retained.compact()
    account = await retained.ingest.accounts.find("other")
    assert account is not None
    request = CostRequest(since(30), tags=["team"])

    found = await read_costs(reader_of(retained, (account,)), request)

    assert (by_team(found), found.coverage.source) == ({"search": 1}, CostSource.ROLLUPS)
    async with retained.ingest.database.reading((account,)) as connection:
        for table in ("usage_tag_day", "usage_tag_half_hour"):
            assert {row[0] for row in await connection.fetch(f"SELECT account_id FROM {table}")} == {account}
        for table in ("usage_tag_day_all", "usage_tag_half_hour_all"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")


async def test_what_sums_by_tag_do_not_have_is_asked_of_the_calls(retained: RetainedLedger) -> None:
    """Another dimension, another tag, another filter, the first token; corrections by their own time are refused."""
    await keep_tags(retained.retention)
    await report(retained, "ads")
    await retained.compact()
    others: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"dimensions": ["MODEL"]}),
        ((), {"tags": ["team", "project"]}),
        ((Compare("model", "eq", "gpt-4o"),), {}),
        ((TagMatch("project", ()),), {}),
        ((), {"row_figures": frozenset({"timeToFirstTokenMs"})}),
    ]
    for more, options in others:
        assert (await costs(retained, 30, *more, **options)).coverage.source is CostSource.CALLS
    with pytest.raises(BadInputError, match="corrections by their own time"):
        await costs(retained, corrections_moved=True)
