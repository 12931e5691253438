"""Spans of OpenTelemetry, in both encodings: which are calls, what is read of them, and what costs itself alone."""

import json
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import pytest
from tracing import STARTED, TRACE, as_json, as_protobuf, chat, export, span

from policies import Report
from service.ingest.amendments.nesting import innermost
from service.ingest.errors import BodyError, EncodingError
from service.ingest.formats.otlp.adapter import NO_CALL, open_traces
from service.ingest.formats.otlp.encodings.rows import RESOURCE_BYTES_MAX
from service.ingest.formats.split import Rejection
from service.ingest.refusals import Refusal

ENCODINGS = pytest.mark.parametrize(
    ("encode", "media_type"), [(as_protobuf, "application/x-protobuf"), (as_json, "application/json")]
)


def read_body(body: bytes, media_type: str) -> list[Report | Rejection]:
    opened = open_traces(body, media_type)
    return [opened.read(row) for row in ended(opened.rows)]


def ended(steps: Generator[None, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def read(*spans: Any, **options: Any) -> list[Report | Rejection]:
    """What the spans are, the same in both encodings."""
    request = export(*spans, **options)
    binary = read_body(as_protobuf(request), "application/x-protobuf")
    assert binary == read_body(as_json(request), "application/json")
    return binary


def one(made: Any, **options: Any) -> Report:
    [report] = read(made, **options)
    assert isinstance(report, Report), report
    return report


def test_a_call_by_the_conventions() -> None:
    """Ids, time, models, tokens and the first token come from the names of semantic conventions."""
    report = one(
        chat(
            7,
            {
                "gen_ai.response.model": "gpt-4o-2024-11-20",
                "gen_ai.response.id": "chatcmpl-1",
                "gen_ai.conversation.id": "s-1",
                "gen_ai.usage.cache_read.input_tokens": 80,
                "gen_ai.usage.cache_creation.input_tokens": 10,
                "gen_ai.usage.reasoning.output_tokens": 12,
                "gen_ai.request.stream": True,
                "gen_ai.response.time_to_first_chunk": 0.25,
                "user.id": "u-17",
            },
            parent=3,
        ),
        resource={"service.name": "shop", "deployment.environment.name": "staging"},
    )

    assert (report.source, report.source_id) == ("otlp", f"{TRACE}/0000000000000007")
    assert report.within == f"{TRACE}/0000000000000003"
    assert (report.started_at, report.latency_ms, report.time_to_first_token_ms) == (STARTED, 500, 250)
    assert (report.model, report.served_model, report.provider) == ("gpt-4o", "gpt-4o-2024-11-20", "openai")
    assert (report.operation, report.failed, report.streamed) == ("chat", False, True)
    tokens = (report.input_tokens, report.output_tokens, report.cache_read_tokens, report.cache_write_tokens)
    assert (*tokens, report.reasoning_tokens) == (120, 30, 80, 10, 12)
    assert (report.api_key, report.user, report.tags) == ("shop", "u-17", {"environment": "staging"})
    assert report.attributes is not None
    assert (report.attributes.trace_id, report.attributes.session_id) == (TRACE, "s-1")
    assert report.attributes.provider_request_id == "chatcmpl-1"
    assert not report.warnings


@pytest.mark.parametrize(
    ("facts", "operation"),
    [
        ({"gen_ai.operation.name": "text_completion", "gen_ai.request.model": "m"}, "text_completion"),
        ({"gen_ai.operation.name": "acompletion", "gen_ai.request.model": "m"}, "chat"),
        ({"gen_ai.system": "openai", "gen_ai.request.model": "m"}, "chat"),
        ({"llm.request.type": "embedding", "gen_ai.request.model": "m"}, "embeddings"),
        ({"openinference.span.kind": "LLM", "llm.model_name": "m"}, "chat"),
        ({"openinference.span.kind": "RERANKER", "reranker.model_name": "m"}, "rerank"),
        ({"langfuse.observation.type": "generation", "langfuse.observation.model.name": "m"}, "chat"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5}, None),
        ({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}, None),
        ({"openinference.span.kind": "CHAIN", "llm.model_name": "m"}, None),
        ({"langfuse.observation.type": "span"}, None),
        ({"ai.operationId": "ai.generateText.doGenerate", "gen_ai.request.model": "m"}, "chat"),
        ({"ai.operationId": "ai.embed.doEmbed", "ai.model.id": "m"}, "embeddings"),
        ({"ai.operationId": "ai.generateText", "ai.model.id": "m", "ai.usage.promptTokens": 5}, None),
        ({"ai.operationId": "ai.toolCall", "ai.toolCall.name": "search"}, None),
        ({"traceloop.span.kind": "workflow", "gen_ai.request.model": "m", "gen_ai.system": "x"}, None),
        ({"llm.openai.messages": "[]", "llm.openai.model": "m"}, None),
        ({"http.request.method": "GET"}, None),
        ({}, None),
    ],
)
def test_which_spans_are_calls(facts: dict[str, Any], operation: str | None) -> None:
    """Calls to a model are, by whatever names; agents, chains, tools and requests are not, and nothing is refused."""
    [outcome] = read(span(attributes=facts))

    if operation is None:
        assert outcome == NO_CALL
    else:
        assert isinstance(outcome, Report)
        assert (outcome.operation, outcome.model) == (operation, "m")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"gen_ai.usage.prompt_tokens": 7, "gen_ai.usage.completion_tokens": 3}, (7, 3, None, None)),
        ({"llm.usage.prompt_tokens": 7, "llm.usage.completion_tokens": 3}, (7, 3, None, None)),
        ({"llm.token_count.prompt": 7, "llm.token_count.prompt_details.cache_read": 2}, (7, None, 2, None)),
        # Counted beside the input, as the total or the parts themselves say.
        (
            {
                "gen_ai.usage.input_tokens": 4,
                "gen_ai.usage.output_tokens": 1,
                "gen_ai.usage.cache_read_input_tokens": 6,
            },
            (10, 1, 6, None),
        ),
        (
            {
                "gen_ai.usage.input_tokens": 40,
                "gen_ai.usage.output_tokens": 1,
                "gen_ai.usage.cache_read_input_tokens": 6,
                "gen_ai.usage.total_tokens": 47,
            },
            (46, 1, 6, None),
        ),
        (
            {
                "langfuse.observation.usage_details": '{"input": 4, "output": 2, "total": 12, '
                '"cache_read_input_tokens": 6}'
            },
            (10, 2, 6, None),
        ),
        (
            {
                "langfuse.observation.usage_details": '{"prompt_tokens": 9, "completion_tokens": 2, '
                '"prompt_tokens_details": {"cached_tokens": 6}}'
            },
            (9, 2, 6, None),
        ),
    ],
)
def test_tokens_by_every_name(facts: dict[str, Any], expected: tuple[int | None, ...]) -> None:
    """Input includes the cache, whether the instrumentation counts it so or beside it."""
    made = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"} | facts
    report = one(span(attributes=made))

    assert (report.input_tokens, report.output_tokens, report.cache_read_tokens, report.cache_write_tokens) == expected


