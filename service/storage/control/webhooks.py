"""Webhooks: where events are sent, for the keys that asked for it. `service.delivery` sends them.

One process at a time works for a webhook: it has a lease, which ends by itself when the process is killed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from service.errors import RequestError
from service.storage.connection import Connection, Queryable, affected, one_row, record_of
from service.storage.control.exports import Requester
from service.storage.database import uuid_of

WEBHOOKS_MAX: Final = 20
"""How many webhooks one key may have."""
_COLUMNS: Final = (
    "id, name, requested_by, role, accounts, events, request, shown_url, sealed, created_at, disabled_at, failure, "
    "feed_cursor, due_at"
)
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('calledger/webhooks', 0))"
_OF_KEY: Final = "SELECT count(*) FROM webhook WHERE requested_by = $1"
_ADD: Final = f"""
    INSERT INTO webhook (id, name, requested_by, role, accounts, events, request, shown_url, sealed, created_at,
        feed_cursor, due_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), $10, clock_timestamp()) RETURNING {_COLUMNS}
"""  # noqa: S608 - names of our own
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM webhook
    WHERE ($1::text IS NULL OR requested_by = $1) AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
    ORDER BY created_at DESC, id DESC LIMIT $4
"""  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM webhook WHERE $1::text IS NULL OR requested_by = $1"
_ONE: Final = f"SELECT {_COLUMNS} FROM webhook WHERE id = $1"  # noqa: S608
EVERY_WEBHOOK: Final = f"SELECT {_COLUMNS} FROM webhook ORDER BY created_at, id"  # noqa: S608
"""All webhooks, to be held against the ledger."""
_TO_SUCCESSOR: Final = """
    UPDATE webhook SET requested_by = known.key FROM unnest($1::uuid[], $2::text[]) AS known (id, key)
    WHERE webhook.id = known.id AND webhook.requested_by <> known.key RETURNING webhook.id
"""
# Whoever seals anew reads under a lock, because two rotations at once would lose a secret.
_FOR_UPDATE: Final = f"SELECT {_COLUMNS} FROM webhook WHERE id = $1 FOR UPDATE"  # noqa: S608
_SEAL: Final = "UPDATE webhook SET sealed = $2 WHERE id = $1"
_DELETE: Final = "DELETE FROM webhook WHERE id = $1"
# Several processes look for work: each webhook is taken by one of them, until its lease ends.
_LEASE: Final = f"""
    UPDATE webhook SET leased_until = clock_timestamp() + $1::interval WHERE id = (
        SELECT id FROM webhook WHERE disabled_at IS NULL AND due_at <= clock_timestamp()
            AND (leased_until IS NULL OR leased_until <= clock_timestamp()) AND requested_by <> ALL ($2::text[])
        ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
    ) RETURNING {_COLUMNS}, leased_until
"""  # noqa: S608
_PROLONG: Final = """
    UPDATE webhook SET leased_until = clock_timestamp() + $3::interval
    WHERE id = $1 AND leased_until = $2 AND disabled_at IS NULL RETURNING leased_until
"""
# Who was woken meanwhile stays due.
_RELEASE: Final = """
    UPDATE webhook SET leased_until = NULL,
        due_at = CASE WHEN due_at = $4 THEN clock_timestamp() + $3::interval ELSE due_at END
    WHERE id = $1 AND leased_until = $2
"""
# Only from where it was read: a process whose lease has ended meanwhile must not send a batch that another one has.
_ADVANCE: Final = """
    UPDATE webhook SET feed_cursor = $3 WHERE id = $1 AND feed_cursor IS NOT DISTINCT FROM $2::text
        AND disabled_at IS NULL
"""
_WAKE_FOR_CALLS: Final = """
    UPDATE webhook SET due_at = clock_timestamp()
    WHERE disabled_at IS NULL AND (due_at > clock_timestamp() OR leased_until IS NOT NULL)
        AND events @> '["calls.recorded"]'
"""
_WAKE: Final = """
    UPDATE webhook SET due_at = clock_timestamp()
    WHERE id = $1 AND (due_at > clock_timestamp() OR leased_until IS NOT NULL)
"""
_DISABLE: Final = """
    UPDATE webhook SET disabled_at = clock_timestamp(), failure = $2, leased_until = NULL
    WHERE id = $1 AND disabled_at IS NULL
"""
_ENABLE: Final = """
    UPDATE webhook SET disabled_at = NULL, failure = NULL, leased_until = NULL, due_at = clock_timestamp()
    WHERE id = $1
"""


class TooManyWebhooksError(RequestError):
    """the key has as many webhooks as it may have: delete one first"""


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """One webhook. `sealed`: address and secrets, as `service.webhooks.sealing` opens them; `failure`: why it is
    disabled; `feed_cursor`: behind which change of the feed the next calls are sent.
    """

    id: UUID
    name: str | None
    requested_by: str
    role: str
    accounts: tuple[int, ...] | None
    events: frozenset[str]
    request: Mapping[str, Any]
    shown_url: str
    sealed: bytes
    created_at: datetime
    disabled_at: datetime | None
    failure: str | None
    feed_cursor: str | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What a webhook is made of. `request`: filter and fields of the calls that it is sent."""

    id: UUID
    name: str | None
    events: frozenset[str]
    request: Mapping[str, Any]
    shown_url: str
    sealed: bytes
    feed_cursor: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A webhook that this process works for, until a moment."""

    webhook: WebhookRecord
    until: datetime


