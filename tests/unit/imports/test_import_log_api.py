"""The HTTP API of new-api and One API as a source: every row once, whatever the gateway does meanwhile."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from newapi import NOW, consumed
from newapi_server import TOKEN, USER, LogServer
from served import serving

from service.errors import OperatorError
from service.imports.sources import gateway_client, log_api
from service.imports.sources.gateway_client import access_of
from service.imports.sources.log_api import LogApiSource
from service.imports.sources.pages import SourceError

SINCE = NOW - 90_000


@pytest.fixture
def server() -> Iterator[LogServer]:
    with serving(LogServer([consumed(id_, created_at=SINCE + id_ * 70) for id_ in range(1, 451)])) as running:
        yield running


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_client, "_PAUSES_S", (0.001,) * 3)


def source_of(server: LogServer, path: str = "", *, token: str = TOKEN) -> LogApiSource:
    return LogApiSource(urlsplit(server.url + path), access_of(token, USER), since=SINCE)


def read(source: LogApiSource, after: str | None = None) -> list[dict[str, Any]]:
    async def all_rows() -> list[dict[str, Any]]:
        async with aclosing(source.pages(after)) as pages:
            return [json.loads(bytes(row)) async for page in pages for row in page.rows]

    return asyncio.run(all_rows())


@pytest.mark.parametrize("family", ["new-api", "one-api"])
def test_every_row_comes_once_and_in_order(server: LogServer, family: str) -> None:
    """Pages of a hundred that count from 1, and of ten that count from 0."""
    server.family = family
    assert [row["id"] for row in read(source_of(server))] == list(range(1, 451))
    assert len({query["end_timestamp"] for query in server.asked}) < 20


def test_rows_that_come_in_meanwhile_are_not_missed(server: LogServer) -> None:
    """Each answer finds more rows, newer and late: those that were there come once, and late ones the next time."""

    def more(count: int) -> None:
        server.log.append(consumed(10_000 + count, created_at=int(time.time()) - 1))
        server.log.append(consumed(20_000 + count, created_at=SINCE + 700))

    server.before = more
    found = [row["id"] for row in read(source_of(server)) if row["id"] < 10_000]
    assert sorted(found) == list(range(1, 451))
    server.before = lambda _: None
    again = [row["id"] for row in read(source_of(server), str(SINCE))]
    assert len(again) == len(set(again)) >= 450


def test_what_comes_in_meanwhile_is_left_to_the_next_time(server: LogServer) -> None:
    """While a clock goes on by a minute with each answer, it ends where it was when it began."""
    begin = SINCE + 451 * 70
    source = LogApiSource(
        urlsplit(server.url), access_of(TOKEN, USER), since=SINCE, clock=lambda: begin + 60 * len(server.asked)
    )
    assert [row["id"] for row in read(source)] == list(range(1, 451))
    assert len(server.asked) < 50


def test_a_user_s_own_rows_are_told_apart(server: LogServer) -> None:
    """Their ids are those of a page, and are left out; rows that are alike in one second are numbered."""
    alike = consumed(900, created_at=SINCE + 5)
    server.log += [alike, {**alike, "id": 901}]
    rows = read(source_of(server, "/api/log/self"))
    assert len(rows) == 452
    assert not any("id" in row for row in rows)
    assert [row["occurrence"] for row in rows if "occurrence" in row] == [1]
    assert rows == read(source_of(server, "/api/log/self"))


def test_windows_with_many_rows_are_cut(server: LogServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much for one window is read in several: memory is bounded, and no row is missing."""
    monkeypatch.setattr(log_api, "_WINDOW_ROWS_MAX", 20)
    assert [row["id"] for row in read(source_of(server))] == list(range(1, 451))


def test_it_goes_on_behind_its_cursor(server: LogServer) -> None:
    """From a cursor on there is what was not read yet; again from before it, what may have been late."""

    async def first() -> tuple[list[int], str]:
        async with aclosing(source_of(server).pages(None)) as pages:
            page = await anext(pages)
            return [json.loads(bytes(row))["id"] for row in page.rows], page.cursor

    ids, cursor = asyncio.run(first())
    rest = [row["id"] for row in read(source_of(server), cursor)]
    assert ids + rest == list(range(1, 451))
    overlap = [row["id"] for row in read(source_of(server), source_of(server).again_from(cursor))]
    assert overlap[-len(rest) :] == rest
    assert 4 <= len(overlap) - len(rest) <= 5


def test_a_gateway_that_is_busy_is_asked_again(server: LogServer) -> None:
    """429 and 503 are waited out, as long as `Retry-After` says."""
    server.before = lambda count: web.Response(status=429, headers={"Retry-After": "0"}) if count % 3 else None
    assert len(read(source_of(server))) == 450


BAD = {
    "refused": (lambda _: web.json_response({"success": False, "message": "无权"}), "refuses to show its log: 无权"),
    "secret in message": (
        lambda _: web.json_response({"success": False, "message": f"bad key sk-proj-{'Qz9' * 16}"}),
        "refuses to show its log: bad key [redacted",
    ),
    "elsewhere": (
        lambda _: web.Response(status=302, headers={"Location": "http://169.254.169.254/"}),
        "leads elsewhere",
    ),
    "no JSON": (lambda _: web.Response(text="<html>"), "no JSON"),
    "other JSON": (lambda _: web.json_response({"success": True, "data": {"items": "x"}}), "no list of rows"),
    "status": (lambda _: web.Response(status=418), "status 418"),
    "token": (lambda _: web.Response(status=401), "refuses the token"),
    "always busy": (lambda _: web.Response(status=503), "status 503"),
    "the same page": (
        lambda _: web.json_response({"success": True, "data": {"items": [{"id": 1, "created_at": SINCE}]}}),
        "same page again",
    ),
    "other times": (
        lambda _: web.json_response({"success": True, "data": [{"id": 1, "created_at": 5}]}),
        "another time",
    ),
    "no ids": (
        lambda count: web.json_response({"success": True, "data": [{"created_at": SINCE}][: count % 2]}),
        "no `id`",
    ),
    "endless": (
        lambda count: web.json_response({"success": True, "data": [{"id": count, "created_at": SINCE}] * 100}),
        "more rows of one second",
    ),
    "huge": (lambda _: web.Response(body=b" " * (2**24 + 1)), "larger than"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_gateway_that_lies_is_named(server: LogServer, kind: str) -> None:
    """It is an error in words, at once or after a few attempts, and never the end of the log."""
    server.before, words = BAD[kind]
    with pytest.raises(SourceError) as raised:
        read(source_of(server))
    assert words in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert "Qz9Qz9" not in str(raised.value)


def test_a_gateway_that_vanishes_is_named(server: LogServer) -> None:
    """Nobody answers at its address: an error, after a few attempts."""
    with pytest.raises(SourceError, match="does not answer"):
        read(LogApiSource(urlsplit("http://127.0.0.1:9"), access_of(TOKEN, USER), since=SINCE))


def test_the_token_is_a_header_s() -> None:
    """Without a token, or with one of several lines, nothing is asked; `Bearer` before it is no part of it."""
    for secret, user in ((None, "1"), ("a\nb", "1"), ("tö", "1"), ("a", "one")):
        with pytest.raises(OperatorError):
            access_of(secret, user)
    assert access_of("Bearer abc", "1").token == "abc"
