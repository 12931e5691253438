"""Where the rows of a query can lie: one scan range per tier, and per account where there are few.

The account scope is applied to lists here and nowhere else. A scan range never leaves the scope: what a filter says of
accounts only narrows it. Row-level security checks the same once more, in the database.

`RangeCache` remembers the ranges by scope and accounts, `time_windows` cuts them into windows that a page is looked
for in, and `DatabaseClock` gives the moment that the retention cut-offs are worked out for.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, cast

import asyncpg

from policies.policy.fields import ERROR_RECORD
from policies.policy.model import Action, DataClass, Policy, Store
from policies.retention import cutoff, readable_cutoff
from service.query.filters.decomposition import DecomposedFilter
from service.query.model.catalog import ERRORS, Table
from service.query.model.errors import BadInputError, QueryTimeoutError
from service.query.model.predicate import Compare, TimeRange, operands
from service.query.model.scope import Scope
from service.query.scan.account_filter import all_loaded, matching_account_ids, names_in_scope
from service.storage.cold import catalogue
from service.storage.cold.catalogue import ColdFile
from service.storage.connection import one_row
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.ids import CallKey, IdError, decode_call_id, decode_error_id
from service.storage.statements import unsummed
from service.storage.statements.unsummed import UnsummedDays
from service.storage.statements.write import LOGS_PARAMETERS

SCAN_RANGES_MAX: Final = 8
TICK: Final = timedelta(microseconds=1)
FAR_FUTURE: Final = datetime(9999, 1, 1, tzinfo=UTC)
FAR_PAST: Final = datetime(1, 1, 2, tzinfo=UTC)


class ScanRange(NamedTuple):
    """Rows of one tier, not older than `cutoff`, of the accounts with the ids `accounts` (None: every account).

    `policy` and `now` are what the cut-off was worked out from.
    """

    tier: int
    accounts: tuple[int, ...] | None
    cutoff: datetime
    now: datetime
    policy: Policy

    @property
    def account(self) -> int | None:
        """The id of the one account whose rows these are; None when there are several, or any."""
        return self.accounts[0] if self.accounts is not None and len(self.accounts) == 1 else None

    @property
    def readable(self) -> datetime:
        """The oldest time whose hashed values are still shown. Few lists ask for one."""
        return readable_cutoff(self.policy, self.tier, DataClass.PERSONAL, Store.CALL, self.now)


def time_range_of(table: Table, decomposed: DecomposedFilter) -> TimeRange:
    """The time range that the filter leaves, half-open."""
    start, end = FAR_PAST, FAR_FUTURE
    for part in decomposed.times:
        lower, upper = _range(part)
        start, end = max(start, lower), min(end, upper)
    for part in decomposed.ids:
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


def tiers_of(accounts: Accounts, account_ids: tuple[int, ...] | None) -> list[tuple[int, tuple[int, ...] | None]]:
    """Tier and account ids of each scan range.

    There is one range per tier and account while they are few, so that each is read in the order of its index, and one
    per tier otherwise.
    """
    if account_ids is not None and len(account_ids) <= SCAN_RANGES_MAX:
        pairs = [(tier, (account_id,)) for account_id in account_ids for tier in accounts.tiers((account_id,))]
        if len(pairs) <= SCAN_RANGES_MAX:
            return [*pairs]
    return [(tier, account_ids) for tier in accounts.tiers(account_ids)]


def scan_ranges_of(
    scope: Scope, accounts: Accounts, account_ids: tuple[int, ...] | None, store: Store, now: datetime
) -> list[ScanRange]:
    """The scan ranges of accounts as `tiers_of` has them."""
    return [scan_range_of(scope, tier, of_tier, store, now) for tier, of_tier in tiers_of(accounts, account_ids)]


def scan_range_of(
    scope: Scope, tier: int, account_ids: tuple[int, ...] | None, store: Store, now: datetime
) -> ScanRange:
    """The range of one tier and of these account ids (None: all) that the policy in force lets be read at `now`."""
    if store is Store.CALL_ERROR and scope.policy.action(ERROR_RECORD[0]) is Action.DROP:
        # What an earlier policy kept is served no more; it goes with its partition.
        return ScanRange(tier, account_ids, FAR_FUTURE, now, scope.policy)
    return ScanRange(tier, account_ids, cutoff(scope.policy, tier, store, now), now, scope.policy)


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


def values_of(scan_range: ScanRange, time_range: TimeRange, limit: int) -> list[object]:
    """What `statements.page` binds for one scan range without conditions, in order: its text is the same for all."""
    values: list[object] = [
        limit,
        scan_range.tier,
        max(time_range.start or scan_range.cutoff, scan_range.cutoff),
        time_range.end,
    ]
    if scan_range.accounts is not None:
        values.append(scan_range.accounts[0] if len(scan_range.accounts) == 1 else scan_range.accounts)
    return values


_CACHED_RANGES_MAX: Final = 4096
_Key = tuple[tuple[int, ...] | None, tuple[Compare, ...]]


class CachedRanges(NamedTuple):
    """Where the rows of one filter on accounts can lie, for one scope.

    `names`: account ids by name, of the accounts that the scope may know; `account_ids`: those that can have matches
    (None: any); `tiers`: tier and account ids of each scan range; `scope`: a text that tells scopes apart.
    """

    names: Mapping[str, int]
    account_ids: tuple[int, ...] | None
    tiers: Sequence[tuple[int, tuple[int, ...] | None]]
    scope: str


class RangeCache:
    """The scan ranges of one process's filters, remembered until an account or a tier changes."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._ranges: dict[_Key, CachedRanges] = {}
        self._version: object = None

    def cached(self, scope: Scope, decomposed: DecomposedFilter) -> CachedRanges | None:
        """The ranges that are remembered, or None. Those of single calls never are: each query names others."""
        if self._version is not self._accounts.version or len(self._ranges) >= _CACHED_RANGES_MAX:
            self._version, self._ranges = self._accounts.version, {}
        return None if decomposed.ids else self._ranges.get((scope.accounts, decomposed.accounts))

    async def load(self, scope: Scope, decomposed: DecomposedFilter) -> CachedRanges:
        """Work out the ranges that are not `cached`. One statement is run when a new account is named."""
        ranges = await self._resolve(scope, decomposed)
        if (
            not decomposed.ids
            and self._version is self._accounts.version
            and all_loaded(self._accounts, scope, decomposed)
        ):
            self._ranges[scope.accounts, decomposed.accounts] = ranges
        return ranges

    async def _resolve(self, scope: Scope, decomposed: DecomposedFilter) -> CachedRanges:
        names = await names_in_scope(self._accounts, scope, decomposed)
        account_ids = matching_account_ids(scope, names, decomposed)
        return CachedRanges(names, account_ids, tiers_of(self._accounts, account_ids), repr(scope.accounts))


