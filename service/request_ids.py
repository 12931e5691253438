"""The id of the request that is being answered: in every log line, in every error, and in the answer's headers."""

import random
import re
from contextvars import ContextVar
from typing import Final

from service.log_redaction import name_as_stored

HEADER: Final = "X-Request-Id"
REQUEST_ID: Final[ContextVar[str | None]] = ContextVar("request_id", default=None)
"""Of the request under way in this task; None outside of requests."""
CHARS_MAX: Final = 128
_FORM: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{CHARS_MAX}}}")
_RANDOM: Final = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def request_id_of(given: str | None) -> str:
    """The client's id, if it is one that may be repeated and logged; else a new one of 24 hexadecimal digits.

    An id is up to 128 letters, digits, `.`, `_` and `-`, and not in the format of a credential.
    """
    if given is None or _FORM.fullmatch(given) is None:
        return _new()
    if _RANDOM.fullmatch(given) is not None or name_as_stored(given, max_chars=CHARS_MAX) == given:
        return given
    return _new()


def _new() -> str:
    # To tell requests apart, and no secret: the kernel's random bytes would take four times as long.
    return f"{random.getrandbits(96):024x}"


def error_body(code: str, message: str) -> dict[str, dict[str, str]]:
    """What every path but `/graphql` answers where it fails: `{"error": {"code", "message", "request_id"}}`."""
    error = {"code": code, "message": message}
    request_id = REQUEST_ID.get()
    return {"error": error if request_id is None else {**error, "request_id": request_id}}
