"""Statements of retention: those that are stored, one to be made, and the links to their files."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Final
from uuid import UUID

import strawberry

from policies.policy.views import may_ask
from service.api.execution.context import Context, Info, throttled
from service.api.execution.record_pages import newest_first, read_scoped_page
from service.api.exports.links import PARAMETER, LinkMaker, seal_link
from service.api.retention.queries import refuse_bound, retention_context
from service.api.types.calls import Node
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, argument, described, given, optional, value
from service.api.types.directives import Cost, paged
from service.api.types.public_ids import decode_id, encode_id
from service.api.types.scalars import BigInt, Digest, big_int
from service.query.model.errors import BadInputError
from service.query.reader import PrimaryReading
from service.query.records.ordering import Cursors
from service.retention.audit.attestation.requests import request_attestation
from service.retention.audit.attestation.statement import PERIOD_DAYS
from service.storage.control.attestations import (
    PREFIX,
    AttestationBusyError,
    AttestationRecord,
    count_attestations,
    get_attestation,
    page_attestations,
)
from service.storage.control.attestations import AttestationState as StoredState

ATTESTATION_COST: Final = 1_000
DAYS_MAX: Final = 400
Id = Annotated[strawberry.ID, argument("Its id, `att_...`.")]


@strawberry.enum
class AttestationState(Enum):
    """How far a statement of retention is."""

    QUEUED = value("QUEUED", "It waits for a service to make it.")
    RUNNING = value("RUNNING", "It is being made.")
    DONE = value("DONE", "It is stored, and the ledger has its digest. `unmet` says whether it finds something wrong.")
    FAILED = value("FAILED", "There is none; `failure` says why. Ask for it again.")


@strawberry.type
class Attestation(Node):
    """A statement of retention: what is kept, that nothing older is here, and what was destroyed.

    It is what the operator's service made and kept. What proves it is its file alone, checked with a verifier key that
    came by another way, and a checkpoint that an auditor kept.
    """

    id: strawberry.ID = described("Opaque id, `att_...`.")
    state: AttestationState = described("How far it is.")
    requested_at: datetime = described("When it was asked for, or begun.")
    requested_by: str = described("Key id, or `cli` for `calledger attest`.")
    days: int = described("How many days it looks back on.")
    full: bool = described("Whether all partitions and days were checked: none was left out as unchanged.")
    checks: int | None = described("How many checks it makes; null before it has begun.")
    checks_done: int | None = described("How many of them are done.")
    ended_at: datetime | None = described("When it was made, by the ledger's entry, or failed.")
    unmet: int | None = described("How many of its requirements are not met, by the ledger's entry; null unless DONE.")
    digest: Digest | None = described("SHA-256 of what it says, by the ledger's entry; null unless DONE.")
    ledger_index: BigInt | None = described("The ledger's entry of it; null unless DONE.")
    checkpoint_size: BigInt | None = described(
        "Size of the first checkpoint that covers the entry: `checkpoint(size:)` has it. The file has the newest."
    )
    bytes: BigInt | None = described("Size of what it says, without proofs; null unless DONE.")
    url: str | None = described(
        "Where this service has its file, for `calledger verify`: a path, to be asked for with a key in the "
        "`Authorization` header. Null unless DONE."
    )
    failure: str | None = described("Why there is none; null unless it has failed.")

    @strawberry.field(directives=[Cost(weight=2)])
    async def signed_url(self, info: Info) -> str | None:
        """The same path with a link that needs no header, for a browser: for an hour, as long as the key lives. Who has
        it gets the file. Null unless DONE.
        """
        id_ = decode_attestation_id(self.id)
        if self.url is None or self.digest is None or id_ is None:
            return None
        cursors = Cursors(await info.context.reader.keyring.secret("cursor"))
        scope = info.context.scope
        maker = LinkMaker(scope.key_id, scope.role, scope.accounts is not None)
        return f"{self.url}?{PARAMETER}={seal_link(cursors, id_, self.digest, maker)}"


@strawberry.input
class RequestAttestationInput:
    """The statement to make."""

    days: int | None = optional(f"How many days it looks back on: 1 to {DAYS_MAX}, {PERIOD_DAYS} when not given.")


@strawberry.type
class RequestAttestationPayload:
    """The statement that was asked for."""

    attestation: Attestation = described("Ask `attestation` for its state until it is DONE.")


@strawberry.type
class AttestationQuery:
    """Root fields of statements of retention; part of `Query`."""

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def attestations(
        self, info: Info, first: First = UNSET, after: After = UNSET
    ) -> Connection[Attestation] | None:
        """Statements of retention of the last 400 days, newest first, those that failed included. May be asked by who
        may ask `ledger`.
        """
        refuse_bound(info.context, "attestations")
        page = await read_scoped_page(
            info,
            ("attestations", None),
            Slicing.of(first, after),
            newest_first("requested_at"),
            lambda connection, size, behind: page_attestations(connection, size, behind=behind),
            count_attestations,
            reading=_reading,
        )
        return page.connection([attestation_node(one) for one in page.rows])

    @strawberry.field(directives=[Cost(weight=2)])
    async def attestation(self, info: Info, id: Id) -> Attestation | None:
        """One statement of retention; null when it is unknown. May be asked by who may ask `ledger`."""
        refuse_bound(info.context, "attestation")
        return await resolve_attestation(info.context, id)


@strawberry.type
class AttestationMutation:
    """Root fields of statements of retention; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=ATTESTATION_COST)])
    async def request_attestation(
        self, info: Info, input: Annotated[RequestAttestationInput, argument("The statement to make.")]
    ) -> RequestAttestationPayload | None:
        """Have the service make a statement of retention, as `calledger attest` does. One is made at a time, and keys
        may ask for four in a day. May be asked by who may ask `createEvidence`.
        """
        context, days = info.context, given(input.days)
        refuse_bound(context, "requestAttestation")
        days = PERIOD_DAYS if days is None else days
        if not 1 <= days <= DAYS_MAX:
            raise BadInputError(f"`days` is 1 to {DAYS_MAX}")
        try:
            id_ = await request_attestation(retention_context(context), days=days, actor=context.scope.key_id)
        except AttestationBusyError as error:
            running = {} if error.running is None else {"attestation": encode_attestation_id(error.running)}
            raise throttled(str(error), error.seconds, context, **running) from error
        async with _reading(context) as connection:
            record = await get_attestation(connection, id_)
        assert record is not None, "it was stored just now"
        return RequestAttestationPayload(attestation=attestation_node(record))


