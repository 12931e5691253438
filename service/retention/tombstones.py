"""A keyring restored from its backup has keys again that were destroyed since: they are destroyed again."""

from service.keyring import Keyring, PeriodKeyName
from service.logs import get_logger
from service.retention.runs import destroyed_keys

log = get_logger()


async def replay_tombstones(keyring: Keyring) -> int:
    """Destroy every period key that a recorded purge has destroyed and the keyring does not know to be. How many.

    Call it at start, before anything is opened with the keyring.
    """
    known = set(await keyring.tombstones())
    forgotten = [name for key in await destroyed_keys() if (name := str(PeriodKeyName(*key))) not in known]
    if not forgotten:
        return 0
    destroyed = await keyring.replay(forgotten)
    log.warning("an older keyring was restored: what it brought back was destroyed again", keys=destroyed)
    return destroyed
