"""The records of exports: which files were requested, by whom, and how far each is. `service.export` writes the files.

The states are QUEUED -> RUNNING -> READY -> EXPIRED, FAILED from RUNNING, and CANCELLED from QUEUED or RUNNING. A
process that writes files holds an advisory lock for as long as it lives, and each RUNNING export names the lock of its
writer, so that none stays RUNNING after its writer has ended.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg
import orjson

from policies import Policy, Role
from policies.policy.views import may_ask
from service.errors import RequestError
from service.storage.connection import Connection, Queryable, one_row, record_of
from service.storage.database import Database, uuid_of

PREFIX: Final = "exp"
"""What the public id of an export begins with."""
BUSY_S: Final = 5
"""After this many seconds it is worth asking whether an export is done."""
KEPT_MAX: Final = 20
"""How many files one key may have at a time."""
UNDER_WAY_MAX: Final = 4
"""How many exports of one key may be queued or running at a time."""
QUEUED_MAX: Final = 200
"""How many exports of all keys may wait."""
BEFORE_NEWEST: Final = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=0))
"""The moment and id that the first page of a list is behind, newest first."""
REMEMBERED: Final = timedelta(days=30)
"""How long the record of an export is kept after its file is gone."""

# An exported file shows rows as a policy let them be seen, and accounts and people as they were. So it expires with
# another policy, and with an erasure that may be about one of them.
_OVER: Final = """
    (expires_at <= clock_timestamp() OR (kind <> 'EVIDENCE' AND (
        policy <> (SELECT digest FROM policy_version ORDER BY version DESC LIMIT 1)
        OR EXISTS (
            SELECT FROM erasure WHERE erasure.requested_at >= export.requested_at
                AND (export.accounts IS NULL OR export.accounts @> to_jsonb(erasure.account_id))
        )
    )))
"""
# An export expires at its time, whether or not its row has been updated since.
_COLUMNS: Final = f"""
    id, kind, requested_by, role, accounts, policy, request, requested_at, ended_at, rows, total, bytes, sha256,
    manifest, expires_at, failure, schedule, period_start,
    CASE WHEN state = 'READY' AND {_OVER} THEN 'EXPIRED' ELSE state END AS state
"""
_ADD: Final = """
    INSERT INTO export (id, kind, state, requested_by, role, accounts, policy, request, requested_at, schedule,
        period_start)
    VALUES ($1, $2, 'QUEUED', $3, $4, $5, $6, $7, clock_timestamp(), $8, $9)
"""
# Whoever asks or takes at the same time waits, so that the counts hold.
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('calledger/exports', 0))"
_KEPT_BY: Final = f"""
    SELECT count(*) AS number, ceil(extract(epoch FROM min(expires_at) - clock_timestamp()))::integer AS seconds
    FROM export WHERE requested_by = $1 AND state = 'READY' AND NOT {_OVER}
"""  # noqa: S608 - names of our own
"""How many files a key has, and in how many seconds the first of them ends."""
_UNDER_WAY: Final = """
    SELECT count(*) FILTER (WHERE requested_by = $1) AS own, count(*) FILTER (WHERE state = 'QUEUED') AS queued,
        (array_agg(id ORDER BY requested_at) FILTER (WHERE requested_by = $1))[1] AS running
    FROM export WHERE state IN ('QUEUED', 'RUNNING')
