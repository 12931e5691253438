"""Two sides of the same calls, compared: what differs, and how. Pure.

Amounts are the same when they differ by no more than the tolerance, a share of the larger one, and by what the other
side may have rounded: half of the last place of each of its rows. Different currencies are never compared.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from service.reconcile.billed import STEP_ROWS, Billed, Keys, Singles, SumKey, Sums

EXAMPLES_MAX: Final = 5
FINDINGS_MAX: Final = 10_000
"""Kinds, days, models and currencies that a report lists; what is beyond is counted."""


class DifferenceKind(StrEnum):
    """How the two sides differ."""

    MISSING_HERE = "MISSING_HERE"
    MISSING_THERE = "MISSING_THERE"
    DOUBLED_HERE = "DOUBLED_HERE"
    DOUBLED_THERE = "DOUBLED_THERE"
    PRICED_DIFFERENTLY = "PRICED_DIFFERENTLY"
    UNPRICED = "UNPRICED"
    REFUSED = "REFUSED"


class FoundKey(NamedTuple):
    """What differences are listed by."""

    kind: DifferenceKind
    day: date
    model: str
    currency: str


@dataclass(slots=True)
class Found:
    """How many calls (rows, where there are no ids) differ so, what either side says they come to, some of our ids."""

    calls: int = 0
    theirs: Decimal = Decimal(0)
    ours: Decimal = Decimal(0)
    examples: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Differences:
    """All that differs. `beyond`: differences that are not listed, because there are too many."""

    found: dict[FoundKey, Found] = field(default_factory=dict[FoundKey, Found])
    beyond: int = 0

    def add(
        self,
        kind: DifferenceKind,
        key: SumKey,
        *,
        theirs: Decimal = Decimal(0),
        ours: Decimal = Decimal(0),
        calls: int = 1,
        example: str | None = None,
    ) -> None:
        """Add a difference."""
        place = FoundKey(kind, key.day, key.model, key.currency or "")
        found = self.found.get(place)
        if found is None:
            if len(self.found) >= FINDINGS_MAX:
                self.beyond += calls
                return
            found = self.found[place] = Found()
        found.calls += calls
        found.theirs += theirs
        found.ours += ours
        if example is not None and len(found.examples) < EXAMPLES_MAX:
            found.examples.append(example)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A share of the larger amount, and half of the last place of a row's amount."""

    share: Decimal
    rounding: Decimal

    @classmethod
    def of(cls, share: Decimal, billed: Billed) -> "Tolerance":
        """The tolerance for a source's rows, by the places that its amounts have."""
        return cls(share, Decimal(5).scaleb(-billed.places - 1))

    def same(self, theirs: Decimal, ours: Decimal, rows: int = 1) -> bool:
        """Whether two amounts are one, where theirs is of so many rows."""
        return abs(theirs - ours) <= self.share * max(abs(theirs), abs(ours)) + self.rounding * rows


class RecordedCall(NamedTuple):
    """A call of ours. `key` has no currency where it has no amount; `ids`: what the other side may know it by;
    `of_others`: another gateway than theirs reported it.
    """

    key: SumKey
    amount: Decimal
    ids: tuple[str, ...]
    id: str
    of_others: bool = False


