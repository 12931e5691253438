"""Logs say what happened and where, and nothing that a client sent."""

import asyncio
import io
import json
import logging
import sys
from datetime import datetime, timedelta

import pytest
import structlog

from service.logs import configure_logs, get_logger, log_request, write_requests


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
    """The line of a request has the members of every event, with a moment in UTC."""
    log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)
    get_logger().info("request", method="POST", route="/graphql", status=200, duration_ms=1.5)

    ours, others = (json.loads(line) for line in lines.getvalue().splitlines())
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


def test_requests_are_not_logged_above_their_level(lines: io.StringIO) -> None:
    """Whoever wants warnings only gets no line a request."""
    configure_logs(level="warning", form="json")

    log_request(method="POST", route="/graphql", status=200, duration_ms=1.5)

    assert not lines.getvalue()
