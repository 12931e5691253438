"""Mutations with an `Idempotency-Key`: carried out once, told again, and nothing kept of what is told once."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from http_server import Served, serve
from rows import SeededLedger, StoredCall, open_seeded

from policies.policy.model import Role
from service.api.execution.idempotency import ANSWERED_AGAIN, ANSWERED_ONCE
from service.api.schema import build_schema
from service.retention.erasure.notes import erase_notes
from service.retention.maintenance import maintain

HOLD = """mutation($reason: String!) { placeHold(input: {name: "case", owner: "o", reason: $reason,
    scope: {account: "acme"}, classes: [BILLING]}) { ledgerIndex hold { id reason } } }"""
CREATE_KEY = "mutation { createApiKey(input: {role: VIEWER}) { key apiKey { id } } }"
SESSION = """mutation { createSessionToken(input: {role: COMPLIANCE, accounts: ["NAME"]}) { token } }"""
ERASE = """mutation { requestErasure(input: {kind: USER, account: "acme", userId: "jane-47", reason: "r"}) {
    erasure { id } } }"""


@dataclass(slots=True)
class ServedLedger:
    """A served ledger with a call of the account `acme`."""

    seeded: SeededLedger
    served: Served

    async def post(self, key: str, query: str, once: str | None, **variables: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {key}", **({} if once is None else {"Idempotency-Key": once})}
        body = {"query": query, "variables": variables}
        async with self.served.session.post(self.served.url, json=body, headers=headers) as response:
            return await response.json()

    async def count(self, table: str) -> int:
        return await self.seeded.database.owner.fetchval(f"SELECT count(*) FROM {table}")

    async def stored(self) -> str:
        rows = await self.seeded.database.owner.fetch("SELECT * FROM idempotency_key")
        return repr([dict(row) for row in rows])


@pytest.fixture
async def ledger(any_database_url: str, tmp_path: Path) -> AsyncIterator[ServedLedger]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        await seeded.put([StoredCall(await seeded.now(), account="acme", user="jane-47")])
        await seeded.accounts.ensure(["acme", "globex"])
        async with serve(seeded) as served:
            yield ServedLedger(seeded, served)


def _code(answer: dict[str, Any]) -> str:
    return answer["errors"][0]["extensions"]["code"]


def test_every_mutation_is_told_again_or_once() -> None:
    """A mutation that is new to the schema has to say here whether its answer may be kept; if not, it is not."""
    mutation = build_schema()._schema.mutation_type
    assert mutation is not None
    assert {*mutation.fields} == (ANSWERED_AGAIN | ANSWERED_ONCE) - {"__typename"}
    assert not ANSWERED_AGAIN & ANSWERED_ONCE


async def test_a_repeated_mutation_is_done_once_and_told_again(ledger: ServedLedger) -> None:
    """The same request has the same answer, however often and however at once; without the header it is done again."""
    key = await ledger.served.key(Role.COMPLIANCE)
    first = await ledger.post(key, HOLD, "k1", reason="why")
    assert "errors" not in first
    again = await ledger.post(key, HOLD, "k1", reason="why")
    assert again["data"] == first["data"]
    answers = await asyncio.gather(*[ledger.post(key, HOLD, "k2", reason="why") for _ in range(4)])
    told = [answer["data"]["placeHold"]["hold"]["id"] for answer in answers if "errors" not in answer]
    assert len({*told}) == 1
    assert {_code(answer) for answer in answers if "errors" in answer} <= {"THROTTLED"}
    assert await ledger.count("hold") == 2
    await ledger.post(key, HOLD, None, reason="why")
    await ledger.post(key, HOLD, None, reason="why")
    assert await ledger.count("hold") == 4


async def test_another_request_under_the_key_is_refused(ledger: ServedLedger) -> None:
    """Other variables or another document are a mistake of the client; another API key has keys of its own."""
    key, other = [await ledger.served.key(Role.COMPLIANCE) for _ in range(2)]
    await ledger.post(key, HOLD, "k", reason="why")
    assert _code(await ledger.post(key, HOLD, "k", reason="else")) == "BAD_USER_INPUT"
    assert _code(await ledger.post(key, HOLD + " ", "k", reason="why")) == "BAD_USER_INPUT"
    assert await ledger.count("hold") == 1
    assert "errors" not in await ledger.post(other, HOLD, "k", reason="else")
    for wrong in ("", "x" * 201, "a\tb", "\u00e4"):
        assert _code(await ledger.post(key, HOLD, wrong, reason="why")) == "BAD_USER_INPUT", wrong
    assert await ledger.count("hold") == 2


async def test_what_was_refused_can_be_mended(ledger: ServedLedger) -> None:
    """A request that failed for what it asked has done nothing, and its key is free again."""
    key = await ledger.served.key(Role.COMPLIANCE)
    assert _code(await ledger.post(key, HOLD, "k", reason=" ")) == "BAD_USER_INPUT"
    assert "errors" not in await ledger.post(key, HOLD, "k", reason="why")
    viewer = await ledger.served.key(Role.VIEWER)
    assert _code(await ledger.post(viewer, HOLD, "k", reason="why")) == "FORBIDDEN"
    assert await ledger.count("idempotency_key") == 1


async def test_secrets_are_told_once(ledger: ServedLedger) -> None:
    """Of a key that is made nothing is kept, and the repeated request makes no second one."""
    key = await ledger.served.key(Role.ADMIN)
    made = await ledger.post(key, CREATE_KEY, "k")
    assert made["data"]["createApiKey"]["key"].startswith("cl_")
    before = await ledger.count("api_key")
    again = await ledger.post(key, CREATE_KEY, "k")
    assert _code(again) == "ALREADY_DONE"
    assert again.get("data") is None
    assert await ledger.count("api_key") == before
    assert await ledger.seeded.database.owner.fetchval("SELECT bool_and(answer IS NULL AND done) FROM idempotency_key")
    aliased = "mutation { a: createApiKey(input: {role: VIEWER}) { apiKey { id } } ...F }"
    aliased += " fragment F on Mutation { __typename }"
    await ledger.post(key, aliased, "k2")
    assert _code(await ledger.post(key, aliased, "k2")) == "ALREADY_DONE"


async def test_nothing_of_a_client_is_stored_in_clear(ledger: ServedLedger) -> None:
    """Neither the key, nor whom an erasure names, nor the answer is to be read in the table."""
    key = await ledger.served.key(Role.COMPLIANCE)
    first = await ledger.post(key, ERASE, "erase-jane-47")
    assert "errors" not in first
    again = await ledger.post(key, ERASE, "erase-jane-47")
    assert again["data"] == first["data"]
    stored = await ledger.stored()
    for text in ("jane", "erasure", first["data"]["requestErasure"]["erasure"]["id"]):
        assert text not in stored
    assert await ledger.count("erasure") == 1


async def test_an_erasure_takes_the_answers(ledger: ServedLedger) -> None:
    """What was answered before notes or people are erased is told nobody again."""
    key = await ledger.served.key(Role.COMPLIANCE)
    placed = await ledger.post(key, HOLD, "k", reason="Jane said so")
    retention = ledger.served.runtime.retention
    await erase_notes(retention, [int(placed["data"]["placeHold"]["ledgerIndex"])], reason="r", actor="test")
    assert _code(await ledger.post(key, HOLD, "k", reason="Jane said so")) == "ALREADY_DONE"
    await ledger.post(key, HOLD, "k2", reason="why")
    await ledger.post(key, ERASE, "k3")
    assert _code(await ledger.post(key, HOLD, "k2", reason="why")) == "ALREADY_DONE"


async def test_another_policy_shows_no_older_answer(ledger: ServedLedger) -> None:
    """An answer was made by the views of its policy; another one may show less."""
    key = await ledger.served.key(Role.COMPLIANCE)
    await ledger.post(key, HOLD, "k", reason="why")
    runtime = ledger.served.runtime
    runtime.applied = replace(runtime.applied, digest="another")
    assert _code(await ledger.post(key, HOLD, "k", reason="why")) == "ALREADY_DONE"
    assert await ledger.count("hold") == 1


async def test_sessions_of_a_key_do_not_share_answers(ledger: ServedLedger) -> None:
    """A session token of one account is not told what one of another account was answered."""
    key = await ledger.served.key(Role.ADMIN)
    tokens = []
    for name in ("acme", "globex"):
        answer = await ledger.post(key, SESSION.replace("NAME", name), None)
        tokens.append(answer["data"]["createSessionToken"]["token"])
    assert "errors" not in await ledger.post(tokens[0], HOLD, "k", reason="why")
    answer = await ledger.post(tokens[1], HOLD, "k", reason="why")
    assert _code(answer) in ("BAD_USER_INPUT", "FORBIDDEN")
    assert not answer.get("data") or answer["data"]["placeHold"] is None


async def test_a_request_without_an_end_is_not_done_again(ledger: ServedLedger) -> None:
    """Killed after it had begun: for a minute it may be under way, and then its client has to look what came of it."""
    key = await ledger.served.key(Role.COMPLIANCE)
    await ledger.post(key, HOLD, "k", reason="why")
    owner = ledger.seeded.database.owner
    await owner.execute("UPDATE idempotency_key SET done = false, answer = NULL")
    assert _code(await ledger.post(key, HOLD, "k", reason="why")) == "THROTTLED"
    await owner.execute("UPDATE idempotency_key SET asked_at = asked_at - interval '61 s'")
    assert _code(await ledger.post(key, HOLD, "k", reason="why")) == "ALREADY_DONE"
    assert await ledger.count("hold") == 1


async def test_a_day_later_it_is_forgotten(ledger: ServedLedger) -> None:
    """After 24 hours the key is a new one, whether or not the record was deleted by then, as maintenance does it."""
    key = await ledger.served.key(Role.COMPLIANCE)
    await ledger.post(key, HOLD, "k", reason="why")
    owner = ledger.seeded.database.owner
    await owner.execute("UPDATE idempotency_key SET asked_at = asked_at - interval '24 h 1 s'")
    assert "errors" not in await ledger.post(key, HOLD, "k", reason="else")
    assert await ledger.count("hold") == 2
    await owner.execute("UPDATE idempotency_key SET asked_at = asked_at - interval '24 h 1 s'")
    await maintain(ledger.served.runtime.retention)
    assert await ledger.count("idempotency_key") == 0


async def test_a_query_is_not_looked_at_for_it(ledger: ServedLedger) -> None:
    """What changes nothing may be asked as often as one likes, under whatever key."""
    key = await ledger.served.key(Role.COMPLIANCE)
    for _ in range(2):
        answer = await ledger.post(key, "{ retention { missing } }", "k")
        assert "errors" not in answer
    assert await ledger.count("idempotency_key") == 0


async def test_a_hold_has_no_class_that_always_fails() -> None:
    """Every value that `placeHold` takes is one of which values are stored."""
    schema = build_schema()._schema
    hold_class = schema.type_map["HoldClass"]
    assert {*hold_class.values} == {"OPERATIONAL", "BILLING", "PERSONAL"}  # type: ignore[attr-defined]
