"""Portkey: rows of its log exports (JSON lines) -> reports.

Read from Portkey's docs-core, product/observability/logs-export.mdx, and from the fields that its API's exports can be
asked for (2026-11). The cost is in hundredths of its currency; a row may come without an id, which is derived then.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Raw

from policies import Attributes, Report
from service.ingest.formats.figures import Object, Value, inside, storable, text_of
from service.ingest.formats.gateways.cells import NOTHING, Cells, derived_id, drop
from service.ingest.formats.gateways.failure import failure, not_asked_for
from service.ingest.formats.native.attributes import ATTEMPT_MAX
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.split import Rejection, Row

_UNKNOWN_MODEL: Final = "unknown"
_HUNDREDTH: Final = Decimal("0.01")
_HITS: Final = frozenset(("HIT", "SEMANTIC HIT"))
_MISSES: Final = frozenset(("MISS", "DISABLED", "SEMANTIC MISS"))
_USER: Final = "_user"
_FIRST_FAILURE: Final = 400


class LogFields(msgspec.Struct):
    """A log. `request.body` and the like are spelt as one name here."""

    id: Any = None
    trace_id: Any = None
    created_at: Any = None
    is_success: Any = None
    ai_org: Any = None
    ai_model: Any = None
    req_units: Any = None
    res_units: Any = None
    cost: Any = None
    cost_currency: Any = None
    response_time: Any = None
    response_status_code: Any = None
    cache_status: Any = None
    stream_mode: Any = None
    retry_success_count: Any = None
    virtual_key: Any = None
    metadata: Any = None
    request: Any = None
    response: Any = None
    request_body: Any = None
    response_body: Any = None
    request_url: Raw = NOTHING
    prompt_slug: Raw = NOTHING
    config: Raw = NOTHING
    # What says nothing of a call beside what is above.
    total_units: Raw = NOTHING
    request_method: Raw = NOTHING
    cache_type: Raw = NOTHING
    mode: Raw = NOTHING
    runtime: Raw = NOTHING
    runtime_version: Raw = NOTHING
    sdk_version: Raw = NOTHING
    prompt_version_id: Raw = NOTHING


_SCHEMA: Final = RowSchema(LogFields)


def read_log(row: Row) -> Report | Rejection:
    """One log; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(fields: LogFields, others: Mapping[str, Raw]) -> Report:
    cells = Cells()
    model = text_of(fields.ai_model)
    metadata = cells.nested("metadata", fields.metadata)
    status = cells.integer("response_status_code", fields.response_status_code)
    success = cells.flag("is_success", fields.is_success)
    report = Report(
        source="portkey",
        source_id=_derived(fields) if fields.id in (None, "") else cells.id_of("id", fields.id),
        started_at=cells.start("created_at", fields.created_at),
        model=storable("ai_model", model) if model else _UNKNOWN_MODEL,
        failed=(status or 0) >= _FIRST_FAILURE if success is None else not success,
        api_key=cells.label("virtual_key", fields.virtual_key),
        user=text_of(metadata.get(_USER)),
        provider=cells.label("ai_org", fields.ai_org),
        streamed=cells.flag("stream_mode", fields.stream_mode),
        input_tokens=cells.integer("req_units", fields.req_units),
        output_tokens=cells.integer("res_units", fields.res_units),
        latency_ms=cells.milliseconds("response_time", fields.response_time),
        attributes=Attributes(
            trace_id=cells.label("trace_id", fields.trace_id),
            attempt=_attempt(cells, fields.retry_success_count),
            cache_hit=_cache_hit(fields.cache_status),
        ),
        tags=cells.tags("metadata", {name: value for name, value in metadata.items() if name != _USER}),
    )
    _read_cost(cells, report, fields)
    asked: Object = {}
    if report.failed:
        asked, answer = _body(fields.request_body, fields.request), _body(fields.response_body, fields.response)
        report.error = failure(report, asked, status=status, body=answer)
    quoting = not_asked_for(asked)
    for name in ("request", "response", "request_body", "response_body"):
        if value := getattr(fields, name):
            report.dropped[name] = 1
            quoting.append(("content", value))
    drop(cells, report, fields, ("request_url", "prompt_slug", "config"), others, quoting)
    return report


def _derived(fields: LogFields) -> str:
    """What tells one call from another, apart from what it said."""
    identity = (fields.created_at, fields.trace_id, fields.ai_org, fields.ai_model, fields.req_units, fields.res_units)
    return derived_id(*identity, fields.cost, fields.response_time, fields.response_status_code, fields.virtual_key)


def _attempt(cells: Cells, retries: Value) -> int | None:
    count = cells.integer("retry_success_count", None if str(retries).startswith("-") else retries)
    return None if count is None else min(count + 1, ATTEMPT_MAX)


def _cache_hit(status: Value) -> bool | None:
    word = status.upper() if isinstance(status, str) else ""
    return True if word in _HITS else False if word in _MISSES else None


def _read_cost(cells: Cells, report: Report, fields: LogFields) -> None:
    """Hundredths of a dollar as dollars, to the twelfth place. A zero may be a price that Portkey does not know."""
    currency = text_of(fields.cost_currency) or "USD"
    hit = report.attributes is not None and report.attributes.cache_hit is True
    unused = report.failed and not (report.input_tokens or report.output_tokens)
    if not (currency.isascii() and currency.isalpha() and 3 <= len(currency) <= 16):
        cells.note("cost_currency", "is no currency")
        report.amount_unknown = "UNREADABLE"
        return
    cents = cells.amount("cost", fields.cost)
    dollars = None if cents is None else f"{cents * _HUNDREDTH:f}"
    if "cost" in cells.unreadable:
        report.amount_unknown = "UNREADABLE"
    cells.cost(report, "cost", dollars, source="REPORTED", zero_is_known=hit or unused, currency=currency.upper())


def _body(body: Value, whole: Value) -> Object:
    """The body of a request or an answer, in either of the two places that exports have for it."""
    inner = inside(whole, "body") if isinstance(whole, dict) else None
    found = body if isinstance(body, dict) else inner if isinstance(inner, dict) else whole
    return found if isinstance(found, dict) else {}