# Rows of one account lie in the order of its key: a time window only bounds planning. Without an account, a window is
# read to its end and sorted, so the first windows are as narrow as the rows are dense.
WITH_ACCOUNT = (timedelta(days=1), timedelta(days=8), timedelta(days=36))
WITHOUT_ACCOUNT = (
    timedelta(hours=1),
    timedelta(hours=7),
    timedelta(days=2),
    timedelta(days=9),
    timedelta(days=37),
    timedelta(days=130),
)

_NARROWEST: Final = timedelta(milliseconds=100)
_GROWTH: Final = 8
_A_BROWSERS_NOW: Final = timedelta(minutes=1)


class Density:
    """How the newest rows of a table lie in time: most are at least `age` old, and a page covers `spread`."""

    __slots__ = ("age", "spread")

    def __init__(self) -> None:
        self.age, self.spread = timedelta(), timedelta(seconds=1)

    def observe_page(self, middle: timedelta, oldest: timedelta) -> None:
        """Take in the ages of the rows in the middle and at the end of the newest page over every account.

        The newest rows are left out of account: a few with a wrong clock's time say nothing of the others.
        """
        self.age = max(middle, timedelta())
        self.spread = max(4 * (oldest - self.age), _NARROWEST)

    def observe_unfilled(self, searched: timedelta) -> None:
        """Take in that the rows of the last `searched` do not fill a page."""
        self.spread = max(self.spread, searched)

    def widths(self) -> Iterator[timedelta]:
        """Yield how far back each window reaches, narrowest first.

        At a thousand calls per second a page lies within a tenth of a second, otherwise within the last hour. Where no
        call has come for longer, the windows grow as finely behind those that are empty. Where the density has changed
        since, a page takes a few more statements once, or one that reads too much.
        """
        passed, spread = timedelta(), self.spread
        for width in WITHOUT_ACCOUNT:
            while passed <= self.age and self.age + spread < width:
                yield self.age + spread
                spread *= _GROWTH
            yield width
            passed = width

    @staticmethod
    def is_newest(end: datetime, now: datetime) -> bool:
        """Whether a list that ends there begins with the newest rows: a page's own clock may have named its end."""
        return end >= now - _A_BROWSERS_NOW


