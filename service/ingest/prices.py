"""Amounts for calls that come without one: estimated from a price list, and marked so."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final

from policies.report import Report
from service.ingest.money import PLACES

_QUANTUM: Final = Decimal(1).scaleb(-PLACES)
_MILLION: Final = Decimal(1_000_000)
_SNAPSHOT: Final = re.compile(r"-(?:20[0-9]{2}-[0-9]{2}-[0-9]{2}|20[0-9]{6})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one model in the list's currency, for a million tokens of each kind."""

    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal


@dataclass(frozen=True, slots=True)
class PriceList:
    """Prices by model name, as they were on `as_of`."""

    as_of: date
    currency: str
    models: Mapping[str, Price]

    def price(self, name: str) -> Price | None:
        """The price of `openai/gpt-4o-2024-11-20`: as it is, without the provider, or without the snapshot's date."""
        bare = name.rpartition("/")[2].lower()
        return self.models.get(bare) or self.models.get(_SNAPSHOT.sub("", bare))

    def estimate(self, report: Report) -> None:
        """Give the report an amount marked ESTIMATED, unless it has one, corrects another, or cannot be priced.

        A failed call without output is not priced: providers do not bill it.
        """
        if report.amount is not None or report.corrects is not None or report.input_tokens is None:
            return
        if report.currency not in (None, self.currency) or (report.failed and not report.output_tokens):
            return
        price = (self.price(report.served_model) if report.served_model else None) or self.price(report.model)
        if price is not None:
            report.amount = _amount(price, report)
            report.currency = self.currency
            report.amount_source = "ESTIMATED"


def read_price_list(text: str) -> PriceList:
    """A price list from TOML: `as_of`, `currency`, and `[models]` with decimal strings."""
    document = tomllib.loads(text)
    models = {name.lower(): _price(entry) for name, entry in document["models"].items()}
    return PriceList(document["as_of"], document["currency"], models)


def shipped_price_list() -> PriceList:
    """The list that comes with calledger."""
    return read_price_list(files("service.ingest").joinpath("prices.toml").read_text("utf-8"))


def _price(entry: Mapping[str, Any]) -> Price:
    full = Decimal(entry["input"])
    return Price(
        full,
        Decimal(entry.get("cached", full)),
        Decimal(entry.get("cache_write", full)),
        Decimal(entry["output"]),
    )


def _amount(price: Price, report: Report) -> Decimal:
    read, written = report.cache_read_tokens or 0, report.cache_write_tokens or 0
    fresh = max((report.input_tokens or 0) - read - written, 0)
    total = fresh * price.input + read * price.cache_read + written * price.cache_write
    total += (report.output_tokens or 0) * price.output
    amount = (total / _MILLION).quantize(_QUANTUM).normalize()
    return amount.quantize(Decimal(1)) if amount.as_tuple().exponent > 0 else amount  # type: ignore[operator]
