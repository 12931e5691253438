"""One attempt against a real receiver: what is sent, what is never connected to, what is not waited for."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import chain, repeat
from typing import Any

import pytest
from aiohttp import web
from receiving import receiving
from yarl import URL

from service.delivery import sender as sending
from service.delivery.sender import Sender
from service.settings import Settings
from service.webhooks.addresses import AddressGuard
from service.webhooks.signatures import new_secret, signed_headers

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
HERE = AddressGuard(Settings(webhook_networks="127.0.0.0/8").networks, http=True)
ELSEWHERE = AddressGuard(http=True)
BODY = b'{"type":"webhook.test"}'


async def test_a_receiver_gets_a_body_whose_signature_its_library_accepts() -> None:
    """The request is a POST of JSON with the headers of Standard Webhooks; 2xx says that it was delivered."""
    secret = new_secret()
    async with receiving() as receiver, Sender.open(HERE) as sender:
        outcome = await sender.post(
            f"{receiver.url}/hook?a=1", signed_headers("msg_1", datetime.now(UTC), BODY, [secret]), BODY
        )
    [one] = receiver.received
    assert one.verified(secret.text) == {"type": "webhook.test"}
    assert (one.path, one.headers["content-type"], one.headers["webhook-id"]) == (
        "/hook?a=1",
        "application/json",
        "msg_1",
    )
    assert outcome.is_delivered
    assert outcome.status == 204


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(status: int) -> None:
    """What a receiver points to is not asked, whatever it is; the attempt has failed."""

    async def away(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": f"{receiver.url}/inside"})

    async with receiving() as receiver, Sender.open(HERE) as sender:
        receiver.answer = away
        outcome = await sender.post(f"{receiver.url}/hook", {}, BODY)

    assert [one.path for one in receiver.received] == ["/hook"]
    assert "redirect" in (outcome.failure or "")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0", "LOCALHOST."],
)
async def test_the_host_itself_is_not_connected_to_however_it_is_called(host: str) -> None:
    """Names and unusual forms are resolved, and what comes of them is checked."""
    async with receiving() as receiver, Sender.open(ELSEWHERE) as sender:
        outcome = await sender.post(f"http://{host}:{URL(receiver.url).port}/", {}, BODY)

    assert receiver.received == []
    assert outcome.failure is not None
    assert outcome.status is None
    assert "127." not in outcome.failure


async def test_the_names_of_an_allowed_network_are_connected_to() -> None:
    """A name is resolved once, and the address that was checked is the one that is connected to."""
    async with receiving() as receiver, Sender.open(HERE) as sender:
        outcome = await sender.post(f"http://localhost:{URL(receiver.url).port}/", {}, BODY)
    assert outcome.is_delivered, outcome


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would resolve names itself, behind our check."""
    async with receiving() as proxy, receiving() as receiver, Sender.open(HERE) as sender:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert (await sender.post(receiver.url, {}, BODY)).is_delivered
    assert proxy.received == []


async def test_an_answer_without_end_is_not_read() -> None:
    """The status is all that is wanted: a body that never ends keeps nothing busy."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    async with receiving() as receiver, Sender.open(HERE) as sender:
        receiver.answer = endless
        outcome = await sender.post(receiver.url, {}, BODY)
    assert outcome.is_delivered


async def test_a_receiver_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time limit the attempt has failed, also when bytes drip in."""
    monkeypatch.setattr(sending, "WITHIN_S", 0.3)

    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with receiving() as receiver, Sender.open(HERE) as sender:
        receiver.answer = silent
        outcome = await sender.post(receiver.url, {}, BODY)
    assert outcome.failure is not None
    assert "no answer" in outcome.failure


async def test_what_an_attempt_came_to_is_said_in_our_words() -> None:
    """Statuses, refused connections and unknown hosts each have their words, without the address."""
    async with receiving() as receiver, Sender.open(HERE) as sender:
        receiver.answers = [500, 410, 200]
        statuses = [await sender.post(receiver.url, {}, BODY) for _ in range(3)]
        refused = await sender.post("http://127.0.0.1:9/hunter2", {}, BODY)
        unknown = await sender.post("http://hunter2.invalid/", {}, BODY)

    assert [(one.status, one.is_delivered, one.is_gone) for one in statuses] == [
        (500, False, False),
        (410, False, True),
        (200, True, False),
    ]
    assert refused.failure == "it cannot be connected to"
    assert "hunter2" not in (unknown.failure or "hunter2")


