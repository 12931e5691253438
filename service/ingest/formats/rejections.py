"""Why a row was not taken, in words: the field, the form that it wants, and the input, cut short, where it is safe."""

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Raw

from service.errors import RequestError
from service.ingest.refusals import Refusal
from service.log_redaction import guarded

_SHOWN_CHARACTERS_MAX: Final = 40
_PATH: Final = re.compile(r" - at `\$\.([a-z_]++)(?:[.\[][^`]*+)?`\Z")
_MISSING: Final = re.compile(r"Object missing required field `([a-z_]+)`")
_SCALAR: Final = re.compile(rb'-?[0-9.eE+-]+|true|false|null|"[\x20-\x5b\x5d-\x7e]*"')

_INTEGER: Final = "an integer from 0 to 2147483647"
_MILLISECONDS: Final = "milliseconds, a number from 0 to 2147483647"
MOMENT_FORM: Final = "a time such as `2026-11-22T10:00:00.123Z`, with its offset"
CURRENCY_FORM: Final = "a code of 3 to 16 letters, such as `USD`"
ERROR_FORM: Final = "an object with `type`, `code`, `message`, `parameters` and `occurred_at`"
_FORMS: Final[Mapping[str, str]] = {
    "id": "a string of 1 to 512 characters",
    "model": "a string of 1 to 512 characters",
    "started_at": MOMENT_FORM,
    "status": "`succeeded` or `failed`",
    "account": "a string of up to 200 characters",
    "streamed": "true or false",
    "currency": CURRENCY_FORM,
    "tags": "an object of at most 64 short strings, numbers or booleans",
    "amount_parts": "a list of at most 64 objects with `name`, `quantity`, `unit_price` and `amount`",
    "error": ERROR_FORM,
    "error.occurred_at": MOMENT_FORM,
    "error.message": "a string",
    "input_tokens": _INTEGER,
    "output_tokens": _INTEGER,
    "cache_read_tokens": _INTEGER,
    "cache_write_tokens": _INTEGER,
    "reasoning_tokens": _INTEGER,
    "latency_ms": _MILLISECONDS,
    "time_to_first_token_ms": _MILLISECONDS,
    "attempt": "an integer from 1 to 32767",
    "cache_hit": "true or false",
    "units": "an object of at most 16 numbers by name, such as `images`",
}
_TEXT_FORM: Final = "a string of up to 1024 characters"
# Numbers, words of ours and times: what a caller may be shown again. Free text could be content.
_QUOTABLE: Final = frozenset(_FORMS) - {"id", "model", "account", "tags", "amount_parts", "error", "units"}


class RowError(RequestError):
    """the row cannot be taken as it stands"""

    def __init__(self, message: str, field: str = "", code: Refusal = Refusal.FIELD_INVALID) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


def reject(fields: Mapping[str, Raw], error: Exception, *, inside: str = "") -> RowError:
    """The reason that a decoder gave for `fields`, in our words. Its own would quote the input.

    `inside` names the object that the fields are of.
    """
    message = str(error)
    if missing := _MISSING.match(message):
        return RowError(f"`{missing[1]}` is required", code=Refusal.FIELD_MISSING)
    found = _PATH.search(message)
    if found is None:
        return _unreadable("the row must be a JSON object, in UTF-8 and not nested too deeply")
    name = f"{inside}.{found[1]}" if inside else found[1]
    return RowError(f"`{name}` must be {_FORMS.get(name, _TEXT_FORM)}{_shown(name, fields.get(name))}", found[1])


def wrong_json(row: bytes, error: Exception) -> RowError:
    """The reason why a row is no JSON object at all."""
    if isinstance(error, RecursionError):
        return _unreadable("the row is nested too deeply")
    if isinstance(error, UnicodeDecodeError):
        return _unreadable("the row is not valid UTF-8")
    if row.strip() == b"null":
        return _unreadable("the row is null")
    if "at `$" in str(error) or str(error).startswith("Expected"):
        return _unreadable("the row must be a JSON object")
    return _unreadable("the row is not valid JSON")


def _unreadable(message: str) -> RowError:
    return RowError(message, code=Refusal.ROW_UNREADABLE)


def _shown(name: str, raw: Raw | None) -> str:
    text = b"" if raw is None else bytes(raw)
    if name not in _QUOTABLE or not _SCALAR.fullmatch(text):
        return ""
    shown = text.decode("ascii")
    if shown.startswith('"'):
        shown = guarded(shown)
    short = shown if len(shown) <= _SHOWN_CHARACTERS_MAX else shown[:_SHOWN_CHARACTERS_MAX] + "..."
    return f", not `{short.replace('`', ' ')}`"
