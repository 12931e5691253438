"""Parts of an amount: they sum to it to the last digit, or there are none."""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from msgspec import Struct

from policies.admission.report import AmountPart
from service.ingest.formats.scalars import PLACES, without_zeros

_QUANTUM: Final = Decimal(1).scaleb(-PLACES)
_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
_ROUNDED: Final = Decimal(1).scaleb(-6)
_UNIT_PLACES: Final = Decimal(1).scaleb(-15)


class Portion(Struct, frozen=True, gc=False):
    """What a report says of one part: its money, and how many units of it there were."""

    meter: str
    amount: Decimal
    quantity: int | None = None


def sums_to(amount: Decimal | None, parts: Iterable[AmountPart]) -> bool:
    """Whether the parts are those of the amount."""
    return amount is not None and sum((part.amount for part in parts), Decimal(0)) == amount


def multiplies(part: AmountPart) -> bool:
    """Whether quantity x unit price is the part's amount, by a hundredth or a millionth that a gateway rounded."""
    if part.quantity is None or part.unit_price is None:
        return True
    off = abs(_EXACT.multiply(part.quantity, part.unit_price) - part.amount)
    return off <= max(abs(part.amount) / 100, _ROUNDED)


def parts_of(amount: Decimal, portions: Sequence[Portion]) -> list[AmountPart] | None:
    """The portions that are not nothing as parts; None when they are not the amount.

    Each may be off by the rounding of its last place: what is missing by that is put to the largest.
    """
    some = [portion for portion in portions if portion.amount]
    missing = amount
    for portion in some:
        missing -= portion.amount
    if not missing:
        return [_part(portion, portion.amount) for portion in some] or None
    if abs(missing) > len(some) * _QUANTUM:
        return None
    largest = max(some, key=lambda portion: abs(portion.amount))
    return [_part(portion, portion.amount + (missing if portion is largest else 0)) for portion in some]


def _part(portion: Portion, amount: Decimal) -> AmountPart:
    amount = without_zeros(amount, _EXACT)
    if not portion.quantity:
        return AmountPart(portion.meter, amount)
    quantity = Decimal(portion.quantity)
    price = _EXACT.divide(amount, quantity)
    exact = price == _EXACT.quantize(price, _UNIT_PLACES)
    return AmountPart(portion.meter, amount, quantity, without_zeros(price, _EXACT) if exact else None)
