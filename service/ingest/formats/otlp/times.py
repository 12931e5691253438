"""When a call began, how long it took, and when its first token came."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from policies.admission.report import Report
from service.ingest.formats.figures import FigureReader, Object, Value
from service.ingest.formats.native.fields import INTEGER_MAX
from service.ingest.formats.otlp import names
from service.ingest.formats.otlp.encodings.span import Span
from service.ingest.formats.otlp.texts import object_of_text, value_of_text
from service.ingest.formats.scalars import moment_of_loose_text
from service.rfc3339 import MomentError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_NS: Final = 253_402_214_400 * 10**9  # 9999-12-31, as far as a datetime reaches
_MILLISECOND_NS: Final = 10**6


def moment_of(nanoseconds: int) -> datetime | None:
    """The moment, floored to milliseconds; None for 0, which means that it is not known, and beyond the calendar."""
    if not 0 < nanoseconds < _LATEST_NS:
        return None
    return _EPOCH + timedelta(milliseconds=nanoseconds // _MILLISECOND_NS)


def read_times(figures: FigureReader, span: Span, report: Report, attributes: Object) -> None:
    """Latency, whether the answer was streamed, and the time to its first token."""
    if span.end_ns >= span.start_ns:
        report.latency_ms = min((span.end_ns - span.start_ns) // _MILLISECOND_NS, INTEGER_MAX)
    elif span.end_ns:
        figures.note("endTimeUnixNano", "is before `startTimeUnixNano`")
    first_ms = _first_token_ms(figures, span, attributes)
    report.streamed = _streamed(attributes)
    if report.streamed is None and any(event.name == names.FIRST_EVENT for event in span.events):
        report.streamed = True
    # LiteLLM says of an answer in one piece that its first token came at its end.
    if report.streamed is not False and first_ms is not None:
        report.time_to_first_token_ms = first_ms


def _streamed(attributes: Object) -> bool | None:
    operation = attributes.get(names.VERCEL_OPERATION)
    if isinstance(operation, str):
        return operation.endswith(".doStream")
    for name in names.STREAMED:
        value = attributes.get(name)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
    for name in names.INVOCATION:
        value = object_of_text(attributes.get(name)).get("stream")
        if isinstance(value, bool):
            return value
    return None


def _first_token_ms(figures: FigureReader, span: Span, attributes: Object) -> int | None:
    for scale, candidates in ((1000, names.FIRST_TOKEN_SECONDS), (1, names.FIRST_TOKEN_MILLISECONDS)):
        for name in candidates:
            value: Value = attributes.get(name)
            if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
                return figures.count(name, Decimal(_scaled(value, scale)))
    for event in span.events:
        if event.name == names.FIRST_EVENT and event.at_ns >= span.start_ns:
            return min((event.at_ns - span.start_ns) // _MILLISECOND_NS, INTEGER_MAX)
    return _since_start(figures, span, value_of_text(attributes.get(names.FIRST_AT)))


def _scaled(value: int | Decimal, scale: int) -> int:
    return int(value * scale) if Decimal(value).is_finite() and abs(value) < INTEGER_MAX else -1


def _since_start(figures: FigureReader, span: Span, text: Value) -> int | None:
    if not isinstance(text, str) or not text:
        return None
    started_at = moment_of(span.start_ns)
    try:
        first_at = moment_of_loose_text(text)
    except MomentError:
        figures.note(names.FIRST_AT)
        return None
    if started_at is None or first_at < started_at:
        return None
    return min((first_at - started_at) // timedelta(milliseconds=1), INTEGER_MAX)