"""
"""How many exports of a key are under way and which is the oldest, and how many of all keys wait."""
_ONE: Final = f"SELECT {_COLUMNS} FROM export WHERE id = $1"  # noqa: S608 - names of our own
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM export
    WHERE ($1::text IS NULL OR requested_by = $1) AND (requested_at, id) < ($2, $3)
    ORDER BY requested_at DESC, id DESC LIMIT $4
"""  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM export WHERE $1::text IS NULL OR requested_by = $1"
# The key that has the fewest under way is served first, so that one key's do not keep the others waiting.
_CLAIM: Final = f"""
    UPDATE export SET state = 'RUNNING', worker = $1 WHERE id = (
        SELECT id FROM export AS queued
        WHERE state = 'QUEUED' AND (SELECT count(*) FROM export WHERE state = 'RUNNING') < $2 ORDER BY (
            SELECT count(*) FROM export AS other
            WHERE other.requested_by = queued.requested_by AND other.state = 'RUNNING'
        ), requested_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING {_COLUMNS}
"""  # noqa: S608
_PROGRESS: Final = """
    UPDATE export SET rows = $3, bytes = $4, total = $5 WHERE id = $1 AND worker = $2 AND state = 'RUNNING' RETURNING id
"""
_CANCEL: Final = """
    UPDATE export SET request = '{}', manifest = NULL, ended_at = coalesce(ended_at, clock_timestamp()),
        state = CASE state WHEN 'READY' THEN 'EXPIRED' ELSE 'CANCELLED' END,
        expires_at = CASE state WHEN 'READY' THEN clock_timestamp() END
    WHERE id = $1 AND state IN ('QUEUED', 'RUNNING', 'READY')
"""
# The clock is read once, because two readings of it differ.
_FINISH: Final = """
    UPDATE export SET state = 'READY', rows = $3, bytes = $4, sha256 = $5, manifest = $6, ended_at = clock.now,
        expires_at = clock.now + $7::interval
    FROM (SELECT clock_timestamp() AS now) AS clock
    WHERE id = $1 AND worker = $2 AND state = 'RUNNING' RETURNING id
"""
_FAIL: Final = """
    UPDATE export SET state = 'FAILED', failure = $3, request = '{}', ended_at = clock_timestamp(), rows = NULL,
        bytes = NULL
    WHERE id = $1 AND worker = $2 AND state = 'RUNNING'
"""
# pg_locks shows the bigint of an advisory lock in two halves.
_FAIL_ORPHANS: Final = """
    UPDATE export SET state = 'FAILED', failure = $1, request = '{}', ended_at = clock_timestamp(), rows = NULL,
        bytes = NULL
    WHERE state = 'RUNNING' AND NOT EXISTS (
        SELECT FROM pg_locks
        WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32) | objid::bigint = export.worker
    )
"""
_EXPIRE: Final = f"""
    UPDATE export SET state = 'EXPIRED', request = '{{}}', manifest = NULL WHERE state = 'READY' AND {_OVER}
"""  # noqa: S608
_FORGET: Final = """
    DELETE FROM export
    WHERE state IN ('FAILED', 'CANCELLED', 'EXPIRED')
        AND coalesce(expires_at, ended_at) <= clock_timestamp() - $1::interval
"""
_LOCK: Final = "SELECT pg_advisory_lock($1)"
_WITH_FILES: Final = "SELECT id FROM export WHERE state IN ('RUNNING', 'READY')"
_ORPHANED: Final = "the process that wrote it has ended: ask for it again"


class StoredExportKind(StrEnum):
    """What is in the file."""

    EVIDENCE = "EVIDENCE"
    CALLS = "CALLS"
    ERRORS = "ERRORS"
    COSTS = "COSTS"
    FOCUS = "FOCUS"


class ExportState(StrEnum):
    """How far an export is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    READY = "READY"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


ROOTS: Final[Mapping[StoredExportKind, tuple[str, ...]]] = {
    StoredExportKind.EVIDENCE: ("export", "createEvidence"),
    StoredExportKind.CALLS: ("export", "createExport", "calls"),
    StoredExportKind.ERRORS: ("export", "createExport", "errors"),
    StoredExportKind.COSTS: ("export", "createExport", "costs"),
    StoredExportKind.FOCUS: ("export", "createExport", "calls", "costs"),
}
"""The root fields that give a kind of export: a key that may no longer use one of them does not get the file."""


class ExportBusyError(RequestError):
    """too many exports are under way: ask again when one is done"""

    def __init__(self, message: str | None = None, *, seconds: int = BUSY_S, running: UUID | None = None) -> None:
        """`seconds` until it is worth asking again; `running`: the key's oldest export that is not finished."""
        super().__init__(*(() if message is None else (message,)))
        self.seconds, self.running = seconds, running


