"""The error of a row in the native format, and what of it may be content."""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import UNSET, Raw, UnsetType

from policies.admission.report import ErrorReport, Json, Report
from service.ingest.formats.content import (
    UnreadableContentError,
    count_dropped,
    decode_value,
    remember_content,
    remember_within,
)
from service.ingest.formats.left_out import FieldError, decode_rest, warn_of
from service.ingest.formats.native.fields import CONTENT_FIELDS, ErrorFields
from service.ingest.formats.rejections import ERROR_FORM, MOMENT_FORM
from service.ingest.formats.scalars import is_time_of_error, moment_of_text
from service.rfc3339 import MomentError

_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])
_ERROR_FIELDS: Final = frozenset(ErrorFields.__struct_fields__)
_CONTENT_OF_ERRORS: Final = CONTENT_FIELDS - {"message", "response", "body", "text", "content"} | {
    "request_body",
    "failed_generation",
}
"""Of an error, a body or a response is mostly its own text once more."""
_ERROR: Final = msgspec.json.Decoder(ErrorFields)


def read_error(report: Report, raw: Raw) -> None:
    """Give the report of a failed call the `error` of its row; what of it cannot be read is left out, and said."""
    if bytes(raw) == b"null":
        return
    if not report.failed:
        count_dropped(report, "error")
        return
    try:
        fields = _FIELDS.decode(raw)
    except (ValueError, RecursionError):
        fields = {}
        warn_of(report, [FieldError(f"`error` must be {ERROR_FORM}", "error")])
    known = {name: value for name, value in fields.items() if name in _ERROR_FIELDS}
    error, faults = decode_rest(_ERROR, known, needed=(), inside="error")
    occurred_at = None
    try:
        occurred_at = None if error.occurred_at is None else moment_of_text(error.occurred_at)
    except MomentError:
        faults.append(FieldError(f"`error.occurred_at` must be {MOMENT_FORM}", "occurred_at"))
    if occurred_at is not None and not is_time_of_error(occurred_at, report.started_at):
        faults.append(FieldError("`error.occurred_at` must be between `started_at` and 24 hours later", "occurred_at"))
        occurred_at = None
    report.error = ErrorReport(
        type=error.type or "unknown",
        code=None if error.code in (None, "") else str(error.code),
        message=error.message or None,
        parameters=_parameters(report, error.parameters),
        occurred_at=occurred_at,
    )
    warn_of(report, faults, "error.")
    if len(fields) > len(known):
        count_dropped(report, "unknown", len(fields) - len(known))
        _remember_content_of(report, {name: value for name, value in fields.items() if name not in known})


def _remember_content_of(report: Report, others: Mapping[str, Raw]) -> None:
    """Look into the other fields of an error: they are content by their names, or hold such fields at some depth."""
    remember_content(report, [(name, raw) for name, raw in others.items() if name in _CONTENT_OF_ERRORS])
    for name, raw in others.items():
        if name not in _CONTENT_OF_ERRORS and bytes(raw)[:1] in (b"{", b"["):
            remember_within(report, raw)


def _parameters(report: Report, raw: Raw | UnsetType) -> dict[str, Json]:
    if raw is UNSET or bytes(raw) == b"null":
        return {}
    try:
        value = decode_value(raw)
    except UnreadableContentError:
        value = None
    if isinstance(value, dict):
        return value
    count_dropped(report, "error.parameters")
    return {}
