"""Accounts by name and id, and the tier that each had at any time: one cached look-up for writing and reading."""

import asyncio
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from tortoise import connections

from service.storage.notifications import CHANNEL

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_ACCOUNT = "default"
ERASED: Final = "erased:"
"""The prefix of an account's name from the first step of its erasure on, before any of its rows is deleted."""
NAME_MAX: Final = 200
_ID_MAX: Final = 2**31 - 1
_SCOPES_MAX = 256
_CHUNK: Final = 1_000
"""Accounts that are read at a time, so that the event loop is not blocked for long."""
_OVERLAP: Final = 100
"""Ids are assigned before they are committed, so the last ones are read again."""
_MISSES_MAX: Final = 10_000
_MISSED_S: Final = 1.0
_MADE: Final = "made"

# By LATERAL, so that the tiers of these accounts are read and no others, whatever the planner estimates.
_WITH_TIERS: Final = """
    SELECT part.id, part.name, had.starts, had.tiers
    FROM ({part}) AS part CROSS JOIN LATERAL (
        SELECT array_agg(from_at ORDER BY from_at) AS starts, array_agg(tier ORDER BY from_at) AS tiers
        FROM account_tier WHERE account_id = part.id
    ) AS had
    WHERE had.starts IS NOT NULL ORDER BY part.id
"""
"""Accounts with the tiers that they had, around a choice of accounts."""
_BY_NAME: Final = _WITH_TIERS.format(part="SELECT id, name FROM account WHERE name = ANY ($1::text[])")
_BY_ID: Final = _WITH_TIERS.format(part="SELECT id, name FROM account WHERE id = ANY ($1::integer[])")
_SPANS: Final = """
    SELECT DISTINCT tier, from_at, lead(from_at) OVER (PARTITION BY account_id ORDER BY from_at) AS until
    FROM account_tier
"""
"""Every tier with the times in which an account has it: few rows, however many accounts there are."""
_NEWEST: Final = "SELECT coalesce(max(id), 0) AS id FROM account"
_ERASED: Final = "SELECT id FROM account WHERE starts_with(name, $1)"
"""The accounts whose erasure has begun."""
_FOLLOWING: Final = _WITH_TIERS.format(
    part="SELECT id, name FROM account WHERE id > $1 AND id <> ALL ($2::integer[]) ORDER BY id LIMIT $3"
)
"""The next accounts behind an id, but for those that are known."""
_MAKE: Final = """
    WITH made AS (
        INSERT INTO account (name, created_at) SELECT name, now() FROM unnest($1::text[]) AS name
        ON CONFLICT (name) DO NOTHING RETURNING id, name
    ), placed AS (
        INSERT INTO account_tier (account_id, tier, from_at) SELECT id, $2::smallint, $3::timestamptz FROM made
    )
    SELECT id, name, ARRAY[$3::timestamptz] AS starts, ARRAY[$2::smallint] AS tiers, pg_notify($4, $5) FROM made
"""
"""Makes accounts that do not exist, and returns them as they are looked up; others hear of it once."""

TierSpan = tuple[int, datetime, datetime | None]
_Tiers = tuple[tuple[datetime, ...], tuple[int, ...]]


