"""Logs say what happened and where, and nothing that a client sent."""

import asyncio
import errno
import io
import json
import logging
import sys
from datetime import datetime, timedelta
from select import PIPE_BUF

import pytest
import structlog

from service.logs import OUTPUT, configure_logs, get_logger
from service.request_ids import REQUEST_ID
from service.server.middleware import log_request, write_requests


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    structlog.reset_defaults()
    configure_logs(level="info", form="json")
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers = []


def test_an_exception_is_named_but_not_quoted(lines: io.StringIO) -> None:
    """The message of an exception may quote a row; its class and place are enough to find it."""
    try:
        raise ValueError("the prompt was: marzipan")
    except ValueError:
        get_logger().exception("a request failed")

    logged = json.loads(lines.getvalue())
    assert logged["error"] == "ValueError"
    assert logged["at"].startswith(f"{__name__}:") or ":" in logged["at"]
    assert "marzipan" not in lines.getvalue()


def test_a_library_cannot_leak_through_its_log(lines: io.StringIO) -> None:
    """A library's message is dropped; that it spoke, and where, is kept."""
    logging.getLogger("aiohttp.server").error("bad request: %r", "marzipan")

    logged = json.loads(lines.getvalue())
    assert logged["library"] == "aiohttp.server"
    assert "marzipan" not in lines.getvalue()


def test_one_event_is_one_line_and_commands_no_terminal(lines: io.StringIO) -> None:
    """CR, LF, ESC and the Unicode line separators come out escaped."""
    get_logger().info("request", route="a\r\nb\x1b[31m\u2028c")

    assert lines.getvalue().count("\n") == 1
    assert json.loads(lines.getvalue())["route"] == "a\\u000d\\u000ab\\u001b[31m\\u2028c"


def test_a_request_is_one_line_like_any_other(lines: io.StringIO) -> None:
    """The line of a request has the members of every event, with a moment in UTC, and both name the request."""
    request = REQUEST_ID.set("checkout-4711")
    log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)
    get_logger().info("request", method="POST", route="/graphql", status=200, duration_ms=1.5)

    REQUEST_ID.reset(request)
    ours, others = (json.loads(line) for line in lines.getvalue().splitlines())
    assert ours["request_id"] == others["request_id"] == "checkout-4711"
    assert ours.keys() == others.keys()
    assert {**ours, "timestamp": None} == {**others, "timestamp": None}
    assert datetime.fromisoformat(ours["timestamp"]).utcoffset() == timedelta(0)


async def test_lines_of_one_moment_are_written_together(lines: io.StringIO) -> None:
    """While a loop runs, lines of requests wait for those after them, in order; they come out by themselves."""
    for status in (200, 201, 202):
        log_request(method="POST", route="/graphql", status=status, duration_ms=1.5)
    assert not lines.getvalue()
    while not lines.getvalue():  # noqa: ASYNC110 - what a timer of the loop writes
        await asyncio.sleep(0.01)
    assert [json.loads(line)["status"] for line in lines.getvalue().splitlines()] == [200, 201, 202]

    log_request(method="POST", route="/graphql", status=500, duration_ms=1.5)
    write_requests()
    assert lines.getvalue().count("\n") == 4


async def test_lines_stand_in_the_order_of_what_happened(lines: io.StringIO) -> None:
    """A request that was answered before a warning stands before it."""
    log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)
    get_logger().warning("something")
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()] == ["request", "something"]


def test_another_loop_writes_what_the_first_left(lines: io.StringIO) -> None:
    """A loop that ended with lines waiting keeps nothing back from the next one."""

    async def request(*, patient: bool) -> None:
        log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)
        while patient and not lines.getvalue():  # noqa: ASYNC110 - what a timer of the loop writes
            await asyncio.sleep(0.01)

    asyncio.run(request(patient=False))
    asyncio.run(request(patient=True))
    assert lines.getvalue().count("\n") == 2


def test_pieces_are_whole_lines_that_a_pipe_takes_at_once() -> None:
    """Workers share a pipe: what is written in one piece is not torn by another's, if it is no longer than PIPE_BUF."""
    pieces: list[str] = []
    stream = io.StringIO()
    stream.write = pieces.append  # type: ignore[method-assign, assignment]
    structlog.reset_defaults()
    configure_logs(level="info", form="json")
    OUTPUT.stream = stream

    async def answer_many() -> None:
        for _ in range(100):
            log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)
        write_requests()

    asyncio.run(answer_many())
    structlog.reset_defaults()
    assert sum(piece.count("\n") for piece in pieces) == 100
    assert 1 < len(pieces) < 10
    assert all(piece.endswith("\n") and len(piece) <= PIPE_BUF for piece in pieces)


class Full(io.StringIO):
    """A log on a disk that is full."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_full_disk_costs_nobody_an_answer(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """A line that cannot be written is given up, and whoever is answered hears nothing of it."""
    monkeypatch.setattr(sys, "stderr", Full())
    structlog.reset_defaults()
    configure_logs(level="info", form=form)
    try:
        for _ in range(100):
            log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)
        write_requests()
    finally:
        structlog.reset_defaults()


def test_requests_are_not_logged_above_their_level(lines: io.StringIO) -> None:
    """Whoever wants warnings only gets no line a request."""
    configure_logs(level="warning", form="json")

    log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)

    assert not lines.getvalue()
