"""Token counts: each is stated in several places, by OpenAI's names, Anthropic's, Gemini's and Bedrock's."""

from policies.report import Report
from service.ingest.litellm_payload import Object, Payload, inside


def usage_of(payload: Payload) -> Object:
    """The first usage that says anything; empty for none."""
    hidden, given = payload.hidden.get("usage_object"), payload.value("usage")
    for usage in (payload.metadata.get("usage_object"), hidden, given):
        if isinstance(usage, dict) and usage:
            return usage
    return {}


def read_tokens(payload: Payload, report: Report, usage: Object) -> None:
    """Give the report its counts. Parts that are more than the whole give way: the whole is what is billed."""
    report.input_tokens = _whole(payload, "prompt_tokens", usage, "input_tokens")
    report.output_tokens = _whole(payload, "completion_tokens", usage, "output_tokens")
    if not usage and not report.failed and not (report.input_tokens or report.output_tokens):
        # Of a call without usage LiteLLM writes zeros.
        report.input_tokens = report.output_tokens = None
    _read_cache(payload, report, usage)
    report.reasoning_tokens = payload.largest(
        "reasoning_tokens",
        inside(usage, "completion_tokens_details", "reasoning_tokens"),
        inside(usage, "output_tokens_details", "reasoning_tokens"),
        usage.get("reasoning_tokens"),
        usage.get("thoughts_token_count"),
        usage.get("thoughtsTokenCount"),
        most=report.output_tokens or 0,
    )


def _whole(payload: Payload, name: str, usage: Object, other_name: str) -> int | None:
    """The count at the top level, unless it says nothing and the usage does."""
    return payload.largest(name, payload.value(name), most=None) or payload.largest(
        name, payload.value(name), usage.get(name), usage.get(other_name), most=None
    )


def _read_cache(payload: Payload, report: Report, usage: Object) -> None:
    most = report.input_tokens or 0
    details = [usage.get("prompt_tokens_details"), usage.get("input_tokens_details")]
    report.cache_read_tokens = payload.largest(
        "cached_tokens",
        *(inside(detail, name) for detail in details for name in ("cached_tokens", "cache_read_tokens")),
        usage.get("cache_read_input_tokens"),
        usage.get("cacheReadInputTokens"),
        usage.get("cached_content_token_count"),
        usage.get("cachedContentTokenCount"),
        usage.get("prompt_cache_hit_tokens"),
        most=most,
    )
    report.cache_write_tokens = payload.largest(
        "cache_creation_tokens",
        *(inside(detail, name) for detail in details for name in ("cache_creation_tokens", "cache_write_tokens")),
        usage.get("cache_creation_input_tokens"),
        usage.get("cacheWriteInputTokens"),
        most=most,
    )
    if (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0) > most:
        report.cache_read_tokens = report.cache_write_tokens = None
