"""Statements of retention as they are stored, and how far those are that were asked for.

The states are QUEUED -> RUNNING -> DONE or FAILED. Whoever makes a statement holds the advisory lock `LOCK` all the
while, so one is made at a time, and one that is RUNNING while nobody has the lock has failed. What a statement says is
known by the ledger: its entry has the digest. No column repeats that, and nothing here is believed without it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

from policies.evidence import EntryError, Leaf, LedgerKind, read_leaf
from service.errors import RequestError
from service.storage.connection import Connection, Queryable, one_row, record_of
from service.storage.control.exports import BEFORE_NEWEST
from service.storage.database import uuid_of

PREFIX: Final = "att"
"""What the public id of a statement begins with."""
LOCK: Final = 0x63616C6C_0046
"""The advisory lock of who makes a statement."""
KEPT: Final = timedelta(days=400)
"""How long a statement is stored."""
REQUESTS_MAX: Final = 4
"""How many statements keys may ask for within REQUESTS_WITHIN, all keys together: each takes a while."""
REQUESTS_WITHIN: Final = timedelta(days=1)
CLI: Final = "cli"
"""Who asks for the statements of `calledger attest`."""
BUSY_S: Final = 30
"""After this many seconds it is worth asking whether a statement is made."""
_INTERRUPTED: Final = "the process that made it has ended: ask for it again"
_LOST: Final = "the ledger has no such statement: it is not shown"

# pg_locks shows the bigint of an advisory lock in two halves.
_ALIVE: Final = f"""
    EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32) | objid::bigint = {LOCK}
    )
"""  # noqa: S608 - a number of our own
_COLUMNS: Final = f"""
    id, requested_by, requested_at, days, is_full, checks, checks_done, ended_at, failure, ledger_index,
    (SELECT leaf FROM ledger_entry WHERE index = ledger_index) AS leaf, octet_length(statement) AS bytes,
    (SELECT min(size) FROM ledger_checkpoint WHERE size > ledger_index) AS checkpoint_size,
    CASE WHEN state = 'RUNNING' AND NOT {_ALIVE} THEN 'FAILED' ELSE state END AS state
"""  # noqa: S608 - names of our own
# Whoever asks at the same time waits, so that the counts hold.
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('calledger/attestations', 0))"
_UNDER_WAY: Final = f"""
    SELECT id FROM attestation WHERE state = 'QUEUED' OR (state = 'RUNNING' AND {_ALIVE}) ORDER BY requested_at LIMIT 1
"""  # noqa: S608
"""The statement that is being made, or is the next."""
_RECENT: Final = """
    SELECT count(*) AS number,
        ceil(extract(epoch FROM min(requested_at) + $1::interval - clock_timestamp()))::integer AS seconds
    FROM attestation WHERE requested_by <> 'cli'
        AND requested_at > clock_timestamp() - $1::interval AND requested_at <= clock_timestamp()
"""
"""How many statements keys have asked for lately, and in how many seconds the first of them counts no more.

What a clock that was ahead has written is of no time that keys would have to wait for.
"""
_ADD: Final = """
    INSERT INTO attestation (id, state, requested_by, requested_at, days, is_full, checks, checks_done)
    VALUES ($1, $2, $3, clock_timestamp(), $4, $5, 0, 0)
