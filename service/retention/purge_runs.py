"""The records of purges: what each was to destroy, how far it came, and when the clock was last seen.

Only the owner writes them: tombstones are derived from them, and a statement that somebody smuggled into the service's
own connections must not be able to make one up. A purge that finds nothing due is recorded too, so that there is always
a recent time to compare the clock with. Such records in a row are one: planned at the first, finished at the last.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg

from policies.policy.model import Store
from policies.retention import KeyPeriod, Partition, PurgePlan
from service.keyring import PeriodKeyName, parse_name
from service.logs import get_logger
from service.retention.clock_guard import DIFFERENCE_MAX, GAP_MAX
from service.retention.errors import PurgeFailedError
from service.storage.connection import Connection, Queryable, record_of
from service.storage.database import uuid_of
from service.storage.partitions import named_by_us

log = get_logger()

SYSTEM = "system"
IDLE_ENTRY_EVERY: Final = timedelta(hours=23)
"""How long the ledger's last word on purges that find nothing due is good enough: about an entry a day."""


class PurgeState(StrEnum):
    """How far a purge came, in this order; every step between two states can be repeated."""

    REQUESTED = "REQUESTED"
    PLANNED = "PLANNED"
    HOLDS_CHECKED = "HOLDS_CHECKED"
    INTENT_LEDGERED = "INTENT_LEDGERED"
    KEYS_DESTROYED = "KEYS_DESTROYED"
    DETACHED = "DETACHED"
    DROPPED = "DROPPED"
    VERIFIED = "VERIFIED"
    DONE = "DONE"
    FAILED = "FAILED"


ENDED = (PurgeState.DONE, PurgeState.FAILED)
_COLUMNS: Final = (
    "id, state, plan_digest, plan, planned_at, finished_at, requested_by, keys_destroyed, rows_dropped, failure, "
    "rows_held_back, ledger_index"
)
_INSERT: Final = """
    INSERT INTO purge_run (id, state, plan_digest, plan, planned_at, requested_by, keys_destroyed, rows_dropped)
    VALUES ($1, $2, $3, $4, $5, $6, 0, 0)
"""
_SAVE: Final = """
    UPDATE purge_run
    SET state = $3, plan = $4, finished_at = $5, keys_destroyed = $6, rows_dropped = $7, failure = $8,
        rows_held_back = $9, ledger_index = $10, planned_at = $11
    WHERE id = $1 AND state = $2
    RETURNING id
"""
_UNFINISHED: Final = f"SELECT {_COLUMNS} FROM purge_run WHERE state <> ALL ($1::text[]) ORDER BY planned_at, id"  # noqa: S608
_IDLE: Final = """
    SELECT id, plan_digest, planned_at, requested_by, (
        SELECT calledger_leaf_moment(leaf)::timestamptz FROM ledger_entry WHERE index = ledger_index
    ) AS recorded_at
    FROM purge_run
    WHERE state = 'DONE' AND finished_at <= $1 AND planned_at <= $1
        AND plan -> 'partitions' = '[]' AND plan -> 'keys' = '[]'
        AND NOT coalesce((plan -> 'waits')::boolean OR (plan -> 'doubted')::boolean, false)
        AND planned_at = (SELECT max(planned_at) FROM purge_run WHERE planned_at <= $1)
    LIMIT 1
"""
_NEWEST: Final = f"SELECT {_COLUMNS} FROM purge_run ORDER BY planned_at DESC, id DESC LIMIT 1"  # noqa: S608
_ONE: Final = f"SELECT {_COLUMNS} FROM purge_run WHERE id = $1"  # noqa: S608
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM purge_run
    WHERE $1::timestamptz IS NULL OR (planned_at, id) < ($1, $2::uuid)
    ORDER BY planned_at DESC, id DESC LIMIT $3
"""  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM purge_run"
_DESTROYED: Final = f"SELECT {_COLUMNS} FROM purge_run WHERE keys_destroyed > 0"  # noqa: S608
# Of a purge that waited, the time of its plan was confirmed an hour later, and the time of its end was not. A purge
# that was named says nothing about the time, because it was carried out whatever the time was.
_LAST_SEEN: Final = """
    WITH trusted AS (
        SELECT state, planned_at, finished_at, coalesce((plan -> 'waits')::boolean, false) AS waited
        FROM purge_run
        WHERE NOT coalesce((plan -> 'doubted')::boolean OR (plan -> 'named')::boolean, false)
    )
    SELECT coalesce(max(moment), (SELECT max(created_at) FROM installation WHERE created_at <= $1)) FROM (
        SELECT max(finished_at) AS moment FROM trusted WHERE finished_at <= $1 AND NOT waited
        UNION ALL SELECT max(planned_at) FROM trusted
            WHERE planned_at <= $1 AND NOT (waited AND state IN ('REQUESTED', 'PLANNED', 'FAILED'))
    ) AS seen
