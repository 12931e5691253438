"""The ledger through GraphQL: the bytes that are hashed, proofs that hold, every entry once, and who may not ask."""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from http_server import serve
from ledgers import DATABASE_ID
from rows import SeededLedger, open_seeded

from policies.evidence import (
    LedgerKind,
    leaf_hash,
    note_hash,
    read_checkpoint,
    read_key,
    read_leaf,
    verify_consistency,
    verify_inclusion,
)
from policies.policy.model import Role
from service.api.ledger.types import LedgerKind as ShownKind
from service.ledger import Checkpoints, Ledger, Selection
from service.query.model.scope import Scope

READERS = (Role.AUDITOR, Role.COMPLIANCE, Role.ADMIN)
ENTRIES = "query($f: LedgerFilter) { ledger(filter: $f, first: 200) { totalCount nodes { index } } }"
PAGE = """
    query($f: LedgerFilter, $first: Int, $after: String) { ledger(filter: $f, first: $first, after: $after) {
        totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { cursor node { index } } nodes { index } } }
"""
WHOLE = "{ ledger { nodes { index recordedAt kind actor leaf leafHash note } } }"
CHECKPOINT = "query($size: BigInt) { checkpoint(size: $size) { origin size rootHash issuedAt note publicKey } }"
INCLUSION = "query($i: BigInt!, $n: BigInt!) { inclusionProof(index: $i, size: $n) { size rootHash hashes } }"
CONSISTENCY = "query($a: BigInt!, $b: BigInt!) { consistencyProof(from: $a, to: $b) { size rootHash hashes } }"
KINDS = (LedgerKind.EXPORTED, LedgerKind.ERROR_REVEALED, LedgerKind.KEY_DESTROYED)


class RoleClient:
    """Asks of one ledger as any role."""

    def __init__(self, seeded: SeededLedger) -> None:
        self.seeded = seeded
        self.ledger = Ledger(seeded.database, seeded.keyring, DATABASE_ID)
        self.checkpoints = Checkpoints(self.ledger)

    async def fill(self, count: int) -> None:
        """Entries of three kinds, every second one with a note."""
        for number in range(count):
            note = f"reason {number}" if number % 2 else None
            await self.ledger.append(KINDS[number % 3], {"rows": number}, actor="k7m2xq9p", note=note)

    async def result(self, query: str, scope: Scope | None = None, **variables: Any) -> Any:
        return await self.seeded.ask(query, scope or self.seeded.scope(Role.AUDITOR), variables, ledger=self.ledger)

    async def ask(self, query: str, scope: Scope | None = None, **variables: Any) -> Any:
        result = await self.result(query, scope, **variables)
        assert result.errors is None, result.errors
        return result.data

    async def refused(self, query: str, scope: Scope | None = None, **variables: Any) -> tuple[str, str]:
        """Code and message of what must be refused, with no data beside it."""
        result = await self.result(query, scope, **variables)
        assert result.errors is not None and not any((result.data or {}).values()), result.data
        [error] = result.errors
        return error.extensions["code"], error.message

    async def indexes(self, **filter_: Any) -> list[int]:
        """What a filter finds; the count must say the same."""
        found = (await self.ask(ENTRIES, f=filter_))["ledger"]
        assert found["totalCount"] == len(found["nodes"])
        return [int(node["index"]) for node in found["nodes"]]


@pytest.fixture
async def client(any_database_url: str, tmp_path: Path) -> AsyncIterator[RoleClient]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        yield RoleClient(seeded)


