"""The records of exports: which files were requested, by whom, and how far each is. `service.export` writes the files.

The states are QUEUED -> RUNNING -> READY -> EXPIRED, or FAILED from RUNNING. A process that writes files holds an
advisory lock for as long as it lives, and each RUNNING export names the lock of its writer, so that none stays RUNNING
after its writer has ended.
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
from service.storage.connection import Connection, Queryable, one_row, record_of
from service.storage.database import Database, uuid_of

PREFIX: Final = "exp"
"""What the public id of an export begins with."""
BUSY_S: Final = 5
"""After this many seconds it is worth asking whether an export is done."""
KEPT_MAX: Final = 20
"""How many files one key may have at a time."""
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
# The clock is read once, because two readings of it differ.
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
# pg_locks shows the bigint of an advisory lock in two halves.
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


class StoredExportKind(StrEnum):
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


ROOTS: Final[Mapping[StoredExportKind, tuple[str, ...]]] = {
    StoredExportKind.EVIDENCE: ("export", "createEvidence"),
    StoredExportKind.CALLS: ("export", "createExport", "calls"),
    StoredExportKind.ERRORS: ("export", "createExport", "errors"),
    StoredExportKind.COSTS: ("export", "createExport", "costs"),
}
"""The root fields that give a kind of export: a key that may no longer use one of them does not get the file."""


class ExportBusyError(RequestError):
    """the key has an export under way: ask again when it is done"""

    def __init__(self, message: str | None = None, *, seconds: int = BUSY_S, running: UUID | None = None) -> None:
        """`seconds` until it is worth asking again; `running`: the export that is not finished."""
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
    kind needs.
    """

    id: UUID
    kind: StoredExportKind
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
) -> ExportRecord:
    """Put an export into the queue, in the transaction of `connection`. `policy`: digest of the policy in force.

    Raises ExportBusyError while another export of the key is running, or too many of its files are kept.
    """
    kept = await one_row(connection, _KEPT_BY, requester.key_id)
    if kept["number"] >= KEPT_MAX:
        message = f"{KEPT_MAX} exports of the key are kept: ask again when one has expired"
        raise ExportBusyError(message, seconds=max(1, kept["seconds"]))
    accounts = None if requester.accounts is None else orjson.dumps(list(requester.accounts)).decode()
    try:
        async with (
            connection.transaction()
        ):  # a savepoint, so that the connection can still be asked for the running export
            await connection.execute(
                _ADD, id_, kind, requester.key_id, requester.role, accounts, policy, orjson.dumps(request).decode()
            )
    except asyncpg.UniqueViolationError:
        raise ExportBusyError(running=await connection.fetchval(_UNDER_WAY, requester.key_id)) from None
    record = await get_export(connection, id_)
    assert record is not None
    return record


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


async def live_writer(url: str) -> tuple[Connection, int]:
    """A connection that holds the lock of one process that writes exports, and the lock's number."""
    connection, worker = await asyncpg.connect(url), secrets.randbits(62)
    try:
        await connection.execute(_LOCK, worker)
    except BaseException:
        connection.terminate()
        raise
    return connection, worker


async def claim_export(owner: asyncpg.Pool, worker: int) -> ExportRecord | None:
    """Take the oldest export of the queue for the process with the lock `worker`; None when the queue is empty."""
    row = await owner.fetchrow(_CLAIM, worker)
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
    )
