"""`calledger purge`: destroy now what is past its window."""

import sys
from typing import Annotated

import typer

from policies.retention import PurgePlan
from service.commands.common import Data, quiet_runtime, run, say, table
from service.retention.purge import OnStep, nobody_watches, plan_purge, run_purge
from service.runtime import Runtime


def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be destroyed, and destroy nothing.")
    ] = False,
    plan: Annotated[
        str | None, typer.Option("--plan", help="Destroy exactly what this plan says, or nothing.", metavar="DIGEST")
    ] = None,
    data: Data = None,
) -> None:
    """Destroy what is past its window: period keys first, then whole partitions. `serve` does so every hour by itself.

    Look first: `calledger purge --dry-run` prints the plan and its digest, which `--plan DIGEST` holds the purge to.
    """

    async def work() -> None:
        async with quiet_runtime(data) as runtime:
            if dry_run:
                _print_plan(await _plan(runtime))
            else:
                await _purge(runtime, plan)

    run(work)


async def _plan(runtime: Runtime) -> PurgePlan:
    return await plan_purge(runtime.database, runtime.partitions, runtime.keyring, runtime.applied.policy)


def _print_plan(plan: PurgePlan) -> None:
    rows = [(part.name, part.store, part.start, part.end, part.rows_estimate, part.bytes) for part in plan.partitions]
    table(("partition", "store", "from", "to", "rows (about)", "bytes"), rows)
    for key in plan.keys:
        say(f"key of tier {key.tier}, {key.data_class}, {key.period}")
    if not plan:
        say("nothing is due")
    say(f"plan {plan.digest()}")


async def _purge(runtime: Runtime, digest: str | None) -> None:
    runs = await run_purge(
        runtime.database,
        runtime.partitions,
        runtime.keyring,
        runtime.applied.policy,
        requested_by="cli",
        plan_digest=digest,
        on_step=_progress(),
    )
    for ended in runs:
        say(
            f"{ended.state.lower()}: {len(ended.plan.partitions)} partitions, {ended.rows_dropped} rows, "
            f"{ended.keys_destroyed} keys" + (f": {ended.failure}" if ended.failure else "")
        )
    if not any(ended.plan for ended in runs):
        say("nothing was due")


def _progress() -> OnStep:
    """Steps as they take effect, on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        return nobody_watches

    def say_step(step: str) -> None:
        sys.stderr.write(f"{step}\n")

    return say_step
