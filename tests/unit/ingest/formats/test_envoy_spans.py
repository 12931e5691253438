"""Spans of Envoy AI Gateway in both of its vocabularies, by the attributes that its recorders of 2026-08 set."""

import json
from typing import Any, Final

import pytest
from tracing import as_protobuf, export, span

from policies import Report
from service.ingest.formats.otlp.adapter import NO_CALL, open_traces
from service.ingest.formats.split import Rejection

CANARY: Final = "kanarie asks for the recipe of the house"
ASKED: Final = {"model": "gpt-4o-mini", "temperature": 0.5, "max_tokens": 64, "user": "jane"}
BODY: Final = json.dumps(ASKED | {"messages": [{"role": "user", "content": CANARY}]})
OPENINFERENCE: Final = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o-mini",
    "input.value": BODY,
    "input.mime_type": "application/json",
    "llm.invocation_parameters": json.dumps(ASKED),
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": CANARY,
}
ANSWERED: Final = {
    "llm.model_name": "gpt-4o-mini-2024-07-18",
    "output.value": json.dumps({"choices": [{"message": {"content": CANARY}}]}),
    "output.mime_type": "application/json",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": CANARY,
    "llm.token_count.prompt": 120,
    "llm.token_count.prompt_details.audio": 0,
    "llm.token_count.prompt_details.cache_read": 80,
    "llm.token_count.prompt_details.cache_creation": 10,
    "llm.token_count.completion": 30,
    "llm.token_count.completion_details.audio": 0,
    "llm.token_count.completion_details.reasoning": 12,
    "llm.token_count.total": 150,
}
GEN_AI: Final = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 64,
    "gen_ai.request.stop_sequences": [CANARY],
    "gen_ai.provider.name": "openai",
    "gen_ai.conversation.id": "conv-1",
    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": CANARY}]}]),
}
GEN_AI_ANSWERED: Final = {
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 120,
    "gen_ai.usage.output_tokens": 30,
    "gen_ai.usage.cache_read.input_tokens": 80,
    "gen_ai.usage.cache_creation.input_tokens": 10,
    "gen_ai.usage.reasoning.output_tokens": 12,
}


def read(facts: dict[str, Any], **options: Any) -> Report | Rejection:
    body = as_protobuf(export(span(attributes=facts, **options), resource={"service.name": "ai-gateway"}))
    opened = open_traces(body, "application/x-protobuf")
    steps = opened.rows
    while True:
        try:
            next(steps)
        except StopIteration as end:
            [row] = end.value
            return opened.read(row)


@pytest.mark.parametrize("facts", [OPENINFERENCE | ANSWERED, GEN_AI | GEN_AI_ANSWERED], ids=["openinference", "gen_ai"])
def test_a_chat_is_the_same_call_in_both(facts: dict[str, Any]) -> None:
    """Models, tokens with both parts of the cache and with reasoning; nothing of what was asked and answered."""
    report = read(facts)
    assert isinstance(report, Report)
    assert (report.operation, report.provider, report.api_key) == ("chat", "openai", "ai-gateway")
    assert (report.model, report.served_model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (report.input_tokens, report.output_tokens, report.reasoning_tokens) == (120, 30, 12)
    assert (report.cache_read_tokens, report.cache_write_tokens) == (80, 10)
    assert CANARY not in repr(report) and not report.warnings


@pytest.mark.parametrize(
    ("facts", "options", "error"),
    [
        (
            OPENINFERENCE,
            {
                "failed": f"Error code: 429 - {CANARY}",
                "events": {"exception": {"exception.type": "RateLimitError", "exception.message": "Error code: 429"}},
            },
            "RateLimitError",
        ),
        (GEN_AI | {"error.type": "429"}, {"failed": "Error code: 429"}, "429"),
    ],
    ids=["openinference", "gen_ai"],
)
def test_a_failure_has_its_type_and_parameters(facts: dict[str, Any], options: dict[str, Any], error: str) -> None:
    """Its type is the exception's or the attribute's, parameters are those of the request that hold no prompt."""
    report = read(facts, **options)
    assert isinstance(report, Report) and report.error is not None
    assert (report.failed, report.error.type) == (True, error)
    assert (report.error.message or "").startswith("Error code: 429")
    assert {name: str(value) for name, value in report.error.parameters.items()}["temperature"] == "0.5"
    assert any(CANARY in text for text in report.content)


@pytest.mark.parametrize(
    "facts",
    [
        {
            "openinference.span.kind": "TOKEN_COUNTER",
            "llm.model_name": "claude-sonnet-4-5",
            "llm.token_count.prompt": 9,
        },
        {"gen_ai.operation.name": "tokenize", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 9},
        {"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
        {"mcp.tool.name": "search", "mcp.transport": "http", "mcp.request.id": "3"},
    ],
)
def test_what_counts_tokens_or_calls_tools_is_no_call(facts: dict[str, Any]) -> None:
    """No model worked: their tokens are billed by nobody."""
    assert read(facts) == NO_CALL


@pytest.mark.parametrize(
    ("facts", "operation"),
    [
        ({"gen_ai.operation.name": "translation", "gen_ai.request.model": "whisper-1"}, "transcription"),
        ({"gen_ai.operation.name": "transcription", "gen_ai.request.model": "whisper-1"}, "transcription"),
        ({"gen_ai.operation.name": "speech", "gen_ai.request.model": "tts-1"}, "speech"),
        ({"gen_ai.operation.name": "image_generation", "gen_ai.request.model": "gpt-image-1"}, "image_generation"),
        ({"gen_ai.operation.name": "rerank", "gen_ai.request.model": "rerank-v3.5"}, "rerank"),
        (
            {"openinference.span.kind": "RERANKER", "llm.system": "cohere", "reranker.model_name": "rerank-v3.5"},
            "rerank",
        ),
        ({"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small"}, "embeddings"),
    ],
)
def test_each_of_its_endpoints_is_a_call(facts: dict[str, Any], operation: str) -> None:
    """Speech, images and ranks too, although nothing says what they used."""
    report = read(facts)
    assert isinstance(report, Report)
    assert report.operation == operation
