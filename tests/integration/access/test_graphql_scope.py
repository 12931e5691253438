"""The account scope holds, whatever is asked: in the query, and in the database behind it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from rows import SeededLedger, StoredCall, StoredError, error_id, open_seeded

from policies.admission.segments import ErrorDetails
from policies.policy.model import Role
from service.query.model.catalog import CALLS
from service.query.model.scope import Scope
from service.query.records.page import PageRequest, PageSelection
from service.query.scan import ranges as scan_ranges


@dataclass(slots=True)
class Two:
    """Two accounts with a few calls each; `scope` is a partner of the first."""

    seeded: SeededLedger
    scope: Scope
    mine: list[str]
    theirs: list[str]
    their_errors: list[str]
    now: datetime
    numbers: tuple[int, int]


@pytest.fixture
async def two(database_url: str, tmp_path: Path) -> AsyncIterator[Two]:
    async with open_seeded(database_url, tmp_path) as seeded:
        numbers = (await seeded.join("acme"), await seeded.join("rival"))
        now = await seeded.now()
        made = {}
        for account in ("acme", "rival"):
            calls = [
                StoredCall(
                    now - timedelta(hours=hour),
                    account=account,
                    source_id=f"{account}-{hour}",
                    model=f"{account}-model",
                    failed=True,
                    user="u",
                    error_type="E",
                    error=StoredError(details=ErrorDetails(message=(f"{account} failed",))),
                )
                for hour in range(1, 6)
            ]
            made[account] = calls, await seeded.put(calls)
        scope = seeded.scope(Role.PARTNER, numbers[0])
        their_errors = [error_id(numbers[1], call) for call in made["rival"][0]]
        yield Two(seeded, scope, made["acme"][1], made["rival"][1], their_errors, now, numbers)


CALL_FILTERS = [
    '{account: {eq: "rival"}}',
    '{account: {in: ["rival", "nobody"]}}',
    '{account: {startsWith: "riv"}}',
    '{account: {ne: "acme"}}',
    '{not: {account: {eq: "acme"}}}',
    '{model: {eq: "rival-model"}}',
    '{sourceId: {startsWith: "rival"}}',
    '{or: [{model: {eq: "rival-model"}}, {account: {eq: "rival"}}]}',
    '{not: {model: {eq: "acme-model"}}}',
]


@pytest.mark.parametrize("filter_", CALL_FILTERS)
async def test_no_filter_reaches_another_account(two: Two, filter_: str) -> None:
    """Calls, errors, groups and counts of another account do not match, and are not counted."""
    data = await two.seeded.data(f"{{ calls(filter: {filter_}) {{ totalCount nodes {{ id }} }} }}", two.scope)

    assert data["calls"] == {"totalCount": 0, "nodes": []}


async def test_everything_shows_my_own_only(two: Two) -> None:
    """Without a filter, and with one that is always true, a scoped key gets exactly its own rows."""
    for filter_ in ("{}", '{or: [{}, {account: {eq: "rival"}}]}', '{not: {account: {eq: "rival"}}}'):
        data = await two.seeded.data(
            f"{{ calls(filter: {filter_}) {{ totalCount nodes {{ id account model }} }} errors {{ totalCount "
            "nodes { message call { account } } } errorGroups { nodes { count models sampleMessage } } }",
            two.scope,
        )
        assert [node["id"] for node in data["calls"]["nodes"]] == two.mine
        assert data["calls"]["totalCount"] == data["errors"]["totalCount"] == 5
        assert {node["message"] for node in data["errors"]["nodes"]} == {"acme failed"}
        assert data["errorGroups"]["nodes"] == [
            {"count": "5", "models": ["acme-model"], "sampleMessage": "acme failed"}
        ]


async def test_ids_of_another_account_are_unknown(two: Two) -> None:
    """`call`, `node` and filters by id answer as for an id that never was."""
    for id_ in two.theirs[:2]:
        query = """query($id: ID!) { call(id: $id) { id } node(id: $id) { id }
          calls(filter: {id: {eq: $id}}) { nodes { id } } }"""
        assert await two.seeded.data(query, two.scope, {"id": id_}) == {
            "call": None,
            "node": None,
            "calls": {"nodes": []},
        }
    for id_ in two.their_errors[:2]:
        query = "query($id: ID!) { node(id: $id) { id } errors(filter: {id: {in: [$id]}}) { nodes { id } } }"
        assert await two.seeded.data(query, two.scope, {"id": id_}) == {"node": None, "errors": {"nodes": []}}
    mixed = {"ids": [two.mine[0], two.theirs[0]]}
    query = "query($ids: [ID!]!) { calls(filter: {id: {in: $ids}}) { nodes { id } } }"
    assert await two.seeded.data(query, two.scope, mixed) == {"calls": {"nodes": [{"id": two.mine[0]}]}}


async def test_a_cursor_of_a_wider_scope_is_refused(two: Two) -> None:
    """A cursor that another scope was given does not go on here."""
    query = "query($after: String) { calls(first: 2, after: $after) { edges { cursor } nodes { id } } }"
    for other in (two.seeded.scope(), two.seeded.scope(Role.PARTNER, two.numbers[1])):
        edges = (await two.seeded.data(query, other))["calls"]["edges"]
        code = await two.seeded.code(query, two.scope, {"after": edges[1]["cursor"]})
        assert code == "BAD_USER_INPUT"


async def test_a_pseudonym_is_of_one_account(two: Two) -> None:
    """The same person in two accounts has two pseudonyms, and each finds only its own account's calls."""
    seen = await two.seeded.data("{ calls { nodes { account user } } }", two.seeded.scope(Role.VIEWER))
    pseudonyms = {node["account"]: node["user"] for node in seen["calls"]["nodes"]}
    assert len(set(pseudonyms.values())) == 2
    query = "query($u: [ID!]!) { calls(filter: {user: {pseudonym: $u}}) { nodes { account } } }"

    mine = await two.seeded.data(query, two.scope, {"u": list(pseudonyms.values())})

    assert {node["account"] for node in mine["calls"]["nodes"]} <= {"acme"}
    assert mine["calls"]["nodes"]


