"""The command line: which commands there are."""

from importlib.metadata import version
from typing import Annotated

import typer

from service.commands import accounts, export, fsck, keys, migrate, policy, purge, serve, status

app = typer.Typer(
    name="calledger",
    help="The call ledger for AI API gateways: it bills exactly, remembers nothing it shouldn't, and can prove what it "
    "forgot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"calledger {version('calledger')}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before a command."""


app.command()(serve.serve)
app.command(hidden=True)(serve.work)
app.command()(migrate.migrate)
app.command()(status.status)
app.command()(fsck.fsck)
app.command()(purge.purge)
app.add_typer(keys.app, name="keys")
app.add_typer(accounts.app, name="accounts")
app.add_typer(policy.app, name="policy")
app.add_typer(export.app, name="export")