"""
"""Add a statement that is to be made."""
_ONE: Final = f"SELECT {_COLUMNS} FROM attestation WHERE id = $1"  # noqa: S608
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM attestation WHERE (requested_at, id) < ($1, $2) ORDER BY requested_at DESC, id DESC LIMIT $3
"""  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM attestation"
_QUEUED: Final = f"""
    SELECT id FROM attestation WHERE state = 'QUEUED' AND NOT {_ALIVE} ORDER BY requested_at, id LIMIT 1
"""  # noqa: S608
_INTERRUPT: Final = """
    UPDATE attestation SET state = 'FAILED', failure = $1, ended_at = clock_timestamp() WHERE state = 'RUNNING'
"""
_FORGET: Final = """
    DELETE FROM attestation WHERE state IN ('DONE', 'FAILED') AND requested_at < clock_timestamp() - $1::interval
"""
_TAKE: Final = "UPDATE attestation SET state = 'RUNNING' WHERE id = $1 AND state = 'QUEUED' RETURNING id"
_PROGRESS: Final = "UPDATE attestation SET checks = $2, checks_done = $3 WHERE id = $1 AND state = 'RUNNING'"
_FINISH: Final = """
    UPDATE attestation SET state = 'DONE', ledger_index = $2, statement = $3, ended_at = clock_timestamp()
    WHERE id = $1 AND state = 'RUNNING' RETURNING id
"""
_FAIL: Final = """
    UPDATE attestation SET state = 'FAILED', failure = $2, ended_at = clock_timestamp()
    WHERE id = $1 AND state IN ('QUEUED', 'RUNNING')
"""
_END_UNMADE: Final = f"""
    UPDATE attestation SET state = 'FAILED', failure = $2, ended_at = clock_timestamp()
    WHERE id = $1 AND state IN ('QUEUED', 'RUNNING') AND NOT {_ALIVE}
"""  # noqa: S608
_STATEMENT: Final = "SELECT statement FROM attestation WHERE id = $1 AND state = 'DONE'"
"""What a stored statement says."""


class AttestationState(StrEnum):
    """How far a statement is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class AttestationBusyError(RequestError):
    """another statement of retention is being made: ask again when it is done"""

    def __init__(self, message: str | None = None, *, seconds: int = BUSY_S, running: UUID | None = None) -> None:
        """`seconds` until it is worth asking again; `running`: the statement that is being made."""
        super().__init__(*(() if message is None else (message,)))
        self.seconds, self.running = seconds, running


@dataclass(frozen=True, slots=True)
class AttestationRecord:
    """One statement, made or asked for. `is_full`: of all partitions and days, none left out.

    `digest` (`sha256:...`), `unmet` (how many of its requirements are not met) and `ledger_index` are those of the
    ledger's entry, and None before there is one; `ended_at` is when that was written, once there is one.
    `checkpoint_size`: of the first checkpoint that covers that entry; `bytes`: its size, without proofs.
    """

    id: UUID
    state: AttestationState
    requested_by: str
    requested_at: datetime
    days: int
    is_full: bool
    checks: int
    checks_done: int
    ended_at: datetime | None
    failure: str | None
    ledger_index: int | None
    digest: str | None
    unmet: int | None
    checkpoint_size: int | None
    bytes: int | None


async def queue_attestation(connection: Connection, requested_by: str, *, days: int) -> UUID:
    """Put a statement into the queue, in the transaction of `connection`; its id.

    Raises AttestationBusyError while another one is under way, or keys have asked for too many of late.
    """
    await connection.execute(_ONE_AT_A_TIME)
    running = await connection.fetchval(_UNDER_WAY)
    if running is not None:
        raise AttestationBusyError(running=uuid_of(running))
    recent = await one_row(connection, _RECENT, REQUESTS_WITHIN)
    if recent["number"] >= REQUESTS_MAX:
        message = f"{REQUESTS_MAX} statements were asked for within a day: `calledger attest` makes one at once"
        raise AttestationBusyError(message, seconds=max(1, recent["seconds"]))
    return await _added(connection, AttestationState.QUEUED, requested_by, days=days, is_full=False)


async def begin_attestation(connection: Connection, *, days: int, is_full: bool) -> UUID:
    """Record a statement that the command line makes from now on; its id. The caller has `LOCK`."""
    return await _added(connection, AttestationState.RUNNING, CLI, days=days, is_full=is_full)


async def _added(
    connection: Connection, state: AttestationState, requested_by: str, *, days: int, is_full: bool
) -> UUID:
    id_ = uuid4()
    await connection.execute(_ADD, id_, state, requested_by, days, is_full)
    return id_


async def end_interrupted(owner: Queryable) -> None:
    """End those that nobody makes any more. The caller has `LOCK`."""
    await owner.execute(_INTERRUPT, _INTERRUPTED)


async def forget_attestations(owner: Queryable) -> None:
    """Forget those that are past `KEPT`."""
    await owner.execute(_FORGET, KEPT)


async def next_attestation(owner: Queryable) -> UUID | None:
    """The statement that is the next in the queue; None when none waits, or while one is being made."""
    found = await owner.fetchval(_QUEUED)
    return None if found is None else uuid_of(found)


async def take_attestation(owner: Queryable, id_: UUID) -> AttestationRecord | None:
    """Take a statement out of the queue, to make it now; None when it waits no more. The caller has `LOCK`."""
    if await owner.fetchval(_TAKE, id_) is None:
        return None
    return await get_attestation(owner, id_)


async def note_progress(owner: Queryable, id_: UUID, checks: int, done: int) -> None:
    """Record that so many of `checks` are done."""
    await owner.execute(_PROGRESS, id_, checks, done)


async def finish_attestation(connection: Connection, id_: UUID, ledger_index: int, statement: bytes) -> bool:
    """Store what a statement says, in the transaction of its entry. False when it is not being made any more."""
    return await connection.fetchval(_FINISH, id_, ledger_index, statement) is not None


async def fail_attestation(owner: Queryable, id_: UUID, failure: str) -> None:
    """Record that a statement was not made, and why. Nothing happens to one that has ended."""
    await owner.execute(_FAIL, id_, failure)


async def end_unmade(owner: Queryable, id_: UUID, failure: str) -> None:
    """Record that the process that was to make a statement has ended. Nothing happens while one is being made: it may
    be this one, by the process of another service.
    """
    await owner.execute(_END_UNMADE, id_, failure)


async def get_attestation(source: Queryable, id_: UUID) -> AttestationRecord | None:
    """One statement; None when there is none, or `source` may see none."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _record(row)


