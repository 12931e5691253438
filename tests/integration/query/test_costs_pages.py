"""Rows of costs as a connection: pages that meet without a gap, and go on where they were while calls arrive."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from compiled_operations import COMPILED, answer_bytes, same_answer
from rows import SeededLedger, open_seeded
from usage_ledger import Ledger, Reported, open_ledger

from policies.policy.model import Role
from service.api.execution.limits import TEXT_MAX
from service.api.usage.inputs import CostOrderField
from service.query.buckets.time_buckets import TimeBucket, edges
from service.query.model.errors import BadInputError
from service.query.model.predicate import And, Compare, Not, Or
from service.query.records.ordering import Cursors
from service.query.usage.report import Costs, read_costs
from service.query.usage.report_request import NEEDS, TAGS_MAX, CostRequest
from service.query.usage.report_sql import DIMENSIONS
from service.query.usage.row_order import ORDERS
from service.retention.rollups.compaction import Compaction

NOW = datetime(2026, 11, 22, 10, 7, 31, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL = frozenset({"calls", "errors", "amount", "tokenEfficiency"})


@pytest.fixture
async def ledger(any_database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(any_database_url) as opened:
        yield opened


@pytest.fixture
async def seeded(any_database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        yield seeded


def _calls(count: int = 60) -> list[Reported]:
    """Many groups with equal sums, nulls in every key, and figures that do not exist."""
    return [
        Reported(
            NOW - HOUR * 5 * index,
            account=("acme", "globex")[index % 2],
            model=f"m{index % 5}",
            provider=(None, "openai", "é")[index % 3],
            api_key=None if index % 7 else "k",
            failed=index % 4 == 0,
            currency=("USD", None)[index % 3 == 0],
            amount=Decimal(index % 3) if index % 3 else None,
            amount_source=1 if index % 3 else None,
            input_tokens=index % 3 * 10,
            output_tokens=7,
            cache_read_tokens=index % 2,
            operation=(None, "chat")[index % 2],
            tags={"team": f"t{index % 3}"} if index % 4 else {},
        )
        for index in range(count)
    ]


async def _pages(ledger: Ledger, request: CostRequest) -> list[Costs]:
    pages: list[Costs] = []
    while True:
        after = pages[-1].cursors[-1] if pages else None
        page = await read_costs(ledger.reader(NOW), replace(request, after=after))
        pages.append(page)
        assert page.has_previous is (after is not None)
        if not page.has_next:
            return pages


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("field", ORDERS)
async def test_pages_are_the_whole_report_in_its_order(ledger: Ledger, field: str, descending: bool) -> None:
    """In any order, with ties and nulls: the pages together are the rows of the report that is read at once."""
    await ledger.report(_calls())
    usd = Compare("currency", "eq", "USD")
    request = CostRequest(
        predicate=And((usd,)) if field == "AMOUNT" else And(()),
        dimensions=["ACCOUNT", "PROVIDER", "STATUS", "API_KEY", "OPERATION"],
        tags=["team"],
        bucket=TimeBucket.DAY,
        zone="Asia/Kolkata",
        order=[(field, descending)],
        first=7,
        row_figures=ALL,
        cursors=True,
        before=True,
        counted=True,
    )
    whole = await read_costs(ledger.reader(NOW), replace(request, first=10_000))

    pages = await _pages(ledger, request)

    assert [row for page in pages for row in page.rows] == list(whole.rows)
    assert [cursor for page in pages for cursor in page.cursors] == list(whole.cursors)
    assert len(set(whole.cursors)) == len(whole.rows) > 30
    assert {page.count for page in pages} == {len(whole.rows)}


async def test_rows_by_key_come_once_while_calls_arrive(ledger: Ledger) -> None:
    """Between two pages calls arrive of groups that were shown, that come later and that are new, and are compacted,
    and the oldest go: each group that there was all the time is shown once.
    """
    await ledger.report(_calls())
    request = CostRequest(
        dimensions=["MODEL", "ACCOUNT"],
        bucket=TimeBucket.DAY,
        zone="Europe/Vienna",
        order=[("BUCKET_START", True), ("KEY", True)],
        first=5,
        row_figures=ALL,
        cursors=True,
    )
    first = await read_costs(ledger.reader(NOW), replace(request, first=10_000))
    seen, after, later = [], None, NOW
    while True:
        page = await read_costs(ledger.reader(later), replace(request, after=after))
        seen += [row.key for row in page.rows]
        if not page.has_next:
            break
        after, later = page.cursors[-1], later + HOUR
        await ledger.report([*_calls(3), Reported(NOW - 2 * DAY, model=f"new{len(seen)}"), Reported(later)])
        await ledger.compaction.compact_all()

    assert len(set(map(repr, seen))) == len(seen)
    assert {repr(row.key) for row in first.rows} <= set(map(repr, seen))


async def test_a_cursor_is_of_its_report_alone(ledger: Ledger) -> None:
    """Another filter, grouping, order or scope, or a cursor that was made up, is refused in words."""
    await ledger.report(_calls())
    request = CostRequest(dimensions=["MODEL"], first=2, row_figures=ALL, cursors=True)
    cursor = (await read_costs(ledger.reader(NOW), request)).cursors[0]
    account = await ledger.accounts.find("acme")
    assert account is not None
    others = [
        replace(request, predicate=Compare("model", "ne", "x")),
        replace(request, dimensions=["PROVIDER"]),
        replace(request, bucket=TimeBucket.DAY),
        replace(request, order=[("CALLS", False)]),
    ]
    for other in others:
        with pytest.raises(BadInputError, match="cursor"):
            await read_costs(ledger.reader(NOW), replace(other, after=cursor))
    with pytest.raises(BadInputError, match="cursor"):
        await read_costs(ledger.reader(NOW, (account,)), replace(request, after=cursor))
    for made_up in ("", "x", cursor[:-1], cursor + "A", "ä" * 20, "A" * 20_000):
        with pytest.raises(BadInputError, match="cursor"):
            await read_costs(ledger.reader(NOW), replace(request, after=made_up))
    with pytest.raises(BadInputError, match="KEY"):
        await read_costs(ledger.reader(NOW), replace(request, order=[("KEY", True), ("CALLS", True)]))


async def test_the_longest_names_have_a_cursor(ledger: Ledger) -> None:
    """A row that is grouped by everything, under the longest names of the widest characters, can be gone on from."""
    wide = "\U0001f600" * 200
    call = Reported(
        NOW,
        model=wide,
        provider=wide,
        api_key=wide,
        operation=wide,
        served_model=wide,
        tags={"team": wide, "project": wide},
    )
    await ledger.report([call, replace(call, model=wide[:-1], number=-1)])
    request = CostRequest(
        dimensions=["MODEL", "PROVIDER", "API_KEY", "OPERATION", "SERVED_MODEL"],
        tags=["team", "project"],
        first=1,
        row_figures=ALL,
        cursors=True,
        before=True,
    )

    first, second = await _pages(ledger, request)

    assert {row.key.values["MODEL"] for page in (first, second) for row in page.rows} == {wide, wide[:-1]}


def test_the_longest_cursor_is_no_longer_than_a_text_of_a_request_may_be() -> None:
    """Grouped by every text and the most tags, all of them in the longest names of the widest characters."""
    names = sum(column.rollup is None or "_id" not in column.rollup for column in DIMENSIONS.values())
    place = ("1234567890.123456789012", *["\U0001f600" * 200] * (names + TAGS_MAX), "USD")

    text = Cursors(bytes(64)).seal(place, b"binding")

    assert 10_000 < len(text) <= TEXT_MAX
    assert Cursors(bytes(64)).open(text, b"binding") == place


async def _two_models(seeded: SeededLedger) -> None:
    """A call of each of two models, one with an amount."""
    ledger = Ledger(
        seeded.database, seeded.accounts, seeded.policy, seeded.partitions, Compaction(seeded.database.owner)
    )
    yesterday = await seeded.now() - DAY
    priced = Reported(yesterday, amount=Decimal(1), currency="USD", amount_source=1, number=-1)
    await ledger.report([priced, Reported(yesterday, model="claude", number=-2)])


CONNECTION = """query ($first: Int, $after: String) {
    costs(groupBy: [MODEL], orderBy: [{field: KEY, direction: ASC}], first: $first, after: $after) {
        edges { cursor node { key { model } calls } } nodes { calls } rows { calls } truncated
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount totals { calls } } }"""


async def test_costs_is_a_connection(seeded: SeededLedger) -> None:
    """edges, nodes, pageInfo and totalCount agree with each other and with the deprecated `rows` and `truncated`; both
    paths answer the same bytes, page by page."""
    await _two_models(seeded)
    found, after = [], None
    for _ in range(2):
        page: Any = (await seeded.data(CONNECTION, variables={"first": 1, "after": after}))["costs"]
        assert await same_answer(seeded, seeded.scope(Role.ADMIN), CONNECTION, {"first": 1, "after": after})
        (edge,) = page["edges"]
        assert page["nodes"] == page["rows"] == [{"calls": edge["node"]["calls"]}]
        assert page["pageInfo"]["startCursor"] == page["pageInfo"]["endCursor"] == edge["cursor"]
        assert page["pageInfo"]["hasNextPage"] is page["truncated"] is (after is None)
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert page["totalCount"] == len(page["totals"]) == 2
        found.append(edge["node"]["key"]["model"])
        after = edge["cursor"]
    assert found == ["claude", "gpt-4o"]


async def test_a_partner_goes_on_in_its_own_rows_alone(seeded: SeededLedger) -> None:
    """A cursor of one key is refused to another that sees other accounts, on both paths."""
    await _two_models(seeded)
    page = (await seeded.data(CONNECTION, variables={"first": 1}))["costs"]
    number = await seeded.join("globex")
    scope = seeded.scope(Role.PARTNER, number)
    variables = {"first": 1, "after": page["pageInfo"]["endCursor"]}

    await same_answer(seeded, scope, CONNECTION, variables)

    assert b"BAD_USER_INPUT" in await answer_bytes(seeded, COMPILED, scope, CONNECTION, variables)


ZONES = ["UTC", "Asia/Kolkata", "Europe/Vienna"]


@pytest.mark.parametrize("compacted", [True, False])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("bucket", [TimeBucket.HOUR, TimeBucket.DAY, TimeBucket.MONTH])
async def test_filled_buckets_are_the_others_and_zeros(
    ledger: Ledger, bucket: TimeBucket, zone: str, compacted: bool
) -> None:
    """Each group has one row for every bucket from the beginning asked for until now: what it has without filling, and
    zeros elsewhere; pages and totals are as ever."""
    await ledger.report([*_calls(), Reported(NOW + HOUR, model="ahead")])
    if compacted:
        await ledger.compaction.compact_all()
    start = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)
    request = CostRequest(
        predicate=And((Compare("startedAt", "gte", start),)),
        dimensions=["PROVIDER", "STATUS"],
        bucket=bucket,
        zone=zone,
        order=[("BUCKET_START", False), ("KEY", False)],
        first=10_000,
        row_figures=frozenset(NEEDS) - {"timeToFirstTokenMs"},
        total_figures=frozenset({"calls", "amount"}),
        counted=True,
    )
    plain = await read_costs(ledger.reader(NOW), request)

    filled = await read_costs(ledger.reader(NOW), replace(request, fill=True))

    groups = {repr((row.key.values, row.key.currency)) for row in plain.rows}
    known = {repr(row.key): row for row in plain.rows}
    starts = [moment for moment in edges(bucket, zone, start, NOW) if moment < NOW]
    later = {row.key.bucket_start for row in plain.rows} - {*starts}
    assert (
        filled.count
        == len(filled.rows)
        == len(starts) * len(groups) + sum(row.key.bucket_start in later for row in plain.rows)
    )
    shown = [row.key.bucket_start or NOW for row in filled.rows]
    assert shown == sorted(shown)
    for row in filled.rows:
        if repr(row.key) in known:
            assert row == known[repr(row.key)]
        else:
            assert set(row.figures.sums.values()) == {Decimal(0)}
            assert row.figures.histograms == {"latency": ([], [])}
    assert filled.totals == plain.totals
    pages = await _pages(ledger, replace(request, fill=True, first=997, cursors=True, before=True))
    assert [row for page in pages for row in page.rows] == list(filled.rows)


async def test_filling_is_bounded(ledger: Ledger) -> None:
    """It needs a bucket and a beginning, and refuses to make more rows than 100,000."""
    await ledger.report(Reported(NOW, model=f"m{index}") for index in range(30))
    since = Compare("startedAt", "gte", NOW - 300 * DAY)
    request = CostRequest(
        predicate=since, dimensions=["MODEL"], bucket=TimeBucket.HOUR, fill=True, first=1, row_figures=ALL
    )
    with pytest.raises(BadInputError, match="100000 rows"):
        await read_costs(ledger.reader(NOW), request)
    with pytest.raises(BadInputError, match="needs `bucket`"):
        await read_costs(ledger.reader(NOW), replace(request, bucket=None))
    for predicate in (And(()), Compare("startedAt", "lt", NOW), Or((since,)), Not(since)):
        with pytest.raises(BadInputError, match="startedAt"):
            await read_costs(ledger.reader(NOW), replace(request, predicate=predicate))
    fits = await read_costs(ledger.reader(NOW), replace(request, predicate=Compare("startedAt", "gt", NOW - 100 * DAY)))
    assert fits.has_next


def test_every_order_is_in_the_schema() -> None:
    """What rows can be ordered by is what the schema offers."""
    assert [field.value for field in CostOrderField] == list(ORDERS)
