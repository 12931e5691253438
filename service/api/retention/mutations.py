"""Duties of compliance: holds, purges by their digest, erasures; on record and in the ledger before the answer."""

from datetime import datetime
from typing import Annotated, Final

import strawberry

from policies.policy.model import DataClass as PolicyDataClass
from service.api.execution.context import Info, reading
from service.api.retention.queries import account_in_scope, refuse_bound, retention_context
from service.api.retention.types import (
    Erasure,
    ErasureKind,
    Hold,
    PurgedPartition,
    PurgeRun,
    entry_index,
    erasure_node,
    hold_node,
    partition_node,
    purge_node,
)
from service.api.types.declarations import argument, described, given, optional
from service.api.types.directives import Cost
from service.api.types.enums import DataClass, HoldClass
from service.api.types.public_ids import decode_id
from service.api.types.scalars import BigInt, Digest
from service.query.model.errors import BadInputError
from service.retention.erasure import erasure_record as erasures
from service.retention.erasure import notes
from service.retention.erasure.erasure import request_erasure
from service.retention.errors import PurgePlanError
from service.retention.holds import holds
from service.retention.purge.planning import held_back, plan_purge, request_purge, with_exact_rows

_ERASE_WITHIN_S: Final = 5.0  # the worker goes on with what takes longer


@strawberry.input
class HoldScopeInput:
    """What a hold names. What is not given does not narrow it."""

    account: str = described("Calls of this account.")
    from_: datetime | None = optional("That started at this moment or later.", "from")
    to: datetime | None = optional("That started before this moment.")
    model: str | None = optional("Of this model.")
    api_key: str | None = optional("Of this key of the gateway.")
    call_ids: list[strawberry.ID] | None = optional("These calls and no others.")


@strawberry.input
class PlaceHoldInput:
    """A hold to place."""

    name: str = described("What it is called, such as the case.")
    owner: str = described("Who answers for it.")
    reason: str = described("Why.")
    scope: HoldScopeInput = described("What it names.")
    classes: list[HoldClass] = described("Classes to keep: at least one.")
    expires_at: datetime | None = optional("When it ends by itself.")


@strawberry.type
class PlaceHoldPayload:
    """The hold that was placed."""

    hold: Hold = described("It is in force.")
    ledger_index: BigInt = described("The ledger's entry of it.")


@strawberry.input
class LiftHoldInput:
    """A hold to lift."""

    hold_id: strawberry.ID = described("Its id.")
    reason: str = described("Why.")


@strawberry.type
class LiftHoldPayload:
    """The hold that was lifted."""

    hold: Hold = described("What was kept for it alone is gone.")
    ledger_index: BigInt = described("The ledger's entry of it.")


@strawberry.input
class PlanPurgeInput:
    """What a plan is about; all that is due when nothing is given."""

    class_: DataClass | None = optional("Partitions and keys of this class.", "class")
    tier: str | None = optional("Of accounts of this tier.")


@strawberry.type
class PlanPurgePayload:
    """What a purge would do now."""

    digest: Digest = described("What requestPurge wants.")
    partitions: list[PurgedPartition] = described("Partitions that it would drop.")
    keys: BigInt = described("Period keys that it would destroy.")
    rows_held_back: BigInt = described("Rows of these partitions that holds would keep.")


@strawberry.input
class RequestPurgeInput:
    """A plan to carry out."""

    digest: Digest = described("Of planPurge.")


@strawberry.type
class RequestPurgePayload:
    """The purge that was asked for."""

    purge_run: PurgeRun = described("The worker carries it out.")


@strawberry.input
class RequestErasureInput:
    """Whom to erase."""

    kind: ErasureKind = described("A person or the whole account.")
    account: str = described("The account.")
    user_id: str | None = optional("Plain id of the person, for USER; hashed here, never stored or logged.")
    reason: str = described("Why.")


@strawberry.type
class RequestErasurePayload:
    """The erasure that was asked for."""

    erasure: Erasure = described("A person's rows are erased by now but for what a hold keeps; an account's, soon.")


@strawberry.input
class EraseNotesInput:
    """Which notes to erase."""

    indexes: list[BigInt] = described("Entries of the ledger: 1 to 500.")
    reason: str = described("Why; it is a note itself, and names nobody at best.")


@strawberry.type
class EraseNotesPayload:
    """The notes that were erased."""

    erased: list[BigInt] = described("Entries that had a note until now.")
    ledger_index: BigInt = described("The ledger's entry of it.")


