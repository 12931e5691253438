"""Making a statement of retention: one at a time, stored in the transaction of its entry in the ledger.

A run that ends before that is FAILED, by its row, or because nobody has the lock any more. The ledger has an entry of
its beginning, so it is seen that a statement was to be made even where somebody deletes the row.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg

from policies.evidence import LedgerKind
from policies.evidence.attestation import canonical, statement_digest
from service.errors import CalledgerError, RequestError
from service.ledger import Checkpoints, Ledger
from service.log_redaction import guarded
from service.retention.audit.attestation.requests import begin, forget_old
from service.retention.audit.attestation.statement import make_statement, unmet
from service.retention.context import RetentionContext
from service.storage.connection import advisory_lock_of_long_work
from service.storage.control.attestations import (
    CLI,
    LOCK,
    AttestationBusyError,
    end_interrupted,
    fail_attestation,
    finish_attestation,
    note_progress,
    take_attestation,
)
from service.storage.control.policies import AppliedPolicy

_UNKNOWN: Final = "something went wrong here; the log says what"


class NotQueuedError(RequestError):
    """the statement does not wait to be made"""


@dataclass(frozen=True, slots=True)
class MadeAttestation:
    """A statement that was made: its id, the index of its entry in the ledger, and what it says."""

    id: UUID
    index: int
    statement: dict[str, Any]


async def attest(
    context: RetentionContext,
    ledger: Ledger,
    applied: AppliedPolicy,
    *,
    days: int,
    again: bool = False,
    full: bool = False,
) -> MadeAttestation:
    """Make and store a statement of the last `days` days, for the command line, with a checkpoint that covers it.

    `again` and `full` are those of `check_ledger`. Raises AttestationBusyError while another one is being made.
    """
    async with _alone(context):
        id_ = await begin(context, days=days, is_full=full)
        return await _made(context, ledger, applied, id_, actor=CLI, days=days, again=again, full=full)


async def attest_queued(
    context: RetentionContext, ledger: Ledger, applied: AppliedPolicy, id_: UUID
) -> MadeAttestation:
    """Make and store a statement that a key has asked for. Partitions and days that are unchanged since an earlier run
    are left out.

    Raises NotQueuedError when it does not wait any more, AttestationBusyError while another one is being made.
    """
    async with _alone(context):
        record = await take_attestation(context.owner, id_)
        if record is None:
            raise NotQueuedError
        return await _made(
            context, ledger, applied, id_, actor=record.requested_by, days=record.days, again=True, full=False
        )


@asynccontextmanager
async def _alone(context: RetentionContext) -> AsyncIterator[None]:
    """Make one statement at a time. Those that nobody makes any more are ended first."""
    async with advisory_lock_of_long_work(context.database.url, LOCK) as free:
        if not free:
            raise AttestationBusyError
        await end_interrupted(context.owner)
        await forget_old(context)
        yield


async def _made(
    context: RetentionContext,
    ledger: Ledger,
    applied: AppliedPolicy,
    id_: UUID,
    *,
    actor: str,
    days: int,
    again: bool,
    full: bool,
) -> MadeAttestation:
    async def noted(checks: int, done: int) -> None:
        """Say how far it is."""
        await note_progress(context.owner, id_, checks, done)

    try:
        statement = await make_statement(context, ledger, applied, days=days, again=again, full=full, noted=noted)
        index = await _stored(context, ledger, id_, statement, actor)
    except BaseException as error:
        # Where the database is away, it is seen by the lock that nobody makes it any more.
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            reason = guarded(str(error)) if isinstance(error, CalledgerError) else _UNKNOWN
            await fail_attestation(context.owner, id_, reason)
        raise
    return MadeAttestation(id_, index, statement)


async def _stored(context: RetentionContext, ledger: Ledger, id_: UUID, statement: dict[str, Any], actor: str) -> int:
    """Append the entry, sign a checkpoint that ends with it, and store what it is about, all or nothing; its index."""
    data = canonical(statement)
    facts = {"attestation": str(id_), "statement": statement_digest(statement), "unmet": unmet(statement)}
    checkpoints = Checkpoints(ledger)
    # The signer is fetched before the lock is taken, because the keyring may be on another host.
    await checkpoints.signer()
    async with context.owner.acquire() as connection, connection.transaction():
        index = await ledger.append(LedgerKind.ATTESTED, facts, actor=actor, connection=connection)
        await checkpoints.issue(connection, index + 1, await checkpoints.signer())
        if not await finish_attestation(connection, id_, index, data):
            raise NotQueuedError("the statement was ended while it was made: ask for it again")
    return index
