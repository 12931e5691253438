"""Sums by tag are those of the calls that carry the tag, through completions and corrections, however far compaction
has come.
"""

import random
from collections.abc import AsyncIterator, Callable, Collection
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ingesting import call
from retaining import NOW, RetainedLedger, open_retained

from policies.policy.model import Role
from policies.policy.views import view_table
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.predicate import And, Compare, Not, Or, Predicate, TagMatch
from service.query.model.scope import Scope
from service.query.records.ordering import Cursors
from service.query.usage.report import Costs, CostSource, read_costs
from service.query.usage.report_request import NEEDS, CostRequest
from service.query.usage.source import UsageReader
from service.retention.rollups.compaction import LOCK
from service.retention.rollups.tag_check import check_tags, check_tags_of_all
from service.retention.rollups.tag_keys import keep_tags
from service.retention.rollups.unsummed import EVERY_TABLE, leave, make_every_sum

FIGURES = frozenset(NEEDS) - {"timeToFirstTokenMs"}
TEAMS = ["search", "ads", "Ωmega", "a b"]
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)


def some_report(rng: random.Random, number: int) -> dict[str, Any]:
    """A call that has a tag or not, and that a later report may know more of."""
    moment = MIDNIGHT - timedelta(days=rng.choice([0, 1, 2, 9]), minutes=rng.randrange(1, 1440))
    tags = rng.choice([{}, {"team": rng.choice(TEAMS)}, {"team": rng.choice(TEAMS), "project": "x"}, {"project": "y"}])
    facts: dict[str, Any] = {"account": rng.choice(["acme", "beta"]), "tags": tags, "api_key": rng.choice(["k", "l"])}
    facts |= {"model": rng.choice(["gpt-4o", "claude"]), "status": rng.choice(["succeeded", "succeeded", "failed"])}
    if rng.random() < 0.7:
        facts |= {"amount": f"0.{rng.randrange(10**9):09d}", "currency": rng.choice(["USD", "EUR"])}
    if rng.random() < 0.7:
        facts |= {"input_tokens": rng.randrange(5000), "latency_ms": rng.randrange(100_000)}
    return call(f"c{number}", started_at=moment.isoformat(), **facts)


def later_report(rng: random.Random, report: dict[str, Any]) -> dict[str, Any]:
    """The same call, of which more is known, or a correction of its amount."""
    if rng.random() < 0.4 and "amount" in report:
        same = {name: report[name] for name in ("account", "currency")}
        return call(f"{report['id']}-fix-{rng.randrange(10**9)}", corrects=report["id"], amount="0.01", **same)
    more: dict[str, Any] = {"amount": "0.5", "currency": "USD"} if "amount" not in report else {}
    more |= {"tags": {"team": "late", "project": "late"} | report["tags"], "output_tokens": 7}
    return report | more | ({} if "latency_ms" in report else {"latency_ms": 77})


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """Calls of ten days, some completed, some corrected; one tag of them is summed from the first on, one later."""
    rng = random.Random(20261130)
    async with open_retained(database_url, tmp_path) as retained:
        await keep_tags(retained.retention)
        reports = [some_report(rng, number) for number in range(300)]
        for start in range(0, len(reports), 60):
            part = reports[start : start + 60]
            await retained.report(*part)
            await compacted(retained, 30)
            for report in rng.sample(part, 25):
                await retained.report(later_report(rng, report))
        yield retained


@pytest.fixture
def keeper(retained: RetainedLedger) -> Callable[[], RetainedLedger]:
    """The retained for a test whose arguments Hypothesis prints."""
    return lambda: retained


async def compacted(retained: RetainedLedger, rows: int) -> None:
    await retained.ingest.compaction(rows).compact()


async def both(
    retained: RetainedLedger, request: CostRequest, accounts: tuple[int, ...] | None = None
) -> tuple[Costs, Costs]:
    """The report as it is answered, and from single calls."""
    policy, owner = retained.retention.policy(), retained.retention.owner
    scope = Scope("key", Role.ADMIN, accounts, policy, view_table(policy, Role.ADMIN))
    reader = UsageReader(retained.ingest.database, retained.ingest.accounts, scope, NOW, Cursors(bytes(32)))
    found = await read_costs(reader, request)
    await owner.execute("UPDATE usage_tag_key SET unlisted_at = now()")
    single = await read_costs(reader, request)
    await owner.execute("UPDATE usage_tag_key SET unlisted_at = NULL")
    return found, single


