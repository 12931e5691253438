"""Bifrost: rows of its table `logs`, and of its API's `/api/logs` -> reports.

Read from framework/logstore/tables.go of 2026-11: nested columns hold JSON text (`token_usage`, `error_details`), the
API has them as objects. `latency` is milliseconds, `cost` US dollars, both binary floats; a row whose status is
`processing` is no call yet.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, Report
from service.ingest.formats.figures import Object, any_length_text, inside, storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, drop
from service.ingest.formats.gateways.failure import failure, not_asked_for
from service.ingest.formats.native.attributes import ATTEMPT_MAX
from service.ingest.formats.rejections import RowError
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

NOT_ENDED: Final = Rejection("the call had not ended: import it again later", None)
_OPERATIONS: Final[Mapping[str, str]] = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "chat_completion": "chat",
    "chat_completion_stream": "chat",
    "text.completion": "text_completion",
    "text_completion": "text_completion",
    "response": "responses",
    "responses": "responses",
    "responses_stream": "responses",
    "list": "embeddings",
    "embedding": "embeddings",
    "audio.speech": "speech",
    "speech": "speech",
    "audio.transcription": "transcription",
    "transcription": "transcription",
    "image_generation": "image_generation",
    "rerank": "rerank",
}
_OTHER: Final = "other"


class BifrostFields(msgspec.Struct):
    """A row of `logs`."""

    id: Any = None
    parent_request_id: Any = None
    timestamp: Any = None
    object_type: Any = None
    object: Any = None
    provider: Any = None
    model: Any = None
    alias: Any = None
    number_of_retries: Any = None
    fallback_index: Any = None
    selected_key_name: Any = None
    virtual_key_id: Any = None
    virtual_key_name: Any = None
    user_id: Any = None
    user_name: Any = None
    team_id: Any = None
    team_name: Any = None
    customer_id: Any = None
    customer_name: Any = None
    latency: Any = None
    token_usage: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    cached_read_tokens: Any = None
    cost: Any = None
    status: Any = None
    error_details: Any = None
    stream: Any = None
    params: Any = None
    metadata: Any = None
    cache_debug: Any = None
    provider_request_id: Any = None
    session_id: Any = None
    input_history: Raw = NOTHING
    responses_input_history: Raw = NOTHING
    output_message: Raw = NOTHING
    responses_output: Raw = NOTHING
    embedding_output: Raw = NOTHING
    rerank_output: Raw = NOTHING
    ocr_input: Raw = NOTHING
    ocr_output: Raw = NOTHING
    tools: Raw = NOTHING
    tool_calls: Raw = NOTHING
    speech_input: Raw = NOTHING
    speech_output: Raw = NOTHING
    transcription_input: Raw = NOTHING
    transcription_output: Raw = NOTHING
    image_generation_input: Raw = NOTHING
    image_generation_output: Raw = NOTHING
    image_edit_input: Raw = NOTHING
    image_variation_input: Raw = NOTHING
    video_generation_input: Raw = NOTHING
    video_generation_output: Raw = NOTHING
    video_retrieve_output: Raw = NOTHING
    video_download_output: Raw = NOTHING
    video_list_output: Raw = NOTHING
    video_delete_output: Raw = NOTHING
    list_models_output: Raw = NOTHING
    content_summary: Raw = NOTHING
    raw_request: Raw = NOTHING
    raw_response: Raw = NOTHING
    passthrough_request_body: Raw = NOTHING
    passthrough_response_body: Raw = NOTHING
    routing_engine_logs: Raw = NOTHING
    plugin_logs: Raw = NOTHING
    attempt_trail: Raw = NOTHING
    # What says nothing of a call beside what is above.
    inc_number: Raw = NOTHING
    canonical_model_name: Raw = NOTHING
    alias_model_family: Raw = NOTHING
    selected_key_id: Raw = NOTHING
    selected_key: Raw = NOTHING
    virtual_key: Raw = NOTHING
    routing_rule: Raw = NOTHING
    routing_engines_used: Raw = NOTHING
    routing_rule_id: Raw = NOTHING
    routing_rule_name: Raw = NOTHING
    selected_prompt_name: Raw = NOTHING
    selected_prompt_version: Raw = NOTHING
    selected_prompt_id: Raw = NOTHING
    business_unit_id: Raw = NOTHING
    business_unit_name: Raw = NOTHING
    team_ids: Raw = NOTHING
    team_names: Raw = NOTHING
    customer_ids: Raw = NOTHING
    customer_names: Raw = NOTHING
    business_unit_ids: Raw = NOTHING
    business_unit_names: Raw = NOTHING
    stop_reason: Raw = NOTHING
    is_large_payload_request: Raw = NOTHING
    is_large_payload_response: Raw = NOTHING
    has_object: Raw = NOTHING
    cluster_node_id: Raw = NOTHING
    budget_ids: Raw = NOTHING
    rate_limit_ids: Raw = NOTHING
    total_tokens: Raw = NOTHING
    created_at: Raw = NOTHING


_SCHEMA: Final = RowSchema(BifrostFields)
_CONTENT: Final = (
    *("input_history", "responses_input_history", "output_message", "responses_output", "embedding_output"),
    *("rerank_output", "ocr_input", "ocr_output", "tools", "tool_calls", "speech_input", "speech_output"),
    *("transcription_input", "transcription_output", "image_generation_input", "image_generation_output"),
    *("image_edit_input", "image_variation_input", "video_generation_input", "video_generation_output"),
    *("video_retrieve_output", "video_download_output", "video_list_output", "video_delete_output"),
    *("list_models_output", "content_summary", "raw_request", "raw_response", "passthrough_request_body"),
    *("passthrough_response_body", "routing_engine_logs", "plugin_logs", "attempt_trail"),
)


def read_log(row: Row) -> Report | Rejection:
    """One row; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: BifrostFields, others: Mapping[str, Raw]) -> Report | Rejection:
    if fields.status == "processing":
        return NOT_ENDED
    if fields.status not in ("success", "error", "cancelled"):
        raise RowError("`status` must be `success` or `error`")
    cells = Cells()
    served = text_of(fields.model)
    asked = text_of(fields.alias) or served
    account = text_of(fields.customer_id) or text_of(fields.team_id)
    kind = text_of(fields.object_type) or text_of(fields.object)
    report = Report(
        source="bifrost",
        source_id=cells.id_of("id", fields.id),
        started_at=cells.start("timestamp", fields.timestamp),
        model=storable("model", asked) if asked else "unknown",
        failed=fields.status != "success",
        account=None if account is None else storable("customer_id", account),
        api_key=cells.label("virtual_key_name", fields.virtual_key_name or fields.virtual_key_id),
        user=cells.label("user_id", fields.user_id),
        served_model=served,
        provider=cells.label("provider", fields.provider),
        operation=None if kind is None else _OPERATIONS.get(kind, _OTHER),
        streamed=cells.flag("stream", fields.stream),
        latency_ms=cells.milliseconds("latency", fields.latency),
        tags=cells.tags("metadata", fields.metadata),
    )
    if name := text_of(fields.user_name):
        report.persons = (name,)
    _read_tokens(cells, report, fields)
    report.attributes = _attributes(cells, fields)
    unused = report.failed and not (report.input_tokens or report.output_tokens)
    cells.cost(
        report, "cost", fields.cost, source="REPORTED", zero_is_known=unused or report.attributes.cache_hit is True
    )
    parameters: Object = {}
    if report.failed:
        parameters = cells.nested("params", fields.params)
        details = cells.nested("error_details", fields.error_details)
        report.error = failure(
            report,
            parameters,
            status=cells.integer("status_code", details.get("status_code")),
            body=details,
            message=any_length_text(inside(details, "error", "message")),
        )
    drop(cells, report, fields, _CONTENT, others, not_asked_for(parameters))
    return report


