"""Helicone: rows of its export tool and of `POST /v1/request/query-clickhouse` -> reports.

Read from examples/export/typescript of 2025, whose CSV has twelve columns, and from the API's `HeliconeRequest`: bodies
are in it where they are asked for. Tokens of a cache stand beside the input for Anthropic alone, as Helicone hands on
what the provider says.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, Report
from service.ingest.formats.figures import Object, decode, storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, drop, elapsed_ms
from service.ingest.formats.gateways.failure import failure, not_asked_for
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

_UNKNOWN_MODEL: Final = "unknown"
_FIRST_FAILURE: Final = 400
_TAGS_MAX: Final = 64
_SESSION: Final = "Helicone-Session-Id"
_APART: Final = "anthropic"
"""The provider whose input does not include what was read from a cache and written to it."""


class RequestFields(msgspec.Struct):
    """A request and its response."""

    request_id: Any = None
    response_id: Any = None
    request_created_at: Any = None
    response_created_at: Any = None
    response_status: Any = None
    request_model: Any = None
    response_model: Any = None
    model_override: Any = None
    model: Any = None
    provider: Any = None
    request_user_id: Any = None
    request_properties: Any = None
    properties: Any = None
    delay_ms: Any = None
    latency: Any = None
    time_to_first_token: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    prompt_cache_read_tokens: Any = None
    prompt_cache_write_tokens: Any = None
    reasoning_tokens: Any = None
    cost: Any = None
    costUSD: Any = None  # noqa: N815 - the API's name
    cache_enabled: Any = None
    cache_reference_id: Any = None
    request_body: Raw = NOTHING
    response_body: Raw = NOTHING
    llmSchema: Raw = NOTHING  # noqa: N815 - the API's name
    request_path: Raw = NOTHING
    signed_body_url: Raw = NOTHING
    asset_ids: Raw = NOTHING
    asset_urls: Raw = NOTHING
    assets: Raw = NOTHING
    scores: Raw = NOTHING
    prompt_id: Raw = NOTHING
    helicone_user: Raw = NOTHING
    country_code: Raw = NOTHING
    # What says nothing of a call beside what is above.
    total_tokens: Raw = NOTHING
    feedback_created_at: Raw = NOTHING
    feedback_id: Raw = NOTHING
    feedback_rating: Raw = NOTHING
    prompt_audio_tokens: Raw = NOTHING
    completion_audio_tokens: Raw = NOTHING
    node_id: Raw = NOTHING
    updated_at: Raw = NOTHING
    target_url: Raw = NOTHING
    ai_gateway_body_mapping: Raw = NOTHING


_SCHEMA: Final = RowSchema(RequestFields)
_CONTENT: Final = (
    *(
        "request_body",
        "response_body",
        "llmSchema",
        "signed_body_url",
        "request_path",
        "asset_urls",
        "assets",
        "scores",
    ),
    *("prompt_id", "helicone_user", "country_code", "target_url"),
)
_EMPTY: Final[Object] = {}


def read_request(row: Row) -> Report | Rejection:
    """One request; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: RequestFields, others: Mapping[str, Raw]) -> Report:
    cells = Cells()
    asked = text_of(fields.request_model) or text_of(fields.model) or text_of(fields.response_model)
    status = cells.integer("response_status", _at_least_zero(fields.response_status))
    properties = cells.nested("request_properties", fields.request_properties or fields.properties)
    report = Report(
        source="helicone",
        source_id=cells.id_of("request_id", fields.request_id or fields.response_id),
        started_at=cells.start("request_created_at", fields.request_created_at),
        model=storable("request_model", asked) if asked else _UNKNOWN_MODEL,
        failed=status is not None and (status >= _FIRST_FAILURE or status == 0),
        user=cells.label("request_user_id", fields.request_user_id),
        served_model=cells.label("response_model", fields.response_model),
        provider=_provider(cells, fields),
        input_tokens=cells.integer("prompt_tokens", fields.prompt_tokens),
        output_tokens=cells.integer("completion_tokens", fields.completion_tokens),
        cache_read_tokens=cells.integer("prompt_cache_read_tokens", fields.prompt_cache_read_tokens),
        cache_write_tokens=cells.integer("prompt_cache_write_tokens", fields.prompt_cache_write_tokens),
        reasoning_tokens=cells.integer("reasoning_tokens", fields.reasoning_tokens),
        time_to_first_token_ms=cells.milliseconds("time_to_first_token", fields.time_to_first_token),
        tags=cells.tags("request_properties", {key: value for key, value in properties.items() if key != _SESSION}),
    )
    ended_at = cells.moment("response_created_at", fields.response_created_at)
    delay = fields.delay_ms if fields.delay_ms is not None else fields.latency
    report.latency_ms = (
        cells.milliseconds("delay_ms", delay) if delay is not None else elapsed_ms(report.started_at, ended_at)
    )
    report.attributes = _attributes(fields, properties)
    _include_cache(report)
    cells.check_parts(report)
    hit = report.attributes is not None and report.attributes.cache_hit is True
    unused = report.failed and not (report.input_tokens or report.output_tokens)
    cost = fields.cost if fields.cost is not None else fields.costUSD
    cells.cost(report, "cost", cost, source="REPORTED", zero_is_known=hit or unused)
    asked_body: Object = _EMPTY
    if report.failed:
        asked_body, answer = _body(fields.request_body), _body(fields.response_body)
        report.error = failure(report, asked_body, ended_at=ended_at, status=status, body=answer)
    drop(cells, report, fields, _CONTENT, others, not_asked_for(asked_body))
    return report


def _at_least_zero(status: Any) -> Any:  # noqa: ANN401 - a value of a row
    """Helicone writes a status below zero for what never got an answer."""
    return 0 if str(status).startswith("-") else status


def _provider(cells: Cells, fields: RequestFields) -> str | None:
    provider = cells.label("provider", fields.provider)
    return None if provider is None else provider.lower()


def _attributes(fields: RequestFields, properties: Object) -> Attributes | None:
    session = text_of(properties.get(_SESSION))
    reference = text_of(fields.cache_reference_id)
    # A reference of zeros stands for an answer that came from no cache.
    hit = None if reference is None else bool(reference.strip("0-"))
    return None if session is None and hit is None else Attributes(session_id=session, cache_hit=hit)


def _include_cache(report: Report) -> None:
    cached = (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0)
    if cached and report.provider is not None and report.provider.startswith(_APART):
        report.input_tokens = (report.input_tokens or 0) + cached


def _body(raw: Raw) -> Object:
    """A body, also as JSON text; an empty object for one that is none."""
    try:
        value = decode(raw) if raw else None
        value = decode(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return _EMPTY
    return value if isinstance(value, dict) else _EMPTY
