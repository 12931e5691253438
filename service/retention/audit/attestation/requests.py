"""Asking for a statement of retention that a service makes: on record and in the ledger before it is answered."""

from contextlib import suppress
from uuid import UUID

from policies.evidence import LedgerKind
from service.retention.context import RetentionContext
from service.retention.errors import PurgeClockError
from service.storage.connection import Connection
from service.storage.control.attestations import CLI, begin_attestation, forget_attestations, queue_attestation
from service.storage.notifications import notify


async def request_attestation(context: RetentionContext, *, days: int, actor: str) -> UUID:
    """Have a service make a statement of the last `days` days; its id.

    Raises AttestationBusyError while another one is under way, or keys have asked for too many of late.
    """
    async with context.owner.acquire() as connection, connection.transaction():
        id_ = await queue_attestation(connection, actor, days=days)
        await _ledgered(context, connection, id_, days=days, is_full=False, actor=actor)
    await notify(context.owner, "attestations")
    return id_


async def begin(context: RetentionContext, *, days: int, is_full: bool) -> UUID:
    """Record that the command line makes a statement from now on; its id. A run that ends without one stays seen."""
    async with context.owner.acquire() as connection, connection.transaction():
        id_ = await begin_attestation(connection, days=days, is_full=is_full)
        await _ledgered(context, connection, id_, days=days, is_full=is_full, actor=CLI)
    return id_


async def forget_old(context: RetentionContext) -> None:
    """Forget statements that are past their time; none while the clock cannot be trusted, which may say too late."""
    with suppress(PurgeClockError):
        await context.now()
        await forget_attestations(context.owner)


async def _ledgered(
    context: RetentionContext, connection: Connection, id_: UUID, *, days: int, is_full: bool, actor: str
) -> None:
    facts = {"attestation": str(id_), "days": days, "full": is_full}
    await context.ledger.append(LedgerKind.ATTESTATION_REQUESTED, facts, actor=actor, connection=connection)
