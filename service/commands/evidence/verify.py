"""`calledger verify`: check a bundle of evidence or an exported file, with neither server nor database."""

from pathlib import Path
from typing import Annotated

import typer

from policies.evidence.verify import EvidenceError, verify_file
from service.commands.evidence.export_check import manifest_beside, verify_export
from service.commands.options import UnusedData, verb
from service.errors import RequestError

app = verb()


class NotVerifiedError(RequestError):
    """the evidence does not hold"""


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle, as `calledger ledger export` writes it.")],
    key: Annotated[
        str | None, typer.Option(help="The verifier key that you trust, or a file with it.", metavar="VKEY")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(help="File with a checkpoint that you kept.", metavar="CHECKPOINT")
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(help="Manifest of an exported FILE; FILE.manifest.json when it is there.", metavar="MANIFEST"),
    ] = None,
    data: UnusedData = None,  # noqa: ARG001 - given to every command
) -> None:
    """Check a bundle of evidence. Needs neither server nor database. Checks a statement of `attest` and an exported
    file with its manifest, too: size, SHA-256 and rows.

    Without --key it can only say that the bundle is consistent, not whose it is. With --since it also proves that
    nothing was changed or removed that your checkpoint covers.
    What holds is printed; when something does not, one line on standard error says what, and the exit code is 1.

    \b
    Examples: calledger verify evidence.ndjson --key calledger/...+...
              calledger verify november.parquet --manifest november.json
    """
    try:
        manifest = manifest or manifest_beside(file)
        if manifest is not None:
            typer.echo("\n".join(verify_export(file, manifest)))
            return
        given = read_key_option(key)
        with file.open("rb") as lines:
            # What was never evidence is not evidence that was altered.
            if not lines.readline().lstrip().startswith(b"{"):
                raise RequestError(f"`{file}` is no bundle of `ledger export` and no statement of `attest`")
            lines.seek(0)
            findings = verify_file(lines, key=given, since=None if since is None else read_since(since))
    except OSError as error:
        raise _unreadable(file, error) from None
    except EvidenceError as error:
        raise NotVerifiedError(f"NOT verified: {error}") from None
    typer.echo("\n".join(findings))


def read_key_option(key: str | None) -> str | None:
    """The key as it was given, or the text of the file that was given."""
    if key is None or "+" in key:
        return key
    try:
        return Path(key).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise RequestError(f"`{key[:60]}` is neither a verifier key (`name+id+base64`) nor a file with one") from None


def read_since(path: Path) -> bytes:
    """The bytes of the checkpoint in a file. RequestError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> RequestError:
    return RequestError(f"`{path}` cannot be read: {(error.strerror or 'no reason given').lower()}")
