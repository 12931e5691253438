"""Answers that are sent in one step: byte for byte what aiohttp sends of them."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from service.server.application import Runner
from service.server.middleware import Middleware

BODY = b'{"data":{"calls":{"nodes":[' + b",".join([b'{"id":"call_aaaa"}'] * 200) + b"]}}}"
HEADERS = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
    "RateLimit": '"cost";r=1;t=0',
}


made: list[str] = []
"""What was asked for, of answers that were made."""


class Other(web.Response):
    """An answer that is left to aiohttp: no web.Response as it is."""


async def answered(request: web.Request) -> web.StreamResponse:
    """By what the body says: an answer that goes in one step where it can, or one that aiohttp sends."""
    if "Transfer-Encoding" in request.headers:
        stream = web.StreamResponse()
        await stream.prepare(request.clone(client_max_size=100))
        return stream
    asked = await request.text()
    made.append(asked)
    kind, _, more = asked.partition(" ")
    answer = web.Response if kind == "ours" else Other
    body = BODY * 4_000 if more == "long" else BODY
    return answer(body=body, status=503 if more == "unavailable" else 200, headers=HEADERS)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application()
    runner = Runner(app, Middleware(app, {"/graphql": answered}, ["https://console.example"]), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


def posted(asked: str, *headers: str, version: str = "1.1") -> bytes:
    """A request as it is sent."""
    always = ("Host: calledger", "X-Request-Id: of-the-client", f"Content-Length: {len(asked)}")
    return "\r\n".join([f"POST /graphql HTTP/{version}", *always, *headers, "", asked]).encode()


async def exchanged(port: int, *requests: bytes) -> tuple[bytes, bool]:
    """All that is sent back on one connection up to the last answer's end, and whether the server ends it then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    received = bytearray()
    async with asyncio.timeout(60):
        for _ in requests:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length is not None
            received += re.sub(rb"Date: [^\r]+", b"Date", head) + await reader.readexactly(int(length[1]))
        kept = b"\nConnection: keep-alive" in received
        ends = b"\nConnection: close" in received or (b"HTTP/1.0" in received and not kept)
        if ends:
            assert await reader.read() == b""
    writer.close()
    return bytes(received), ends


@pytest.mark.parametrize("failing", ["", " unavailable"])
@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ((), "1.1"),
        (("Connection: close",), "1.1"),
        ((), "1.0"),
        (("Connection: keep-alive",), "1.0"),
        (("Accept-Encoding: gzip",), "1.1"),
        (("Origin: https://console.example",), "1.1"),
        (("Origin: https://console.example", "Accept-Encoding: gzip"), "1.1"),
    ],
)
async def test_the_bytes_are_those_of_aiohttp(port: int, failing: str, headers: tuple[str, ...], version: str) -> None:
    """Head and body, however the client treats its connection and whatever else is added to an answer."""
    ours, other = [
        await exchanged(port, posted(f"{asked}{failing}", *headers, version=version)) for asked in ("ours", "other")
    ]
    assert sorted(ours[0].split(b"\r\n")) == sorted(other[0].split(b"\r\n")) and ours[1] == other[1]
    assert b"X-Request-Id: of-the-client" in ours[0]
    body = ours[0].partition(b"\r\n\r\n")[2]
    assert (gzip.decompress(body) if "Accept-Encoding: gzip" in headers else body) == BODY


async def test_a_connection_goes_on_behind_an_answer(port: int) -> None:
    """Several requests that were sent at once are answered in turn on their one connection, and it stays open."""
    received, ends = await exchanged(port, posted("ours"), posted("ours"), posted("other"), posted("ours"))
    assert received.count(b"HTTP/1.1 200 OK") == received.count(BODY) == 4 and not ends


async def test_a_request_with_another_bound_has_the_same_headers_in_its_answer(port: int) -> None:
    """A body without a length is read by a copy of the request; a stream that is begun for that has the id as well."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(posted("").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"0\r\n\r\n")
    async with asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert b"X-Request-Id: of-the-client" in head and b"Vary: Origin" in head


@pytest.mark.parametrize("kind", ["ours", "other"])
async def test_a_client_that_hangs_up_within_an_answer_is_no_failure(
    port: int, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It has begun to read an answer that no buffer holds, and resets its connection: nothing is logged as an error."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(posted(f"{kind} long"))
    async with asyncio.timeout(60):
        assert await reader.read(1) == b"H"
    writer.transport.abort()
    await exchanged(port, posted("ours"))
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("kind", ["ours", "other"])
async def test_who_reads_slowly_has_one_answer_in_memory(port: int, kind: str) -> None:
    """Answers that wait for their client are not made: of many requests that were sent at once one is answered."""
    made.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(posted(f"{kind} long") * 5)
    async with asyncio.timeout(60):
        assert await reader.read(1) == b"H"
        await exchanged(port, posted("other"))
        assert made.count(f"{kind} long") == 1
        for _ in range(5):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY) * 4_000)
    writer.close()
    assert made.count(f"{kind} long") == 5
