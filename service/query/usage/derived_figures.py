"""Figures that are worked out from sums, exactly: pure."""

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

_PLACES: Final = Decimal(1).scaleb(-12)
# Sums may have more digits than the places of one amount.
_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)


def exact(amount: Decimal) -> Decimal:
    """The same amount; zero without a sign."""
    return _EXACT.add(amount, Decimal(0))


def _quotient(dividend: Decimal, divisor: Decimal) -> Decimal:
    # Added to zero: a quotient that rounds to nothing has no sign.
    return _EXACT.add(_EXACT.quantize(_EXACT.divide(dividend, divisor), _PLACES), Decimal(0))


def _token_efficiency(sums: Mapping[str, Decimal]) -> float | None:
    return float(sums["output_tokens"] / sums["input_tokens"]) if sums["input_tokens"] else None


def _average_cost(sums: Mapping[str, Decimal]) -> Decimal | None:
    return _quotient(sums["amount"], sums["priced"]) if sums["priced"] else None


def _per_thousand(sums: Mapping[str, Decimal]) -> Decimal | None:
    if not sums["priced"] or not sums["output_tokens"]:
        return None
    return _quotient(_EXACT.multiply(sums["amount"], Decimal(1000)), sums["output_tokens"])


def _wasted(sums: Mapping[str, Decimal]) -> Decimal | None:
    return exact(sums["wasted"]) if sums["priced"] or sums["wasted"] else None


def _estimated_share(sums: Mapping[str, Decimal]) -> float | None:
    if not sums["priced"] or not sums["amount"]:
        return None
    # A correction may be negative, and take the rest below what was estimated.
    return float(min(max(sums["estimated"] / sums["amount"], Decimal(0)), Decimal(1)))


def _without_amount(sums: Mapping[str, Decimal]) -> int:
    return int(sums["calls"] - sums["priced"])


WORKED_OUT: Final[Mapping[str, Callable[[Mapping[str, Decimal]], float | Decimal | int | None]]] = {
    "tokenEfficiency": _token_efficiency,
    "averageCost": _average_cost,
    "costPerThousandOutputTokens": _per_thousand,
    "wastedOnFailures": _wasted,
    "estimatedShare": _estimated_share,
    "callsWithoutAmount": _without_amount,
}
"""Figure of the schema -> how it follows from the sums that `costs.NEEDS` names; None: it does not exist."""
