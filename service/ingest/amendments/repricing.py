"""Pricing stored calls anew, by the lists that are in use now.

A call without an amount gets its estimate, as a completion; where the estimate of ours is another one now, the
difference is added as a correction, so that what was shown before stays to be seen. An amount that was reported is
never touched, nor is a call that its gateway has corrected. Each batch is decided on locked rows and committed by
itself: ended at any moment, the same again goes on, and once more finds nothing to do.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from policies import Attributes, Policy, Report, Store
from policies.policy.model import Action
from policies.retention import cutoff
from service.ingest.amendments.correction import Corrected, corrected_before
from service.ingest.amendments.own_correction import OwnCorrection, store_own_corrections
from service.ingest.preparation.preparation import parts_json
from service.ingest.prices.price_list import Prices
from service.storage.citus.locks import fetch_locked
from service.storage.cold.catalogue import FrozenTimes
from service.storage.cold.errors import ColdTierError
from service.storage.connection import Connection
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.sources import AMOUNT_SOURCE_NUMBERS, AMOUNT_UNKNOWN_NAMES, SOURCE_NAMES
from service.storage.statements.complete import PRICE
from service.storage.statements.reprice import CALLS_TO_PRICE, LOCK_TO_PRICE, MOMENT
from service.storage.statements.write import CREATE_STAGED, DURABLE_COMMITS, STAGED_COLUMNS, STAGED_TABLE

BATCH_ROWS: Final = 1000
GROUPS_MAX: Final = 100_000
"""Accounts, models and currencies that are told apart; what is beyond is summed up as one."""
_WINDOW: Final = timedelta(hours=1)
_ESTIMATED: Final = AMOUNT_SOURCE_NUMBERS["ESTIMATED"]
_NONE: Final = Corrected(Decimal(0), Decimal(0), 0, 0)
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class RepriceRange(NamedTuple):
    """The calls that are looked at: from `since` until `until`, which is not included, of one account or model, or of
    all (None).
    """

    since: datetime
    until: datetime
    account_id: int | None = None
    model: str | None = None


@dataclass(slots=True)
class RepricedGroup:
    """What pricing anew makes of the calls of one account, model and currency.

    `before` and `after`: what they come to, corrections included; nothing for those without an amount.
    """

    completed: int = 0
    corrected: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)


_Key = tuple[int | None, str | None, str]
"""Account, model and currency; None where there were too many to tell them apart."""


@dataclass(slots=True)
class Repriced:
    """What came of it so far. `left`: why calls were left as they are, with their number."""

    seen: int = 0
    differences: dict[_Key, RepricedGroup] = field(default_factory=dict[_Key, RepricedGroup])
    left: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, change: "PriceChange") -> None:
        """Count a change that was made, or would be."""
        group: _Key = (change.account_id, change.model, change.currency)
        if group not in self.differences and len(self.differences) >= GROUPS_MAX:
            group = (None, None, change.currency)
        difference = self.differences.setdefault(group, RepricedGroup())
        difference.completed += change.completes
        difference.corrected += not change.completes
        difference.before += change.before
        difference.after += change.estimate

    def leave(self, why: str) -> None:
        """Count a call that is left as it is."""
        self.left[why] = self.left.get(why, 0) + 1


class PriceChange(NamedTuple):
    """What is to be done to one call: its first estimate, or the difference of a new one.

    `staged`: the columns of the row that completes it. `before`: its amount with its corrections.
    """

    row: asyncpg.Record
    estimate: Decimal
    currency: str
    price_list: str
    before: Decimal
    completes: bool
    staged: Mapping[str, Any]
    own: int

    @property
    def account_id(self) -> int:
        """Whose call it is."""
        return int(self.row["account_id"])

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.row["model"])


class Repricing:
    """Prices stored calls anew. `policy` answers the one in force at any moment."""

    def __init__(self, database: Database, accounts: Accounts, prices: Prices, policy: Callable[[], Policy]) -> None:
        self._reader = database.owner  # not the writer's pool: who waits there for a connection holds none
        self._pool = database.writer
        self._accounts = accounts
        self._prices = prices
        self._policy = policy
        self.result = Repriced()

    def keeps(self, field_name: str) -> bool:
        """Whether the policy in force keeps a field of calls."""
        return self._policy().action(f"Call.{field_name}") is Action.KEEP

    async def run(self, within: RepriceRange, *, write: bool) -> AsyncIterator[datetime]:
        """Price the calls of a range, or only say what would come of it. Yields how far it is, at each hour."""
        for tier in self._accounts.tiers(None if within.account_id is None else (within.account_id,)):
            now = await self._reader.fetchval(MOMENT)
            start = max(within.since, cutoff(self._policy(), tier, Store.CALL, now))
            await self._refuse_files(tier, start, within.until)
            while start < within.until:
                end = min(start + _WINDOW, within.until)
                async for rows in self._pages(tier, start, end, within):
                    self.result.seen += len(rows)
                    await (self._write(rows) if write else self._compare(rows))
                await self._refuse_files(tier, start, end)  # calls that moved meanwhile were passed over
                yield end
                start = end

    async def _refuse_files(self, tier: int, start: datetime, end: datetime) -> None:
        """Raise ColdTierError where calls of a time are in files."""
        frozen = await FrozenTimes.read(self._reader)
        if frozen.touch(tier, start, end):
            raise ColdTierError(
                f"calls from before `{frozen.until(tier):%Y-%m-%dT%H:%M:%SZ}` are in the cold tier and cannot be "
                "priced anew there: begin `--since` then, or bring them back with `calledger cold thaw`"
            )

    async def _pages(
        self, tier: int, start: datetime, end: datetime, within: RepriceRange
    ) -> AsyncIterator[list[asyncpg.Record]]:
        async with self._reader.acquire() as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(CALLS_TO_PRICE, tier, start, end, within.account_id, within.model)
            while rows := await cursor.fetch(BATCH_ROWS):
                yield rows

    async def _compare(self, rows: Sequence[asyncpg.Record]) -> None:
        async with self._pool.acquire() as connection:
            for change in await self._decide(connection, rows):
                self.result.add(change)

    async def _write(self, rows: Sequence[asyncpg.Record]) -> None:
        """Decide on locked rows, and write what is decided. A call that was completed meanwhile is left alone."""
        async with self._pool.acquire() as connection:
            await connection.execute(DURABLE_COMMITS)
            await connection.execute(CREATE_STAGED)
            async with connection.transaction():
                moments, accounts = [row["started_at"] for row in rows], {row["account_id"] for row in rows}
                locked = await fetch_locked(
                    connection,
                    LOCK_TO_PRICE,
                    accounts,
                    rows[0]["tier"],
                    list(accounts),
                    list(set(moments)),
                    [row["id"] for row in rows],
                    min(moments),
                    max(moments),
                )
                changes = await self._decide(connection, locked)
                await _complete(connection, [change for change in changes if change.completes])
                await store_own_corrections(connection, [_correction(c) for c in changes if not c.completes])
            for change in changes:
                self.result.add(change)

    async def _decide(self, connection: Connection, rows: Sequence[asyncpg.Record]) -> list[PriceChange]:
        """What is to be done to each of these calls of one tier."""
        if not rows or not self.keeps("amount"):
            return []
        keeps_parts = self.keeps("amountParts")
        estimated = [row for row in rows if row["amount"] is not None]
        corrected: dict[str, Corrected] = {}
        if estimated:
            columns = [[row[name] for row in estimated] for name in ("account_id", "started_at")]
            corrected = await corrected_before(
                connection, rows[0]["tier"], columns[0], columns[1], [row["id"].hex for row in estimated]
            )
        decided = (self._change(row, corrected.get(row["id"].hex, _NONE), keeps_parts) for row in rows)
        return [change for change in decided if change is not None]

    def _change(self, row: asyncpg.Record, corrected: Corrected, keeps_parts: bool) -> PriceChange | None:
        report = _report(row)
        self._prices.estimate(report)
        if report.amount is None or report.currency is None or not report.amount_parts:
            return self.result.leave("no list has a price" if row["amount"] is None else "no list has a price any more")
        completes = row["amount"] is None
        before = Decimal(0) if completes else row["amount"] + corrected.amount
        if not completes:
            if corrected.corrections > corrected.own:
                return self.result.leave("corrected by its gateway")
            if report.currency != row["currency"]:
                return self.result.leave("priced in another currency now")
            if before == report.amount:
                return None
        staged = {
            "amount": f"{report.amount:f}",
            "currency": report.currency,
            "amount_source": _ESTIMATED,
            "amount_parts": parts_json(report.amount_parts) if keeps_parts else None,
        }
        version = report.amount_parts[0].price_list or ""
        return PriceChange(row, report.amount, report.currency, version, before, completes, staged, corrected.own)


def _report(row: asyncpg.Record) -> Report:
    """The call as it was reported, as far as prices depend on it."""
    units = orjson.loads(row["units"]) if row["units"] else None
    unknown = AMOUNT_UNKNOWN_NAMES.get(row["amount_unknown"])
    return Report(
        source=SOURCE_NAMES[row["source"]],  # pyright: ignore[reportArgumentType] - numbers are of these names
        source_id="",
        started_at=row["started_at"],
        model=row["model"],
        failed=row["failed"],
        served_model=row["served_model"],
        provider=row["provider"],
        operation=row["operation"],
        **{name: row[name] for name in _TOKENS},
        attributes=Attributes(units={name: Decimal(text) for name, text in units.items()}) if units else None,
        # What was unreadable or negative stays so; what had no price may have one now.
        amount_unknown=None if unknown == "NOT_PRICED" else unknown,  # pyright: ignore[reportArgumentType]
    )


async def _complete(connection: Connection, changes: Iterable[PriceChange]) -> None:
    for tier, some in groupby(changes, key=lambda change: change.row["tier"]):
        of_tier = list(some)
        records = [_staged(change) for change in of_tier]
        await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=STAGED_COLUMNS)
        moments = [change.row["started_at"] for change in of_tier]
        await connection.execute(PRICE, tier, min(moments), max(moments))


def _staged(change: PriceChange) -> tuple[Any, ...]:
    row = change.row
    key = {"account_id": row["account_id"], "tier": row["tier"], "started_at": row["started_at"], "id": row["id"]}
    values = key | dict(change.staged)
    return tuple(values.get(name) for name in STAGED_COLUMNS)


def _correction(change: PriceChange) -> OwnCorrection:
    row = change.row
    return OwnCorrection(
        row["account_id"],
        row["tier"],
        row["started_at"],
        row["id"].hex,
        row["source"],
        change.estimate - change.before,
        change.currency,
        change.own + 1,
        change.price_list,
    )
