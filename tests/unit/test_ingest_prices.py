"""Estimates from the price list."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from policies import Report
from service.ingest.prices import read_price_list, shipped_price_list

PRICES = read_price_list(
    """
    as_of = 2026-01-01
    currency = "USD"
    [models]
    "model-a" = { input = "2", cached = "0.5", cache_write = "2.5", output = "8" }
    "model-a-2024-05-13" = { input = "4", output = "16" }
    """
)


def estimate(**facts: Any) -> Report:
    call = {"model": "model-a", "failed": False, "input_tokens": 1000, "output_tokens": 10} | facts
    report = Report(source="native", source_id="a", started_at=datetime(2026, 1, 1, tzinfo=UTC), **call)
    PRICES.estimate(report)
    return report


def test_each_kind_of_token_has_its_price() -> None:
    """Cache reads and writes are part of the input and cost what they cost."""
    got = estimate(cache_read_tokens=600, cache_write_tokens=100)

    assert got.amount == (300 * Decimal(2) + 600 * Decimal("0.5") + 100 * Decimal("2.5") + 10 * Decimal(8)) / 1_000_000
    assert (got.currency, got.amount_source) == ("USD", "ESTIMATED")


@pytest.mark.parametrize(
    ("facts", "amount"),
    [
        ({"model": "openai/Model-A"}, "0.00208"),
        ({"model": "model-a-2025-01-02"}, "0.00208"),
        ({"model": "model-a-20250102"}, "0.00208"),
        ({"model": "model-a-2024-05-13"}, "0.00416"),
        ({"model": "fast", "served_model": "model-a-2024-05-13"}, "0.00416"),
        ({"output_tokens": None}, "0.002"),
        ({"input_tokens": 0, "output_tokens": 0}, "0"),
    ],
)
def test_models_are_found(facts: dict[str, Any], amount: str) -> None:
    """The served model is priced before the one asked for, a snapshot before the model without its date."""
    assert estimate(**facts).amount == Decimal(amount)


@pytest.mark.parametrize(
    "facts",
    [
        {"model": "model-b"},
        {"model": "model-a-mini"},
        {"input_tokens": None},
        {"currency": "EUR"},
        {"corrects": "call_x"},
        {"failed": True, "output_tokens": 0},
        {"failed": True, "output_tokens": None},
    ],
)
def test_what_cannot_be_priced_has_no_amount(facts: dict[str, Any]) -> None:
    """On doubt there is no figure, rather than a wrong one."""
    got = estimate(**facts)

    assert (got.amount, got.amount_source) == (None, None)


def test_reported_amount_is_left_alone() -> None:
    """An amount that came, nothing included, is not estimated over."""
    got = estimate(amount=Decimal(0), currency="USD", amount_source="BILLED")

    assert (got.amount, got.amount_source) == (0, "BILLED")


def test_shipped_list_is_whole() -> None:
    """Every shipped price is positive, a cached token never dearer than a fresh one."""
    prices = shipped_price_list()

    assert len(prices.models) >= 12
    for price in prices.models.values():
        assert 0 < price.cache_read <= price.input <= price.cache_write
        assert price.output >= 0
