"""The search of an erasure: every row of the account that names the person is rewritten without, batch by batch.

The plain id is sealed in the erasure's record under a key of its own, so that whoever comes after a crash can go on;
the record says which partitions are done, and how many rows were changed. At the end the key is destroyed: from then on
nobody can tell whom the erasure was about, from no copy of the database. Copies that holds have stay as they are: the
erasure is not done before those holds end.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from policies.policy.model import Store
from policies.redaction import Persons
from policies.retention import Partition
from service.aside import Aside
from service.logs import get_logger
from service.retention.context import RetentionContext
from service.retention.erasure.erased_person import open_person
from service.retention.erasure.erasure_record import RecordedErasure
from service.retention.erasure.named_rows import NamedRows
from service.retention.erasure.sealed_details import DetailKeys
from service.retention.holds.escrow import RowsToHold, Whose, copy_held
from service.retention.holds.holds import lock_holds
from service.retention.purge.planning import all_partitions
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
    """`done`: names of partitions; `holds`: those that have copies of rows that named the person."""

    done: set[str]
    holds: set[UUID]

    def encode(self) -> str:
        return orjson.dumps({"done": sorted(self.done), "holds": sorted(map(str, self.holds))}).decode()


async def search_rows(context: RetentionContext, erasure: RecordedErasure) -> set[UUID]:
    """Go on with the search until every row was looked at; the holds that still keep copies of rows that were changed.

    Killed at any point, the next call goes on behind the last partition that was done. Raises KeyringUnavailableError
    while the keyring is away.
    """
    state = await context.owner.fetchrow(_STATE, erasure.id)
    progress = _decode(state["search"]) if state is not None else _Progress(set(), set())
    if state is not None and state["sealed_user"] is not None:
        user = await open_person(context.keyring, erasure.id, state["sealed_user"])
        if user is None and not await _was_destroyed(context, erasure.id):
            log.error("whom an erasure is about cannot be read any more: ask for it again", erasure=str(erasure.id))
        elif user is not None and Persons((user,)):
            await _search(context, erasure, user, progress)
        # The key first: a record that still has the sealed id, and no key, says that the search is over.
        await context.keyring.destroy_erasure(erasure.id)
        await context.owner.execute(_END, erasure.id)
    kept = await context.owner.fetch(_STILL_KEPT, list(progress.holds))
    return {row["id"] for row in kept}


async def _was_destroyed(context: RetentionContext, erasure: UUID) -> bool:
    return f"erasure/{erasure}" in await context.keyring.tombstones()


async def _search(context: RetentionContext, erasure: RecordedErasure, user: str, progress: _Progress) -> None:
    keys: dict[int, DetailKeys] = {}
    aside = Aside()
    try:
        for part in await all_partitions(context.partitions):
            if part.store not in _STORES or part.name in progress.done:
                continue
            if part.tier not in keys:
                keys[part.tier] = DetailKeys(context.keyring, erasure.account_id, part.tier)
            rows = NamedRows(part, erasure.account_id, user, keys[part.tier])
            await _search_partition(context, erasure, rows, progress, aside)
            progress.done.add(part.name)
            await context.owner.execute(_SAVE, erasure.id, progress.encode(), 0)
    finally:
        aside.close()


async def _search_partition(
    context: RetentionContext, erasure: RecordedErasure, rows: NamedRows, progress: _Progress, aside: Aside
) -> None:
    page, after = await rows.page(context.owner, None)
    while page:
        named = list(await rows.naming(page, aside))
        if named:
            await _change(context, erasure, rows, named, progress, aside)
        page, after = await rows.page(context.owner, after) if after else ([], None)


async def _change(
    context: RetentionContext,
    erasure: RecordedErasure,
    rows: NamedRows,
    ids: list[UUID],
    progress: _Progress,
    aside: Aside,
) -> None:
    """Copy for holds what they name of these rows, and write the rows without the person: all of it or nothing."""
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        # Locked and looked at once more: a report may have completed one of them meanwhile.
        changed = await rows.naming(await rows.lock(connection, ids), aside)
        if not changed:
            return
        await _copy(context, connection, rows.part, Whose(erasure.account_id, ids=tuple(changed)))
        copied = await connection.fetch(_COPIED_BY[rows.part.store], erasure.account_id, list(changed))
        holds = progress.holds | {row["hold_id"] for row in copied}
        await rows.change(connection, changed)
        said = _Progress(progress.done, holds).encode()
        await connection.execute(_SAVE, erasure.id, said, len(changed))
    progress.holds = holds


async def _copy(context: RetentionContext, connection: Connection, part: Partition, whose: Whose) -> None:
    now = await connection.fetchval("SELECT now()")
    await copy_held(connection, context.keyring, RowsToHold(part.store, part.tier, part.start, part.end), now, whose)


def _decode(text: str | None) -> _Progress:
    said: dict[str, Any] = orjson.loads(text or "{}")
    return _Progress(set(said.get("done", ())), {UUID(one) for one in said.get("holds", ())})
