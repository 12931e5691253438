"""`calledger purge`: destroy now what is past its window."""

import sys
from typing import Annotated

import typer

from policies.retention import PurgePlan
from service.commands.common import in_runtime, say, table
from service.commands.options import Data, verb
from service.retention.purge.planning import Due, due_plans, held_back, with_exact_rows
from service.retention.purge.runner import OnStep, ignore_step, run_purge
from service.retention.purge_runs import Run
from service.runtime.runtime import Runtime

app = verb()


@app.command()
def purge(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be destroyed, and destroy nothing.")
    ] = False,
    plan: Annotated[
        str | None,
        typer.Option("--plan", help="Destroy exactly what the plan of this digest says, or nothing.", metavar="DIGEST"),
    ] = None,
    data: Data = None,
) -> None:
    """Destroy what is past its window, now.

    Period keys first, then whole partitions. `serve` does so every hour by itself; where no service runs, put this
    into cron. It may be killed at any moment: the next purge goes on where this one was.
    Steps are shown on a terminal, and nothing but the outcome in a pipe. The exit code is 1 when a purge failed.

    \b
    Look first:  calledger purge --dry-run
    Then:        calledger purge --plan sha256:...
    """
    if dry_run and plan is not None:
        raise typer.BadParameter("--dry-run makes a plan, and --plan carries one out: give one of the two")
    if not in_runtime(data, _print_due if dry_run else lambda runtime: _purge(runtime, plan)):
        raise typer.Exit(1)


async def _print_due(runtime: Runtime) -> bool:
    context = runtime.retention
    due = await due_plans(context, await context.now())
    _print_plan(await with_exact_rows(context, due.all))
    held = await held_back(context, due.all)
    if held:
        say(f"{held} rows of these are kept by holds, which copy them first: `calledger hold list`")
    if due.settled != due.all:
        _print_waiting(due, runtime.settings.purge_delay)
    return True


def _print_waiting(due: Due, delay_hours: int) -> None:
    waiting = len(due.all.partitions) - len(due.settled.partitions) + len(due.all.keys) - len(due.settled.keys)
    say(f"{waiting} of these are due by a change of policy: they wait {delay_hours} hours for it to be undone,")
    say("or go at once with --plan; reads do not see them any more")


def _print_plan(plan: PurgePlan) -> None:
    rows = [(part.name, part.store, part.start, part.end, part.rows_estimate, part.bytes) for part in plan.partitions]
    if rows:
        table(("partition", "store", "from", "to", "rows", "bytes"), rows)
    for key in plan.keys:
        say(f"key of tier {key.tier}, {key.data_class}, {key.period}")
    if not plan:
        say("nothing is due")
    say(f"plan {plan.digest()}")


async def _purge(runtime: Runtime, digest: str | None) -> bool:
    ended = await run_purge(runtime.retention, requested_by="cli", plan_digest=digest, on_step=_progress())
    for one in ended:
        say(_outcome(one))
    if not any(one.plan for one in ended):
        say("nothing was due")
    return not any(one.failure for one in ended)


def _outcome(ended: Run) -> str:
    counts = f"{len(ended.plan.partitions)} partitions, {ended.rows_dropped} rows, {ended.keys_destroyed} keys"
    if ended.rows_held_back:
        counts += f", {ended.rows_held_back} rows kept by holds"
    return f"{ended.state.lower()}: {counts}" + (f": {ended.failure}" if ended.failure else "")


def _progress() -> OnStep:
    """A hook that prints steps as they take effect, on a terminal; one that does nothing in a pipe."""
    if not sys.stderr.isatty():
        return ignore_step

    def say_step(step: str) -> None:
        """Print a step on standard error."""
        sys.stderr.write(f"{step}\n")

    return say_step