async def resolve_attestation(context: Context, id_: str) -> Attestation | None:
    """The statement with this outward id; None when there is none, or the role may not ask for it."""
    number, scope = decode_attestation_id(id_), context.scope
    if number is None or scope.accounts is not None or not may_ask(scope.policy, scope.role, "attestation"):
        return None
    async with _reading(context) as connection:
        record = await get_attestation(connection, number)
    return None if record is None else attestation_node(record)


def _reading(context: Context) -> PrimaryReading:
    """A connection to the primary: who makes a statement has a lock there, which no replica shows."""
    return PrimaryReading(context.reader.database, context.scope.accounts)


def decode_attestation_id(text: str) -> UUID | None:
    """The id in `text`; None when it is none of a statement."""
    return decode_id(PREFIX, text)


def encode_attestation_id(id_: UUID) -> strawberry.ID:
    """The id of a statement as clients see it: `att_` and 26 characters."""
    return encode_id(PREFIX, id_)


def attestation_node(record: AttestationRecord) -> Attestation:
    """The stored statement as the schema shows it."""
    id_, done = encode_attestation_id(record.id), record.state is StoredState.DONE
    return Attestation(
        id=id_,
        state=AttestationState[record.state.name],
        requested_at=record.requested_at,
        requested_by=record.requested_by,
        days=record.days,
        full=record.is_full,
        checks=record.checks or None,
        checks_done=record.checks_done if record.checks else None,
        ended_at=record.ended_at,
        unmet=record.unmet,
        digest=None if record.digest is None else Digest(record.digest),
        ledger_index=big_int(record.ledger_index),
        checkpoint_size=big_int(record.checkpoint_size),
        bytes=big_int(record.bytes),
        url=f"/v1/attestations/{id_}" if done else None,
        failure=record.failure,
    )
