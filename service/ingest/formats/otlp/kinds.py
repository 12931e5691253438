"""Which spans are calls to a model, and of which operation. Agents, chains and tools are not: their calls have spans
of their own, with the tokens that a wrapper would report once more.
"""

from collections.abc import Mapping
from typing import Final

from service.ingest.formats.figures import Value, text_of
from service.ingest.formats.litellm.operations import OPERATIONS, OTHER, operation_of
from service.ingest.formats.otlp import names

_MODEL: Final = frozenset(
    (
        *("chat", "text_completion", "embeddings", "generate_content", "responses", "image_generation"),
        *("video_generation", "transcription", "speech", "realtime", "rerank", "moderation", "ocr", "pass_through"),
    )
)
"""Operations in which a model works, or may be billed for."""

_SAME: Final[Mapping[str, str]] = {
    "completion": "text_completion",
    "embedding": "embeddings",
    "rerank": "rerank",
    "translation": "transcription",
}
_NO_CALLS: Final = frozenset(
    (
        *("invoke_agent", "create_agent", "execute_tool", "invoke_workflow", "plan", "retrieval"),
        *("tokenize", "count_tokens"),
    )
)
"""Operations that may say tokens, and in which no model works."""
_OPENINFERENCE: Final[Mapping[str, str]] = {"LLM": "chat", "EMBEDDING": "embeddings", "RERANKER": "rerank"}
_VERCEL: Final[Mapping[str, str]] = {"doGenerate": "chat", "doStream": "chat", "doEmbed": "embeddings"}
_LANGFUSE: Final[Mapping[str, str]] = {"generation": "chat", "embedding": "embeddings"}


def operation_of_span(attributes: Mapping[str, Value]) -> str | None:
    """The operation of a span that is a call to a model; None for any other span."""
    vercel = text_of(attributes.get(names.VERCEL_OPERATION))
    if vercel is not None:
        return _VERCEL.get(vercel.rpartition(".")[2])
    said = text_of(attributes.get(names.OPERATION))
    if said is not None:
        return _of_convention(said, attributes)
    request_type = text_of(attributes.get(names.REQUEST_TYPE))
    kind = text_of(attributes.get(names.OPENINFERENCE_KIND))
    if kind is not None:
        found = _OPENINFERENCE.get(kind.upper())
        return _of_request(request_type) or found if found else None
    kind = text_of(attributes.get(names.LANGFUSE_TYPE))
    if kind is not None:
        return _LANGFUSE.get(kind.lower())
    if request_type is not None:
        return _of_request(request_type)
    if names.TRACELOOP_KIND in attributes:
        return None
    has_model = text_of(attributes.get("gen_ai.request.model")) is not None
    return "chat" if has_model and _has_provider(attributes) else None


def _of_convention(said: str, attributes: Mapping[str, Value]) -> str | None:
    """By `gen_ai.operation.name`, which LiteLLM fills with its own types of calls."""
    if said in _MODEL:
        return said
    found = _of_request(said)
    if found is not None or said in OPERATIONS or said in _SAME:
        return found
    # A name that conventions may gain: a call if it says what was used.
    used = any(attributes.get(name) for name in (*names.INPUT_TOKENS, *names.OUTPUT_TOKENS))
    return OTHER if used and said not in _NO_CALLS and text_of(attributes.get("gen_ai.request.model")) else None


def _of_request(request_type: str | None) -> str | None:
    if request_type is None:
        return None
    found = _SAME.get(request_type) or (request_type if request_type in _MODEL else operation_of(request_type))
    return found if found in _MODEL else None


def _has_provider(attributes: Mapping[str, Value]) -> bool:
    return any(attributes.get(name) for name in ("gen_ai.provider.name", "gen_ai.system"))
