"""Amounts for calls that come without one: estimated from price lists, in parts, and marked so.

Lists are asked in their order. In a list the model that answered is looked for before the one that was asked for, an
entry of the call's provider before one of any, and of these the one that is in force when the call starts. Where there
is no price there is no amount, and the report says why.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Final

from policies.admission.report import AmountPart, AmountUnknown, Report
from service.ingest.formats.scalars import AMOUNT_LIMIT, PLACES
from service.ingest.prices.model_names import names_of

TOKENS: Final = ("input", "output", "cache_read", "cache_write", "reasoning")
"""Kinds of tokens, as fields of a price."""

_BATCH: Final = "batch"
_EVER: Final = datetime.min.replace(tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_KNOWN_MAX: Final = 4096
_EXACT: Final = Context(prec=80, rounding=ROUND_HALF_EVEN)
_QUANTUM: Final = Decimal(1).scaleb(-PLACES)
_SHOWN_QUANTUM: Final = Decimal(1).scaleb(-15)
"""A unit price is shown to as many places: a second at a price of an hour has no end of them."""
MEDIA: Final = frozenset(
    ("transcription", "translation", "speech", "realtime", "image_generation", "image_edit", "video_generation")
)
"""Operations whose tokens are not of text alone."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one model's use costs from `start` until `end`, not included: of one token of each kind, of one call, and of
    one of each unit. `provider` None: of any.

    `hours`: only at these times of the UTC day, from the first until the second, which may be on the next day. `over`:
    the prices of a call whose input is larger than so many tokens, all of them; the smallest first. `batch`: what holds
    for a batch, None where that is not known: the full price would be wrong. `text_only`: not for calls whose tokens
    are of sound or pictures.
    """

    model: str
    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    reasoning: Decimal
    request: Decimal = Decimal(0)
    units: Mapping[str, Decimal] = field(default_factory=dict[str, Decimal])
    batch: "Price | None" = None
    provider: str | None = None
    start: datetime = _EVER
    end: datetime = _NEVER
    hours: tuple[time, time] | None = None
    over: tuple[tuple[int, "Price"], ...] = ()
    text_only: bool = False

    def is_in_force(self, moment: datetime) -> bool:
        """Whether the price holds for a call that starts then, in UTC."""
        if not self.start <= moment < self.end:
            return False
        if self.hours is None:
            return True
        start, end = self.hours
        now = moment.time()
        return start <= now < end if start < end else now >= start or now < end

    def of(self, report: Report) -> "Price | None":
        """The prices of this call: of a batch, of so much input; None where they are not known."""
        price = self.batch if report.operation == _BATCH else self
        if price is None or (price.text_only and report.operation in MEDIA):
            return None
        tokens = report.input_tokens or 0
        return next((dearer for above, dearer in reversed(price.over) if tokens > above), price)


class PriceList:
    """Prices in one currency. `version`: the list's name and what it was made of, `acme-2026@3f2a9c0d11aa`."""

    def __init__(self, version: str, currency: str, prices: Sequence[Price]) -> None:
        self.version = version
        self.currency = currency
        self.prices = tuple(prices)
        self._entries: dict[tuple[str, str | None], list[Price]] = {}
        for price in prices:
            self._entries.setdefault((price.model, price.provider), []).append(price)
        for entries in self._entries.values():
            entries.sort(key=lambda price: price.hours is None)  # what holds at an hour, before what holds at any
        self._known: dict[tuple[str | None, str, str | None], tuple[Price, ...]] = {}

    def price(self, report: Report) -> Price | None:
        """The price of a call, or None."""
        lookup = (report.served_model, report.model, report.provider)
        candidates = self._known.get(lookup)
        if candidates is None:
            if len(self._known) >= _KNOWN_MAX:
                self._known.clear()
            candidates = self._known[lookup] = tuple(self._candidates(*lookup))
        started_at = report.started_at
        return next((price for price in candidates if price.is_in_force(started_at)), None)

    def _candidates(self, served: str | None, lookup: str, provider: str | None) -> Iterator[Price]:
        """Entries in the order in which they are taken."""
        whose = provider.lower() if provider else None
        for model in (served, lookup):
            for name in names_of(model) if model else ():
                if whose is not None:
                    yield from self._entries.get((name, whose), ())
                yield from self._entries.get((name, None), ())