@strawberry.type
class RetentionMutation:
    """Root fields of retention; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=50)])
    async def place_hold(
        self, info: Info, input: Annotated[PlaceHoldInput, argument("What to keep, and why.")]
    ) -> PlaceHoldPayload | None:
        """Keep what matches, whatever its window (compliance)."""
        context, scope = info.context, input.scope
        await account_in_scope(context, scope.account)
        ids = given(scope.call_ids)
        hold = await holds.place_hold(
            retention_context(context),
            name=input.name,
            owner=input.owner,
            reason=input.reason,
            scope=holds.HoldScope(
                scope.account,
                given(scope.from_),
                given(scope.to),
                given(scope.model),
                given(scope.api_key),
                None if ids is None else tuple(ids),
            ),
            classes=[PolicyDataClass[one.name] for one in dict.fromkeys(input.classes)],
            expires_at=given(input.expires_at),
            actor=context.scope.key_id,
        )
        return PlaceHoldPayload(hold=hold_node(hold, scope.account), ledger_index=entry_index(hold.ledger_index))

    @strawberry.mutation(directives=[Cost(weight=50)])
    async def lift_hold(
        self, info: Info, input: Annotated[LiftHoldInput, argument("Which hold, and why.")]
    ) -> LiftHoldPayload | None:
        """Let go of a hold (compliance)."""
        context, retention = info.context, retention_context(info.context)
        hold_id = decode_id("hold", input.hold_id)
        async with reading(context) as connection:
            found = None if hold_id is None else await holds.get_hold(connection, hold_id)
        if hold_id is None or found is None:
            raise BadInputError("there is no such hold")
        account = await context.reader.accounts.name(found.account_id)
        if context.scope.accounts is not None and found.account_id not in context.scope.accounts:
            raise BadInputError("there is no such hold")
        hold, index = await holds.lift_hold(retention, hold_id, reason=input.reason, actor=context.scope.key_id)
        return LiftHoldPayload(hold=hold_node(hold, account), ledger_index=entry_index(index))

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def plan_purge(
        self, info: Info, input: Annotated[PlanPurgeInput, argument("What the plan is about.")]
    ) -> PlanPurgePayload | None:
        """What a purge would do now, with the digest that requestPurge wants."""
        refuse_bound(info.context, "planPurge")
        retention = retention_context(info.context)
        class_, name = given(input.class_), given(input.tier)
        tier = None if name is None else retention.policy().tiers.get(name)
        if name is not None and tier is None:
            raise BadInputError(f"the policy has no tier `{name}`")
        due = await plan_purge(retention)
        plan = due.part(data_class=class_ and PolicyDataClass[class_.name], tier=tier and tier.number)
        plan = await with_exact_rows(retention, plan)
        return PlanPurgePayload(
            digest=Digest(plan.digest()),
            partitions=[partition_node(retention, part) for part in plan.partitions],
            keys=BigInt(len(plan.keys)),
            rows_held_back=BigInt(await held_back(retention, plan)),
        )

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def request_purge(
        self, info: Info, input: Annotated[RequestPurgeInput, argument("The plan to carry out.")]
    ) -> RequestPurgePayload | None:
        """Ask the worker to carry out a plan."""
        refuse_bound(info.context, "requestPurge")
        retention = retention_context(info.context)
        try:
            run = await request_purge(retention, input.digest, actor=info.context.scope.key_id)
        except PurgePlanError:
            raise BadInputError("nothing that is due has this digest: ask `planPurge` again") from None
        return RequestPurgePayload(purge_run=purge_node(retention, run))

    @strawberry.mutation(directives=[Cost(weight=100)])
    async def request_erasure(
        self,
        info: Info,
        input: Annotated[RequestErasureInput, argument("Whom to erase, and why.")],
    ) -> RequestErasurePayload | None:
        """Erase one person's or one account's data (GDPR art. 17)."""
        context = info.context
        await account_in_scope(context, input.account)
        erasure = await request_erasure(
            retention_context(context),
            kind=erasures.ErasureKind[input.kind.name],
            account=input.account,
            user=given(input.user_id),
            reason=input.reason,
            actor=context.scope.key_id,
            at_once=input.kind is ErasureKind.USER,
            within_s=_ERASE_WITHIN_S,
        )
        return RequestErasurePayload(erasure=erasure_node(erasure, input.account))

    @strawberry.mutation(directives=[Cost(weight=50)])
    async def erase_notes(
        self, info: Info, input: Annotated[EraseNotesInput, argument("Whose, and why.")]
    ) -> EraseNotesPayload | None:
        """Erase notes of the ledger for good: people's words, and what holds and keys repeat of them (compliance). The
        leaves stay.
        """
        refuse_bound(info.context, "eraseNotes")
        indexes = [int(one) for one in input.indexes]
        done = await notes.erase_notes(
            retention_context(info.context), indexes, reason=input.reason, actor=info.context.scope.key_id
        )
        erased = [BigInt(index) for index in done.indexes]
        return EraseNotesPayload(erased=erased, ledger_index=entry_index(done.ledger_index))
