"""Token counts: each is stated in several places, by OpenAI's names, Anthropic's, Gemini's and Bedrock's."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from policies.admission.report import Report
from service.ingest.formats.figures import NOTHING, Object, Value, inside
from service.ingest.formats.litellm.payload import Payload

Usages: TypeAlias = Sequence[Object]
"""Whatever of a payload says what was used."""

_Count: TypeAlias = Literal["input", "output", "cache_read", "cache_write", "reasoning"]

_PATHS: Final[Mapping[_Count, str]] = {
    "input": "prompt_tokens input_tokens",
    "output": "completion_tokens output_tokens",
    "cache_read": """
        prompt_tokens_details.cached_tokens prompt_tokens_details.cache_read_tokens input_tokens_details.cached_tokens
        input_token_details.cached_tokens cache_read_input_tokens cacheReadInputTokens cached_content_token_count
        cachedContentTokenCount prompt_cache_hit_tokens
    """,
    "cache_write": """
        prompt_tokens_details.cache_creation_tokens prompt_tokens_details.cache_write_tokens
        input_tokens_details.cache_creation_tokens cache_creation_input_tokens cacheWriteInputTokens
    """,
    "reasoning": """
        completion_tokens_details.reasoning_tokens output_tokens_details.reasoning_tokens reasoning_tokens
        thoughts_token_count thoughtsTokenCount
    """,
}
_COUNTS: Final[Mapping[str, Mapping[str, _Count]]] = {
    outer: {
        path.partition(".")[2]: count
        for count, paths in _PATHS.items()
        for path in paths.split()
        if path.partition(".")[0] == outer
    }
    for paths in _PATHS.values()
    for outer in [path.partition(".")[0] for path in paths.split()]
}
"""What a field of a usage counts: under "" what it counts itself, else what a field within it does."""

_DETAILS: Final = (
    *("prompt_tokens_details", "input_tokens_details", "input_token_details"),
    *("completion_tokens_details", "output_tokens_details"),
)


def usages_of(payload: Payload) -> Usages:
    """Every usage that says anything, the most exact first."""
    found = (payload.metadata.get("usage_object"), payload.hidden.get("usage_object"), payload.value("usage"))
    usages = [usage for usage in found if isinstance(usage, dict) and usage]
    for values in (found, *[[usage.get(name) for name in _DETAILS] for usage in usages]):
        for value in values:
            if value and type(value) is not dict and value not in NOTHING:
                payload.note("usage", "must be an object, and its details objects")
    return usages


def stated(usages: Usages, *path: str) -> list[Value]:
    """What each usage says at a path of names."""
    return [inside(usage, *path) for usage in usages]


def read_tokens(payload: Payload, report: Report, usages: Usages) -> None:
    """Give the report its counts. Parts that exceed the total are reduced: the total is what is billed."""
    said = _said(usages)
    report.input_tokens = _total(payload, "prompt_tokens", said.get("input", ()))
    report.output_tokens = _total(payload, "completion_tokens", said.get("output", ()))
    if not usages and not report.failed and not (report.input_tokens or report.output_tokens):
        # Of a call without usage LiteLLM writes zeros.
        report.input_tokens = report.output_tokens = None
    most = report.input_tokens or 0
    read, written = said.get("cache_read", ()), said.get("cache_write", ())
    report.cache_read_tokens = payload.largest("cached_tokens", *read, most=most)
    report.cache_write_tokens = payload.largest("cache_creation_tokens", *written, most=most)
    if (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0) > most:
        payload.note("cached_tokens", "and `cache_creation_tokens` are more than the input that they are part of")
        report.cache_read_tokens = report.cache_write_tokens = None
    reasoning = said.get("reasoning", ())
    report.reasoning_tokens = payload.largest("reasoning_tokens", *reasoning, most=report.output_tokens or 0)


def _total(payload: Payload, name: str, said: Sequence[Value]) -> int | None:
    """The count at the top level, unless it says nothing and a usage does."""
    given = payload.count(name, payload.value(name))
    return given or payload.largest(name, given, *said, most=None)


def _said(usages: Usages) -> dict[_Count, list[Value]]:
    """What all usages say of each count."""
    said: dict[_Count, list[Value]] = {}
    for usage in usages:
        for name, value in usage.items():
            counts = _COUNTS.get(name)
            if value is None or counts is None:
                continue
            for inner, count in counts.items():
                stated_here = inside(value, inner) if inner else value
                if stated_here is not None:
                    said.setdefault(count, []).append(stated_here)
    return said