class Prices:
    """Price lists in the order in which they are asked."""

    def __init__(self, *lists: PriceList) -> None:
        self.lists = lists

    def estimate(self, report: Report) -> None:
        """Give the report an amount marked ESTIMATED, or the reason why it has none.

        Nothing is done to a report that has an amount, corrects another, or has one that cannot be read. A failed call
        without output is not priced: most providers do not bill it.
        """
        if report.amount is not None or report.corrects is not None:
            return
        if report.amount_unknown not in (None, "NOT_REPORTED"):
            return
        if report.failed and not report.output_tokens:
            report.amount_unknown = "NOT_REPORTED"
            return
        report.amount_unknown = self._price(report)

    def _price(self, report: Report) -> AmountUnknown | None:
        """Price the report by the first list that has its model; what is in the way of it, or None."""
        for prices in self.lists:
            if report.currency not in (None, prices.currency):
                continue
            price = prices.price(report)
            if price is None:
                continue
            price = price.of(report)
            if price is None:
                return "NOT_PRICED"
            parts = parts_of(price, report, prices.version)
            if not parts:
                return "NOT_REPORTED"
            amount = sum((part.amount for part in parts), Decimal(0))
            if amount >= AMOUNT_LIMIT:
                return "NOT_PRICED"
            report.amount = amount
            report.currency = prices.currency
            report.amount_source = "ESTIMATED"
            report.amount_parts = parts
            return None
        return "NOT_PRICED"


def parts_of(price: Price, report: Report, version: str) -> list[AmountPart]:
    """What the call used, at its prices. Empty when the report does not say all that is priced."""
    if report.input_tokens is None and (price.input or price.output):
        return []
    used = [*_tokens(price, report), *_units(price, report)]
    if price.request:
        used.append(("request", Decimal(1), price.request))
    return [
        AmountPart(meter, _product(quantity, unit_price), quantity, _shown(unit_price), version)
        for meter, quantity, unit_price in used
        if quantity or len(used) == 1
    ]


def _tokens(price: Price, report: Report) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Meter, quantity and unit price. The total of the tokens is what is billed: parts that exceed it are reduced."""
    if report.input_tokens is None:
        return
    read, written = report.cache_read_tokens or 0, report.cache_write_tokens or 0
    yield "input", Decimal(max(report.input_tokens - read - written, 0)), price.input
    if read:
        yield "cache_read", Decimal(read), price.cache_read
    if written:
        yield "cache_write", Decimal(written), price.cache_write
    answered = report.output_tokens or 0
    reasoned = 0 if price.reasoning == price.output else min(report.reasoning_tokens or 0, answered)
    if answered > reasoned:
        yield "output", Decimal(answered - reasoned), price.output
    if reasoned:
        yield "reasoning", Decimal(reasoned), price.reasoning


def _units(price: Price, report: Report) -> Iterator[tuple[str, Decimal, Decimal]]:
    """What was used beside tokens, as far as it has a price."""
    attributes = report.attributes if price.units else None
    units = attributes.units if attributes is not None else None
    for name, quantity in (units or {}).items():
        if name in price.units:
            yield name, quantity, price.units[name]


def _shown(unit_price: Decimal) -> Decimal:
    exponent = unit_price.as_tuple().exponent
    long = isinstance(exponent, int) and exponent < -15
    return unit_price.quantize(_SHOWN_QUANTUM, context=_EXACT) if long else unit_price


def _product(quantity: Decimal, unit_price: Decimal) -> Decimal:
    """To twelve decimal places, without needless zeros and without an exponent."""
    amount = _EXACT.multiply(quantity, unit_price).quantize(_QUANTUM, context=_EXACT).normalize(_EXACT)
    return amount.quantize(Decimal(1)) if amount.as_tuple().exponent > 0 else amount  # pyright: ignore[reportOperatorIssue] - finite
