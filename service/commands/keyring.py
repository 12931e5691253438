"""`calledger keyring`: which keys there are, and what wraps them."""

from collections.abc import Mapping
from typing import Annotated

import typer

from policies import DataClass
from service.commands.common import progress, quiet_runtime, run, say, table
from service.commands.options import Data, noun
from service.keyring import KeyCounts, Keyring, PeriodKeyName
from service.ledger import LedgerKind
from service.runtime import Runtime
from service.storage.sealed import sealed_with

app = noun("See the keys that seal, and change what wraps them.")


@app.command()
def status(data: Data = None) -> None:
    """Say where the keys are, what wraps them, and how many are live, destroyed and lost.

    Lost are keys that something stored was sealed with, and that are neither in the keyring nor destroyed on record:
    restore the keyring from its backup. Exit code 1 when there are any.
    """

    async def work() -> bool:
        async with quiet_runtime(data) as runtime:
            lost = await lost_keys(runtime)
            counts = await runtime.keyring.counts()
            say(f"keyring  {runtime.keyring.describe()}")
            table(("keys of", "live", "destroyed", "lost"), _rows(counts.periods, counts.accounts, counts.holds, lost))
        return not lost

    if not run(work):
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

    async def work() -> None:
        async with quiet_runtime(data) as runtime:
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

    run(work)


async def lost_keys(runtime: Runtime) -> list[str]:
    """The names of keys that stored details were sealed with, and that are neither there nor destroyed on record."""
    # The rows first: a key that was made for a row is there before the row is.
    wanted = await sealed_with(runtime.database.owner)
    names = {str(PeriodKeyName(tier, DataClass.PERSONAL.value, day)) for tier, day, _ in wanted}
    names |= {f"account/{account}" for _, _, account in wanted}
    known = await _known(runtime.keyring)
    return sorted(names - known)


async def _known(keyring: Keyring) -> set[str]:
    return {str(name) for name in await keyring.names()} | set(await keyring.tombstones())


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
        (_words(group), counts.live, counts.destroyed, by_group.get(group, 0))
        for group, counts in sorted(groups.items())
    ]


def _words(group: str) -> str:
    kind, _, rest = group.partition("/")
    if kind != "period":
        return f"{kind}s"
    tier, data_class = rest.split("/")
    return f"tier {tier}, {data_class}"
