"""LiteLLM's StandardLoggingPayload, entry by entry."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from policies import Report
from service.ingest.litellm import read_entry
from service.ingest.rows import Rejection

ENTRY: dict[str, Any] = {
    "id": "chatcmpl-1",
    "litellm_call_id": "call-1",
    "call_type": "acompletion",
    "status": "success",
    "model": "gpt-4o",
    "startTime": 1795341600.25,
    "endTime": 1795341601.5,
    "completionStartTime": 1795341600.5,
}


def read(**facts: Any) -> Report:
    outcome = read_entry(json.dumps(ENTRY | facts).encode())
    assert isinstance(outcome, Report), outcome
    return outcome


def reason(**facts: Any) -> str:
    outcome = read_entry(json.dumps(ENTRY | facts).encode())
    assert isinstance(outcome, Rejection), outcome
    return outcome.reason


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
    assert (got.model, got.served_model) == ("fast", "openai/gpt-4o")


@pytest.mark.parametrize(
    ("facts", "amount"),
    [
        ({"response_cost": 0.00022500000000000002}, "0.000225"),
        ({"response_cost": 5.549999999999999e-06}, "0.00000555"),
        ({"response_cost": "0.1234"}, "0.1234"),
        ({"response_cost": None, "cost_breakdown": {"total_cost": 0.5}}, "0.5"),
        ({"response_cost": 0, "cost_breakdown": {"total_cost": 0.5}}, "0.5"),
        ({"response_cost": 0, "cost_breakdown": {"total_cost": 0.5}, "cache_hit": True}, "0"),
        ({"response_cost": 0}, "0"),
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
    assert reason(prompt_tokens=-1) == "`prompt_tokens` must be an integer from 0 to 2147483647"


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


def test_tags() -> None:
    """`key:value` is a tag, a plain word one that is `true`; the first of equal keys counts."""
    assert read(request_tags=["team:search", "prod", "team:x", ":", None, 5]).tags == {
        "team": "search",
        "prod": "true",
        "5": "true",
    }


def test_failure() -> None:
    """The error is put together without the traceback; `None` is null; private parameters are left out."""
    information = {
        "error_class": "RateLimitError",
        "error_code": "429",
        "error_message": "slow down",
        "llm_provider": "openai",
        "traceback": "File /srv/secret.py",
    }
    parameters = {"temperature": 0.5, "user": "u", "extra_headers": {"Authorization": "x"}}

    got = read(status="failure", error_information=information, model_parameters=parameters)

    assert got.error is not None
    assert (got.error.type, got.error.code, got.error.message) == ("RateLimitError", "429", "slow down")
    assert got.error.parameters == {"temperature": 0.5}
    assert (got.provider, got.error.occurred_at) == ("openai", datetime(2026, 11, 22, 10, 0, 1, 500000, UTC))
    assert "secret.py" not in repr(got)


def test_failure_without_information() -> None:
    """A failure that says `None` everywhere still is one."""
    information = {"error_class": "None", "error_code": "None", "error_message": "None", "normalized_error": "500_X"}

    got = read(status="failure", error_information=information, error_str="it broke", endTime=None)

    assert got.error is not None
    assert (got.error.type, got.error.code, got.error.message) == ("unknown", "500_X", "it broke")


def test_content_is_dropped_counted_and_searched_for_echoes() -> None:
    """Prompts, answers and what metadata quotes are counted by name; names that nobody knows are not repeated."""
    facts = {
        "messages": [{"content": "a prompt of some length"}],
        "response": {"text": "an answer of some length"},
        "metadata": {"requester_metadata": {"note": "a note of some length"}},
        "autorouter_secret_name": 1,
        "guardrail_information": None,
    }
    dropped = {"messages": 1, "response": 1, "metadata.requester_metadata": 1, "unknown": 1}

    assert (read(**facts).dropped, read(**facts).content) == (dropped, [])
    assert sorted(read(status="failure", **facts).content) == [
        "a note of some length",
        "a prompt of some length",
        "an answer of some length",
    ]


def test_legacy_form_is_refused() -> None:
    """`generic_api_use_v1` turns every value into the text of its Python form: it cannot be read exactly."""
    legacy = {name: str(value) for name, value in ENTRY.items()} | {"modelParameters": "{'temperature': 0}"}

    assert "generic_api_use_v1" in reason(**legacy)
    assert "generic_api_use_v1" in reason(metadata="{'user_api_key_hash': None}")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"null", "the row is null"),
        (b"[1]", "the row must be a JSON object"),
        (b"{", "the row is not valid JSON"),
        (json.dumps(ENTRY | {"status": "x"}).encode(), "`status` must be `success` or `failure`"),
        (json.dumps(ENTRY | {"response_cost": -1}).encode(), "`response_cost` is negative"),
        (json.dumps(ENTRY | {"response_cost": 1e300}).encode(), "`response_cost` must be below 10^15"),
        (
            json.dumps(ENTRY)[:-1].encode() + b', "response_cost": 1e99999999999999999999}',
            "`response_cost` cannot be read",
        ),
        (
            json.dumps(ENTRY | {"model": "a\0"}).encode(),
            "`model` is too long, holds a NUL character, or lost characters on the way (U+FFFD)",
        ),
    ],
)
def test_entries_that_cannot_be_taken(row: bytes, said: str) -> None:
    """An entry is refused with the field and the reason."""
    outcome = read_entry(row)

    assert isinstance(outcome, Rejection)
    assert outcome.reason == said
