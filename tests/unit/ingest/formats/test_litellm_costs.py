"""What LiteLLM says that a call cost: zeros that are none, parts that sum, figures that are no figures."""

import json
from decimal import Decimal
from typing import Any

import pytest

from policies import Report
from service.ingest.formats.litellm.adapter import read_entry

ENTRY: dict[str, Any] = {
    "litellm_call_id": "call-1",
    "call_type": "acompletion",
    "status": "success",
    "model": "gpt-4o",
    "custom_llm_provider": "openai",
    "startTime": 1795341600.25,
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "response_cost": 0.0,
}
UNMAPPED = {"error_str": "This model isn't mapped yet.", "custom_pricing": False}


def read_text(text: str) -> Report:
    outcome = read_entry(text.encode())
    assert isinstance(outcome, Report), outcome
    return outcome


def read(**facts: Any) -> Report:
    return read_text(json.dumps(ENTRY | facts))


def priced(key: str = "gpt-4o", **prices: Any) -> dict[str, Any]:
    return {"model_map_key": "gpt-4o", "model_map_value": {"key": key, **prices}}


FREE = priced(input_cost_per_token=0.0, output_cost_per_token=0.0)
FILLED_IN = priced(input_cost_per_token=0, output_cost_per_token=0)


@pytest.mark.parametrize(
    "facts",
    [
        {"response_cost_failure_debug_info": UNMAPPED},
        {"response_cost_failure_debug_info": UNMAPPED, "status": "failure"},
        {"model_map_information": {"model_map_key": "", "model_map_value": None}},
        {"model_map_information": FILLED_IN},
        {"model_map_information": priced(input_cost_per_token=0.0, output_cost_per_token=0.00001)},
        {"model_map_information": FREE, "zero_cost_diagnostic": {"reason": "missing_pricing_key"}},
        {"call_type": "image_generation", "prompt_tokens": 0, "completion_tokens": 0},
        {"call_type": "arerank", "prompt_tokens": None, "completion_tokens": None},
        {},
    ],
)
def test_a_zero_that_litellm_could_not_price_is_unknown(facts: dict[str, Any]) -> None:
    """The report has no amount, so that a price list may estimate it; a whole `0` is LiteLLM's word for no price."""
    got = read(**facts)

    assert (got.amount, got.currency, got.amount_source, got.amount_parts) == (None, None, None, None)


@pytest.mark.parametrize(
    "facts",
    [
        {"cache_hit": True},
        {"cache_hit": True, "response_cost_failure_debug_info": UNMAPPED},
        {"status": "failure", "prompt_tokens": 0, "completion_tokens": 0},
        {"model_map_information": FREE},
        {"model_map_information": priced("d-1", input_cost_per_token=0, output_cost_per_token=0), "model_id": "d-1"},
        {"custom_llm_provider": "ollama", "model": "llama3"},
        {"custom_llm_provider": "openrouter", "model": "openrouter/meta/llama:free"},
        {"call_type": "amoderation", "prompt_tokens": 0, "completion_tokens": 0},
        {"call_type": "afile_content", "response_cost_failure_debug_info": UNMAPPED},
        {"call_type": "acreate_batch", "response_cost_failure_debug_info": UNMAPPED},
    ],
)
def test_a_zero_that_is_one_stays(facts: dict[str, Any]) -> None:
    """Answers from the cache, failures before the provider, free models and what asks for no model's work."""
    got = read(**facts)

    assert (got.amount, got.currency, got.amount_source) == (Decimal(0), "USD", "REPORTED")


COSTS = {
    "input_cost": 0.002615,
    "output_cost": 0.003,
    "cache_read_cost": 0.0024000000000000002,
    "reasoning_cost": 0.00128,
}
USAGE = {"prompt_tokens_details": {"cached_tokens": 1920}, "completion_tokens_details": {"reasoning_tokens": 128}}


def test_cache_and_reasoning_are_inside_the_rest() -> None:
    """Each part is what it adds, with how many tokens and the price of one."""
    got = read(response_cost=0.005615, cost_breakdown=COSTS, usage=USAGE)

    assert [(p.meter, p.amount, p.quantity, p.unit_price) for p in got.amount_parts or []] == [
        ("input", Decimal("0.000215"), 86, Decimal("0.0000025")),
        ("cache_read", Decimal("0.0024"), 1920, Decimal("0.00000125")),
        ("output", Decimal("0.00172"), 172, Decimal("0.00001")),
        ("reasoning", Decimal("0.00128"), 128, Decimal("0.00001")),
    ]


