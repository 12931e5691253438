"""API keys through GraphQL: made, renewed and ended as by the command, ledgered, and never wider than who asks."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from evidence import Auditor
from http_server import Served, serve
from rows import SeededLedger, open_seeded

from policies.evidence.entry import LedgerKind
from policies.policy.model import Role
from service.access.keys import prefix_of
from service.ledger.store import Selection
from service.retention.audit.record_check import differences
from service.storage.schema.models import ApiKey

KEY = "id keyId name role accounts state createdAt expiresAt lastUsedAt revokedAt"
CREATE = f"mutation($in: CreateApiKeyInput!) {{ createApiKey(input: $in) {{ key apiKey {{ {KEY} }} }} }}"
ROTATE = f"""
    mutation($in: RotateApiKeyInput!) {{ rotateApiKey(input: $in) {{
        key apiKey {{ {KEY} }} replaced {{ {KEY} }} }} }}
"""
REVOKE = f"mutation($id: ID!) {{ revokeApiKey(input: {{id: $id}}) {{ apiKey {{ {KEY} }} }} }}"
LIST = f"""
    query($first: Int, $after: String) {{ apiKeys(first: $first, after: $after) {{
        totalCount nodes {{ {KEY} }} edges {{ cursor }} pageInfo {{ hasNextPage endCursor }} }} }}
