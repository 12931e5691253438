"""`calledger policy`: read what a policy does before it runs, then put it in force."""

import sys
from pathlib import Path
from typing import Annotated

import typer

import policies
from policies import Policy
from service.commands.options import Data, UnusedData, noun
from service.errors import OperatorError

app = noun("Read what a policy does before it runs, then put it in force.")

PolicyOption = Annotated[
    str | None,
    typer.Option(
        "--policy",
        help="Policy file, or the name of a preset [default: the policy in force].",
        metavar="FILE",
        show_default=False,
    ),
]
TriedOption = Annotated[
    str, typer.Option("--policy", help="Policy file, or the name of a preset.", metavar="FILE", show_default=True)
]
PolicyArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="Policy file, or a preset: default, strict, billing-only.")
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        help="File that holds your admin key; `-` reads standard input. Without it you are `cli`, the operator's "
        "shell.",
        metavar="FILE",
        show_default=False,
    ),
]
BYTES_MAX = 2**20


def read_policy(name: str) -> Policy:
    """The policy in file `name`, or the preset of that name. Raises PolicyError or OperatorError."""
    path = Path(name)
    if name in policies.PRESETS and not path.exists():
        return policies.load_preset(name)
    return policies.parse(_text(path))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX + 1)
        if len(content) > BYTES_MAX:
            raise OperatorError(f"`{path}` is longer than a policy can be ({BYTES_MAX} bytes)")
        return content.decode()
    except FileNotFoundError:
        presets = ", ".join(f"`{preset}`" for preset in policies.PRESETS)
        raise OperatorError(f"there is no file `{path}`; the presets are {presets}") from None
    except UnicodeDecodeError:
        raise OperatorError(f"the policy file `{path}` is not text in UTF-8") from None
    except OSError as error:
        raise OperatorError(
            f"the policy file `{path}` cannot be read: {(error.strerror or 'no reason').lower()}"
        ) from None


def say(line: str) -> None:
    """Write one line of output."""
    sys.stdout.write(line + "\n")


def policy_of_option(name: str | None, data: Path | None) -> Policy:
    """The named policy, or else the one in force, which is read from the database."""
    if name is not None:
        return read_policy(name)
    # Imported here, because it loads half of the service.
    from service.commands.common import quiet_runtime, run

    async def work() -> Policy:
        """Read the policy in force."""
        async with quiet_runtime(data) as runtime:
            return runtime.applied.policy

    return run(work)


@app.command("check")
def check(file: PolicyArgument, data: UnusedData = None) -> None:  # noqa: ARG001
    """Say whether a policy would load, and what is wrong with it when not. Needs no database.

    Prints its name, its version and its digest. Two policies of one digest do the same.

    \b
    Example: calledger policy check policy.toml
    """
    policy = read_policy(file)
    say(f"{policy.name}, version {policy.version}: fine")
    say(policies.digest(policy))


@app.command("explain")
def explain(
    field: Annotated[str, typer.Argument(metavar="FIELD", help="A field as in schema.graphql, such as `Call.user`.")],
    policy: PolicyOption = None,
    data: Data = None,
) -> None:
    """Say what a policy does with one field: class, action, windows, and what each role gets of it.

    \b
    Example: calledger policy explain CallError.message --policy strict
    """
    for line in policies.explain(policy_of_option(policy, data), field).lines():
        say(line)


@app.command("diff")
def diff(old: PolicyArgument, new: PolicyArgument, data: UnusedData = None) -> None:  # noqa: ARG001
    """Say what changes from one policy to another: what would be purged, kept, shown or hidden.

    \b
    Example: calledger policy diff default policy.toml
    """
    difference = policies.diff(read_policy(old), read_policy(new))
    for change in difference.changes:
        say(change.line())
    if not difference.changes:
        say("no difference")


@app.command("apply")
def apply(
    file: PolicyArgument,
    key: KeyOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    data: Data = None,
) -> None:
    """Put a policy in force; running services take it up at once.

    Prints what changes, as `policy diff` does, and the digest, which goes into the ledger too. Reads obey a shorter
    window at once; what it would destroy waits CALLEDGER_PURGE_DELAY. A policy that keeps more, or longer, waits for a
    second admin: see `policy approve`.

    \b
    Example: calledger policy apply policy.toml
    """
    # Imported here, because it loads half of the service.
    from service.commands.common import run
    from service.commands.policy import change as policy_change

    policy = read_policy(file)
    run(lambda: policy_change.apply(data, policy, key=key, dry_run=dry_run))


