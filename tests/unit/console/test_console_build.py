"""The console that is committed is what its source is built to: told without Node, by what `make console` has left."""

import gzip
import json
import re
import shutil
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest
from graphql import (
    NoDeprecatedCustomRule,
    OperationDefinitionNode,
    parse,
    print_ast,
    specified_rules,
    validate,
)

ROOT = Path(__file__).resolve().parents[3]


def program() -> ModuleType:
    """`.ci/console`, a program without the ending of a module."""
    spec = spec_from_loader("console_build", SourceFileLoader("console_build", str(ROOT / ".ci" / "console")))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILD = program()
LAZY = re.compile(r"(?:LogsPage|TimeBars|useFacets)-.*\.(?:js|css)$")
RECORD = json.loads((BUILD.DIST / BUILD.RECORD).read_text("utf-8"))


def test_what_is_committed_is_built_of_this_source() -> None:
    """The source, what its operations use of schema.graphql, and every built file are those of the last build."""
    assert BUILD.record(BUILD.DIST) == RECORD, "run `make console` and commit service/console/dist"


def first_load() -> set[str]:
    """The files that a browser asks for until it shows the logs: those that name each other, and the charts."""
    wanted, found = ["index.html"], set[str]()
    wanted += [path.relative_to(BUILD.DIST).as_posix() for path in BUILD.DIST.glob("assets/*") if LAZY.match(path.name)]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found.add(name)
        text = (BUILD.DIST / name).read_text("utf-8")
        wanted += re.findall(r'(?:src|href)="\./([^"]+)"', text) if name.endswith(".html") else []
        wanted += [f"assets/{other}" for other in re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', text)]
    return found


def test_the_first_load_is_small() -> None:
    """All that the logs need has under 200 kB with gzip, and asks for nothing of other pages."""
    files = first_load()
    assert len(files) > 10
    texts = {name: (BUILD.DIST / name).read_bytes() for name in files}
    assert sum(len(gzip.compress(data)) for data in texts.values()) < 200_000
    others = ("DailyBudgets", "PolicyInForce", "GroupsOfErrors", "MakeKey", "Deliveries")
    documents = json.loads((BUILD.DIST / "documents.json").read_text("utf-8"))
    assert set(others) < set(documents)
    assert [
        (name, one) for name, data in texts.items() for one in others if re.search(rb"\b%s\b" % one.encode(), data)
    ] == []


def test_every_operation_is_one_of_the_schema() -> None:
    """Each document of the pages is valid, and uses nothing that is deprecated."""
    operations, schema = BUILD.operations(), BUILD.schema()
    assert len(operations.definitions) > 3
    assert validate(schema, operations, [*specified_rules, NoDeprecatedCustomRule], max_errors=20) == []


@pytest.mark.parametrize("name", ["src/main.tsx", "package-lock.json", "vite.config.ts", "index.html"])
def test_a_change_of_the_source_is_told(tmp_path: Path, name: str) -> None:
    """One more byte in a source, in the versions of packages or in how it is built is another source; so is a file."""
    app = tmp_path / "app"
    shutil.copytree(BUILD.APP, app, ignore=shutil.ignore_patterns("node_modules", "gql"))
    before = BUILD.digest(BUILD.sources(app), app)
    assert before == RECORD["source"]
    with (app / name).open("a") as file:
        file.write("\n")
    changed = BUILD.digest(BUILD.sources(app), app)
    (app / "src" / "another.ts").touch()
    assert len({before, changed, BUILD.digest(BUILD.sources(app), app)}) == 3


def test_a_change_of_what_is_used_of_the_schema_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another type of a field that a page asks for, or another value of an enum; what no page asks for is nothing."""
    before = BUILD.used()
    assert "Query.viewer: Viewer" in before
    assert any(line.startswith("CallStatus = ") for line in before)
    assert any(line.startswith("CallFilter.model: ") for line in before)
    schema = BUILD.schema()
    monkeypatch.setattr(BUILD, "schema", lambda: schema)
    schema.type_map["ChangeSums"].fields.clear()
    assert BUILD.used() == before
    schema.type_map["CallStatus"].values["PENDING"] = None
    assert BUILD.used() != before


def test_the_documents_that_the_service_trusts_are_those_of_the_pages() -> None:
    """`documents.json` says each operation that the pages ask and no other, by its name."""
    texts = json.loads((BUILD.DIST / "documents.json").read_text("utf-8"))
    definitions = {one.name.value: one for one in BUILD.operations().definitions}
    assert set(texts) == {name for name, one in definitions.items() if isinstance(one, OperationDefinitionNode)}
    for name, text in texts.items():
        said = {one.name.value: one for one in parse(text, no_location=True).definitions}
        assert name in said
        assert {one: print_ast(node) for one, node in said.items()} == {
            one: print_ast(definitions[one]) for one in said
        }


def test_documents_are_found_as_codegen_finds_them() -> None:
    """A call of `graphql` with a template, whatever stands before; not one that only looks like it."""
    found = BUILD._DOCUMENT.findall("const A = graphql(`query A { a }`); graphql(/* GraphQL */ `query B { b }`); x`no`")
    assert [parse(text).definitions[0].name.value for text in found] == ["A", "B"]
