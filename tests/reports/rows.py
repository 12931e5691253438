"""A ledger for tests of queries: rows are put straight into the stores, so that tests choose every column."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson

from policies import envelope, pseudonym
from policies.admission.segments import ErrorDetails, pack_segments
from policies.policy.document import load_preset
from policies.policy.model import Policy, Role, Store
from policies.policy.views import view_table
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.schema import build_schema
from service.keyring import AccountKeyName, Keyring, PeriodKeyName, create_kek_file, open_keyring
from service.ledger import Ledger
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.scan.user_tokens import period_label
from service.retention.context import RetentionContext
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.ids import call_uuid_hex, encode_call_id, encode_error_id
from service.storage.partitions import Partitions
from service.storage.schema.models import Account, AccountTier

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SALT = bytes(range(24))


@dataclass(slots=True)
class StoredError:
    """The error record of a call; `details` None: nothing was kept."""

    type: str = "RateLimitError"
    code: str | None = "429"
    delay_ms: int = 0
    fingerprint: int = 1
    rules: dict[str, int] = field(default_factory=dict)
    details: ErrorDetails | None = None


@dataclass(slots=True)
class StoredCall:
    """One row of `call`, and of `call_error` if it has an `error`. `user` is the plain id."""

    started_at: datetime
    account: str = "acme"
    source_id: str = "s"
    model: str = "gpt-4o"
    served_model: str | None = None
    provider: str | None = None
    operation: str | None = None
    api_key: str | None = None
    user: str | None = None
    failed: bool = False
    streamed: bool | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    amount: Decimal | None = None
    currency: str | None = None
    amount_source: int | None = None
    amount_unknown: int | None = None
    amount_parts: list[dict[str, str]] | None = None
    latency_ms: int | None = None
    time_to_first_token_ms: int | None = None
    tags: dict[str, str] | None = None
    error_type: str | None = None
    error_code: str | None = None
    error: StoredError | None = None
    source: int = 1
    cache_hit: bool | None = None
    attempt: int | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None
    session_id: str | None = None
    deployment: str | None = None
    team: str | None = None
    team_id: str | None = None
    organization_id: str | None = None
    organization: str | None = None
    normalized_error: str | None = None
    provider_request_id: str | None = None
    units: dict[str, str] | None = None
    correction_of: UUID | None = None
    corrected_at: datetime | None = None


_COPIED = [
    *("started_at", "source_id", "model", "served_model", "provider"),
    *("operation", "api_key", "failed", "streamed", "input_tokens"),
    *("output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "amount"),
    "amount_unknown",
    *("currency", "amount_source", "latency_ms", "time_to_first_token_ms", "error_type"),
    *("error_code", "source", "cache_hit", "attempt", "trace_id"),
    *(
        "parent_span_id",
        "session_id",
        "deployment",
        "team",
        "team_id",
        "organization",
        "organization_id",
        "normalized_error",
        "provider_request_id",
    ),
    *("correction_of", "corrected_at"),
]


@dataclass(slots=True)
class SeededLedger:
    """An open ledger whose rows are put in directly, of any age, and are asked for as any role."""

    database: Database
    accounts: Accounts
    keyring: Keyring
    policy: Policy
    partitions: Partitions
    reader: Reader

    @property
    def retention(self) -> RetentionContext:
        """Retention over these rows, with a ledger of their database."""
        ledger = Ledger(self.database, self.keyring, uuid4())
        return RetentionContext(
            self.database, self.partitions, self.keyring, self.accounts, lambda: self.policy, ledger
        )

    async def now(self) -> datetime:
        """The database's time, to the millisecond."""
        moment = await self.database.owner.fetchval("SELECT now()")
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    async def join(self, name: str, *tiers: tuple[int, datetime]) -> int:
        """Make an account with these tiers, each from its moment on; its number."""
        account = await Account.create(name=name, created_at=datetime.now(UTC))
        for tier, from_at in tiers or ((1, EPOCH),):
            await AccountTier.create(account_id=account.id, tier=tier, from_at=from_at)
        await self.accounts.refresh()
        return account.id

    async def put(self, calls: Iterable[StoredCall]) -> list[str]:
        """Store rows; their outward ids, in step."""
        calls = list(calls)
        numbers = await self.accounts.ensure({call.account for call in calls})
        rows = [await self._row(numbers[call.account], call) for call in calls]
        errors = [await self._error_row(row, call) for row, call in zip(rows, calls, strict=True) if call.error]
        needs = {(Store.CALL, row["tier"], row["started_at"]) for row in rows}
        needs |= {(Store.CALL_ERROR, row["tier"], row["occurred_at"]) for row in errors}
        await self.partitions.ensure(self.policy, needs)
        await self._insert("call", rows)
        await self._insert("call_error", errors)
        await self._insert("usage_delta", [_delta(row) for row in rows])
        return [encode_call_id(row["account_id"], row["id"]) for row in rows]

    async def _insert(self, table: str, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        columns = list(rows[0])
        values = ", ".join(f"${index + 1}" for index in range(len(columns)))
        async with self.database.writer.acquire() as connection:
            await connection.executemany(
                f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})",
                [tuple(row[column] for column in columns) for row in rows],
            )

    async def _row(self, number: int, call: StoredCall) -> dict[str, Any]:
        error_at = call.started_at + timedelta(milliseconds=call.error.delay_ms) if call.error else None
        tier = self.accounts.tier(number, call.started_at)
        return {name: getattr(call, name) for name in _COPIED} | {
            "id": call_uuid(number, "native", call.source_id, call.started_at),
            "digest": 0,
            "account_id": number,
            "tier": tier,
            "user_token": await self._token(number, tier, call),
            "error_at": error_at,
            "tags": orjson.dumps(call.tags).decode() if call.tags else None,
            "amount_parts": orjson.dumps(call.amount_parts).decode() if call.amount_parts else None,
            "units": orjson.dumps(call.units).decode() if call.units else None,
        }

    async def _token(self, number: int, tier: int, call: StoredCall) -> int | None:
        if call.user is None:
            return None
        period = period_label(self.policy, call.started_at)
        period_key = await self.keyring.key(PeriodKeyName(tier, "personal", period), mint=True)
        account_key = await self.keyring.key(AccountKeyName(number), mint=True)
        return pseudonym.token(key=pseudonym.pseudonym_key(period_key, account_key), user=call.user)

    async def _error_row(self, row: dict[str, Any], call: StoredCall) -> dict[str, Any]:
        error = call.error
        assert error is not None
        sealed = await self._sealed(row, error.details) if error.details is not None else None
        return {
            "occurred_at": row["error_at"],
            "started_at": row["started_at"],
            "id": row["id"],
            "fingerprint": error.fingerprint,
            "user_token": row["user_token"],
            "account_id": row["account_id"],
            "tier": row["tier"],
            "api_key": call.api_key,
            "model": call.model,
            "provider": call.provider,
            "error_type": error.type,
            "error_code": error.code,
            "rules": list(error.rules),
            "rule_counts": list(error.rules.values()),
            "sealed": sealed,
        }

    async def _sealed(self, row: dict[str, Any], details: ErrorDetails) -> bytes:
        period = row["error_at"].strftime("%Y-%m-%d")
        period_key = await self.keyring.key(PeriodKeyName(row["tier"], "personal", period), mint=True)
        account_key = await self.keyring.key(AccountKeyName(row["account_id"]), mint=True)
        record: UUID = row["id"]
        return envelope.seal(
            pack_segments(details),
            data_key=envelope.data_key(period_key, account_key),
            context=envelope.SealContext(row["account_id"], "call_error", record.bytes, period, "personal"),
            salt=SALT[:8] + record.bytes,
        )

    def scope(self, role: Role = Role.ADMIN, *accounts: int, policy: Policy | None = None) -> Scope:
        """A scope over these accounts; none: every account."""
        policy = policy or self.policy
        return Scope("testkey2", role, accounts or None, policy, view_table(policy, role))

    def context(self, scope: Scope | None = None, **changes: Any) -> Context:
        values = {"bucket": Bucket(0), "max_cost": 100_000, "request_id": "test"} | changes
        return Context(scope=scope or self.scope(), reader=self.reader, **values)

    async def ask(
        self, query: str, scope: Scope | None = None, variables: Mapping[str, Any] | None = None, **changes: Any
    ) -> Any:
        """Execute, and hand back the whole result."""
        context = self.context(scope, **changes)
        return await build_schema().execute(query, variable_values=dict(variables or {}), context_value=context)

    async def data(self, query: str, scope: Scope | None = None, variables: Mapping[str, Any] | None = None) -> Any:
        """Execute what must succeed, and hand back its data."""
        result = await self.ask(query, scope, variables)
        assert result.errors is None, result.errors
        return result.data

    async def code(self, query: str, scope: Scope | None = None, variables: Mapping[str, Any] | None = None) -> str:
        """Execute what must fail with one error, and hand back its code."""
        result = await self.ask(query, scope, variables)
        assert result.errors is not None and len(result.errors) == 1, result
        return result.errors[0].extensions["code"]


