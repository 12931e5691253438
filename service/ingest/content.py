"""Content fields: what a prompt or an answer travels in. They are counted and dropped; their text is never stored.

Of a failed call the strings are kept in memory until admission has looked for their echoes in the error's text.
"""

import re
from collections.abc import Iterable
from math import isfinite
from typing import Final

import msgspec

from policies.report import Json, Report
from service.ingest.row_repair import repaired

ECHO_CHARACTERS_MIN: Final = 16
"""Shorter strings cannot hold a run that counts as an echo."""

_NAME: Final = re.compile(r"\w*", re.ASCII)


def _finite(text: str) -> float | None:
    # `1e999` is JSON; infinity is not, and could not be written back.
    number = float(text)
    return number if isfinite(number) else None


_VALUES: Final = msgspec.json.Decoder(float_hook=_finite)


class UnreadableContentError(ValueError):
    """the content cannot be read, so its echoes cannot be found"""


def decode_value(raw: bytes | msgspec.Raw) -> Json:
    """Any JSON value; halves of surrogate pairs become U+FFFD, and null what is no finite number.

    UnreadableContentError if even that does not help.
    """
    try:
        return _VALUES.decode(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return _VALUES.decode(repaired(bytes(raw)).decode("utf-8", "replace").encode())
    except (ValueError, RecursionError):
        raise UnreadableContentError from None


def strings_in(values: Iterable[object]) -> list[str]:
    """Every string of 16 characters or more in `values`, at whatever depth.

    Keys of objects count too, unless they are plain names: `max_completion_tokens` is no content.
    """
    found: list[str] = []
    pending: list[object] = list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            if len(value) >= ECHO_CHARACTERS_MIN:
                found.append(value)
        elif isinstance(value, dict):
            pending.extend(key for key in value if not _NAME.fullmatch(key))
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return found


def remember_content(report: Report, raws: Iterable[bytes | msgspec.Raw]) -> None:
    """Keep the strings of content fields on the report of a failed call.

    When they cannot be read, echoes of them cannot be found either: message and parameters are dropped then.
    """
    if report.error is None:
        return
    try:
        report.content.extend(strings_in(decode_value(raw) for raw in raws))
    except UnreadableContentError:
        report.error.message = None
        report.error.parameters = {}
        count_dropped(report, "error.message")


def count_dropped(report: Report, name: str, count: int = 1) -> None:
    report.dropped[name] = report.dropped.get(name, 0) + count
