"""The billed side of a comparison: sums by day, model and currency, and the cost of each call by its id.

Of an id 8 bytes of its hash are kept, so that a million calls take some tens of megabytes.
"""

from array import array
from bisect import bisect_left
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from heapq import merge
from typing import Final, NamedTuple

from policies.admission.call import NAME_CHARS_MAX
from policies.redaction.text import bounded
from service.errors import RequestError
from service.ingest.prices.model_names import names_of
from service.log_redaction import WITHHELD, name_as_stored
from service.reconcile.layouts import NAME_LOOKED_AT_MAX, BilledRow

GROUPS_MAX: Final = 200_000
ROWS_MAX: Final = 20_000_000
PLACES: Final = 12
STEP_ROWS: Final = 4_096
"""Of what is done in steps: about a millisecond."""
_LARGEST: Final = 2**62


class SumKey(NamedTuple):
    """A day of the provider's time zone, a model under its shortest name, and a currency; None: without an amount."""

    day: date
    model: str
    currency: str | None


@dataclass(slots=True)
class Sums:
    """How many calls or rows, what they come to, and tokens; None where not all say theirs."""

    rows: int = 0
    amount: Decimal = Decimal(0)
    tokens: int | None = 0

    def add(self, amount: Decimal, tokens: int | None, rows: int = 1) -> None:
        """Add some rows to the sums."""
        self.rows += rows
        self.amount += amount
        self.tokens = None if tokens is None or self.tokens is None else self.tokens + tokens


def short_name(model: str) -> str:
    """A model's name as calls are stored with it, without provider and snapshot, in lower case: what both sides are
    compared by, and what is kept of it.
    """
    if len(model) <= NAME_CHARS_MAX:
        return _short_name(model)
    return _short_name.__wrapped__(bounded(model, NAME_LOOKED_AT_MAX))  # not remembered: whatever its length is


@lru_cache(maxsize=4096)
def _short_name(model: str) -> str:
    return names_of(name_as_stored(model, max_chars=NAME_CHARS_MAX) or WITHHELD)[-1] if model else model


def digest_of(id_: str) -> int:
    """8 bytes of a hash."""
    return int.from_bytes(blake2b(id_.encode("utf-8", "replace"), digest_size=8).digest(), "big")


class Keys:
    """Sums by key, and the number of each key. Raises RequestError for more of them than can be compared."""

    def __init__(self) -> None:
        self.sums: dict[SumKey, Sums] = {}
        self._numbers: dict[SumKey, int] = {}
        self.keys: list[SumKey] = []

    def of(self, key: SumKey) -> Sums:
        """The sums of a key."""
        found = self.sums.get(key)
        if found is None:
            if len(self.sums) >= GROUPS_MAX:
                raise RequestError(
                    f"there are more than {GROUPS_MAX} days, models and currencies: compare a shorter time"
                )
            found = self.sums[key] = Sums()
            self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return found

    def number(self, key: SumKey) -> int:
        """Its place in `keys`."""
        return self._numbers[key]


