"""The id of the request that is being answered: in every log line, in every error, and in the answer's headers."""

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


def may_be_repeated(given: str) -> bool:
    """Whether a client's id may stand in answers and the log: up to 128 letters, digits, `.`, `_` and `-`, and not in
    the format of a credential.
    """
    if _FORM.fullmatch(given) is None:
        return False
    return _RANDOM.fullmatch(given) is not None or name_as_stored(given, max_chars=CHARS_MAX) == given


def error_body(code: str, message: str) -> dict[str, dict[str, str]]:
    """What every path but `/graphql` answers where it fails: `{"error": {"code", "message", "request_id"}}`."""
    error = {"code": code, "message": message}
    request_id = REQUEST_ID.get()
    return {"error": error if request_id is None else {**error, "request_id": request_id}}
