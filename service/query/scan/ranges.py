"""Where the rows of a query can lie: one scan range per tier, and per account where there are few.

This is the one place where the account scope is applied to lists. A scan range never leaves the scope: what a filter
says of accounts only narrows it. Row-level security checks the same once more, in the database.

`RangeCache` remembers the ranges by scope and accounts, `time_windows` cuts them into windows that a page is looked
for in, and `DatabaseClock` tells the moment that the retention cut-offs are worked out for.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, cast

import asyncpg

from policies.policy.fields import ERROR_RECORD
from policies.policy.model import Action, DataClass, Policy, Store
from policies.retention import cutoff, readable_cutoff
from service.query.filters.decomposition import Question
from service.query.filters.to_sql import accounts_matching
from service.query.model.catalog import ERRORS, Table
from service.query.model.errors import BadInputError, QueryTimeoutError
from service.query.model.predicate import Compare, TimeRange, operands
from service.query.model.scope import Scope
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.ids import CallKey, IdError, decode_call_id, decode_error_id

SCAN_RANGES_MAX: Final = 8
TICK: Final = timedelta(microseconds=1)
FAR_FUTURE: Final = datetime(9999, 1, 1, tzinfo=UTC)
FAR_PAST: Final = datetime(1, 1, 2, tzinfo=UTC)


class ScanRange(NamedTuple):
    """Rows of one tier, not older than `cutoff`; of `accounts` (None: every account).

    `policy` and `now`: by what, and for which moment, the cut-off was worked out.
    """

    tier: int
    accounts: tuple[int, ...] | None
    cutoff: datetime
    now: datetime
    policy: Policy

    @property
    def account(self) -> int | None:
        """The one account whose rows these are; None: several, or any."""
        return self.accounts[0] if self.accounts is not None and len(self.accounts) == 1 else None

    @property
    def readable(self) -> datetime:
        """The oldest time whose hashed values are still shown. Few lists ask for one."""
        return readable_cutoff(self.policy, self.tier, DataClass.PERSONAL, Store.CALL, self.now)


async def names_in_scope(accounts: Accounts, scope: Scope, asked: Question) -> Mapping[str, int]:
    """Accounts by name that the scope may know of. What is not known of those that are named is looked up first."""
    if scope.accounts is not None:
        await accounts.look_up(numbers=scope.accounts)
    else:
        await accounts.look_up(names=_named(asked), numbers=_numbered(asked))
    return accounts.ids(scope.accounts)


def all_known(accounts: Accounts, scope: Scope, asked: Question) -> bool:
    """Whether nothing in the scope can have been made elsewhere meanwhile. Names outside of it are not looked up."""
    if scope.accounts is not None:
        return len(accounts.ids(scope.accounts)) == len(set(scope.accounts))
    return accounts.names().keys() >= _numbered(asked) and accounts.ids(None).keys() >= _named(asked)


def _named(asked: Question) -> set[str]:
    return {name for part in asked.accounts if part.operator in ("eq", "in") for name in _values(part)}


def _numbered(asked: Question) -> set[int]:
    return {call.account_id for part in asked.ids for call in _calls_of(part)}


def _calls_of(part: Compare) -> Iterator[CallKey]:
    return (_call_of(text) for text in _values(part))


def accounts_asked(scope: Scope, names: Mapping[str, int], asked: Question) -> tuple[int, ...] | None:
    """Numbers of the accounts that can have matches; None: any account at all."""
    matching = [accounts_matching(names, part) for part in asked.accounts]
    matching += [{call.account_id for call in _calls_of(part)} for part in asked.ids]
    if scope.accounts is not None:
        matching.append(set(scope.accounts))
    return tuple(sorted(matching[0].intersection(*matching[1:]))) if matching else None


def span_of(table: Table, asked: Question) -> TimeRange:
    """The time range that is asked for."""
    start, end = FAR_PAST, FAR_FUTURE
    for part in asked.times:
        lower, upper = _range(part)
        start, end = max(start, lower), min(end, upper)
    for part in asked.ids:
        moments = [_moment(table, text) for text in _values(part)]
        start = max(start, min(moments, default=FAR_FUTURE))
        end = min(end, max(moments, default=FAR_PAST) + TICK)
    return TimeRange(start, end)


def _range(compare: Compare) -> tuple[datetime, datetime]:
    moment = max(FAR_PAST, min(cast("datetime", compare.value), FAR_FUTURE))
    match compare.operator:
        case "lt":
            return FAR_PAST, moment
        case "lte":
            return FAR_PAST, moment + TICK
        case "gt":
            return moment + TICK, FAR_FUTURE
        case "gte":
            return moment, FAR_FUTURE
        case "eq":
            return moment, moment + TICK
        case _:
            raise BadInputError("moments have no such comparison")


def _values(compare: Compare) -> tuple[str, ...]:
    return cast("tuple[str, ...]", operands(compare))


def _moment(table: Table, text: str) -> datetime:
    try:
        return decode_error_id(text).occurred_at if table is ERRORS else decode_call_id(text).started_at
    except (IdError, OverflowError):
        raise BadInputError(f"`{text[:60]}` is not an id of {'an error' if table is ERRORS else 'a call'}") from None


def _call_of(text: str) -> CallKey:
    try:
        return decode_error_id(text).call if text.startswith("err_") else decode_call_id(text)
    except (IdError, OverflowError):
        raise BadInputError(f"`{text[:60]}` is not an id that this ledger gave out") from None


def tiers_of(accounts: Accounts, asked: tuple[int, ...] | None) -> list[tuple[int, tuple[int, ...] | None]]:
    """Tier and accounts of each scan range: one a tier and account while they are few, so that each is read in the
    order of its index; else one a tier.
    """
    if asked is not None and len(asked) <= SCAN_RANGES_MAX:
        pairs = [(tier, (number,)) for number in asked for tier in accounts.tiers((number,))]
        if len(pairs) <= SCAN_RANGES_MAX:
            return [*pairs]
    return [(tier, asked) for tier in accounts.tiers(asked)]


def scan_ranges_of(
    scope: Scope, accounts: Accounts, asked: tuple[int, ...] | None, store: Store, now: datetime
) -> list[ScanRange]:
    """The scan ranges of accounts as `tiers_of` has them."""
    return [scan_range_of(scope, tier, numbers, store, now) for tier, numbers in tiers_of(accounts, asked)]


def scan_range_of(scope: Scope, tier: int, numbers: tuple[int, ...] | None, store: Store, now: datetime) -> ScanRange:
    """The range of one tier and of these account ids (None: all) that the policy in force lets be read at `now`."""
    if store is Store.CALL_ERROR and scope.policy.action(ERROR_RECORD[0]) is Action.DROP:
        # What an earlier policy kept is served no more; it goes with its partition.
        return ScanRange(tier, numbers, FAR_FUTURE, now, scope.policy)
    return ScanRange(tier, numbers, cutoff(scope.policy, tier, store, now), now, scope.policy)


def scan_range_of_call(scope: Scope, accounts: Accounts, key: CallKey, store: Store, now: datetime) -> ScanRange | None:
    """The scan range of one call, or None when the scope does not reach it."""
    if scope.accounts is not None and key.account_id not in scope.accounts:
        return None
    if key.account_id not in accounts.names():
        return None
    return scan_range_of(scope, accounts.tier(key.account_id, key.started_at), (key.account_id,), store, now)


def earliest(scan_ranges: Iterable[ScanRange]) -> datetime:
    """The oldest moment that any of the ranges reaches; far in the future when there are none."""
    return min([scan_range.cutoff for scan_range in scan_ranges], default=FAR_FUTURE)


def by_account(scan_ranges: Iterable[ScanRange]) -> bool:
    """Whether each scan range is one account's, so that its rows come out of the index in order."""
    return None not in [scan_range.account for scan_range in scan_ranges]


