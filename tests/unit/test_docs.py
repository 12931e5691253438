"""The reference pages say what the code does.

`python tests/unit/test_docs.py` writes anew what is generated in them: the settings' table and the commands' help.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from bodies import read_native
from graphql import build_schema, parse, validate
from typer.core import TyperGroup

from policies import Report
from service.api.execution.errors import Code
from service.cli import app
from service.ingest import failures
from service.ingest.formats.native import fields as native_fields
from service.ingest.formats.native import reader as native
from service.settings import PREFIX, Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH = 100
# Codes that come from no class of ours, but from aiohttp's refusals and from service/server.
ROUTING_CODES = {"not_found", "method_not_allowed", "internal", "origin_not_allowed"}


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def rows(text: str) -> dict[str, list[str]]:
    """The tables of a page: the cells of each row by its first cell, a name in back-ticks."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def generated(text: str) -> str:
    """What stands between the marks of a page."""
    return text.split("<!-- generated -->\n")[1].split("<!-- /generated -->")[0]


def settings_table() -> str:
    """A row a setting, in the order in which they are written down."""
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "the user's data directory" if name == "data" else _default(field.default)
        meaning = str(field.description).replace("|", "\\|")
        lines.append(f"| `{PREFIX}{name.upper()}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    return "" if value is None else f"`{value}`"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden, with its context."""
    root = typer.main.get_command(app)
    yield from _walk("calledger", root, None)


def _walk(path: str, command: Any, parent: Any) -> Iterator[tuple[str, Any]]:
    context = command.context_class(
        command, info_name=path.split()[-1], parent=parent, terminal_width=WIDTH, max_content_width=WIDTH
    )
    yield path, context
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            _, found, _ = command.resolve_command(context, [name])
            if not found.hidden:
                yield from _walk(f"{path} {name}", found, context)


def help_texts() -> str:
    """A heading a command, and under it what `--help` prints."""
    return "\n".join(
        f"{'#' * min(1 + len(path.split()), 4)} {path}\n\n```text\n{context.get_help().rstrip()}\n```\n"
        for path, context in commands()
    )


def without_completion(text: str) -> str:
    """Options for shells come from the library, and not everywhere."""
    return re.sub(r"  --(?:install|show)-completion.*?(?=\n  -)", "", text, flags=re.DOTALL)


def test_every_setting_is_in_the_table() -> None:
    """docs/settings.md has the settings of the code, each with its default and meaning."""
    assert generated(page("settings.md")) == settings_table()


def test_every_setting_says_what_it_is() -> None:
    """Each setting has a description, in lower case and without a full stop."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert not field.description.endswith("."), name


def test_every_command_is_documented() -> None:
    """docs/commands.md has what `--help` prints, for every command."""
    assert without_completion(generated(page("commands.md"))) == without_completion(help_texts())


def test_every_command_teaches_by_example() -> None:
    """The help of every command that does something holds a command line to copy."""
    for path, context in commands():
        if not isinstance(context.command, TyperGroup):
            assert f"calledger {path.removeprefix('calledger ')}" in context.get_help(), path


def test_every_error_code_is_explained() -> None:
    """docs/errors.md has every code of GraphQL and of the other paths, and no others."""
    _, paths, graphql = page("errors.md").split("\n## ")

    assert set(rows(graphql)) == {code.value for code in Code}
    ours = {code: str(status) for _, status, code in failures._STATUSES}
    documented = {code: cells[0] for code, cells in rows(paths).items()}
    assert set(documented) == set(ours) | ROUTING_CODES
    assert {code: documented[code] for code in ours} == ours


def test_every_field_of_a_report_is_described() -> None:
    """docs/reporting.md has every field of the native record and of its error, in their order."""
    record, error = page("reporting.md").split("| field of `error` ")

    assert list(rows(record)) == list(native_fields.Facts.__struct_fields__)
    assert list(rows(error.split("\n## ")[0])) == list(native_fields.ErrorFields.__struct_fields__)


def test_the_bounds_of_fields_are_the_codes() -> None:
    """The largest that docs/reporting.md allows is taken, and one more is not: the row is rejected, or says so."""
    fields = rows(page("reporting.md").split("| field of `error` ")[0])
    base = {"id": "x", "started_at": "2026-11-22T10:00:00Z", "model": "m", "status": "succeeded"}
    for name, (_, form) in fields.items():
        if length := re.search(r"^string of (?:1 to|up to) (\d+) characters$", form):
            assert taken(base | {name: "x" * int(length[1])}), name
            assert not taken(base | {name: "x" * (int(length[1]) + 1)}), name
        if largest := re.search(r"^(?:integer|number) from 0 to (\d+)$", form):
            whole = {} if name not in PARTS else {PARTS[name]: int(largest[1])}
            assert taken(base | whole | {name: int(largest[1])}), name
            assert not taken(base | whole | {name: int(largest[1]) + 1}), name
            assert not taken(base | {name: -1}), name


PARTS = {
    "cache_read_tokens": "input_tokens",
    "cache_write_tokens": "input_tokens",
    "reasoning_tokens": "output_tokens",
}


def taken(record: dict[str, Any]) -> bool:
    outcome = native.read_row(json.dumps(record).encode())
    return isinstance(outcome, Report) and not outcome.warnings


def test_the_example_is_read_as_it_says() -> None:
    """The rows of the example in docs/reporting.md end as its answer says."""
    lines = page("reporting.md").split("```")[1].splitlines()
    body = "\n".join(line for line in lines if line.startswith('{"id"')).encode()
    answer = json.loads(next(line for line in lines if line.startswith('{"accepted"')))

    results = list(read_native(body))

    assert [isinstance(result, Report) for result in results] == [True, True, False]
    assert [result["status"] for result in answer["results"]] == ["accepted", "accepted", "rejected"]
    assert results[2].reason == answer["results"][2]["reason"]
    assert results[1].dropped == answer["dropped_fields"]


def test_every_graphql_text_of_the_pages_is_valid() -> None:
    """What docs/*.md shows as GraphQL can be asked of the schema as it stands there."""
    schema = build_schema((DOCS.parent / "schema.graphql").read_text("utf-8"))
    blocks = [
        (path.name, block)
        for path in sorted(DOCS.glob("*.md"))
        for block in re.findall(r"```graphql\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
    ]

    assert {name for name, _ in blocks} >= {"exports.md", "ledger.md", "retention.md"}
    assert [(name, block) for name, block in blocks if validate(schema, parse(block))] == []


def write() -> None:
    """Write the generated parts of the pages anew."""
    for name, text in (("settings.md", settings_table()), ("commands.md", help_texts())):
        path = DOCS / name
        path.write_text(path.read_text("utf-8").replace(generated(page(name)), text), "utf-8")


if __name__ == "__main__":
    sys.exit(write())
