"""The policy in force: the owner alone writes it, a forged one is refused, services take it up whole or not at all."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from http_server import Served, serve
from rows import SeededLedger, open_seeded

from policies import Policy, canonical, digest, load_preset
from policies.evidence import moment, read_leaf
from policies.policy.model import Role, Store
from service.ledger import Ledger, LedgerKind
from service.storage.control.policies import (
    StoredPolicyError,
    applied_policy,
    policy_transaction,
    refuse_unledgered,
    store_policy,
)

DEFAULT = load_preset("default")


def shortened(days: int, name: str = "acme", policy: Policy = DEFAULT) -> Policy:
    """The default policy with errors kept for fewer days."""
    tier = policy.tiers["standard"]
    days_by_store = MappingProxyType({**tier.store_days, Store.CALL_ERROR: days})
    readable = MappingProxyType({one: min(days, kept) for one, kept in tier.readable_days.items()})
    tiers = MappingProxyType({"standard": replace(tier, store_days=days_by_store, readable_days=readable)})
    return replace(policy, name=name, tiers=tiers)


@pytest.fixture
async def seeded(any_database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(any_database_url, tmp_path) as seeded:
        yield seeded


@pytest.fixture
def ledger(seeded: SeededLedger) -> Ledger:
    return Ledger(seeded.database, seeded.keyring, uuid4())


async def test_a_policy_and_its_entry_are_there_together(seeded: SeededLedger, ledger: Ledger) -> None:
    """Version, digest and canonical text in the database, digest and counts in the ledger, in one transaction."""
    await store_policy(seeded.database.owner, DEFAULT, applied_by="system", ledger=ledger)
    second = shortened(14)
    applied = await store_policy(
        seeded.database.owner, second, applied_by="keyaaaaa", approved_by="keybbbbb", ledger=ledger
    )

    assert (applied.version, applied.digest, applied.policy) == (2, digest(second), second)
    assert await applied_policy() == applied
    index, leaf = await ledger.newest(LedgerKind.POLICY_APPLIED) or (None, None)
    assert leaf is not None
    row = await seeded.database.owner.fetchrow("SELECT * FROM policy_version ORDER BY version DESC LIMIT 1")
    assert (leaf.actor, leaf.facts) == (
        "keyaaaaa",
        {
            "applied_at": moment(row["applied_at"]),
            "version": 2,
            "digest": digest(second),
            "approved_by": "keybbbbb",
            "replaces": digest(DEFAULT),
            "changes": {"other": 1, "purges": 2},
        },
    )
    assert (row["document"].encode(), row["ledger_index"]) == (canonical(second), index)


async def test_whole_or_not_at_all(seeded: SeededLedger, ledger: Ledger) -> None:
    """When the ledger cannot take the entry, no policy is in force that it does not know."""
    await store_policy(seeded.database.owner, DEFAULT, applied_by="system", ledger=ledger)
    await seeded.database.owner.execute("ALTER TABLE ledger_entry RENAME TO gone")
    with pytest.raises(asyncpg.PostgresError):
        await store_policy(seeded.database.owner, shortened(14), applied_by="cli", ledger=ledger)
    applied = await applied_policy()
    assert applied is not None
    assert applied.policy == DEFAULT


async def test_two_at_once_come_one_after_the_other(seeded: SeededLedger, ledger: Ledger) -> None:
    """Ten policies at once get ten numbers, and the ledger tells them in that order."""
    wanted = [shortened(30 - index, f"p{index}") for index in range(10)]
    applied = await asyncio.gather(
        *(store_policy(seeded.database.owner, policy, applied_by="cli", ledger=ledger) for policy in wanted)
    )
    assert sorted(one.version for one in applied) == list(range(1, 11))
    rows = await seeded.database.owner.fetch("SELECT leaf FROM ledger_entry WHERE kind='POLICY_APPLIED' ORDER BY index")
    assert [read_leaf(row["leaf"]).facts["version"] for row in rows] == list(range(1, 11))


FORGERIES = {
    "a longer window": "document = replace(document, 'call_error = 30', 'call_error = 300')",
    "one blank": "document = document || ' '",
    "no policy at all": "document = 'name = 1'",
    "nothing": "document = ''",
    "another digest": f"digest = 'sha256:{'0' * 64}'",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_row_is_refused(seeded: SeededLedger, forgery: str) -> None:
    """A text that is not what was applied is named as that, whether or not it parses."""
    await store_policy(seeded.database.owner, DEFAULT, applied_by="system")
    await seeded.database.owner.execute(f"UPDATE policy_version SET {FORGERIES[forgery]}")
    with pytest.raises(StoredPolicyError, match="is not what was applied"):
        await applied_policy()


async def test_a_forgery_that_fits_its_digest_is_found_by_the_ledger(seeded: SeededLedger, ledger: Ledger) -> None:
    """Who rewrites the row whole, adds one, or takes the newest away, contradicts the ledger."""
    await store_policy(seeded.database.owner, shortened(14), applied_by="system", ledger=ledger)
    applied = await store_policy(seeded.database.owner, shortened(7), applied_by="system", ledger=ledger)

    async def facts() -> Any:
        newest = await ledger.newest(LedgerKind.POLICY_APPLIED)
        assert newest is not None
        return newest[1].facts

    refuse_unledgered(applied, await facts())
    refuse_unledgered(applied, None)
    await store_policy(seeded.database.owner, DEFAULT, applied_by="nobody")
    for statement in (
        "DELETE FROM policy_version WHERE version = 3",
        "DELETE FROM policy_version WHERE version = 2",
    ):
        forged = await applied_policy()
        assert forged is not None
        if forged.version != 2:
            with pytest.raises(StoredPolicyError, match="by the ledger version 2"):
                refuse_unledgered(forged, await facts())
        await seeded.database.owner.execute(statement)
    forged = await applied_policy()
    assert forged is not None
    with pytest.raises(StoredPolicyError, match="restored from a backup"):
        refuse_unledgered(forged, await facts())


@pytest.mark.parametrize("table", ["policy_version", "policy_proposal"])
async def test_only_the_owner_writes_the_law(seeded: SeededLedger, table: str) -> None:
    """Neither the writer nor any reader can put a policy in force, change one, or take one away."""
    await store_policy(seeded.database.owner, DEFAULT, applied_by="system")
    insert = (
        "INSERT INTO policy_version (version, name, digest, document, applied_at, applied_by) "
        "VALUES (9, 'x', 'x', 'x', now(), 'x')"
        if table == "policy_version"
        else "INSERT INTO policy_proposal (replaces, digest, document, proposed_at, proposed_by) "
        "VALUES (1, 'x', 'x', now(), 'x')"
    )
    for statement in (insert, f"UPDATE {table} SET digest = 'x'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await seeded.database.writer.execute(statement)
        for accounts in (None, (1,)):
            async with seeded.database.reading(accounts) as connection:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def test_what_waits_is_not_in_force(seeded: SeededLedger) -> None:
    """A proposal waits once for each who asks, is never read for the policy, and is void when another is applied."""
    await store_policy(seeded.database.owner, shortened(14), applied_by="system")
    async with policy_transaction(seeded.database.owner) as desk:
        one = await desk.propose(DEFAULT, replaces=1, proposed_by="cli")
        assert await desk.propose(DEFAULT, replaces=1, proposed_by="cli") == one
        await desk.propose(DEFAULT, replaces=1, proposed_by="keyaaaaa")
        assert [waiting.proposed_by for waiting in await desk.proposals()] == ["cli", "keyaaaaa"]
        assert one.read() == DEFAULT
    applied = await applied_policy()
    assert applied is not None
    assert applied.policy == shortened(14)
    await store_policy(seeded.database.owner, shortened(7), applied_by="cli")
    async with policy_transaction(seeded.database.owner) as desk:
        assert await desk.proposals() == []


async def test_a_forged_proposal_is_refused(seeded: SeededLedger) -> None:
    """What is approved is what was asked for."""
    await store_policy(seeded.database.owner, shortened(14), applied_by="system")
    async with policy_transaction(seeded.database.owner) as desk:
        await desk.propose(shortened(20), replaces=1, proposed_by="cli")
    await seeded.database.owner.execute("UPDATE policy_proposal SET document = replace(document, '= 20', '= 200')")
    async with policy_transaction(seeded.database.owner) as desk:
        [waiting] = await desk.proposals()
        with pytest.raises(StoredPolicyError):
            waiting.read()


async def test_a_service_takes_up_a_policy_or_keeps_the_one_before(
    seeded: SeededLedger, capsys: pytest.CaptureFixture[str]
) -> None:
    """A good one holds from the next request on. A forged one and one without its entry leave the one before in
    force, and the log says so."""
    async with serve(seeded) as served:
        runtime, owner = served.runtime, seeded.database.owner
        await store_policy(owner, shortened(14), applied_by="cli", ledger=runtime.ledger)
        await runtime.reload_policy()
        assert runtime.applied.policy == shortened(14)

        await store_policy(owner, DEFAULT, applied_by="nobody")
        await runtime.reload_policy()
        assert runtime.applied.policy == shortened(14)
        await owner.execute("UPDATE policy_version SET document = document || '#' WHERE version = 3")
        await runtime.reload_policy()
        assert runtime.applied.policy == shortened(14)
        await owner.execute("DELETE FROM policy_version WHERE version = 3")

        await store_policy(owner, shortened(7), applied_by="cli", ledger=runtime.ledger)
        await runtime.reload_policy()
        assert runtime.applied.policy == shortened(7)
    said = capsys.readouterr()
    assert (said.out + said.err).count("the one before it stays in force") == 2


POLICY = """query($d: Digest) { policy(digest: $d) { name version digest appliedAt appliedBy approvedBy document
  fields { field class action store views { role view } } windows { class tier store windowDays } } }"""


async def _policy(served: Served, role: Role, *accounts: int, **variables: Any) -> Any:
    headers = {"Authorization": f"Bearer {await served.key(role, *accounts)}"}
    body = {"query": POLICY, "variables": variables}
    async with served.session.post(served.url, json=body, headers=headers) as answer:
        return await answer.json()


async def test_graphql_shows_the_policy_in_force_and_earlier_ones(seeded: SeededLedger) -> None:
    """Exactly as it was applied, by whom, approved by whom; an earlier one by its digest; null for any other digest."""
    async with serve(seeded) as served:
        await store_policy(
            seeded.database.owner, shortened(14), applied_by="cli", approved_by="keybbbbb", ledger=served.runtime.ledger
        )
        earlier = (await _policy(served, Role.AUDITOR))["data"]["policy"]
        await served.runtime.reload_policy()
        now = (await _policy(served, Role.AUDITOR))["data"]["policy"]

        # What this process obeys is what it says, even before it has heard of the newest.
        assert (earlier["version"], earlier["digest"]) == (1, digest(DEFAULT))
        assert (now["version"], now["digest"], now["name"]) == (2, digest(shortened(14)), "acme")
        assert (now["appliedBy"], now["approvedBy"]) == ("cli", "keybbbbb")
        assert now["document"].encode() == canonical(shortened(14))
        fields = {entry["field"]: entry for entry in now["fields"]}
        assert set(fields) == set(DEFAULT.fields)
        assert fields["Call.user"]["class"] == "PERSONAL"
        assert fields["Call.user"]["action"] == "HASH"
        assert fields["Call.user"]["store"] == "CALL"
        seen = {view["role"]: view["view"] for view in fields["Call.user"]["views"]}
        assert seen == {
            **dict.fromkeys(("INGEST", "AUDITOR", "COMPLIANCE"), "DENIED"),
            "VIEWER": "SEE",
            "PARTNER": "MASKED",
            "SUPPORT": "SEE",
            "ADMIN": "SEE",
        }
        windows = {(one["class"], one["store"]): one["windowDays"] for one in now["windows"]}
        assert windows[("PERSONAL", "CALL_ERROR")] == 14
        assert windows[("BILLING", "USAGE_DAY")] == 2557
        again = (await _policy(served, Role.COMPLIANCE, d=digest(DEFAULT)))["data"]["policy"]
        assert again == earlier
        assert (await _policy(served, Role.ADMIN, d=f"sha256:{'0' * 64}"))["data"] == {"policy": None}
        for wrong in ("sha256:0", "SHA256:" + "0" * 64, "' OR 1=1", 5):
            [error] = (await _policy(served, Role.ADMIN, d=wrong))["errors"]
            assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_ask_for_the_policy(seeded: SeededLedger, role: Role) -> None:
    """The roles that the policy lets ask, and no others."""
    numbers = (await seeded.accounts.ensure(["acme"])).values() if role is Role.PARTNER else ()
    async with serve(seeded) as served:
        answer = await _policy(served, role, *numbers)
    if "policy" in DEFAULT.roles[role].ask:
        assert answer["data"]["policy"]["digest"] == digest(DEFAULT)
    else:
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_an_old_text_that_cannot_be_read_any_more_is_still_shown(seeded: SeededLedger) -> None:
    """Its document, digest and record are there for the auditor; only what would have to be worked out is refused."""
    document = "name = 'from an older version'\n"
    async with serve(seeded) as served:
        old = "sha256:" + hashlib.sha256(document.encode()).hexdigest()
        await seeded.database.owner.execute(
            "INSERT INTO policy_version (version, name, digest, document, applied_at, applied_by) "
            "VALUES (0, 'old', $1, $2, now(), 'cli')",
            old,
            document,
        )
        headers = {"Authorization": f"Bearer {await served.key(Role.AUDITOR)}"}
        query = f'{{ policy(digest: "{old}") {{ name document digest }} }}'
        async with served.session.post(served.url, json={"query": query}, headers=headers) as answer:
            assert (await answer.json())["data"]["policy"] == {"name": "old", "document": document, "digest": old}
        [error] = (await _policy(served, Role.AUDITOR, d=old))["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
