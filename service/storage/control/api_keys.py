"""API keys as they are recorded: without their secret, which `mac` recognises."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import orjson

from service.storage.connection import Connection, record_of
from service.storage.schema.models import ApiKey
from service.storage.schema.tortoise import control_transaction

_REVOKE_EVERY: Final = "UPDATE api_key SET revoked_at = $1 WHERE revoked_at IS NULL AND prefix <> $2 RETURNING prefix"
"""Revoke the keys that are live but for one."""
_PAGE: Final = """
    SELECT prefix, name, role, accounts, mac, created_at, expires_at, last_used_at, revoked_at FROM api_key
    WHERE ($2::timestamptz IS NULL OR (created_at, prefix) < ($2, $3))
        AND ($4::integer[] IS NULL OR accounts <@ to_jsonb($4))
    ORDER BY created_at DESC, prefix DESC LIMIT $1
"""
"""Keys after a place, newest first; $4: of these accounts alone."""
_ONE: Final = """
    SELECT prefix, name, role, accounts, mac, created_at, expires_at, last_used_at, revoked_at FROM api_key
    WHERE prefix = $1 AND ($2::integer[] IS NULL OR accounts <@ to_jsonb($2))
"""
"""One key; $2: if it is of these accounts alone."""
_COUNT: Final = "SELECT count(*) FROM api_key WHERE $1::integer[] IS NULL OR accounts <@ to_jsonb($1)"
"""How many keys there are; $1: of these accounts alone."""
_END_AT: Final = "UPDATE api_key SET expires_at = $2 WHERE prefix = $1"
"""Let a key end at a moment."""
_BEGIN_HOUR: Final = """
    UPDATE api_key SET sessions_hour = $2 WHERE prefix = $1 AND (sessions_hour IS NULL OR sessions_hour < $2)
    RETURNING prefix
"""
"""Take note that a key gives out session tokens in an hour; returns no row when that was noted before."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is recorded. `accounts`: the ids of the accounts that it is bound to; None: every account."""

    prefix: str
    name: str | None
    role: str
    accounts: tuple[int, ...] | None
    mac: bytes
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def get_key(prefix: str) -> KeyRecord | None:
    """The key with this prefix, revoked or not; None when there is none."""
    key = await ApiKey.get_or_none(prefix=prefix)
    return None if key is None else _record(key)


async def list_keys() -> list[KeyRecord]:
    """Every key, oldest first."""
    return [_record(key) for key in await ApiKey.all().order_by("created_at")]


async def any_key(*, name_begins: str = "") -> bool:
    """Whether there is or was a key whose name starts with `name_begins`."""
    return await ApiKey.filter(name__startswith=name_begins).exists() if name_begins else await ApiKey.exists()


async def count_keys() -> int:
    """The number of keys that are not revoked."""
    return await ApiKey.filter(revoked_at__isnull=True).count()


async def page_keys(
    connection: Connection, size: int, after: tuple[datetime, str] | None, accounts: Sequence[int] | None
) -> list[KeyRecord]:
    """At most `size` keys, newest first, after a place (moment and prefix); those bound to none but `accounts`."""
    moment, prefix = after or (None, None)
    rows = await connection.fetch(_PAGE, size, moment, prefix, None if accounts is None else list(accounts))
    return [_record_of(row) for row in rows]


async def find_key(connection: Connection, prefix: str, accounts: Sequence[int] | None) -> KeyRecord | None:
    """The key with this prefix, if it is bound to none but `accounts`; else None."""
    row = await connection.fetchrow(_ONE, prefix, None if accounts is None else list(accounts))
    return None if row is None else _record_of(row)


async def number_of_keys(connection: Connection, accounts: Sequence[int] | None) -> int:
    """How many keys there are, revoked ones included; those bound to none but `accounts`."""
    return await connection.fetchval(_COUNT, None if accounts is None else list(accounts))


@asynccontextmanager
async def added_key(
    *,
    prefix: str,
    name: str | None,
    role: str,
    mac: bytes,
    created_at: datetime,
    accounts: Sequence[int] | None = None,
    expires_at: datetime | None = None,
) -> AsyncIterator[Connection]:
    """Add a key, in one transaction with what the block does on the connection."""
    facts: dict[str, Any] = {"name": name, "role": role, "mac": mac, "created_at": created_at, "expires_at": expires_at}
    async with control_transaction() as (models, connection):
        bound = None if accounts is None else list(accounts)
        await ApiKey.create(prefix=prefix, accounts=bound, **facts, using_db=models)
        yield connection


@asynccontextmanager
async def revoked_key(prefix: str, moment: datetime) -> AsyncIterator[Connection]:
    """Revoke a key, in one transaction with what the block does on the connection."""
    async with control_transaction() as (models, connection):
        await ApiKey.filter(prefix=prefix).using_db(models).update(revoked_at=moment)
        yield connection


async def ending_key(connection: Connection, prefix: str, moment: datetime) -> None:
    """Let a key end at a moment, in the transaction of `connection`."""
    await connection.execute(_END_AT, prefix, moment)


@asynccontextmanager
async def begin_hour(prefix: str, hour: datetime) -> AsyncIterator[Connection | None]:
    """Note that a key gives out session tokens in an hour, in one transaction with what the block does on the
    connection; None when it was noted before.
    """
    async with control_transaction() as (_, connection):
        yield connection if await connection.fetchval(_BEGIN_HOUR, prefix, hour) else None


async def revoke_every_key(connection: Connection, moment: datetime, *, but: str) -> list[str]:
    """Revoke all keys but `but`, in the transaction of `connection`; the prefixes of those that it revoked."""
    return [row["prefix"] for row in await connection.fetch(_REVOKE_EVERY, moment, but)]


async def live_keys_named(name_begins: str) -> list[str]:
    """The prefixes of the keys whose name starts with `name_begins` and that are not revoked."""
    return [key.prefix for key in await ApiKey.filter(name__startswith=name_begins, revoked_at__isnull=True)]


async def note_use(prefix: str, moment: datetime, step: timedelta) -> None:
    """Record when a key was last used, unless the recorded time is less than `step` earlier."""
    await ApiKey.filter(prefix=prefix, last_used_at__isnull=True).update(last_used_at=moment)
    await ApiKey.filter(prefix=prefix, last_used_at__lt=moment - step).update(last_used_at=moment)


def _record(key: ApiKey) -> KeyRecord:
    accounts = None if key.accounts is None else tuple(key.accounts)
    return record_of(KeyRecord, vars(key), accounts=accounts)


def _record_of(row: asyncpg.Record) -> KeyRecord:
    accounts = None if row["accounts"] is None else tuple(orjson.loads(row["accounts"]))
    return record_of(KeyRecord, row, accounts=accounts, mac=bytes(row["mac"]))
