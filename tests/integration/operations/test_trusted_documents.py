"""Documents that a request names instead of sending them: by `documentId`, and in Apollo's form."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from http_server import Served, serve
from rows import SeededLedger, StoredCall, open_seeded
from running import fresh_command

from service.api.schema import build_schema
from service.console.documents import console_documents

CALLS = "query Calls($first: Int) { calls(first: $first) { nodes { sourceId } } }"
OTHER = "{ viewer { role } }"
STREAM = "subscription Recorded { callRecorded { sourceId } }"
WIDE = "application/graphql-response+json"


def id_of(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def apollo(text: str) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": sha256(text.encode()).hexdigest()}}


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await seeded.put([StoredCall(await seeded.now(), source_id="one")])
        yield seeded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({id_of(CALLS): CALLS, id_of(STREAM): STREAM, "page-1": "{ viewer { keyId } }"}))
    return path


class Asking:
    """A client with a key; `post` and `get` hand back the status and the answer."""

    def __init__(self, served: Served, key: str) -> None:
        self._served, self._headers = served, {"Authorization": f"Bearer {key}"}

    async def post(self, body: object, accept: str = WIDE) -> tuple[int, Any]:
        headers = {**self._headers, "Accept": accept}
        async with self._served.session.post(self._served.url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, accept: str = WIDE, **params: Any) -> tuple[int, Any]:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        headers = {**self._headers, "Accept": accept}
        async with self._served.session.get(self._served.url, params=texts, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    async def events(self, body: object) -> tuple[int, Any]:
        headers = {**self._headers, "Accept": "text/event-stream"}
        async with self._served.session.post(self._served.url, json=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        url, protocols = self._served.url, ("graphql-transport-ws",)
        async with self._served.session.ws_connect(url, protocols=protocols, headers=self._headers) as ws:
            await ws.send_json({"type": "connection_init"})
            assert (await ws.receive_json(timeout=30))["type"] == "connection_ack"
            yield ws


@asynccontextmanager
async def asking(seeded: SeededLedger, **settings: Any) -> AsyncIterator[Asking]:
    async with serve(seeded, exports=False, **settings) as served:
        yield Asking(served, await served.key())


def code(answer: Any) -> str:
    assert "data" not in answer
    (error,) = answer["errors"]
    return error["extensions"]["code"]


async def test_apollos_handshake_is_answered_where_there_are_no_documents(seeded: SeededLedger) -> None:
    """By GET and POST the words that its clients know, with the status that each media type has; never a 500."""
    async with asking(seeded) as client:
        asked = {"extensions": apollo(CALLS), "operationName": "Calls", "variables": {"first": 1}}
        for accept, status in ((WIDE, 400), ("application/json", 200)):
            for got in (await client.post(asked, accept), await client.get(accept, **asked)):
                assert (got[0], code(got[1])) == (status, "PERSISTED_QUERY_NOT_SUPPORTED")
                assert got[1]["errors"][0]["message"] == "PersistedQueryNotSupported"
        status, answer = await client.post({**asked, "query": CALLS})
        assert (status, answer["data"]["calls"]["nodes"]) == (200, [{"sourceId": "one"}])


async def test_a_document_is_asked_by_its_id(seeded: SeededLedger, file: Path) -> None:
    """`documentId` and Apollo's hash ask for the same text, by POST and GET, and from the second time on compiled."""
    compiled = build_schema().compiled
    assert compiled is not None
    async with asking(seeded, trusted_documents=file) as client:
        values = {"variables": {"first": 1}}
        await client.post({"documentId": id_of(CALLS), **values})
        before = compiled.answered
        for asked in ({"documentId": id_of(CALLS)}, {"extensions": apollo(CALLS)}):
            for status, answer in (await client.post({**asked, **values}), await client.get(**asked, **values)):
                assert (status, answer["data"]["calls"]["nodes"]) == (200, [{"sourceId": "one"}])
        assert compiled.answered == before + 4
        assert (await client.post({"documentId": "page-1"}))[1]["data"]["viewer"]["keyId"]
        # Other documents are still answered, and what is not known is told apart from what is not supported.
        assert (await client.post({"query": OTHER}))[0] == 200
        for asked in ({"documentId": id_of(OTHER)}, {"documentId": "page-2"}, {"extensions": apollo(OTHER)}):
            for status, answer in (await client.post(asked), await client.get(**asked)):
                assert (status, code(answer)) == (400, "PERSISTED_QUERY_NOT_FOUND")
        assert (await client.post({"documentId": "page-2"}))[1]["errors"][0]["message"].startswith(
            "there is no trusted document `page-2`"
        )
        assert (await client.post({"extensions": apollo(OTHER)}))[1]["errors"][0]["message"] == "PersistedQueryNotFound"