@pytest.mark.parametrize(
    ("amount", "costs", "parts"),
    [
        # As LiteLLM's types say it: the cache beside the input.
        (0.6, {"input_cost": 0.1, "cache_read_cost": 0.2, "output_cost": 0.3},
         {"input": "0.1", "cache_read": "0.2", "output": "0.3"}),
        (0.3, {"input_cost": 0.1, "cache_creation_cost": 0.2}, {"input": "0.1", "cache_write": "0.2"}),
        (0.4, {"input_cost": 0.1, "output_cost": 0.1, "tool_usage_cost": 0.05, "guardrail_cost": 0.05,
               "additional_costs": {"router": 0.06, "other": 0.04}},
         {"input": "0.1", "output": "0.1", "tools": "0.05", "guardrail": "0.05", "other": "0.1"}),
        (0.11, {"input_cost": 0.1, "discount_amount": 0.01, "margin_total_amount": 0.02, "original_cost": 0.1},
         {"input": "0.1", "discount": "-0.01", "margin": "0.02"}),
        (0.1, {"input_cost": 0.1, "reasoning_cost": 0.2}, {"input": "0.1"}),
        # The rounding of a last place is put to the largest.
        ("0.000000000333", {"input_cost": 1.114e-10, "output_cost": 2.214e-10},
         {"input": "0.000000000111", "output": "0.000000000222"}),
        (0.4, {"input_cost": 0.1, "output_cost": 0.1}, None),
        (0.1, {"input_cost": 0.1, "output_cost": "much"}, None),
        (0.1, {"input_cost": 0.1, "additional_costs": {"a": "much"}}, None),
        (0.1, {"total_cost": 0.1}, None),
        (0.1, {}, None),
        (0.1, None, None),
    ],
)  # fmt: skip
def test_parts_sum_to_the_amount_or_are_not_given(amount: Any, costs: Any, parts: dict[str, str] | None) -> None:
    """Whatever the breakdown holds, what is shown of it is the amount."""
    got = read(response_cost=amount, cost_breakdown=costs)

    assert (got.amount_parts and {part.meter: f"{part.amount:f}" for part in got.amount_parts}) == parts
    if got.amount_parts:
        assert sum(part.amount for part in got.amount_parts) == got.amount


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ('"response_cost": -0.5', "response_cost"),
        ('"response_cost": 1e300', "response_cost"),
        ('"response_cost": 1e99999999999999999999', "response_cost"),
        ('"response_cost": "free"', "response_cost"),
        ('"response_cost": [1]', "response_cost"),
        ('"response_cost": 0.5, "cost_breakdown": {"input_cost": 1e999}', "cost_breakdown"),
        ('"response_cost": 0.5, "prompt_tokens": -1', "prompt_tokens"),
        ('"response_cost": 0.5, "completion_tokens": 1.5', "completion_tokens"),
        ('"response_cost": 0.5, "usage": {"prompt_tokens_details": {"cached_tokens": "x"}}', "cached_tokens"),
        ('"response_cost": 0.5, "endTime": "yesterday"', "endTime"),
    ],
)
def test_a_figure_that_is_none_costs_itself_alone(text: str, dropped: str) -> None:
    """The call is taken without the figure, which the answer counts by its name."""
    got = read_text(json.dumps(ENTRY)[:-1] + f", {text}}}")

    assert got.dropped.get(dropped) == 1
    assert got.amount == (None if dropped == "response_cost" else Decimal("0.5"))
    assert got.amount_parts is None


def test_a_discount_of_everything_is_a_true_zero() -> None:
    """LiteLLM had a price and took all of it off: the call cost nothing, and is not estimated at its full price."""
    breakdown = {"original_cost": 0.005615, "discount_amount": 0.005615, "discount_percent": 1.0, "total_cost": 0.0}

    assert read(cost_breakdown=breakdown).amount == 0
    assert read(cost_breakdown=breakdown | {"discount_amount": 0.001}).amount is None


def test_less_than_the_last_place_is_no_unknown_cost() -> None:
    """A cost that was reported and is below twelve places is zero, and not replaced by an estimate."""
    report = read(response_cost=1.5e-13)

    assert (report.amount, report.amount_source) == (0, "REPORTED")
