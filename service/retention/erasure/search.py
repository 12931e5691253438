"""The search of an erasure: every row of the account that names the person is rewritten without the name, batch by
batch.

The plain id is sealed in the erasure's record under a key of its own, so that any process can continue after a crash;
the record says which partitions are done, and how many rows were changed. At the end the key is destroyed: from then on
no copy of the database shows whom the erasure was about. Copies that holds have stay as they are: the erasure is not
done before those holds end.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from policies.policy.model import Store
from policies.redaction import Persons
from policies.retention import Partition
from service.keyring import ErasureKeyName
from service.logs import get_logger
from service.offload import OffloadThread
from service.retention.context import RetentionContext
from service.retention.erasure.billing_names import forget_billing_names
from service.retention.erasure.erased_person import open_person
from service.retention.erasure.erasure_record import StoredErasure
from service.retention.erasure.named_rows import NamedRows
from service.retention.erasure.sealed_details import DetailKeys
from service.retention.erasure.tag_values import forget_tag_values
from service.retention.holds.escrow import RowFilter, RowsToHold, copy_held
from service.retention.holds.holds import lock_holds
from service.retention.purge.planning import all_partitions
from service.retention.rollups.unsummed import look_again, make_tag_sums_of
from service.storage.connection import Connection

log = get_logger()

_STORES: Final = (Store.CALL, Store.CALL_ERROR)
_STATE: Final = "SELECT sealed_user, search FROM erasure WHERE id = $1"
_SAVE: Final = "UPDATE erasure SET search = $2::jsonb, rows = rows + $3 WHERE id = $1"
_END: Final = "UPDATE erasure SET sealed_user = NULL WHERE id = $1"
_COPIED_BY: Final = {
    Store.CALL: "SELECT DISTINCT hold_id FROM call_held WHERE account_id = $1 AND id = ANY ($2::uuid[])",
    Store.CALL_ERROR: "SELECT DISTINCT hold_id FROM call_error_held WHERE account_id = $1 AND id = ANY ($2::uuid[])",
}
_STILL_KEPT: Final = "SELECT id FROM hold WHERE id = ANY ($1::uuid[]) AND released_at IS NULL"


@dataclass(slots=True)
class _Progress:
    """`done`: names of the partitions that were searched; `holds`: those that have copies of rows that named the
    person.
    """

    done: set[str]
    holds: set[UUID]

    def encode(self) -> str:
        """The progress as JSON text, as the row stores it."""
        return orjson.dumps({"done": sorted(self.done), "holds": sorted(map(str, self.holds))}).decode()


async def search_rows(context: RetentionContext, erasure: StoredErasure) -> set[UUID]:
    """Continue the search until every row was read; returns the holds that still keep copies of rows that were changed.

    After a crash the next call continues after the last partition that was done. Raises KeyringUnavailableError.
    """
    state = await context.owner.fetchrow(_STATE, erasure.id)
    progress = _decode(state["search"]) if state is not None else _Progress(set(), set())
    if state is not None and state["sealed_user"] is not None:
        user = await open_person(context.keyring, erasure.id, state["sealed_user"])
        if user is None and not await _was_destroyed(context, erasure.id):
            log.error("whom an erasure is about cannot be read any more: ask for it again", erasure=str(erasure.id))
        elif user is not None and Persons((user,)):
            await _search(context, erasure, user, progress)
        # The key is destroyed first: a record that still has the sealed id, and no key, means that the search is over.
        await context.keyring.destroy([ErasureKeyName(erasure.id)])
        await context.owner.execute(_END, erasure.id)
    kept = await context.owner.fetch(_STILL_KEPT, list(progress.holds))
    return {row["id"] for row in kept}


async def _was_destroyed(context: RetentionContext, erasure: UUID) -> bool:
    return f"erasure/{erasure}" in await context.keyring.tombstones()


async def _search(context: RetentionContext, erasure: StoredErasure, user: str, progress: _Progress) -> None:
    keys: dict[int, DetailKeys] = {}
    aside = OffloadThread()
    try:
        made = await make_tag_sums_of(context.owner, erasure.account_id)
        for part in await all_partitions(context.partitions):
            if part.store not in _STORES or part.name in progress.done:
                continue
            if part.tier not in keys:
                keys[part.tier] = DetailKeys(context.keyring, erasure.account_id, part.tier)
            rows = NamedRows(part, erasure.account_id, user, keys[part.tier])
            await _search_partition(context, erasure, rows, progress, aside)
            progress.done.add(part.name)
            await context.owner.execute(_SAVE, erasure.id, progress.encode(), 0)
        rows, holds = await forget_billing_names(context, erasure.account_id, Persons((user,)))
        await forget_tag_values(context, erasure.account_id, Persons((user,)))
        await look_again(context.owner, made)
        progress.holds |= holds
        await context.owner.execute(_SAVE, erasure.id, progress.encode(), rows)
    finally:
        aside.close()


async def _search_partition(
    context: RetentionContext, erasure: StoredErasure, rows: NamedRows, progress: _Progress, aside: OffloadThread
) -> None:
    page, after = await rows.page(context.owner, None)
    while page:
        named = list(await rows.naming(page, aside))
        if named:
            await _change(context, erasure, rows, named, progress, aside)
        page, after = await rows.page(context.owner, after) if after else ([], None)


async def _change(
    context: RetentionContext,
    erasure: StoredErasure,
    rows: NamedRows,
    ids: list[UUID],
    progress: _Progress,
    aside: OffloadThread,
) -> None:
    """Copy for holds what they name of these rows, and write the rows without the person, in one transaction."""
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        # Locked and read again, because a report may have completed one of them meanwhile.
        changed = await rows.naming(await rows.lock(connection, ids), aside)
        if not changed:
            return
        await _copy(context, connection, rows.part, RowFilter(erasure.account_id, ids=tuple(changed)))
        copied = await connection.fetch(_COPIED_BY[rows.part.store], erasure.account_id, list(changed))
        holds = progress.holds | {row["hold_id"] for row in copied}
        await rows.change(connection, changed)
        saved = _Progress(progress.done, holds).encode()
        await connection.execute(_SAVE, erasure.id, saved, len(changed))
    progress.holds = holds


async def _copy(context: RetentionContext, connection: Connection, part: Partition, only: RowFilter) -> None:
    """Copy for the holds in force what they cover of these rows, before the rows are changed."""
    now = await connection.fetchval("SELECT now()")
    await copy_held(connection, context.keyring, RowsToHold(part.store, part.tier, part.start, part.end), now, only)


def _decode(text: str | None) -> _Progress:
    saved: dict[str, Any] = orjson.loads(text or "{}")
    return _Progress(set(saved.get("done", ())), {UUID(one) for one in saved.get("holds", ())})