def time_windows(
    start: datetime, end: datetime, now: datetime, *, newest_first: bool, density: Density | None, sparse: bool = False
) -> Iterator[TimeRange]:
    """Yield adjoining windows that make up [start, end). `density`: None where rows come from the index in order;
    `sparse`: a filter leaves fewer of them, and a second statement costs more than a wider first one.
    """
    if start >= end:
        return
    widths = WITH_ACCOUNT[sparse:] if density is None else density.widths()
    if newest_first:
        # What a wrong clock has put into the future belongs to the first window.
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


_NOW: Final = f"""
    SELECT clock_timestamp() AS now, {catalogue.AS_JSON} AS files, {LOGS_PARAMETERS} AS logs,
        {unsummed.AS_JSON} AS unsummed
"""
"""The database's time, which files of calls there are, whether its log gets the parameters of statements, and which
tables of sums lack days.
"""
_TRUSTED_SECONDS: Final = 10.0


class DatabaseClock:
    """The database's time, from a measurement of at most ten seconds ago and our own monotonic clock.

    It runs behind the database by no more than a round trip; most readings run no statement. `ahead`: by how much it is
    fast, for who reads what may still be shown then.
    """

    def __init__(self, database: Database, ahead: timedelta = timedelta()) -> None:
        self._database = database
        self._ahead = ahead
        self._measured: tuple[float, datetime] | None = None
        self.logs_parameters = False
        """Whether the server writes parameters into its log: rows of files are no parameters then."""
        self.files_at = 0.0
        """When `files` was read, by the monotonic clock."""
        self.files: tuple[ColdFile, ...] = ()
        """The files of calls at the last measurement. One is listed for longer than this is trusted before it answers
        for its rows (`service.retention.cold`)."""
        self.unsummed: UnsummedDays = {}
        """Which tables of sums lacked days at the last measurement. Others may by now: who leaves their calls out asks
        whether that was right (`CostStatement`)."""

    async def now(self) -> datetime:
        """The time, measured anew when the last measurement is too old. Raises QueryTimeoutError."""
        return self.cached() or await self.refresh()

    def cached(self) -> datetime | None:
        """The time by the last measurement; None when that is too old."""
        if self._measured is None:
            return None
        measured_at, moment = self._measured
        since = time.monotonic() - measured_at
        return None if since > _TRUSTED_SECONDS else moment + timedelta(0, since)

    async def refresh(self) -> datetime:
        """The time, measured anew. Raises QueryTimeoutError."""
        measured_at = time.monotonic()
        try:
            async with self._database.reading(None) as connection:
                moment, files, self.logs_parameters, lacking = await one_row(connection, _NOW)
        except asyncpg.QueryCanceledError:
            raise QueryTimeoutError from None
        moment += self._ahead
        self.files, self.files_at = catalogue.from_json(files), measured_at
        self.unsummed = unsummed.from_json(lacking)
        self._measured = (measured_at, moment)
        return moment + timedelta(0, time.monotonic() - measured_at)
