"""Exports on record: which files were asked for, by whom, and how far each is. `service.export` writes the files.

QUEUED -> RUNNING -> READY -> EXPIRED, or FAILED from RUNNING. A process that writes files holds an advisory lock for as
long as it lives, and each RUNNING export names the lock of its writer: it outlives no process.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

import asyncpg
import orjson

from policies import Policy, Role
from policies.policy.views import may_ask
from service.errors import RequestError
from service.storage.connection import Connection, Queryable, one_row
from service.storage.database import Database, uuid_of

BUSY_S: Final = 5
"""After which it is worth asking whether an export is done."""
KEPT_MAX: Final = 20
"""Files that one key has at a time."""
REMEMBERED: Final = timedelta(days=30)
"""How long an export whose file is gone is still told of."""

# Rows that were exported show what a policy let be seen, of accounts and people that were there: another policy ends
# them, and so does an erasure that may be about one of them.
_OVER: Final = """
    (expires_at <= clock_timestamp() OR (kind <> 'EVIDENCE' AND (
        policy <> (SELECT digest FROM policy_version ORDER BY version DESC LIMIT 1)
        OR EXISTS (
            SELECT FROM erasure WHERE erasure.requested_at >= export.requested_at
                AND (export.accounts IS NULL OR export.accounts @> to_jsonb(erasure.account_id))
        )
    )))
"""
# The moment counts, not whether somebody came by since to tidy up.
_COLUMNS: Final = f"""
    id, kind, requested_by, role, accounts, policy, request, rows, bytes, sha256, manifest, expires_at, failure,
    CASE WHEN state = 'READY' AND {_OVER} THEN 'EXPIRED' ELSE state END AS state
"""
_ADD: Final = """
    INSERT INTO export (id, kind, state, requested_by, role, accounts, policy, request, requested_at)
    VALUES ($1, $2, 'QUEUED', $3, $4, $5, $6, $7, clock_timestamp())
"""
_KEPT_BY: Final = f"""
    SELECT count(*) AS number, ceil(extract(epoch FROM min(expires_at) - clock_timestamp()))::integer AS seconds
    FROM export WHERE requested_by = $1 AND state = 'READY' AND NOT {_OVER}