"""
_DISTRUST: Final = """
    UPDATE purge_run SET plan = plan || '{"doubted": true}'
    WHERE (planned_at > $1 OR finished_at > $1) AND NOT coalesce((plan -> 'doubted')::boolean, false)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One purge as it is recorded. Its partitions have their exact rows once they are counted, estimates before.

    - `waits`: the purge is, or was, postponed because the clock had jumped
    - `doubted`: one of its times turned out to be wrong
    - `spared`: names of what was planned and is no longer due, since the policy changed meanwhile
    - `named`: somebody named its digest, so that it does not wait for a change of policy to settle
    - `holds`: the holds that were active when they were checked
    """

    id: UUID
    state: PurgeState
    plan: PurgePlan
    digest: str
    planned_at: datetime
    requested_by: str
    finished_at: datetime | None = None
    keys_destroyed: int = 0
    rows_dropped: int = 0
    failure: str | None = None
    waits: bool = False
    spared: tuple[str, ...] = ()
    named: bool = False
    holds: tuple[str, ...] = ()
    rows_held_back: int = 0
    ledger_index: int | None = None
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class IdlePurges:
    """The record of purges in a row that found nothing due. `recorded_at`: when an entry of the ledger last said so."""

    id: UUID
    digest: str
    planned_at: datetime
    requested_by: str
    recorded_at: datetime | None


class Runs:
    """The records of one database.

    Writing needs the owner's connections; `newest`, `get`, `page` and `count` work with a reader's too.
    """

    def __init__(self, owner: Queryable) -> None:
        self._owner = owner

    async def begin(
        self,
        plan: PurgePlan,
        *,
        now: datetime,
        requested_by: str,
        waits: bool = False,
        named: bool = False,
        state: PurgeState = PurgeState.PLANNED,
    ) -> Run:
        """Record a purge that is to be carried out, and return it."""
        run = Run(uuid4(), state, plan, plan.digest(), now, requested_by, waits=waits, named=named)
        await self._owner.execute(_INSERT, run.id, run.state, run.digest, encode(run), now, requested_by)
        return run

    async def save(
        self,
        run: Run,
        *,
        expected: PurgeState,
        connection: Connection | None = None,
        **changes: Any,  # noqa: ANN401 - fields of Run
    ) -> Run:
        """Write `changes` of `run`, and return the run to continue with.

        PurgeFailedError when the record has left the state `expected`: then another process carries it out.
        """
        run = replace(run, **changes)
        written = await (connection or self._owner).fetchval(
            _SAVE,
            run.id,
            expected,
            run.state,
            encode(run),
            run.finished_at,
            run.keys_destroyed,
            run.rows_dropped,
            run.failure,
            run.rows_held_back,
            run.ledger_index,
            run.planned_at,
        )
        if not written:
            raise PurgeFailedError(f"the purge `{run.id}` is carried out by somebody else")
        return run

    async def unfinished(self) -> list[Run]:
        """The purges that were begun and not ended, oldest first."""
        found = []
        for row in await self._owner.fetch(_UNFINISHED, list(ENDED)):
            try:
                found.append(decode(row))
            except PurgeFailedError as error:
                # An unreadable record must not stop all later purges.
                log.error("a purge cannot be carried out", run=str(row["id"]))
                statement = "UPDATE purge_run SET state = 'FAILED', failure = $2 WHERE id = $1"
                await self._owner.execute(statement, row["id"], str(error))
        return found

    async def note_delay(self, run: Run, reason: str) -> None:
        """Record why a purge could not go on for now; the end of the purge clears it."""
        statement = "UPDATE purge_run SET failure = $3 WHERE id = $1 AND state = $2"
        await self._owner.execute(statement, run.id, run.state, reason)

    async def note_nothing_due(self, now: datetime, *, requested_by: str) -> IdlePurges:
        """Record that at `now` nothing was due."""
        last = await self._owner.fetchrow(_IDLE, now)
        if last is not None:
            await self._owner.execute("UPDATE purge_run SET finished_at = $2 WHERE id = $1", last["id"], now)
            return IdlePurges(
                uuid_of(last["id"]), last["plan_digest"], last["planned_at"], last["requested_by"], last["recorded_at"]
            )
        run = await self.begin(PurgePlan(), now=now, requested_by=requested_by)
        await self.save(run, expected=PurgeState.PLANNED, state=PurgeState.DONE, finished_at=now)
        return IdlePurges(run.id, run.digest, now, requested_by, None)

    async def note_entry(self, id_: UUID, index: int | None) -> None:
        """Write down which entry of the ledger speaks of a record that nothing was due."""
        await self._owner.execute("UPDATE purge_run SET ledger_index = $2 WHERE id = $1", id_, index)

    async def last_seen(self, now: datetime) -> datetime:
        """The latest trusted time that is not after `now`: of a purge, else of the installation, else `now` itself.

        A time that was refused, or found wrong, is not trusted.
        """
        return await self._owner.fetchval(_LAST_SEEN, now) or now

    async def clock_is_untrusted(self, now: datetime) -> bool:
        """Whether no record confirms `now`: more than a day has passed since the latest trusted time."""
        return now - await self.last_seen(now) > GAP_MAX

    async def distrust_later_than(self, now: datetime) -> None:
        """Mark every recorded time after `now` as wrong: it will not be trusted when its time comes."""
        await self._owner.execute(_DISTRUST, now + DIFFERENCE_MAX)

    async def destroyed_keys(self) -> list[KeyPeriod]:
        """Every period key that a recorded purge has destroyed."""
        keys: set[KeyPeriod] = set()
        for row in await self._owner.fetch(_DESTROYED):
            try:
                keys.update(decode(row).plan.keys)
            except PurgeFailedError:
                log.error("the keys that a purge destroyed cannot be read", run=str(row["id"]))
        return sorted(keys)

    async def newest(self) -> Run | None:
        """The purge that was planned last; None without any."""
        row = await self._owner.fetchrow(_NEWEST)
        return None if row is None else decode(row)

    async def get(self, id_: UUID) -> Run | None:
        """The purge with this id; None when there is none."""
        row = await self._owner.fetchrow(_ONE, id_)
        return None if row is None else decode(row)

    async def page(self, size: int, after: tuple[datetime, UUID] | None = None) -> list[Run]:
        """A page of at most `size` purges, newest first, after the position `after`."""
        moment, id_ = after or (None, None)
        return [decode(row) for row in await self._owner.fetch(_PAGE, moment, id_, size)]

    async def count(self) -> int:
        """The number of recorded purges."""
        return await self._owner.fetchval(_COUNT)


def encode(run: Run) -> str:
    """The plan and marks of a run as JSON text, as they are stored."""
    stored = {
        "partitions": [
            {
                "store": part.store.value,
                "name": part.name,
                "tier": part.tier,
                "from": part.start.isoformat(),
                "to": part.end.isoformat(),
                "rows": part.rows_estimate,
                "bytes": part.bytes,
            }
            for part in run.plan.partitions
        ],
        "keys": [list(key) for key in run.plan.keys],
        "waits": run.waits,
        "spared": list(run.spared),
        "named": run.named,
        "holds": list(run.holds),
        "doubted": run.doubted,
    }
    return json.dumps(stored)


def decode(row: asyncpg.Record) -> Run:
    """The run in its row. PurgeFailedError when the row is not one that this program wrote."""
    try:
        stored: Mapping[str, Any] = json.loads(row["plan"])
        plan = PurgePlan(tuple(_partitions(stored["partitions"])), tuple(KeyPeriod(*key) for key in stored["keys"]))
        waits, spared = bool(stored["waits"]), tuple(stored["spared"])
        named, holds = bool(stored.get("named", False)), tuple(stored.get("holds", ()))
        doubted = bool(stored.get("doubted", False))
        state = PurgeState(row["state"])
        for key in plan.keys:
            parse_name(str(PeriodKeyName(*key)))
    except (KeyError, TypeError, ValueError):
        raise PurgeFailedError(f"the record of the purge `{row['id']}` cannot be read") from None
    return record_of(
        Run,
        row,
        id=uuid_of(row["id"]),
        state=state,
        plan=plan,
        digest=row["plan_digest"],
        waits=waits,
        spared=spared,
        named=named,
        holds=holds,
        doubted=doubted,
    )


def _partitions(stored: Iterable[Mapping[str, Any]]) -> Iterable[Partition]:
    for part in stored:
        start, end = datetime.fromisoformat(part["from"]), datetime.fromisoformat(part["to"])
        partition = Partition(Store(part["store"]), part["name"], part["tier"], start, end, part["rows"], part["bytes"])
        if not named_by_us(partition):
            raise ValueError(partition.name)
        yield partition
