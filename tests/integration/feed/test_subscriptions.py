"""`callRecorded` over graphql-transport-ws and SSE: filtered, scoped, bounded, and ended with a reason."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from running import RunningService

PROTOCOL = "graphql-transport-ws"
EVERYTHING = "subscription { callRecorded { sourceId account } }"
SOON_S = 60


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("streams") / "data")
    yield running
    if running.process.poll() is None:
        running.stop()


def call(id_: str, **facts: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"id": id_, "started_at": now, "model": "m", "status": "succeeded", **facts}


async def report(service: RunningService, *calls: dict[str, Any]) -> None:
    await asyncio.to_thread(service.report, service.admin_key, *calls)


@asynccontextmanager
async def connected(service: RunningService) -> AsyncIterator[Any]:
    url = f"{service.url}/graphql"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, protocols=(PROTOCOL,)) as ws:
        yield ws


@asynccontextmanager
async def socket(service: RunningService, key: str | None = None, **init: Any) -> AsyncIterator[Any]:
    """A connection that was acknowledged, by a key in `connection_init`."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{service.url}/graphql", protocols=(PROTOCOL,)) as ws,
    ):
        payload = {"authorization": f"Bearer {key}"} if key else init
        await ws.send_json({"type": "connection_init", "payload": payload})
        if key:
            assert await ws.receive_json(timeout=SOON_S) == {"type": "connection_ack"}
        yield ws


async def subscribe(ws: Any, id_: str, query: str = EVERYTHING, **variables: Any) -> None:
    await ws.send_json({"id": id_, "type": "subscribe", "payload": {"query": query, "variables": variables}})


async def listening(service: RunningService, ws: Any, id_: str, **facts: str) -> None:
    """Return once the stream `id_` runs: calls, with these facts, that are reported until then are not its own."""
    for number in range(100):
        await report(service, call(f"probe-{id_}-{time.time_ns()}-{number}", **facts))
        try:
            message = await ws.receive_json(timeout=1)
        except TimeoutError:
            continue
        if message["id"] == id_ and message["type"] == "next":
            return
    raise AssertionError("the stream did not begin")


async def next_ids(ws: Any, count: int, id_: str, *, within_s: float = SOON_S) -> list[str]:
    """The gateway's ids of the next calls of one stream, probes left out."""
    found: list[str] = []
    async with asyncio.timeout(within_s):
        while len(found) < count:
            message = await ws.receive_json()
            if message.get("id") == id_:
                assert message["type"] == "next", message
                source = message["payload"]["data"]["callRecorded"]["sourceId"]
                found += [] if source.startswith("probe") else [source]
    return found


async def sent_events(events: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The gateway's ids of the calls of an event stream."""
    async for line in events.content:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])["data"]["callRecorded"]["sourceId"]


async def closed(ws: Any) -> tuple[int | None, list[dict[str, Any]]]:
    """The code that the connection is closed with, and what came before."""
    messages = []
    async with asyncio.timeout(SOON_S):
        while True:
            message = await ws.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                messages.append(json.loads(message.data))
            else:
                return (message.data if message.type is aiohttp.WSMsgType.CLOSE else ws.close_code), messages


async def test_each_call_comes_once_in_order_over_both_transports(service: RunningService) -> None:
    """What is recorded while somebody listens comes once, over a WebSocket and as events."""
    headers = {"Authorization": f"Bearer {service.admin_key}", "Accept": "text/event-stream"}
    async with socket(service, service.admin_key) as ws, aiohttp.ClientSession() as session:
        await subscribe(ws, "1")
        await listening(service, ws, "1")
        async with session.post(f"{service.url}/graphql", json={"query": EVERYTHING}, headers=headers) as events:
            assert events.status == 200
            assert events.headers["Content-Type"].startswith("text/event-stream")
            received = sent_events(events)
            first = asyncio.create_task(anext(received))
            while not first.done():
                await report(service, call(f"probe-{time.time_ns()}"))
            for number in range(5):
                await report(service, call(f"both-{number}"))
            assert await next_ids(ws, 5, "1") == [f"both-{number}" for number in range(5)]
            seen: list[str] = []
            async with asyncio.timeout(SOON_S):
                while len(seen) < 5:
                    source = await anext(received)
                    seen += [] if source.startswith("probe") else [source]
            assert seen == [f"both-{number}" for number in range(5)]