def _read_tokens(cells: Cells, report: Report, fields: BifrostFields) -> None:
    usage = cells.nested("token_usage", fields.token_usage)
    asked, answered = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    report.input_tokens = cells.integer("prompt_tokens", usage.get("prompt_tokens", fields.prompt_tokens))
    report.output_tokens = cells.integer("completion_tokens", usage.get("completion_tokens", fields.completion_tokens))
    if isinstance(asked, dict):
        read = asked.get("cached_read_tokens", asked.get("cached_tokens"))
        report.cache_read_tokens = cells.integer("cached_tokens", read)
        report.cache_write_tokens = cells.integer("cached_write_tokens", asked.get("cached_write_tokens"))
    else:
        report.cache_read_tokens = cells.integer("cached_read_tokens", fields.cached_read_tokens)
    if isinstance(answered, dict):
        report.reasoning_tokens = cells.integer("reasoning_tokens", answered.get("reasoning_tokens"))
    if not usage and not (report.failed or report.input_tokens or report.output_tokens):
        report.input_tokens = report.output_tokens = None  # zeros stand in the columns of a call without usage
    cells.check_parts(report)


def _attributes(cells: Cells, fields: BifrostFields) -> Attributes:
    retries = cells.integer("number_of_retries", fields.number_of_retries)
    fallbacks = cells.integer("fallback_index", fields.fallback_index)
    hit = cells.nested("cache_debug", fields.cache_debug).get("cache_hit")
    return Attributes(
        trace_id=cells.label("parent_request_id", fields.parent_request_id),
        session_id=cells.label("session_id", fields.session_id),
        attempt=None if retries is None else min(1 + retries + (fallbacks or 0), ATTEMPT_MAX),
        cache_hit=hit if isinstance(hit, bool) else None,
        deployment=cells.label("selected_key_name", fields.selected_key_name),
        team=cells.label("team_name", fields.team_name),
        team_id=cells.label("team_id", fields.team_id),
        organization=cells.label("customer_name", fields.customer_name),
        organization_id=cells.label("customer_id", fields.customer_id),
        provider_request_id=cells.label("provider_request_id", fields.provider_request_id),
    )