@app.command("approve")
def approve(
    digest: Annotated[str, typer.Argument(metavar="DIGEST", help="As `policy apply` and `policy list` print it.")],
    key: KeyOption = None,
    data: Data = None,
) -> None:
    """Put in force a policy that waits, as a second admin.

    Who asked for it cannot approve it. The operator's shell, with or without the key in DATA/admin.key, is one person.

    \b
    Example: calledger policy approve sha256:9f3... --key ~/.calledger.key
    """
    from service.commands.common import run
    from service.commands.policy import change as policy_change

    run(lambda: policy_change.approve(data, digest, key=key))


@app.command("list")
def list_policies(data: Data = None) -> None:
    """List the policies that were in force here, newest first, after those that wait for a second admin.

    A table on a terminal; in a pipe one line per policy, tab-separated: version, state, digest, when, by, approved by.

    \b
    Example: calledger policy list
    """
    from service.commands.common import run
    from service.commands.policy import change as policy_change

    run(lambda: policy_change.list_versions(data))


@app.command("show")
def show(
    preset: Annotated[
        str, typer.Argument(metavar="PRESET", help="A preset: default, strict, billing-only.")
    ] = "default",
    data: UnusedData = None,  # noqa: ARG001
) -> None:
    """Print a shipped policy, comments and all: where to start one's own.

    \b
    Example: calledger policy show strict > policy.toml
    """
    sys.stdout.write(policies.preset_text(preset))


@app.command("complete")
def complete(
    preset: Annotated[
        str, typer.Option("--from", help="The preset to take entries from.", metavar="PRESET", show_default=True)
    ] = "default",
    data: Data = None,
) -> None:
    """Print the policy in force with the fields that it does not name, as a preset has them.

    After an upgrade to a version with new fields these are dropped and shown to nobody, until a policy names them. Read
    what is printed, change what you see otherwise, and apply it. Root fields that the preset lets a role ask and this
    policy does not are comments at the end: add to `ask` what a role is to have.

    \b
    Example: calledger policy complete > policy.toml
    """
    wanted = policies.load_preset(preset)
    in_force = policy_of_option(None, data)
    sys.stdout.write(policies.canonical(policies.completed(in_force, wanted)).decode())
    for role, rule in wanted.roles.items():
        granted = in_force.roles[role].ask if role in in_force.roles else frozenset[str]()
        if more := sorted(rule.ask - granted):
            say(f"# `{preset}` lets role {role} ask too: {', '.join(more)}")


@app.command("try")
def try_policy(
    policy: TriedOption = "default",
    details: Annotated[
        bool, typer.Option("--details", help="Add `sealed`: the rules whose text this policy keeps, under seal.")
    ] = False,
    data: UnusedData = None,  # noqa: ARG001
) -> None:
    """Redact lines as an error's message would be. Needs no database.

    Reads NDJSON, one {"text": ...} per line, and answers each line at once: {"text": redacted, "rules": [...]}. It may
    run for as long as you like, behind a pipe.

    What cannot be redacted comes out empty, with the rule `engine-failure`; so does everything under a policy that
    keeps no messages, with the rule `dropped`. Text past 65,536 characters is cut, with the rule `size-cap`.
    A line that is not such an object is answered {"error": ...}, and the exit code is 1 at the end.

    \b
    Example: echo '{"text": "call jane@example.com"}' | calledger policy try --policy strict
    """
    from service.commands.policy.trial import Trial

    trial = Trial(read_policy(policy), details=details)
    for line in sys.stdin.buffer:
        answer = trial.answer(line)
        if answer is not None:
            sys.stdout.buffer.write(answer)
            sys.stdout.buffer.flush()
    if trial.bad_lines:
        sys.stderr.write(f"calledger: {trial.bad_lines} of {trial.lines} lines could not be read\n")
        raise typer.Exit(1)
