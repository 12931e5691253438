"""A keyring restored from its backup has keys again that were destroyed since: they are destroyed again.

What counts as destroyed is what the owner of the database wrote: ended purges, lifted holds, erased accounts. The
service's own roles can write none of these.
"""

from typing import Final

import asyncpg

from service.keyring import AccountKeyName, HoldKeyName, Keyring, PeriodKeyName
from service.logs import get_logger
from service.retention.runs import Runs

log = get_logger()

_LIFTED: Final = "SELECT id FROM hold WHERE lifted_at IS NOT NULL"
_ERASED: Final = "SELECT account_id FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NOT NULL"


async def replay_tombstones(owner: asyncpg.Pool, keyring: Keyring) -> int:
    """Destroy every key that is on record as destroyed and that the keyring does not know to be. How many were here.

    Call it at start, before anything is served.
    """
    known = set(await keyring.tombstones())
    forgotten = [name for name in await _destroyed(owner) if name not in known]
    if not forgotten:
        return 0
    destroyed = await keyring.replay(forgotten)
    log.warning("an older keyring was restored: what it brought back was destroyed again", keys=destroyed)
    return destroyed


async def _destroyed(owner: asyncpg.Pool) -> list[str]:
    names = [str(PeriodKeyName(*key)) for key in await Runs(owner).destroyed_keys()]
    names += [str(HoldKeyName(row["id"])) for row in await owner.fetch(_LIFTED)]
    return names + [str(AccountKeyName(row["account_id"])) for row in await owner.fetch(_ERASED)]