@asynccontextmanager
async def listening(
    answer: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server of another kind, which reads a request and answers by bytes of its own: its URL, and what came."""
    came: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read(65_536))
        try:
            await answer(writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", came
    finally:
        server.close()


async def test_a_name_that_changes_its_address_leads_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: what a name resolves to is checked at each attempt, and only what was checked is connected to."""
    second = ["127.0.0.2"]
    answers = chain([second, ["127.0.0.1"], ["127.0.0.1", "::1"], ["127.0.0.3", "127.0.0.1"]], repeat(second))
    asked = []

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        """A name server of an attacker, who answers something else each time."""
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in next(answers)
        ]

    guard = AddressGuard(Settings(webhook_networks="127.0.0.2/31").networks, http=True)
    async with receiving() as inside, receiving("127.0.0.2", URL(inside.url).port) as outside:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        async with Sender.open(guard) as sender:
            url = f"http://rebinding.example.com:{URL(inside.url).port}/"
            outcomes = [await sender.post(url, {}, BODY) for _ in range(5)]
    assert [one.is_delivered for one in outcomes] == [True, False, False, False, True]
    assert inside.received == []
    assert len(outside.received) == 2
    assert len(asked) == 5  # once an attempt: there is no moment between the check and its use
    assert "CALLEDGER_WEBHOOK_NETWORKS" in (outcomes[1].failure or "")


HUGE = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (number, b"a" * 4_000) for number in range(1_000))
ANSWERS = {
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n",
    "nothing": b"",
    "a line without end": b"HTTP/1.1 200 " + b"a" * 1_000_000,
    "a header without end": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000,
    "headers in thousands": HUGE,
    "no status": b"HTTP/1.1 abc OK\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_what_is_no_answer_of_http_is_a_failure_in_our_words(answer: bytes) -> None:
    """Banners, bytes without end and headers in thousands: the attempt has failed, and none of it is repeated."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with listening(say) as (url, _), Sender.open(HERE) as sender:
        outcome = await sender.post(url, {}, BODY)
    assert not outcome.is_delivered
    assert len(outcome.failure or "") < 80
    assert "aaaa" not in (outcome.failure or "")
    assert "SSH" not in (outcome.failure or "")


async def test_answers_that_are_none_yet_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """1xx after 1xx, or a header byte by byte: the time is that of the attempt, not of each byte."""
    monkeypatch.setattr(sending, "WITHIN_S", 0.5)

    async def early(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def drip(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.1)

    for answer in (early, drip):
        async with listening(answer) as (url, _), Sender.open(HERE) as sender:
            outcome = await sender.post(url, {}, BODY)
        assert not outcome.is_delivered
        assert outcome.ms < 5_000


async def test_a_receiver_that_never_closes_keeps_no_connection_of_ours() -> None:
    """After the status the connection is closed from here, whatever the other side would go on to say."""
    closed = asyncio.Event()

    async def hold(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 100000000\r\n\r\nx")
        await writer.drain()
        while True:
            await asyncio.sleep(0.05)
            writer.write(b"x")
            try:
                await writer.drain()
            except ConnectionError:
                closed.set()
                raise

    async with listening(hold) as (url, _), Sender.open(HERE) as sender:
        assert (await sender.post(url, {}, BODY)).is_delivered
        await closed.wait()


async def test_tls_is_not_spoken_to_what_has_none() -> None:
    """An `https` address whose port speaks in clear is sent nothing of the body, nor is a certificate of nobody."""

    async def banner(writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await writer.drain()

    async with listening(banner) as (url, came), Sender.open(HERE) as sender:
        outcome = await sender.post(url.replace("http:", "https:"), {}, BODY)
    assert not outcome.is_delivered
    assert all(b"webhook.test" not in one and b"POST" not in one for one in came)