def raw(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    assert base64.b64encode(data).decode() == text
    return data


async def test_entries_come_byte_for_byte(client: RoleClient) -> None:
    """The leaf is what was hashed, says what the fields beside it say, and its note is the one that it hashes."""
    await client.fill(5)
    stored = [entry async for entry in client.ledger.every(Selection())]
    nodes = (await client.ask(WHOLE))["ledger"]["nodes"]
    assert [node["index"] for node in nodes] == ["0", "1", "2", "3", "4"]
    for node, entry in zip(nodes, stored, strict=True):
        leaf = raw(node["leaf"])
        assert leaf == entry.leaf
        assert node["leafHash"] == "sha256:" + hashlib.sha256(b"\0" + leaf).hexdigest()
        said = read_leaf(leaf)
        assert (said.kind.value, said.actor) == (node["kind"], node["actor"])
        assert abs(said.recorded_at - datetime.fromisoformat(node["recordedAt"])) < timedelta(milliseconds=1)
        assert said.note == (None if node["note"] is None else note_hash(entry.salt, node["note"]))
    assert [node["note"] for node in nodes] == [None, "reason 1", None, "reason 3", None]


async def test_an_erased_note_is_gone_and_its_entry_stays(client: RoleClient) -> None:
    """After the erasure the note is null, and leaf and root are what they were."""
    await client.fill(4)
    before, root = (await client.ask(WHOLE))["ledger"]["nodes"], await client.ledger.root(4)
    await client.ledger.erase_notes([1], actor="cli")
    *after, said = (await client.ask(WHOLE))["ledger"]["nodes"]
    assert said["kind"] == "NOTES_ERASED"
    assert after == [{**node, "note": None} if node["index"] == "1" else node for node in before]
    assert await client.ledger.root(4) == root


async def test_every_kind_has_its_name(client: RoleClient) -> None:
    """The schema's kinds are the ledger's, each with a description of its own."""
    assert [kind.name for kind in ShownKind] == [kind.name for kind in LedgerKind]
    for kind in LedgerKind:
        await client.ledger.append(kind, {}, actor="system")
    nodes = (await client.ask("{ ledger { nodes { kind } } }"))["ledger"]["nodes"]
    assert [node["kind"] for node in nodes] == [kind.value for kind in LedgerKind]


async def test_proofs_hold_against_the_checkpoint(client: RoleClient) -> None:
    """Every entry is proved to be in the signed tree, every older tree to be its beginning, and no other leaf is."""
    await client.fill(7)
    await client.checkpoints.sign()
    await client.fill(4)
    await client.checkpoints.sign()
    shown = (await client.ask(CHECKPOINT))["checkpoint"]
    signed, key = read_checkpoint(shown["note"].encode()), read_key(shown["publicKey"])
    assert signed.signed_by(key)
    assert (signed.origin, str(signed.size), signed.root) == (shown["origin"], shown["size"], raw(shown["rootHash"]))
    assert (signed.size, signed.origin) == (11, f"calledger/{DATABASE_ID}")

    nodes = (await client.ask(WHOLE))["ledger"]["nodes"]
    for node in nodes:
        proof = (await client.ask(INCLUSION, i=node["index"], n="11"))["inclusionProof"]
        hashes, index = [raw(text) for text in proof["hashes"]], int(node["index"])
        assert (proof["size"], raw(proof["rootHash"])) == ("11", signed.root)
        assert verify_inclusion(leaf_hash(raw(node["leaf"])), index, 11, hashes, signed.root)
        assert not verify_inclusion(leaf_hash(b"another leaf"), index, 11, hashes, signed.root)
    older = (await client.ask(CHECKPOINT, size="7"))["checkpoint"]
    proof = (await client.ask(CONSISTENCY, a="7", b="11"))["consistencyProof"]
    hashes = [raw(text) for text in proof["hashes"]]
    assert (proof["size"], raw(proof["rootHash"])) == ("11", signed.root)
    assert verify_consistency(7, 11, raw(older["rootHash"]), signed.root, hashes)
    assert not verify_consistency(7, 11, bytes(32), signed.root, hashes)


async def test_no_checkpoint_is_signed_for_the_asking(client: RoleClient) -> None:
    """Only issued ones are given out; for any other size the error names those beside it, and nothing is signed."""
    assert (await client.refused(CHECKPOINT))[0] == "BAD_USER_INPUT"
    await client.fill(3)
    assert await client.refused(CHECKPOINT) == (
        "BAD_USER_INPUT",
        "no checkpoint was signed yet: ask again in some minutes",
    )
    await client.checkpoints.sign()
    await client.fill(3)
    await client.checkpoints.sign()
    await client.fill(2)
    beside = {
        "0": "the nearest are of 3",
        "5": "the nearest are of 3 and 6",
        "8": "the nearest are of 6",
        "-1": "the nearest are of 3",
        str(2**63 - 1): "the nearest are of 6",
    }
    for size, said in beside.items():
        assert await client.refused(CHECKPOINT, size=size) == (
            "BAD_USER_INPUT",
            f"there is no checkpoint of {size} entries: {said}",
        )
    assert (await client.ask(CHECKPOINT, size="3"))["checkpoint"]["size"] == "3"
    assert (await client.ask(CHECKPOINT))["checkpoint"]["size"] == "6"
    assert (await client.ask(CHECKPOINT, size=None))["checkpoint"]["size"] == "6"
    latest = await client.checkpoints.latest()
    assert latest is not None and latest.size == 6


@pytest.mark.parametrize("first", [1, 3, 10, 200])
async def test_pages_cover_every_entry_once(client: RoleClient, first: int) -> None:
    """From cursor to cursor every entry comes once, in order; entries appended meanwhile come at the end."""
    await client.fill(9)
    seen, after, pages = list[str](), None, 0
    while True:
        page = (await client.ask(PAGE, first=first, after=after))["ledger"]
        indexes = [edge["node"]["index"] for edge in page["edges"]]
        assert indexes == [node["index"] for node in page["nodes"]] and len(indexes) <= first
        assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
        if page["edges"]:
            cursors = [edge["cursor"] for edge in page["edges"]]
            assert [page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]] == [cursors[0], cursors[-1]]
        seen += indexes
        if pages == 0:
            await client.fill(1)
        pages, after = pages + 1, page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    expected = 9 if first >= 9 else 10
    assert seen == [str(index) for index in range(expected)]