@pytest.mark.parametrize(
    ("facts", "amount"),
    [
        ({"gen_ai.usage.cost": 0.00022500000000000002}, "0.000225"),
        ({"gen_ai.usage.cost": "0.0031"}, "0.0031"),
        ({"gen_ai.cost.total_cost": 1.8e-05}, "0.000018"),
        ({"llm.cost.total": 2}, "2"),
        ({"langfuse.observation.cost_details": '{"input": 0.1, "output": 0.2}'}, "0.3"),
        ({"gen_ai.usage.cost": 0.0}, None),
        ({"gen_ai.usage.cost": 0.0, "litellm.cache_hit": True}, "0"),
    ],
)
def test_costs_are_exact_or_not_known(facts: dict[str, Any], amount: str | None) -> None:
    """A binary float comes out as the decimal that was meant; a zero that may mean "no price known" is none."""
    report = one(chat(more=facts))

    assert report.amount == (None if amount is None else Decimal(amount))
    assert report.amount_source == (None if amount is None else "REPORTED")


def test_a_stream_and_an_embedding_of_vercels_sdk() -> None:
    """As `ai` 6.0.326 writes them: the provider without the part of its API, and tokens that are only counted."""
    facts: dict[str, Any] = {
        "ai.operationId": "ai.streamText.doStream",
        "gen_ai.system": "openai.chat",
        "gen_ai.request.model": "m",
    }
    stream = one(span(7, attributes=facts))
    assert (stream.provider, stream.streamed, stream.operation) == ("openai", True, "chat")
    facts = {"ai.operationId": "ai.embed.doEmbed", "ai.model.provider": "openai.embedding", "ai.model.id": "e"}
    embedding = one(span(8, attributes=facts | {"ai.usage.tokens": 8, "ai.values": ["kanarie"]}))
    assert (embedding.provider, embedding.model, embedding.input_tokens) == ("openai", "e", 8)
    assert embedding.streamed is False


@pytest.mark.parametrize(
    ("cost", "why"),
    [(float("nan"), "UNREADABLE"), (float("inf"), "UNREADABLE"), (-1.5, "NEGATIVE"), ("x", "UNREADABLE")],
)
def test_a_cost_that_is_none_is_said(cost: Any, why: str) -> None:
    """The call is stored without an amount, with the reason and a warning."""
    [report] = read_body(as_protobuf(export(chat(more={"gen_ai.usage.cost": cost}))), "application/x-protobuf")

    assert isinstance(report, Report)
    assert (report.amount, report.amount_unknown) == (None, why)
    assert report.warnings


