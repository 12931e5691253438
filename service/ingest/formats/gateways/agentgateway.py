"""agentgateway: rows of its table `request_logs`, and of its API -> reports.

Read from crates/agentgateway/src/telemetry/log_store.rs and log_store/sqlite.rs of 2026-11. The table has flat columns
and `attributes_json`, the API nested objects in camel case. A row without a model is no call to one. Tokens include the
cache; the cost is US dollars, made of a price list, a binary float.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, Report
from service.ingest.formats.figures import Object, any_length_text, storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, drop, first_text
from service.ingest.formats.gateways.failure import failure
from service.ingest.formats.otlp import names
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

NO_CALL: Final = Rejection("the request is no call to a model", None)
_FIRST_FAILURE: Final = 400


class RequestLogFields(msgspec.Struct):
    """A row of `request_logs`, then what the API has instead."""

    id: Any = None
    started_at: Any = None
    completed_at: Any = None
    duration_ms: Any = None
    trace_id: Any = None
    http_status: Any = None
    error: Any = None
    gen_ai_operation_name: Any = None
    gen_ai_provider_name: Any = None
    gen_ai_request_model: Any = None
    gen_ai_response_model: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    cost: Any = None
    agentgateway_user: Any = None
    agentgateway_group: Any = None
    attributes_json: Any = None
    gen_ai: Any = None
    usage: Any = None
    attributes: Any = None
    request_prompt_json: Raw = NOTHING
    response_completion_json: Raw = NOTHING
    payload: Raw = NOTHING
    user_agent_name: Raw = NOTHING
    # What says nothing of a call beside what is above.
    span_id: Raw = NOTHING
    total_tokens: Raw = NOTHING
    has_payload: Raw = NOTHING


_SCHEMA: Final = RowSchema(RequestLogFields, "camel")
_CONTENT: Final = ("request_prompt_json", "response_completion_json", "payload", "user_agent_name")


def read_request_log(row: Row) -> Report | Rejection:
    """One row; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: RequestLogFields, others: Mapping[str, Raw]) -> Report | Rejection:
    cells = Cells()
    attributes = cells.nested("attributes_json", fields.attributes_json or fields.attributes)
    nested, usage = cells.nested("gen_ai", fields.gen_ai), cells.nested("usage", fields.usage)
    asked = text_of(fields.gen_ai_request_model) or first_text(nested, "requestModel", "request_model")
    served = text_of(fields.gen_ai_response_model) or first_text(nested, "responseModel", "response_model")
    if asked is None and served is None:
        return NO_CALL
    status = cells.integer("http_status", fields.http_status)
    group = text_of(fields.agentgateway_group) or first_text(attributes, "agentgateway.group")
    report = Report(
        source="agentgateway",
        source_id=cells.id_of("id", fields.id),
        started_at=cells.start("started_at", fields.started_at),
        model=storable("gen_ai_request_model", asked or served or ""),
        failed=bool(fields.error) or (status or 0) >= _FIRST_FAILURE,
        account=None if group is None else storable("agentgateway_group", group),
        api_key=first_text(attributes, "api_key.name", "apiKey.name", "agentgateway.api_key"),
        user=cells.label("agentgateway_user", fields.agentgateway_user) or first_text(attributes, "agentgateway.user"),
        served_model=served,
        provider=text_of(fields.gen_ai_provider_name) or first_text(nested, "providerName", "provider_name"),
        operation=text_of(fields.gen_ai_operation_name) or first_text(nested, "operationName", "operation_name"),
        streamed=cells.flag("gen_ai.request.stream", attributes.get("gen_ai.request.stream")),
        input_tokens=cells.integer("input_tokens", _given(fields.input_tokens, usage, "inputTokens", "input_tokens")),
        output_tokens=cells.integer(
            "output_tokens", _given(fields.output_tokens, usage, "outputTokens", "output_tokens")
        ),
        cache_read_tokens=_counted(cells, attributes, names.READ_TOKENS),
        cache_write_tokens=_counted(cells, attributes, names.WRITTEN_TOKENS),
        reasoning_tokens=_counted(cells, attributes, names.REASONING_TOKENS),
        latency_ms=cells.milliseconds("duration_ms", fields.duration_ms),
        attributes=Attributes(trace_id=cells.label("trace_id", fields.trace_id)),
    )
    cells.check_parts(report)
    unused = report.failed and not (report.input_tokens or report.output_tokens)
    cells.cost(report, "cost", fields.cost, source="REPORTED", zero_is_known=unused)
    if report.failed:
        ended_at = cells.moment("completed_at", fields.completed_at)
        message = any_length_text(fields.error)
        report.error = failure(report, _asked(attributes), ended_at=ended_at, status=status, message=message)
    left = {
        name: value for name, value in attributes.items() if not name.startswith(_PREFIX) and name not in names.READ
    }
    if left:
        report.dropped["attributes"] = len(left)
    drop(cells, report, fields, _CONTENT, others, left.items())
    return report


_PREFIX: Final = "gen_ai.request."


def _given(value: Any, usage: Object, *candidates: str) -> Any:  # noqa: ANN401 - values of a row
    return value if value is not None else next((usage[name] for name in candidates if name in usage), None)


def _counted(cells: Cells, attributes: Object, candidates: Sequence[str]) -> int | None:
    for name in candidates:
        if (value := attributes.get(name)) is not None:
            return cells.integer(name, value)
    return None


def _asked(attributes: Object) -> Object:
    return {name[len(_PREFIX) :]: value for name, value in attributes.items() if name.startswith(_PREFIX)}