def _delta(row: Mapping[str, Any]) -> dict[str, Any]:
    """The usage of one call, as the writer appends it."""
    moment: datetime = row["started_at"]
    tokens = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    return {name: row[name] for name in ("account_id", "tier", "failed", "model")} | {
        **{name: row[name] or "" for name in ("provider", "api_key", "currency")},
        **{name: row[name] or 0 for name in tokens},
        "bucket_at": moment - (moment - EPOCH) % timedelta(minutes=15),
        "calls": 1,
        "priced": int(row["amount"] is not None),
        "amount": row["amount"] or 0,
        "estimated": (row["amount"] or 0) if row["amount_source"] == 3 else 0,
        "latency_buckets": [],
    }


def call_uuid(account_id: int, source: str, source_id: str, started_at: datetime) -> UUID:
    """The id that the service gives a call."""
    return UUID(hex=call_uuid_hex(account_id, source, source_id, started_at))


def error_id(number: int, call: StoredCall) -> str:
    """The outward id of a call's error."""
    assert call.error is not None
    uuid = call_uuid(number, "native", call.source_id, call.started_at)
    return encode_error_id(number, uuid, call.started_at + timedelta(milliseconds=call.error.delay_ms))


@asynccontextmanager
async def open_seeded(url: str, folder: Path, policy: Policy | None = None) -> AsyncIterator[SeededLedger]:
    policy = policy or load_preset("default")
    database = await Database.open(url, read_connections=3, statement_timeout_ms=20_000)
    try:
        create_kek_file(folder / "kek")
        keyring = await open_keyring(f"file:{folder / 'keyring'}", f"file:{folder / 'kek'}", create=True)
        accounts = Accounts(policy.tiers[policy.default_tier].number)
        await accounts.refresh()
        reader = await Reader.open(database, accounts, keyring)
        yield SeededLedger(database, accounts, keyring, policy, Partitions(database.owner), reader)
        await keyring.close()
    finally:
        await database.close()
