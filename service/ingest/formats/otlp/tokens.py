"""Token counts of a span. Input includes what was read from a cache and written to it, output includes reasoning."""

import re
from collections.abc import Sequence
from typing import Final

from policies.admission.report import Report
from service.ingest.formats.figures import FigureReader, Object, Value
from service.ingest.formats.native.fields import INTEGER_MAX
from service.ingest.formats.otlp import names
from service.ingest.formats.otlp.texts import object_of_text

_READ: Final = ("input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "input_cached")
_WRITTEN: Final = ("cache_creation_input_tokens", "input_cache_creation", "input_cache_write")
_USAGE_CHARACTERS_MAX: Final = 4096
_LITELLM_COUNT: Final = re.compile(r"'(cached_tokens|cache_creation_tokens|reasoning_tokens)': ([0-9]{1,10})", re.ASCII)
_REASONING: Final = ("output_reasoning_tokens", "output_reasoning", "reasoning_tokens")


def read_tokens(figures: FigureReader, report: Report, attributes: Object) -> None:
    """Give the report its counts."""
    details = object_of_text(attributes.get(names.LANGFUSE_USAGE))
    if details:
        read_details(figures, report, details)
        return
    report.input_tokens = _first(figures, attributes, names.INPUT_TOKENS)
    report.output_tokens = _first(figures, attributes, names.OUTPUT_TOKENS)
    report.cache_read_tokens = _first(figures, attributes, names.READ_TOKENS)
    report.cache_write_tokens = _first(figures, attributes, names.WRITTEN_TOKENS)
    report.reasoning_tokens = _first(figures, attributes, names.REASONING_TOKENS)
    _complete(report, attributes.get(names.LITELLM_USAGE))
    _agree(figures, report, _first(figures, attributes, names.TOTAL_TOKENS))


def _complete(report: Report, usage: Value) -> None:
    """What LiteLLM's own attributes leave out of its usage: the cache and reasoning."""
    if not isinstance(usage, str) or len(usage) > _USAGE_CHARACTERS_MAX:
        return
    counts = {name: min(int(count), INTEGER_MAX) for name, count in _LITELLM_COUNT.findall(usage)}
    if report.cache_read_tokens is None:
        report.cache_read_tokens = counts.get("cached_tokens")
    if report.cache_write_tokens is None:
        report.cache_write_tokens = counts.get("cache_creation_tokens")
    if report.reasoning_tokens is None:
        report.reasoning_tokens = counts.get("reasoning_tokens")


def read_details(figures: FigureReader, report: Report, details: Object) -> None:
    """Give the report the counts of Langfuse's usage, in which parts of the input stand beside the rest of it, or that
    has OpenAI's names.
    """
    report.cache_read_tokens = _first(figures, details, _READ)
    report.cache_write_tokens = _first(figures, details, _WRITTEN)
    report.reasoning_tokens = _first(figures, details, _REASONING)
    report.input_tokens = _first(figures, details, ("prompt_tokens", "input", "input_tokens"))
    report.output_tokens = _first(figures, details, ("completion_tokens", "output", "output_tokens"))
    for name, part in (("prompt_tokens_details", "cached_tokens"), ("completion_tokens_details", "reasoning_tokens")):
        inner = details.get(name)
        count = figures.count(name, inner.get(part)) if isinstance(inner, dict) else None
        if count is not None and part == "cached_tokens":
            report.cache_read_tokens = count
        elif count is not None:
            report.reasoning_tokens = count
    reasoning_beside = "output_reasoning_tokens" in details or "output_reasoning" in details
    total = _first(figures, details, ("total", "total_tokens"))
    if reasoning_beside and total is not None and _sum(report) + (report.reasoning_tokens or 0) == total:
        report.output_tokens = (report.output_tokens or 0) + (report.reasoning_tokens or 0)
    _agree(figures, report, total)


def _sum(report: Report) -> int:
    cached = (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0)
    return (report.input_tokens or 0) + (report.output_tokens or 0) + cached


def _agree(figures: FigureReader, report: Report, total: int | None) -> None:
    """Let the input include the cache, which some instrumentations of Anthropic count beside it: the total tells."""
    cached = (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0)
    if cached and (cached > (report.input_tokens or 0) or total == _sum(report)):
        report.input_tokens = (report.input_tokens or 0) + cached
    if (report.reasoning_tokens or 0) > (report.output_tokens or 0):
        figures.note("reasoning_tokens", "is more than the output that it is a part of")
        report.reasoning_tokens = None


def _first(figures: FigureReader, attributes: Object, candidates: Sequence[str]) -> int | None:
    for name in candidates:
        value: Value = attributes.get(name)
        if value is not None and (count := figures.count(name, _number(value))) is not None:
            return count
    return None


def _number(value: Value) -> Value:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 11 else value
