"""LiteLLM's StandardLoggingPayload, entry by entry."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from litellm_entry import ENTRY, read, reason

from policies import Attributes


def test_id_is_litellms_own() -> None:
    """`litellm_call_id` names the call; `id`, which providers reuse, only without it; the text `None` is null."""
    assert read().source_id == "call-1"
    assert read(litellm_call_id=None).source_id == "chatcmpl-1"
    assert read(litellm_call_id="None").source_id == "chatcmpl-1"
    assert "`litellm_call_id` is required" in reason(litellm_call_id="None", id=None)


def test_times() -> None:
    """Epoch seconds and ISO text mean the same; `response_time` is not believed; only streams have a first token."""
    assert read().started_at == datetime(2026, 11, 22, 10, 0, 0, 250000, UTC)
    assert read(startTime="2026-11-22T10:00:00.250999").started_at == read().started_at
    assert (read(response_time=9).latency_ms, read().time_to_first_token_ms) == (1250, None)
    assert read(stream=True).time_to_first_token_ms == 250
    assert read(endTime=1795341599).latency_ms is None
    assert "`startTime` is required" in reason(startTime=None)
    assert "`startTime` must be" in reason(startTime="yesterday")


def test_models() -> None:
    """The group is what was asked for; it may be the empty string. What served is named in hidden_params."""
    assert read(model_group="").model == "gpt-4o"
    got = read(model_group="fast", hidden_params={"litellm_model_name": "openai/gpt-4o"})
    assert (got.model, got.served_model) == ("fast", "gpt-4o")


@pytest.mark.parametrize(
    ("facts", "served"),
    [
        ({"model": "openai/gpt-4o", "custom_llm_provider": "openai"}, "gpt-4o"),
        ({"model": "gpt-4o", "custom_llm_provider": "openai"}, "gpt-4o"),
        ({"model": "gpt-4o", "hidden_params": {"litellm_model_name": "openai/the-one-that-failed"}}, "gpt-4o"),
        ({"model": "bedrock/converse/us.meta.llama:0", "custom_llm_provider": "bedrock"}, "us.meta.llama:0"),
        ({"model": "openrouter/anthropic/claude-4", "custom_llm_provider": "openrouter"}, "anthropic/claude-4"),
        ({"model": "anthropic/claude-4", "custom_llm_provider": "openrouter"}, "anthropic/claude-4"),
        ({"model": "openai/gpt-3.5-turbo-instruct", "custom_llm_provider": "text-completion-openai"},
         "gpt-3.5-turbo-instruct"),
        ({"model": "openai/", "custom_llm_provider": "openai"}, "openai/"),
        ({"model": "", "hidden_params": {"litellm_model_name": "openai/gpt-4o"}, "custom_llm_provider": "openai"},
         "gpt-4o"),
        ({"model": None}, None),
    ],
)  # fmt: skip
def test_the_model_that_answered_has_one_name(facts: dict[str, Any], served: str | None) -> None:
    """With or without its provider in front, streamed or not, after a fallback too: one model is one name."""
    assert read(**facts).served_model == served


@pytest.mark.parametrize(
    ("call_type", "operation"),
    [
        ("acompletion", "chat"),
        ("anthropic_messages", "chat"),
        ("responses", "responses"),
        ("aresponses", "responses"),
        ("_aresponses_websocket", "responses"),
        ("aimage_generation", "image_generation"),
        ("image_edit", "image_generation"),
        ("atranscription", "transcription"),
        ("aspeech", "speech"),
        ("arerank", "rerank"),
        ("amoderation", "moderation"),
        ("agenerate_content_stream", "generate_content"),
        ("acreate_batch", "create_batch"),
        ("aget_responses", "retrieve_response"),
        ("afile_content", "files"),
        ("a_add_message", "assistants"),
        ("arun_thread", "invoke_agent"),
        ("call_mcp_tool", "execute_tool"),
        ("_arealtime", "realtime"),
        ("anything_new", "other"),
        (None, None),
        ("None", None),
    ],
)
def test_operations_are_one_closed_table(call_type: str | None, operation: str | None) -> None:
    """The asynchronous form of a call type is the same operation; a type that nobody knows is `other`."""
    assert read(call_type=call_type).operation == operation


@pytest.mark.parametrize(
    ("facts", "amount"),
    [
        ({"response_cost": 0.00022500000000000002}, "0.000225"),
        ({"response_cost": 5.549999999999999e-06}, "0.00000555"),
        ({"response_cost": "0.1234"}, "0.1234"),
        ({"response_cost": None, "cost_breakdown": {"total_cost": 0.5}}, "0.5"),
        ({"response_cost": 0, "cost_breakdown": {"total_cost": 0.5}}, "0.5"),
        ({"response_cost": 0, "cost_breakdown": {"total_cost": 0.5}, "cache_hit": True}, "0"),
        ({"cost": 0.25}, "0.25"),
        ({"response_cost": None}, "None"),
        ({"response_cost": "None"}, "None"),
    ],
)
def test_amount(facts: dict[str, Any], amount: str) -> None:
    """Cost is read as decimal text, and from its breakdown when LiteLLM lost it on the way."""
    got = read(**facts)

    assert str(got.amount) == amount
    assert got.amount_source == ("REPORTED" if amount != "None" else None)


def test_parts_of_the_amount_add_up() -> None:
    """The breakdown becomes parts, without those that are nothing; a discount counts against the rest."""
    costs = {"input_cost": 0.1, "output_cost": 0.3, "tool_usage_cost": 0, "discount_amount": 0.05, "total_cost": 0.35}

    parts = read(response_cost=0.35, cost_breakdown=costs).amount_parts or []

    assert [(part.meter, str(part.amount)) for part in parts] == [
        ("input", "0.1"),
        ("output", "0.3"),
        ("discount", "-0.05"),
    ]


def test_tokens_and_their_details() -> None:
    """Counts come from the top level, details from the usage object; details beyond the whole give way."""
    usage = {
        "prompt_tokens_details": {"cached_tokens": 4},
        "cache_creation_input_tokens": 3,
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    got = read(prompt_tokens=10, completion_tokens=5, metadata={"usage_object": usage})
    tokens = (got.input_tokens, got.output_tokens, got.cache_read_tokens, got.cache_write_tokens, got.reasoning_tokens)
    assert tokens == (10, 5, 4, 3, 2)

    beside = read(prompt_tokens=5, completion_tokens=1, hidden_params={"usage_object": usage})
    assert (beside.input_tokens, beside.cache_read_tokens, beside.cache_write_tokens) == (5, None, None)
    assert (beside.output_tokens, beside.reasoning_tokens) == (1, None)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens_details": {"cached_tokens": 0}, "cache_read_input_tokens": 30940},
        {"prompt_tokens_details": {"cached_tokens": 30940}, "cache_read_input_tokens": 0},
        {"prompt_tokens_details": {"cached_tokens": None}, "cacheReadInputTokens": 30940},
        {"prompt_tokens_details": {"cached_tokens": 99999}, "cachedContentTokenCount": 30940},
        {"prompt_tokens_details": {"cached_tokens": "many"}, "input_tokens_details": {"cached_tokens": 30940}},
    ],
)
def test_a_zero_hides_no_count_beside_it(usage: dict[str, Any]) -> None:
    """Of several statements of one count the largest that can be is taken; what cannot be gives way."""
    assert read(prompt_tokens=31000, metadata={"usage_object": usage}).cache_read_tokens == 30940


def test_siblings_of_writes_and_reasoning_count_too() -> None:
    """As cache reads: writes by three names, reasoning by four; tokens in the usage alone."""
    usage = {
        "prompt_tokens": 900, "completion_tokens": 70,
        "prompt_tokens_details": {"cache_creation_tokens": 0, "cache_write_tokens": 800},
        "completion_tokens_details": {"reasoning_tokens": 0}, "thoughts_token_count": 60,
    }  # fmt: skip
    got = read(prompt_tokens=0, completion_tokens=0, hidden_params={"usage_object": usage})

    assert (got.input_tokens, got.output_tokens, got.cache_write_tokens, got.reasoning_tokens) == (900, 70, 800, 60)


def test_zeros_without_any_usage_are_no_counts() -> None:
    """LiteLLM writes 0 where a success has no usage; of a failure, which used nothing, it is right."""
    assert read(prompt_tokens=0, completion_tokens=0).input_tokens is None
    assert read(prompt_tokens=0, completion_tokens=0, status="failure").input_tokens == 0


def test_owner() -> None:
    """Account, key and user have their fall-backs, the last of the user the one that the SDK sends."""
    data = {
        "user_api_key_org_id": None,
        "user_api_key_team_id": "t",
        "user_api_key_hash": "h",
        "user_api_key_user_id": "i",
    }
    got = read(metadata=data)
    assert (got.account, got.api_key, got.user) == ("t", "h", "i")

    got = read(metadata=data | {"user_api_key_org_id": "o", "user_api_key_alias": "prod"}, end_user="e")
    assert (got.account, got.api_key, got.user) == ("o", "prod", "e")
    assert read(model_parameters={"user": "u"}).user == "u"


def test_a_key_without_alias_has_a_short_name() -> None:
    """Two keys are two, and the name is the beginning of the hash by which LiteLLM finds the key."""
    hashes = ("0cc410f6c1a138cac0064dd543ff2539" * 2, "0cc410f6c1a238cac0064dd543ff2539" * 2)

    assert [read(metadata={"user_api_key_hash": one}).api_key for one in hashes] == [
        "key-0cc410f6c1a1",
        "key-0cc410f6c1a2",
    ]


def test_what_a_call_belongs_to() -> None:
    """Trace, session, deployment, team and organization by their names beside the account's id, and the attempt."""
    got = read(
        trace_id="t-1", session_id="s-1", model_id="eu-1", cache_hit=False, status="failure",
        error_information={"normalized_error": "429_RATE_LIMIT_EXCEEDED", "error_provider_request_id": "req_1"},
        hidden_params={"additional_headers": {"x-litellm-attempted-retries": 2, "x-litellm-attempted-fallbacks": "1"}},
        metadata={"user_api_key_org_id": "o", "user_api_key_org_alias": "Acme", "user_api_key_team_id": "t",
                  "user_api_key_team_alias": "Search"},
    )  # fmt: skip

    assert got.account == "o"
    assert got.attributes == Attributes(
        "t-1",
        "s-1",
        4,
        False,
        "eu-1",
        "Search",
        "Acme",
        "429_RATE_LIMIT_EXCEEDED",
        "req_1",
        team_id="t",
        organization_id="o",
    )
    assert read(metadata={"user_api_key_team_id": "t"}).attributes == Attributes(
        team="t", team_id="t", provider_request_id="chatcmpl-1"
    )


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"hidden_params": {"additional_headers": {"llm_provider-request-id": "req_9"}}}, "req_9"),
        ({"hidden_params": {"additional_headers": {"llm_provider-x-request-id": "r", "x-request-id": "own"}}}, "r"),
        ({"id": "msg_1"}, "msg_1"),
        ({"id": "call-1"}, None),
        ({"id": "chatcmpl-3f2b1c9e-0d4a-4b6e-9c1d-2e3f4a5b6c7d"}, None),
        ({"cache_hit": True}, None),
    ],
)
def test_the_providers_own_id(facts: dict[str, Any], found: str | None) -> None:
    """That of the request, else of the answer; not one that LiteLLM made, nor an old one from its cache."""
    attributes = read(**facts).attributes

    assert (attributes and attributes.provider_request_id) == found


