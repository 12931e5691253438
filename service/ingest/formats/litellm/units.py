"""What a call used beside tokens, as LiteLLM or the answer counts it."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from policies.admission.report import Report
from service.ingest.formats.figures import Value, inside
from service.ingest.formats.litellm.operations import BATCH
from service.ingest.formats.litellm.payload import Payload
from service.ingest.formats.litellm.response import Response
from service.ingest.formats.litellm.tokens import Usages, stated

_REDACTED: Final = "redacted-by-litellm"
_TOKENS_ONLY: Final = frozenset(("chat", "text_completion", "embeddings", "responses", "generate_content"))


def read_units(payload: Payload, report: Report, usages: Usages, response: Response) -> dict[str, Decimal] | None:
    """Units by name, those that are zero left out; None for none."""
    found: dict[str, Decimal] = {}
    for name, value in _stated(payload, report, usages, response):
        if value is None:
            continue
        quantity = payload.money("units", value)
        if quantity is not None and quantity < 0:
            payload.note("units", "has a quantity below zero")
        elif name not in found and quantity:
            found[name] = quantity
    return found or None


def _stated(payload: Payload, report: Report, usages: Usages, response: Response) -> Iterator[tuple[str, Value]]:
    """Statements of units; the first of a name counts."""
    for name in ("server_tool_use", "prompt_tokens_details"):
        for usage in usages:
            if (details := usage.get(name)) is not None:
                yield "searches", inside(details, "web_search_requests")
    if payload.value("cache_hit") is True:
        yield "saved_usd", payload.value("saved_cache_cost")
    if report.operation == BATCH:
        yield "requests", payload.hidden.get("batch_successful_requests")
    if report.operation not in _TOKENS_ONLY and not report.failed:
        yield from _of_operation(payload, report, usages, response)


def _of_operation(payload: Payload, report: Report, usages: Usages, response: Response) -> Iterator[tuple[str, Value]]:
    match report.operation:
        case "image_generation":
            yield from _each("images", stated(usages, "output_image_count"))
            yield "images", response.images
            yield "images", payload.parameters.get("n")
        case "transcription" | "video_generation" | "realtime":
            yield from _each("seconds", stated(usages, "seconds"))
            yield from _each("seconds", stated(usages, "duration_seconds"))
            yield "seconds", response.value("duration")
            yield "seconds", response.value("seconds")
        case "speech":
            yield from _each("characters", stated(usages, "characters"))
            yield "characters", _characters(payload.value("messages"))
        case "rerank" | "search":
            yield "searches", response.value("meta", "billed_units", "search_units")
            yield from _each("searches", stated(usages, "search_units"))
        case "ocr":
            yield "pages", response.value("usage_info", "pages_processed")
        case _:
            pass


def _each(name: str, values: Iterable[Value]) -> Iterator[tuple[str, Value]]:
    return ((name, value) for value in values)


def _characters(messages: Value) -> int | None:
    """How long the text is that was spoken; its length is all that is looked at."""
    if isinstance(messages, list) and len(messages) == 1:
        messages = inside(messages[0], "content")
    return len(messages) if isinstance(messages, str) and messages != _REDACTED else None
