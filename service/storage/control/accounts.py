"""Accounts by name and number, and the tier that each had when: one cached look-up for writing and reading."""

import time
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tortoise import connections

from service.storage.notices import CHANNEL

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_ACCOUNT = "default"
ERASED: Final = "erased:"
"""How the name of an account begins from the first step of its erasure on, before any of its rows goes."""
NAME_MAX: Final = 200
_NUMBER_MAX: Final = 2**31 - 1
_SCOPES_MAX = 256
_CHUNK: Final = 1_000
"""Accounts that are read at a time: some milliseconds on the event loop."""
_BEHIND: Final = 100
"""Numbers are given out before they are committed: the last ones are looked at once more."""
_MISSES_MAX: Final = 10_000
_MISSED_S: Final = 1.0
_MADE: Final = "made"

# By LATERAL, so that the tiers of these are read and no others, whatever the planner thinks of their number.
_WHOLE: Final = """
    SELECT part.id, part.name, had.starts, had.tiers
    FROM ({part}) AS part CROSS JOIN LATERAL (
        SELECT array_agg(from_at ORDER BY from_at) AS starts, array_agg(tier ORDER BY from_at) AS tiers
        FROM account_tier WHERE account_id = part.id
    ) AS had
    WHERE had.starts IS NOT NULL ORDER BY part.id
"""
_BY_NAME: Final = _WHOLE.format(part="SELECT id, name FROM account WHERE name = ANY ($1::text[])")
_BY_NUMBER: Final = _WHOLE.format(part="SELECT id, name FROM account WHERE id = ANY ($1::integer[])")
_FOLLOWING: Final = _WHOLE.format(part="SELECT id, name FROM account WHERE id > $1 ORDER BY id LIMIT $2")
_MAKE: Final = """
    WITH made AS (
        INSERT INTO account (name, created_at) SELECT name, now() FROM unnest($1::text[]) AS name
        ON CONFLICT (name) DO NOTHING RETURNING id
    ), placed AS (
        INSERT INTO account_tier (account_id, tier, from_at) SELECT id, $2::smallint, $3::timestamptz FROM made
    )
    SELECT pg_notify($4, $5) WHERE EXISTS (SELECT 1 FROM made)
"""

Span = tuple[int, datetime, datetime | None]


