"""Of spans that tell of one call, one counts: the innermost, which the request to the provider itself is.

A framework, the provider's SDK and a gateway may each have a span of the same call, one within the other or, where
their traces are apart, with the provider's id of the same answer. Spans end, and are exported, from the inside out.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, TypeAlias

from policies import Report
from service.ingest.formats.split import Rejection

_REPORTED_WITHIN: Final = Rejection("the span holds the span of the same call", None)
_REPORTED_BESIDE: Final = Rejection("another span tells of the same call", None)
_ROUNDED: Final = timedelta(milliseconds=1)
_COMPARED_MAX: Final = 8


def innermost(part: Sequence[Report | Rejection]) -> list[Report | Rejection]:
    """`part`, with a rejection that refuses nothing for each report of a call that another one in it tells of.

    An error without words takes over those of the span around it.
    """
    around = {report.source_id: report for report in part if isinstance(report, Report)}
    outer: set[str] = set()
    for report in around.values():
        wrapper = around.get(report.within or "")
        # Embeddings that a chat asks for on its way are a call of their own, and so is the chat.
        same = wrapper is not None and (wrapper.failed, wrapper.operation) == (report.failed, report.operation)
        if wrapper is not None and same and wrapper is not report:
            outer.add(wrapper.source_id)
            _take_over(report, wrapper)
    reported: dict[_Answer, list[Report]] = {}
    kept: list[Report | Rejection] = []
    for row in part:
        if isinstance(row, Rejection):
            kept.append(row)
        elif row.source_id in outer:
            kept.append(_REPORTED_WITHIN)
        else:
            kept.append(_REPORTED_BESIDE if _is_reported(row, reported) else row)
    return kept


_Answer: TypeAlias = tuple[str | None, str, int | None, int | None]


def _is_reported(report: Report, reported: dict[_Answer, list[Report]]) -> bool:
    """Whether another report is of the same answer, at the same time; some providers give many answers one id."""
    attributes = report.attributes
    if attributes is None or attributes.provider_request_id is None:
        return False
    answer = (report.provider, attributes.provider_request_id, report.input_tokens, report.output_tokens)
    others = reported.setdefault(answer, [])
    if any(_holds(other, report) or _holds(report, other) for other in others[-_COMPARED_MAX:]):
        return True
    others.append(report)
    return False


def _holds(outer: Report, inner: Report) -> bool:
    """Whether a call lasted from before the other began until after it ended, by the milliseconds that are kept."""
    if outer.latency_ms is None or inner.latency_ms is None:
        return False
    ends = [report.started_at + timedelta(milliseconds=report.latency_ms or 0) for report in (outer, inner)]
    return outer.started_at <= inner.started_at and ends[1] <= ends[0] + _ROUNDED


def _take_over(report: Report, wrapper: Report) -> None:
    inner, outer = report.error, wrapper.error
    if inner is None or outer is None or inner.message or not outer.message:
        return
    inner.message = outer.message
    inner.parameters = inner.parameters or outer.parameters
    report.content += wrapper.content
    report.identifiers += wrapper.identifiers
    report.persons += wrapper.persons
