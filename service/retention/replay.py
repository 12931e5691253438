"""A keyring restored from its backup has keys again that were destroyed since: they are destroyed again.

What counts as destroyed is what the owner of the database wrote: ended purges, lifted holds, erased accounts. The
service's own roles can write none of these. Holds and accounts are taken from the ledger where there is one, because it
knows those that an older database does not.
"""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

import asyncpg

from policies.evidence.record import Record
from service.keyring import AccountKeyName, ErasureKeyName, HoldKeyName, Keyring, PeriodKeyName
from service.ledger import Ledger, LedgerDamagedError, read_record
from service.logs import get_logger
from service.retention.purge_runs import Runs

log = get_logger()

_LIFTED: Final = "SELECT id FROM hold WHERE lifted_at IS NOT NULL"
"""Holds that were lifted: their keys must be gone."""
_ERASED: Final = "SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NOT NULL"
"""Accounts whose erasure has ended: their keys must be gone."""


async def replay_tombstones(owner: asyncpg.Pool, keyring: Keyring, ledger: Ledger) -> int:
    """Destroy every key that is recorded as destroyed and has no tombstone in the keyring. Returns how many existed.

    Call it at the start, before anything is served.
    """
    known = set(await keyring.tombstones())
    forgotten = [name for name in await _destroyed(owner, ledger) if name not in known]
    if not forgotten:
        return 0
    destroyed = await keyring.replay(forgotten)
    if destroyed:
        log.warning("an older keyring was restored: what it brought back was destroyed again", keys=destroyed)
    return destroyed


async def _destroyed(owner: asyncpg.Pool, ledger: Ledger) -> list[str]:
    names = [str(PeriodKeyName(*key)) for key in await Runs(owner).destroyed_keys()]
    try:
        return sorted({*names, *_ended(await read_record(ledger))})
    except LedgerDamagedError as error:
        log.error("destroyed keys are taken from the tables alone", reason=str(error))
    names += [str(HoldKeyName(row["id"])) for row in await owner.fetch(_LIFTED)]
    return names + [str(AccountKeyName(row["account_id"])) for row in await owner.fetch(_ERASED)]


def _ended(record: Record) -> Iterator[str]:
    """The keys that the ledger says were destroyed, or whose hold, erasure or account has ended."""
    yield from record.destroyed
    for name, erasure in record.erasures.items():
        if erasure.rows is not None:
            if erasure.kind == "USER":
                yield str(ErasureKeyName(UUID(name)))
            if erasure.kind == "ACCOUNT" and erasure.account is not None:
                yield str(AccountKeyName(erasure.account))
    for name, hold in record.holds.items():
        if hold.lifted is not None:
            yield str(HoldKeyName(UUID(name)))
