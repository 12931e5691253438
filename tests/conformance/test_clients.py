"""Clients that people use, each made from schema.graphql and the documents of docs/frontends.md, and run against a
service: pages, partial answers, documents by id.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documents import questions
from environments import environment
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from graphql import GraphQLScalarType, build_schema
from packages import SOURCES, installed, run
from running import RunningService

ROOT = Path(__file__).parents[2]
PAGES = """
query Pages($filter: CallFilter, $after: String) {
  calls(filter: $filter, first: 5, after: $after) { nodes { id } pageInfo { endCursor } }
}
"""
CLIENTS = {
    "graphql-codegen": "@graphql-codegen/client-preset",
    "urql": "urql",
    "Apollo Client": "@apollo/client",
    "Relay": "relay-runtime",
}
BANNER = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"


@pytest.fixture(scope="module")
def packages() -> Path:
    return installed()


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources of the clients, the schema, and the page's documents, a file each."""
    folder = tmp_path_factory.mktemp("clients") / "workshop"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "schema.graphql", folder)
    (folder / "documents").mkdir()
    for name, shown in questions().items():
        (folder / "documents" / f"{name}.graphql").write_text(shown.text)
    return folder


@pytest.fixture(scope="module")
def built(workshop: Path, packages: Path) -> Path:
    """The workshop after graphql-codegen and relay-compiler, with a program for each client in `out`."""
    (workshop / "node_modules").symlink_to(packages)
    (workshop / "relay" / "__generated__").mkdir()
    (workshop / "relay" / "persisted.json").write_text("{}")
    programs = packages / ".bin"
    sources = ("src/urql.ts", "src/apollo.ts", "relay/relay.jsx")
    bundled = ("--bundle", "--platform=node", "--format=esm", "--jsx=automatic", "--log-level=warning")
    for command in (
        (programs / "graphql-codegen", "--config", "codegen.ts"),
        (programs / "relay-compiler", "relay.config.json"),
        (
            programs / "esbuild",
            *sources,
            *bundled,
            f"--banner:js={BANNER}",
            "--outdir=out",
            "--entry-names=[name]",
            "--out-extension:.js=.mjs",
        ),
    ):
        done = run(*command, folder=workshop)
        assert done.returncode == 0, done.stdout + done.stderr
    return workshop


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("service") / "data", "--demo")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def trusting(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service that answers what graphql-codegen and relay-compiler have written to their lists, and nothing else."""
    lists = [
        json.loads((built / path).read_text()) for path in ("gql/persisted-documents.json", "relay/persisted.json")
    ]
    file = tmp_path_factory.mktemp("trusted") / "documents.json"
    file.write_text(json.dumps(lists[0] | lists[1]))
    settings = {"CALLEDGER_TRUSTED_DOCUMENTS": str(file), "CALLEDGER_TRUSTED_ONLY": "true"}
    running = RunningService(tmp_path_factory.mktemp("trusting") / "data", "--demo", environment=settings)
    yield running
    running.stop()


def key_of(service: RunningService, role: str = "viewer") -> str:
    (line,) = [line for line in service.lines if line.startswith(f"{role} ")]
    return line.split()[1]


def said(service: RunningService, *command: str | Path, folder: Path) -> dict[str, Any]:
    """What a program printed in the end, as JSON."""
    environment = {"CALLEDGER_URL": service.url, "CALLEDGER_KEY": key_of(service)}
    done = run(*command, folder=folder, environment=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def first_ids(service: RunningService) -> list[str]:
    """The newest fifteen calls of the account that clients ask for."""
    query = 'query Newest { calls(filter: {account: {eq: "acme"}}, first: 15) { nodes { id } } }'
    return [call["id"] for call in service.ask(key_of(service), query)["data"]["calls"]["nodes"]]


def test_what_codegen_makes_has_strict_types(built: Path, packages: Path) -> None:
    """graphql-codegen's client preset, and programs that use what it makes, pass TypeScript at its strictest; a field
    that was not asked for does not.
    """
    done = run(packages / ".bin" / "tsc", "-p", ".", folder=built)
    assert (done.returncode, done.stdout) == (0, "")
    wrong = built / "src" / "wrong.ts"
    wrong.write_text(
        'import type { PageQuery } from "../gql/graphql";\n'
        "export const sessions = (page: PageQuery) => page.calls?.nodes.map((call) => call.sessionId);\n"
    )
    done = run(packages / ".bin" / "tsc", "-p", ".", folder=built)
    wrong.unlink()
    assert done.returncode != 0
    assert "sessionId" in done.stdout


@pytest.mark.parametrize("client", ["urql", "apollo"])
def test_pages_and_partial_answers(service: RunningService, built: Path, client: str) -> None:
    """Three pages are the newest fifteen calls; a page that was asked before comes from the client's cache; where one
    root field fails the client hands out the other.
    """
    found = said(service, "node", f"out/{client}.mjs", folder=built)
    assert found["ids"] == first_ids(service)
    assert found["cached"] is True
    assert found["partial"] == {"now": 1, "before": None, "codes": ["OUT_OF_RETENTION"]}


@pytest.mark.parametrize(("client", "method"), [("urql", "GET"), ("apollo", "POST")])
def test_the_handshake_of_persisted_queries(service: RunningService, built: Path, client: str, method: str) -> None:
    """A client that asks by hash is told once that it is not supported, and sends texts from then on."""
    found = said(service, "node", f"out/{client}.mjs", "--persisted", folder=built)
    assert found["ids"] == first_ids(service)
    assert found["partial"]["codes"] == ["OUT_OF_RETENTION"]
    assert found["sent"][0] == f"{method} extensions variables"
    assert all("query" in parts for parts in found["sent"][1:])


@pytest.mark.parametrize("client", ["urql", "apollo"])
def test_trusted_documents_are_asked_by_hash(trusting: RunningService, built: Path, client: str) -> None:
    """With the list that graphql-codegen writes no text is ever sent, and one that is sent is refused."""
    found = said(trusting, "node", f"out/{client}.mjs", "--persisted", folder=built)
    assert len(found["ids"]) == 15
    assert found["partial"]["codes"] == ["OUT_OF_RETENTION"]
    assert not any("query" in parts for parts in found["sent"])
    refused = trusting.ask(key_of(trusting), "query Other { viewer { role } }")
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_relay_pages_and_asks_again_by_node(trusting: RunningService, built: Path) -> None:
    """A pagination container loads two pages behind the first, and a row is refetched by `node`, by `documentId`."""
    found = said(trusting, "node", "out/relay.mjs", folder=built)
    assert found["lengths"] == [5, 10, 15]
    assert len(set(found["ids"])) == 15
    assert found["hasNext"] is True
    assert found["sent"] == ["documentsPageQuery", *["documentsCallsPaginationQuery"] * 2, "documentsCallRefetchQuery"]
    assert found["first"]["id"] == found["ids"][0]


def test_ariadne_codegen(service: RunningService, workshop: Path) -> None:
    """The client that ariadne-codegen makes, in an environment of its own, has moments and money of Python's types."""
    folder = environment("ariadne-codegen", "-r", SOURCES / "requirements.txt")
    done = run(folder / "bin" / "ariadne-codegen", "--config", "ariadne.toml", folder=workshop)
    assert done.returncode == 0, done.stdout + done.stderr
    found = said(service, folder / "bin" / "python", "ariadne_program.py", folder=workshop)
    assert found["ids"] == first_ids(service)
    assert found == {"ids": found["ids"], "amounts": ["Decimal"], "moment": "datetime", "codes": ["OUT_OF_RETENTION"]}


async def test_gql(service: RunningService) -> None:
    """gql checks a document against schema.graphql before it is sent, and pages; an error is raised with its code."""
    schema = build_schema((ROOT / "schema.graphql").read_text())
    transport = AIOHTTPTransport(f"{service.url}/graphql", headers={"Authorization": f"Bearer {key_of(service)}"})
    ids, after = [], None
    async with Client(transport=transport, schema=schema) as session:
        for _ in range(3):
            query = gql(PAGES)
            query.variable_values = {"filter": {"account": {"eq": "acme"}}, "after": after}
            page = (await session.execute(query))["calls"]
            ids += [call["id"] for call in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
        query.variable_values = {"after": "nothing"}
        with pytest.raises(TransportQueryError) as raised:
            await session.execute(query)
    assert ids == first_ids(service)
    assert raised.value.errors and raised.value.errors[0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_versions_are_exact() -> None:
    """What is installed for these tests is named to the last digit, in a lockfile too."""
    declared = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    locked = json.loads((SOURCES / "package-lock.json").read_text())["packages"]
    assert all(version[0].isdigit() for version in declared.values())
    assert {name: locked[f"node_modules/{name}"]["version"] for name in declared} == declared
    assert all("==" in line for line in (SOURCES / "requirements.txt").read_text().splitlines())


def test_the_page_says_what_is_tried() -> None:
    """docs/frontends.md names the versions that are installed here, and the scalars that clients are given."""
    page = (ROOT / "docs" / "frontends.md").read_text().split("## Clients")[1].split("\n## ")[0]
    rows = {cells[1].strip(): cells[2] for line in page.splitlines() if len(cells := line.split("|")) > 3}
    declared = json.loads((SOURCES / "package.json").read_text())["dependencies"]
    for client, package in CLIENTS.items():
        major, minor, _ = declared[package].split(".")
        assert f" {major}.{minor}" in rows[client] or f" {major}," in rows[client], client
    assert "ariadne-codegen==0.19" in (SOURCES / "requirements.txt").read_text()
    assert " 0.19 " in rows["ariadne-codegen (Python)"]
    standard = {"Boolean", "Float", "ID", "Int", "String"}
    types = build_schema((ROOT / "schema.graphql").read_text()).type_map.values()
    scalars = {type_.name for type_ in types if isinstance(type_, GraphQLScalarType)} - standard
    relay = json.loads((SOURCES / "relay.config.json").read_text())["customScalarTypes"]
    assert relay.keys() == scalars
    for name, written in relay.items():
        assert f'{name}: "{written}"' in page, name
        assert f'{name}: "{written}"' in (SOURCES / "codegen.ts").read_text(), name