moments = st.builds(
    lambda days, minutes: MIDNIGHT - timedelta(days=days, minutes=minutes),
    st.integers(-1, 10),
    st.sampled_from([0, 0, 30, 330, 7, 15]),
)
leaves: st.SearchStrategy[Predicate] = st.one_of(
    st.builds(
        lambda value, op: TagMatch("team", (Compare("value", op, value),)),
        st.sampled_from([*TEAMS, "late", "nobody"]),
        st.sampled_from(["eq", "ne", "startsWith"]),
    ),
    st.just(TagMatch("team", ())),
    st.builds(Compare, st.just("account"), st.sampled_from(["eq", "ne"]), st.sampled_from(["acme", "beta"])),
    st.builds(Compare, st.just("currency"), st.just("eq"), st.sampled_from(["USD", "EUR"])),
)
predicates = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=2).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=2).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=3,
)
requests = st.builds(
    lambda predicate, one, other, tags, dimensions, bucket, zone: CostRequest(
        predicate=And(
            (
                predicate,
                Compare("startedAt", "gte", min(one, other)),
                Compare("startedAt", "lt", max(one, other) + timedelta(days=1)),
            )
        ),
        tags=tags,
        dimensions=dimensions,
        bucket=bucket,
        zone=zone,
        first=10_000,
        row_figures=FIGURES,
        total_figures=FIGURES,
        counted=True,
    ),
    st.one_of(st.just(And(())), predicates),
    moments,
    moments,
    st.sampled_from([["team"], ["team"], []]),
    st.sampled_from([[], ["ACCOUNT"]]),
    st.sampled_from([None, TimeBucket.HOUR, TimeBucket.DAY, TimeBucket.WEEK, TimeBucket.MONTH]),
    st.sampled_from(["UTC", "Asia/Kolkata", "America/New_York", "Asia/Kathmandu"]),
)


lost_sums = st.one_of(
    st.just(()), st.tuples(st.sampled_from([1, 2, 3, 10]), st.sets(st.sampled_from(EVERY_TABLE), min_size=1))
)


async def lose(retained: RetainedLedger, days: int, tables: Collection[str]) -> None:
    """Leave a past day of these sums to its calls."""
    async with retained.retention.owner.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await leave(connection, 1, MIDNIGHT - timedelta(days=days), sorted(tables))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(request=requests, narrowed=st.booleans(), rows=st.sampled_from([0, 0, 20]), lost=lost_sums, again=st.booleans())
async def test_sums_by_tag_say_what_the_calls_say(
    keeper: Callable[[], RetainedLedger],
    request: CostRequest,
    narrowed: bool,
    rows: int,
    lost: tuple[()] | tuple[int, set[str]],
    again: bool,
) -> None:
    """Rows, totals and histograms are those of single calls, which are read at the ends alone: for any filter, zone and
    range, for one account and for all, and whichever sums days have lost, or have got again.
    """
    retained = keeper()
    if rows:
        await compacted(retained, rows)
    if lost:
        await lose(retained, *lost)
    if again:
        await make_every_sum(retained.retention.owner)
    acme = await retained.ingest.accounts.find("acme")
    assert acme is not None

    found, single = await both(retained, request, (acme,) if narrowed else None)

    assert {repr(row.key): row.figures for row in found.rows} == {repr(row.key): row.figures for row in single.rows}
    assert {one.currency: one for one in found.totals} == {one.currency: one for one in single.totals}
    assert (found.count, found.coverage.start, found.coverage.end) == (
        single.count, single.coverage.start, single.coverage.end,
    )  # fmt: skip


async def test_no_call_is_read_where_nothing_cuts_half_hours(retained: RetainedLedger) -> None:
    """Days of nearly every zone, and a filter by the tag, are answered without the calls; and fsck agrees, before and
    after compaction.
    """
    since = Compare("startedAt", "gte", MIDNIGHT - timedelta(days=20, minutes=30))
    narrowed = And((since, TagMatch("team", (Compare("value", "eq", "ads"),))))
    for zone, dimensions in (("UTC", []), ("Asia/Kolkata", ["ACCOUNT"]), ("America/New_York", [])):
        for tags, predicate in ((["team"], since), ([], narrowed)):
            request = CostRequest(
                predicate, tags=tags, dimensions=dimensions, bucket=TimeBucket.DAY, zone=zone, row_figures=FIGURES
            )
            found, single = await both(retained, request)
            assert (found.coverage.source, single.coverage.source) == (CostSource.ROLLUPS, CostSource.CALLS)
            assert found.rows == single.rows
            assert found.rows
        await compacted(retained, 5)
        for check in (check_tags, check_tags_of_all):
            assert [found async for found in check(retained.retention.owner, retained.retention.policy())] == []
    await compacted(retained, 1000)
    assert await retained.findings() == {}
    assert await retained.value("SELECT count(*) FROM usage_tag_day WHERE calls <> 0") > 20
