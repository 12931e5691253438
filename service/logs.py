"""Structured logs on standard error. An event names what happened; values are ours, never a client's text.

That is the rule for the author of a line. Besides, every value whose key is not trusted passes the redactor.
"""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TextIO

import orjson
import structlog

from service.log_redaction import guarded
from service.request_ids import REQUEST_ID

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# A log that cannot be written (its disk is full, its reader is gone) must not fail a request.
NOT_WRITTEN = (OSError, ValueError)
# ESC, CR, LF and the Unicode line separators: one event stays one line, and cannot control a terminal.
_CONTROL = {code: f"\\u{code:04x}" for code in [*range(32), 127, *range(128, 160), 0x2028, 0x2029]}


# The keys of values that the code chooses: words, code locations, ids and digests of ours, the operator's own paths.
_TRUSTED_KEYS = frozenset(
    (
        *("event", "level", "timestamp", "error", "at", "library", "place", "type", "request_id", "method", "route"),
        *("topic", "work", "run", "version", "digest", "protection", "path", "mirror", "status", "duration_ms"),
        *("policy", "source", "refusal", "key_id"),
    )
)


def _guard(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {key: value if key in _TRUSTED_KEYS else _guarded(value) for key, value in event.items()}


def _add_request(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Name the request under way, so that its lines can be found by what its client was told."""
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def _guarded(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_guarded(item) for item in value]
    return guarded(value if isinstance(value, str) else repr(value))


def _escape_control(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    return {key: _on_one_line(value) if isinstance(value, str) else value for key, value in event.items()}


def _on_one_line(text: str) -> str:
    return text if text.isprintable() else text.translate(_CONTROL)


def _json(event: structlog.types.EventDict, **_: object) -> str:
    return orjson.dumps(event, default=repr).decode()


def _describe_exception(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Log an exception by class and location: its message may quote a row, and a traceback its values."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is not None:
            event["at"] = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
    return event


def configure_logs(*, level: str = "info", form: str = "auto") -> None:
    """Set up logging once per process; `form` is `json`, `console`, or `auto` (console on a terminal)."""
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer(serializer=_json)
    )
    structlog.configure(
        processors=[
            _write_waiting_first,
            structlog.processors.add_log_level,
            _add_request,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _describe_exception,
            _guard,
            _escape_control,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _write_earlier()  # to the stream that was set before
    OUTPUT.stream, OUTPUT.console = sys.stderr, console
    OUTPUT.informs = _LEVELS[level] <= _LEVELS["info"]
    _quieten_libraries()


def _write_earlier() -> None:
    for write in OUTPUT.before:
        write()


def _write_waiting_first(_: object, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Write lines that wait before this event, to keep the order."""
    _write_earlier()
    return event


@dataclass(slots=True)
class LogOutput:
    """How lines are written, as `configure_logs` has set it. `informs`: whether lines of the level `info` are."""

    stream: TextIO = sys.stderr
    informs: bool = True
    console: bool = True
    before: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    """Whoever holds lines back writes them here before the next one, to keep the order."""


OUTPUT: Final = LogOutput()


def _quieten_libraries() -> None:
    """Log of libraries only that something happened, because they quote requests and statements."""
    root = logging.getLogger()
    root.handlers = [_LibraryHandler()]
    root.setLevel(logging.WARNING)


class _LibraryHandler(logging.Handler):
    """Logs messages of libraries by name and location, without their text."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log where the message came from."""
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger().log(
            record.levelno,
            "library message",
            library=record.name,
            place=f"{record.module}:{record.lineno}",
            exc_info=error,
        )


def get_logger() -> structlog.stdlib.BoundLogger:
    """The logger of a module: structlog's, set up by `configure_logs`."""
    return structlog.get_logger()
