"""Every GraphQL document that the project shows or asks: of its pages, its console, its benchmarks and its exports."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from html import unescape
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from graphql import GraphQLSyntaxError, OperationDefinitionNode, parse

from service.api.exports.kinds import SHAPES, all_fields, operation_of

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"```graphql\n(.*?)```(?:\n\n```json\n(.*?)```)?", re.DOTALL)
_BODY = re.compile(r'"query": ("(?:[^"\\]|\\.)*")')
_TAGGED = re.compile(r"\bgraphql\(\s*(?:/\*.*?\*/\s*)?`([^`]*)`")
_FRAGMENT = re.compile(r"\s*fragment (\w+) on ")
_SPREAD = re.compile(r"\.\.\.(\w+)")
_ROOT_FIELD = re.compile(r"`((?:calls|errors|costs)\([^`]*\))`")


class Shown(NamedTuple):
    """One document, with where it stands and the variables that come with it there, if any."""

    place: str
    text: str
    variables: dict[str, Any] | None = None


def documents() -> list[Shown]:
    """All of them, whether the schema as it stands lets them pass or not: some benchmarks ask what is refused."""
    return [*_pages(), *_console(), *_benchmarks(), *_exports()]


def questions() -> dict[str, Shown]:
    """The documents of docs/frontends.md that have a name, by it: what a log page asks."""
    named: dict[str, Shown] = {}
    for shown in _pages():
        operation = parse(shown.text).definitions[0] if shown.place == "frontends.md" else None
        if isinstance(operation, OperationDefinitionNode) and operation.name is not None:
            named[operation.name.value] = shown
    return named


def _pages() -> Iterator[Shown]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text("utf-8")
        bodies = [json.loads(body) for body in _BODY.findall(text)]
        fields = [f"{{ {field} {{ __typename }} }}" for field in _ROOT_FIELD.findall(text)]
        for document, variables in _BLOCK.findall(text):
            yield Shown(path.name, document, json.loads(variables) if variables else None)
        for found in (*bodies, *fields):
            yield Shown(path.name, found)


def _console() -> Iterator[Shown]:
    path = ROOT / "service/console/index.html"
    for block in re.findall(r"<pre>(.*?)</pre>", path.read_text("utf-8"), re.DOTALL):
        yield Shown(path.name, unescape(block))
    source = ROOT / "service/console/app/src"
    found = {
        (path.relative_to(source).as_posix(), text)
        for path in source.rglob("*.ts*")
        if "gql" not in path.parts  # what codegen makes of them
        for text in _TAGGED.findall(path.read_text("utf-8"))
    }
    fragments = {named[1]: text for _, text in found if (named := _FRAGMENT.match(text))}
    for place, text in sorted(found):
        if not _FRAGMENT.match(text):
            yield Shown(place, "\n".join([text, *_spread(text, fragments).values()]))


def _spread(text: str, fragments: Mapping[str, str]) -> dict[str, str]:
    """The fragments that a text spreads, and those that these spread, by name."""
    named: dict[str, str] = {}
    for name in _SPREAD.findall(text):
        named |= {name: fragments[name]} | _spread(fragments[name], fragments)
    return named


def _benchmarks() -> Iterator[Shown]:
    """Texts in the source of the programs, and what they put together."""
    from benchmarks.data.questions import QUESTIONS
    from benchmarks.query.freeze import SCENARIOS

    for path in sorted((ROOT / "benchmarks").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_document(node.value):
                yield Shown(path.name, node.value)
    for name, question in QUESTIONS.items():
        yield Shown(f"question {name}", question.graphql)
    for name, scenario in SCENARIOS.items():
        if scenario.path == "/graphql":
            (body,) = map(json.loads, islice(scenario.bodies(0), 1))
            yield Shown(f"scenario {name}", body["query"], body["variables"])


def _is_document(text: str) -> bool:
    try:
        return any(isinstance(found, OperationDefinitionNode) for found in parse(text).definitions)
    except GraphQLSyntaxError:
        return False


def _exports() -> Iterator[Shown]:
    for name, shape in SHAPES.items():
        for kind, fields in (("all", tuple(shape.fields.items())), ("usual", None)):
            chosen = all_fields(shape) if fields is None else tuple((field, parts) for field, (_, parts) in fields)
            yield Shown(f"export {name}, {kind}", operation_of(shape, chosen))