def test_litellms_breakdown_is_the_parts() -> None:
    """The names of LiteLLM's `cost_breakdown` give the parts, which sum to the amount."""
    costs = {"input_cost": 0.0002, "output_cost": 0.0003, "cache_read_cost": 0.0001, "total_cost": 0.0005}
    facts = {f"gen_ai.cost.{name}": cost for name, cost in costs.items()}
    report = one(chat(more=facts | {"gen_ai.usage.cache_read.input_tokens": 80}))

    assert report.amount_parts is not None
    assert [(part.meter, part.amount) for part in report.amount_parts] == [
        ("input", Decimal("0.0001")),
        ("cache_read", Decimal("0.0001")),
        ("output", Decimal("0.0003")),
    ]


def test_an_error_with_its_exception() -> None:
    """Type, code and message, the parameters that hold no prompt, and what the message may repeat, until it is gone."""
    prompt = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "sing of moss"}]}])
    report = one(
        chat(
            more={
                "error.type": "RateLimitError",
                "http.response.status_code": 429,
                "gen_ai.request.temperature": 0.2,
                "gen_ai.request.max_tokens": 50,
                "gen_ai.request.stop_sequences": ["sing no more of copper"],
                "gen_ai.input.messages": prompt,
            },
            failed="429",
            events={"exception": {"exception.message": "too many: sing of moss", "exception.stacktrace": "Traceback"}},
        )
    )

    assert report.failed
    assert report.error is not None
    assert (report.error.type, report.error.code) == ("RateLimitError", "429")
    assert report.error.message == "too many: sing of moss"
    assert report.error.parameters == {"temperature": 0.2, "max_tokens": 50}
    assert "sing of moss" in report.content
    assert "sing no more of copper" in report.content
    assert report.dropped["gen_ai.input.messages"] == 1


def test_content_is_not_in_a_report_that_succeeded() -> None:
    """No name of content reaches the report, whatever instrumentation it is from, nor an unknown attribute."""
    names = (
        *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.prompt.0.content", "gen_ai.completion.0.content"),
        *("llm.input_messages.0.message.content", "input.value", "output.value", "traceloop.entity.input", "ai.prompt"),
        *("langfuse.observation.input", "gen_ai.tool.call.arguments", "retrieval.documents.0.document.content", "mine"),
    )
    report = one(chat(more=dict.fromkeys(names, "kanarie"), events={"gen_ai.user.message": {"content": "kanarie"}}))

    report.content.clear()
    assert "kanarie" not in repr(report)
    assert "kanarie" not in str(report.tags)
    assert sum(report.dropped.values()) == len(names) + 1


@pytest.mark.parametrize(
    ("made", "field"),
    [
        (chat(0), "spanId"),
        (chat(trace="00" * 16), "traceId"),
        (span(attributes={"gen_ai.operation.name": "chat"}, at=STARTED.replace(year=1970, month=1, day=1)), "start"),
    ],
)
def test_what_a_call_is_found_by_is_needed(made: Any, field: str) -> None:
    """Without ids or a time a span is rejected, and the message names what is missing."""
    if field == "start":
        made.start_time_unix_nano = 0
    [outcome] = read(made)

    assert isinstance(outcome, Rejection)
    assert field in outcome.reason
    assert outcome.code in (Refusal.FIELD_INVALID, Refusal.FIELD_MISSING)


@ENCODINGS
def test_a_broken_span_costs_itself(encode: Any, media_type: str) -> None:
    """Of three spans the middle one is damaged inside: the others are read."""
    body = encode(export(chat(1), chat(2, {"mark": "damage here"}), chat(3)))
    if media_type == "application/json":
        body = body.replace(b'"damage here"', b"[1 2]      ")
    else:
        at = body.index(b"\x0a\x04mark")
        body = body[:at] + b"\xff" * 6 + body[at + 6 :]
    first, middle, last = read_body(body, media_type)

    assert isinstance(first, Report)
    assert isinstance(last, Report)
    assert isinstance(middle, Rejection)
    assert middle.code is Refusal.ROW_UNREADABLE


@ENCODINGS
@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_body_that_is_cut_off_is_refused_whole(encode: Any, media_type: str, cut: int) -> None:
    """Its frame does not fit together: nothing of it can be told apart."""
    with pytest.raises(BodyError):
        read_body(encode(export(chat(1), chat(2)))[:-cut], media_type)


@pytest.mark.parametrize(
    ("body", "media_type"),
    [(b"x", "application/x-protobuf"), (b"\x0a\xff", "application/x-protobuf"), (b"[]", "application/json")],
)
def test_garbage_is_refused(body: bytes, media_type: str) -> None:
    """What is no export at all is said to be none."""
    with pytest.raises(BodyError):
        read_body(body, media_type)


