"""Token counts: each is stated in several places, by OpenAI's names, Anthropic's, Gemini's and Bedrock's."""

from collections.abc import Sequence
from typing import Final, TypeAlias

from policies.admission.report import Report
from service.ingest.formats.figures import NOTHING, Object, Value, inside
from service.ingest.formats.litellm.payload import Payload

Usages: TypeAlias = Sequence[Object]
"""Whatever of a payload says what was used."""

_INPUT: Final = (("prompt_tokens",), ("input_tokens",))
_OUTPUT: Final = (("completion_tokens",), ("output_tokens",))
_READ: Final = (
    ("prompt_tokens_details", "cached_tokens"),
    ("prompt_tokens_details", "cache_read_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("input_token_details", "cached_tokens"),
    ("cache_read_input_tokens",),
    ("cacheReadInputTokens",),
    ("cached_content_token_count",),
    ("cachedContentTokenCount",),
    ("prompt_cache_hit_tokens",),
)
_WRITTEN: Final = (
    ("prompt_tokens_details", "cache_creation_tokens"),
    ("prompt_tokens_details", "cache_write_tokens"),
    ("input_tokens_details", "cache_creation_tokens"),
    ("cache_creation_input_tokens",),
    ("cacheWriteInputTokens",),
)
_REASONING: Final = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("output_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),
    ("thoughts_token_count",),
    ("thoughtsTokenCount",),
)


_DETAILS: Final = (
    *("prompt_tokens_details", "input_tokens_details", "input_token_details"),
    *("completion_tokens_details", "output_tokens_details"),
)


def usages_of(payload: Payload) -> Usages:
    """Every usage that says anything, the most exact first."""
    found = (payload.metadata.get("usage_object"), payload.hidden.get("usage_object"), payload.value("usage"))
    usages = [usage for usage in found if isinstance(usage, dict) and usage]
    reported = [*found, *(usage.get(name) for usage in usages for name in _DETAILS)]
    if any(value and not isinstance(value, dict) and value not in NOTHING for value in reported):
        payload.note("usage", "must be an object, and its details objects")
    return usages


def stated(usages: Usages, *path: str) -> list[Value]:
    """What each usage says at a path of names."""
    return [inside(usage, *path) for usage in usages]


def read_tokens(payload: Payload, report: Report, usages: Usages) -> None:
    """Give the report its counts. Parts that exceed the total are reduced: the total is what is billed."""
    report.input_tokens = _total(payload, "prompt_tokens", usages, _INPUT)
    report.output_tokens = _total(payload, "completion_tokens", usages, _OUTPUT)
    if not usages and not report.failed and not (report.input_tokens or report.output_tokens):
        # Of a call without usage LiteLLM writes zeros.
        report.input_tokens = report.output_tokens = None
    most = report.input_tokens or 0
    report.cache_read_tokens = _part(payload, "cached_tokens", usages, _READ, most)
    report.cache_write_tokens = _part(payload, "cache_creation_tokens", usages, _WRITTEN, most)
    if (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0) > most:
        payload.note("cached_tokens", "and `cache_creation_tokens` are more than the input that they are part of")
        report.cache_read_tokens = report.cache_write_tokens = None
    report.reasoning_tokens = _part(payload, "reasoning_tokens", usages, _REASONING, report.output_tokens or 0)


def _total(payload: Payload, name: str, usages: Usages, paths: Sequence[Sequence[str]]) -> int | None:
    """The count at the top level, unless it says nothing and a usage does."""
    given = payload.count(name, payload.value(name))
    return given or payload.largest(name, given, *_all(usages, paths), most=None)


def _part(payload: Payload, name: str, usages: Usages, paths: Sequence[Sequence[str]], most: int) -> int | None:
    return payload.largest(name, *_all(usages, paths), most=most)


def _all(usages: Usages, paths: Sequence[Sequence[str]]) -> list[Value]:
    found: list[Value] = []
    for usage in usages:
        for path in paths:
            value = usage.get(path[0])
            if value is not None and (value := inside(usage, *path)) is not None:
                found.append(value)
    return found