async def test_a_page_of_a_filter_goes_on_in_it(client: RoleClient) -> None:
    """Cursors go on within the filter, and an empty last page has no cursors."""
    await client.fill(9)
    filter_ = {"kind": {"eq": "EXPORTED"}}
    one = (await client.ask(PAGE, f=filter_, first=2))["ledger"]
    two = (await client.ask(PAGE, f=filter_, first=2, after=one["pageInfo"]["endCursor"]))["ledger"]
    assert [node["index"] for node in one["nodes"] + two["nodes"]] == ["0", "3", "6"]
    assert (one["totalCount"], two["totalCount"], two["pageInfo"]["hasNextPage"]) == (3, 3, False)
    three = (await client.ask(PAGE, f=filter_, after=two["pageInfo"]["endCursor"]))["ledger"]
    assert (three["nodes"], three["pageInfo"]["endCursor"], three["totalCount"]) == ([], None, 3)


async def test_a_cursor_is_good_for_its_own_list_only(client: RoleClient) -> None:
    """Altered, of another filter, empty, or a plain index: refused, never read as a position."""
    await client.fill(4)
    cursor = (await client.ask(PAGE, first=1))["ledger"]["pageInfo"]["endCursor"]
    wrong = [cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), cursor + "A", "", "2", "MQ", "WzFd"]
    for text in wrong:
        assert (await client.refused(PAGE, after=text))[0] == "BAD_USER_INPUT", text
    assert (await client.refused(PAGE, f={"kind": {"eq": "EXPORTED"}}, after=cursor))[0] == "BAD_USER_INPUT"
    assert (await client.ask(PAGE, after=cursor))["ledger"]["nodes"][0] == {"index": "1"}


@pytest.mark.parametrize("first", [0, -1, 201, 2**31 - 1])
async def test_a_page_has_bounds(client: RoleClient, first: int) -> None:
    """1 to 200 entries a page."""
    assert (await client.refused(PAGE, first=first))[0] == "BAD_USER_INPUT"