@dataclass(slots=True)
class Billed:
    """Rows as they come; `sort` once there are no more. `places`: the most that an amount has; `unread`: why rows could
    not be read, with their number.
    """

    keys: Keys = field(default_factory=Keys)
    rows: int = 0
    places: int = 0
    unread: dict[str, int] = field(default_factory=dict[str, int])
    has_ids: bool = True
    _digests: "array[int]" = field(default_factory=lambda: array("Q"))
    _amounts: "array[int]" = field(default_factory=lambda: array("q"))
    _numbers: "array[int]" = field(default_factory=lambda: array("I"))
    _added: dict[int, Decimal] = field(default_factory=dict[int, Decimal])

    def add(self, row: BilledRow) -> None:
        """Take a row. Raises RequestError for too many."""
        self.rows += 1
        if self.rows > ROWS_MAX:
            raise RequestError(f"there are more than {ROWS_MAX} rows: compare a shorter time")
        if row.adds:
            digest = digest_of(row.id or "")
            self._added[digest] = self._added.get(digest, Decimal(0)) + row.amount
            return
        key = SumKey(row.day, short_name(row.model), row.currency)
        self.keys.of(key).add(row.amount, row.tokens)
        self.places = max(self.places, row.places)
        units = int(row.amount.scaleb(PLACES))
        self.has_ids = self.has_ids and row.id is not None and abs(units) <= _LARGEST
        if row.id is None:
            return
        self._digests.append(digest_of(row.id))
        self._amounts.append(units if self.has_ids else 0)
        self._numbers.append(self.keys.number(key))

    def leave(self, why: str) -> None:
        """Count a row that cannot be read."""
        self.unread[why] = self.unread.get(why, 0) + 1

    def days(self) -> tuple[date, date] | None:
        """The first and the last day; None without rows."""
        days = [key.day for key in self.keys.keys]
        return (min(days), max(days)) if days else None

    def singles(self) -> Generator[None, None, "Singles | None"]:
        """Steps to the calls by their ids, with what was added to them; to calls that are not there nothing is. None
        where their sums alone can be compared.
        """
        for place, digest in enumerate(self._digests) if self._added else ():
            if not place % STEP_ROWS:
                yield
            more = self._added.pop(digest, None)
            if more is not None:
                self.keys.sums[self.keys.keys[self._numbers[place]]].amount += more
                units = self._amounts[place] + int(more.scaleb(PLACES))
                self.has_ids = self.has_ids and abs(units) <= _LARGEST
                self._amounts[place] = units if self.has_ids else 0
        if not self.has_ids:
            return None
        return (yield from self._sorted())

    def _sorted(self) -> Generator[None, None, "Singles"]:
        """Sorted in runs and these merged: one sort of all would be one long step, whatever thread it is in."""
        of, runs = self._digests.__getitem__, list["array[int]"]()
        for start in range(0, len(self._digests), STEP_ROWS):
            runs.append(array("I", sorted(range(start, min(start + STEP_ROWS, len(self._digests))), key=of)))
            yield
        digests, amounts, numbers = array("Q"), array("q"), array("I")
        for number, place in enumerate(merge(*runs, key=of)):
            if not number % STEP_ROWS:
                yield
            digests.append(self._digests[place])
            amounts.append(self._amounts[place])
            numbers.append(self._numbers[place])
        return Singles(self.keys.keys, digests, amounts, numbers)


class Singles:
    """Billed calls in the order of their digests, and how many of our calls each was found to be."""

    def __init__(self, keys: list[SumKey], digests: "array[int]", amounts: "array[int]", numbers: "array[int]") -> None:
        self._keys, self._digests, self._amounts, self._numbers = keys, digests, amounts, numbers
        self._found = bytearray(len(digests))

    def __len__(self) -> int:
        return len(self._digests)

    def find(self, ids: Iterable[str]) -> int | None:
        """The place of the first row of one of these ids; None when there is none."""
        for id_ in ids:
            digest = digest_of(id_)
            place = bisect_left(self._digests, digest)
            if place < len(self._digests) and self._digests[place] == digest:
                return place
        return None

    def take(self, place: int) -> int:
        """Note that a call of ours is that row; how many were before."""
        before = self._found[place]
        self._found[place] = min(before + 1, 255)
        return before

    def row(self, place: int) -> tuple[SumKey, Decimal]:
        """What a row says."""
        return self._keys[self._numbers[place]], Decimal(self._amounts[place]).scaleb(-PLACES)

    def repeats(self, place: int) -> bool:
        """Whether a row says once more what the row of the same id before it said."""
        return place > 0 and self._digests[place] == self._digests[place - 1]

    def is_found(self, place: int) -> bool:
        """Whether a call of ours is that row."""
        return self._found[place] > 0
