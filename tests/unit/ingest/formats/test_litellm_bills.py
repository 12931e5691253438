"""Batches and answers made in the background: one bill however often they are asked for, and a model for each."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from policies import Report
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.prices.price_file import shipped_prices
from service.ingest.prices.price_list import Prices

POLLED = 1795966763.25  # 2026-11-29 15:39:23
CREATED = 1795962763  # 2026-11-29 14:32:43
USAGE = {"prompt_tokens": 2000, "completion_tokens": 1000}
POLL: dict[str, Any] = {
    "id": "batch_abc",
    "litellm_call_id": "poll-1",
    "call_type": "aretrieve_batch",
    "status": "success",
    "model": "",
    "startTime": POLLED,
    "endTime": POLLED + 1,
    "response_cost": 0.00045,
    "prompt_tokens": 2000,
    "completion_tokens": 1000,
    "metadata": {"usage_object": USAGE},
    "response": {"id": "batch_abc", "created_at": CREATED, "object": "batch"},
    "hidden_params": {"batch_models": ["gpt-4o-mini", "gpt-4o-mini"], "batch_successful_requests": 2},
}


def read(**facts: Any) -> Report:
    outcome = read_entry(json.dumps(POLL | facts).encode())
    assert isinstance(outcome, Report), outcome
    return outcome


def key(report: Report) -> tuple[Any, ...]:
    """What a call is found by, and what makes a second report of it the same."""
    return report.source_id, report.started_at, report.model, report.input_tokens, report.output_tokens, report.amount


def test_every_poll_of_a_finished_batch_is_the_same_call() -> None:
    """Another LiteLLM id, another time of the poll, a creation a second off: the same bill."""
    polls = [
        read(),
        read(litellm_call_id="poll-2", startTime=POLLED + 3600, endTime=POLLED + 3601),
        read(litellm_call_id="poll-3", response=POLL["response"] | {"created_at": CREATED + 1}),
    ]

    assert {key(poll) for poll in polls} == {
        ("batch_abc", datetime(2026, 11, 29, 14, 30, tzinfo=UTC), "gpt-4o-mini", 2000, 1000, Decimal("0.00045"))
    }
    assert (polls[0].operation, polls[0].latency_ms, polls[0].attributes.units) == ("batch", None, {"requests": 2})


def test_a_batch_without_a_cost_is_estimated_at_half() -> None:
    """What LiteLLM could not price is priced here as the provider prices a batch."""
    got = read(response_cost=0.0, cost_breakdown=None)
    Prices(shipped_prices()).estimate(got)

    assert (got.operation, got.amount, got.amount_source) == ("batch", Decimal("0.00045"), "ESTIMATED")


def test_a_redacted_batch_is_one_bill_too() -> None:
    """Without the answer the time is in OpenAI's id; of another id it is the day of the poll."""
    hidden = {"response": {"text": "redacted-by-litellm"}}
    dated = f"batch_{CREATED:08x}{'0a1b' * 6}"

    assert read(**hidden, id=dated).started_at == datetime(2026, 11, 29, 14, 30, tzinfo=UTC)
    assert read(**hidden).started_at == datetime(2026, 11, 29, tzinfo=UTC)
    assert key(read(**hidden)) == key(read(**hidden, litellm_call_id="poll-2", startTime=POLLED + 60))


@pytest.mark.parametrize("created_at", [None, True, "soon", -1, 10**12, CREATED + 10**6, 5])
def test_a_time_that_cannot_be_is_not_believed(created_at: Any) -> None:
    """Whatever an answer says of its time, the bill has one that it can be stored under."""
    got = read(response={"created_at": created_at})

    assert got.started_at == datetime(2026, 11, 29, tzinfo=UTC)


def test_a_poll_without_a_result_costs_nothing() -> None:
    """It is a call of its own, at its own time, and no bill."""
    unfinished = {"response_cost": 0.0, "prompt_tokens": 0, "completion_tokens": 0, "metadata": {"usage_object": {}}}
    got = read(**unfinished, response_cost_failure_debug_info={"error_str": "Model is None"})

    assert (got.source_id, got.operation, got.amount) == ("poll-1", "retrieve_batch", Decimal(0))
    assert got.started_at == datetime(2026, 11, 29, 15, 39, 23, 250000, tzinfo=UTC)


def test_a_batch_that_cannot_be_told_apart_keeps_its_money() -> None:
    """Without an id of the provider's the poll itself is the bill."""
    got = read(id="poll-1")

    assert (got.source_id, got.operation, got.amount) == ("poll-1", "retrieve_batch", Decimal("0.00045"))


@pytest.mark.parametrize(
    ("facts", "model"),
    [
        ({}, "gpt-4o-mini"),
        ({"model_group": "cheap"}, "cheap"),
        ({"model": "openai/gpt-4o", "custom_llm_provider": "openai"}, "gpt-4o"),
        ({"metadata": {"usage_object": USAGE | {"batch_usage_by_model": {"o4-mini": {}}}}}, "o4-mini"),
        ({"hidden_params": {"batch_models": ["a", "b"]}}, "several"),
        ({"hidden_params": {}, "response": {"model": "gpt-4.1"}}, "gpt-4.1"),
        ({"hidden_params": {}, "model_map_information": {"model_map_key": "gpt-4.1"}}, "gpt-4.1"),
        ({"hidden_params": {}}, "none"),
        ({"hidden_params": {"batch_models": [None, 5, {}]}}, "5"),
        ({"model": "batch_abc", "hidden_params": {"batch_models": ["batch_abc"]}}, "none"),
    ],
)
def test_the_model_is_where_the_payload_has_it(facts: dict[str, Any], model: str) -> None:
    """The router's group, the model, those of the batch, the answer's; a call without any has a word for it."""
    assert read(**facts).model == model


@pytest.mark.parametrize("call_type", ["acreate_batch", "afile_content", "aget_responses", "acancel_batch"])
def test_calls_without_a_model_are_taken(call_type: str) -> None:
    """What asks for no model's work is shown, and costs nothing."""
    got = read(call_type=call_type, hidden_params={}, response_cost=0.0, prompt_tokens=0, completion_tokens=0)

    assert (got.model, got.amount, got.source_id) == ("none", Decimal(0), "poll-1")


ANSWER = {"id": "resp_1", "call_type": "aget_responses", "hidden_params": {}}


def test_an_answer_that_is_read_again_is_not_billed_again() -> None:
    """It has its bill from the call that made it: what it says of its cost is left out, and counted."""
    got = read(**ANSWER, response={"model": "gpt-4o", "created_at": CREATED})

    assert (got.source_id, got.operation, got.model) == ("poll-1", "retrieve_response", "gpt-4o")
    assert (got.amount, got.amount_parts, got.dropped["response_cost"]) == (Decimal(0), None, 1)


def test_an_answer_made_in_the_background_is_billed_once() -> None:
    """The call that ordered it had no usage yet: the first poll with the result brings the bill."""
    response = {"model": "gpt-4o", "created_at": CREATED, "background": True}
    polls = [read(**ANSWER, response=response), read(**ANSWER, response=response, litellm_call_id="poll-2")]

    assert {key(poll) for poll in polls} == {
        ("resp_1", datetime(2026, 11, 29, 14, 30, tzinfo=UTC), "gpt-4o", 2000, 1000, Decimal("0.00045"))
    }
    assert polls[0].operation == "responses"
