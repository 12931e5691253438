"""What LiteLLM says that a call cost: its amount, unless that is no figure or a zero that means "unknown", and its
parts, if they sum to it.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from policies.admission.report import AmountPart, Report
from service.ingest.formats.amount_parts import Portion, parts_of
from service.ingest.formats.figures import FigureReader, Object, inside, text_of
from service.ingest.formats.litellm.operations import UNBILLED
from service.ingest.formats.litellm.payload import Payload

_ZERO: Final = Decimal(0)
_CURRENCY: Final = "USD"
_FREE_SUFFIX: Final = ":free"
# Models on the operator's own machine: what they cost is in no price list.
_LOCAL: Final = frozenset(("ollama", "ollama_chat", "lm_studio", "llamafile"))
_NEGATIVE_PARTS: Final = frozenset(("discount",))
_TOKENS: Final = ("input_cost", "cache_read_cost", "cache_creation_cost", "output_cost", "reasoning_cost")
_NEVER_NEGATIVE: Final = frozenset((*_TOKENS, "tool_usage_cost", "guardrail_cost"))
_APART: Final[Mapping[str, str]] = {
    "tool_usage_cost": "tools",
    "guardrail_cost": "guardrail",
    "discount_amount": "discount",
    "margin_total_amount": "margin",
}
_NAMED: Final = frozenset((*_TOKENS, *_APART))


def read_amount(payload: Payload, report: Report) -> None:
    """Give the report its amount and parts, as far as they are known. Its tokens are read before."""
    breakdown = payload.object("cost_breakdown")
    amount = _reported(payload, breakdown, report)
    if amount is None:
        return
    report.amount, report.currency, report.amount_source = amount, _CURRENCY, "REPORTED"
    report.amount_parts = parts_of_breakdown(payload, breakdown, report, amount)


def _reported(payload: Payload, breakdown: Object, report: Report) -> Decimal | None:
    name = "response_cost" if payload.value("response_cost") is not None else "cost"
    value = payload.value(name)
    amount = payload.money(name, value)
    if amount is None and name in payload.unreadable:
        report.amount_unknown = "UNREADABLE"
        return None
    if amount is not None and amount < 0:
        payload.note(name, "is negative")
        report.amount_unknown = "NEGATIVE"
        return None
    if amount or (amount is not None and value not in (0, "0", "0.0")):
        return amount  # also what is less than the last place
    cached = payload.value("cache_hit") is True
    # A cost of nothing is right for an answer from LiteLLM's cache; else it may be one that LiteLLM lost on its way.
    total = None if cached else payload.money("cost_breakdown", breakdown.get("total_cost"))
    if total is not None and total > 0:
        return total
    if amount is None:
        return None
    if not cached and payload.flag("cache_hit") is None and "cache_hit" in payload.unreadable:
        # Whether an answer of the cache cost nothing: an estimate would be the full price.
        report.amount_unknown = "UNREADABLE"
        return None
    return amount if cached or _is_discounted(payload, breakdown) or _costs_nothing(payload, report) else None


def _is_discounted(payload: Payload, breakdown: Object) -> bool:
    """Whether the cost is nothing because all of it was taken off: LiteLLM had a price for the call then."""
    original = payload.money("cost_breakdown", breakdown.get("original_cost"))
    discount = payload.money("cost_breakdown", breakdown.get("discount_amount"))
    return original is not None and discount is not None and 0 < original <= discount


def _costs_nothing(payload: Payload, report: Report) -> bool:
    """Whether a cost of zero is one: LiteLLM writes the same for a call that it cannot price."""
    if report.operation in UNBILLED:
        return True
    if report.failed and not (report.input_tokens or report.output_tokens):
        return True
    if payload.object("response_cost_failure_debug_info") or payload.object("zero_cost_diagnostic"):
        return False
    prices = payload.object("model_map_information")
    rates = _rates(prices)
    return not any(rate > 0 for rate in rates.values()) and _is_free(payload, prices, rates, report)


def _rates(prices: Object) -> Mapping[str, Decimal | int]:
    """All prices that LiteLLM knows of the model, by name."""
    values = prices.get("model_map_value")
    if not isinstance(values, dict):
        return {}
    return {
        name: value
        for name, value in values.items()
        if "cost" in name and isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    }


def _is_free(payload: Payload, prices: Object, rates: Mapping[str, Decimal | int], report: Report) -> bool:
    """Whether the model was said to cost nothing. LiteLLM fills in an integer `0` for a price that is missing.

    A price that was written down comes with a point (`0.0`), or under the name of the deployment that it is set for.
    """
    model = payload.text("model") or ""
    if report.provider in _LOCAL or model.endswith(_FREE_SUFFIX):
        return True
    both = (rates.get("input_cost_per_token"), rates.get("output_cost_per_token"))
    if None in both:
        return False
    written = all(isinstance(rate, Decimal) for rate in both)
    deployment = text_of(inside(prices, "model_map_value", "key"))
    return written or (deployment is not None and deployment == payload.text("model_id"))


def parts_of_breakdown(
    figures: FigureReader, breakdown: Object, report: Report, amount: Decimal
) -> list[AmountPart] | None:
    """The parts of an amount by LiteLLM's `cost_breakdown`; None where they do not sum to it, which is noted."""
    if not amount or not breakdown:
        return None
    costs = _costs(figures, breakdown)
    for name, cost in costs.items():
        if cost < 0 and name in _NEVER_NEGATIVE:
            figures.note(f"cost_breakdown.{name}", "is negative")
    if figures.unreadable and any(name.startswith("cost_breakdown") for name in figures.unreadable):
        return None
    others = [*_output(costs, report), *_others(costs)]
    for portions in _inputs(costs, report):
        parts = parts_of(amount, portions + others)
        if parts is not None:
            return parts
    if costs:
        figures.note("cost_breakdown", "has parts that are not the cost when they are added up")
    return None


