"""`calledger policy`: read what a policy does before it runs."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

import policies
from policies import Policy
from policies.redaction import RedactionError, Redactor
from service.commands.common import Data, quiet_runtime, run, say
from service.errors import OperatorError, RequestError

app = typer.Typer(help="Read what a policy does before it runs.", no_args_is_help=True)

PolicyOption = Annotated[
    str | None,
    typer.Option("--policy", help="Policy file, or the name of a preset [default: the one in force].", metavar="FILE"),
]
PolicyArgument = Annotated[str, typer.Argument(metavar="FILE", help="Policy file, or the name of a preset.")]


def read_policy(name: str) -> Policy:
    """The policy in file `name`, or the preset of that name. Raises PolicyError or OperatorError."""
    path = Path(name)
    if name in policies.PRESETS and not path.exists():
        return policies.load_preset(name)
    try:
        return policies.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        presets = ", ".join(f"`{preset}`" for preset in policies.PRESETS)
        raise OperatorError(f"there is no file `{name}`; the presets are {presets}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"the policy file `{name}` cannot be read ({type(error).__name__})") from None


def chosen_policy(name: str | None, data: Path | None) -> Policy:
    """The policy named, or else the one in force."""
    if name is not None:
        return read_policy(name)

    async def work() -> Policy:
        async with quiet_runtime(data) as runtime:
            return runtime.applied.policy

    return run(work)


@app.command("check")
def check(file: PolicyArgument) -> None:
    """Say whether a policy would load, and what is wrong with it when not. Needs no database.

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

    Example: calledger policy explain CallError.message --policy strict
    """
    for line in policies.explain(chosen_policy(policy, data), field).lines():
        say(line)


@app.command("diff")
def diff(old: PolicyArgument, new: PolicyArgument) -> None:
    """Say what changes from one policy to another: what would be purged, kept, shown or hidden.

    Example: calledger policy diff default policy.toml
    """
    difference = policies.diff(read_policy(old), read_policy(new))
    for change in difference.changes:
        say(change.line())
    if not difference.changes:
        say("no difference")


@app.command("show")
def show(preset: Annotated[str, typer.Argument(metavar="PRESET", help="The name of a preset.")] = "default") -> None:
    """Print a shipped policy, comments and all: where to start one's own.

    Example: calledger policy show strict > policy.toml
    """
    sys.stdout.write(policies.preset_text(preset))


@app.command("try")
def try_policy(policy: PolicyOption = None) -> None:
    """Redact NDJSON `{"text": ...}` from standard input: `{"text": redacted, "rules": [...]}` on standard output.

    What cannot be redacted comes out empty, with the rule `failed`: a policy fails closed. Needs no database.

    Example: echo '{"text": "call jane@example.com"}' | calledger policy try
    """
    redactor = Redactor(national_ids=read_policy(policy or "default").national_ids)
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            sys.stdout.write(json.dumps(_tried(redactor, line, number), ensure_ascii=False) + "\n")
            sys.stdout.flush()


def _tried(redactor: Redactor, line: str, number: int) -> dict[str, object]:
    try:
        text = json.loads(line)["text"]
    except (ValueError, TypeError, KeyError):
        text = None
    if not isinstance(text, str):
        raise RequestError(f'line {number} is not an object with a string `text`: write {{"text": "..."}}')
    try:
        redaction = redactor.redact(text)
    except RedactionError:
        return {"text": "", "rules": ["failed"]}
    return {"text": redaction.masked, "rules": sorted(redaction.counts)}
