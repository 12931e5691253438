"""Spans of calls to models -> reports. Which spans are one, `kinds.py` says; what is read of them, `names.py`.

Tried with spans of OpenLLMetry's instrumentations, OpenInference's, the one in Anthropic's own SDK, Langfuse's SDK and
LiteLLM's two callbacks (tests/conformance/otlp). Prompts and answers are in nearly all of them: what is not named is
left out.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Final

from policies import Report
from service.ingest.errors import EncodingError
from service.ingest.formats.figures import FigureReader, Object
from service.ingest.formats.left_out import FieldError, warn_of
from service.ingest.formats.opened import Opened
from service.ingest.formats.otlp import names
from service.ingest.formats.otlp.costs import read_cost
from service.ingest.formats.otlp.encodings.json_framing import split_json
from service.ingest.formats.otlp.encodings.json_span import decode_json
from service.ingest.formats.otlp.encodings.protobuf_framing import split_protobuf
from service.ingest.formats.otlp.encodings.protobuf_span import decode_protobuf
from service.ingest.formats.otlp.encodings.rows import SpanGroups
from service.ingest.formats.otlp.encodings.span import Span
from service.ingest.formats.otlp.failure import drop, has_failed, read_error
from service.ingest.formats.otlp.kinds import operation_of_span
from service.ingest.formats.otlp.owner import read_belongings, read_owner, with_metadata
from service.ingest.formats.otlp.texts import first_text, object_of_text
from service.ingest.formats.otlp.times import moment_of, read_times
from service.ingest.formats.otlp.tokens import read_tokens
from service.ingest.formats.rejections import RowError
from service.ingest.formats.split import Rejection, Row
from service.ingest.refusals import Refusal

_TRACE_ID_DIGITS: Final = 32
_SPAN_ID_DIGITS: Final = 16
_HEX: Final = frozenset("0123456789abcdef")
_UNKNOWN_MODEL: Final = "unknown"
NO_CALL: Final = Rejection("the span is no call to a model", None)


def open_traces(body: bytes, media_type: str) -> Opened:
    """The spans of a body. EncodingError for a media type that is none of OTLP's; BodyError out of the steps."""
    if media_type == "application/json":
        return Opened(_rows(split_json(body)), read_json)
    if media_type in ("application/x-protobuf", "application/protobuf", "application/octet-stream"):
        return Opened(_rows(split_protobuf(body)), read_protobuf)
    raise EncodingError("the media type is none of OTLP: send `application/x-protobuf` or `application/json`")


def _rows(steps: Generator[None, None, SpanGroups]) -> Generator[None, None, Iterator[Row]]:
    return (yield from steps).rows()


def read_protobuf(row: Row) -> Report | Rejection:
    """One span in Protocol Buffers; never raises."""
    return _read(decode_protobuf, row)


def read_json(row: Row) -> Report | Rejection:
    """One span in JSON; never raises."""
    return _read(decode_json, row)


def _read(decode: Callable[[Row], Span], row: Row) -> Report | Rejection:
    try:
        return report_of(decode(row))
    except RowError as error:
        return Rejection(str(error), error.code)


def report_of(span: Span) -> Report | Rejection:
    """The report of a span that is a call to a model; NO_CALL for another. Raises RowError."""
    operation = operation_of_span(span.attributes)
    if operation is None:
        return NO_CALL
    _check_ids(span)
    started_at = moment_of(span.start_ns)
    if started_at is None:
        raise RowError("`startTimeUnixNano` is required: nanoseconds since 1970", code=Refusal.FIELD_MISSING)
    attributes, figures = with_metadata(span.attributes), FigureReader()
    model = _requested_model(attributes)
    if model is None:
        figures.note("gen_ai.request.model", "is missing")
    report = Report(
        source="otlp",
        source_id=f"{span.trace_id}/{span.span_id}",
        started_at=started_at,
        model=model or _UNKNOWN_MODEL,
        failed=has_failed(span),
        served_model=first_text(attributes, names.SERVED_MODEL),
        provider=_provider(attributes),
        operation=operation,
    )
    if span.parent_id:
        report.within = f"{span.trace_id}/{span.parent_id}"
    read_owner(span, report, attributes)
    read_belongings(span, report, attributes)
    read_times(figures, span, report, attributes)
    read_tokens(figures, report, attributes)
    read_error(span, report, attributes)
    read_cost(figures, report, attributes)
    drop(span, report, attributes)
    warn_of(report, [FieldError(why, name) for name, why in figures.unreadable.items()])
    return report


def _check_ids(span: Span) -> None:
    for name, text, digits in (
        ("traceId", span.trace_id, _TRACE_ID_DIGITS),
        ("spanId", span.span_id, _SPAN_ID_DIGITS),
    ):
        if len(text) != digits or not _HEX.issuperset(text) or not text.strip("0"):
            raise RowError(f"`{name}` must be {digits} digits in hex, and not all zeros", name)


def _requested_model(attributes: Object) -> str | None:
    """The model that was asked for; OpenInference may have it among the parameters of the request alone."""
    named = first_text(attributes, names.REQUESTED_MODEL)
    if named is not None:
        return named
    found = (object_of_text(attributes.get(name)) for name in names.INVOCATION)
    asked = next((model for parameters in found if (model := first_text(parameters, ("model",)))), None)
    return asked or first_text(attributes, names.ONE_MODEL) or first_text(attributes, names.SERVED_MODEL)


def _provider(attributes: Object) -> str | None:
    """The provider; Vercel's AI SDK names the part of its API too, as `openai.chat`."""
    name = first_text(attributes, names.PROVIDER)
    return name.partition(".")[0] if name and names.VERCEL_OPERATION in attributes else name
