"""One attempt against a real receiver: what is sent, what is never connected to, what is not waited for."""

import asyncio
from datetime import UTC, datetime

import pytest
from aiohttp import web
from receiving import receiving
from yarl import URL

from service.delivery import sender as sending
from service.delivery.sender import Sender
from service.settings import Settings
from service.webhooks.addresses import AddressGuard
from service.webhooks.signatures import new_secret, signed_headers

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
