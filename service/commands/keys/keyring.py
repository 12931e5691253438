"""`calledger keyring`: which keys there are, and what wraps them."""

from collections.abc import Mapping
from typing import Annotated

import typer

from service.commands.common import in_runtime, progress, run, say, settings_for, table
from service.commands.options import Data, noun
from service.keyring import KeyCounts
from service.ledger import LedgerKind
from service.logs import configure_logs
from service.retention.lost_keys import lost_keys
from service.runtime.replacement import replace_keyring
from service.runtime.runtime import Runtime

app = noun("See the keys that seal, and change what wraps them.")


@app.command()
def status(data: Data = None) -> None:
    """Say where the keys are, what wraps them, and how many are live, destroyed and lost.

    Lost are keys that something stored was sealed with, and that are neither in the keyring nor destroyed on record:
    restore the keyring from its backup. Those in whose place others were made stay lost. Exit code 1 when there are
    any.
    """

    async def work(runtime: Runtime) -> bool:
        """Print the keyring's state; whether no key is lost."""
        lost = list(await lost_keys(runtime.retention))
        counts = await runtime.keyring.counts()
        say(f"keyring  {runtime.keyring.describe()}")
        table(("keys of", "live", "destroyed", "lost"), _rows(counts.periods, counts.accounts, counts.holds, lost))
        return not lost

    if not in_runtime(data, work):
        raise typer.Exit(1)


@app.command()
def rotate(
    to: Annotated[
        str, typer.Option(metavar="KEK", help="The key-encryption key to go to, as CALLEDGER_KEK names one.")
    ],
    data: Data = None,
) -> None:
    """Wrap every key anew under another key-encryption key; records are not touched.

    Cut short, it goes on when it is run again. Services may run meanwhile. Set CALLEDGER_KEK to the new one before
    their next start; the old one is needed for nothing but older backups of the keyring.

    Example: calledger keyring rotate --to aws:arn:aws:kms:eu-west-1:123456789012:key/...
    """

    async def work(runtime: Runtime) -> None:
        """Rotate with a progress bar, and record it in the ledger."""
        with progress() as bar:
            task = bar.add_task("wrapping keys anew", total=None)
            rotation = await runtime.keyring.rotate(
                to, on_step=lambda looked, all_: bar.update(task, completed=looked, total=all_)
            )
        facts = {"keys": rotation.rewrapped}
        await runtime.ledger.append(LedgerKind.KEYRING_ROTATED, facts, actor="cli", note=rotation.wrapped_by)
        say(f"{rotation.rewrapped} keys are wrapped anew, all by {rotation.wrapped_by}")
        if to != runtime.settings.kek_url:
            say(f"set CALLEDGER_KEK={to} before the next start")

    in_runtime(data, work)


@app.command()
def replace(
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="What the lost keys sealed can then never be read again: yes.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why: into the ledger, as an erasable note.")
    ] = None,
    data: Data = None,
) -> None:
    """Begin a new keyring in the place of one that is lost.

    Look for a backup of the keyring, and of what wraps it, first: with both nothing is lost. A keyring that still opens
    is not replaced, nor one that is only away for now.

    Calls, costs and the ledger stay. What was sealed until now (messages and parameters of failed calls) answers
    KEY_LOST, users' pseudonyms begin anew, and copies of legal holds do not open. The ledger names every lost key, and
    goes on under a new signer: give auditors its key by a way that nobody can tamper with.
    API keys go on as they are if `DATA/standby` is there. If it is lost too, every API key is revoked, and a new one
    of role admin is written to `DATA/admin.key`.
    What is left of the old keyring is moved aside, not deleted. Running services take up the new one; where API keys
    were revoked, start them again.

    \b
    Example: calledger keyring replace --accept-loss --reason "the volume of the keyring was deleted, no backup"
    Then:    calledger ledger key
    """
    if not accept_loss:
        raise typer.BadParameter("what the lost keys sealed is given up for good: add --accept-loss if it may be")

    async def work() -> None:
        """Replace the keyring, and print what was done."""
        settings = settings_for(data)
        if "log_level" not in settings.model_fields_set:
            configure_logs(level="warning", form=settings.log_format)
        done = await replace_keyring(settings, reason=reason)
        say(f"entry    {done.index} says that the keyring was lost, and the entries before it name {done.keys} keys")
        say(f"keyring  {done.keyring}")
        say(f"signer   {done.signer}")
        if done.aside is not None:
            say(f"aside    {done.aside}: what was left of the old keyring")
        if done.admin_key is None:
            say("API keys go on as they are")
        else:
            say(f"{done.api_keys} API keys were revoked: they cannot be checked any more")
            say(f"a new key of role admin is in {done.admin_key}; start running services again")
        say("back up the new keyring, and give auditors the new signer's key")

    run(work)


def _rows(
    periods: Mapping[tuple[int, str], KeyCounts], accounts: KeyCounts, holds: KeyCounts, lost: list[str]
) -> list[tuple[str, int, int, int]]:
    by_group: dict[str, int] = {}
    for name in lost:
        group = name.rsplit("/", 1)[0]
        by_group[group] = by_group.get(group, 0) + 1
    groups = {f"period/{tier}/{data_class}": counts for (tier, data_class), counts in periods.items()}
    groups |= {group: KeyCounts() for group in by_group if group not in groups and group != "account"}
    groups |= {"account": accounts, "hold": holds}
    return [
        (_describe_group(group), counts.live, counts.destroyed, by_group.get(group, 0))
        for group, counts in sorted(groups.items())
    ]


def _describe_group(group: str) -> str:
    kind, _, rest = group.partition("/")
    if kind != "period":
        return f"{kind}s"
    tier, data_class = rest.split("/")
    return f"tier {tier}, {data_class}"
