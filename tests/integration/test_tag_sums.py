"""Sums by tag through all that happens to them: policies, too many values, damage, purges, erasures, other roles."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ingesting import call, eventually
from steward import NOW, Steward, stewarding

from policies.policy.model import Policy, Role
from policies.policy.views import view_table
from service.query.cost_stream import stream_records
from service.query.model.errors import BadInputError, OutOfRetentionError
from service.query.model.predicate import And, Compare, TagMatch
from service.query.model.scope import Scope
from service.query.records.ordering import Cursors
from service.query.usage.report import Costs, CostSource, read_costs
from service.query.usage.report_request import CostRequest
from service.query.usage.source import UsageReader
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.rebuild import days_to_rebuild, rebuild_derived_sums, rebuild_sums
from service.retention.rollups.tag_check import check_tags, check_tags_of_all
from service.retention.rollups.tag_keys import forget_unlisted, keep_tags, sum_history
from service.retention.rollups.tag_sums import CROWDED_MIN, EVERY_TABLE

MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
DAY = timedelta(days=1)
SUMS = "SELECT coalesce(sum(calls), 0)::int FROM usage_tag_day"


@pytest.fixture
async def steward(database_url: str, tmp_path: Path) -> AsyncIterator[Steward]:
    async with stewarding(database_url, tmp_path, delay=timedelta(hours=72)) as steward:
        yield steward


async def fold(steward: Steward) -> None:
    partitions, policy = steward.retention.partitions, steward.retention.policy
    await Compaction(
        steward.retention.owner, ensure=lambda needs: partitions.ensure(policy(), list(needs))
    ).compact_all()


async def report(steward: Steward, *teams: str | None, days: int = 1, account: str = "acme", start: str = "") -> None:
    moment = (MIDNIGHT - timedelta(days=days, minutes=-40)).isoformat()
    rows: list[dict[str, Any]] = [
        call(f"{account}-{days}-{start}{number}", started_at=moment, account=account, amount="1", currency="USD",
             latency_ms=9, tags={} if team is None else {"team": team})
        for number, team in enumerate(teams)
    ]  # fmt: skip
    await steward.report(*rows)


def reader_of(steward: Steward, accounts: tuple[int, ...] | None = None) -> UsageReader:
    policy = steward.retention.policy()
    scope = Scope("key", Role.ADMIN, accounts, policy, view_table(policy, Role.ADMIN))
    return UsageReader(steward.ingest.database, steward.ingest.accounts, scope, NOW, Cursors(bytes(32)))


def since(days: int, *more: Any) -> And:
    return And((Compare("startedAt", "gte", MIDNIGHT - days * DAY), *more))


async def costs(steward: Steward, days: int = 30, *more: Any, **options: Any) -> Costs:
    options = {"tags": ["team"], "row_figures": frozenset({"calls", "amount", "latencyMs"})} | options
    return await read_costs(reader_of(steward), CostRequest(since(days, *more), **options))


def by_team(found: Costs) -> dict[str | None, int]:
    return {row.key.tags["team"]: int(row.figures.sums["calls"]) for row in found.rows if row.key.tags}


def with_dimensions(policy: Policy, *tags: str) -> Policy:
    return replace(policy, tag_keys=policy.tag_keys | {*tags}, tag_dimensions=frozenset(tags))


async def wrong(steward: Steward) -> list[str]:
    owner, policy = steward.retention.owner, steward.retention.policy()
    found = [one.table async for one in check_tags(owner, policy)]
    return sorted({*found, *[one.table async for one in check_tags_of_all(owner, policy)]})


async def test_a_tag_that_is_listed_later_shows_no_part_as_the_whole(steward: Steward) -> None:
    """From its day on it is summed, before single calls answer, and `coverage` says so; `rebuild-sums` sums those too,
    a day at a time, whenever it was killed. Then nothing reads the calls.
    """
    await report(steward, "ads", "ads", None, days=3)
    await report(steward, "search", days=2)
    await keep_tags(steward.retention)
    await report(steward, "ads", days=0)
    await report(steward, "late", None, days=3, start="late")
    await fold(steward)

    expected = {"ads": 3, "search": 1, "late": 1, None: 2}
    found = await costs(steward)
    assert (by_team(found), found.coverage.source) == (expected, CostSource.BOTH)
    today = await costs(steward, 0)
    assert (by_team(today), today.coverage.source) == ({"ads": 1}, CostSource.ROLLUPS)
    assert await wrong(steward) == []

    history = asyncio.create_task(sum_history(steward.retention))
    await eventually(lambda: steward.value("SELECT min(summed_from) < $1 FROM usage_tag_key", MIDNIGHT))
    history.cancel()
    await asyncio.gather(history, return_exceptions=True)
    assert by_team(await costs(steward)) == expected
    assert await sum_history(steward.retention) > 300
    await fold(steward)
    found = await costs(steward)
    assert (by_team(found), found.coverage.source) == (expected, CostSource.ROLLUPS)
    assert await wrong(steward) == []
    assert await sum_history(steward.retention) == 0


async def test_writers_that_do_not_know_the_tag_are_waited_for(steward: Steward) -> None:
    """Calls that are stored while the tag is added are counted once."""
    done = asyncio.Event()

    async def write() -> None:
        for number in range(12):
            await report(steward, "ads", "ads", days=0, start=f"{number}-")
        done.set()

    writing = asyncio.create_task(write())
    await asyncio.sleep(0)
    await keep_tags(steward.retention)
    while not done.is_set():
        await fold(steward)
        await asyncio.sleep(0)
    await writing
    await fold(steward)
    assert by_team(await costs(steward)) == {"ads": 24}
    assert await wrong(steward) == []


async def test_a_tag_off_the_list_answers_nothing_and_its_sums_go_after_the_delay(steward: Steward) -> None:
    """Listed again in time it has lost nothing; later it begins anew."""
    listed = steward.retention.policy()
    await keep_tags(steward.retention)
    await report(steward, "ads", None)
    await fold(steward)
    steward.ingest.use_policy(with_dimensions(listed, "project"))
    with pytest.raises(BadInputError, match="`team` is not a tag that the policy allows"):
        await costs(steward)
    filtered = await costs(steward, 30, TagMatch("team", ()), tags=[])
    assert filtered.coverage.source is CostSource.CALLS
    await keep_tags(steward.retention)
    await forget_unlisted(steward.retention)
    await report(steward, "ads", start="more")
    steward.ingest.use_policy(listed)
    await keep_tags(steward.retention)
    found = await costs(steward)
    assert (by_team(found), found.coverage.source) == ({"ads": 2, None: 1}, CostSource.ROLLUPS)

    steward.ingest.use_policy(with_dimensions(listed, "project"))
    await keep_tags(steward.retention)
    await steward.retention.owner.execute("UPDATE usage_tag_key SET unlisted_at = unlisted_at - interval '73 hours'")
    await forget_unlisted(steward.retention)
    assert await steward.column("SELECT tag_key FROM usage_tag_key") == ["project"]
    for table in (*EVERY_TABLE, "usage_tag_delta"):
        assert await steward.value(f"SELECT count(*) FROM {table} WHERE tag_key = 'team'") == 0
    steward.ingest.use_policy(listed)
    await keep_tags(steward.retention)
    found = await costs(steward)
    assert (by_team(found), found.coverage.source) == ({"ads": 2, None: 1}, CostSource.BOTH)


async def test_too_many_values_of_a_tag_are_not_summed(steward: Steward) -> None:
    """An account with more on a day has none in the sums: single calls answer for it, and for all; sums still do for
    the other. What it reports later that day is not summed either, and an erasure ends it.
    """
    await keep_tags(steward.retention)
    await report(steward, "ads", None, account="other")
    await report(steward, *(f"team-{number}" for number in range(CROWDED_MIN + 1)))
    found = await costs(steward, first=2_000)
    assert (len(found.rows), found.coverage.source) == (CROWDED_MIN + 3, CostSource.ROLLUPS)
    await fold(steward)
    await report(steward, "one-more", start="late")
    await fold(steward)

    assert await steward.value(SUMS) == 1
    assert await steward.value(f"{SUMS}_all") == 1
    found = await costs(steward, first=2_000)
    assert (len(found.rows), found.coverage.source) == (CROWDED_MIN + 4, CostSource.CALLS)
    other = await costs(steward, 30, Compare("account", "eq", "other"))
    assert (by_team(other), other.coverage.source) == ({"ads": 1, None: 1}, CostSource.ROLLUPS)
    assert await wrong(steward) == []
    streamed = [
        len(part.rows) async for part in stream_records(reader_of(steward), CostRequest(since(30), tags=["team"]), 500)
    ]
    assert sum(streamed) == CROWDED_MIN + 4

    await request_erasure(
        steward.retention, kind=ErasureKind.ACCOUNT, account="acme", user=None, reason="asked", actor="cli"
    )
    assert await steward.value("SELECT count(*) FROM usage_tag_crowded") == 0
    found = await costs(steward)
    assert (by_team(found), found.coverage.source) == ({"ads": 1, None: 1}, CostSource.ROLLUPS)
    assert await wrong(steward) == []


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
async def test_damage_is_found_and_mended(steward: Steward, damage: str) -> None:
    """fsck names it under `usage`, and after `rebuild-sums` sums are those of the calls again."""
    await keep_tags(steward.retention)
    await report(steward, "ads", "search", None)
    await fold(steward)
    await report(steward, "ads", start="later")
    right = await costs(steward)
    await steward.retention.owner.execute(damage)

    assert "sums by tag differ" in (await steward.findings())["usage"]
    days = await days_to_rebuild(steward.retention)
    assert [one async for one in rebuild_sums(steward.retention, days, actor="cli")]
    await fold(steward)
    await rebuild_derived_sums(steward.retention)

    assert await steward.findings() == {}
    assert (await costs(steward)).rows == right.rows


async def test_sums_have_the_windows_of_their_rollups(steward: Steward) -> None:
    """With the quarter hours' partition their half hours go; UTC days answer on, when the calls are gone."""
    await keep_tags(steward.retention)
    await report(steward, "ads", None, days=500)
    await report(steward, "search", days=1)
    await fold(steward)
    assert await steward.value("SELECT sum(calls)::int FROM usage_tag_half_hour") == 2
    await steward.purge()

    for table in ("usage_tag_half_hour", "usage_tag_half_hour_all"):
        assert await steward.value(f"SELECT sum(calls)::int FROM {table}") == 1
    assert await steward.value("SELECT count(*) FROM call") == 1
    found = await costs(steward, 600)
    assert (by_team(found), found.coverage.source) == ({"ads": 1, "search": 1, None: 1}, CostSource.ROLLUPS)
    await steward.retention.owner.execute("UPDATE usage_tag_key SET summed_from = $1", MIDNIGHT - 2 * DAY)
    with pytest.raises(OutOfRetentionError, match="sums by this tag are there from"):
        await costs(steward, 600)


