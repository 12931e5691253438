"""What is to be delivered to webhooks, and what came of every attempt. The states are PENDING -> DELIVERED or FAILED.

A delivery says what happened in ids and counts; what calls it is about is read anew for each attempt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from service.storage.connection import Connection, Queryable, affected, one_row, record_of
from service.storage.control.webhooks import WebhookRecord
from service.storage.database import uuid_of

REMEMBERED: Final = timedelta(days=30)
"""How long a delivery that has ended is in the log."""
LOGGED_MAX: Final = 10_000
"""How many of a webhook's newest deliveries are in the log; batches of calls before them are not."""
ATTEMPTS_MAX: Final = 200
"""With so many attempts a delivery is not replayed again."""
_COLUMNS: Final = "id, webhook_id, event, subject, facts, created_at, state, attempts, since, next_at, ended_at"
_ADD: Final = f"""
    INSERT INTO webhook_delivery (id, webhook_id, accounts, event, subject, facts, created_at, state, attempts, since,
        next_at)
    VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), 'PENDING', '[]', clock_timestamp(), clock_timestamp())
    ON CONFLICT (webhook_id, subject) DO NOTHING RETURNING {_COLUMNS}
"""  # noqa: S608 - names of our own
_DUE: Final = f"""
    SELECT {_COLUMNS} FROM webhook_delivery
    WHERE webhook_id = $1 AND state = 'PENDING' AND next_at <= clock_timestamp() ORDER BY next_at, created_at LIMIT $2
"""  # noqa: S608
_PENDING_OF: Final = """
    SELECT EXISTS (SELECT FROM webhook_delivery WHERE webhook_id = $1 AND state = 'PENDING' AND event = $2)
"""
"""Whether a webhook has an event of this kind to be delivered still."""
_NEXT: Final = """
    SELECT extract(epoch FROM min(next_at) - clock_timestamp())::float8 FROM webhook_delivery
    WHERE webhook_id = $1 AND state = 'PENDING'
"""
# An attempt is noted before it is made: one that a killed process made is in the log too, without an end.
_BEGIN: Final = """
    UPDATE webhook_delivery SET next_at = clock_timestamp() + $2::interval,
        attempts = attempts || jsonb_build_object('at', to_char(clock_timestamp(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    WHERE id = $1 AND state = 'PENDING' AND next_at <= clock_timestamp() RETURNING jsonb_array_length(attempts)
"""
_END: Final = """
    UPDATE webhook_delivery SET state = $2::text, attempts = jsonb_set(attempts, '{-1}', attempts -> -1 || $3::jsonb),
        next_at = clock_timestamp() + $4::interval,
        ended_at = CASE WHEN $2::text = 'PENDING' THEN NULL ELSE clock_timestamp() END
    WHERE id = $1 AND state = 'PENDING'
"""
_REPLAY: Final = f"""
    UPDATE webhook_delivery SET state = 'PENDING', since = clock_timestamp(), next_at = clock_timestamp(),
        ended_at = NULL
    WHERE id = $1 AND state <> 'PENDING' AND jsonb_array_length(attempts) < $2 RETURNING {_COLUMNS}
"""  # noqa: S608
_ONE: Final = f"SELECT {_COLUMNS} FROM webhook_delivery WHERE id = $1"  # noqa: S608
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM webhook_delivery
    WHERE webhook_id = $1 AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
    ORDER BY created_at DESC, id DESC LIMIT $4
"""  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM webhook_delivery WHERE webhook_id = $1"
_BACKLOG: Final = """
    SELECT (SELECT count(*) FROM webhook) AS webhooks,
           (SELECT count(*) FROM webhook WHERE disabled_at IS NOT NULL) AS disabled, count(*) AS pending,
           coalesce(extract(epoch FROM clock_timestamp() - min(delivery.since)), 0)::float8 AS oldest_s
    FROM webhook_delivery AS delivery JOIN webhook ON webhook.id = delivery.webhook_id
    WHERE delivery.state = 'PENDING' AND webhook.disabled_at IS NULL
"""
_FORGET: Final = "DELETE FROM webhook_delivery WHERE ended_at <= clock_timestamp() - $1::interval"
# Batches of calls can be many. Other events stay, because they are found again for three days.
_TRIM: Final = """
    DELETE FROM webhook_delivery AS delivery USING webhook, LATERAL (
        SELECT created_at FROM webhook_delivery AS newer WHERE newer.webhook_id = webhook.id
        ORDER BY created_at DESC OFFSET $1 LIMIT 1
    ) AS kept
    WHERE delivery.webhook_id = webhook.id AND delivery.created_at <= kept.created_at
        AND delivery.ended_at IS NOT NULL AND delivery.event = 'calls.recorded'