class Requester(Protocol):
    """The principal or scope that requests an export."""

    @property
    def key_id(self) -> str:
        """The prefix of its API key."""
        ...

    @property
    def role(self) -> Role:
        """The role of its API key."""
        ...

    @property
    def accounts(self) -> tuple[int, ...] | None:
        """The ids of the accounts that it may see; None: every account."""
        ...


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export. `accounts` and `role` are those of the key that requested it, at that time; `request` is what its
    kind needs. While it is written, `rows` and `bytes` say how far it is, of about `total` rows where that is known.
    `schedule` and `period_start`: which schedule asked for it, and for which period.
    """

    id: UUID
    kind: StoredExportKind
    state: ExportState
    requested_by: str
    role: str
    accounts: tuple[int, ...] | None
    policy: str
    request: Mapping[str, Any]
    requested_at: datetime
    ended_at: datetime | None
    rows: int | None
    total: int | None
    bytes: int | None
    sha256: str | None
    manifest: str | None
    expires_at: datetime | None
    failure: str | None
    schedule: UUID | None
    period_start: datetime | None

    def may_be_read_by(self, requester: Requester, policy: Policy) -> bool:
        """Whether the requester may have the file: its own, or any as an admin of every account.

        It must still be allowed to ask for such a file, and to see what the key saw when it asked.
        """
        if not all(may_ask(policy, requester.role, root) for root in ROOTS[self.kind]):
            return False
        if requester.role is Role.ADMIN and requester.accounts is None:
            return True
        return (requester.key_id, requester.role) == (self.requested_by, self.role) and self.is_within(
            requester.accounts
        )

    def is_within(self, accounts: tuple[int, ...] | None) -> bool:
        """Whether the file is about these accounts alone; None: every account."""
        return accounts is None or (self.accounts is not None and set(self.accounts) <= set(accounts))


@dataclass(frozen=True, slots=True)
class WrittenExport:
    """What a written file contains. `sha256`: `sha256:` and 64 hexadecimal digits."""

    rows: int
    bytes: int
    sha256: str
    manifest: str


async def add_export(
    connection: Connection,
    id_: UUID,
    kind: StoredExportKind,
    requester: Requester,
    policy: str,
    request: Mapping[str, Any],
    scheduled: tuple[UUID, datetime] | None = None,
) -> ExportRecord:
    """Put an export into the queue, in the transaction of `connection`. `policy`: digest of the policy in force;
    `scheduled`: the schedule that asks for it, and where its period begins.

    Raises ExportBusyError while too many exports of the key, or of all keys, wait or run, or too many files are kept.
    """
    await connection.execute(_ONE_AT_A_TIME)
    await _refuse_busy(connection, requester.key_id)
    accounts = None if requester.accounts is None else orjson.dumps(list(requester.accounts)).decode()
    values = (requester.key_id, requester.role, accounts, policy, orjson.dumps(request).decode())
    await connection.execute(_ADD, id_, kind, *values, *(scheduled or (None, None)))
    record = await get_export(connection, id_)
    assert record is not None
    return record


async def _refuse_busy(connection: Connection, key: str) -> None:
    kept = await one_row(connection, _KEPT_BY, key)
    if kept["number"] >= KEPT_MAX:
        message = f"{KEPT_MAX} exports of the key are kept: ask again when one has expired, or cancel one"
        raise ExportBusyError(message, seconds=max(1, kept["seconds"]))
    under_way = await one_row(connection, _UNDER_WAY, key)
    if under_way["own"] >= UNDER_WAY_MAX:
        message = f"{UNDER_WAY_MAX} exports of the key are under way: ask again when one is done"
        raise ExportBusyError(message, running=under_way["running"])
    if under_way["queued"] >= QUEUED_MAX:
        message = f"{QUEUED_MAX} exports wait for their turn: ask again later"
        raise ExportBusyError(message, running=under_way["running"])


async def request_export(
    database: Database, id_: UUID, kind: StoredExportKind, requester: Requester, policy: str, request: Mapping[str, Any]
) -> ExportRecord:
    """Put an export into the queue, as `add_export` does, in a transaction of its own."""
    async with database.owner.acquire() as connection, connection.transaction():
        return await add_export(connection, id_, kind, requester, policy, request)


async def get_export(source: Queryable, id_: UUID) -> ExportRecord | None:
    """One export, if `source` may see it: a reader's connection sees only exports of its own accounts."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _record(row)


