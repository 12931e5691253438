"""Files are written anew without what was erased, and the rounds of maintenance.

An erasure brings the rows of a file back (`service.retention.cold.thaw`), and in the same transaction the partition is
put down for a new file. It gets that when the erasure has ended, from the maintenance or at once; a kill in between
leaves it put down.
"""

import asyncio
from datetime import timedelta

from service.retention.cold.freeze import LEASE, OnStep, freeze, ignore_step
from service.retention.cold.thaw import sweep, thaw_held
from service.retention.context import RetentionContext
from service.retention.purge_runs import SYSTEM
from service.storage.cold.catalogue import ColdFile, cold_files, end_rewrite, rewrites
from service.storage.cold.errors import ColdFileError
from service.storage.partitions import quoted


async def keep_cold(context: RetentionContext) -> None:
    """Do one round: move what is past the age that the operator set and what is to be written anew, bring back what
    holds name, and remove files that nothing lists. Raises ColdTierError, ColdFileError and PartitionsBusyError.
    """
    failure: ColdFileError | None = None
    try:
        await sweep(context)
    except ColdFileError as error:  # what cannot be removed keeps nothing else
        failure = error
    await thaw_held(context)
    if await waiting(context) or context.cold_age is not None:
        await freeze(context, context.cold_age, actor=SYSTEM, most=2)
    if failure is not None:
        raise failure


async def rewrite(
    context: RetentionContext, *, actor: str, lease: timedelta = LEASE, on_step: OnStep = ignore_step
) -> list[ColdFile]:
    """Write the new files now, and wait until every reader knows them; the files. Raises ColdTierError, ColdFileError
    and PartitionsBusyError.
    """
    if not await waiting(context):
        return []
    written = await freeze(context, None, actor=actor, lease=lease, on_step=on_step)
    if any(not file.frozen for file in await cold_files(context.owner)):
        await asyncio.sleep(lease.total_seconds())
        written += await freeze(context, None, actor=actor, most=0, lease=lease, on_step=on_step)
    return written


async def waiting(context: RetentionContext) -> list[str]:
    """The partitions that are to have a new file. Those that have gone, or have no calls any more, need none."""
    left = []
    for partition in await rewrites(context.owner):
        table = quoted(partition)
        exists = await context.owner.fetchval("SELECT to_regclass($1) IS NOT NULL", table)
        if exists and await context.owner.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):  # noqa: S608 - our own name
            left.append(partition)
        else:
            await end_rewrite(context.owner, partition)
    return left
