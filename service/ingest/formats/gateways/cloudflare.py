"""Cloudflare AI Gateway: Logpush's dataset `ai_gateway_events`, and rows of its API's `/logs` -> reports.

Read from Cloudflare's reference of the dataset of 2026-11, and from the API's schema. Logpush has no id: it is derived
from the row, whose encrypted bodies differ from call to call. Without them, and with a timestamp in whole seconds, two
calls can be alike: let the job have `timestamp_format=unixnano`.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, Report
from service.ingest.formats.figures import Object, storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, derived_id, drop, first_text
from service.ingest.formats.gateways.failure import failure
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

_UNKNOWN_MODEL: Final = "unknown"
_FIRST_FAILURE: Final = 400
_ENCRYPTED: Final = "encrypted"
_INPUT: Final = ("tokensIn", "tokens_in", "inputTokens", "input_tokens", "promptTokens", "prompt_tokens")
_OUTPUT: Final = ("tokensOut", "tokens_out", "outputTokens", "output_tokens", "completionTokens", "completion_tokens")
_DURATION: Final = ("durationMs", "duration_ms", "duration")
_USERS: Final = ("user", "user_id", "userId", "email")
"""What applications call the person in the metadata of their own."""


class EventFields(msgspec.Struct):
    """An event of Logpush, then what the API has instead."""

    cached: Any = None
    gateway: Any = None
    metadata: Any = None
    metrics: Any = None
    model: Any = None
    provider: Any = None
    rate_limited: Any = None
    requested_model: Any = None
    status_code: Any = None
    timestamp: Any = None
    id: Any = None
    created_at: Any = None
    cost: Any = None
    duration: Any = None
    success: Any = None
    tokens_in: Any = None
    tokens_out: Any = None
    step: Any = None
    request_body: Raw = NOTHING
    response_body: Raw = NOTHING
    request_head: Raw = NOTHING
    response_head: Raw = NOTHING
    endpoint: Raw = NOTHING
    path: Raw = NOTHING
    routing_reason: Raw = NOTHING
    # What says nothing of a call beside what is above.
    routing_decision_id: Raw = NOTHING
    model_type: Raw = NOTHING
    request_type: Raw = NOTHING
    request_content_type: Raw = NOTHING
    response_content_type: Raw = NOTHING
    custom_cost: Raw = NOTHING
    request_size: Raw = NOTHING
    response_size: Raw = NOTHING
    request_head_complete: Raw = NOTHING
    response_head_complete: Raw = NOTHING


_SCHEMA: Final = RowSchema(EventFields, "pascal")
_CONTENT: Final = (
    *("request_body", "response_body", "request_head", "response_head", "endpoint", "path", "routing_reason"),
)


def read_event(row: Row) -> Report | Rejection:
    """One event; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: EventFields, others: Mapping[str, Raw]) -> Report:
    cells = Cells()
    metrics, metadata = cells.nested("metrics", fields.metrics), _metadata(cells, fields)
    served = text_of(fields.model)
    asked = text_of(fields.requested_model) or served
    status = cells.integer("status_code", fields.status_code)
    report = Report(
        source="cloudflare",
        source_id=_derived(fields) if fields.id is None else cells.id_of("id", fields.id),
        started_at=cells.start("timestamp", fields.timestamp if fields.created_at is None else fields.created_at),
        model=storable("model", asked) if asked else _UNKNOWN_MODEL,
        failed=_has_failed(cells, fields, status),
        served_model=served,
        provider=cells.label("provider", fields.provider),
        input_tokens=cells.integer("tokens_in", _first(metrics, _INPUT, fields.tokens_in)),
        output_tokens=cells.integer("tokens_out", _first(metrics, _OUTPUT, fields.tokens_out)),
        latency_ms=cells.milliseconds("duration", _first(metrics, _DURATION, fields.duration)),
        user=first_text(metadata, *_USERS),
        attributes=Attributes(
            cache_hit=cells.flag("cached", fields.cached), deployment=cells.label("gateway", fields.gateway)
        ),
        tags=cells.tags("metadata", {name: value for name, value in metadata.items() if name not in _USERS}),
    )
    hit = report.attributes is not None and report.attributes.cache_hit is True
    unused = report.failed and not (report.input_tokens or report.output_tokens)
    cost = fields.cost if fields.cost is not None else metrics.get("cost")
    cells.cost(report, "cost", cost, source="REPORTED", zero_is_known=hit or unused)
    if report.failed:
        report.error = failure(report, {}, status=status)
    drop(cells, report, fields, _CONTENT, others)
    return report


def _derived(fields: EventFields) -> str:
    identity = (
        fields.timestamp,
        fields.gateway,
        fields.provider,
        fields.model,
        fields.requested_model,
        fields.status_code,
    )
    cost = (fields.cached, fields.metrics, bytes(fields.endpoint), bytes(fields.request_body))  # which is encrypted
    return derived_id(*identity, *cost)


def _metadata(cells: Cells, fields: EventFields) -> Object:
    metadata = cells.nested("metadata", fields.metadata)
    return {} if metadata.get("type") == _ENCRYPTED else metadata


def _has_failed(cells: Cells, fields: EventFields, status: int | None) -> bool:
    success = cells.flag("success", fields.success)
    if success is not None:
        return not success
    return (status or 0) >= _FIRST_FAILURE or cells.flag("rate_limited", fields.rate_limited) is True


def _first(metrics: Object, names: "tuple[str, ...]", given: Any) -> Any:  # noqa: ANN401 - values of a row
    if given is not None:
        return given
    for name in names:
        if (found := metrics.get(name)) is not None:
            return found
    return None
