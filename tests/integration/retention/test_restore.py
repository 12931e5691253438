"""Crypto-shredding with PostgreSQL's own backups: what was purged cannot be read from a dump that was taken before."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from conftest import Server
from dumping import pg
from retaining import NOW, SHORT, YOUNG, RetainedLedger, failed
from rows import SeededLedger

from policies.envelope import OpenError, SealContext, data_key, open_sealed
from policies.policy.model import Role
from policies.policy.views import view_table
from service.keyring import AccountKeyName, KeyDestroyedError, PeriodKeyName, open_keyring
from service.ledger import Ledger
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.retention.context import RetentionContext
from service.retention.errors import PurgeClockError
from service.retention.holds.holds import lift_hold
from service.retention.maintenance import maintain
from service.retention.purge.planning import plan_purge
from service.retention.purge.runner import run_purge
from service.retention.replay import replay_tombstones
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.partitions import Partitions

PAST = NOW - timedelta(days=100)
SEALED = "SELECT account_id, occurred_at, id, sealed FROM call_error WHERE occurred_at < $1"


@asynccontextmanager
async def restored(retained: RetainedLedger, url: str) -> AsyncIterator[RetentionContext]:
    """The restored database with the keyring as it is now."""
    database, retention = await Database.open(url), retained.retention
    try:
        yield replace(
            retention,
            database=database,
            partitions=Partitions(database.owner),
            accounts=Accounts(1),
            ledger=Ledger(database, retention.keyring, retained.ledger.database_id),
        )
    finally:
        await database.close()


@pytest.mark.plain("restores a dump: a cluster is restored node by node, from their WAL")
async def test_a_dump_from_before_the_purge_cannot_be_opened(
    retained: RetainedLedger, embedded_18: Server, tmp_path: Path
) -> None:
    """Sealed values of a restored dump open with nothing that is left; the young ones still do.

    What is past its window is not served by the restored database, and purged from it again.
    """
    await retained.report(failed("past", PAST, user="u1"), failed("young", YOUNG, user="u1"))
    dump = tmp_path / "before.dump"
    await pg(embedded_18, "pg_dump", retained.ingest.url, "-Fc", "-f", dump)
    (row,) = await retained.ingest.fetch(SEALED, PAST + timedelta(days=1))
    day = f"{PAST:%Y-%m-%d}"
    period_key = await retained.retention.keyring.key(PeriodKeyName(1, "personal", day), mint=False)
    (run,) = await retained.purge()
    assert run.keys_destroyed == 1

    with embedded_18.database() as url:
        await pg(embedded_18, "pg_restore", url, dump)
        async with restored(retained, url) as retention:
            (again,) = await retention.owner.fetch(SEALED, PAST + timedelta(days=1))
            assert again["sealed"] == row["sealed"]
            with pytest.raises(KeyDestroyedError):
                await retention.keyring.key(PeriodKeyName(1, "personal", day), mint=True)
            await no_other_key_opens(retention, again)
            # With the destroyed key it would have opened: the dump is what it was, only the key is gone.
            assert await opens(retention, again, period_key)
            await nothing_past_is_served(retention)
            await purged_again(retention)


async def opens(retention: RetentionContext, row, period_key: bytes) -> bool:
    account_key = await retention.keyring.key(AccountKeyName(row["account_id"]), mint=False)
    place = SealContext(row["account_id"], "call_error", row["id"].bytes, f"{row['occurred_at']:%Y-%m-%d}", "personal")
    try:
        open_sealed(row["sealed"], data_key=data_key(period_key, account_key), context=place)
    except OpenError:
        return False
    return True


async def no_other_key_opens(retention: RetentionContext, row) -> None:
    for name in await retention.keyring.periods():
        assert not await opens(retention, row, await retention.keyring.key(PeriodKeyName(*name), mint=False))


async def nothing_past_is_served(retention: RetentionContext) -> None:
    """No list shows the old error, nor does the call that it belongs to."""
    await retention.accounts.refresh()
    reader = await Reader.open(retention.database, retention.accounts, retention.keyring)
    scope = Scope("testkey2", Role.ADMIN, None, SHORT, view_table(SHORT, Role.ADMIN))
    seeded = SeededLedger(
        retention.database, retention.accounts, retention.keyring, SHORT, retention.partitions, reader
    )
    data = await seeded.data(
        "{ errors { nodes { type message } } calls { nodes { sourceId error { message } } } }", scope
    )
    # The call itself is within its 400 days; its error is not.
    assert [(node["sourceId"], node["error"] is None) for node in data["calls"]["nodes"]] == [
        ("young", False),
        ("past", True),
    ]
    assert len(data["errors"]["nodes"]) == 1
    assert "young" in data["errors"]["nodes"][0]["message"]


async def purged_again(retention: RetentionContext) -> None:
    """The old error partition is due at once; after the wait that a restored clock record asks for, it is dropped."""
    (due,) = (await plan_purge(retention)).partitions
    assert due.end <= NOW - timedelta(days=30)
    try:
        (run,) = await run_purge(retention)
    except PurgeClockError:
        (run,) = await run_purge(retention, plan_digest=(await plan_purge(retention)).digest())
    assert run.rows_dropped == 1
    assert await retention.owner.fetchval("SELECT count(*) FROM call_error") == 1


async def test_a_database_that_forgot_an_erasure_says_so(retained: RetainedLedger) -> None:
    """What the ledger has and the database has not, as after a restore, is a finding that names it."""
    await retained.report(failed("a", YOUNG, user="u1"))
    hold = await retained.hold()
    await lift_hold(retained.retention, hold.id, reason="settled", actor="cli")
    assert await retained.findings() == {}
    await retained.ingest.database.owner.execute("DELETE FROM hold")
    assert str(hold.id) in (await retained.findings())["record"]


async def test_an_old_keyring_and_the_present_database(retained: RetainedLedger, tmp_path: Path) -> None:
    """Keys that come back with the keyring's backup are destroyed before anything is served."""
    await retained.report(failed("past", PAST, user="u1"))
    shutil.copytree(tmp_path / "keyring", tmp_path / "copy")
    await retained.purge()
    old = await open_keyring(f"file:{tmp_path / 'copy'}", f"file:{tmp_path / 'kek'}", create=False)
    assert PeriodKeyName(1, "personal", f"{PAST:%Y-%m-%d}") in await old.periods()
    assert await maintain(replace(retained.retention, keyring=old))
    assert await old.periods() == await retained.retention.keyring.periods()
    assert await replay_tombstones(retained.retention.owner, old, retained.ledger) == 0
    await old.close()
