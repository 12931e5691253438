"""Prices of the genai-prices package, held against its own calculation."""

import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, __version__, calc_price
from genai_prices.data import providers

from policies import Attributes, Report
from service.ingest.prices.package_prices import package_prices
from service.ingest.prices.price_file import shipped_prices
from service.ingest.prices.price_list import Prices
from service.ingest.prices.price_sources import load_prices
from service.settings import load_settings

PRICES = Prices(package_prices())
EPOCH = datetime(2024, 6, 1, tzinfo=UTC)


def estimate(**facts: Any) -> Report:
    call = {"started_at": EPOCH, "failed": False, "input_tokens": 1000, "output_tokens": 10} | facts
    report = Report(source="native", source_id="a", **call)
    PRICES.estimate(report)
    return report


def test_every_model_costs_what_the_package_says() -> None:
    """At random times of nine hundred days, below and above each step, in a batch or not: to the twelfth place."""
    chance, compared = random.Random(15), 0
    for provider in providers:
        for model in provider.models:
            for _ in range(2):
                at = EPOCH + timedelta(minutes=chance.randrange(60 * 24 * 900))
                size = chance.choice((100, 5000, 150_000, 200_000, 250_000, 600_000))
                read, written, batch = chance.randrange(size // 2), chance.randrange(size // 4), chance.random() < 0.3
                counts = {"input_tokens": size, "output_tokens": 77, "cache_read_tokens": read}
                got = estimate(
                    model=model.id, provider=provider.id, started_at=at, operation="batch" if batch else "chat",
                    cache_write_tokens=written, **counts,
                )  # fmt: skip
                if got.amount is None:
                    continue
                usage = Usage(**counts, cache_write_tokens=written, cache_write_5m_tokens=written)
                context = {"processing": "batch"} if batch else None
                theirs = calc_price(
                    usage, model.id, provider_id=provider.id, genai_request_timestamp=at, price_context=context
                )
                assert abs(theirs.total_price - got.amount) < Decimal("5e-12"), (provider.id, model.id, at, batch)
                assert sum(part.amount for part in got.amount_parts or ()) == got.amount
                compared += 1
    assert compared > 2500


@pytest.mark.parametrize(
    ("facts", "meter", "amount", "unit_price"),
    [
        ({"model": "whisper-1", "units": {"seconds": "10"}}, "seconds", "0.001", "0.0001"),
        ({"model": "eleven_realtime_v1_mini", "units": {"seconds": "3600"}}, "seconds", None, None),
        ({"model": "tts-1", "units": {"characters": "1000"}}, "characters", "0.015", "0.000015"),
        ({"model": "claude-sonnet-4-5", "units": {"searches": "2"}}, "searches", "0.02", "0.01"),
    ],
)
def test_meters_of_the_package_are_those_of_calls(
    facts: dict[str, Any], meter: str, amount: str | None, unit_price: str | None
) -> None:
    """An hour, a million characters and a thousand searches become one second, character and search, exactly."""
    units = {name: Decimal(quantity) for name, quantity in facts["units"].items()}
    got = estimate(model=facts["model"], attributes=Attributes(units=units))

    part = next(part for part in got.amount_parts or () if part.meter == meter)
    assert part.price_list == f"genai-prices@{__version__}"
    if amount is not None:
        assert (part.amount, part.unit_price) == (Decimal(amount), Decimal(unit_price or 0))
    else:  # the price of an hour cannot be that of a second to its last digit: the amount of an hour still is it
        model = next(model for provider in providers for model in provider.models if model.id == facts["model"])
        assert part.amount == model.prices.audio_hours  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "facts",
    [
        {"model": "gpt-realtime", "provider": "openai"},
        {"model": "sonar-deep-research", "provider": "perplexity"},
        {"model": "whisper-large-v3", "provider": "groq", "attributes": Attributes(units={"seconds": Decimal(2)})},
        {"model": "gpt-4o-transcribe", "provider": "openai", "operation": "transcription"},
        {"model": "deepseek-r1:8b", "provider": "ollama"},
        {"model": "gpt-4o", "provider": "my-own-proxy"},
        {"model": "x" * 5000, "provider": "openrouter"},
        {"model": "gpt-5", "operation": "batch", "started_at": datetime(2026, 10, 1, tzinfo=UTC)},
    ],
)
def test_what_depends_on_more_than_a_call_says_is_left_out(facts: dict[str, Any]) -> None:
    """Sound by the token, citations, shortest lengths, servers of one's own, batches before their price is known."""
    got = estimate(**facts)

    assert (got.amount, got.amount_unknown) == (None, "NOT_PRICED")


@pytest.mark.parametrize(
    "facts",
    [
        {"model": "gpt-4o", "provider": "azure"},
        {"model": "gpt-4o"},
        {"model": "openai/gpt-4o"},
        {"model": "claude-sonnet-4-5", "provider": "vertex_ai"},
        {"model": "anthropic.claude-sonnet-4-5-20250929-v1:0", "provider": "bedrock_converse"},
        {"model": "alias", "served_model": "gpt-4o-20241120", "provider": "openai"},
    ],
)
def test_names_that_gateways_use_are_found(facts: dict[str, Any]) -> None:
    """A provider under LiteLLM's name, a provider before a slash, models that a cloud resells, days without hyphens."""
    assert estimate(**facts).amount


def test_the_lists_are_asked_in_the_order_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The own list before the shipped one before the package, unless the setting says otherwise."""
    assert [one.version for one in load_prices(load_settings()).lists] == [shipped_prices().version]

    monkeypatch.setenv("CALLEDGER_PRICE_SOURCES", "genai-prices, shipped")
    lists = load_prices(load_settings()).lists
    assert [one.version for one in lists] == [f"genai-prices@{__version__}", shipped_prices().version]


def test_nothing_is_fetched_and_a_missing_package_says_what_to_do(tmp_path: Path) -> None:
    """Without a network the prices are there; without the package there is one line that says what to install."""
    program = """
import sys, socket
def refuse(*_, **__): raise SystemExit("a socket was opened")
socket.socket.connect = refuse; socket.getaddrinfo = refuse; socket.create_connection = refuse
if sys.argv[1] == "missing": sys.modules["genai_prices"] = None
from service.ingest.prices.package_prices import PricesMissingError, package_prices
try: print(package_prices().version)
except PricesMissingError as error: print(error)
"""
    root = str(Path(__file__).resolve().parents[3])
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program, mode], capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": root}, cwd=tmp_path,
        ).stdout.strip()
        for mode in ("there", "missing")
    ]  # fmt: skip

    assert outputs[0] == f"genai-prices@{__version__}"
    assert "install the extra `prices`" in outputs[1]