class Accounts:
    """Cache of `account` and `account_tier`: all of it is read at the start, and from then on one account at a time.

    Rows are never removed, and changed only by erasure (the name) and by a move (a tier to come); both are told of by
    notices. That there is nobody of a name or a number is remembered for a second, or until a notice of new accounts.
    """

    def __init__(self, default_tier: int) -> None:
        self.default_tier = default_tier
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._tiers: dict[int, tuple[list[datetime], list[int]]] = {}
        self._spans: Counter[Span] = Counter()
        self._newest = 0
        self._numbers: dict[tuple[int, ...], dict[str, int]] = {}
        self._missed: OrderedDict[str | int, float] = OrderedDict()
        self.version: object = object()
        """Another object each time that something of an account was learned."""
        self._all: tuple[tuple[int, ...], frozenset[Span]] | None = None
        self.erased: set[int] = set()
        """Numbers of the accounts whose erasure has begun."""

    async def refresh(self) -> None:
        """Read everything, a part at a time."""
        await self._follow(0)

    async def heard(self, detail: str) -> None:
        """Take up what a notice tells of: new accounts, or the number of one that has changed."""
        self._missed.clear()
        if detail == _MADE:
            await self._follow(max(0, self._newest - _BEHIND))
        elif detail.isdecimal():
            await self.load([int(detail)])

    async def load(self, numbers: Iterable[int]) -> None:
        """Read these accounts anew."""
        self._put(await _rows(_BY_NUMBER, sorted(numbers)))

    async def _follow(self, newest: int) -> None:
        while rows := await _rows(_FOLLOWING, newest, _CHUNK):
            self._put(rows)
            newest = rows[-1]["id"]

    def _put(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            number, name = row["id"], row["name"]
            # Moments of one zone object compare ten times faster.
            tiers = ([start.astimezone(UTC) for start in row["starts"]], list(row["tiers"]))
            if self._names.get(number) == name and self._tiers[number] == tiers:
                continue
            self._forget(number)
            # The tier first: whoever knows an account may ask for its tier.
            self._tiers[number] = tiers
            self._spans.update(_spans_of(tiers))
            self._names[number] = name
            self._ids[name] = number
            if name.startswith(ERASED):
                self.erased.add(number)
            self._newest = max(self._newest, number)
            self.version, self._all = object(), None
            self._numbers.clear()

    def _forget(self, number: int) -> None:
        if number in self._names:
            self._spans -= Counter(_spans_of(self._tiers[number]))
            self._ids.pop(self._names[number], None)

    async def ensure(self, names: Iterable[str]) -> dict[str, int]:
        """Numbers of `names`; accounts that are new are made, in the default tier."""
        names = set(names)
        unknown = sorted(names - self._ids.keys())
        if unknown:
            self._put(await _rows(_BY_NAME, unknown))
            new = [name for name in unknown if name not in self._ids]
            if new:
                # Another process may make one of them first, and then it is that one's.
                await _rows(_MAKE, new, self.default_tier, EPOCH, CHANNEL, f"accounts {_MADE}")
                self._put(await _rows(_BY_NAME, new))
        return {name: self._ids[name] for name in names}

    def known(self, name: str) -> int | None:
        """The number of `name`, if it was asked for before."""
        return self._ids.get(name)

    async def find(self, name: str) -> int | None:
        """The number of `name`, or None when no such account exists."""
        await self.look_up(names=[name])
        return self._ids.get(name)

    async def name(self, number: int) -> str:
        if number not in self._names:
            await self.look_up(numbers=[number])
        return self._names[number]

    async def look_up(self, *, names: Iterable[str] = (), numbers: Iterable[int] = ()) -> None:
        """Read those of these accounts that are not known, if they exist: no more than these."""
        now = time.monotonic()
        by_name = [name for name in names if name not in self._ids and self._missing(name, now)]
        by_number = [number for number in numbers if number not in self._names and self._missing(number, now)]
        for statement, wanted in ((_BY_NAME, by_name), (_BY_NUMBER, by_number)):
            if wanted:
                self._put(await _rows(statement, wanted))
        for key in (*by_name, *by_number):
            if key not in self._ids and key not in self._names:
                self._missed[key] = now + _MISSED_S
                self._missed.move_to_end(key)
        while len(self._missed) > _MISSES_MAX:
            self._missed.popitem(last=False)

    def _missing(self, key: str | int, now: float) -> bool:
        """Whether it is worth asking for."""
        if self._missed.get(key, 0) > now:
            return False
        if isinstance(key, int):
            return 0 < key <= _NUMBER_MAX
        return len(key) <= NAME_MAX and "\0" not in key and not any("\ud800" <= letter <= "\udfff" for letter in key)

    def names(self) -> Mapping[int, str]:
        """Every account that is known, name by number: grows as accounts are learned."""
        return self._names

    def ids(self, among: tuple[int, ...] | None) -> Mapping[str, int]:
        """Numbers by name of the accounts that are known now, of these only (None: all); do not change it."""
        if among is None:
            return self._ids
        found = self._numbers.get(among)
        if found is None:
            if len(self._numbers) >= _SCOPES_MAX:
                self._numbers.clear()
            found = {self._names[number]: number for number in among if number in self._names}
            self._numbers[among] = found
        return found

    def tier(self, number: int, moment: datetime) -> int:
        """The tier of a call of account `number` that started at `moment`."""
        starts, tiers = self._tiers[number]
        if moment >= starts[-1]:  # nearly always
            return tiers[-1]
        return tiers[bisect_right(starts, moment) - 1]

    def tiers(self, numbers: Collection[int] | None = None) -> tuple[int, ...]:
        """Every tier that these accounts (None: all) ever had or will have, in order."""
        if numbers is None:
            return self._everywhere()[0]
        return tuple(sorted({tier for n in numbers if n in self._tiers for tier in self._tiers[n][1]}))

    def tier_spans(self, numbers: Collection[int] | None = None) -> frozenset[Span]:
        """Every (tier, from, to) that these accounts (None: all) had, have or will have; `to` None: for good."""
        if numbers is None:
            return self._everywhere()[1]
        return frozenset(span for n in numbers if n in self._tiers for span in _spans_of(self._tiers[n]))

    def _everywhere(self) -> tuple[tuple[int, ...], frozenset[Span]]:
        """Of all accounts together: there are as many as tiers and days of moves, not as accounts."""
        if self._all is None:
            spans = frozenset(self._spans)
            self._all = (tuple(sorted({tier for tier, _, _ in spans})), spans)
        return self._all


def _spans_of(tiers: tuple[list[datetime], list[int]]) -> list[Span]:
    starts, numbers = tiers
    return list(zip(numbers, starts, [*starts[1:], None], strict=True))


async def _rows(statement: str, *values: object) -> list[Mapping[str, Any]]:
    _, rows = await connections.get("default").execute_query(statement, list(values))
    return list(rows)