async def test_a_persons_name_leaves_the_sums(steward: Steward) -> None:
    """As a value of a tag it goes from calls and sums alike, also from sums whose calls are gone."""
    await keep_tags(steward.retention)
    await report(steward, "bob@example.com", "ads", days=20)
    await report(steward, "bob@example.com", "ads", days=2)
    await fold(steward)
    await report(steward, "bob@example.com", days=1)
    await steward.retention.owner.execute("DELETE FROM call WHERE started_at < $1", MIDNIGHT - 10 * DAY)

    await request_erasure(
        steward.retention, kind=ErasureKind.USER, account="acme", user="bob@example.com", reason="asked", actor="cli"
    )

    for table in (*EVERY_TABLE, "usage_tag_delta"):
        assert await steward.value(f"SELECT count(*) FROM {table} WHERE tag_value LIKE '%bob%'") == 0
    teams = by_team(await costs(steward))
    assert teams.pop("ads") == 2
    assert list(teams.values()) == [3]
    await steward.retention.owner.execute(
        "UPDATE usage_tag_key SET summed_from = $1", MIDNIGHT - 5 * DAY
    )  # of the days before, a test has deleted calls
    assert await wrong(steward) == []


async def test_a_scoped_key_reads_its_accounts_alone(steward: Steward) -> None:
    """By its scope, and once more by the database; sums over all accounts are closed to it."""
    await keep_tags(steward.retention)
    await report(steward, "ads", "ads")
    await report(steward, "search", account="other")
    await fold(steward)
    account = await steward.ingest.accounts.find("other")
    assert account is not None
    request = CostRequest(since(30), tags=["team"])

    found = await read_costs(reader_of(steward, (account,)), request)

    assert (by_team(found), found.coverage.source) == ({"search": 1}, CostSource.ROLLUPS)
    async with steward.ingest.database.reading((account,)) as connection:
        for table in ("usage_tag_day", "usage_tag_half_hour"):
            assert {row[0] for row in await connection.fetch(f"SELECT account_id FROM {table}")} == {account}
        for table in ("usage_tag_day_all", "usage_tag_half_hour_all"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM {table}")


async def test_what_sums_by_tag_do_not_have_is_asked_of_the_calls(steward: Steward) -> None:
    """Another dimension, another tag, another filter, the first token; corrections by their own time are refused."""
    await keep_tags(steward.retention)
    await report(steward, "ads")
    await fold(steward)
    others: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((), {"dimensions": ["MODEL"]}),
        ((), {"tags": ["team", "project"]}),
        ((Compare("model", "eq", "gpt-4o"),), {}),
        ((TagMatch("project", ()),), {}),
        ((), {"row_figures": frozenset({"timeToFirstTokenMs"})}),
    ]
    for more, options in others:
        assert (await costs(steward, 30, *more, **options)).coverage.source is CostSource.CALLS
    with pytest.raises(BadInputError, match="corrections by their own time"):
        await costs(steward, corrections_moved=True)
