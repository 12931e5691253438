"""`calledger rebuild-sums`: make the sums anew from the calls."""

from typing import Annotated

import typer

from service.commands.common import in_runtime, progress, say
from service.commands.options import Data, verb
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.rebuild import days_to_rebuild, rebuild_derived_sums, rebuild_sums
from service.retention.rollups.tag_keys import sum_history
from service.retention.rollups.unsummed import make_every_sum
from service.runtime.runtime import Runtime

app = verb()


@app.command("rebuild-sums")
def rebuild(
    whole: Annotated[
        bool, typer.Option("--every-day", help="Also make the sums that days are without because they do not pay.")
    ] = False,
    data: Data = None,
) -> None:
    """Make sums that differ from their calls anew, day by day, while the service runs.

    For what `calledger fsck` names under `usage`. A day changes in one transaction, with an entry SUMS_REBUILT in the
    ledger that says how many calls and what amount its sums said before and say now. Killed at any moment, run it
    again to go on.
    Days whose calls were purged are in the sums alone: they stay as they are.
    Calls that were there before the policy let costs be grouped by one of their tags are summed by it too.

    \b
    Example: calledger fsck; calledger rebuild-sums
    """
    in_runtime(data, lambda runtime: _rebuild(runtime, whole=whole))


async def _rebuild(runtime: Runtime, *, whole: bool) -> None:
    context = runtime.retention
    if whole:
        made = await make_every_sum(context.owner)
        say(f"{made} days have all of their sums again, until the service's maintenance looks at them")
    days = await days_to_rebuild(context)
    with progress() as bar:
        task = bar.add_task("making sums anew", total=len(days))
        async for one in rebuild_sums(context, days, actor="cli"):
            bar.advance(task)
            was, are = (f"{one.before} calls, {one.amount_before}", f"{one.after} calls, {one.amount_after}")
            say(f"tier {one.tier} {one.day:%Y-%m-%d}: {are} (before: {was})")
    await Compaction(
        context.owner, ensure=lambda needs: context.partitions.ensure_anew(context.policy(), needs)
    ).compact_all()
    derived = await rebuild_derived_sums(context)
    tagged = await sum_history(context)
    if tagged:
        say(f"{tagged} days summed by tags that costs can be grouped by since later")
    say(f"{len(days)} days made anew from their calls, {derived} days of sums from their rollup; the others are right")