async def test_filters_by_kind_and_index(client: RoleClient) -> None:
    """All that is given must hold; empty lists and empty ranges match nothing; figures beyond the ledger are fine."""
    await client.fill(9)
    huge, all_ = str(2**63 - 1), list(range(9))
    assert await client.indexes() == all_
    assert await client.indexes(kind={"eq": "EXPORTED"}) == [0, 3, 6]
    assert await client.indexes(kind={"in": ["EXPORTED", "KEY_DESTROYED"]}) == [0, 2, 3, 5, 6, 8]
    assert await client.indexes(kind={"in": ["EXPORTED"], "eq": "KEY_DESTROYED"}) == []
    assert await client.indexes(kind={"in": []}) == []
    assert await client.indexes(kind={"in": [kind.name for kind in LedgerKind]}) == all_
    assert await client.indexes(kind={}) == all_
    assert await client.indexes(index={"eq": "4"}) == [4]
    assert await client.indexes(index={"gt": "4"}) == [5, 6, 7, 8]
    assert await client.indexes(index={"gte": "4", "lt": "6"}) == [4, 5]
    assert await client.indexes(index={"lte": "2"}) == [0, 1, 2]
    assert await client.indexes(index={"lt": "0"}) == []
    assert await client.indexes(index={"gt": "6", "lt": "3"}) == []
    assert await client.indexes(index={"eq": "-1"}) == await client.indexes(index={"eq": huge}) == []
    assert await client.indexes(index={"gt": huge}) == await client.indexes(index={"eq": "9"}) == []
    assert await client.indexes(index={"lte": huge, "gte": "-" + huge}) == all_
    assert await client.indexes(index={"gte": "2"}, kind={"eq": "EXPORTED"}) == [3, 6]


async def test_filters_by_moment_compare_what_is_shown(client: RoleClient) -> None:
    """A moment that an answer gave finds its entry again, by every operator, whatever the microseconds are."""
    await client.fill(6)
    nodes = (await client.ask("{ ledger { nodes { index recordedAt } } }"))["ledger"]["nodes"]
    shown = {int(node["index"]): node["recordedAt"] for node in nodes}
    for moment in shown.values():
        assert await client.indexes(recordedAt={"eq": moment}) == [i for i in shown if shown[i] == moment]
        assert await client.indexes(recordedAt={"lt": moment}) == [i for i in shown if shown[i] < moment]
        assert await client.indexes(recordedAt={"lte": moment}) == [i for i in shown if shown[i] <= moment]
        assert await client.indexes(recordedAt={"gt": moment}) == [i for i in shown if shown[i] > moment]
        assert await client.indexes(recordedAt={"gte": moment}) == [i for i in shown if shown[i] >= moment]
        between = moment.replace("Z", "500Z")
        assert await client.indexes(recordedAt={"eq": between}) == []
        assert await client.indexes(recordedAt={"lt": between}) == [i for i in shown if shown[i] <= moment]
        assert await client.indexes(recordedAt={"gte": between}) == [i for i in shown if shown[i] > moment]
    assert await client.indexes(recordedAt={"lte": "9999-12-31T23:59:59.999999Z"}) == list(shown)
    assert await client.indexes(recordedAt={"gt": "9999-12-31T23:59:59.999999Z"}) == []
    assert await client.indexes(recordedAt={"gte": "0001-01-01T00:00:00Z"}) == list(shown)


async def test_what_the_ledger_does_not_have_is_the_callers_mistake(client: RoleClient) -> None:
    """Proofs of entries and sizes that are not there are refused in words, and never are internal errors."""
    await client.fill(3)
    huge = str(2**63 - 1)
    for index, size in (("3", "3"), ("-1", "3"), ("0", "4"), ("0", "0"), ("0", "-1"), ("0", huge), (huge, huge)):
        assert (await client.refused(INCLUSION, i=index, n=size))[0] == "BAD_USER_INPUT", (index, size)
    for older, newer in (("3", "2"), ("-1", "2"), ("0", "4"), ("4", "4"), ("1", huge), ("-1", "-1")):
        assert (await client.refused(CONSISTENCY, a=older, b=newer))[0] == "BAD_USER_INPUT", (older, newer)
    nothing = (await client.ask(CONSISTENCY, a="0", b="3"))["consistencyProof"]
    assert (nothing["hashes"], raw(nothing["rootHash"])) == ([], await client.ledger.root(3))
    assert (await client.refused('{ ledger(filter: {index: {eq: "1.5"}}) { totalCount } }'))[0] == "BAD_USER_INPUT"
    assert (await client.refused("{ ledger(filter: {kind: {eq: null}}) { totalCount } }"))[0] == "BAD_USER_INPUT"
    open_ = {"kind": {"in": None}, "recordedAt": {"gte": None, "lt": None}, "index": {"gt": None, "lte": None}}
    everything = (await client.ask(PAGE))["ledger"]["totalCount"]
    assert everything and (await client.ask(PAGE, f=open_))["ledger"]["totalCount"] == everything


