"""Content fields: what a prompt or an answer travels in. They are counted and dropped; their text is never stored.

A field that we don't know may be one of them.
Of a failed call the strings are kept in memory until admission has looked for their echoes in the error's text.
"""

from collections.abc import Iterable
from math import isfinite
from typing import Final

import msgspec

from policies.admission.content import content_within, gather
from policies.admission.report import Json, Report
from service.ingest.formats.row_repair import repaired


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


def remember_content(report: Report, fields: Iterable[tuple[str, bytes | msgspec.Raw]], *, known: bool = True) -> None:
    """Keep the strings of content fields, named and as JSON, on the report of a failed call.

    Fields that are dropped because we don't know them may hold content as well: these are not `known` (`gather`).

    When they cannot be read, echoes of them cannot be found either: message and parameters are dropped then.
    """
    if report.error is None:
        return
    try:
        remember_values(report, [(name, decode_value(raw)) for name, raw in fields], known=known)
    except UnreadableContentError:
        report.error.message = None
        report.error.parameters = {}
        count_dropped(report, "error.message")


def remember_within(report: Report, raw: bytes | msgspec.Raw) -> None:
    """As `remember_content`, for what stands under names of content inside of a value that tells of the error."""
    try:
        remember_values(report, content_within(decode_value(raw)))
    except UnreadableContentError:
        remember_content(report, [("content", raw)])


def remember_values(report: Report, fields: Iterable[tuple[str, object]], *, known: bool = True) -> None:
    """As `remember_content`, for values that are decoded."""
    found = gather(fields, known=known)
    report.content.extend(found.strings)
    report.identifiers += tuple(found.identifiers)
    report.persons += tuple(found.persons)


def count_dropped(report: Report, name: str, count: int = 1) -> None:
    """Add `count` to what the report says was dropped under `name`."""
    report.dropped[name] = report.dropped.get(name, 0) + count
