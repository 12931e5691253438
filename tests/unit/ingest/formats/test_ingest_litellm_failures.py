"""What of a LiteLLM payload is an error, what is left out with a word, and what cannot be taken."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from litellm_entry import ENTRY, read, reason

from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.split import Rejection


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


USAGE = {"prompt_tokens": 2006, "completion_tokens": 10}
BILLED = {"response_cost": 0.5, "usage": USAGE, **USAGE}


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({**BILLED, "cost_breakdown": {"input_cost": 0.5, "cache_read_cost": -5.0}}, "cost_breakdown.cache_read_cost"),
        ({**BILLED, "cost_breakdown": {"input_cost": -0.5, "output_cost": 1}}, "cost_breakdown.input_cost"),
        ({**BILLED, "cost_breakdown": {"input_cost": 0.1, "output_cost": 0.1}}, "cost_breakdown"),
        ({**BILLED, "cost_breakdown": {"input_cost": "a lot"}}, "cost_breakdown"),
        ({**BILLED, "cache_hit": "True"}, "cache_hit"),
        ({**BILLED, "cache_hit": 1}, "cache_hit"),
        ({**BILLED, "stream": "yes"}, "stream"),
        ({**BILLED, "usage": {**USAGE, "cache_read_input_tokens": 30940}}, "cached_tokens"),
        ({**BILLED, "usage": {**USAGE, "cache_creation_input_tokens": 30940}}, "cache_creation_tokens"),
        ({**BILLED, "usage": {**USAGE, "cache_read_input_tokens": 2000, "cache_creation_input_tokens": 7}},
         "cached_tokens"),
        ({**BILLED, "usage": {**USAGE, "reasoning_tokens": 11}}, "reasoning_tokens"),
        ({"call_type": "aimage_generation", "model_parameters": {"n": -2}}, "units"),
        ({"endTime": 1795341599}, "endTime"),
        ({"endTime": 0}, "endTime"),
        ({"endTime": 0.0}, "endTime"),
        ({"stream": True, "completionStartTime": 0}, "completionStartTime"),
        ({"stream": True, "completionStartTime": 1795341599}, "completionStartTime"),
        ({"metadata": {"attempted_retries": -1}}, "attempted_retries"),
        ({"metadata": {"attempted_retries": "many"}}, "attempted_retries"),
        ({"request_tags": ["a:1", "a:2"]}, "request_tags"),
        ({"request_tags": [{"a": 1}]}, "request_tags"),
        ({"request_tags": [f"t{n}" for n in range(65)]}, "request_tags"),
        ({"request_tags": {"a": 1}}, "request_tags"),
    ],
)  # fmt: skip
def test_no_figure_is_left_out_without_a_word(facts: dict[str, Any], field: str) -> None:
    """What of a figure cannot be is said in a warning that names it, and counted; the call is taken."""
    got = read(**facts)
    assert got.dropped.get(field) == 1, got.dropped
    assert any(f"`{field}`" in warning for warning in got.warnings), got.warnings


def test_what_is_as_it_should_be_is_not_warned_of() -> None:
    """A payload whose figures fit together has no warning; nor have nulls, and zeros for what LiteLLM does not know."""
    usage = {**USAGE, "cache_read_input_tokens": 2000, "prompt_tokens_details": {"cached_tokens": 0}}
    costs = {"input_cost": 0.4, "output_cost": 0.1, "cache_read_cost": 0.0, "discount_amount": 0.0}
    got = read(
        **{**BILLED, "usage": usage},
        cost_breakdown=costs,
        cache_hit=None,
        request_tags=["a", "b:1", "b:1"],
        stream=None,
    )
    assert got.warnings == ()
    assert read(cache_hit="None", request_tags=None, cost_breakdown=None, usage=None).warnings == ()


def test_a_zero_whose_cache_hit_cannot_be_read_is_unknown() -> None:
    """An answer of the cache costs nothing: the full price would be false, and so may nothing be."""
    got = read(**{**BILLED, "response_cost": 0.0}, cache_hit="True")
    assert (got.amount, got.amount_unknown) == (None, "UNREADABLE")


@pytest.mark.parametrize("name", ["user_api_key_org_id", "user_api_key_team_id"])
@pytest.mark.parametrize("value", ["x" * 3000, "a\u0000b"])
def test_the_id_at_fault_is_the_one_that_is_named(name: str, value: str) -> None:
    """Where an account cannot be stored as it came, the reason names the field that it came in."""
    assert reason(metadata={name: value}).startswith(f"`{name}` is too long, holds a NUL")
