"""The record of purges: what each was to destroy, how far it came, and when the clock was last seen.

A purge that finds nothing due is recorded too, so that there is always a recent moment to hold the clock against.
Such records in a row are one: planned at the first, finished at the last.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from policies.model import Store
from policies.retention import KeyPeriod, Partition, PurgePlan
from service.keyring import PeriodKeyName, parse_name
from service.logs import get_logger
from service.retention.errors import PurgeFailedError
from service.storage.models import Installation, PurgeRun
from service.storage.partitions import named_by_us

log = get_logger()

SYSTEM = "system"


class PurgeState(StrEnum):
    """How far a purge came, in this order; every step between two states can be repeated."""

    PLANNED = "PLANNED"
    KEYS_DESTROYED = "KEYS_DESTROYED"
    DETACHED = "DETACHED"
    DROPPED = "DROPPED"
    VERIFIED = "VERIFIED"
    DONE = "DONE"
    FAILED = "FAILED"


ENDED = (PurgeState.DONE, PurgeState.FAILED)


@dataclass(frozen=True, slots=True)
class Run:
    """One purge as it is recorded. `partitions` carry their exact rows once they are counted, estimates before.

    `waits` is set while the purge is put off because the clock had jumped; `spared` names what was planned and is no
    longer due, since the policy changed under the purge.
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


async def begin(plan: PurgePlan, *, now: datetime, requested_by: str, waits: bool) -> Run:
    """Record a purge that is to be carried out."""
    run = Run(uuid4(), PurgeState.PLANNED, plan, plan.digest(), now, requested_by, waits=waits)
    await PurgeRun.create(
        id=run.id,
        state=run.state,
        plan_digest=run.digest,
        plan=encode(run),
        planned_at=now,
        requested_by=requested_by,
    )
    return run


async def save(run: Run, *, expected: PurgeState, **changes: Any) -> Run:  # noqa: ANN401 - fields of Run
    """Write `changes` of `run`. PurgeFailedError when the record has left the state `expected`: somebody else is at it.

    The caller goes on with what this returns.
    """
    run = replace(run, **changes)
    written = await PurgeRun.filter(id=run.id, state=expected).update(
        state=run.state,
        plan=encode(run),
        finished_at=run.finished_at,
        keys_destroyed=run.keys_destroyed,
        rows_dropped=run.rows_dropped,
        failure=run.failure,
    )
    if not written:
        raise PurgeFailedError(f"the purge `{run.id}` is carried out by somebody else")
    return run


async def unfinished() -> list[Run]:
    """Purges that were begun and not ended, oldest first."""
    found = []
    for row in await PurgeRun.exclude(state__in=list(ENDED)).order_by("planned_at", "id"):
        try:
            found.append(decode(row))
        except PurgeFailedError as error:
            # What nobody can read must not stop every purge after it.
            log.error("a purge cannot be carried out", run=str(row.id))
            await PurgeRun.filter(id=row.id).update(state=PurgeState.FAILED, failure=str(error))
    return found


async def note_delay(run: Run, reason: str) -> None:
    """Record why a purge could not go on for now; the end of the purge clears it."""
    await PurgeRun.filter(id=run.id, state=run.state).update(failure=reason)


async def note_nothing_due(now: datetime, *, requested_by: str) -> None:
    """Record that at `now` nothing was due."""
    last = await PurgeRun.all().order_by("-planned_at", "-id").first()
    if last is not None and last.state == PurgeState.DONE and not decode(last).plan and last.finished_at is not None:
        if last.finished_at < now:
            await PurgeRun.filter(id=last.id).update(finished_at=now)
        return
    run = await begin(PurgePlan(), now=now, requested_by=requested_by, waits=False)
    await save(run, expected=PurgeState.PLANNED, state=PurgeState.DONE, finished_at=now)


async def last_seen(now: datetime) -> datetime:
    """The latest recorded moment that is not after `now`: of a purge, or of the installation; `now` without either.

    What was recorded later than now was recorded by a clock that was wrong, then or now, and says nothing.
    """
    finished = await PurgeRun.filter(finished_at__lte=now).order_by("-finished_at").first().values("finished_at")
    planned = await PurgeRun.filter(planned_at__lte=now).order_by("-planned_at").first().values("planned_at")
    installed = await Installation.filter(created_at__lte=now).first().values("created_at")
    moments = [moment for row in (finished, planned, installed) if row for moment in row.values()]
    return max(moments, default=now)


async def destroyed_keys() -> list[KeyPeriod]:
    """Every period key that a recorded purge has destroyed."""
    keys: set[KeyPeriod] = set()
    for row in await PurgeRun.filter(keys_destroyed__gt=0):
        try:
            keys.update(decode(row).plan.keys)
        except PurgeFailedError:
            log.error("the keys that a purge destroyed cannot be read", run=str(row.id))
    return sorted(keys)


def encode(run: Run) -> dict[str, object]:
    """The plan as it is stored."""
    return {
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
    }


def decode(row: PurgeRun) -> Run:
    """A run from its record. PurgeFailedError when the record is not one that we wrote."""
    stored: Mapping[str, Any] = row.plan
    try:
        plan = PurgePlan(tuple(_partitions(stored["partitions"])), tuple(KeyPeriod(*key) for key in stored["keys"]))
        waits, spared = bool(stored["waits"]), tuple(stored["spared"])
        state = PurgeState(row.state)
        for key in plan.keys:
            parse_name(str(PeriodKeyName(*key)))
    except (KeyError, TypeError, ValueError):
        raise PurgeFailedError(f"the record of the purge `{row.id}` cannot be read") from None
    return Run(
        row.id,
        state,
        plan,
        row.plan_digest,
        row.planned_at,
        row.requested_by,
        row.finished_at,
        row.keys_destroyed,
        row.rows_dropped,
        row.failure,
        waits,
        spared,
    )


def _partitions(stored: Iterable[Mapping[str, Any]]) -> Iterable[Partition]:
    for part in stored:
        start, end = datetime.fromisoformat(part["from"]), datetime.fromisoformat(part["to"])
        partition = Partition(Store(part["store"]), part["name"], part["tier"], start, end, part["rows"], part["bytes"])
        if not named_by_us(partition):
            raise ValueError(partition.name)
        yield partition
