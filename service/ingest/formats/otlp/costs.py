"""What a span says that its call cost. Conventions have no name for it yet: several are in use, all in US dollars."""

from decimal import Decimal
from typing import Final

from policies.admission.report import AmountPart, Report
from service.ingest.formats.amount_parts import Portion, parts_of
from service.ingest.formats.figures import FigureReader, Object
from service.ingest.formats.litellm.costs import parts_of_breakdown
from service.ingest.formats.otlp import names
from service.ingest.formats.otlp.texts import object_of_text

_CURRENCY: Final = "USD"


def read_cost(figures: FigureReader, report: Report, attributes: Object) -> None:
    """Give the report amount and parts, as far as they are known. A zero may mean that a price was not known: it is one
    for what a cache answered, and for a call that failed before a token was used.
    """
    amount = _stated(figures, attributes)
    if amount is None:
        report.amount_unknown = "UNREADABLE" if "cost" in figures.unreadable else None
        return
    if amount < 0:
        figures.note("cost", "is negative")
        report.amount_unknown = "NEGATIVE"
        return
    used = bool(report.input_tokens or report.output_tokens)
    if not amount and not (attributes.get(names.CACHE_HIT) is True or (report.failed and not used)):
        return
    report.amount, report.currency, report.amount_source = amount, _CURRENCY, "REPORTED"
    report.amount_parts = parts_of_breakdown(figures, _breakdown(attributes), report, amount) or _two(
        figures, report, attributes, amount
    )


def _stated(figures: FigureReader, attributes: Object) -> Decimal | None:
    for name in names.COST:
        amount = figures.money("cost", attributes.get(name))
        if amount is not None:
            return amount
    details = object_of_text(attributes.get(names.LANGFUSE_COST))
    if "total" in details:
        return figures.money("cost", details["total"])
    parts = [figures.money("cost", value) for value in details.values()]
    return sum((part for part in parts if part is not None), Decimal(0)) if parts and None not in parts else None


def _breakdown(attributes: Object) -> Object:
    start = len(names.BREAKDOWN)
    return {name[start:]: value for name, value in attributes.items() if name.startswith(names.BREAKDOWN)}


def _two(figures: FigureReader, report: Report, attributes: Object, amount: Decimal) -> list[AmountPart] | None:
    """Input and output, where they are the whole amount."""
    details = object_of_text(attributes.get(names.LANGFUSE_COST))
    first = figures.money("cost", attributes.get("llm.cost.prompt", details.get("input")))
    last = figures.money("cost", attributes.get("llm.cost.completion", details.get("output")))
    if first is None or last is None or first < 0 or last < 0:
        return None
    return parts_of(
        amount, [Portion("input", first, report.input_tokens), Portion("output", last, report.output_tokens)]
    )
