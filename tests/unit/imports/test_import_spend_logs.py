"""LiteLLM's spend logs over HTTP as a source: every row once, whatever the proxy does meanwhile."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from litellm_proxy import KEY, Row, SpendServer, spent
from served import serving

from service.errors import OperatorError
from service.imports.sources import gateway_client, spend_log_api
from service.imports.sources.gateway_client import GatewayClient, access_of
from service.imports.sources.late_rows import TimeCursor
from service.imports.sources.pages import SourceError
from service.imports.sources.spend_log_api import SpendLogApiSource

SINCE: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=30)
PAGE: Final = 25
V2: Final = "/spend/logs/v2"
BOMB: Final = gzip.compress(b" " * 2**27)


def rows(count: int, *, seconds: float = 60, first: int = 0) -> list[Row]:
    return [spent(f"r{number:05d}", SINCE + timedelta(seconds=number * seconds)) for number in range(first, count)]


@pytest.fixture
def server() -> Iterator[SpendServer]:
    with serving(SpendServer(rows(450))) as running:
        yield running


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pauses, and pages so small that windows must be cut."""
    monkeypatch.setattr(gateway_client, "_PAUSES_S", (0.001,) * 3)
    monkeypatch.setattr(spend_log_api, "_PAGE_ROWS", PAGE)
    monkeypatch.setattr(spend_log_api, "_PAGE_ROWS_BEFORE", PAGE // 5)


def source_of(server: SpendServer, path: str = "", *, key: str = KEY) -> SpendLogApiSource:
    return SpendLogApiSource(urlsplit(server.url + path), access_of(key, None), since=int(SINCE.timestamp()))


def read(source: SpendLogApiSource, after: str | None = None) -> list[dict[str, Any]]:
    async def all_rows() -> list[dict[str, Any]]:
        async with aclosing(source.pages(after)) as pages:
            return [json.loads(bytes(row)) async for page in pages for row in page.rows]

    return asyncio.run(all_rows())


def ids(some: list[dict[str, Any]]) -> list[str]:
    return [row["request_id"] for row in some]


@pytest.mark.parametrize("path", ["", V2, "/spend/logs", "/spend/logs/"])
def test_every_row_comes_once_and_in_order(server: SpendServer, path: str) -> None:
    """By windows that fit into a page, or by days."""
    assert ids(read(source_of(server, path))) == ids(server.rows)
    assert {query.get("page", "1") for query in server.asked} == {"1"}
    assert len(server.asked) < 200


@pytest.mark.parametrize("path", ["", "/spend/logs"])
def test_what_comes_in_meanwhile_is_left_to_the_next_time(server: SpendServer, path: str) -> None:
    """While a clock goes on by a minute with each answer, it ends where it was when it began."""
    begin = SINCE.timestamp() + 450 * 60
    source = SpendLogApiSource(
        urlsplit(server.url + path),
        access_of(KEY, None),
        since=int(SINCE.timestamp()),
        clock=lambda: begin + 60 * len(server.asked),
    )
    assert ids(read(source)) == ids(server.rows)
    assert len(server.asked) < 100


def test_rows_of_one_moment_may_change_places(server: SpendServer) -> None:
    """More rows of one millisecond than a page holds come in another order with each answer: each comes once, or it is
    said that they do not.
    """
    server.rows = [spent(f"same-{number:03d}", SINCE + timedelta(seconds=7)) for number in range(20)]
    assert sorted(ids(read(source_of(server)))) == ids(server.rows)
    server.rows += [spent(f"more-{number:03d}", SINCE + timedelta(seconds=7)) for number in range(200)]
    with pytest.raises(SourceError, match="gives a row twice"):
        read(source_of(server))


def test_a_second_with_many_rows_is_read_page_by_page(server: SpendServer) -> None:
    """Where their order is certain, since no two are of one moment, and where a row begins on the next second."""
    server.rows = rows(200, seconds=0.005)
    assert ids(read(source_of(server))) == ids(server.rows)
    assert max(int(query["page"]) for query in server.asked) > 3


def test_older_versions_take_smaller_pages_only(server: SpendServer) -> None:
    """A page size that is refused as invalid is made smaller, once."""
    server.page_rows_max = PAGE // 5
    assert ids(read(source_of(server))) == ids(server.rows)
    assert [query["page_size"] for query in server.asked].count(str(PAGE)) == 1


def test_it_goes_on_behind_its_cursor(server: SpendServer) -> None:
    """From a cursor on there is what was not read yet; again from before it, what came in late; once an hour also what
    took two hours.
    """

    async def first() -> tuple[list[dict[str, Any]], str]:
        async with aclosing(source_of(server).pages(None)) as pages:
            async for page in pages:
                if len(page.rows) > 0:
                    return [json.loads(bytes(row)) for row in page.rows], page.cursor
        raise AssertionError

    begun, cursor = asyncio.run(first())
    rest = read(source_of(server), cursor)
    assert ids(begun) + ids(rest) == ids(server.rows)
    long_ago, lately = TimeCursor(2**40, 0), TimeCursor(2**40, 2**40 - 1_000)
    assert TimeCursor.of(source_of(server).again_from(str(long_ago))) == TimeCursor(2**40 - 7_200_000, 2**40)
    assert TimeCursor.of(source_of(server).again_from(str(lately))).reached == 2**40 - 900_000


def test_a_proxy_that_is_busy_or_cuts_its_answers_is_asked_again(server: SpendServer) -> None:
    """429 and 502 are waited out, and an answer that ends in its middle is no answer."""

    def moody(count: int) -> web.Response | None:
        kind = count % 4
        if kind == 1:
            return web.Response(status=502)
        if kind == 2:
            return web.Response(status=429, headers={"Retry-After": "0"})
        return web.Response(body=b'{"data": [', headers={"Content-Encoding": "gzip"}) if kind == 3 else None

    server.before = moody
    assert ids(read(source_of(server))) == ids(server.rows)


def answer(some: object, total: object = 0) -> web.Response:
    return web.json_response({"data": some, "total": total})


BAD: Final[dict[str, tuple[Callable[[int], web.Response], str]]] = {
    "key": (
        lambda _: web.json_response({"error": {"message": "no such key"}}, status=401),
        "token (status 401): no such",
    ),
    "secret": (
        lambda _: web.json_response({"error": {"message": f"Received sk-proj-{'Qz9' * 16}"}}, status=400),
        "status 400: Received [redacted",
    ),
    "its own key, far away": (
        lambda _: web.json_response({"error": {"message": f"{'x' * 80} {KEY} is unknown"}}, status=400),
        "status 400: xxx",
    ),
    "no database": (
        lambda _: web.json_response({"error": {"message": "Prisma Client is not initialized"}}, status=401),
        "Prisma Client is not initialized",
    ),
    "older": (lambda _: web.Response(status=404), "before LiteLLM 1.80 the address is `https://HOST/spend/logs`"),
    "elsewhere": (
        lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/"}),
        "leads elsewhere",
    ),
    "invalid": (lambda _: web.Response(status=422), "status 422"),
    "no JSON": (lambda _: web.Response(text="<html>"), "no list of rows"),
    "no number": (lambda _: web.Response(text='{"data": [{"spend": NaN}]}'), "no list of rows"),
    "sums": (lambda _: web.json_response([{"startTime": "2026-11-30", "spend": 1}]), "no list of rows"),
    "other rows": (lambda _: answer([{"id": 1}]), "no `request_id` or `startTime`"),
    "no rows": (lambda _: answer([None, 3]), "no `request_id` or `startTime`"),
    "no time": (lambda _: answer([spent("a", SINCE, startTime="yesterday")]), "no `request_id` or `startTime`"),
    "far away": (lambda _: answer([spent("a", SINCE, startTime="0001-01-01T00:00:00Z")]), "no `request_id`"),
    "other time": (lambda _: answer([spent("a", SINCE - timedelta(days=900))]), "another time"),
    "no such total": (lambda _: answer([], 10**9), "says that it has 1000000000 rows, and gives 0"),
    "no total": (lambda _: answer([], "many"), "no list of rows"),
    "the same page": (lambda _: answer([spent(f"a{one}", SINCE) for one in range(PAGE)], 99), "gives a row twice"),
    "endless": (
        lambda count: answer([spent(f"{count}-{one}", SINCE) for one in range(1_000)], 0),
        "more rows of one second than can be",
    ),
    "huge": (lambda _: web.Response(body=b" " * (2**24 + 1)), "larger than"),
    "bomb": (
        lambda _: web.Response(body=BOMB, headers={"Content-Encoding": "gzip"}),
        "larger than",
    ),
    "deep": (lambda _: web.Response(body=b'{"data":' + b"[" * 100_000), "no list of rows"),
    "busy": (lambda _: web.Response(status=503), "status 503"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_proxy_that_lies_is_named(server: SpendServer, kind: str) -> None:
    """It is an error in words, at once or after a few attempts, and never the end of the log."""
    server.before, words = BAD[kind]
    with pytest.raises(SourceError) as raised:
        read(source_of(server))
    assert words in str(raised.value)
    assert KEY not in str(raised.value) and KEY[:6] not in str(raised.value)
    assert "Qz9Qz9" not in str(raised.value)


def test_a_token_that_nobody_knows_for_one_is_not_shown_either() -> None:
    """A gateway that repeats what it was asked with, whatever it looks like, has it taken out of its words."""
    client = GatewayClient("http://127.0.0.1:9", {"Authorization": "Bearer open sesame street"}, 1)
    assert client.said("what is open sesame street?") == "what is [redacted:secret]?"
    assert (client.said(" "), client.said(None)) == (None, None)


def test_sums_of_the_older_address_are_no_rows(server: SpendServer) -> None:
    """A version that knows no `summarize` answers with sums by day, and one that is cut at 10,000 rows says so."""
    server.before = lambda _: web.json_response([{"startTime": "2026-11-30", "spend": 1, "users": {}, "models": {}}])
    with pytest.raises(SourceError, match="no `request_id`"):
        read(source_of(server, "/spend/logs"))
    server.before = lambda _: web.json_response([spent("a", SINCE)] * 10_000)
    with pytest.raises(SourceError, match="gives no more than 10000 rows of a day"):
        read(source_of(server, "/spend/logs"))


def test_a_proxy_that_vanishes_is_named(server: SpendServer) -> None:
    """Nobody answers at its address: an error, after a few attempts; a wrong key is one at once."""
    gone = SpendServer([], url="http://127.0.0.1:9")
    with pytest.raises(SourceError, match="does not answer"):
        read(source_of(gone))
    with pytest.raises(SourceError, match="refuses the token"):
        read(source_of(server, key="sk-other"))
    assert len(server.asked) == 1


def test_a_user_s_number_means_nothing(server: SpendServer) -> None:
    """The key says whose it is."""
    with pytest.raises(OperatorError, match="--user-id means nothing"):
        SpendLogApiSource(urlsplit(server.url), access_of(KEY, "1"))
