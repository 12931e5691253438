"""A page prunes partitions and stops early, and nothing is read that was not asked for."""

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rows import EPOCH, SeededLedger, StoredCall, StoredError, open_seeded

from policies.admission.segments import ErrorDetails
from policies.policy.model import Role, Store
from service.query.model.catalog import CALLS, ERRORS
from service.query.model.predicate import And, Compare
from service.query.model.scope import Scope
from service.query.records.ordering import OrderTerm
from service.query.records.page import STATEMENTS_MAX, FixedColumns, PageRequest, PageSelection
from service.query.records.projection import fixed_projection


class Spied:
    """A connection that keeps what it was asked."""

    def __init__(self, seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[tuple[str, tuple[Any, ...]]] = []
        connection_class = seeded.database.scoped._pool._connection_class
        fetch = connection_class.fetch
        spied = self

        async def fetching(self: Any, sql: str, *values: Any, **options: Any) -> Any:
            spied.statements.append((sql, values))
            return await fetch(self, sql, *values, **options)

        monkeypatch.setattr(connection_class, "fetch", fetching)


@pytest.fixture
async def seeded(any_database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.join("acme")
        await seeded.join("other")
        weeks = [(Store.CALL, 1, now - timedelta(days=7 * week)) for week in range(58)]
        await seeded.partitions.ensure(seeded.policy, weeks)
        calls = [
            StoredCall(now - timedelta(hours=7 * index), account=("acme", "other")[index % 2], source_id=str(index))
            for index in range(400)
        ]
        await seeded.put(calls)
        async with seeded.database.owner.acquire() as connection:
            await connection.execute("ANALYZE")
        yield seeded


async def _plan(seeded: SeededLedger, scope: Scope, sql: str, values: tuple[Any, ...]) -> dict[str, Any]:
    async with seeded.database.reading(scope.accounts) as connection:
        # A few hundred rows are read faster as a whole; what is asked here is whether the index can serve.
        await connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, FORMAT JSON) {sql}", *values)
    return json.loads(text)[0]["Plan"]


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


def _scanned(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [node for node in _nodes(plan) if "Relation Name" in node]


@pytest.mark.plain("reads a plan")
async def test_a_page_of_an_account_touches_few_partitions(
    seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty weeks lie there; the newest page reads one or two, by the index of the account, in its order."""
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope = seeded.scope(Role.PARTNER, number)
    spied = Spied(seeded, monkeypatch)
    page = await seeded.reader.page(scope, CALLS, PageRequest(size=1), PageSelection(selection={"model": {}}))
    assert len(page.rows) == 1

    plan = await _plan(seeded, scope, *spied.statements[0])

    scans = _scanned(plan)
    assert 1 <= len(scans) <= 2
    assert all(node["Node Type"].startswith("Index") for node in scans)
    assert not any(node["Node Type"] == "Sort" for node in _nodes(plan))


@pytest.mark.plain("reads a plan")
async def test_a_cursor_far_back_prunes_what_is_newer(seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Going on from a cursor never touches the partitions that were read before."""
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope = seeded.scope(Role.PARTNER, number)
    first = await seeded.reader.page(scope, CALLS, PageRequest(size=100), PageSelection())
    cursor = first.cursor(first.rows[-1])
    spied = Spied(seeded, monkeypatch)
    await seeded.reader.page(scope, CALLS, PageRequest(size=2, after=cursor), PageSelection())

    plan = await _plan(seeded, scope, *spied.statements[0])

    assert len(_scanned(plan)) <= 2
    bounds = [value for value in spied.statements[0][1] if isinstance(value, datetime)]
    assert max(bounds) <= first.rows[-1]["started_at"] + timedelta(microseconds=1)


async def test_a_statement_serves_other_values_and_few_are_remembered(seeded: SeededLedger) -> None:
    """A filter of the same form finds what its own values ask for, and a client that varies forms fills no memory."""
    number = await seeded.accounts.find("acme")
    assert number is not None
    scope, selection = seeded.scope(Role.PARTNER, number), {"sourceId": {}}
    projection = fixed_projection(CALLS, selection, scope)
    assert projection is not None
    columns = FixedColumns(projection)

    async def found(*parts: Compare) -> list[str]:
        request = PageRequest(And(parts), size=5)
        page = await seeded.reader.page(scope, CALLS, request, PageSelection(selection=selection), columns)
        return [row["source_id"] for row in page.rows]

    assert [await found(Compare("sourceId", "eq", name)) for name in ("0", "2", "1", "none")] == [["0"], ["2"], [], []]
    assert len(columns.statements) == 1
    for count in range(2, STATEMENTS_MAX + 4):
        assert await found(*[Compare("sourceId", "eq", "2")] * count) == ["2"]
    assert len(columns.statements) == STATEMENTS_MAX


async def test_a_frontends_own_end_tells_where_rows_lie(seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clock is not the database's: a list up to seconds ago is a newest one, and the next is found sooner."""
    end = (await seeded.now() - timedelta(seconds=5)).isoformat()
    query = f'{{ calls(first: 2, filter: {{startedAt: {{lt: "{end}"}}}}) {{ nodes {{ id }} }} }}'
    spied = Spied(seeded, monkeypatch)
    first = await seeded.data(query)
    before = len(spied.statements)
    assert await seeded.data(query) == first
    assert len(spied.statements) - before < before - 2


_MANY_CALLS = """
INSERT INTO call SELECT (made.one).* FROM (
    SELECT jsonb_populate_record(c, jsonb_build_object('id', gen_random_uuid(), 'source_id', 'many-' || n)) AS one
    FROM (SELECT c FROM call c ORDER BY started_at DESC LIMIT 1) newest, generate_series(1, 20000) n
) made
"""


@pytest.mark.plain("reads a plan")
@pytest.mark.parametrize("among", [Compare("model", "eq", "none-such"), Compare("model", "in", ("none-such",))])
async def test_a_rare_model_is_looked_for_where_it_can_be(
    seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch, among: Compare
) -> None:
    """A filter by a model asks each partition's index which pages can have it, for whoever sees all accounts too."""
    async with seeded.database.owner.acquire() as connection:
        await connection.execute(_MANY_CALLS)
        await connection.execute("VACUUM ANALYZE call")
    spied = Spied(seeded, monkeypatch)
    await seeded.reader.page(seeded.scope(), CALLS, PageRequest(among), PageSelection(selection={"id": {}}))
    sql, values = spied.statements[0]
    async with seeded.database.reading(None) as connection:
        plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sql}", *values))[0]["Plan"]

    indexes = [node["Index Name"] for node in _nodes(plan) if node["Node Type"] == "Bitmap Index Scan"]
    assert any(name.endswith("_model_idx") for name in indexes), indexes


async def test_every_statement_has_both_bounds_and_one_tier_a_branch(
    seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked, no statement leaves tier or an end of the time open."""
    spied = Spied(seeded, monkeypatch)
    since = Compare("startedAt", "gte", await seeded.now() - timedelta(days=20))
    for scope in (seeded.scope(), seeded.scope(Role.PARTNER, 1)):
        for request in (
            PageRequest(),
            PageRequest(from_end=True),
            PageRequest(And((since,)), (OrderTerm("LATENCY", True),)),
            PageRequest(Compare("model", "eq", "none")),
        ):
            await seeded.reader.page(scope, CALLS, request, PageSelection(selection={"id": {}}))
        await seeded.reader.page(scope, ERRORS, PageRequest(), PageSelection())
    pages = [sql for sql, _ in spied.statements if " FROM call" in sql]
    assert len(pages) > 10
    for sql in pages:
        for branch in sql.split("UNION ALL"):
            assert "tier = $" in branch
            assert branch.count("_at >= $") >= 1
            assert branch.count("_at < $") >= 1
            assert "LIMIT" in branch


@pytest.mark.plain("watches which methods of a driver are called")
async def test_only_what_is_asked_for_is_selected(seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query of two fields selects their columns and the key, and a count selects no row at all."""
    spied = Spied(seeded, monkeypatch)
    await seeded.data("{ calls(first: 1) { nodes { model latencyMs } } }")
    # A compiled operation that only writes moment and id on reads the one as a text, the other as its bytes.
    asked = re.sub(r"to_char\((\w+), '[^']*'\) AS moment", r"\1", spied.statements[0][0])
    columns = (
        asked.replace("timestamptz_send(started_at) || uuid_send(id) AS key", "id")
        .partition(" FROM ")[0]
        .removeprefix("SELECT ")
        .split(", ")
    )
    assert sorted(columns) == [
        "id",
        "latency_ms",
        "model",
        "started_at",
    ]

    spied.statements.clear()
    await seeded.data("{ calls { totalCount } }")
    assert spied.statements == []


async def test_blobs_are_read_only_when_they_are_shown(seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealed bytes are neither fetched nor opened unless message, parameters or disclosure are asked for."""
    await seeded.put(
        [StoredCall(await seeded.now(), source_id="e", failed=True, error=StoredError(details=ErrorDetails(("m",))))]
    )
    spied = Spied(seeded, monkeypatch)
    await seeded.data("{ errors { nodes { id type redactions { rule } } } calls { nodes { error { id code } } } }")
    assert not any("sealed" in sql for sql, _ in spied.statements)
    await seeded.data("{ errors { nodes { disclosure } } }")
    assert any("sealed" in sql for sql, _ in spied.statements)


async def test_a_page_of_errors_is_one_more_statement(seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of fifty failed calls are looked up at once, by their key."""
    now = await seeded.now()
    await seeded.put(
        [StoredCall(now - timedelta(seconds=n), source_id=f"f{n}", failed=True, error=StoredError()) for n in range(50)]
    )
    spied = Spied(seeded, monkeypatch)
    data = await seeded.data("{ calls(filter: {status: {eq: FAILED}}) { nodes { error { type } } } }")
    assert all(node["error"] == {"type": "RateLimitError"} for node in data["calls"]["nodes"])
    lookups = [sql for sql, _ in spied.statements if " FROM call_error " in sql]
    assert len(lookups) == 1


async def test_the_window_cuts_off_to_the_millisecond(seeded: SeededLedger) -> None:
    """A call one millisecond past the window is not served, by list, count, id or user; one inside is."""
    now = await seeded.now()
    await seeded.join("edge", (1, EPOCH))
    inside, outside = now - timedelta(days=400) + timedelta(minutes=5), now - timedelta(days=400, milliseconds=1)
    ids = await seeded.put([StoredCall(moment, account="edge", source_id=str(moment)) for moment in (inside, outside)])
    query = """query($a: ID!, $b: ID!) { calls(filter: {account: {eq: "edge"}}) { totalCount nodes { id } }
      a: call(id: $a) { id } b: call(id: $b) { id } c: calls(filter: {id: {in: [$a, $b]}}) { nodes { id } } }"""
    data = await seeded.data(query, variables={"a": ids[0], "b": ids[1]})
    assert data == {
        "calls": {"totalCount": 1, "nodes": [{"id": ids[0]}]},
        "a": {"id": ids[0]},
        "b": None,
        "c": {"nodes": [{"id": ids[0]}]},
    }


async def test_users_end_before_their_calls(seeded: SeededLedger) -> None:
    """Thirty days on, a call's user is null and found by no filter; the call itself stays."""
    now = await seeded.now()
    calls = [
        StoredCall(now - timedelta(days=30) + shift, account="acme", source_id=f"u{index}", user="u-1")
        for index, shift in enumerate([timedelta(minutes=5), timedelta(milliseconds=-1)])
    ]
    ids = await seeded.put(calls)
    query = "query($ids: [ID!]!, $f: CallFilter!) { calls(filter: {id: {in: $ids}, and: [$f]}) { nodes { id user } } }"

    async def nodes(filter_: dict[str, Any]) -> list[Any]:
        return (await seeded.data(query, variables={"ids": ids, "f": filter_}))["calls"]["nodes"]

    newest, oldest = await nodes({})
    assert newest["user"].startswith("usr_")
    assert oldest["user"] is None
    assert [node["id"] for node in await nodes({"user": {"id": "u-1"}})] == ids[:1]
    assert [node["id"] for node in await nodes({"user": {"pseudonym": [newest["user"]]}})] == ids[:1]
    assert [node["id"] for node in await nodes({"user": {"isNull": True}})] == ids[1:]
    assert [node["id"] for node in await nodes({"not": {"user": {"id": "u-1"}}})] == ids[1:]


async def _rows_read(seeded: SeededLedger, statements: list[tuple[str, tuple[Any, ...]]]) -> float:
    """How many rows these statements take out of tables, those included that a filter leaves out."""
    rows = 0.0
    for sql, values in statements:
        for node in _scanned(await _plan(seeded, seeded.scope(), sql, values)):
            out = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            rows += out * node["Actual Loops"]
    return rows


@pytest.mark.plain("reads a plan")
@pytest.mark.parametrize("age", [timedelta(), timedelta(minutes=5)])
async def test_the_newest_page_of_all_calls_reads_about_a_page(
    seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch, age: timedelta
) -> None:
    """Three thousand calls of the last hour, of the last half minute or reported late: from the second page on one
    statement takes hardly more than the page out of the table, and the first is no more than a few times as wide.
    """
    spacing = timedelta(milliseconds=10)
    newest = await seeded.now() - age
    await seeded.put([StoredCall(newest - spacing * index, source_id=f"d{index}") for index in range(3000)])
    spied = Spied(seeded, monkeypatch)
    pages = []
    for _ in range(2):
        spied.statements.clear()
        page = await seeded.reader.page(seeded.scope(), CALLS, PageRequest(), PageSelection(selection={"model": {}}))
        moments = [row["started_at"] for row in page.rows]
        assert moments == sorted(moments, reverse=True)
        assert moments[-1] >= newest - spacing * 50
        pages.append(list(spied.statements))
    assert len(pages[0]) <= 6
    assert len(pages[1]) == 1
    assert await _rows_read(seeded, pages[1]) < 400


async def test_a_page_of_few_calls_is_one_statement_or_two(
    seeded: SeededLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a call arrives every seven hours, narrow slices are tried once; after that it is as few as it needs."""
    spied = Spied(seeded, monkeypatch)
    request, wanted = PageRequest(size=4), PageSelection(selection={"model": {}})
    await seeded.reader.page(seeded.scope(), CALLS, request, wanted)
    spied.statements.clear()
    await seeded.reader.page(seeded.scope(), CALLS, request, wanted)
    assert len(spied.statements) <= 3
