"""Langfuse: observations of its exports (blob storage, user interface) and of its API -> reports.

Read from langfuse-docs' blob-storage-export-fields.mdx of 2026-08 and from langfuse's observation-stream.ts: rows are
in snake case or camel case, times in UTC without an offset, nested values as JSON or as JSON text. An observation is a
call where its type is one of a model's; what else a trace has is skipped. `latency` is seconds in some exports and
milliseconds in others: it is taken from the times.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, Report
from service.ingest.formats.amount_parts import Portion, parts_of
from service.ingest.formats.figures import Object, any_length_text, storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, drop, elapsed_ms
from service.ingest.formats.gateways.failure import failure, not_asked_for
from service.ingest.formats.otlp.tokens import read_details
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

_OPERATIONS: Final = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
NO_CALL: Final = Rejection("the observation is no call to a model", None)
_METERS: Final[Mapping[str, str]] = {
    "input": "input",
    "output": "output",
    "input_cached_tokens": "cache_read",
    "cache_read_input_tokens": "cache_read",
    "input_cache_read": "cache_read",
    "cache_creation_input_tokens": "cache_write",
    "input_cache_creation": "cache_write",
    "output_reasoning_tokens": "reasoning",
    "output_reasoning": "reasoning",
}
"""Parts of the cost -> meters; every other part is `other`."""
_CONTENT: Final = (
    *("input", "output", "metadata", "tool_calls", "tool_definitions", "comments", "name", "trace_name", "scores"),
)
_UNKNOWN_MODEL: Final = "unknown"


class ObservationFields(msgspec.Struct):
    """An observation. `model` and `usage` are what older exports have."""

    id: Any = None
    trace_id: Any = None
    parent_observation_id: Any = None
    type: Any = None
    start_time: Any = None
    end_time: Any = None
    completion_start_time: Any = None
    level: Any = None
    status_message: Any = None
    provided_model_name: Any = None
    model: Any = None
    model_parameters: Any = None
    usage_details: Any = None
    usage: Any = None
    cost_details: Any = None
    total_cost: Any = None
    environment: Any = None
    user_id: Any = None
    session_id: Any = None
    tags: Any = None
    trace_tags: Any = None
    release: Any = None
    input: Raw = NOTHING
    output: Raw = NOTHING
    metadata: Raw = NOTHING
    tool_calls: Raw = NOTHING
    tool_definitions: Raw = NOTHING
    comments: Raw = NOTHING
    name: Raw = NOTHING
    trace_name: Raw = NOTHING
    scores: Raw = NOTHING
    # What says nothing of a call beside what is above, as prices of which the cost is made.
    project_id: Raw = NOTHING
    version: Raw = NOTHING
    prompt_name: Raw = NOTHING
    prompt_version: Raw = NOTHING
    prompt_id: Raw = NOTHING
    latency: Raw = NOTHING
    time_to_first_token: Raw = NOTHING
    model_id: Raw = NOTHING
    internal_model_id: Raw = NOTHING
    created_at: Raw = NOTHING
    updated_at: Raw = NOTHING
    tool_call_names: Raw = NOTHING
    usage_pricing_tier_id: Raw = NOTHING
    usage_pricing_tier_name: Raw = NOTHING
    input_price: Raw = NOTHING
    output_price: Raw = NOTHING
    total_price: Raw = NOTHING
    bookmarked: Raw = NOTHING
    public: Raw = NOTHING
    trace_timestamp: Raw = NOTHING
    provided_usage_details: Raw = NOTHING
    provided_cost_details: Raw = NOTHING
    input_usage: Raw = NOTHING
    output_usage: Raw = NOTHING
    total_usage: Raw = NOTHING
    input_cost: Raw = NOTHING
    output_cost: Raw = NOTHING


_SCHEMA: Final = RowSchema(ObservationFields, "camel")


def read_observation(row: Row) -> Report | Rejection:
    """One observation; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: ObservationFields, others: Mapping[str, Raw]) -> Report | Rejection:
    operation = _OPERATIONS.get(fields.type.upper()) if isinstance(fields.type, str) else None
    if operation is None:
        return NO_CALL
    cells = Cells()
    model = text_of(fields.provided_model_name) or text_of(fields.model)
    report = Report(
        source="langfuse",
        source_id=cells.id_of("id", fields.id),
        started_at=cells.start("start_time", fields.start_time),
        model=storable("model", model) if model else _UNKNOWN_MODEL,
        failed=fields.level == "ERROR",
        operation=operation,
        user=cells.label("user_id", fields.user_id),
        attributes=Attributes(
            trace_id=cells.label("trace_id", fields.trace_id),
            session_id=cells.label("session_id", fields.session_id),
            parent_span_id=cells.label("parent_observation_id", fields.parent_observation_id),
        ),
        tags=_tags(cells, fields),
    )
    ended_at = cells.moment("end_time", fields.end_time)
    first_at = cells.moment("completion_start_time", fields.completion_start_time)
    report.latency_ms = elapsed_ms(report.started_at, ended_at)
    report.time_to_first_token_ms = elapsed_ms(report.started_at, first_at)
    report.streamed = True if first_at is not None else None
    read_details(cells, report, cells.nested("usage_details", fields.usage_details or fields.usage))
    cells.check_parts(report)
    _read_cost(cells, report, fields)
    parameters = cells.nested("model_parameters", fields.model_parameters)
    if report.failed:
        report.error = failure(report, parameters, ended_at=ended_at, message=any_length_text(fields.status_message))
    drop(cells, report, fields, _CONTENT, others, not_asked_for(parameters))
    return report


def _tags(cells: Cells, fields: ObservationFields) -> dict[str, str]:
    tags = cells.tags("tags", fields.tags or fields.trace_tags)
    for name, value in (("environment", fields.environment), ("release", fields.release)):
        if text := cells.label(name, value):
            tags[name] = text
    return tags


def _read_cost(cells: Cells, report: Report, fields: ObservationFields) -> None:
    """The cost, which Langfuse was told or made of its prices: a zero is one where there are parts of it."""
    details = cells.nested("cost_details", fields.cost_details)
    total = details.get("total") if fields.total_cost in (None, "") else fields.total_cost
    nothing_used = report.failed and not (report.input_tokens or report.output_tokens)
    cells.cost(report, "total_cost", total, source="REPORTED", zero_is_known=nothing_used or len(details) > 0)
    if report.amount and details:
        report.amount_parts = parts_of(report.amount, _portions(cells, report, details))


def _portions(cells: Cells, report: Report, details: Object) -> list[Portion]:
    sums: dict[str, Decimal] = {}
    for name, value in details.items():
        if name != "total" and (amount := cells.amount("cost_details", value)):
            meter = _METERS.get(name, "other")
            sums[meter] = sums.get(meter, Decimal(0)) + amount
    beside = (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0)
    reasoning = report.reasoning_tokens or 0 if "reasoning" in sums else 0
    quantities = {
        "input": (report.input_tokens or 0) - (beside if sums.keys() & {"cache_read", "cache_write"} else 0),
        "output": (report.output_tokens or 0) - reasoning,
        "cache_read": report.cache_read_tokens,
        "cache_write": report.cache_write_tokens,
        "reasoning": report.reasoning_tokens,
    }
    return [Portion(meter, amount, quantities.get(meter)) for meter, amount in sums.items()]
