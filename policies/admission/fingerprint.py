"""What makes two errors the same: type, code and the masked message without its numbers and ids."""

import json
import re
from typing import Final

CHARACTERS_MAX: Final = 2000
"""Of the message; what differs later than that does not tell errors apart."""

# Both cases are written out: to ignore them takes three times as long.
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_TOKEN: Final = re.compile(r"[A-Za-z0-9]{8,}")
_NUMBER: Final = re.compile(r"\d[\d.,:]*")
_ENCODER: Final = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))
_HEX: Final = frozenset("0123456789abcdefABCDEF")


def fingerprint_basis(*, type: str, code: str | None, masked_message: str | None) -> bytes:  # noqa: A002
    """Bytes that are equal for errors of one kind, UTF-8 JSON; the writer puts them through an HMAC."""
    message = None if masked_message is None else normalised(masked_message[:CHARACTERS_MAX])
    return _ENCODER.encode([type, code, message]).encode()


def normalised(message: str) -> str:
    """The message with `<id>` for UUIDs, hexadecimal runs and request ids, `<n>` for numbers, single spaces."""
    message = _UUID.sub("<id>", message)
    message = _TOKEN.sub(_id_or_word, message)
    return " ".join(_NUMBER.sub("<n>", message).split())


def _id_or_word(match: re.Match[str]) -> str:
    token = match.group()
    if token.isalpha():  # as nearly every one is
        return token
    digits = sum(map(str.isdigit, token))
    if digits == len(token):
        return "<n>"
    # A run that mixes letters with digits is an id when it is hexadecimal, or too long to be a name with a version.
    return "<id>" if digits and (len(token) >= 16 or _HEX.issuperset(token)) else token