async def add_webhook(connection: Connection, requester: Requester, new: NewWebhook) -> WebhookRecord:
    """Add a webhook in a transaction of the owner's. Raises TooManyWebhooksError."""
    await connection.execute(_ONE_AT_A_TIME)
    if await connection.fetchval(_OF_KEY, requester.key_id) >= WEBHOOKS_MAX:
        raise TooManyWebhooksError
    accounts = None if requester.accounts is None else orjson.dumps(list(requester.accounts)).decode()
    events, request = orjson.dumps(sorted(new.events)).decode(), orjson.dumps(new.request).decode()
    asked = (requester.key_id, requester.role, accounts, events, request, new.shown_url, new.sealed, new.feed_cursor)
    return webhook_of(await one_row(connection, _ADD, new.id, new.name, *asked))


async def page_webhooks(
    source: Queryable, size: int, *, requested_by: str | None, behind: tuple[datetime, UUID] | None
) -> list[WebhookRecord]:
    """Webhooks that `source` may see, newest first: those of one key (None: of every key), behind a moment and id."""
    moment, id_ = behind or (None, None)
    return [webhook_of(row) for row in await source.fetch(_PAGE, requested_by, moment, id_, size)]


async def count_webhooks(source: Queryable, requested_by: str | None) -> int:
    """How many webhooks `page_webhooks` has in all."""
    return await source.fetchval(_COUNT, requested_by)


async def get_webhook(source: Queryable, id_: UUID) -> WebhookRecord | None:
    """One webhook, if `source` may see it."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else webhook_of(row)


async def locked_webhook(connection: Connection, id_: UUID) -> WebhookRecord | None:
    """One webhook, locked until the transaction of `connection` ends."""
    row = await connection.fetchrow(_FOR_UPDATE, id_)
    return None if row is None else webhook_of(row)


async def seal_webhook(connection: Connection, id_: UUID, sealed: bytes) -> None:
    """Give a webhook other secrets."""
    await connection.execute(_SEAL, id_, sealed)


async def delete_webhook(connection: Connection, id_: UUID) -> None:
    """Delete a webhook, with its deliveries."""
    await connection.execute(_DELETE, id_)


async def lease_webhook(owner: asyncpg.Pool, lease: timedelta, but: Collection[str]) -> Lease | None:
    """Take the webhook that has been due for longest, for this process alone; None when none is due.

    `but`: those of these keys have to wait.
    """
    row = await owner.fetchrow(_LEASE, lease, list(but))
    return None if row is None else Lease(webhook_of(row), row["leased_until"])


async def prolong_lease(owner: asyncpg.Pool, lease: Lease, by: timedelta) -> Lease | None:
    """The lease with a later end; None when it is another process's by now, or the webhook is gone or disabled."""
    until = await owner.fetchval(_PROLONG, lease.webhook.id, lease.until, by)
    return None if until is None else Lease(lease.webhook, until)


async def release_lease(owner: asyncpg.Pool, lease: Lease, again_after: timedelta) -> None:
    """Give a webhook back, to be looked at again after a while."""
    await owner.execute(_RELEASE, lease.webhook.id, lease.until, again_after, lease.webhook.due_at)


async def advance_webhook(connection: Connection, id_: UUID, before: str | None, after: str) -> bool:
    """Note behind which change the next calls are sent; False when another process has done so meanwhile."""
    return affected(await connection.execute(_ADVANCE, id_, before, after)) > 0


async def wake_for_calls(owner: asyncpg.Pool) -> None:
    """Have the webhooks that are sent calls looked at soon."""
    await owner.execute(_WAKE_FOR_CALLS)


async def wake_webhook(source: Queryable, id_: UUID) -> None:
    """Have a webhook looked at soon."""
    await source.execute(_WAKE, id_)


async def disable_webhook(source: Queryable, id_: UUID, failure: str) -> bool:
    """Disable a webhook with a reason; whether it was enabled."""
    return affected(await source.execute(_DISABLE, id_, failure)) > 0


async def enable_webhook(source: Queryable, id_: UUID) -> None:
    """Send again, from where it had ended."""
    await source.execute(_ENABLE, id_)


async def pass_webhooks(owner: asyncpg.Pool, keys: Mapping[UUID, str]) -> list[UUID]:
    """Give webhooks to these keys; those that were another's."""
    return [uuid_of(row["id"]) for row in await owner.fetch(_TO_SUCCESSOR, list(keys), list(keys.values()))]


def webhook_of(row: asyncpg.Record) -> WebhookRecord:
    """The webhook of a row of `EVERY_WEBHOOK`."""
    accounts = None if row["accounts"] is None else tuple(orjson.loads(row["accounts"]))
    events, request = frozenset(orjson.loads(row["events"])), orjson.loads(row["request"])
    return record_of(WebhookRecord, row, id=uuid_of(row["id"]), accounts=accounts, events=events, request=request)