"""  # noqa: S608 - names of our own
_UNDER_WAY: Final = "SELECT id FROM export WHERE requested_by = $1 AND state IN ('QUEUED', 'RUNNING')"
_ONE: Final = f"SELECT {_COLUMNS} FROM export WHERE id = $1"  # noqa: S608 - names of our own
_CLAIM: Final = f"""
    UPDATE export SET state = 'RUNNING', worker = $1 WHERE id = (
        SELECT id FROM export WHERE state = 'QUEUED' ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING {_COLUMNS}
"""  # noqa: S608
# The clock is read once: two readings of it differ.
_FINISH: Final = """
    UPDATE export SET state = 'READY', rows = $3, bytes = $4, sha256 = $5, manifest = $6, ended_at = clock.now,
        expires_at = clock.now + $7::interval
    FROM (SELECT clock_timestamp() AS now) AS clock
    WHERE id = $1 AND worker = $2 AND state = 'RUNNING' RETURNING id
"""
_FAIL: Final = """
    UPDATE export SET state = 'FAILED', failure = $3, request = '{}', ended_at = clock_timestamp()
    WHERE id = $1 AND worker = $2 AND state = 'RUNNING'
"""
# A bigint that is locked stands in two halves in pg_locks.
_FAIL_ORPHANS: Final = """
    UPDATE export SET state = 'FAILED', failure = $1, request = '{}', ended_at = clock_timestamp()
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
    WHERE state IN ('FAILED', 'EXPIRED') AND coalesce(expires_at, ended_at) <= clock_timestamp() - $1::interval
"""
_LOCK: Final = "SELECT pg_advisory_lock($1)"
_WITH_FILES: Final = "SELECT id FROM export WHERE state IN ('RUNNING', 'READY')"
_ORPHANED: Final = "the process that wrote it has ended: ask for it again"


class ExportKind(StrEnum):
    """What is in the file."""

    EVIDENCE = "EVIDENCE"
    CALLS = "CALLS"
    ERRORS = "ERRORS"
    COSTS = "COSTS"


class ExportState(StrEnum):
    """How far an export is."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    READY = "READY"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


ROOTS: Final[Mapping[ExportKind, tuple[str, ...]]] = {
    ExportKind.EVIDENCE: ("export", "createEvidence"),
    ExportKind.CALLS: ("export", "createExport", "calls"),
    ExportKind.ERRORS: ("export", "createExport", "errors"),
    ExportKind.COSTS: ("export", "createExport", "costs"),
}
"""The root fields that a kind is asked for by: whoever may not ask one of them any more does not get the file."""


class ExportBusyError(RequestError):
    """the key has an export under way: ask again when it is done"""

    def __init__(self, message: str | None = None, *, seconds: int = BUSY_S, running: UUID | None = None) -> None:
        """`seconds` until it is worth asking again; `running`: the export that is under way."""
        super().__init__(*(() if message is None else (message,)))
        self.seconds, self.running = seconds, running


class Asker(Protocol):
    """Whoever asks: a principal or a scope."""

    @property
    def key_id(self) -> str: ...
    @property
    def role(self) -> Role: ...
    @property
    def accounts(self) -> tuple[int, ...] | None: ...


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One export. `accounts` and `role`: of the key that asked, at that time; `request`: what its kind needs."""

    id: UUID
    kind: ExportKind
    state: ExportState
    requested_by: str
    role: str
    accounts: tuple[int, ...] | None
    policy: str
    request: Mapping[str, Any]
    rows: int | None
    bytes: int | None
    sha256: str | None
    manifest: str | None
    expires_at: datetime | None
    failure: str | None

    def reached_by(self, asker: Asker, policy: Policy) -> bool:
        """Whether this is one's own, or one is an admin of every account; and both may still ask for such a thing.

        A key that sees less than when it asked does not get what it saw then.
        """
        if not all(may_ask(policy, asker.role, root) for root in ROOTS[self.kind]):
            return False
        if asker.role is Role.ADMIN and asker.accounts is None:
            return True
        return (asker.key_id, asker.role) == (self.requested_by, self.role) and self._within(asker.accounts)

    def _within(self, accounts: tuple[int, ...] | None) -> bool:
        return accounts is None or (self.accounts is not None and set(self.accounts) <= set(accounts))


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an export. `sha256`: `sha256:` and 64 hexadecimal digits."""

    rows: int
    bytes: int
    sha256: str
    manifest: str


async def add_export(
    connection: Connection, id_: UUID, kind: ExportKind, asker: Asker, policy: str, request: Mapping[str, Any]
) -> ExportRecord:
    """Put an export into the queue, in the transaction of `connection`. `policy`: digest of the one in force.

    Raises ExportBusyError while another one of the key is under way, or too many of its files are kept.
    """
    kept = await one_row(connection, _KEPT_BY, asker.key_id)
    if kept["number"] >= KEPT_MAX:
        message = f"{KEPT_MAX} exports of the key are kept: ask again when one has expired"
        raise ExportBusyError(message, seconds=max(1, kept["seconds"]))
    accounts = None if asker.accounts is None else orjson.dumps(list(asker.accounts)).decode()
    try:
        async with connection.transaction():  # a savepoint: which one is under way is asked after it
            await connection.execute(
                _ADD, id_, kind, asker.key_id, asker.role, accounts, policy, orjson.dumps(request).decode()
            )
    except asyncpg.UniqueViolationError:
        raise ExportBusyError(running=await connection.fetchval(_UNDER_WAY, asker.key_id)) from None
    record = await get_export(connection, id_)
    assert record is not None
    return record


async def request_export(
    database: Database, id_: UUID, kind: ExportKind, asker: Asker, policy: str, request: Mapping[str, Any]
) -> ExportRecord:
    """Put an export into the queue, as `add_export` does, in a transaction of its own."""
    async with database.owner.acquire() as connection, connection.transaction():
        return await add_export(connection, id_, kind, asker, policy, request)


async def get_export(source: Queryable, id_: UUID) -> ExportRecord | None:
    """One export, if `source` sees it: a reader's connection sees those that are of its accounts alone."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _record(row)


async def live_writer(url: str) -> tuple[Connection, int]:
    """A connection that holds the lock of one process that writes exports, for as long as it lives, and its number."""
    connection, worker = await asyncpg.connect(url), secrets.randbits(62)
    try:
        await connection.execute(_LOCK, worker)
    except BaseException:
        connection.terminate()
        raise
    return connection, worker


async def claim_export(owner: asyncpg.Pool, worker: int) -> ExportRecord | None:
    """Take the oldest export of the queue for the process with the lock `worker`."""
    row = await owner.fetchrow(_CLAIM, worker)
    return None if row is None else _record(row)


async def finish_export(connection: Connection, id_: UUID, worker: int, written: Written, lifetime: timedelta) -> bool:
    """The file is there; False when the export is not this process's any more, and the file must go."""
    values = (written.rows, written.bytes, written.sha256, written.manifest, lifetime)
    return await connection.fetchval(_FINISH, id_, worker, *values) is not None


async def fail_export(owner: asyncpg.Pool, id_: UUID, worker: int, failure: str) -> None:
    """The file will not be there; `failure` says why, to whoever asked."""
    await owner.execute(_FAIL, id_, worker, failure)


async def end_exports(owner: asyncpg.Pool) -> None:
    """End those whose writer has ended or whose time is over; forget those that nobody asks about any more."""
    await owner.execute(_FAIL_ORPHANS, _ORPHANED)
    await owner.execute(_EXPIRE)
    await owner.execute(_FORGET, REMEMBERED)


async def exports_with_files(owner: asyncpg.Pool) -> set[UUID]:
    """Exports that have a file, whole or not."""
    return {row["id"] for row in await owner.fetch(_WITH_FILES)}


def _record(row: asyncpg.Record) -> ExportRecord:
    accounts = None if row["accounts"] is None else orjson.loads(row["accounts"])
    return ExportRecord(
        id=uuid_of(row["id"]),
        kind=ExportKind(row["kind"]),
        state=ExportState(row["state"]),
        requested_by=row["requested_by"],
        role=row["role"],
        accounts=None if accounts is None else tuple(accounts),
        policy=row["policy"],
        request=orjson.loads(row["request"]),
        rows=row["rows"],
        bytes=row["bytes"],
        sha256=row["sha256"],
        manifest=row["manifest"],
        expires_at=row["expires_at"],
        failure=row["failure"],
    )
