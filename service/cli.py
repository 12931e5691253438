"""The command line and its list of commands. Each is imported when it runs, so that `--help` answers fast."""

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from service.commands.options import HELP_NAMES, Data, remember_data
from service.memory import collection_paused


class CommandEntry(NamedTuple):
    """A command: its name, its module, the first sentence of its help, and whether it has subcommands."""

    name: str
    module: str
    help: str
    is_noun: bool = False
    hidden: bool = False


COMMANDS: Final = (
    CommandEntry("serve", "service.serve", "Run the service."),
    CommandEntry(
        "status", "service.status", "Say what runs here: database, policy, keyring, windows, missing protections."
    ),
    CommandEntry("keys", "keys.keys", "Make, list and end API keys.", is_noun=True),
    CommandEntry("keyring", "keys.keyring", "See the keys that seal, and change what wraps them.", is_noun=True),
    CommandEntry("accounts", "data.accounts", "Show accounts and their tiers.", is_noun=True),
    CommandEntry(
        "policy", "policy.policy", "Read what a policy does before it runs, then put it in force.", is_noun=True
    ),
    CommandEntry("import", "data.import_", "Bring in the calls of another gateway: files, databases, APIs."),
    CommandEntry("sources", "data.sources", "Gateways whose logs the service pulls.", is_noun=True),
    CommandEntry("pull", "data.pull", "Read the sources of `calledger sources` once, now."),
    CommandEntry(
        "export", "data.export", "Write calls, errors or costs to standard output, oldest first.", is_noun=True
    ),
    CommandEntry(
        "sql-access", "data.sql_access", "Give analysts SQL over what a role may see: a folder of files.", is_noun=True
    ),
    CommandEntry("reprice", "data.reprice", "Price stored calls by the price lists of now."),
    CommandEntry("reconcile", "data.reconcile", "Compare what others bill with what is recorded here."),
    CommandEntry("purge", "data.purge", "Destroy what is past its window, now."),
    CommandEntry("cold", "service.cold", "Move calls of past partitions to files, and back.", is_noun=True),
    CommandEntry(
        "hold", "data.hold", "Keep rows past their window for a legal case, and let go of them.", is_noun=True
    ),
    CommandEntry("erase", "data.erase", "Erase one person's data, or one account's."),
    CommandEntry("fsck", "evidence.fsck", "Prove that sums equal calls, and that nothing is kept past its time."),
    CommandEntry(
        "rebuild-sums", "data.rebuild", "Make sums that differ from their calls anew, while the service runs."
    ),
    CommandEntry(
        "ledger", "evidence.ledger", "The record of what was done about privacy, and evidence of it.", is_noun=True
    ),
    CommandEntry("attest", "evidence.attest", "Write the periodic statement of retention."),
    CommandEntry("verify", "evidence.verify", "Check a bundle of evidence. Needs neither server nor database."),
    CommandEntry("migrate", "service.migrate", "Bring the database to the newest schema."),
    CommandEntry("scale-out", "service.scale_out", "Spread the ledger over several machines.", is_noun=True),
    CommandEntry(
        "work", "service.work", "One of several processes that answer; started by `serve --workers`.", hidden=True
    ),
)
_MODULES: Final = {entry.name: entry for entry in COMMANDS}


class _LazyGroup(TyperGroup):
    """Lists the commands of `COMMANDS`, and imports the one that runs."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401 - passed through to Typer
        super().__init__(**attributes)
        for entry in COMMANDS:
            self.add_command(TyperCommand(entry.name, help=entry.help, hidden=entry.hidden, callback=None))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - Typer keeps these types to itself
        """The command of these arguments, imported now: its name, itself, and the rest of the arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, None if name is None else _load(_MODULES[name]), rest


def _load(entry: CommandEntry) -> TyperCommand | TyperGroup:
    with collection_paused():
        module = import_module(f"service.commands.{entry.module}")
    if entry.is_noun:
        return typer.main.get_group(module.app)
    command = typer.main.get_command(module.app)
    assert isinstance(command, TyperCommand | TyperGroup), "Typer makes no others of an app"
    return command


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"calledger {version('calledger')}")
        raise typer.Exit


app = typer.Typer(
    name="calledger",
    cls=_LazyGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_NAMES,
)


@app.callback()
def calledger(
    data: Data = None,
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The call ledger for AI API gateways.

    It bills exactly, remembers nothing it shouldn't, and can prove what it forgot.

    \b
    Begin here:  calledger serve --demo
    Then:        calledger keys create --role ingest --account acme

    Every command works while the service runs and while it doesn't.
    Exit codes: 0 done; 1 refused or failed, with one line on standard error that says why; 2 wrong usage.
    """
    remember_data(data)