async def test_filter_and_scope_hold_on_streams(service: RunningService) -> None:
    """A stream has what its filter lets pass, and nothing of accounts outside of its key."""
    await report(service, call("setup-1", account="one"), call("setup-2", account="two"))
    key = await asyncio.to_thread(service.new_key, "viewer", "one")
    query = "subscription($f: CallFilter) { callRecorded(filter: $f) { sourceId account } }"
    async with socket(service, key) as mine, socket(service, service.admin_key) as failed:
        await subscribe(mine, "1")
        await subscribe(failed, "1", query, f={"status": {"eq": "FAILED"}})
        await listening(service, mine, "1", account="one")
        await listening(service, failed, "1", status="failed")
        await report(
            service, call("a", account="two"), call("b", account="one"), call("c", account="two", status="failed")
        )
        assert await next_ids(mine, 1, "1") == ["b"]
        assert await next_ids(failed, 1, "1") == ["c"]
        await report(service, call("d", account="one"))
        assert await next_ids(mine, 1, "1") == ["d"]


async def test_a_field_that_the_role_may_not_see_is_refused_before_it_streams(service: RunningService) -> None:
    """Roles, limits and validation are those of queries."""
    auditor = await asyncio.to_thread(service.new_key, "auditor")
    async with socket(service, auditor) as ws:
        await subscribe(ws, "1")
        answer = await ws.receive_json(timeout=SOON_S)
    assert answer["type"] == "error"
    assert answer["payload"][0]["extensions"]["code"] == "FORBIDDEN"
    questions = {
        "nothing": "subscription { nothing }",
        "no document": "subscription {",
        "two": "subscription { a: callRecorded { id } b: callRecorded { id } }",
        "deep": "subscription { callRecorded { " + "corrects { " * 12 + "id" + " }" * 12 + " } }",
        "cursor": 'subscription { callRecorded(filter: {amount: {gt: "1"}}) { id } }',
    }
    async with socket(service, service.admin_key) as ws:
        codes = {}
        for id_, query in questions.items():
            await subscribe(ws, id_, query)
        for _ in range(5):
            answer = await ws.receive_json(timeout=SOON_S)
            assert answer["type"] == "error", answer
            codes[answer["id"]] = answer["payload"][0]["extensions"]["code"]
    assert codes == {
        "nothing": "GRAPHQL_VALIDATION_FAILED",
        "no document": "GRAPHQL_PARSE_FAILED",
        "two": "GRAPHQL_VALIDATION_FAILED",
        "deep": "QUERY_TOO_DEEP",
        "cursor": "BAD_USER_INPUT",
    }


