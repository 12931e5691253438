"""Things by their ids: several at once, and accounts by name and id."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.policy.model import Role
from service.api.nodes import NODES_MAX
from service.api.types.public_ids import encode_account_id
from service.query.model.scope import Scope
from service.storage.control.policies import store_policy

NODES = """query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Call { model error { type } }
    ... on CallError { type call { model } } ... on Account { name } } }"""
ACCOUNT = "query ($name: String!) { account(name: $name) { id name tier calls createdAt } }"


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await store_policy(seeded.database.owner, seeded.policy, applied_by="test")
        yield seeded


def _services(seeded: SeededLedger) -> dict[str, Any]:
    retention = seeded.retention
    return {"services": {"retention": retention}, "ledger": retention.ledger}


async def _asked(seeded: SeededLedger, query: str, variables: dict[str, Any], scope: Scope | None = None) -> Any:
    result = await seeded.ask(query, scope, variables, **_services(seeded))
    assert result.errors is None, result.errors
    return next(iter(result.data.values()))


async def _filled(seeded: SeededLedger) -> tuple[list[str], list[str]]:
    """Ids of calls (two accounts, one past its window) and of their errors."""
    now = await seeded.now()
    calls = await seeded.put(
        [
            StoredCall(now, source_id="a", model="m1", failed=True, error=StoredError()),
            StoredCall(now - timedelta(hours=1), source_id="b", model="m2", account="globex"),
            StoredCall(now - timedelta(days=401), source_id="c", model="old"),
        ]
    )
    errors = [node["id"] for node in (await seeded.data("{ errors { nodes { id } } }"))["errors"]["nodes"]]
    return calls, errors


async def test_nodes_come_in_the_order_of_their_ids(seeded: SeededLedger) -> None:
    """Of any kinds, mixed and repeated, each as `node` has it; null for what is unknown, no id, or past its window."""
    (first, second, old), (error,) = await _filled(seeded)
    number = await seeded.accounts.find("acme")
    assert number is not None
    account = encode_account_id(number)
    ids = [
        second,
        "call_nothing",
        error,
        account,
        first,
        old,
        second,
        "",
        "\x00",
        "err_x",
        "acct_",
        "hold_x",
        "acct_aaaaaaa",
    ]

    found = await _asked(seeded, NODES, {"ids": ids})

    assert [node and node["__typename"] for node in found] == [
        *("Call", None, "CallError", "Account", "Call", None, "Call"),
        *[None] * 6,
    ]
    assert [node and node["id"] for node in found[:5]] == [second, None, error, account, first]
    assert found[0] == found[6] and found[4]["error"] == {"type": "RateLimitError"}
    assert found[2]["call"] == {"model": "m1"} and found[3]["name"] == "acme"
    single = "query ($id: ID!) { node(id: $id)" + NODES.partition("$ids)")[2]
    for id_, node in zip(ids, found, strict=True):
        assert await _asked(seeded, single, {"id": id_}) == node, id_


async def test_nodes_are_kept_to_the_scope(seeded: SeededLedger) -> None:
    """A partner gets its own alone, by whatever door; a role without calls gets none, and one without accounts none."""
    (first, second, _), (error,) = await _filled(seeded)
    globex = await seeded.accounts.find("globex")
    acme = await seeded.accounts.find("acme")
    assert globex is not None and acme is not None
    ids = [first, second, error, encode_account_id(acme), encode_account_id(globex)]

    partner = await _asked(seeded, NODES, {"ids": ids}, seeded.scope(Role.PARTNER, globex))
    viewer = await _asked(seeded, NODES, {"ids": ids}, seeded.scope(Role.VIEWER))
    bound = await _asked(seeded, NODES, {"ids": ids}, seeded.scope(Role.ADMIN, globex))

    assert [node and node["id"] for node in partner] == [None, second, None, None, None]
    assert [node and node["id"] for node in viewer] == [first, second, error, None, None]
    assert [node and node["id"] for node in bound] == [None, second, None, None, encode_account_id(globex)]
    assert await seeded.code(NODES, seeded.scope(Role.AUDITOR), {"ids": ids}) == "FORBIDDEN"
    assert await seeded.code(ACCOUNT, seeded.scope(Role.VIEWER), {"name": "acme"}) == "FORBIDDEN"


async def test_nodes_are_bounded_and_priced_by_their_number(seeded: SeededLedger) -> None:
    """A hundred cost a hundred times what one costs; more are refused before anything is read."""
    one = await seeded.ask(NODES, variables={"ids": ["call_x"]}, **_services(seeded))
    many = await seeded.ask(NODES, variables={"ids": ["call_x"] * NODES_MAX}, **_services(seeded))
    prices = [result.extensions["cost"]["requestedQueryCost"] for result in (one, many)]

    assert many.data == {"nodes": [None] * NODES_MAX}
    assert prices[1] >= NODES_MAX * prices[0]
    assert await seeded.code(NODES, variables={"ids": ["call_x"] * (NODES_MAX + 1)}) == "BAD_USER_INPUT"
    assert await _asked(seeded, NODES, {"ids": []}) == []


async def test_an_account_is_found_by_its_name(seeded: SeededLedger) -> None:
    """Whole, case-sensitive, in scope; erased accounts, and the names that stand for them, are not found."""
    await _filled(seeded)
    acme = await seeded.accounts.find("acme")
    assert acme is not None

    found = await _asked(seeded, ACCOUNT, {"name": "acme"})

    assert found["calls"] == "2" and found["tier"] == "standard" and found["id"] == encode_account_id(acme)
    listed = await _asked(seeded, "{ accounts { nodes { id name calls } } }", {})
    assert {"id": found["id"], "name": "acme", "calls": "2"} in listed["nodes"]
    for name in ("Acme", "", "nobody", "\x00", "erased:1"):
        assert await _asked(seeded, ACCOUNT, {"name": name}) is None, name
    globex = await seeded.accounts.find("globex")
    assert globex is not None
    assert await _asked(seeded, ACCOUNT, {"name": "acme"}, seeded.scope(Role.ADMIN, globex)) is None
    await seeded.database.owner.execute("UPDATE account SET name = 'erased:1' WHERE id = $1", acme)
    assert await _asked(seeded, NODES, {"ids": [found["id"]]}) == [None]
    assert await _asked(seeded, ACCOUNT, {"name": "erased:1"}) is None
