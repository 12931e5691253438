"""A ledger for tests of usage: calls are stored by the writer's own statements, deltas included."""

import itertools
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import orjson
from rows import call_uuid

from policies.policy.document import load_preset
from policies.policy.model import Policy, Role, Store, Tier
from policies.policy.views import view_table
from service.query.model.scope import Scope
from service.query.records.ordering import Cursors
from service.query.usage.source import UsageReader
from service.retention.rollups.compaction import Compaction
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.partitions import Partitions
from service.storage.schema.models import Account, AccountTier
from service.storage.statements.write import CREATE_STAGED, STAGED_COLUMNS, STAGED_TABLE, STORE_STAGED

_numbers = itertools.count()
QUARTER = timedelta(minutes=15)
CURSORS = Cursors(bytes(32))
SHORT_TIER = Tier("short", 2, {Store.CALL: 10, Store.CALL_ERROR: 5, Store.USAGE_QUARTER: 10, Store.USAGE_DAY: 60}, {})


@dataclass(frozen=True, slots=True)
class Reported:
    """One call as a test tells it; `account` is a name."""

    started_at: datetime
    account: str = "acme"
    model: str = "gpt-4o"
    provider: str | None = "openai"
    api_key: str | None = "prod"
    failed: bool = False
    amount: Decimal | None = None
    currency: str | None = None
    amount_source: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    served_model: str | None = None
    operation: str | None = None
    error_type: str | None = None
    error_code: str | None = None
    user_token: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    number: int = field(default_factory=_numbers.__next__)


_PLAIN = [f.name for f in fields(Reported) if f.name not in ("account", "tags", "number")]


@dataclass(slots=True)
class Ledger:
    """A database with the parts that queries of usage need."""

    database: Database
    accounts: Accounts
    policy: Policy
    partitions: Partitions
    compaction: Compaction

    async def now(self) -> datetime:
        return await self.database.owner.fetchval("SELECT now()")

    async def sum_tags(self, *keys: str) -> None:
        """Sum by these tags, before there are calls."""
        values = [(key, datetime(1970, 1, 1, tzinfo=UTC)) for key in keys]
        statement = "INSERT INTO usage_tag_key (tag_key, summed_from) VALUES ($1, $2)"
        await self.database.owner.executemany(statement, values)

    def reader(self, now: datetime, accounts: tuple[int, ...] | None = None, role: Role = Role.ADMIN) -> UsageReader:
        """What reads usage for a key of `role` bound to `accounts` (None: to none), as if it were `now`."""
        scope = Scope("key", role, accounts, self.policy, view_table(self.policy, role))
        return UsageReader(self.database, self.accounts, scope, now, CURSORS)

    async def join(self, name: str, *tiers: tuple[int, datetime]) -> int:
        """Make an account that has had these tiers, each from its moment on; its number."""
        account = await Account.create(name=name, created_at=datetime.now(UTC))
        for tier, from_at in tiers:
            await AccountTier.create(account_id=account.id, tier=tier, from_at=from_at)
        await self.accounts.refresh()
        return account.id

    async def report(self, calls: Iterable[Reported]) -> None:
        """Store calls and their deltas in one transaction."""
        calls = list(calls)
        numbers = await self.accounts.ensure(call.account for call in calls)
        rows = [self._row(numbers[call.account], call) for call in calls]
        stores = (Store.CALL, Store.USAGE_QUARTER, Store.USAGE_DAY)
        await self.partitions.ensure(
            self.policy, {(store, row["tier"], row["started_at"]) for row in rows for store in stores}
        )
        async with self.database.writer.acquire() as connection, connection.transaction():
            await connection.execute(CREATE_STAGED)
            records = [tuple(row.get(name) for name in STAGED_COLUMNS) for row in rows]
            await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=list(STAGED_COLUMNS))
            assert await connection.fetch(STORE_STAGED) == [], "a test's calls are all new"

    def _row(self, account_id: int, call: Reported) -> dict[str, object]:
        source_id = f"call-{call.number}"
        return {name: getattr(call, name) for name in _PLAIN} | {
            "amount": None if call.amount is None else str(call.amount),
            "account_id": account_id,
            "tier": self.accounts.tier(account_id, call.started_at),
            "id": call_uuid(account_id, "native", source_id, call.started_at),
            "digest": 0,
            "source": 1,
            "source_id": source_id,
            "tags": orjson.dumps(dict(call.tags)).decode() if call.tags else None,
        }


def default_policy(*extra_tiers: Tier) -> Policy:
    policy = load_preset("default")
    tiers = {**policy.tiers, **{tier.name: tier for tier in extra_tiers}}
    return replace(policy, tiers=MappingProxyType(tiers))


@asynccontextmanager
async def open_ledger(url: str, policy: Policy | None = None) -> AsyncIterator[Ledger]:
    policy = policy or default_policy(SHORT_TIER)
    database = await Database.open(url, read_connections=3)
    try:
        accounts = Accounts(policy.tiers[policy.default_tier].number)
        partitions = Partitions(database.owner)
        yield Ledger(database, accounts, policy, partitions, Compaction(database.owner))
    finally:
        await database.close()
