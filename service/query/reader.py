"""The one way out for rows: every list and look-up is read here, inside the scope of whoever asks."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final, TypeVar

import asyncpg

from service.keyring.protocol import Keyring
from service.offload import next_turn
from service.query.filters.decomposition import DecomposedFilter, decompose
from service.query.filters.to_sql import UserTokens
from service.query.model.catalog import CALLS, ERRORS, Table
from service.query.model.errors import QueryTimeoutError
from service.query.model.predicate import Predicate
from service.query.model.scope import Scope
from service.query.records.by_key import RowKey, corrections_by_call, corrections_summed, rows_by_key
from service.query.records.change_sums import HourlySum, sum_changes
from service.query.records.changes import ChangesPage, ChangesRequest, newest_cursor, read_changes
from service.query.records.decryption import Decryptor, Details
from service.query.records.error_groups import GroupsPage, GroupsRequest, read_groups
from service.query.records.ordering import Cursors
from service.query.records.page import FixedColumns, ListRead, Page, PageRequest, PageSelection, Row, read_page
from service.query.records.projection import Selection
from service.query.records.walk import Walk
from service.query.scan.cold import ColdRows, UnsharedError
from service.query.scan.ranges import (
    DatabaseClock,
    Density,
    RangeCache,
    scan_range_of,
    scan_range_of_call,
    time_range_of,
)
from service.query.scan.user_tokens import tokens_of
from service.query.usage.plan import TierPeriod, refuse_unreadable
from service.query.usage.source import UsageReader
from service.query.usage.total_count import count_rows
from service.storage.cold.catalogue import ColdFile
from service.storage.cold.errors import ColdFileError
from service.storage.connection import Connection
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.ids import CallKey, IdError, decode_call_id, decode_error_id
from service.storage.readers import ReadLease

_Made = TypeVar("_Made")
_NOBODY: Final[Mapping[str, UserTokens]] = MappingProxyType({})


class Reader:
    """Reads rows for any scope. There is one reader per process."""

    def __init__(self, database: Database, accounts: Accounts, keyring: Keyring, cursors: Cursors) -> None:
        self.database = database
        self.accounts = accounts
        self.keyring = keyring
        self.clock = DatabaseClock(database)
        self.cursors = cursors
        self._range_cache = RangeCache(accounts)
        self._densities = {table.name: Density() for table in (CALLS, ERRORS)}

    @classmethod
    async def open(cls, database: Database, accounts: Accounts, keyring: Keyring) -> "Reader":
        """A reader with cursors sealed under the keyring's secret. Raises what the keyring raises."""
        return cls(database, accounts, keyring, Cursors(await keyring.secret("cursor")))

    async def page(
        self,
        scope: Scope,
        table: Table,
        request: PageRequest,
        page_selection: PageSelection,
        columns: FixedColumns | None = None,
    ) -> Page:
        """A page of calls or errors. Raises BadInputError and QueryTimeoutError."""
        reading = await self.prepare(scope, table, request.predicate, request.terms)
        if reading.cold is None:
            async with self.connection(scope) as connection:
                return await read_page(connection, reading, request, page_selection, self.cursors, count_rows, columns)

        async def read(connection: Connection, cold: ColdRows | None) -> Page:
            """The page, with the rows of these files."""
            listed = reading._replace(cold=cold)
            return await read_page(connection, listed, request, page_selection, self.cursors, count_rows, columns)

        return await self._read(scope, reading.cold, read)

    async def walk(
        self, scope: Scope, table: Table, request: PageRequest, page_selection: PageSelection, walk: Walk
    ) -> Page:
        """The next page of a list that is read to its end, oldest first. Raises BadInputError and QueryTimeoutError."""
        reading = await self.prepare(scope, table, request.predicate, request.terms)

        async def read(connection: Connection, cold: ColdRows | None) -> Page:
            """The page, with the rows of these files."""
            listed = reading if cold is None else reading._replace(cold=cold)
            return await walk.page(connection, listed, request, page_selection, self.cursors, count_rows)

        return await self._read(scope, reading.cold, read)

    async def changes(self, scope: Scope, request: ChangesRequest, selection: Selection) -> ChangesPage:
        """A part of the change feed. Raises BadInputError, CursorExpiredError and QueryTimeoutError."""
        reading = await self.prepare(scope, CALLS, request.predicate, "changes")

        async def read(connection: Connection, cold: ColdRows | None) -> ChangesPage:
            """The part, with the rows of these files."""
            listed = reading if cold is None else reading._replace(cold=cold)
            return await read_changes(connection, listed, request, selection, self.cursors)

        return await self._read(scope, reading.cold, read)

    async def newest_change(self, scope: Scope, predicate: Predicate) -> str:
        """The cursor behind the newest change, to go on with from now on."""
        reading = await self.prepare(scope, CALLS, predicate, "changes")
        async with self.connection(scope) as connection:
            return await newest_cursor(connection, reading, self.cursors)

    async def change_sums(self, scope: Scope, since: datetime, until: datetime) -> tuple[list[HourlySum], bool]:
        """Checksums of the change feed, and whether they are final. Raises BadInputError and QueryTimeoutError."""
        if scope.accounts is not None:
            await self.accounts.look_up(account_ids=scope.accounts)
        async with self.connection(scope) as connection:
            sums, settled = await sum_changes(connection, scope, since, until)
        await self.accounts.look_up(account_ids={one.account_id for one in sums})
        return sums, settled

    async def groups(self, scope: Scope, request: GroupsRequest, selection: Selection, *, total: bool) -> GroupsPage:
        """A page of error groups. Raises BadInputError and QueryTimeoutError."""
        reading = await self.prepare(scope, ERRORS, request.predicate, ("groups", request.order, request.descending))
        async with TimedReading(self.database, scope.accounts, scope.key_id) as connection:
            return await read_groups(connection, reading, request, selection, self.cursors, total=total)

    async def prepare(
        self, scope: Scope, table: Table, predicate: Predicate | DecomposedFilter, order: object = ()
    ) -> ListRead:
        """Find where the rows of a predicate can lie for this scope, at the database's present time."""
        decomposed = predicate if isinstance(predicate, DecomposedFilter) else decompose(table, predicate)
        now = self.clock.cached() or await self.clock.refresh()
        ranges = self._range_cache.cached(scope, decomposed) or await self._range_cache.load(scope, decomposed)
        time_range = time_range_of(table, decomposed)
        scan_ranges = [scan_range_of(scope, tier, accounts, table.store, now) for tier, accounts in ranges.tiers]
        if decomposed.by_user and not decomposed.ids:
            tier_periods = [TierPeriod(*entry) for entry in self.accounts.tier_spans(ranges.account_ids)]
            refuse_unreadable(time_range, tier_periods, scope.policy, table.store, now)
        users: Mapping[str, UserTokens] = _NOBODY
        if decomposed.users:
            users = {
                user: await tokens_of(
                    self.keyring, scope.policy, user, scan_ranges, ranges.names.values(), time_range, now
                )
                for user in decomposed.users
            }
        binding = Cursors.bound(f"({table.kind!r}, {ranges.scope}, {order!r}, {decomposed.text!r})")
        return ListRead(
            table, scope, ranges.account_ids, scan_ranges, time_range, decomposed.rest, ranges.names, users, now,
            binding, self._densities[table.name], self.accounts.erased, self._cold(table),
            self.clock.unsummed,
        )  # fmt: skip

    async def _read(
        self,
        scope: Scope,
        cold: ColdRows | None,
        read: Callable[[Connection, ColdRows | None], Awaitable[_Made]],
    ) -> _Made:
        """What `read` makes of a connection, and of the files in which some rows may lie.

        Where a file cannot be read, it is looked up which are listed by now: its rows may have come back. One that does
        not answer yet is done without, for its rows are all in the table: unless it has begun to answer meanwhile.
        """
        if cold is None:
            async with self.connection(scope) as connection:
                return await read(connection, None)
        known = cold.files
        while True:
            try:
                made = await self._read_files(scope, cold, read)
            except ColdFileError:
                await self.clock.refresh()
                answering = self._answering()
                if answering == cold.files:
                    raise
            else:
                if cold.files is known:
                    return made
                await self.clock.refresh()
                answering = self._answering()
                if {*answering} <= {*cold.files}:
                    return made
            cold = cold._replace(files=answering, known_at=self.clock.files_at)

    async def _read_files(
        self, scope: Scope, cold: ColdRows, read: Callable[[Connection, ColdRows | None], Awaitable[_Made]]
    ) -> _Made:
        """What `read` makes of a connection, which is one of the key's share as soon as a file is to be read."""
        with suppress(UnsharedError):
            async with self.connection(scope) as connection:
                cold.check_known()
                return await read(connection, cold._replace(shared=False))
        async with TimedReading(self.database, scope.accounts, scope.key_id) as connection:
            cold.check_known()
            return await read(connection, cold)

    def _answering(self) -> tuple[ColdFile, ...]:
        """The files that answered for their rows when they were last looked up."""
        return tuple(file for file in self.clock.files if file.frozen)

    def _cold(self, table: Table) -> ColdRows | None:
        """The files of the table's rows, where there are any."""
        clock, files = self.clock, self.clock.files if table is CALLS else ()
        return ColdRows(self.database.cold, files, clock.files_at, clock.logs_parameters) if files else None

    async def call(self, scope: Scope, text: str, selection: Selection) -> Row | None:
        """One call by its outward id; None when it is unknown, out of scope or past its window."""
        return (await self.calls(scope, [text], selection))[0]

    async def error(self, scope: Scope, text: str, selection: Selection) -> Row | None:
        """One error by its outward id; None as for calls."""
        return (await self.errors(scope, [text], selection))[0]

    async def calls(self, scope: Scope, texts: Sequence[str], selection: Selection) -> list[Row | None]:
        """Calls by their outward ids, in step; None as for one."""
        keys: list[RowKey | None] = []
        for text in texts:
            try:
                keys.append(await self._row_key(scope, CALLS, decode_call_id(text)))
            except (IdError, OverflowError):
                keys.append(None)
        return await self._in_step(scope, CALLS, keys, selection)

    async def errors(self, scope: Scope, texts: Sequence[str], selection: Selection) -> list[Row | None]:
        """Errors by their outward ids, in step; None as for one."""
        keys: list[RowKey | None] = []
        for text in texts:
            try:
                key = decode_error_id(text)
                found = await self._row_key(scope, ERRORS, key.call)
                keys.append(found and RowKey(found.account_id, found.tier, key.occurred_at, found.id))
            except (IdError, OverflowError):
                keys.append(None)
        return await self._in_step(scope, ERRORS, keys, selection)

    async def _row_key(self, scope: Scope, table: Table, key: CallKey) -> RowKey | None:
        if scope.accounts is not None and key.account_id not in scope.accounts:
            return None
        if key.account_id not in self.accounts.names():
            await self.accounts.look_up(account_ids=[key.account_id])
        scan_range = scan_range_of_call(scope, self.accounts, key, table.store, await self.clock.now())
        return None if scan_range is None else RowKey(key.account_id, scan_range.tier, key.started_at, str(key.uuid))

    async def _look_up(self, keys: Iterable[RowKey]) -> None:
        """Have the accounts of these keys in memory, where their tiers are looked for."""
        await self.accounts.look_up(account_ids={key.account_id for key in keys})

    async def _in_step(
        self, scope: Scope, table: Table, keys: Sequence[RowKey | None], selection: Selection
    ) -> list[Row | None]:
        found = await self.rows(scope, table, dict.fromkeys(key for key in keys if key is not None), selection)
        return [None if key is None else found.get((key.account_id, key.id)) for key in keys]

    async def rows(
        self, scope: Scope, table: Table, keys: Iterable[RowKey], selection: Selection
    ) -> Mapping[tuple[int, str], Row]:
        """The rows of many keys at once, by (account, id): what belongs to the rows of a page."""
        keys = list(keys)
        if not keys:
            return {}
        await self._look_up(keys)
        now = await self.clock.now()

        async def read(connection: Connection, cold: ColdRows | None) -> Mapping[tuple[int, str], Row]:
            """The rows, with those of these files."""
            return await rows_by_key(connection, table, keys, selection, scope, self.accounts, now, cold)

        return await self._read(scope, self._cold(table), read)

    async def corrections(
        self, scope: Scope, keys: Sequence[RowKey], selection: Selection
    ) -> Mapping[tuple[int, str], list[Row]]:
        """The corrections of some calls, by the call's (account, id), in the order in which they were made."""
        if not keys:
            return {}
        await self._look_up(keys)
        now = await self.clock.now()

        async def read(connection: Connection, cold: ColdRows | None) -> Mapping[tuple[int, str], list[Row]]:
            """The corrections, with those of these files."""
            return await corrections_by_call(connection, keys, selection, scope, self.accounts, now, cold)

        return await self._read(scope, self._cold(CALLS), read)

    async def corrected_by(self, scope: Scope, keys: Sequence[RowKey]) -> Mapping[tuple[int, str], Decimal]:
        """What all corrections of each call add to its amount, by the call's (account, id)."""
        if not keys:
            return {}
        await self._look_up(keys)
        now = await self.clock.now()

        async def read(connection: Connection, cold: ColdRows | None) -> Mapping[tuple[int, str], Decimal]:
            """What they add, with those of these files."""
            return await corrections_summed(connection, keys, scope, self.accounts, now, cold)

        return await self._read(scope, self._cold(CALLS), read)

    async def usage(self, scope: Scope) -> UsageReader:
        """What reads usage for this scope, at the database's present time.

        Not in the same round of the loop as another: an operation has up to thirty aliases, each takes a millisecond to
        plan, and all of them begin at once.
        """
        await next_turn()
        now = await self.clock.now()
        cold = self._cold(CALLS)
        return UsageReader(
            self.database, self.accounts, scope, now, self.cursors, self.keyring, cold, self.clock.unsummed
        )

    async def details(self, scope: Scope, rows: Sequence[Row]) -> list[Details]:
        """What is sealed of these rows, as far as the role may read it."""
        return await Decryptor(self.keyring, scope, await self.clock.now()).open_all(rows)

    async def sealed_state(self, scope: Scope, row: Row) -> Details:
        """Whether one row could be opened for this scope; it is not."""
        return await Decryptor(self.keyring, scope, await self.clock.now()).sealed_state(row)

    async def reveal(self, scope: Scope, row: Row) -> Details:
        """What is sealed of one row, with what a rule took out of it and the policy kept.

        Only for `revealError`, which has written the ledger before it asks.
        """
        return await Decryptor(self.keyring, scope, await self.clock.now(), reveal=True).open(row)

    def connection(self, scope: Scope) -> "TimedReading":
        """A context with a connection on which row-level security shows the accounts of `scope` and no others."""
        return TimedReading(self.database, scope.accounts)


class TimedReading(ReadLease):
    """A connection that the database keeps to a scope; a statement that takes too long is QueryTimeoutError."""

    __slots__ = ()
    _ANYWHERE = True

    def _failed_by(self, error: BaseException | None) -> None:
        if isinstance(error, asyncpg.QueryCanceledError):
            raise QueryTimeoutError from None


class PrimaryReading(TimedReading):
    """The same, never of the replica: for what tables alone do not say."""

    __slots__ = ()
    _ANYWHERE = False