def _costs(figures: FigureReader, breakdown: Object) -> dict[str, Decimal]:
    """Each cost that is not nothing, those of `additional_costs` as `other.NAME`."""
    values = [
        (name, value) for name, value in breakdown.items() if name in _NAMED and (value or type(value) is not Decimal)
    ]
    additional = breakdown.get("additional_costs")
    if isinstance(additional, dict):
        values += [(f"other.{name}", value) for name, value in additional.items()]
    return {name: cost for name, value in values if (cost := figures.money("cost_breakdown", value))}


def _inputs(costs: Mapping[str, Decimal], report: Report) -> Iterator[list[Portion]]:
    """What the input cost, as LiteLLM does it: what was read from the cache and written to it is in `input_cost`, where
    it fits in. And as its types describe it: `input_cost` is that of fresh input alone.
    """
    whole = costs.get("input_cost", _ZERO)
    read, written = costs.get("cache_read_cost", _ZERO), costs.get("cache_creation_cost", _ZERO)
    if cached := read + written:
        yield _input(whole - cached, read, written, report) if cached <= whole else [Portion("input", whole)]
    yield _input(whole, read, written, report)


def _input(fresh: Decimal, read: Decimal, written: Decimal, report: Report) -> list[Portion]:
    cached = (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0)
    tokens = None if report.input_tokens is None else report.input_tokens - cached
    if not (read or written):
        return [Portion("input", fresh, tokens)]
    return [
        Portion("input", fresh, tokens),
        Portion("cache_read", read, report.cache_read_tokens),
        Portion("cache_write", written, report.cache_write_tokens),
    ]


def _output(costs: Mapping[str, Decimal], report: Report) -> list[Portion]:
    """Reasoning is in `output_cost`, where it fits in."""
    whole, reasoning = costs.get("output_cost", _ZERO), costs.get("reasoning_cost", _ZERO)
    if not reasoning or reasoning > whole:
        return [Portion("output", whole, report.output_tokens)]
    rest = None if report.output_tokens is None else report.output_tokens - (report.reasoning_tokens or 0)
    return [Portion("output", whole - reasoning, rest), Portion("reasoning", reasoning, report.reasoning_tokens)]


def _others(costs: Mapping[str, Decimal]) -> Iterator[Portion]:
    for name, meter in _APART.items():
        if cost := costs.get(name):
            yield Portion(meter, -cost if meter in _NEGATIVE_PARTS else cost)
    if additional := [cost for name, cost in costs.items() if name not in _NAMED]:
        yield Portion("other", sum(additional, _ZERO))
