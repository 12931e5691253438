"""OpenRouter: the CSV that its activity page exports, a row a generation, and `GET /api/v1/generation` -> reports.

Read from the header of an export of 2026, and from the SDK's `GetGenerationData`. The cost is what OpenRouter charged,
in US dollars; what a provider charges beside that for one's own key is not in it. The input includes the cache, the
output reasoning.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, ErrorReport, Report
from service.ingest.formats.figures import storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, drop
from service.ingest.formats.rejections import RowError
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

_UNKNOWN_MODEL: Final = "unknown"
_FAILED: Final = "error"
_SUMMARY: Final = "this is a summary by day, which says nothing of single calls: `calledger reconcile` reads it"


class GenerationFields(msgspec.Struct):
    """A generation: the names of the CSV, then those that the API has instead."""

    generation_id: Any = None
    created_at: Any = None
    cost_total: Any = None
    tokens_prompt: Any = None
    tokens_completion: Any = None
    tokens_reasoning: Any = None
    tokens_cached: Any = None
    model_permaslug: Any = None
    provider_name: Any = None
    streamed: Any = None
    user: Any = None
    finish_reason_raw: Any = None
    finish_reason_normalized: Any = None
    generation_time_ms: Any = None
    time_to_first_token_ms: Any = None
    api_key_name: Any = None
    app_name: Any = None
    id: Any = None
    model: Any = None
    total_cost: Any = None
    external_user: Any = None
    native_tokens_prompt: Any = None
    native_tokens_completion: Any = None
    native_tokens_reasoning: Any = None
    native_tokens_cached: Any = None
    generation_time: Any = None
    latency: Any = None
    finish_reason: Any = None
    upstream_id: Any = None
    num_search_results: Any = None
    date: Any = None
    # Parts of a price, and of the API's answer, that say nothing of a call beside what is above.
    cost_web_search: Raw = NOTHING
    cost_cache: Raw = NOTHING
    cost_file_processing: Raw = NOTHING
    byok_usage_inference: Raw = NOTHING
    variant: Raw = NOTHING
    cancelled: Raw = NOTHING
    api_key_disabled: Raw = NOTHING
    usage: Raw = NOTHING
    is_byok: Raw = NOTHING
    cache_discount: Raw = NOTHING
    upstream_inference_cost: Raw = NOTHING
    app_id: Raw = NOTHING
    origin: Raw = NOTHING
    api_type: Raw = NOTHING
    router: Raw = NOTHING
    native_finish_reason: Raw = NOTHING
    moderation_latency: Raw = NOTHING
    num_media_prompt: Raw = NOTHING
    num_media_completion: Raw = NOTHING
    num_input_audio_prompt: Raw = NOTHING
    native_tokens_completion_images: Raw = NOTHING
    provider_responses: Raw = NOTHING


_SCHEMA: Final = RowSchema(GenerationFields)
_DROPPED: Final = ("byok_usage_inference", "origin", "provider_responses")


def read_generation(row: Row) -> Report | Rejection:
    """One generation; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: GenerationFields, others: Mapping[str, Raw]) -> Report:
    if fields.generation_id is None and fields.id is None and fields.date is not None:
        raise RowError(_SUMMARY)
    cells = Cells()
    model = text_of(fields.model_permaslug) or text_of(fields.model)
    finish = text_of(fields.finish_reason_normalized) or text_of(fields.finish_reason)
    report = Report(
        source="openrouter",
        source_id=cells.id_of("generation_id", fields.generation_id or fields.id),
        started_at=cells.start("created_at", fields.created_at),
        model=storable("model_permaslug", model) if model else _UNKNOWN_MODEL,
        failed=finish == _FAILED,
        api_key=cells.label("api_key_name", fields.api_key_name),
        user=cells.label("user", fields.user or fields.external_user),
        provider=cells.label("provider_name", fields.provider_name),
        streamed=cells.flag("streamed", fields.streamed),
        input_tokens=_either(cells, "tokens_prompt", fields.native_tokens_prompt, fields.tokens_prompt),
        output_tokens=_either(cells, "tokens_completion", fields.native_tokens_completion, fields.tokens_completion),
        cache_read_tokens=_either(cells, "tokens_cached", fields.native_tokens_cached, fields.tokens_cached),
        reasoning_tokens=_either(cells, "tokens_reasoning", fields.native_tokens_reasoning, fields.tokens_reasoning),
        latency_ms=cells.milliseconds("generation_time_ms", _given(fields.generation_time, fields.generation_time_ms)),
        time_to_first_token_ms=cells.milliseconds(
            "time_to_first_token_ms", _given(fields.latency, fields.time_to_first_token_ms)
        ),
        tags=_tags(cells, fields),
    )
    upstream, searches = (
        cells.label("upstream_id", fields.upstream_id),
        cells.amount("num_search_results", fields.num_search_results),
    )
    if upstream or searches:
        units = {"search_results": searches} if searches else None
        report.attributes = Attributes(provider_request_id=upstream, units=units)
    cells.check_parts(report)
    cells.cost(report, "cost_total", _given(fields.total_cost, fields.cost_total), source="BILLED", zero_is_known=True)
    if report.failed:
        report.error = ErrorReport(type=text_of(fields.finish_reason_raw) or _FAILED)
    drop(cells, report, fields, _DROPPED, others)
    return report


def _given(first: Any, second: Any) -> Any:  # noqa: ANN401 - values of a row
    return second if first is None else first


def _either(cells: Cells, name: str, native: Any, counted: Any) -> int | None:  # noqa: ANN401 - values of a row
    """The provider's own count, by which it is billed; else OpenRouter's."""
    return cells.integer(name, counted if native is None else native)


def _tags(cells: Cells, fields: GenerationFields) -> dict[str, str]:
    app = cells.label("app_name", fields.app_name)
    return {"app": app} if app else {}
