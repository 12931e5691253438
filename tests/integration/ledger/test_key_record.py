"""Every key stands in the ledger: made, destroyed, or gone without us."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import asyncpg
from keyring_folder import slot_of
from retaining import NOW, YOUNG, RetainedLedger, failed

from policies.evidence import read_leaf
from service.keyring import PeriodKeyName
from service.retention.audit.key_record import record_keys
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.maintenance import maintain

PAST = NOW - timedelta(days=100)


async def recorded(retained: RetainedLedger, kind: str) -> list[str]:
    leaves = await retained.column("SELECT leaf FROM ledger_entry WHERE kind = $1 ORDER BY index", kind)
    return [name for leaf in leaves for name in read_leaf(leaf).facts["keys"]]


async def test_a_key_that_was_made_is_written_down_once(retained: RetainedLedger) -> None:
    """A round of maintenance names the keys of periods and accounts that were made since, and the next adds nothing."""
    await retained.report(failed("a", YOUNG, user="u1"))
    assert await maintain(retained.retention)

    made = [f"account/{await retained.value('SELECT min(id) FROM account')}", f"period/1/personal/{YOUNG:%Y-%m-%d}"]
    assert await recorded(retained, "KEY_CREATED") == made
    assert await asyncio.gather(*(record_keys(retained.retention) for _ in range(3))) == [0, 0, 0]
    await retained.report(failed("b", YOUNG, account="other"))
    assert await record_keys(retained.retention) == 1
    assert len(await recorded(retained, "KEY_CREATED")) == 3


async def test_services_at_once_write_a_key_down_once(retained: RetainedLedger) -> None:
    """Of several that look at the same moment one writes."""
    await retained.report(failed("a", YOUNG, user="u1"))
    assert sum(await asyncio.gather(*(record_keys(retained.retention) for _ in range(3)))) == 2
    assert len(await recorded(retained, "KEY_CREATED")) == 2


async def test_a_key_that_is_gone_without_us_is_lost_and_can_come_back(
    retained: RetainedLedger, tmp_path: Path
) -> None:
    """A key file that somebody deleted is written down as lost, once; restored, the key is there again."""
    await retained.report(failed("a", YOUNG, user="u1"))
    await record_keys(retained.retention)
    path = slot_of(tmp_path / "keyring", PeriodKeyName(1, "personal", f"{YOUNG:%Y-%m-%d}"))
    kept = path.read_bytes()
    path.unlink()
    for _ in range(2):
        await record_keys(retained.retention)
    assert await recorded(retained, "KEY_LOST") == [f"period/1/personal/{YOUNG:%Y-%m-%d}"]

    path.write_bytes(kept)
    assert await record_keys(retained.retention) == 1
    assert await record_keys(retained.retention) == 0
    again = [f"period/1/personal/{YOUNG:%Y-%m-%d}"]
    assert (await recorded(retained, "KEY_CREATED"))[2:] == again


async def test_destroyed_keys_are_written_down_once_and_never_lost(retained: RetainedLedger) -> None:
    """A purge names the keys of periods, a round of maintenance those of erased accounts and of lifted holds."""
    await retained.report(failed("a", PAST, user="u1"), failed("b", YOUNG, account="other"))
    await record_keys(retained.retention)
    await retained.purge()
    kind = ErasureKind.ACCOUNT
    await request_erasure(retained.retention, kind=kind, account="other", user=None, reason="letter", actor="cli")
    number = await retained.value("SELECT account_id FROM erasure")
    for _ in range(2):
        await record_keys(retained.retention)

    assert await recorded(retained, "KEY_DESTROYED") == [f"period/1/personal/{PAST:%Y-%m-%d}", f"account/{number}"]
    assert await recorded(retained, "KEY_LOST") == []
    assert await retained.findings() == {}


async def test_keys_are_not_packed_under_an_older_service(
    retained: RetainedLedger, tmp_path: Path, database_url: str
) -> None:
    """While a service of an earlier version runs, which would miss packed keys, maintenance packs none."""
    path = tmp_path / "keyring" / "keyring.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    older = await asyncpg.connect(database_url, server_settings={"application_name": "calledger maintenance"})
    await maintain(retained.retention)
    assert json.loads(path.read_text())["format"] == 2

    await older.close()
    await maintain(retained.retention)
    assert json.loads(path.read_text())["format"] == 3