async def page_exports(
    source: Queryable, size: int, *, requested_by: str | None, behind: tuple[datetime, UUID] | None
) -> list[ExportRecord]:
    """Exports that `source` may see, newest first: those of one key (None: of every key), behind a moment and id."""
    rows = await source.fetch(_PAGE, requested_by, *(behind or BEFORE_NEWEST), size)
    return [_record(row) for row in rows]


async def count_exports(source: Queryable, requested_by: str | None) -> int:
    """How many exports `page_exports` has in all."""
    return await source.fetchval(_COUNT, requested_by)


async def note_progress(owner: asyncpg.Pool, id_: UUID, worker: int, rows: int, size: int, total: int | None) -> bool:
    """Record how far the file is. False when the export is no longer this process's: then stop writing."""
    return await owner.fetchval(_PROGRESS, id_, worker, rows, size, total) is not None


async def cancel_export(database: Database, id_: UUID) -> None:
    """End an export before its time: one that waits or is written has no file, and the file of one that is ready ends.

    Nothing happens to one that has ended.
    """
    await database.owner.execute(_CANCEL, id_)


async def live_writer(url: str) -> tuple[Connection, int]:
    """A connection that holds the lock of one process that writes exports, and the lock's number."""
    connection, worker = await asyncpg.connect(url), secrets.randbits(62)
    try:
        await connection.execute(_LOCK, worker)
    except BaseException:
        connection.terminate()
        raise
    return connection, worker


async def claim_export(owner: asyncpg.Pool, worker: int, at_once: int) -> ExportRecord | None:
    """Take the oldest export of the queue for the process with the lock `worker`; None when the queue is empty, or
    `at_once` are being written, here or elsewhere.
    """
    async with owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute(_ONE_AT_A_TIME)
        row = await connection.fetchrow(_CLAIM, worker, at_once)
    return None if row is None else _record(row)


async def finish_export(
    connection: Connection, id_: UUID, worker: int, written: WrittenExport, lifetime: timedelta
) -> bool:
    """Record that the file is written. False when the export is no longer this process's: then delete the file."""
    values = (written.rows, written.bytes, written.sha256, written.manifest, lifetime)
    return await connection.fetchval(_FINISH, id_, worker, *values) is not None


async def fail_export(owner: asyncpg.Pool, id_: UUID, worker: int, failure: str) -> None:
    """Record that no file was written; `failure` says why, to the requester."""
    await owner.execute(_FAIL, id_, worker, failure)


async def end_expired_exports(owner: asyncpg.Pool) -> None:
    """End exports whose writer has ended or whose time is over; delete old records without a file."""
    await owner.execute(_FAIL_ORPHANS, _ORPHANED)
    await owner.execute(_EXPIRE)
    await owner.execute(_FORGET, REMEMBERED)


async def exports_with_files(owner: asyncpg.Pool) -> set[UUID]:
    """The ids of exports that may have a file, complete or not."""
    return {row["id"] for row in await owner.fetch(_WITH_FILES)}


def _record(row: asyncpg.Record) -> ExportRecord:
    accounts = None if row["accounts"] is None else orjson.loads(row["accounts"])
    return record_of(
        ExportRecord,
        row,
        id=uuid_of(row["id"]),
        kind=StoredExportKind(row["kind"]),
        state=ExportState(row["state"]),
        accounts=None if accounts is None else tuple(accounts),
        request=orjson.loads(row["request"]),
        schedule=None if row["schedule"] is None else uuid_of(row["schedule"]),
    )
