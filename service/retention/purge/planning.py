"""What a purge would destroy now, and how a plan is named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from policies.policy.checks import NEVER_STORED
from policies.policy.model import DataClass, Policy, Store
from policies.retention import KeyPeriod, Partition, PurgePlan, plan
from service.retention.context import RetentionContext
from service.retention.errors import PurgePlanError
from service.retention.holds.escrow import RowsToHold, count_held
from service.retention.purge.row_count import count_rows
from service.retention.purge_runs import PurgeState, Run, Runs
from service.storage.notifications import notify
from service.storage.partitions import Partitions

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Due:
    """`all`: what is due by the policy in force; `settled`: the part that the purge destroys by itself.

    They differ while a change of policy is younger than the purge delay.
    """

    all: PurgePlan
    settled: PurgePlan


async def plan_purge(context: RetentionContext, *, now: datetime | None = None) -> PurgePlan:
    """What is due now by the database's clock, or at `now`. Nothing is written or destroyed."""
    now = now or await context.now()
    return plan(context.policy(), await all_partitions(context.partitions), await live_keys(context), now)


async def due_plans(context: RetentionContext, now: datetime) -> Due:
    """Both plans of what is due. EarlierPolicyError when an earlier policy cannot be read."""
    policy, earlier = context.policy(), await context.earlier(now)
    partitions, keys = await all_partitions(context.partitions), await live_keys(context)
    return Due(plan(policy, partitions, keys, now), plan(policy, partitions, keys, now, earlier))


async def named_plan(context: RetentionContext, digest: str, now: datetime) -> PurgePlan:
    """What is due and has this digest: all of it, or the part of one class, one tier, or both.

    PurgePlanError when there is no such part.
    """
    if not _DIGEST.fullmatch(digest):
        raise PurgePlanError(f"`{digest[:80]}` is no digest of a plan: `calledger purge --dry-run` prints it")
    due = await plan_purge(context, now=now)
    for part in _parts(due, context.policy()):
        if part.digest() == digest:
            return part
    raise PurgePlanError


async def request_purge(context: RetentionContext, digest: str, *, actor: str) -> Run:
    """Ask the service to carry out a plan; the same request twice is one. PurgePlanError, PurgeClockError."""
    now = await context.now()
    wanted = await named_plan(context, digest, now)
    if not wanted:
        raise PurgePlanError("nothing of this plan is due")
    runs = Runs(context.owner)
    for run in await runs.unfinished():
        if run.digest == digest and run.state is PurgeState.REQUESTED:
            return run
    run = await runs.begin(wanted, now=now, requested_by=actor, named=True, state=PurgeState.REQUESTED)
    await notify(context.owner, "purge")
    return run


async def held_back(context: RetentionContext, wanted: PurgePlan) -> int:
    """How many rows of a plan's partitions active holds would keep, by what they name now."""
    now, held = await context.owner.fetchval("SELECT clock_timestamp()"), 0
    for part in wanted.partitions:
        if part.store in (Store.CALL, Store.CALL_ERROR):
            held += await count_held(context.owner, RowsToHold(part.store, part.tier, part.start, part.end), now)
    return held


async def with_exact_rows(context: RetentionContext, wanted: PurgePlan) -> PurgePlan:
    """The same plan with exact counts of rows, to show before it is carried out."""
    days = await context.partitions.catalogue([Store.USAGE_DAY])
    parts = [
        replace(part, rows_estimate=await count_rows(context.owner, None, part, days)) for part in wanted.partitions
    ]
    return replace(wanted, partitions=tuple(parts))


async def all_partitions(partitions: Partitions) -> list[Partition]:
    """The partitions of all stores, with their sizes."""
    return (await partitions.catalogue()).partitions


async def live_keys(context: RetentionContext) -> list[KeyPeriod]:
    """The period keys that exist."""
    return [KeyPeriod(*name) for name in await context.keyring.periods()]


def _parts(due: PurgePlan, policy: Policy) -> Iterator[PurgePlan]:
    tiers = {part.tier for part in due.partitions} | {key.tier for key in due.keys}
    tiers |= {tier.number for tier in policy.tiers.values()}
    for data_class in (None, *(one for one in DataClass if one not in NEVER_STORED)):
        for tier in (None, *sorted(tiers)):
            yield due.part(data_class=data_class, tier=tier)