def test_other_media_types_are_refused() -> None:
    """OTLP has two; another is no reason to guess."""
    with pytest.raises(EncodingError, match="application/json"):
        open_traces(b"", "text/plain")


def test_values_of_wrong_types_cost_themselves() -> None:
    """Tokens that are text, models that are numbers, flags that are words, a list for a user: the call is taken."""
    report = one(
        chat(
            more={
                "gen_ai.usage.input_tokens": "120",
                "gen_ai.usage.output_tokens": "many",
                "gen_ai.request.model": 5,
                "gen_ai.request.stream": "perhaps",
                "user.id": ["a"],
                "gen_ai.usage.cache_read.input_tokens": -1,
            }
        )
    )

    assert (report.model, report.input_tokens, report.output_tokens) == ("5", 120, None)
    assert (report.streamed, report.user, report.cache_read_tokens) == (None, None, None)
    assert report.warnings


def test_a_call_without_a_model_is_kept() -> None:
    """Its tokens were used all the same."""
    report = one(span(attributes={"langfuse.observation.type": "generation", "gen_ai.usage.input_tokens": 3}))

    assert (report.model, report.input_tokens) == ("unknown", 3)
    assert report.warnings


def test_a_large_resource_is_not_carried_with_each_span() -> None:
    """A resource of a megabyte would be copied for each of its spans: they are read without it."""
    resource = {"service.name": "shop", "more": "x" * RESOURCE_BYTES_MAX}
    first, last = read(chat(1), chat(2), resource=resource)

    assert isinstance(first, Report)
    assert isinstance(last, Report)
    assert first.api_key is None


@ENCODINGS
def test_framing_is_linear_and_in_short_steps(encode: Any, media_type: str) -> None:
    """Ten thousand spans are found in many steps, so that other requests have their turn in between."""
    opened = open_traces(encode(export(*(span(number) for number in range(1, 10_001)))), media_type)
    steps = 0
    while True:
        try:
            next(opened.rows)
        except StopIteration as end:
            assert len(list(end.value)) == 10_000
            break
        steps += 1
    assert steps >= 15


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"\x0a\x00" * 210_000, "application/x-protobuf"),
        (b"\x0a\x04\x12\x02\x12\x00" * 100_001, "application/x-protobuf"),
        (b'{"resourceSpans":[' + b"{}," * 210_000 + b"{}]}", "application/json"),
        (b"{" + b'"a":1,' * 210_000 + b'"b":1}', "application/json"),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 100_000 + b"{}]}]}]}", "application/json"),
    ],
    ids=["resources", "spans", "objects", "keys", "spans as JSON"],
)
def test_many_empty_messages_are_bounded(body: bytes, media_type: str) -> None:
    """Hundreds of thousands of messages of two bytes are refused before they are as many objects to be freed."""
    with pytest.raises(BodyError, match="more than"):
        read_body(body, media_type)


def test_a_name_of_many_words_is_looked_at_once() -> None:
    """A name of an attribute that is sixty thousand points, or words of content, costs no more than its length."""
    report = one(chat(more={"." * 60_000: "x", "gen_ai.prompt" + ".0" * 30_000: "x"}))

    assert report.dropped == {"unknown": 1, "gen_ai.prompt": 1}


def test_of_spans_within_each_other_the_innermost_counts() -> None:
    """A framework's span around the SDK's is no second call; what only it says of the error is kept."""
    outer = chat(1, {"error.type": "Outer"}, failed="the words of the error", seconds=2)
    inner = chat(2, {"error.type": "Inner"}, parent=1, failed="")
    beside = chat(3)
    kept = innermost(read(inner, outer, beside))

    assert [isinstance(row, Report) for row in kept] == [True, False, True]
    assert isinstance(kept[0], Report)
    assert kept[0].error is not None
    assert (kept[0].error.type, kept[0].error.message) == ("Inner", "the words of the error")


def test_a_call_within_a_call_of_another_kind_is_one_more() -> None:
    """A chat that asks for embeddings on its way: both were billed."""
    both = read(chat(2, {"gen_ai.operation.name": "embeddings"}, parent=1), chat(1))

    assert innermost(both) == both


def test_two_spans_of_one_answer_are_one_call() -> None:
    """An SDK that traces by itself, beside an instrumentation of it, in a trace of its own: one lasts in the other's
    time and has its answer's id.
    """
    answer = {"gen_ai.response.id": "msg_01"}
    both = read(chat(1, answer), chat(2, answer, trace="11" * 16, seconds=0.4))
    apart = read(chat(1, answer), chat(2, answer, trace="11" * 16, at=STARTED.replace(second=30)))

    assert [isinstance(row, Report) for row in innermost(both)] == [True, False]
    assert [isinstance(row, Report) for row in innermost(apart)] == [True, True]