def values_of(scan_range: ScanRange, span: TimeRange, limit: int) -> list[object]:
    """What `statements.page` binds for one scan range without conditions, in order: its text is the same for all."""
    values: list[object] = [limit, scan_range.tier, max(span.start or scan_range.cutoff, scan_range.cutoff), span.end]
    if scan_range.accounts is not None:
        values.append(scan_range.accounts[0] if len(scan_range.accounts) == 1 else scan_range.accounts)
    return values


_PLACES_MAX: Final = 4096
_Key = tuple[tuple[int, ...] | None, tuple[Compare, ...]]


class CachedRanges(NamedTuple):
    """`names`: accounts that the scope may know of; `asked`: numbers of those that can have matches (None: any);
    `tiers`: tier and accounts of each scan range; `scope`: a text that says which accounts the scope reaches.
    """

    names: Mapping[str, int]
    asked: tuple[int, ...] | None
    tiers: Sequence[tuple[int, tuple[int, ...] | None]]
    scope: str


class RangeCache:
    """Finds places, for one process."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._known: dict[_Key, CachedRanges] = {}
        self._version: object = None

    def known(self, scope: Scope, asked: Question) -> CachedRanges | None:
        """The place of a question, if it is remembered. Of single calls none is: they are others each time."""
        if self._version is not self._accounts.version or len(self._known) >= _PLACES_MAX:
            self._version, self._known = self._accounts.version, {}
        return None if asked.ids else self._known.get((scope.accounts, asked.accounts))

    async def find(self, scope: Scope, asked: Question) -> CachedRanges:
        """The place of a question that is not `known`. Asks the database once when a new account is named."""
        place = await self._found(scope, asked)
        if not asked.ids and self._version is self._accounts.version and all_known(self._accounts, scope, asked):
            self._known[scope.accounts, asked.accounts] = place
        return place

    async def _found(self, scope: Scope, asked: Question) -> CachedRanges:
        names = await names_in_scope(self._accounts, scope, asked)
        numbers = accounts_asked(scope, names, asked)
        return CachedRanges(names, numbers, tiers_of(self._accounts, numbers), repr(scope.accounts))


# Rows of one account lie in the order of its key: a slice only bounds planning. Without an account, a slice is read
# whole and sorted, so the first ones are as narrow as the rows are dense.
WITH_ACCOUNT = (timedelta(days=1), timedelta(days=8), timedelta(days=36))
WITHOUT_ACCOUNT = (
    timedelta(hours=1),
    timedelta(hours=7),
    timedelta(days=2),
    timedelta(days=9),
    timedelta(days=37),
    timedelta(days=130),
)

_WIDEST: Final = WITHOUT_ACCOUNT[0]
_NARROWEST: Final = timedelta(milliseconds=100)
_GROWTH: Final = 8


class Density:
    """How the newest rows of a table lie in time: most are `age` old at least, and a page spreads over `spread`."""

    __slots__ = ("age", "spread")

    def __init__(self) -> None:
        self.age, self.spread = timedelta(), timedelta(seconds=1)

    def learn(self, middle: timedelta, oldest: timedelta) -> None:
        """The newest page over every account has rows of these ages in its middle and at its end: a few that came
        before their time, or from the future of a wrong clock, say nothing of the others.
        """
        self.age = max(middle, timedelta())
        self.spread = max(4 * (oldest - self.age), _NARROWEST)

    def learn_bound(self, searched: timedelta) -> None:
        """So far back there is no full page."""
        self.spread = max(self.spread, searched)

    def widths(self) -> Iterator[timedelta]:
        """Of the first windows: with a thousand calls a second a page lies in a tenth of one, and else in the last
        hour.

        What has changed since costs a few more statements once, or one that reads too much.
        """
        spread = self.spread
        while self.age + spread < _WIDEST:
            yield self.age + spread
            spread *= _GROWTH
        yield from WITHOUT_ACCOUNT


def time_windows(
    start: datetime, end: datetime, now: datetime, *, newest_first: bool, density: Density | None
) -> Iterator[TimeRange]:
    """Adjoining ranges that make up [start, end). `density`: None where rows come out of the index in order."""
    if start >= end:
        return
    widths = WITH_ACCOUNT if density is None else density.widths()
    if newest_first:
        # What a wrong clock has put into the future belongs to the first slice.
        newest, upper = max(min(end, now), start), end
        for width in widths:
            if newest - width > start:
                yield TimeRange(newest - width, upper)
                upper = newest - width
        yield TimeRange(start, upper)
    else:
        lower, last = start, min(end, now)
        for width in widths:
            if start + width < last:
                yield TimeRange(lower, start + width)
                lower = start + width
        yield TimeRange(lower, end)


_NOW = "SELECT clock_timestamp()"
_TRUSTED_SECONDS = 10.0


class DatabaseClock:
    """Tells the database's time from a measurement of a few seconds ago and our own monotonic clock.

    It runs behind the database by no more than a round trip, and asking costs nothing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._measured: tuple[float, datetime] | None = None

    async def now(self) -> datetime:
        """The time; asks the database when it has to, and raises QueryTimeoutError when that does not answer."""
        return self.cached() or await self.refresh()

    def cached(self) -> datetime | None:
        """The time, as long as the measurement is trusted."""
        if self._measured is None:
            return None
        asked, told = self._measured
        since = time.monotonic() - asked
        return None if since > _TRUSTED_SECONDS else told + timedelta(0, since)

    async def refresh(self) -> datetime:
        """The time, measured anew. Raises QueryTimeoutError."""
        asked = time.monotonic()
        try:
            async with self._database.reading(None) as connection:
                told = await connection.fetchval(_NOW)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None
        self._measured = (asked, told)
        return told + timedelta(0, time.monotonic() - asked)