"""


class DeliveryState(StrEnum):
    """How far a delivery is."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """One event for one webhook. `attempts`: of each `at`, and when it has ended `ms`, `status` or `failure`.

    `since`: from when on it is tried, for three days.
    """

    id: UUID
    webhook_id: UUID
    event: str
    subject: str
    facts: Mapping[str, Any]
    created_at: datetime
    state: DeliveryState
    attempts: Sequence[Mapping[str, Any]]
    since: datetime
    next_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many webhooks there are and how many of them are disabled; how much the others wait for, and since when."""

    webhooks: int
    disabled: int
    pending: int
    oldest_s: float


async def add_delivery(
    connection: Queryable, webhook: WebhookRecord, event: str, subject: str, facts: Mapping[str, Any]
) -> DeliveryRecord | None:
    """Note that something is to be delivered; None when this subject was noted for the webhook before."""
    accounts = None if webhook.accounts is None else orjson.dumps(list(webhook.accounts)).decode()
    row = await connection.fetchrow(_ADD, uuid4(), webhook.id, accounts, event, subject, orjson.dumps(facts).decode())
    return None if row is None else _delivery(row)


async def due_deliveries(source: Queryable, webhook: UUID, size: int) -> list[DeliveryRecord]:
    """Deliveries of a webhook that are to be tried now, at most so many."""
    return [_delivery(row) for row in await source.fetch(_DUE, webhook, size)]


async def has_pending(source: Queryable, webhook: UUID, event: str) -> bool:
    """Whether an event of this kind has not been delivered yet."""
    return await source.fetchval(_PENDING_OF, webhook, event)


async def seconds_to_next(source: Queryable, webhook: UUID) -> float | None:
    """Seconds until the next attempt is due; None when nothing is to be delivered."""
    return await source.fetchval(_NEXT, webhook)


async def begin_attempt(owner: asyncpg.Pool, delivery: UUID, again_after: timedelta) -> int | None:
    """Note an attempt before it is made; its number from 1, or None when it has ended, or another process does.

    `again_after`: when it is tried again if nothing more is heard of this attempt.
    """
    return await owner.fetchval(_BEGIN, delivery, again_after)


async def end_attempt(
    source: Queryable, delivery: UUID, state: DeliveryState, outcome: Mapping[str, Any], again_after: timedelta
) -> None:
    """Note what came of the last attempt; a delivery that is PENDING is tried again."""
    await source.execute(_END, delivery, state, orjson.dumps(outcome).decode(), again_after)


async def replay_delivery(connection: Connection, delivery: UUID) -> DeliveryRecord | None:
    """Deliver again what has ended, under the same id; None when it has not ended, or was replayed too often."""
    row = await connection.fetchrow(_REPLAY, delivery, ATTEMPTS_MAX)
    return None if row is None else _delivery(row)


async def get_delivery(source: Queryable, id_: UUID) -> DeliveryRecord | None:
    """One delivery, if `source` may see it."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _delivery(row)


async def page_deliveries(
    source: Queryable, webhook: UUID, size: int, behind: tuple[datetime, UUID] | None
) -> list[DeliveryRecord]:
    """Deliveries of a webhook that `source` may see, newest first, behind a moment and id."""
    moment, id_ = behind or (None, None)
    return [_delivery(row) for row in await source.fetch(_PAGE, webhook, moment, id_, size)]


async def count_deliveries(source: Queryable, webhook: UUID) -> int:
    """How many deliveries a webhook has in the log."""
    return (await one_row(source, _COUNT, webhook))[0]


async def backlog(source: Queryable) -> Backlog:
    """What waits to be delivered, of all webhooks."""
    return record_of(Backlog, await one_row(source, _BACKLOG))


async def forget_deliveries(owner: asyncpg.Pool) -> int:
    """Delete from the log what ended long ago, and batches of calls beyond the newest; how many."""
    return affected(await owner.execute(_FORGET, REMEMBERED)) + affected(await owner.execute(_TRIM, LOGGED_MAX))


def _delivery(row: asyncpg.Record) -> DeliveryRecord:
    return record_of(
        DeliveryRecord,
        row,
        id=uuid_of(row["id"]),
        webhook_id=uuid_of(row["webhook_id"]),
        facts=orjson.loads(row["facts"]),
        attempts=orjson.loads(row["attempts"]),
        state=DeliveryState(row["state"]),
    )