ROOTS = {
    "ledger": "{ ledger { nodes { index } } }",
    "checkpoint": "{ checkpoint { note } }",
    "inclusionProof": '{ inclusionProof(index: "0", size: "1") { hashes } }',
    "consistencyProof": '{ consistencyProof(from: "0", to: "1") { hashes } }',
}


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_ask(client: RoleClient, role: Role) -> None:
    """Auditor, compliance and admin read all of it, notes too; every other role is refused by name."""
    await client.fill(2)
    await client.checkpoints.sign()
    scope = client.seeded.scope(role)
    for field, query in ROOTS.items():
        if role in READERS:
            assert (await client.ask(query, scope))[field]
        else:
            said = f"the role `{role}` may not ask `Query.{field}`"
            assert await client.refused(query, scope) == ("FORBIDDEN", said)
    if role in READERS:
        notes = (await client.ask("{ ledger { nodes { note } } }", scope))["ledger"]["nodes"]
        assert notes == [{"note": None}, {"note": "reason 1"}]


async def test_no_policy_shows_notes_to_another_role(client: RoleClient) -> None:
    """Even under a policy that no document can express, a viewer who is let into the ledger reads no note."""
    await client.fill(2)
    rule = client.seeded.policy.roles[Role.VIEWER]
    roles = MappingProxyType({**client.seeded.policy.roles, Role.VIEWER: replace(rule, ask=rule.ask | {"ledger"})})
    policy = replace(client.seeded.policy, name="generous", roles=roles)
    nodes = (await client.ask("{ ledger { nodes { note } } }", client.seeded.scope(Role.VIEWER, policy=policy)))[
        "ledger"
    ]
    assert nodes == {"nodes": [{"note": None}, {"note": None}]}


@pytest.mark.parametrize("role", READERS)
async def test_a_key_that_is_bound_to_accounts_gets_checkpoints_alone(client: RoleClient, role: Role) -> None:
    """Entries are about all accounts, and their hashes can be compared with guesses; a checkpoint is public."""
    await client.fill(2)
    await client.checkpoints.sign()
    scope = client.seeded.scope(role, await client.seeded.join("acme"))
    for field in ("ledger", "inclusionProof", "consistencyProof"):
        assert (await client.refused(ROOTS[field], scope))[0] == "FORBIDDEN"
    assert (await client.ask(ROOTS["checkpoint"], scope))["checkpoint"]["note"]


async def test_an_auditors_key_reads_it_over_http(client: RoleClient) -> None:
    """What the service itself answers: the same leaf and root, and UNAUTHENTICATED without a key."""
    await client.fill(2)
    await client.checkpoints.sign()
    entry = await client.ledger.entry(1)
    assert entry is not None
    text = '{ ledger(first: 1, filter: {index: {eq: "1"}}) { nodes { leaf note } } checkpoint { rootHash } }'
    query = {"query": text}
    async with serve(client.seeded) as served:
        headers = {"Authorization": f"Bearer {await served.key(Role.AUDITOR)}"}
        async with served.session.post(served.url, json=query, headers=headers) as response:
            data = (await response.json())["data"]
        async with served.session.post(served.url, json=query) as response:
            refusal = await response.json()
    assert raw(data["ledger"]["nodes"][0]["leaf"]) == entry.leaf
    assert data["ledger"]["nodes"][0]["note"] == "reason 1"
    assert raw(data["checkpoint"]["rootHash"]) == await client.ledger.root(2)
    assert refusal["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