async def test_the_database_holds_when_the_query_forgets(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the scope left out of the statement by mistake, row-level security still shows own rows only."""
    monkeypatch.setattr(scan_ranges, "matching_account_ids", lambda *_: None)
    monkeypatch.setattr("service.query.scan.ranges.matching_account_ids", lambda *_: None)

    page = await two.seeded.reader.page(two.scope, CALLS, PageRequest(), PageSelection(selection={"account": {}}))

    assert {row["account"] for row in page.rows} == {two.numbers[0]}
    assert len(page.rows) == 5
    # Sums over all accounts are not even readable for whoever is kept to some of them.
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await two.seeded.reader.page(two.scope, CALLS, PageRequest(), PageSelection(total=True))


async def test_a_scoped_connection_sees_its_accounts_in_every_store(two: Two) -> None:
    """On a scoped connection a statement without any account predicate returns the scope's rows, and writes fail."""
    async with two.seeded.database.reading((two.numbers[0],)) as connection:
        for store in ("call", "call_error"):
            found = await connection.fetch(f"SELECT DISTINCT account_id FROM {store}")
            assert [row["account_id"] for row in found] == [two.numbers[0]]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("DELETE FROM call")


async def test_scopes_do_not_leak_between_requests(two: Two) -> None:
    """Connections are shared: one scope after the other sees its own rows only."""
    scopes = [two.seeded.scope(Role.PARTNER, number) for number in two.numbers]
    for _ in range(6):
        for scope, name in zip(scopes, ("acme", "rival"), strict=True):
            data = await two.seeded.data("{ calls { nodes { account } } }", scope)
            assert {node["account"] for node in data["calls"]["nodes"]} == {name}


async def test_an_account_made_elsewhere_is_found(two: Two) -> None:
    """An account that another process made is found by name, by id and by a key that is bound to it."""
    async with two.seeded.database.writer.acquire() as connection:
        number = await connection.fetchval("INSERT INTO account (name, created_at) VALUES ('late', now()) RETURNING id")
        await connection.execute(
            "INSERT INTO account_tier (account_id, tier, from_at) VALUES ($1, 1, '1970-01-01')", number
        )
    query = '{ calls(filter: {account: {eq: "late"}}) { totalCount } }'

    assert await two.seeded.data("{ viewer { accounts } }", two.seeded.scope(Role.PARTNER, number)) == {
        "viewer": {"accounts": ["late"]}
    }
    assert await two.seeded.data(query) == {"calls": {"totalCount": 0}}
