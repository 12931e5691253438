"""The error of a failed call, by what gateways keep of it: a status, a message, or the provider's own body."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from policies import ErrorReport, Json, Report
from service.ingest.formats.figures import Object, any_length_text, inside, text_of
from service.ingest.formats.otlp.failure import plain_json
from service.ingest.formats.otlp.names import PARAMETERS
from service.ingest.formats.scalars import is_time_of_error

_UNKNOWN: Final = "unknown"
_BY_STATUS: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "authentication_error",
    403: "permission_denied",
    404: "not_found",
    408: "timeout",
    413: "request_too_large",
    424: "blocked",
    429: "rate_limited",
    499: "cancelled",
    500: "internal_error",
    502: "bad_gateway",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}
"""Names of errors for which a gateway keeps the HTTP status alone."""


def failure(
    report: Report,
    parameters: Object,
    *,
    ended_at: datetime | None = None,
    status: int | None = None,
    body: Object | None = None,
    message: str | None = None,
) -> ErrorReport:
    """The error of `report`. `body`: what the provider answered, of which its `error` is read."""
    inner = inside(body, "error")
    error: Object = inner if isinstance(inner, dict) else body or {}
    in_time = ended_at is not None and is_time_of_error(ended_at, report.started_at)
    return ErrorReport(
        type=text_of(error.get("type")) or _BY_STATUS.get(status or 0, _UNKNOWN),
        code=text_of(error.get("code")) or (None if status is None else str(status)),
        message=message or any_length_text(error.get("message")),
        parameters=asked_for(parameters),
        occurred_at=ended_at if in_time else None,
    )


def asked_for(parameters: Object) -> dict[str, Json]:
    """The parameters of a request, by a list of names: what else a request holds may be content."""
    return {name: plain_json(value) for name, value in parameters.items() if name in PARAMETERS and value is not None}


def not_asked_for(parameters: Object) -> list[tuple[str, object]]:
    """What else a request holds."""
    return [(name, value) for name, value in parameters.items() if name not in PARAMETERS]