async def page_attestations(
    source: Queryable, size: int, *, behind: tuple[datetime, UUID] | None
) -> list[AttestationRecord]:
    """Statements, newest first, behind a moment and id."""
    return [_record(row) for row in await source.fetch(_PAGE, *(behind or BEFORE_NEWEST), size)]


async def count_attestations(source: Queryable) -> int:
    """How many statements `page_attestations` has in all."""
    return await source.fetchval(_COUNT)


async def statement_of(source: Queryable, id_: UUID) -> bytes | None:
    """What a stored statement says, as canonical JSON; None when it is not there."""
    return await source.fetchval(_STATEMENT, id_)


def _record(row: Any) -> AttestationRecord:  # noqa: ANN401 - a row
    id_, state, failure = uuid_of(row["id"]), AttestationState(row["state"]), row["failure"]
    entry = _ledgered(row["leaf"], id_) if state is AttestationState.DONE else None
    if state is AttestationState.DONE and entry is None:
        state, failure = AttestationState.FAILED, _LOST
    if state is AttestationState.FAILED:
        failure = failure or _INTERRUPTED
    return record_of(
        AttestationRecord,
        row,
        id=id_,
        state=state,
        failure=failure,
        ended_at=entry.recorded_at if entry else row["ended_at"],
        ledger_index=row["ledger_index"] if entry else None,
        digest=entry.facts.get("statement") if entry else None,
        unmet=entry.facts.get("unmet") if entry else None,
        checkpoint_size=row["checkpoint_size"] if entry else None,
        bytes=row["bytes"] if entry else None,
    )


def _ledgered(leaf: bytes | None, id_: UUID) -> Leaf | None:
    """The ledger's entry of this statement; None when the entry is of something else."""
    try:
        entry = None if leaf is None else read_leaf(leaf)
    except EntryError:
        return None
    if entry is None or entry.kind is not LedgerKind.ATTESTED or entry.facts.get("attestation") != str(id_):
        return None
    return entry