"""
NODE = f"query($id: ID!) {{ node(id: $id) {{ id ... on ApiKey {{ {KEY} }} }} }}"
VIEWER = "{ viewer { role accounts keyId expiresAt } }"


@dataclass(slots=True)
class TwoAccounts:
    """A served ledger with the accounts `acme` and `globex`."""

    seeded: SeededLedger
    served: Served
    numbers: dict[str, int]

    async def key(self, role: Role = Role.ADMIN, *accounts: str, **changes: Any) -> Auditor:
        text = await self.served.key(role, *(self.numbers[name] for name in accounts), **changes)
        return Auditor(self.served, text)

    async def entries(self, *kinds: LedgerKind) -> list[tuple[str, dict[str, Any], str | None]]:
        found = self.served.runtime.ledger.every(Selection(kinds=kinds))
        return [(entry.actor, dict(entry.facts), entry.note) async for entry in found]


@pytest.fixture
async def two_accounts(any_database_url: str, tmp_path: Path) -> AsyncIterator[TwoAccounts]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        numbers = await seeded.accounts.ensure(["acme", "globex"])
        async with serve(seeded) as served:
            yield TwoAccounts(seeded, served, numbers)


async def test_a_key_is_made_shown_once_and_ledgered(two_accounts: TwoAccounts) -> None:
    """The key works at once; its entry names who made it, and no place but the answer has its text."""
    admin = await two_accounts.key()
    wanted = {"role": "VIEWER", "accounts": ["acme"], "name": "dashboard", "expiresAt": "2199-01-01T00:00:00Z"}
    made = (await admin.ask(CREATE, **{"in": wanted}))["createApiKey"]
    text, shown = made["key"], made["apiKey"]
    prefix = prefix_of(text)
    assert shown == {
        "id": f"key_{prefix}", "keyId": prefix, "name": "dashboard", "role": "VIEWER", "accounts": ["acme"],
        "state": "LIVE", "createdAt": shown["createdAt"], "expiresAt": "2199-01-01T00:00:00.000Z",
        "lastUsedAt": None, "revokedAt": None,
    }  # fmt: skip
    viewer = (await Auditor(two_accounts.served, text).ask(VIEWER))["viewer"]
    assert (viewer["role"], viewer["accounts"], viewer["keyId"]) == ("VIEWER", ["acme"], prefix)
    actor, facts, note = (await two_accounts.entries(LedgerKind.API_KEY_CREATED))[-1]
    assert (actor, note) == (prefix_of(admin.key), "dashboard")
    assert (facts["key"], facts["role"], facts["accounts"]) == (prefix, "viewer", [two_accounts.numbers["acme"]])
    everything = [await admin.answer(LIST), await admin.answer(NODE, id=shown["id"])]
    assert text not in repr(everything)
    assert text.split("_")[2] not in repr(everything)


async def test_a_key_is_ended(two_accounts: TwoAccounts) -> None:
    """It is refused from then on, for good: by the ledger, even where somebody makes it live in the table again."""
    admin = await two_accounts.key()
    made = (await admin.ask(CREATE, **{"in": {"role": "VIEWER"}}))["createApiKey"]
    other = Auditor(two_accounts.served, made["key"])
    await other.ask(VIEWER)
    ended = (await admin.ask(REVOKE, id=made["apiKey"]["id"]))["revokeApiKey"]["apiKey"]
    assert ended["state"] == "REVOKED"
    assert ended["revokedAt"] is not None
    two_accounts.served.runtime.authenticator.forget()  # as a notice does in a service
    assert await other.code(VIEWER) == "UNAUTHENTICATED"
    prefix = made["apiKey"]["keyId"]
    assert (await two_accounts.entries(LedgerKind.API_KEY_REVOKED)) == [(prefix_of(admin.key), {"key": prefix}, None)]

    await ApiKey.filter(prefix=prefix).update(revoked_at=None)
    two_accounts.served.runtime.authenticator.forget()
    assert await other.code(VIEWER) == "UNAUTHENTICATED"
    again = (await admin.ask(NODE, id=f"key_{prefix}"))["node"]
    assert again["state"] == "REFUSED"
    late = datetime.fromisoformat(again["revokedAt"]) - datetime.fromisoformat(ended["revokedAt"])
    assert abs(late) < timedelta(seconds=5), "by the ledger's entry"
    assert (await admin.ask(REVOKE, id=prefix))["revokeApiKey"]["apiKey"]["state"] == "REVOKED"


async def test_a_key_is_replaced_with_an_overlap(two_accounts: TwoAccounts) -> None:
    """The successor may do the same; the old key works until its end, which the ledger has, and not longer."""
    admin = await two_accounts.key()
    wanted = {"role": "PARTNER", "accounts": ["acme", "globex"], "name": "their backend"}
    old = (await admin.ask(CREATE, **{"in": wanted}))["createApiKey"]
    done = (await admin.ask(ROTATE, **{"in": {"id": old["apiKey"]["id"], "overlapHours": 2}}))["rotateApiKey"]
    new, replaced = done["apiKey"], done["replaced"]
    same = ("name", "role", "accounts")
    assert [new[one] for one in same] == [old["apiKey"][one] for one in same]
    assert new["keyId"] != replaced["keyId"] == old["apiKey"]["keyId"]
    ends = datetime.fromisoformat(replaced["expiresAt"])
    assert timedelta(hours=1, minutes=50) < ends - datetime.now(UTC) < timedelta(hours=2, minutes=1)
    lifetime = datetime.fromisoformat(new["expiresAt"]) - datetime.fromisoformat(new["createdAt"])
    assert abs(lifetime - timedelta(days=90)) < timedelta(seconds=1), "as long as the old one's"
    for key in (old["key"], done["key"]):
        assert (await Auditor(two_accounts.served, key).ask(VIEWER))["viewer"]["accounts"] == ["acme", "globex"]
    [(actor, facts, _)] = await two_accounts.entries(LedgerKind.API_KEY_ROTATED)
    assert actor == prefix_of(admin.key)
    assert (facts["key"], facts["successor"]) == (replaced["keyId"], new["keyId"])

    said = [one async for one in differences(two_accounts.served.runtime.retention) if "key" in one]
    assert said == [], "the table is as the ledger has it"

    # Whoever moves the end in the table moves nothing.
    await ApiKey.filter(prefix=replaced["keyId"]).update(expires_at=datetime(2199, 1, 1, tzinfo=UTC))
    assert (await admin.ask(NODE, id=replaced["id"]))["node"]["expiresAt"] == replaced["expiresAt"]

    at_once = (await admin.ask(ROTATE, **{"in": {"id": new["id"], "overlapHours": 0}}))["rotateApiKey"]
    two_accounts.served.runtime.authenticator.forget()
    assert await Auditor(two_accounts.served, done["key"]).code(VIEWER) == "UNAUTHENTICATED"
    assert (await admin.ask(NODE, id=new["id"]))["node"]["state"] == "EXPIRED"
    await Auditor(two_accounts.served, at_once["key"]).ask(VIEWER)
    assert await admin.code(ROTATE, **{"in": {"id": new["id"]}}) == "BAD_USER_INPUT", "an ended key has no successor"


async def test_a_key_for_ever_has_a_successor(two_accounts: TwoAccounts) -> None:
    """A key that ends with the last moment there is gets one that ends then too: no later one can be written."""
    admin = await two_accounts.key()
    last = "9999-12-31T23:59:59.999999Z"
    made = (await admin.ask(CREATE, **{"in": {"role": "VIEWER", "expiresAt": last}}))["createApiKey"]["apiKey"]
    done = (await admin.ask(ROTATE, **{"in": {"id": made["id"]}}))["rotateApiKey"]
    assert done["apiKey"]["expiresAt"] == made["expiresAt"]


async def test_no_key_outlives_its_maker(two_accounts: TwoAccounts) -> None:
    """What a key with an end makes or renews ends with it at the latest, itself included: who has it by chance does not
    stay. Keys without an end, and the command line, renew as they did.
    """
    root = await two_accounts.key()
    ends = (datetime.now(UTC) + timedelta(days=10)).replace(microsecond=0)
    text, later, sooner = ends.isoformat(), (ends + timedelta(seconds=1)).isoformat(), ends - timedelta(days=1)
    made = (await root.ask(CREATE, **{"in": {"role": "ADMIN", "expiresAt": text}}))["createApiKey"]
    admin = Auditor(two_accounts.served, made["key"])

    async def end(maker: Auditor, query: str, **wanted: Any) -> datetime | None:
        answer = await maker.ask(query, **{"in": wanted})
        moment = answer["createApiKey" if query == CREATE else "rotateApiKey"]["apiKey"]["expiresAt"]
        return moment and datetime.fromisoformat(moment)

    for wanted in ({"role": "ADMIN"}, {"role": "INGEST"}, {"role": "PARTNER", "accounts": ["acme"]}):
        assert await end(admin, CREATE, **wanted) == ends, wanted
        assert await admin.code(CREATE, **{"in": {**wanted, "expiresAt": later}}) == "FORBIDDEN"
    assert await end(admin, CREATE, role="VIEWER", expiresAt=sooner.isoformat()) == sooner
    for_ever = (await root.ask(CREATE, **{"in": {"role": "VIEWER"}}))["createApiKey"]["apiKey"]["id"]
    assert await admin.code(ROTATE, **{"in": {"id": for_ever, "expiresAt": later}}) == "FORBIDDEN"
    assert await end(admin, ROTATE, id=for_ever) == ends
    itself = made["apiKey"]["id"]
    assert await end(admin, ROTATE, id=itself) == ends, "a successor of its own is no way round"
    other = (await root.ask(CREATE, **{"in": {"role": "VIEWER", "expiresAt": text}}))["createApiKey"]["apiKey"]["id"]
    renewed = await end(root, ROTATE, id=other)
    assert renewed is not None and renewed > ends, "as long a life again"
    assert await end(root, CREATE, role="ADMIN") is None


async def test_a_bound_admin_reaches_no_further(two_accounts: TwoAccounts) -> None:
    """It makes, sees and ends keys of its own accounts; others it is told nothing of, by the database itself too."""
    root, bound = await two_accounts.key(), await two_accounts.key(Role.ADMIN, "acme")
    theirs = (await root.ask(CREATE, **{"in": {"role": "VIEWER", "accounts": ["globex"]}}))["createApiKey"]["apiKey"]
    both = (await root.ask(CREATE, **{"in": {"role": "VIEWER", "accounts": ["acme", "globex"]}}))["createApiKey"]
    for wanted in ({}, {"accounts": ["globex"]}, {"accounts": ["acme", "globex"]}, {"accounts": ["new"]}):
        assert await bound.code(CREATE, **{"in": {"role": "VIEWER", **wanted}}) == "FORBIDDEN", wanted
    assert two_accounts.seeded.accounts.cached("new") is None, "no account is made for who is refused"
    own = (await bound.ask(CREATE, **{"in": {"role": "ADMIN", "accounts": ["acme"]}}))["createApiKey"]["apiKey"]
    seen = (await bound.ask(LIST))["apiKeys"]
    assert seen["totalCount"] == 2
    assert {one["keyId"] for one in seen["nodes"]} == {own["keyId"], prefix_of(bound.key)}
    for foreign in (theirs, both["apiKey"]):
        assert (await bound.ask(NODE, id=foreign["id"]))["node"] is None
        unknown = await bound.answer(REVOKE, id="key_aaaaaaaa")
        refused = await bound.answer(REVOKE, id=foreign["id"])
        assert unknown["errors"][0]["message"].replace("aaaaaaaa", foreign["keyId"]) == refused["errors"][0]["message"]
        assert await bound.code(ROTATE, **{"in": {"id": foreign["id"]}}) == "BAD_USER_INPUT"
    async with two_accounts.seeded.database.reading((two_accounts.numbers["acme"],)) as connection:
        rows = await connection.fetch("SELECT prefix FROM api_key")
    assert {row["prefix"] for row in rows} == {own["keyId"], prefix_of(bound.key)}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
async def test_only_admins_manage_keys(two_accounts: TwoAccounts, role: Role) -> None:
    """Every other role is refused each of the fields, and no id of a key is a node for it."""
    admin, other = await two_accounts.key(), await two_accounts.key(role, "acme")
    made = (await admin.ask(CREATE, **{"in": {"role": "VIEWER", "accounts": ["acme"]}}))["createApiKey"]["apiKey"]
    assert await other.code(LIST) == "FORBIDDEN"
    assert await other.code(CREATE, **{"in": {"role": role.name, "accounts": ["acme"]}}) == "FORBIDDEN"
    assert await other.code(ROTATE, **{"in": {"id": made["id"]}}) == "FORBIDDEN"
    assert await other.code(REVOKE, id=made["id"]) == "FORBIDDEN"
    answer = await other.answer(NODE, id=made["id"])
    assert answer.get("data") is None or answer["data"]["node"] is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"role": "PARTNER"},
        {"role": "VIEWER", "accounts": []},
        {"role": "VIEWER", "accounts": ["jane@example.com"]},
        {"role": "VIEWER", "accounts": [f"a{number}" for number in range(501)]},
        {"role": "VIEWER", "name": "two\nlines"},
        {"role": "VIEWER", "name": " "},
        {"role": "VIEWER", "name": "x" * 201},
        {"role": "VIEWER", "expiresAt": "2001-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_what_no_key_may_be_is_refused(two_accounts: TwoAccounts, wanted: dict[str, Any]) -> None:
    """With BAD_USER_INPUT, and neither a key nor an entry is made."""
    admin = await two_accounts.key()
    before = await two_accounts.entries(LedgerKind.API_KEY_CREATED), await ApiKey.all().count()
    assert await admin.code(CREATE, **{"in": wanted}) == "BAD_USER_INPUT"
    assert (await two_accounts.entries(LedgerKind.API_KEY_CREATED), await ApiKey.all().count()) == before


async def test_a_key_that_is_sent_as_an_id_is_not_repeated(two_accounts: TwoAccounts) -> None:
    """Whoever sends a key where its id belongs finds no part of it in the answer, and no other key ended."""
    admin = await two_accounts.key()
    for text in (admin.key, admin.key[:11], "key_" + admin.key[3:], "key_", "é" * 9):
        answer = await admin.answer(REVOKE, id=text)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert admin.key[11:] not in repr(answer)
    for hours in (-1, 2161, 2**31 - 1, -(2**31)):
        wanted = {"id": prefix_of(admin.key), "overlapHours": hours}
        assert await admin.code(ROTATE, **{"in": wanted}) == "BAD_USER_INPUT"


async def test_a_credential_in_a_name_is_kept_nowhere(two_accounts: TwoAccounts) -> None:
    """A key's name passes the redactor before it is stored, in the table and in the ledger's note."""
    admin, secret = await two_accounts.key(), "sk-proj-" + "a1B2c3D4e5F6" * 4
    made = (await admin.ask(CREATE, **{"in": {"role": "VIEWER", "name": f"for {secret}"}}))["createApiKey"]["apiKey"]
    assert secret not in made["name"]
    assert secret not in repr(await two_accounts.entries(LedgerKind.API_KEY_CREATED))


async def test_many_accounts_keep_nobody_waiting(two_accounts: TwoAccounts) -> None:
    """Names of a key's accounts are checked beside the event loop, and in a moment."""
    admin, ticks = await two_accounts.key(), 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    await admin.ask(CREATE, **{"in": {"role": "VIEWER", "accounts": ["first"]}})
    ticking = asyncio.create_task(tick())
    began = time.process_time()
    wanted = {"role": "VIEWER", "accounts": [f"tenant-{number}" for number in range(500)]}
    made = (await admin.ask(CREATE, **{"in": wanted}))["createApiKey"]["apiKey"]
    ticking.cancel()
    assert len(made["accounts"]) == 500
    assert time.process_time() - began < 5
    assert ticks > 3


async def test_keys_are_paged(two_accounts: TwoAccounts) -> None:
    """Page by page, newest first, every key once; a cursor of another scope is refused."""
    admin, bound = await two_accounts.key(), await two_accounts.key(Role.ADMIN, "acme")
    for number in range(7):
        await admin.ask(CREATE, **{"in": {"role": "VIEWER", "accounts": ["acme"], "name": f"k{number}"}})
    seen, after = [], None
    while True:
        page = (await admin.ask(LIST, first=2, after=after))["apiKeys"]
        assert page["totalCount"] == 9
        seen += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert [one["name"] for one in seen[:7]] == [f"k{number}" for number in range(6, -1, -1)]
    assert len({one["id"] for one in seen}) == 9
    assert await bound.code(LIST, after=page["edges"][0]["cursor"]) == "BAD_USER_INPUT"
