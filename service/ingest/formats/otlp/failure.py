"""The error of a span that failed, and what else of the span its text may repeat."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from policies import ErrorReport, Json, Report
from policies.redaction.echoes.debug_texts import besides_the_error
from service.ingest.formats.content import count_dropped, remember_values
from service.ingest.formats.figures import Object, Value, any_length_text
from service.ingest.formats.otlp import names
from service.ingest.formats.otlp.encodings.span import Span
from service.ingest.formats.otlp.texts import first_text, object_of_text, value_of_text
from service.ingest.formats.otlp.times import moment_of
from service.ingest.formats.scalars import is_time_of_error

_EXCEPTIONS: Final = ("exception", "gen_ai.client.operation.exception")
_WORDS_MAX: Final = 5
"""More than a name of content has."""
_ERROR_LEVEL: Final = "ERROR"


def has_failed(span: Span) -> bool:
    """Whether the span says that its call failed, by its status, by an error's type, or as Langfuse does."""
    attributes = span.attributes
    return span.has_failed or bool(attributes.get("error.type")) or attributes.get(names.LANGFUSE_LEVEL) == _ERROR_LEVEL


def read_error(span: Span, report: Report, attributes: Object) -> None:
    """Give the report of a failed call its error."""
    if not report.failed:
        return
    at, exception = _exception(span)
    both: Mapping[str, Value] = {**exception, **attributes}
    messages = [any_length_text(both.get(name)) for name in names.ERROR_MESSAGE]
    occurred_at = at or moment_of(span.end_ns)
    in_time = occurred_at is not None and is_time_of_error(occurred_at, report.started_at)
    report.error = ErrorReport(
        type=first_text(both, names.ERROR_TYPE) or "unknown",
        code=first_text(both, names.ERROR_CODE),
        message=next((message for message in messages if message), None) or span.status_message or None,
        parameters=_parameters(attributes),
        occurred_at=occurred_at if in_time else None,
    )
    traces = [both.get(name) for name in names.STACK_TRACES]
    for trace in traces:
        remember_values(report, besides_the_error(trace, report.error.message, of_error=True), known=False)


def _exception(span: Span) -> tuple[datetime | None, Object]:
    """When the last exception of the span was raised, and what is said of it."""
    for event in reversed(span.events):
        if event.name in _EXCEPTIONS:
            return moment_of(event.at_ns), event.attributes
    return None, {}


def _parameters(attributes: Object) -> dict[str, Json]:
    found: dict[str, Value] = {}
    for name in names.INVOCATION:
        found |= object_of_text(attributes.get(name))
    for prefix in names.PARAMETER_PREFIXES:
        found |= {name[len(prefix) :]: value for name, value in attributes.items() if name.startswith(prefix)}
    return {name: plain_json(value) for name, value in found.items() if name in names.PARAMETERS and value is not None}


def plain_json(value: Value) -> Json:
    """A value as a parameter of an error: lists and objects are none."""
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, (list, dict)):
        return None
    return float(value) if value.is_finite() else None


def drop(span: Span, report: Report, attributes: Object) -> None:
    """Count what is left out; remember content of a failed call until its echoes are found."""
    known: list[tuple[str, object]] = []
    others: list[tuple[str, object]] = []
    for name, value in attributes.items():
        family = content_family(name)
        if family is not None:
            count_dropped(report, family)
            known.append(("content", value_of_text(value)))
        elif name in names.STACK_TRACES or name in names.NOT_KEPT:
            count_dropped(report, name)
        elif name not in names.READ and not name.startswith((*names.PARAMETER_PREFIXES, names.BREAKDOWN)):
            count_dropped(report, "unknown")
            others.append((name, value_of_text(value)))
    for event in span.events:
        if event.name not in _EXCEPTIONS and event.attributes:
            count_dropped(report, "events")
            known += [("content", value_of_text(value)) for value in event.attributes.values()]
    if report.error is not None:
        for name in names.INVOCATION:
            known += _private(object_of_text(attributes.get(name)))
        remember_values(report, known)
        remember_values(report, others, known=False)


def _private(parameters: Object) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in parameters.items() if name not in names.PARAMETERS and name != "model")


def content_family(name: str) -> str | None:
    """The name of content that an attribute is, or begins with."""
    if name in names.READ:
        return None
    if name in names.CONTENT:
        return name
    words = name.split(".", _WORDS_MAX)
    families = (".".join(words[:count]) for count in range(1, len(words)))
    return next((family for family in families if family in names.CONTENT), None)
