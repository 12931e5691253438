"""Session tokens: what a browser holds instead of a key can do no more than the key, for minutes, and ends with it."""

import asyncio
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from evidence import Auditor
from http_server import Served, serve
from joserfc import jwt
from joserfc.jwk import OctKey
from rows import SeededLedger, StoredCall, open_seeded
from running import RunningService

from policies.evidence.entry import LedgerKind
from policies.policy.model import Role
from service.access import authenticate
from service.access.authenticate import UnauthenticatedError
from service.access.keys import prefix_of
from service.access.session_tokens import SessionSigner, SessionToken
from service.ledger.store import Selection
from service.retention.audit.record_check import differences
from service.storage.control.api_keys import get_key
from service.storage.schema.models import ApiKey

CREATE = """
    mutation($in: CreateSessionTokenInput!) { createSessionToken(input: $in) { token expiresAt role accounts } }
"""
VIEWER = "{ viewer { role accounts keyId expiresAt } }"
CALLS = "{ calls(first: 10) { nodes { account } } }"


@dataclass(slots=True)
class TwoAccounts:
    """A served ledger with a call of each of the accounts `acme` and `globex`."""

    seeded: SeededLedger
    served: Served
    numbers: dict[str, int]

    async def key(self, role: Role = Role.VIEWER, *accounts: str, **changes: Any) -> Auditor:
        text = await self.served.key(role, *(self.numbers[name] for name in accounts), **changes)
        return Auditor(self.served, text)

    async def session(self, key: Auditor, **wanted: Any) -> Auditor:
        return Auditor(self.served, (await key.ask(CREATE, **{"in": wanted}))["createSessionToken"]["token"])

    async def entries(self) -> list[tuple[str, dict[str, Any]]]:
        found = self.served.runtime.ledger.every(Selection(kinds=(LedgerKind.SESSION_TOKENS_CREATED,)))
        return [(entry.actor, dict(entry.facts)) async for entry in found]


@pytest.fixture
async def two_accounts(any_database_url: str, tmp_path: Path) -> AsyncIterator[TwoAccounts]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        numbers = await seeded.accounts.ensure(["acme", "globex"])
        now = await seeded.now()
        await seeded.put([StoredCall(now - timedelta(minutes=1), account=name, source_id=name) for name in numbers])
        async with serve(seeded) as served:
            yield TwoAccounts(seeded, served, numbers)