def test_failed_streams_keep_what_they_were() -> None:
    """A stream that broke is one, with the time to its first token; one that failed before has none."""
    stream = {"status": "failure", "stream": None, "model_parameters": {"stream": True}}

    cut, refused = read(**stream), read(**stream, completionStartTime=ENTRY["endTime"])

    assert (cut.streamed, cut.time_to_first_token_ms) == (True, 250)
    assert (refused.streamed, refused.time_to_first_token_ms) == (True, None)


@pytest.mark.parametrize(
    ("facts", "units"),
    [
        ({"call_type": "image_generation", "metadata": {"usage_object": {"output_image_count": 2}}}, {"images": 2}),
        ({"call_type": "image_generation", "response": {"data": [{"url": "x"}, {"url": "y"}]}}, {"images": 2}),
        ({"call_type": "transcription", "response": {"text": "a", "duration": 12.5}}, {"seconds": Decimal("12.5")}),
        ({"call_type": "speech", "messages": [{"role": "user", "content": "twelve chars"}]}, {"characters": 12}),
        ({"call_type": "speech", "messages": [{"role": "user", "content": "redacted-by-litellm"}]}, None),
        ({"call_type": "rerank", "response": {"meta": {"billed_units": {"search_units": 1}}}}, {"searches": 1}),
        ({"call_type": "ocr", "response": {"usage_info": {"pages_processed": 3}}}, {"pages": 3}),
        ({"usage": {"server_tool_use": {"web_search_requests": 4}}}, {"searches": 4}),
        ({"cache_hit": True, "saved_cache_cost": 0.02}, {"saved_usd": Decimal("0.02")}),
        ({"saved_cache_cost": 0.02}, None),
        ({"call_type": "rerank", "response": {"text": "redacted-by-litellm"}}, None),
        ({"call_type": "ocr", "response": {"usage_info": {"pages_processed": -3}}}, None),
    ],
)
def test_units_of_calls_that_are_not_counted_in_tokens(facts: dict[str, Any], units: Any) -> None:
    """Images, seconds, characters, searches and pages, and what an answer from LiteLLM's cache saved."""
    attributes = read(**facts).attributes

    assert (attributes and attributes.units) == units


def test_tags() -> None:
    """`key:value` is a tag, a plain word one that is `true`; the first of equal keys counts."""
    assert read(request_tags=["team:search", "prod", "team:x", ":", None, 5]).tags == {
        "team": "search",
        "prod": "true",
        "5": "true",
    }


def test_the_organizations_id_is_kept_beside_its_alias() -> None:
    """The account of a bound key is the key's own: the id that the report had is an attribute, and not lost."""
    got = read(metadata={"user_api_key_org_id": "org-7", "user_api_key_org_alias": "Acme"}).attributes
    assert got is not None
    assert (got.organization, got.organization_id) == ("Acme", "org-7")