class SingleComparison:
    """Compares single calls: `see` each of ours, then `end`."""

    def __init__(self, singles: Singles, tolerance: Tolerance, days: tuple[date, date]) -> None:
        self._singles, self._tolerance, self._days = singles, tolerance, days
        self.differences = Differences()

    def see(self, call: RecordedCall) -> bool:
        """Compare a call; whether it is one of the compared ones. One of a day around theirs, or of another gateway,
        may be one of theirs, and is not missing if it is none.
        """
        place, counts = self._singles.find(call.ids), self._days[0] <= call.key.day <= self._days[1]
        if place is None:
            counts = counts and not call.of_others
            if call.amount and counts:
                self.differences.add(DifferenceKind.MISSING_THERE, call.key, ours=call.amount, example=call.id)
            return counts
        theirs, amount = self._singles.row(place)
        if self._singles.take(place):
            self.differences.add(DifferenceKind.DOUBLED_HERE, theirs, theirs=amount, ours=call.amount, example=call.id)
        elif theirs.currency is None:
            pass  # they do not say what it cost
        elif call.key.currency is None:
            self.differences.add(DifferenceKind.UNPRICED, theirs, theirs=amount, example=call.id)
        elif call.key.currency != theirs.currency or not self._tolerance.same(amount, call.amount):
            same = call.key.currency == theirs.currency
            ours = call.amount if same else Decimal(0)
            self.differences.add(DifferenceKind.PRICED_DIFFERENTLY, theirs, theirs=amount, ours=ours, example=call.id)
        return counts

    def end(self, refused: Mapping[date, int]) -> Generator[None, None, Differences]:
        """Steps to what is left of theirs: `refused` of a day were sent here and not taken, the others never came."""
        left = dict(refused)
        for place in range(len(self._singles)):
            if not place % STEP_ROWS:
                yield
            repeats = self._singles.repeats(place)
            if not repeats and self._singles.is_found(place):
                continue
            key, amount = self._singles.row(place)
            kind = DifferenceKind.DOUBLED_THERE if repeats else DifferenceKind.MISSING_HERE
            if not repeats and left.get(key.day, 0):
                left[key.day] -= 1
                kind = DifferenceKind.REFUSED
            self.differences.add(kind, key, theirs=amount)
        return self.differences


def compare_sums(theirs: Keys, ours: Keys, tolerance: Tolerance, refused: Mapping[date, int]) -> Differences:
    """Compare sums by day, model and currency, where there are no ids."""
    differences = Differences()
    keys = {key for key in (*theirs.sums, *ours.sums) if key.currency is not None}
    for key in sorted(keys, key=lambda one: (one.day, one.model, one.currency or "")):
        billed, recorded = theirs.sums.get(key), ours.sums.get(key)
        unpriced = ours.sums.get(key._replace(currency=None))
        kind = _kind(billed, recorded, unpriced, tolerance, refused=bool(refused.get(key.day)))
        if kind is not None:
            its, mine = (billed.amount if billed else Decimal(0)), (recorded.amount if recorded else Decimal(0))
            calls = (unpriced if kind is DifferenceKind.UNPRICED and unpriced else billed or recorded or Sums()).rows
            differences.add(kind, key, theirs=its, ours=mine, calls=calls)
    return differences


def _kind(
    billed: Sums | None, recorded: Sums | None, unpriced: Sums | None, tolerance: Tolerance, *, refused: bool
) -> DifferenceKind | None:
    here = DifferenceKind.REFUSED if refused else DifferenceKind.MISSING_HERE
    if billed is None:
        return DifferenceKind.MISSING_THERE if recorded is not None and recorded.amount else None
    if recorded is None:
        if not billed.amount:
            return None
        return DifferenceKind.UNPRICED if unpriced is not None else here
    if tolerance.same(billed.amount, recorded.amount, billed.rows):
        return None
    if _doubles(billed, recorded, tolerance, billed.rows):
        return DifferenceKind.DOUBLED_THERE
    if _doubles(recorded, billed, tolerance, billed.rows):
        return DifferenceKind.DOUBLED_HERE
    if unpriced is not None and billed.amount > recorded.amount:
        return DifferenceKind.UNPRICED
    if billed.tokens is None or recorded.tokens is None or _near(billed.tokens, recorded.tokens, tolerance.share):
        return DifferenceKind.PRICED_DIFFERENTLY
    return here if billed.tokens > recorded.tokens else DifferenceKind.MISSING_THERE


def _doubles(more: Sums, less: Sums, tolerance: Tolerance, rows: int) -> bool:
    """Whether one side is twice the other, in money and, where both say them, in tokens."""
    if not less.amount or not tolerance.same(more.amount, less.amount * 2, rows):
        return False
    return None in (more.tokens, less.tokens) or _near(more.tokens or 0, (less.tokens or 0) * 2, tolerance.share)


def _near(one: int, other: int, share: Decimal) -> bool:
    return abs(one - other) <= share * max(one, other)