async def test_queries_are_answered_over_streams_too(service: RunningService) -> None:
    """One result, and the end of it."""
    async with socket(service, service.admin_key) as ws:
        await subscribe(ws, "q", "{ viewer { role } }")
        assert (await ws.receive_json(timeout=SOON_S))["payload"]["data"] == {"viewer": {"role": "ADMIN"}}
        assert await ws.receive_json(timeout=SOON_S) == {"id": "q", "type": "complete"}


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([{"type": "subscribe", "id": "1", "payload": {"query": EVERYTHING}}], 4401),
        ([{"type": "connection_init", "payload": {"authorization": "Bearer cl_nobody"}}], 4403),
        ([{"type": "connection_init"}], 4403),
        ([{"type": "connection_init", "payload": ["x"]}], 4400),
        ([{"type": "what"}], 4400),
        ([["no", "object"]], 4400),
        ([{"id": {"a": []}}], 4400),
        ([{"type": {"a": 1}}], 4400),
    ],
)
async def test_who_does_not_keep_to_the_protocol_is_closed(
    service: RunningService, messages: list[Any], code: int
) -> None:
    """Nothing is answered to who has no key, and what is no message ends the connection with its code."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{service.url}/graphql", protocols=(PROTOCOL,)) as ws,
    ):
        for message in messages:
            await ws.send_json(message)
        assert (await closed(ws))[0] == code


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "connection_init"}, 4429),
        ({"type": "subscribe", "id": "", "payload": {"query": EVERYTHING}}, 4400),
        ({"type": "subscribe", "id": "x" * 101, "payload": {"query": EVERYTHING}}, 4400),
        ({"type": "subscribe", "id": ["x"], "payload": {"query": EVERYTHING}}, 4400),
        ({"type": "subscribe", "id": "1", "payload": {"query": 5}}, 4400),
        ({"type": "subscribe", "id": "1", "payload": None}, 4400),
        ({"type": "subscribe", "id": "1", "payload": {"query": EVERYTHING, "variables": [1]}}, 4400),
        ({"type": "complete", "id": {}}, 4400),
        ({"type": "ping", "payload": "[" * 100_000}, 4400),
    ],
)
async def test_a_message_of_another_form_ends_the_connection(
    service: RunningService, message: dict[str, Any], code: int
) -> None:
    """Every part of a message is checked before it is used."""
    async with socket(service, service.admin_key) as ws:
        if message["type"] == "ping":
            await ws.send_str(json.dumps(message).replace('"[', "[", 1))
        else:
            await ws.send_json(message)
        assert (await closed(ws))[0] == code


async def test_a_handshake_without_key_or_protocol_is_refused_in_http(service: RunningService) -> None:
    """A wrong key in the header, and another subprotocol, never become a WebSocket."""
    async with aiohttp.ClientSession() as session:
        for protocols, headers, status in (
            ((PROTOCOL,), {"Authorization": "Bearer cl_wrong"}, 401),
            (("graphql-ws",), {}, 400),
            ((), {}, 400),
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{service.url}/graphql", protocols=protocols, headers=headers)
            assert refused.value.status == status
        async with session.post(
            f"{service.url}/graphql", json={"query": EVERYTHING}, headers={"Accept": "text/event-stream"}
        ) as events:
            assert events.status == 401


async def test_operations_and_connections_are_bounded(tmp_path: Path) -> None:
    """Ten operations a connection, and so many connections a key; what was left makes room again."""
    service = RunningService(tmp_path / "data", environment={"CALLEDGER_STREAMS_PER_KEY": "2"})
    try:
        key = service.admin_key
        async with socket(service, key) as ws, socket(service, key):
            for number in range(11):
                await subscribe(ws, str(number))
            refused = await ws.receive_json(timeout=SOON_S)
            assert (refused["id"], refused["type"]) == ("10", "error")
            assert refused["payload"][0]["extensions"]["code"] == "THROTTLED"
            await subscribe(ws, "3")
            assert (await closed(ws))[0] == 4409
            async with socket(service, key), socket(service, authorization=f"Bearer {key}") as third:
                assert (await closed(third))[0] == 4429
                async with aiohttp.ClientSession() as session:
                    headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
                    async with session.post(
                        f"{service.url}/graphql", json={"query": EVERYTHING}, headers=headers
                    ) as events:
                        assert events.status == 429
    finally:
        service.stop()


async def test_a_key_that_is_revoked_ends_its_streams(service: RunningService) -> None:
    """Within seconds, with a reason; another key's streams go on."""
    key = await asyncio.to_thread(service.new_key, "viewer")
    async with (
        socket(service, key) as ws,
        socket(service, service.admin_key) as other,
        aiohttp.ClientSession() as session,
    ):
        await subscribe(ws, "1")
        await subscribe(other, "1")
        headers = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}
        async with session.post(f"{service.url}/graphql", json={"query": EVERYTHING}, headers=headers) as events:
            done = await asyncio.to_thread(service.command, "keys", "revoke", key.split("_")[1])
            assert done.returncode == 0, done.stderr
            code, messages = await closed(ws)
            assert code == 4401
            assert messages[-1]["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
            async with asyncio.timeout(SOON_S):
                assert b"the API key has ended" in await events.read()
        await report(service, call("goes-on"))
        assert await next_ids(other, 1, "1") == ["goes-on"]


async def test_a_reader_that_does_not_keep_up_is_dropped_with_a_reason(service: RunningService) -> None:
    """It takes nothing while much is recorded: what waits for it is bounded, and it is told, or cut off."""
    copies = " ".join(f"m{number}: servedModel" for number in range(25))
    async with socket(service, service.admin_key) as slow, socket(service, service.admin_key) as quick:
        await subscribe(slow, "1", f"subscription {{ callRecorded {{ sourceId {copies} }} }}")
        await subscribe(quick, "1")
        await listening(service, slow, "1")
        await listening(service, quick, "1")
        slow._response.connection.transport.pause_reading()
        reading = asyncio.create_task(next_ids(quick, 5_000, "1", within_s=120))
        for batch in range(5):
            await report(service, *(call(f"slow-{batch}-{row}", served_model="x" * 190) for row in range(1_000)))
        assert len(set(await reading)) == 5_000
        metrics = await asyncio.to_thread(service.metrics)
        assert 'calledger_streams_ended_total{reason="slow"} 1.0' in metrics
        slow._response.connection.transport.resume_reading()
        code, messages = await closed(slow)
    last = messages[-1]
    assert code in (1013, 1006, None)
    assert last["type"] == ("error" if code == 1013 else "next")
    assert code != 1013 or last["payload"][0]["extensions"]["code"] == "SLOW_READER"
    assert len(messages) < 5_000


@pytest.mark.embedded("ends it")
async def test_a_stream_goes_on_when_the_database_was_away(tmp_path: Path) -> None:
    """What was recorded before and after comes once each: nothing is lost between."""
    service = RunningService(tmp_path / "data")
    try:
        async with socket(service, service.admin_key) as ws:
            await subscribe(ws, "1")
            await listening(service, ws, "1")
            await report(service, call("before"))
            assert await next_ids(ws, 1, "1") == ["before"]
            pid = int(next(service.data.rglob("postmaster.pid")).read_text().split()[0])
            os.kill(pid, signal.SIGKILL)
            for number in range(3):
                while True:
                    body = json.dumps([call(f"after-{number}")]).encode()
                    status, _, _ = await asyncio.to_thread(
                        service.request, "POST", "/v1/calls", key=service.admin_key, body=body
                    )
                    if status == 200:
                        break
                    await asyncio.sleep(0.2)
            assert await next_ids(ws, 3, "1") == ["after-0", "after-1", "after-2"]
    finally:
        service.stop()


async def test_a_service_with_a_hundred_streams_stops(tmp_path: Path) -> None:
    """All are told to connect again, and none keeps the service; with several workers too."""
    service = RunningService(tmp_path / "data", "--workers", "2", environment={"CALLEDGER_STREAMS_PER_KEY": "200"})
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            sockets = []
            for _ in range(100):
                ws = await session.ws_connect(
                    f"{service.url}/graphql",
                    protocols=(PROTOCOL,),
                    headers={"Authorization": f"Bearer {service.admin_key}"},
                )
                await ws.send_json({"type": "connection_init"})
                assert await ws.receive_json(timeout=SOON_S) == {"type": "connection_ack"}
                await subscribe(ws, "1")
                sockets.append(ws)
            for ws in sockets:
                await listening(service, ws, "1")
            await report(service, call("to-all"))
            assert all([await next_ids(ws, 1, "1") == ["to-all"] for ws in sockets])
            ending = [asyncio.create_task(closed(ws)) for ws in sockets]
            assert await asyncio.to_thread(service.stop) == 0
            codes = {code for code, _ in await asyncio.gather(*ending)}
    finally:
        if service.process.poll() is None:
            service.kill()
    assert codes == {1012}