async def test_a_token_stands_for_its_key(two_accounts: TwoAccounts) -> None:
    """It reads the accounts that it names, with the role that it names, until its end, and nothing else."""
    key = await two_accounts.key(Role.ADMIN)
    made = await key.ask(CREATE, **{"in": {"accounts": ["acme"], "role": "VIEWER", "minutes": 5}})
    made = made["createSessionToken"]
    assert (made["role"], made["accounts"]) == ("VIEWER", ["acme"])
    left = datetime.fromisoformat(made["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=4, seconds=50) < left <= timedelta(minutes=5)
    browser = Auditor(two_accounts.served, made["token"])
    assert (await browser.ask(VIEWER))["viewer"] == {
        "role": "VIEWER", "accounts": ["acme"], "keyId": prefix_of(key.key), "expiresAt": made["expiresAt"],
    }  # fmt: skip
    assert (await browser.ask(CALLS))["calls"]["nodes"] == [{"account": "acme"}]
    assert await browser.code("{ accounts { totalCount } }") == "FORBIDDEN", "an admin may, a viewer may not"
    # The key and the token by turns: each keeps its own scope.
    for _ in range(2):
        assert len((await key.ask(CALLS))["calls"]["nodes"]) == 2
        assert len((await browser.ask(CALLS))["calls"]["nodes"]) == 1


async def test_a_token_never_goes_beyond_its_key(two_accounts: TwoAccounts) -> None:
    """Neither role nor accounts nor lifetime, nor by another token, nor a key, nor reports."""
    bound = await two_accounts.key(Role.PARTNER, "acme", expires_at=datetime.now(UTC) + timedelta(minutes=3))
    assert await bound.code(CREATE, **{"in": {"accounts": ["globex"]}}) == "BAD_USER_INPUT"
    assert await bound.code(CREATE, **{"in": {"accounts": ["acme", "unknown"]}}) == "BAD_USER_INPUT"
    for role in ("SUPPORT", "AUDITOR", "COMPLIANCE", "ADMIN"):
        assert await bound.code(CREATE, **{"in": {"role": role}}) == "FORBIDDEN", role
    short = (await bound.ask(CREATE, **{"in": {"minutes": 60}}))["createSessionToken"]
    assert datetime.fromisoformat(short["expiresAt"]) - datetime.now(UTC) <= timedelta(minutes=3)

    unbound = await two_accounts.key(Role.ADMIN)
    assert await unbound.code(CREATE, **{"in": {}}) == "BAD_USER_INPUT", "every account has to be asked for"
    browser = await two_accounts.session(unbound, accounts=["acme"])
    assert (await browser.ask(VIEWER))["viewer"]["role"] == "ADMIN"
    roots = (await browser.ask("{ viewer { rootFields } }"))["viewer"]["rootFields"]
    assert "calls" in roots
    assert not {"createSessionToken", "createApiKey", "rotateApiKey", "revokeApiKey"} & set(roots)
    assert await browser.code(CREATE, **{"in": {}}) == "FORBIDDEN"
    create = 'mutation { createApiKey(input: {role: VIEWER, accounts: ["acme"]}) { key } }'
    assert await browser.code(create) == "FORBIDDEN"
    revoke = f'mutation {{ revokeApiKey(input: {{id: "{prefix_of(unbound.key)}"}}) {{ apiKey {{ id }} }} }}'
    assert await browser.code(revoke) == "FORBIDDEN"


async def test_a_token_of_every_account_is_that_of_its_key(two_accounts: TwoAccounts) -> None:
    """Where it is asked for, and by a key that is bound to none alone: it reaches accounts that are made later, and no
    more than the key by then does.
    """
    create = CREATE.replace("accounts }", "accounts everyAccount }")
    key, bound = await two_accounts.key(Role.ADMIN), await two_accounts.key(Role.ADMIN, "acme")
    assert await bound.code(create, **{"in": {"everyAccount": True}}) == "FORBIDDEN"
    assert await key.code(create, **{"in": {"everyAccount": True, "accounts": ["acme"]}}) == "BAD_USER_INPUT"
    assert await key.code(create, **{"in": {"everyAccount": True, "accounts": []}}) == "BAD_USER_INPUT"
    assert await two_accounts.entries() == []
    made = (await key.ask(create, **{"in": {"everyAccount": True}}))["createSessionToken"]
    assert (made["accounts"], made["everyAccount"]) == ([], True)
    browser = Auditor(two_accounts.served, made["token"])
    viewer = await two_accounts.session(key, everyAccount=True, role="VIEWER")
    hours = [(facts["key"], facts["hour"]) for _, facts in await two_accounts.entries()]
    assert len({*hours}) == len(hours) and {name for name, _ in hours} == {prefix_of(key.key)}, "one for an hour"
    assert len((await viewer.ask(CALLS))["calls"]["nodes"]) == 2
    assert (await browser.ask(VIEWER))["viewer"]["accounts"] is None

    await two_accounts.seeded.accounts.ensure(["initech"])
    moment = await two_accounts.seeded.now() - timedelta(seconds=30)
    await two_accounts.seeded.put([StoredCall(moment, account="initech", source_id="initech")])
    for one in (browser, viewer):
        names = [call["account"] for call in (await one.ask(CALLS))["calls"]["nodes"]]
        assert names == ["initech", *names[1:]] and set(names[1:]) == {"acme", "globex"}
    assert (await browser.ask("{ accounts { totalCount } }"))["accounts"]["totalCount"] >= 3
    assert await viewer.code("{ accounts { totalCount } }") == "FORBIDDEN"
    assert await browser.code(create, **{"in": {"everyAccount": True}}) == "FORBIDDEN"
    assert await browser.code("mutation { createApiKey(input: {role: VIEWER}) { key } }") == "FORBIDDEN"

    await ApiKey.filter(prefix=prefix_of(key.key)).update(accounts=[two_accounts.numbers["globex"]])
    two_accounts.served.runtime.authenticator.forget()
    assert (await browser.ask(CALLS))["calls"]["nodes"] == [{"account": "globex"}]
    await two_accounts.served.runtime.api_keys.revoke(prefix_of(key.key))
    two_accounts.served.runtime.authenticator.forget()
    assert await browser.code(VIEWER) == await viewer.code(VIEWER) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "wanted", [{"minutes": 0}, {"minutes": 61}, {"minutes": -(2**31)}, {"accounts": []},
               {"accounts": [f"a{number}" for number in range(51)]}], ids=str,
)  # fmt: skip
async def test_bounds_are_kept(two_accounts: TwoAccounts, wanted: dict[str, Any]) -> None:
    """What is out of bounds is BAD_USER_INPUT, and no entry is written."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    assert await key.code(CREATE, **{"in": wanted}) == "BAD_USER_INPUT"
    assert await two_accounts.entries() == []


async def test_a_token_ends_with_its_key(two_accounts: TwoAccounts) -> None:
    """Revoked, expired or less an account: the token is so as soon as the key is, which is when services hear of it."""
    key = await two_accounts.key(Role.VIEWER, "acme", "globex")
    browser = await two_accounts.session(key)
    one = await two_accounts.session(key, accounts=["acme"])
    assert (await browser.ask(VIEWER))["viewer"]["accounts"] == ["acme", "globex"]
    await ApiKey.filter(prefix=prefix_of(key.key)).update(accounts=[two_accounts.numbers["globex"]])
    two_accounts.served.runtime.authenticator.forget()
    assert (await browser.ask(VIEWER))["viewer"]["accounts"] == ["globex"]
    assert await one.code(VIEWER) == "UNAUTHENTICATED", "none of its accounts is left"
    await two_accounts.served.runtime.api_keys.revoke(prefix_of(key.key))
    two_accounts.served.runtime.authenticator.forget()
    assert await browser.code(VIEWER) == "UNAUTHENTICATED"
    await ApiKey.filter(prefix=prefix_of(key.key)).update(revoked_at=None)
    two_accounts.served.runtime.authenticator.forget()
    assert await browser.code(VIEWER) == "UNAUTHENTICATED", "the ledger has revoked it"


async def test_a_token_never_goes_beyond_its_key_by_a_later_policy_either(two_accounts: TwoAccounts) -> None:
    """Under a policy that lets the token's role do what the key's role may not, the token is refused at once."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    same, narrower = await two_accounts.session(key), await two_accounts.session(key, role="PARTNER")
    assert (await narrower.ask(CALLS))["calls"]["nodes"] == [{"account": "acme"}]
    runtime = two_accounts.served.runtime
    policy = runtime.applied.policy
    viewer = replace(policy.roles[Role.VIEWER], ask=frozenset({"viewer"}))
    roles = {**policy.roles, Role.VIEWER: viewer}
    runtime.applied = replace(runtime.applied, policy=replace(policy, roles=roles))
    assert await key.code(CALLS) == "FORBIDDEN"
    assert await same.code(CALLS) == "FORBIDDEN"
    assert await narrower.code(CALLS) == "UNAUTHENTICATED"


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(
    two_accounts: TwoAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of the database from before the notice counts for the request that asked, and for none after it."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    browser, asked, revoked = await two_accounts.session(key), asyncio.Event(), asyncio.Event()

    async def get_slowly(prefix: str) -> Any:
        record = await get_key(prefix)
        asked.set()
        await revoked.wait()
        return record

    two_accounts.served.runtime.authenticator.forget()
    monkeypatch.setattr(authenticate, "get_key", get_slowly)
    for under_way in (key, browser):
        two_accounts.served.runtime.authenticator.forget()
        asked.clear()
        revoked.clear()
        request = asyncio.create_task(under_way.answer(VIEWER))
        await asked.wait()
        await ApiKey.filter(prefix=prefix_of(key.key)).update(revoked_at=datetime.now(UTC))
        two_accounts.served.runtime.authenticator.forget()
        revoked.set()
        await request
        assert await under_way.code(VIEWER) == "UNAUTHENTICATED"
        await ApiKey.filter(prefix=prefix_of(key.key)).update(revoked_at=None)


async def test_an_expired_token_is_refused(two_accounts: TwoAccounts) -> None:
    """At its end, whether or not it was used and remembered before."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    signer, now = SessionSigner(two_accounts.served.pepper), datetime.now(UTC)
    ends = (now + timedelta(seconds=5)).replace(microsecond=0)
    token = SessionToken("s", prefix_of(key.key), Role.VIEWER, (two_accounts.numbers["acme"],), ends)
    browser = Auditor(two_accounts.served, signer.sign(token, now))
    await browser.ask(VIEWER)
    await asyncio.sleep((ends - datetime.now(UTC)).total_seconds())
    assert await browser.code(VIEWER) == "UNAUTHENTICATED"
    past = Auditor(two_accounts.served, signer.sign(replace(token, expires_at=now - timedelta(seconds=5)), now))
    assert await past.code(VIEWER) == "UNAUTHENTICATED"


async def test_the_form_is_a_standard_one(two_accounts: TwoAccounts) -> None:
    """A library for JSON Web Tokens reads what we sign."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    browser = await two_accounts.session(key, minutes=1)
    secret = OctKey.import_key(SessionSigner(two_accounts.served.pepper)._key)
    read = jwt.decode(browser.key, secret, algorithms=["HS256"])
    assert read.header == {"alg": "HS256", "typ": "JWT"}
    assert (read.claims["iss"], read.claims["sub"]) == ("calledger", prefix_of(key.key))
    assert read.claims["accounts"] == [two_accounts.numbers["acme"]]


async def test_what_is_forged_is_refused(two_accounts: TwoAccounts) -> None:
    """Another algorithm, none, another key, other claims, a cut or longer text: none is a token."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    good = (await two_accounts.session(key)).key
    header, payload, signature = good.split(".")
    claims = orjson.loads(urlsafe_b64decode(payload + "=="))
    wider = _encoded(claims | {"role": "admin"})
    authenticator, asked = two_accounts.served.runtime.authenticator, []
    forgeries = [
        f"{header}.{wider}.{signature}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}..{signature}",
        f"{header}.{payload}.{signature}=",
        f"{header}.{payload}.{signature}.",
        f"{header}.{payload}.{signature[:-1]}",
        f"{header}.{payload}.{_other_tail(signature)}",
        f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{wider}.",
        f"{_encoded({'alg': 'HS512', 'typ': 'JWT'})}.{payload}.{signature}",
        good.replace(".", "é", 1),
        header + "." + "A" * 7000,
        SessionSigner(b"another pepper").sign(
            SessionToken("s", prefix_of(key.key), Role.ADMIN, (1,), datetime.now(UTC) + timedelta(hours=1)),
            datetime.now(UTC),
        ),
    ]
    for forged in forgeries:
        with pytest.raises(UnauthenticatedError):
            await authenticator.authenticate(f"Bearer {forged}")
        asked.append(authenticator._behind.keys() | authenticator._known.keys())
    assert asked[-1] <= {prefix_of(key.key)}


def _encoded(value: object) -> str:
    return urlsafe_b64encode(orjson.dumps(value)).rstrip(b"=").decode()


def _other_tail(signature: str) -> str:
    """The same bytes with other padding bits: base64 that decodes alike and is not what we wrote."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]


async def test_a_new_token_of_a_known_key_costs_no_statement(
    two_accounts: TwoAccounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a key's state is known, tokens of it are checked without the database; a notice asks it again."""
    key = await two_accounts.key(Role.VIEWER, "acme")
    tokens = [(await two_accounts.session(key)).key for _ in range(3)]
    authenticator = two_accounts.served.runtime.authenticator
    await authenticator.authenticate(f"Bearer {tokens[0]}")

    async def away(_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(authenticator, "_record", away)
    monkeypatch.setattr(authenticator._register, "find", away)
    for token in tokens[1:]:
        assert (await authenticator.authenticate(f"Bearer {token}")).accounts == (two_accounts.numbers["acme"],)
    authenticator.forget()
    with pytest.raises(ConnectionError):
        await authenticator.authenticate(f"Bearer {tokens[1]}")


async def test_one_entry_a_key_and_hour(two_accounts: TwoAccounts) -> None:
    """However many tokens are asked for at once, by however many processes: one entry, before the first answer."""
    first, second = await two_accounts.key(Role.VIEWER, "acme"), await two_accounts.key(Role.VIEWER, "globex")
    keys = two_accounts.served.runtime.api_keys
    for _ in range(3):
        await asyncio.gather(*(two_accounts.session(key) for key in (first, second) for _ in range(4)))
        keys._hours.clear()  # another process knows of none
    entries = await two_accounts.entries()
    assert len(entries) == len({(actor, facts["hour"]) for actor, facts in entries})
    assert {actor for actor, _ in entries} == {prefix_of(first.key), prefix_of(second.key)}
    assert all(facts["key"] == actor and facts["hour"].endswith(":00:00.000000Z") for actor, facts in entries)
    retention = two_accounts.served.runtime.retention
    assert [one async for one in differences(retention) if "key" in one] == []

    # Whoever moves the hour ahead keeps further entries from being written: that is told.
    await ApiKey.filter(prefix=prefix_of(first.key)).update(sessions_hour=datetime(2199, 1, 1, tzinfo=UTC))
    [said] = [one async for one in differences(retention) if "key" in one]
    assert f"key `{prefix_of(first.key)}` gave out session tokens in the hour `2199" in said


async def test_a_token_asks_for_an_export(two_accounts: TwoAccounts) -> None:
    """It is written and fetched as the token may; neither the key's other role nor another token of it reaches more."""
    key = await two_accounts.key(Role.ADMIN)
    browser = await two_accounts.session(key, accounts=["acme"], role="VIEWER")
    create = 'mutation { createExport(input: {kind: CALLS, format: NDJSON, fields: ["account"]}) { export { id } } }'
    id_ = (await browser.ask(create))["createExport"]["export"]["id"]
    done = await browser.ended(id_)
    assert (done["state"], done["rows"]) == ("READY", "1"), done
    assert (await browser.fetch(done["url"])).body == b'{"account":"acme"}\n'
    same = await two_accounts.session(key, accounts=["acme", "globex"], role="VIEWER")
    assert (await same.fetch(done["url"])).status == 200, "it reaches all that the file is about"
    for wanted in ({"accounts": ["globex"], "role": "VIEWER"}, {"accounts": ["acme"], "role": "PARTNER"}):
        assert (await (await two_accounts.session(key, **wanted)).fetch(done["url"])).status == 404, wanted


def test_tokens_in_several_processes(tmp_path: Path) -> None:
    """Every worker takes what another one signed, after a restart too, and all of them refuse it within seconds of the
    end of its key. It is on no disk, and in no log.
    """
    service = RunningService(tmp_path / "data", "--workers", "2")
    try:
        made = service.command("keys", "create", "--role", "viewer", "--account", "acme")
        key = made.stdout.strip()
        token = service.ask(key, CREATE, **{"in": {}})["data"]["createSessionToken"]["token"]
        assert all(service.ask(token, VIEWER)["data"]["viewer"]["accounts"] == ["acme"] for _ in range(20))
        status, _, body = service.request("POST", "/v1/calls", key=token, body=b"[]")
        assert (status, b"session token" in body) == (403, True)
        service.stop()
        service.start()
        assert all("data" in service.ask(token, VIEWER) for _ in range(20))
        service.command("keys", "revoke", prefix_of(key))
        deadline = time.monotonic() + 60
        while any("data" in service.ask(token, VIEWER) for _ in range(8)):
            assert time.monotonic() < deadline
        service.stop()
        everything = service.everything_on_disk()
        assert token.encode() not in everything
        assert token.split(".")[2].encode() not in everything
    finally:
        if service.process.poll() is None:
            service.stop()
