"""`createEvidence`: evidence for an auditor who has a key and not a shell.

What the bundle covers is on record and in the ledger before the answer, under a signed checkpoint; its lines are
written after it, by `service.export`. An auditor asks `export` until the file is ready, and fetches it.
"""

from datetime import datetime
from typing import Annotated, Final
from uuid import uuid4

import strawberry

from service.api.execution.context import Context, Info
from service.api.exports.types import Export, encode_export_id, export_node, throttled_when_busy
from service.api.ledger.queries import ledger_of
from service.api.ledger.types import Checkpoint, checkpoint_node
from service.api.retention.queries import refuse_bound
from service.api.types.declarations import argument, described, given, optional
from service.api.types.directives import Cost
from service.api.types.scalars import BigInt
from service.ledger import entry_range_of, request_evidence
from service.storage.control.policies import applied_policy

EVIDENCE_COST: Final = 1_000


@strawberry.input
class CreateEvidenceInput:
    """What the bundle is to cover; the whole ledger when nothing is given."""

    since_size: BigInt | None = optional(
        "Size of the checkpoint that you already hold: only what came after it, with the proof that it continues it."
    )
    from_: datetime | None = optional(
        "Entries that were recorded at this moment or later. With `sinceSize` the bundle begins with whichever is "
        "earlier.",
        name="from",
    )
    to: datetime | None = optional(
        "Entries that were recorded before this moment, and those after it up to the next signed checkpoint."
    )


@strawberry.type
class CreateEvidencePayload:
    """The bundle that was asked for."""

    export: Export = described("Ask `export` for its state until it is ready.")
    checkpoint: Checkpoint = described("What the bundle ends at. Keep it: the next one begins here.")


@strawberry.type
class EvidenceMutation:
    """Root fields of evidence; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=EVIDENCE_COST)])
    async def create_evidence(
        self,
        info: Info,
        input: Annotated[CreateEvidenceInput, argument("What the bundle is to cover.")],
    ) -> CreateEvidencePayload | None:
        """A signed bundle for offline verification (auditor): an auditor has a key, not a shell. A key has four exports
        under way at a time.
        """
        refuse_bound(info.context, "createEvidence")
        return await _create_evidence(info.context, input)


async def _create_evidence(context: Context, input: CreateEvidenceInput) -> CreateEvidencePayload:
    ledger, id_ = ledger_of(context), uuid4()
    span = await entry_range_of(
        ledger,
        since_size=given(input.since_size),
        recorded_from=given(input.from_),
        recorded_to=given(input.to),
    )
    applied = await applied_policy()
    digest = "" if applied is None else applied.digest
    with throttled_when_busy(context):
        record, issued = await request_evidence(ledger, span, id_, encode_export_id(id_), context.scope, digest)
    context.export_asked()
    return CreateEvidencePayload(export=export_node(record), checkpoint=checkpoint_node(issued))
