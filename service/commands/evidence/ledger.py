"""`calledger ledger`: the tamper-evident ledger, for auditors and witnesses."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from policies.evidence import read_checkpoint
from service.commands.common import in_runtime, say
from service.commands.evidence.verify import read_since
from service.commands.options import Data, UnusedData, noun
from service.errors import OperatorError
from service.ledger import accept_loss, bundle_lines, hand_over
from service.retention.erasure.notes import erase_notes, erase_notes_naming
from service.runtime.runtime import Runtime

app = noun("The record of what was done about privacy, and evidence of it.")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bundle to write; made anew, readable by you only.")],
    since: Annotated[
        Path | None,
        typer.Option(
            help="File with a checkpoint that the auditor kept: only what came after it.", metavar="CHECKPOINT"
        ),
    ] = None,
    data: Data = None,
) -> None:
    """Write a signed bundle of evidence.

    Who has the bundle and the verifier key can check it anywhere, with neither server nor database.
    It holds every entry (or those since a checkpoint), the policies that they name, and notes that were not erased.

    \b
    Example: calledger ledger export evidence.ndjson
    Then:    calledger verify evidence.ndjson --key "$(calledger ledger key)"
    """
    start = 0 if since is None else read_checkpoint(read_since(since)).size
    in_runtime(data, lambda runtime: _export(runtime, file, start))


async def _export(runtime: Runtime, file: Path, start: int) -> None:
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("writing the bundle", total=await runtime.ledger.size() - start)
        count = await write_lines(
            file, bundle_lines(runtime.ledger, start=start, actor="cli"), lambda: progress.advance(task)
        )
    say(f"{count} lines written to {file}")


async def write_lines(file: Path, lines: AsyncIterator[bytes], on_line: Callable[[], None]) -> int:
    """Write a file completely or not at all; returns how many lines."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    count = 0
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            async for line in lines:
                opened.write(line)
                count += 1
                on_line()
            opened.flush()
            os.fsync(opened.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise OperatorError(f"`{file}` cannot be written: {(error.strerror or 'no reason given').lower()}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return count


@app.command("key")
def key(data: Data = None) -> None:
    """Print the verifier key, for auditors to keep.

    Hand it over by a way that nobody can tamper with: what it verifies is only as good as the key.
    """

    async def work(runtime: Runtime) -> None:
        """Print the verifier key."""
        say(str((await runtime.publisher.checkpoints.signer()).key))

    in_runtime(data, work)


@app.command("rotate-signer")
def rotate_signer(data: Data = None) -> None:
    """Make a new signing key, and have the old one hand the ledger over to it.

    From then on the new key signs, in services that run meanwhile too, and the old one is gone from the keyring.
    An auditor with the old verifier key can follow it to the new one in bundles that reach back to the entry that is
    printed; give auditors the new one all the same, by a way that nobody can tamper with.

    Killed at any moment, either the old key signs or the new one does; run it again to go on.

    \b
    Example: calledger ledger rotate-signer
    Then:    calledger ledger key
    """

    async def work(runtime: Runtime) -> None:
        """Hand the ledger over, and print both keys."""
        done = await hand_over(runtime.publisher, actor="cli")
        if done.finished:
            say("an earlier rotation was cut short, and is finished now")
        say(f"entry    {done.index}: the old key names the new one")
        say(f"old key  {done.old}")
        say(f"new key  {done.new}")
        say(f"give auditors the new key; with the old one they can check bundles that reach back to entry {done.index}")

    in_runtime(data, work)


@app.command("accept-loss")
def accept_lost_history(
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why: into the ledger, as an erasable note.")],
    data: Data = None,
) -> None:
    """Go on with a ledger that is shorter than the keyring remembers, or that begins otherwise.

    For a database that was restored without its mirror: `calledger fsck` fails at `history` until then.
    An entry RESTORED says what was lost. Try the mirror's backup first: with it nothing is lost.

    \b
    Example: calledger ledger accept-loss --reason "restored from the backup of Monday, the mirror was on the same disk"
    """

    async def work(runtime: Runtime) -> None:
        """Accept the loss, and print its entry."""
        say(f"entry {await accept_loss(runtime.ledger, reason=reason, actor='cli')} says what was lost")

    in_runtime(data, work)


@app.command("checkpoint")
def checkpoint(data: Data = None) -> None:
    """Sign what the ledger holds now, and print the checkpoint.

    It can later prove that nothing before it was changed: `calledger verify FILE --since CHECKPOINT`.

    \b
    Example: calledger ledger checkpoint > checkpoint-2026-11.txt
    """

    async def work(runtime: Runtime) -> None:
        """Sign, and print the signed note."""
        sys.stdout.write((await runtime.publisher.checkpoints.sign()).note)

    in_runtime(data, work)


@app.command("erase-notes")
def erase_notes_command(
    reason: Annotated[str, typer.Option(help="Why; it is a note itself, and names nobody at best.")],
    indexes: Annotated[list[int] | None, typer.Argument(metavar="INDEX...", help="Entries of the ledger.")] = None,
    naming: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Every note that has this as a word of its own instead.")
    ] = None,
    data: Data = None,
) -> None:
    """Erase notes for good: reasons and names that people wrote, and what holds and keys repeat of them.

    The entries stay, with the salted hash of what they said; an entry NOTES_ERASED says whose notes went.
    `calledger erase` does so by itself with notes that name the person or the account.

    \b
    Examples: calledger ledger erase-notes 17 42 --reason "asked by letter of 3 May"
              calledger ledger erase-notes --naming jane@example.com --reason "asked by letter of 3 May"
    """
    if bool(indexes) == bool(naming):
        raise typer.BadParameter("give either entries or --naming TEXT")

    async def work(runtime: Runtime) -> None:
        """Erase the notes, and print which."""
        if naming:
            done = await erase_notes_naming(runtime.retention, naming, reason=reason, actor="cli")
        else:
            done = await erase_notes(runtime.retention, indexes or [], reason=reason, actor="cli")
        say(f"{len(done.indexes)} notes erased: entries {', '.join(map(str, done.indexes))}")

    in_runtime(data, work)


@app.command("verifier")
def verifier(data: UnusedData = None) -> None:  # noqa: ARG001 - given to every command
    """Print the verifier: one Python file that an auditor can read and run without us.

    \b
    Example: calledger ledger verifier > verify.py
             python3 verify.py evidence.ndjson --key VKEY
    """
    sys.stdout.write(files("policies.evidence").joinpath("verify.py").read_text("utf-8"))