class Accounts:
    """A cache of `account` and `account_tier`, one account at a time as each is asked for. What is known of all at any
    time are the tiers that there are, and who is erased.

    Rows are never removed. They change only by erasure (the name) and by a move (a future tier), and notices announce
    both. That a name or an id belongs to no account is remembered for a second, or until a notice of new accounts.
    """

    def __init__(self, default_tier: int) -> None:
        self.default_tier = default_tier
        self._ids: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._tiers: dict[int, _Tiers] = {}
        # Nearly all accounts have had one tier from the beginning, so what they have is kept once.
        self._histories: dict[_Tiers, _Tiers] = {}
        self._spans: set[TierSpan] = set()
        self._newest = 0
        self._is_complete = False
        self._completing = asyncio.Lock()
        self._ids_among: dict[tuple[int, ...], dict[str, int]] = {}
        self._missed: OrderedDict[str | int, float] = OrderedDict()
        self.version: object = object()
        """A new object each time that an account was read and had changed."""
        self._all: tuple[tuple[int, ...], frozenset[TierSpan]] | None = None
        self.erased: set[int] = set()
        """The ids of the accounts whose erasure has begun."""

    async def refresh(self) -> None:
        """Read what is known of all accounts, and those in the cache again, `_CHUNK` at a time."""
        [newest] = await _rows(_NEWEST)
        self._add({(row["tier"], _utc(row["from_at"]), _utc(row["until"])) for row in await _rows(_SPANS)})
        self.erased.update([row["id"] for row in await _rows(_ERASED, ERASED)])
        known = sorted(self._names)
        for first in range(0, len(known), _CHUNK):
            self._put(await _rows(_BY_ID, known[first : first + _CHUNK]))
        if self._is_complete:
            await self._read_after(max(0, self._newest - _OVERLAP))
        self._newest = max(self._newest, newest["id"])

    async def load_all(self) -> None:
        """Read every account that is not in the cache yet: for what can match the name of any."""
        async with self._completing:
            if not self._is_complete:
                await self._read_after(0)
                self._is_complete = True

    async def on_notification(self, detail: str) -> None:
        """Read what a notice announces: new accounts (`made`), or one account, by its id in decimal digits."""
        self._missed.clear()
        if detail == _MADE:
            first = max(0, self._newest - _OVERLAP)
            # Of those that are in the cache other notices tell, and most new accounts were made here.
            await self._read_after(first, [one for one in range(first + 1, self._newest + 1) if one in self._names])
        elif detail.isdecimal():
            await self.load([int(detail)])

    async def load(self, account_ids: Iterable[int]) -> None:
        """Read the accounts with these ids again."""
        self._put(await _rows(_BY_ID, sorted(account_ids)))

    async def _read_after(self, newest: int, known: Sequence[int] = ()) -> None:
        """Read the accounts behind an id but those that are `known`."""
        while rows := await _rows(_FOLLOWING, newest, list(known), _CHUNK):
            self._put(rows)
            newest = rows[-1]["id"]

    def _put(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            account_id, name = row["id"], row["name"]
            tiers = (tuple(_utc(start) for start in row["starts"]), tuple(row["tiers"]))
            tiers = self._histories.setdefault(tiers, tiers)
            if self._names.get(account_id) == name and self._tiers[account_id] == tiers:
                continue
            if account_id in self._names:
                self._ids.pop(self._names[account_id], None)
            # The tier first: a caller that finds the account may read its tier.
            self._tiers[account_id] = tiers
            self._add(_spans_of(tiers))
            self._names[account_id] = name
            self._ids[name] = account_id
            if name.startswith(ERASED):
                self.erased.add(account_id)
            self._newest = max(self._newest, account_id)
            self.version = object()
            self._ids_among.clear()

    def _add(self, spans: Iterable[TierSpan]) -> None:
        # Those that no account has any more, after a move, stay until the next start: nothing is found there.
        before = len(self._spans)
        self._spans.update(spans)
        if len(self._spans) != before:
            self.version, self._all = object(), None

    async def ensure(self, names: Iterable[str]) -> dict[str, int]:
        """The ids of `names`; accounts that do not exist are made, in the default tier."""
        names = set(names)
        unknown = sorted(names - self._ids.keys())
        if unknown:
            self._put(await _rows(_BY_NAME, unknown))
            new = [name for name in unknown if name not in self._ids]
            if new:
                self._put(await _rows(_MAKE, new, self.default_tier, EPOCH, CHANNEL, f"accounts {_MADE}"))
            # Another process may have made one of them first: then its row is the one that counts.
            if theirs := [name for name in new if name not in self._ids]:
                self._put(await _rows(_BY_NAME, theirs))
        return {name: self._ids[name] for name in names}

    def cached(self, name: str) -> int | None:
        """The id of `name` if it is in the cache; None otherwise, though the account may exist."""
        return self._ids.get(name)

    async def find(self, name: str) -> int | None:
        """The id of `name`, or None when no such account exists."""
        await self.look_up(names=[name])
        return self._ids.get(name)

    async def name(self, account_id: int) -> str:
        """The name of the account with this id. KeyError when there is none."""
        if account_id not in self._names:
            await self.look_up(account_ids=[account_id])
        return self._names[account_id]

    async def look_up(self, *, names: Iterable[str] = (), account_ids: Iterable[int] = ()) -> None:
        """Read those of these accounts that are not in the cache, if they exist, and no others."""
        now = time.monotonic()
        by_name = [name for name in names if name not in self._ids and self._worth_reading(name, now)]
        by_id = [
            account_id
            for account_id in account_ids
            if account_id not in self._names and self._worth_reading(account_id, now)
        ]
        for statement, wanted in ((_BY_NAME, by_name), (_BY_ID, by_id)):
            if wanted:
                self._put(await _rows(statement, wanted))
        for key in (*by_name, *by_id):
            if key not in self._ids and key not in self._names:
                self._missed[key] = now + _MISSED_S
                self._missed.move_to_end(key)
        while len(self._missed) > _MISSES_MAX:
            self._missed.popitem(last=False)

    def _worth_reading(self, key: str | int, now: float) -> bool:
        """Whether the database may have an account of this name or id."""
        if self._missed.get(key, 0) > now:
            return False
        if isinstance(key, int):
            return 0 < key <= _ID_MAX
        return len(key) <= NAME_MAX and "\0" not in key and not any("\ud800" <= letter <= "\udfff" for letter in key)

    def names(self) -> Mapping[int, str]:
        """The names of all cached accounts by id; the mapping grows as accounts are read."""
        return self._names

    def ids(self, among: tuple[int, ...] | None) -> Mapping[str, int]:
        """The ids by name of the cached accounts with an id in `among` (None: all). Do not change the mapping."""
        if among is None:
            return self._ids
        found = self._ids_among.get(among)
        if found is None:
            if len(self._ids_among) >= _SCOPES_MAX:
                self._ids_among.clear()
            found = {self._names[account_id]: account_id for account_id in among if account_id in self._names}
            self._ids_among[among] = found
        return found

    def tier(self, account_id: int, moment: datetime) -> int:
        """The tier of a call of this account that started at `moment`."""
        starts, tiers = self._tiers[account_id]
        if moment >= starts[-1]:  # nearly always
            return tiers[-1]
        return tiers[bisect_right(starts, moment) - 1]

    def tiers(self, account_ids: Collection[int] | None = None) -> tuple[int, ...]:
        """Every tier that these accounts (None: all) ever had or will have, sorted."""
        if account_ids is None:
            return self._of_all()[0]
        return tuple(sorted({tier for tier, _, _ in self.tier_spans(account_ids)}))

    def tier_spans(self, account_ids: Collection[int] | None = None) -> frozenset[TierSpan]:
        """Every (tier, from, to) that these accounts (None: all) had, have or will have; `to` None: without end."""
        if account_ids is None:
            return self._of_all()[1]
        if any(number not in self._tiers and number not in self._missed for number in account_ids):
            return self._of_all()[1]  # of one that nobody has looked up, nothing may be missed
        return frozenset(span for n in account_ids if n in self._tiers for span in _spans_of(self._tiers[n]))

    def _of_all(self) -> tuple[tuple[int, ...], frozenset[TierSpan]]:
        """Tiers and spans of all accounts together: as many as there are tiers and days of moves."""
        if self._all is None:
            spans = frozenset(self._spans)
            self._all = (tuple(sorted({tier for tier, _, _ in spans})), spans)
        return self._all


def _spans_of(tiers: tuple[Sequence[datetime], Sequence[int]]) -> list[TierSpan]:
    starts, tier_numbers = tiers
    return list(zip(tier_numbers, starts, [*starts[1:], None], strict=True))


def _utc(moment: Any) -> Any:  # noqa: ANN401 - a time of the driver's, or None
    # Times that share one zone object compare much faster.
    return moment and moment.astimezone(UTC)


async def _rows(statement: str, *values: object) -> list[Mapping[str, Any]]:
    _, rows = await connections.get("default").execute_query(statement, list(values))
    return list(rows)
