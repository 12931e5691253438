"""GraphQL over HTTP: the audit suite of the `graphql-http` package, and what it does not ask."""

import asyncio
import io
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import platformdirs
import pytest
from http_server import Served, serve
from rows import open_seeded
from yarl import URL

from policies.policy.model import Role

AUDIT_PACKAGES = ("graphql-http@1.23.1", "graphql@16")
AUDIT = """
import { auditServer } from 'graphql-http';
const [, , url, key] = process.argv;
const results = await auditServer({ url, fetchFn: (address, options = {}) =>
  fetch(address, { ...options, headers: { ...options.headers, authorization: `Bearer ${key}` } }) });
console.log(JSON.stringify(results.map(({ id, name, status, reason }) => ({ id, name, status, reason }))));
"""


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with open_seeded(database_url, tmp_path) as seeded, serve(seeded) as served:
        yield served


@pytest.fixture(scope="session")
def audit_folder() -> Path:
    """A folder with the audit suite, installed once and kept."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        reason = "no npm or node here: the GraphQL-over-HTTP audit cannot run"
        print(reason)
        pytest.skip(reason)
    folder = Path(platformdirs.user_cache_dir("calledger-tests", appauthor=False)) / "graphql-http-1.23.1"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "graphql-http").exists():
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, *AUDIT_PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            reason = f"npm could not install graphql-http: {done.stderr[-300:]}"
            print(reason)
            pytest.skip(reason)
    (folder / "audit.mjs").write_text(AUDIT)
    return folder


async def test_the_audit_suite_finds_nothing(served: Served, audit_folder: Path) -> None:
    """All 61 audits of graphql-http are answered as they should be, the optional ones included."""
    process = await asyncio.create_subprocess_exec(
        "node", "audit.mjs", served.url, await served.key(), cwd=audit_folder, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()

    results = json.loads(output)
    assert [result for result in results if result["status"] != "ok"] == []
    assert len(results) == 61


async def _post(served: Served, body: object, key: str | None = None, **headers: str) -> tuple[int, dict, object]:
    sent = {"Accept": "application/graphql-response+json", **headers}
    if key:
        sent["Authorization"] = f"Bearer {key}"
    async with served.session.post(served.url, json=body, headers=sent) as response:
        return response.status, await response.json(content_type=None), response.headers


async def test_without_a_key_nothing_is_answered(served: Served) -> None:
    """No key, a wrong key and a mistyped one are 401 alike, and the schema is not shown either."""
    key = await served.key()
    for wrong in (None, key[:-1] + ("A" if key[-1] != "A" else "B"), "cl_nothing"):
        status, answer, headers = await _post(served, {"query": "{ __schema { types { name } } }"}, wrong)
        assert status == 401
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in answer
        assert headers["WWW-Authenticate"].startswith("Bearer")


async def test_partial_success_is_200(served: Served) -> None:
    """Data and errors together are 200 for everyone: no status is sent that clients and proxies do not know."""
    key = await served.key()
    query = {"query": "{ viewer { role } calls(first: 500) { nodes { id } } }"}

    status, answer, _ = await _post(served, query, key)
    plain, _, _ = await _post(served, query, key, Accept="application/json")

    assert (status, plain) == (200, 200)
    assert answer["data"] == {"viewer": {"role": "ADMIN"}, "calls": None}
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_what_the_body_may_be(served: Served) -> None:
    """Batches, encodings, other media types and bodies over 1 MiB are refused, each with its status."""
    key = await served.key()
    bearer = {"Authorization": f"Bearer {key}"}

    async def status(**options: object) -> int:
        async with served.session.post(served.url, **options) as response:
            answer = await response.json(content_type=None)
            assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
            return response.status

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 2**15

    as_json = {**bearer, "Content-Type": "application/json"}
    assert await status(json=[{"query": "{ __typename }"}], headers=bearer) == 400
    assert await status(data=b"x", headers={**as_json, "Content-Encoding": "gzip"}) == 415
    assert await status(data=b"query=x", headers={**bearer, "Content-Type": "application/x-www-form-urlencoded"}) == 415
    large = io.BytesIO(json.dumps({"query": "{ __typename }" + " " * 2**20}).encode())
    assert await status(data=large, headers=as_json) == 413
    assert await status(data=chunks(), headers=as_json) == 413
    assert await status(data=b"{", headers=as_json) == 400


async def test_methods_and_media_types(served: Served) -> None:
    """DELETE is 405 with Allow; an Accept that names none of ours is 406; a mutation by GET is never run."""
    bearer = {"Authorization": f"Bearer {await served.key()}"}
    async with served.session.delete(served.url, headers=bearer) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET, POST")
    async with served.session.get(
        served.url, params={"query": "{__typename}"}, headers={**bearer, "Accept": "text/csv"}
    ) as response:
        assert response.status == 406
    async with served.session.get(
        served.url, params={"query": "{__typename}"}, headers={**bearer, "Accept": "text/html"}
    ) as response:
        assert response.status == 406
    async with served.session.get(served.url, params={"query": "mutation {__typename}"}, headers=bearer) as response:
        assert response.status in (400, 405)


async def test_a_spent_key_is_throttled(database_url: str, tmp_path: Path) -> None:
    """What a key may spend a minute ends: 429, THROTTLED, and when to try again; another key is not touched."""
    async with open_seeded(database_url, tmp_path) as seeded, serve(seeded, rate_limit_per_minute=2_000) as served:
        key, other = await served.key(), await served.key()
        query = {"query": "{ %s }" % " ".join(f"a{n}: calls {{ totalCount }}" for n in range(10))}
        answers = [await _post(served, query, key) for _ in range(20)]

        refused = [answer for answer in answers if answer[0] == 429]
        assert refused
        assert refused[0][1]["errors"][0]["extensions"]["code"] == "THROTTLED"
        assert int(refused[0][2]["Retry-After"]) == refused[0][1]["errors"][0]["extensions"]["retryAfterSeconds"] >= 1
        assert refused[0][1]["extensions"]["cost"]["throttleStatus"]["maximumAvailable"] == 2_000
        assert (await _post(served, query, other))[0] == 200


async def test_unspent_cost_is_given_back(served: Served) -> None:
    """An operation is charged for the rows that it got, not for those that it might have got."""
    key = await served.key(Role.VIEWER)

    _, answer, _ = await _post(served, {"query": "{ calls(first: 200) { nodes { id model } } }"}, key)

    cost = answer["extensions"]["cost"]
    assert cost["requestedQueryCost"] > 400
    assert cost["actualQueryCost"] < 20
    status = cost["throttleStatus"]
    assert status["maximumAvailable"] - status["currentlyAvailable"] <= 20


async def test_an_operation_that_is_not_clear_is_not_run(served: Served) -> None:
    """Several operations and no name, a name that none has, no operation at all: 400, and nothing of it is executed."""
    key = await served.key()
    two = 'query A { viewer { role } } mutation B { liftHold(input: {holdId: "x", reason: "y"}) { ledgerIndex } }'
    asked = [
        ({"query": two}, "several operations"),
        ({"query": two, "operationName": None}, "several operations"),
        ({"query": two, "operationName": ""}, "several operations"),
        ({"query": "query A { viewer { role } } query B { viewer { role } }"}, "several operations"),
        ({"query": two, "operationName": "C"}, "no operation `C`"),
        ({"query": "query A { viewer { role } }", "operationName": "B"}, "no operation `B`"),
        ({"query": "fragment F on Query { viewer { role } }"}, "no operation"),
    ]
    for body, words in asked:
        status, answer, _ = await _post(served, body, key)
        assert (status, answer["errors"][0]["extensions"]["code"]) == (400, "GRAPHQL_VALIDATION_FAILED"), body
        assert words in answer["errors"][0]["message"]
        assert "data" not in answer
    for body in ({"query": ""}, {"query": "  "}, {"query": None}, {}, {"query": two, "operationName": 5}):
        status, answer, _ = await _post(served, body, key)
        assert status == 400
        assert "data" not in answer
    for _ in range(3):  # the second time it would be a compiled operation
        status, answer, _ = await _post(served, {"query": two, "operationName": "A"}, key)
        assert (status, answer["data"]) == (200, {"viewer": {"role": "ADMIN"}})
        status, _, _ = await _post(served, {"query": two}, key)
        assert status == 400
    bearer = {"Authorization": f"Bearer {key}", "Accept": "application/graphql-response+json"}
    for params, status in (({"query": two}, 400), ({"query": two, "operationName": "B"}, 405)):
        async with served.session.get(served.url, params=params, headers=bearer) as response:
            assert (response.status, response.headers.get("Allow")) == (status, "POST" if status == 405 else None)


async def test_a_websocket_is_refused_before_anything_is_switched(served: Served) -> None:
    """With a wrong key 401, with another subprotocol 400, both as HTTP before any 101, in JSON, and closed."""
    url = URL(served.url)
    ours, wrong = "graphql-transport-ws", "cl_aaaaaaaa_aaaaaaaa"
    for key, protocol, status, code in (
        (wrong, ours, 401, "UNAUTHENTICATED"),
        (await served.key(), "graphql-ws", 400, "BAD_USER_INPUT"),
    ):
        reader, writer = await asyncio.open_connection(url.host, url.port)
        lines = ["GET /graphql HTTP/1.1", f"Host: {url.host}", "Connection: Upgrade", "Upgrade: websocket"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        lines += [f"Sec-WebSocket-Protocol: {protocol}", f"Authorization: Bearer {key}"]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
        head, _, body = answer.decode().partition("\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ")
        assert "connection: close" in head.lower()
        assert json.loads(body)["errors"][0]["extensions"]["code"] == code