async def test_only_trusted_documents_are_answered_where_that_is_set(seeded: SeededLedger, file: Path) -> None:
    """Over POST, GET, events and sockets: by id or with the very text; anything else is refused and not run."""
    async with asking(seeded, trusted_documents=file, trusted_only=True) as client:
        assert (await client.post({"documentId": id_of(CALLS)}))[0] == 200
        assert (await client.post({"query": CALLS}))[0] == 200
        refused = [OTHER, CALLS + " ", "{ __schema { types { name } } }", "mutation { purge { id } }", "{"]
        for text in refused:
            asked = {"query": text, "documentId": id_of(CALLS), "extensions": apollo(CALLS)}
            for status, answer in (await client.post(asked), await client.post({"query": text})):
                assert (status, code(answer)) == (403, "FORBIDDEN"), text
            for status, answer in (await client.get(**asked), await client.get(query=text)):
                assert (status, code(answer)) == (403, "FORBIDDEN"), text
            status, answer = await client.events({"query": text})
            assert (status, code(answer)) == (403, "FORBIDDEN"), text
        async with client.socket() as ws:
            payloads = [{"query": text} for text in refused] + [{"documentId": "page-2"}, {"documentId": "page-1"}]
            for number, payload in enumerate(payloads):
                await ws.send_json({"id": str(number), "type": "subscribe", "payload": payload})
            said = {}
            while len(said) < len(payloads):
                message = await ws.receive_json(timeout=30)
                if message["type"] != "complete":
                    said[message["id"]] = message
            codes = [said[str(n)]["payload"][0]["extensions"]["code"] for n in range(len(refused) + 1)]
            assert codes == ["FORBIDDEN"] * len(refused) + ["PERSISTED_QUERY_NOT_FOUND"]
            assert said[str(len(payloads) - 1)]["payload"]["data"]["viewer"]["keyId"]


@pytest.mark.parametrize("console", [True, False])
async def test_the_consoles_documents_are_trusted_where_it_is_served(
    seeded: SeededLedger, file: Path, *, console: bool
) -> None:
    """To the letter, and by text alone; without the console they are texts like any other."""
    text = next(iter(console_documents()))
    async with asking(seeded, trusted_documents=file, trusted_only=True, console=console) as client:
        status, answer = await client.post({"query": text})
        assert (status == 403) is not console, answer
        assert (await client.post({"query": text + " "}))[0] == 403
        assert code((await client.post({"documentId": id_of(text)}))[1]) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_stream_is_asked_by_its_id(seeded: SeededLedger, file: Path) -> None:
    """A subscription of the file listens, over a WebSocket; without a document the connection says what is missing."""
    async with asking(seeded, trusted_documents=file) as client, client.socket() as ws:
        await ws.send_json({"id": "1", "type": "subscribe", "payload": {"documentId": id_of(STREAM)}})
        await ws.send_json({"id": "2", "type": "subscribe", "payload": {"extensions": apollo(OTHER)}})
        message = await ws.receive_json(timeout=30)
        assert (message["id"], message["type"]) == ("2", "error")
        await ws.send_json({"id": "1", "type": "subscribe", "payload": {"documentId": id_of(STREAM)}})
        closing = await ws.receive(timeout=30)
        assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 4409)  # the first one listens


async def test_what_is_no_id_is_refused(seeded: SeededLedger, file: Path) -> None:
    """Ids and hashes of other types, or too long, are the caller's mistake, and an empty request stays one."""
    async with asking(seeded, trusted_documents=file) as client:
        wrong: list[Any] = [{"documentId": value} for value in (1, "", [], {}, "x" * 201)]
        wrong += [{"extensions": value} for value in ([], "x", {"persistedQuery": []}, {"persistedQuery": "x"}, {})]
        wrong += [{"extensions": {"persistedQuery": {"sha256Hash": value}}} for value in (1, None, "x" * 201)]
        wrong += [{"query": CALLS, "extensions": []}, {"query": None}, {}]
        for asked in wrong:
            status, answer = await client.post(asked)
            assert (status, code(answer)) in {(400, "BAD_USER_INPUT"), (400, "GRAPHQL_VALIDATION_FAILED")}, asked
        for params in ({"documentId": "x" * 201}, {"extensions": "{"}, {"extensions": "[1]"}, {"extensions": "1"}):
            for accept in (WIDE, "text/event-stream"):
                status, answer = await client.get(accept, **params)
                assert (status, code(answer)) == (400, "BAD_USER_INPUT"), (params, accept)


def test_a_service_with_a_wrong_file_does_not_start(tmp_path: Path) -> None:
    """`calledger serve` ends with what is wrong, by setting, file and document, and is never ready."""
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({"page-1": CALLS, "page-2": "{ nothing }"}))
    options = ("--port", "0", "--data", str(tmp_path / "data"))
    done = fresh_command("serve", *options, environment={"CALLEDGER_TRUSTED_DOCUMENTS": str(path)})
    assert done.returncode != 0
    assert "ready" not in done.stdout
    assert f"`CALLEDGER_TRUSTED_DOCUMENTS`: document `page-2` of `{path}`" in done.stderr
    assert "Traceback" not in done.stderr
