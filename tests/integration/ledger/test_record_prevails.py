"""Where a table says other than the ledger, the ledger is obeyed: keys, holds, purges and accounts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from http_server import Served, serve
from ingesting import call
from manipulating import KEY, Case, delete_hold, lift_behind, narrow_hold, shorten_hold
from retaining import OLD
from rows import open_seeded

from policies import Role
from policies.evidence import LedgerKind
from service.access.keys import mac_digest, new_key
from service.ledger import read_record
from service.retention.account_names import record_accounts
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.holds.hold_condition import open_condition
from service.retention.holds.holds import lift_hold, release_lifted


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with open_seeded(database_url, tmp_path) as seeded, serve(seeded) as served:
        yield served


async def role_of(served: Served, key: str) -> str | int:
    """The role under which a key is served, or the status by which it is refused."""
    served.runtime.authenticator.forget()
    headers, body = {"Authorization": f"Bearer {key}"}, {"query": "{ viewer { role } }"}
    async with served.session.post(served.url, json=body, headers=headers) as response:
        return (await response.json())["data"]["viewer"]["role"] if response.status == 200 else response.status


async def test_a_revoked_key_stays_revoked(served: Served) -> None:
    """Whatever the table says afterwards: made live again, or put back by an older backup of it."""
    key = await served.key(Role.VIEWER)
    prefix, owner = key.split("_")[1], served.runtime.database.owner
    assert await role_of(served, key) == "VIEWER"
    await served.runtime.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": prefix}, actor="cli")
    assert await role_of(served, key) == 401
    await owner.execute("UPDATE api_key SET revoked_at = NULL WHERE prefix = $1", prefix)
    assert await role_of(served, key) == 401


async def test_a_role_is_the_one_of_the_ledger(served: Served) -> None:
    """An auditor who is made an admin in the table is an auditor; neither more accounts nor a longer life are had."""
    ends = datetime.now(UTC) - timedelta(seconds=1)
    owner = served.runtime.database.owner
    auditor, expired = await served.key(Role.AUDITOR), await served.key(Role.VIEWER, expires_at=ends)
    await owner.execute("UPDATE api_key SET role = 'admin', expires_at = NULL")
    assert await role_of(served, auditor) == "AUDITOR"
    assert await role_of(served, expired) == 401


async def test_a_key_that_no_entry_made_is_none(served: Served) -> None:
    """A row that somebody wrote into the table opens nothing, nor does another secret under a prefix that is known."""
    key, other = new_key(served.pepper), new_key(served.pepper)
    owner = served.runtime.database.owner
    await owner.execute(KEY, key.prefix, "admin", key.mac)
    assert await role_of(served, key.text) == 401
    known = (await served.key(Role.VIEWER)).split("_")[1]
    await owner.execute("DELETE FROM api_key WHERE prefix = $1", known)
    await owner.execute(KEY, other.prefix, "viewer", other.mac)
    facts = {"key": other.prefix, "role": "viewer", "accounts": None, "expires_at": None, "mac": mac_digest(bytes(32))}
    await served.runtime.ledger.append(LedgerKind.API_KEY_CREATED, facts, actor="cli")
    assert await role_of(served, other.text) == 401


async def test_the_accounts_of_a_key_are_those_of_the_ledger(served: Served) -> None:
    """A key that is unbound in the table sees no more accounts than it was made for."""
    key = await served.key(Role.VIEWER, 1)
    await served.runtime.database.owner.execute("UPDATE api_key SET accounts = NULL")
    principal = await served.runtime.authenticator.authenticate(f"Bearer {key}")
    assert principal.accounts == (1,)


@pytest.mark.parametrize("manipulate", [delete_hold, lift_behind, shorten_hold, narrow_hold])
async def test_a_hold_keeps_what_it_names_whatever_the_table_says(
    case: Case, manipulate: Callable[[Case], Awaitable[None]]
) -> None:
    """The purge puts the hold back as the ledger has it before it destroys anything, and writes that down."""
    retained = case.retained
    await retained.report(call("older", started_at=(OLD - timedelta(days=30)).isoformat(), account="acme", model="m"))
    await manipulate(case)
    await release_lifted(retained.retention)
    await retained.purge()

    kept = await retained.column("SELECT source_id FROM call_held WHERE hold_id::text = $1", case.hold)
    assert "older" in kept
    assert await retained.value(
        "SELECT lifted_at IS NULL AND expires_at IS NULL FROM hold WHERE id::text = $1", case.hold
    )
    assert "HOLD_RESTORED" in await retained.kinds()
    restored = (await retained.kinds()).count("HOLD_RESTORED")
    await retained.purge()
    assert (await retained.kinds()).count("HOLD_RESTORED") == restored
    row = (await retained.ingest.fetch("SELECT name, owner, reason, model FROM hold WHERE id::text = $1", case.hold))[0]
    assert tuple(row) == ("case 17", "counsel", "suit", "m")
    assert not {"hold record", "holds"} & (await case.fsck()).keys()


async def test_a_deleted_hold_comes_back_exactly_and_keeps_no_more(case: Case) -> None:
    """Model, API key and calls are under seal in its entry: what it did not name dies on time, and so does the seal."""
    retained = case.retained
    older = (OLD - timedelta(days=30)).isoformat()
    await retained.report(
        call("named", started_at=older, account="acme", model="mx", api_key="k1"),
        call("not named", started_at=older, account="acme", model="mx", api_key="k2"),
    )
    ids = await retained.column("SELECT account_id, started_at, id FROM call WHERE source_id = 'named'")
    assert ids
    hold = await retained.hold(model="mx", api_key="k1")
    await case.sql("DELETE FROM hold WHERE id = $1", hold.id)
    await retained.purge()
    assert await retained.column("SELECT source_id FROM call_held WHERE hold_id = $1", hold.id) == ["named"]
    assert not {"hold record", "holds"} & (await case.fsck()).keys()

    record = (await read_record(retained.ledger)).holds[str(hold.id)]
    assert "mx" not in str(record.facts) and "k1" not in str(record.facts)
    await lift_hold(retained.retention, hold.id, reason="over", actor="cli")
    assert await open_condition(retained.retention.keyring, hold.id, record.facts) is None


async def test_when_the_last_purge_ended_is_the_ledgers_word(case: Case) -> None:
    """The statement does not rest on a row that anybody could write; an entry a day says that nothing was due."""
    title = "PCI DSS v4 requirement 3.2.1, verified at least every three months"
    await case.sql("UPDATE purge_run SET finished_at = now() - interval '200 days'")
    assert title not in await case.attested()

    kinds = await case.retained.kinds()
    for _ in range(3):
        await case.retained.purge()
    assert (await case.retained.kinds()).count("NOTHING_DUE") <= kinds.count("NOTHING_DUE") + 1


async def test_an_account_is_named_once_and_an_erased_one_by_nobody(case: Case) -> None:
    """The round after adds nothing; of an erased account neither name nor salt is left, and nothing is amiss."""
    assert await record_accounts(case.retained.retention) == 0
    wanted = {"account": "globex", "user": None, "reason": "ended", "actor": "cli"}
    await request_erasure(case.retained.retention, kind=ErasureKind.ACCOUNT, **wanted)
    assert await case.retained.value("SELECT count(*) FROM account WHERE name_salt IS NULL AND name ~ 'erased'") == 1
    assert await case.fsck() == {}
    await case.sql("UPDATE account SET name = 'globex' WHERE name ~ 'erased'")
    assert "was erased, and has a name here" in (await case.fsck())["accounts"]
