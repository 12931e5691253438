"""Copies of held rows, and their record keys under the hold's key.

A hold names rows by their contents, so one statement finds them wherever they are stored: `MATCHES` compares a row
(`kept`) with a hold (`held_by`). Copies are made at the last moment: of sealed values before their period key is
destroyed, of complete rows before their partition is dropped. The record key of each sealed value is wrapped under the
key of the hold, so that the period key can be destroyed on time for all others, and all that was held becomes
unreadable with the hold's key.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

import asyncpg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies import PolicyError
from policies.admission.segments import ErrorDetails, unpack_segments
from policies.envelope import DataKey, SealContext, data_key, open_with_record_key, record_key
from policies.policy.model import DataClass, Store
from service.keyring import AccountKeyName, HoldKeyName, KeyGoneError, Keyring, PeriodKeyName
from service.retention.errors import HeldCopyError
from service.storage.connection import Connection
from service.storage.partitions import quoted

ACTIVE: Final = "held_by.lifted_at IS NULL AND (held_by.expires_at IS NULL OR held_by.expires_at > $1::timestamptz)"
MATCHES: Final = """
    held_by.account_id = kept.account_id
    AND (held_by.from_at IS NULL OR kept.started_at >= held_by.from_at)
    AND (held_by.to_at IS NULL OR kept.started_at < held_by.to_at)
    AND (held_by.model IS NULL OR kept.model = held_by.model)
    AND (held_by.api_key IS NULL OR kept.api_key = held_by.api_key)
    AND (held_by.call_ids IS NULL OR kept.id = ANY (held_by.call_ids))
"""
PERSONAL: Final = "held_by.classes ? 'personal'"

_ROWS_AT_ONCE: Final = 500
_NONCE_BYTES: Final = 12
_LABEL: Final = b"calledger/held-record-key/v1"

_CALL: Final = (
    "started_at, error_at, id, digest, account_id, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, "
    "reasoning_tokens, latency_ms, time_to_first_token_ms, tier, source, amount_source, failed, streamed, amount, "
    "source_id, model, served_model, provider, operation, api_key, currency, error_type, error_code, corrects, tags, "
    "amount_parts, cache_hit, attempt, trace_id, session_id, deployment, team, organization, normalized_error, "
    "provider_request_id, units, team_id, organization_id, amount_unknown, correction_of, corrected_at, recorded_at, "
    "parent_span_id"
)
_ERROR: Final = (
    "occurred_at, started_at, id, fingerprint, account_id, tier, api_key, model, provider, error_type, error_code, "
    "rules, rule_counts"
)


def _kept(columns: str) -> str:
    return ", ".join(f"kept.{name}" for name in columns.split(", "))


_COPIED_CALL: Final = """EXISTS (
    SELECT 1 FROM call_held AS copy
    WHERE copy.account_id = kept.account_id AND copy.hold_id = held_by.id AND copy.tier = kept.tier
        AND copy.started_at = kept.started_at AND copy.id = kept.id
)"""
_COPIED_ERROR: Final = """EXISTS (
    SELECT 1 FROM call_error_held AS copy
    WHERE copy.account_id = kept.account_id AND copy.hold_id = held_by.id AND copy.tier = kept.tier
        AND copy.occurred_at = kept.occurred_at AND copy.id = kept.id
)"""
_NOT_COPIED: Final = {
    Store.CALL: f"EXISTS (SELECT 1 FROM hold AS held_by WHERE {ACTIVE} AND {MATCHES} AND NOT {_COPIED_CALL})",  # noqa: S608
    Store.CALL_ERROR: f"""EXISTS (
        SELECT 1 FROM hold AS held_by
        WHERE {ACTIVE} AND {MATCHES} AND held_by.classes ?| ARRAY['operational', 'personal'] AND NOT {_COPIED_ERROR}
    )""",  # noqa: S608
}
# By its number and not by the row's column: Citus then knows that all of it is in one place.
NOT_COPIED: Final = {
    store: condition.replace(".account_id = kept.account_id", ".account_id = $2")
    for store, condition in _NOT_COPIED.items()
}
"""The condition that a hold names a row of the account $2 and has no copy of it yet, by store."""
_COPY_CALLS: Final = f"""
    WITH copied AS (
        INSERT INTO call_held ({_CALL}, user_token, hold_id)
        SELECT {_kept(_CALL)}, CASE WHEN {PERSONAL} THEN kept.user_token END, held_by.id
        FROM {{source}} AS kept JOIN hold AS held_by ON {MATCHES}
        WHERE {ACTIVE} AND kept.tier = $2 AND kept.started_at >= $3 AND kept.started_at < $4 {{narrowed}}
        ON CONFLICT DO NOTHING
        RETURNING hold_id
    ), counted AS (
        SELECT hold_id, count(*) AS copies FROM copied GROUP BY hold_id
    )
    UPDATE hold SET rows = hold.rows + counted.copies FROM counted WHERE hold.id = counted.hold_id
"""  # noqa: S608 - names of our own
_FIND_ERRORS: Final = f"""
    SELECT kept.id, kept.account_id, kept.occurred_at, held_by.id AS hold_id,
           CASE WHEN {PERSONAL} THEN kept.sealed END AS sealed
    FROM {{source}} AS kept JOIN hold AS held_by ON {MATCHES}
    WHERE {ACTIVE} AND kept.tier = $2 AND kept.occurred_at >= $3 AND kept.occurred_at < $4 {{narrowed}}
        AND held_by.classes ?| ARRAY['operational', 'personal']
        AND NOT {_COPIED_ERROR}
"""  # noqa: S608
# A sealed value whose record key could not be escrowed is not copied, because nobody could open it.
_COPY_ERRORS: Final = f"""
    WITH copied AS (
        INSERT INTO call_error_held ({_ERROR}, user_token, sealed, hold_id, record_key)
        SELECT {_kept(_ERROR)}, CASE WHEN {PERSONAL} THEN kept.user_token END,
               CASE WHEN found.record_key IS NOT NULL THEN kept.sealed END, held_by.id, found.record_key
        FROM unnest($1::integer[], $2::timestamptz[], $3::uuid[], $4::uuid[], $5::bytea[])
            AS found (account_id, occurred_at, id, hold_id, record_key)
        JOIN {{source}} AS kept
            ON kept.account_id = found.account_id AND kept.tier = $6 AND kept.occurred_at = found.occurred_at
            AND kept.id = found.id
        JOIN hold AS held_by ON held_by.id = found.hold_id
        WHERE kept.occurred_at >= $7 AND kept.occurred_at < $8
        ON CONFLICT DO NOTHING
        RETURNING hold_id
    ), counted AS (
        SELECT hold_id, count(*) AS copies FROM copied GROUP BY hold_id
    )
    UPDATE hold SET rows = hold.rows + counted.copies FROM counted WHERE hold.id = counted.hold_id
"""  # noqa: S608
_COPIES: Final = {
    Store.CALL: """
        SELECT count(DISTINCT (account_id, id)) FROM call_held
        WHERE tier = $1 AND started_at >= $2 AND started_at < $3
    """,
    Store.CALL_ERROR: """
        SELECT count(DISTINCT (account_id, id)) FROM call_error_held
        WHERE tier = $1 AND occurred_at >= $2 AND occurred_at < $3
    """,
}


_COUNT_HELD: Final = {
    store: f"""
        SELECT count(*) FROM {store.value} AS kept
        WHERE kept.tier = $2 AND kept.{time} >= $3 AND kept.{time} < $4 AND EXISTS (
            SELECT 1 FROM hold AS held_by WHERE {ACTIVE} AND {MATCHES}
        )
    """  # noqa: S608
    for store, time in ((Store.CALL, "started_at"), (Store.CALL_ERROR, "occurred_at"))
}


@dataclass(frozen=True, slots=True)
class RowsToHold:
    """Rows of one store and tier between two times, in the store itself or in a table that was its partition."""

    store: Store
    tier: int
    start: datetime
    end: datetime
    table: str | None = None

    @property
    def source(self) -> str:
        """The store's table, or the quoted name of the detached one."""
        return self.store.value if self.table is None else quoted(self.table)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Rows of one account; with a `token` only one person's, for holds that keep personal data; or the rows `ids`."""

    account: int
    token: int | None = None
    ids: tuple[UUID, ...] | None = None

    @property
    def condition(self) -> str:
        """The SQL condition that it adds to a statement whose last parameter so far is $4."""
        if self.ids is not None:
            return "AND kept.account_id = $5 AND kept.id = ANY ($6::uuid[])"
        return "AND kept.account_id = $5" + ("" if self.token is None else f" AND kept.user_token = $6 AND {PERSONAL}")

    @property
    def values(self) -> tuple[object, ...]:
        """The parameters of the condition, from $5 on."""
        if self.ids is not None:
            return (self.account, list(self.ids))
        return (self.account,) if self.token is None else (self.account, self.token)


async def copy_held(
    connection: Connection, keyring: Keyring, rows: RowsToHold, now: datetime, only: RowFilter | None = None
) -> None:
    """Copy the rows that active holds name, each once per hold; sealed values with their record keys.

    `only`: rows of one account or person. The caller has a transaction and the lock of holds. Usage sums are never
    held.
    """
    bounds = (rows.tier, rows.start, rows.end)
    narrowed, values = ("", ()) if only is None else (only.condition, only.values)
    if rows.store is Store.CALL:
        statement = _COPY_CALLS.format(source=rows.source, narrowed=narrowed)
        await connection.execute(statement, now, *bounds, *values)
    elif rows.store is Store.CALL_ERROR:
        escrow = _Escrow(keyring, rows.tier)
        statement = _FIND_ERRORS.format(source=rows.source, narrowed=narrowed)
        # One page at a time: rows that were copied are not found again.
        while found := await connection.fetch(f"{statement} LIMIT {_ROWS_AT_ONCE}", now, *bounds, *values):
            columns = await escrow.columns(found)
            await connection.execute(_COPY_ERRORS.format(source=rows.source), *columns, *bounds)


async def count_copied(connection: Connection | asyncpg.Pool, rows: RowsToHold) -> int:
    """How many of these rows holds have copies of."""
    statement = _COPIES.get(rows.store)
    return 0 if statement is None else await connection.fetchval(statement, rows.tier, rows.start, rows.end)


async def count_held(owner: asyncpg.Pool, rows: RowsToHold, now: datetime) -> int:
    """How many of these calls or errors active holds name."""
    return await owner.fetchval(_COUNT_HELD[rows.store], now, rows.tier, rows.start, rows.end)


class _Escrow:
    """Record keys of one tier's sealed errors, wrapped under the keys of their holds."""

    def __init__(self, keyring: Keyring, tier: int) -> None:
        self._keyring = keyring
        self._tier = tier

    async def columns(self, found: Sequence[asyncpg.Record]) -> list[list[object]]:
        """The arrays of `_COPY_ERRORS` for these rows."""
        wrapped: dict[tuple[UUID, UUID], bytes | None] = {}
        for (account, day), rows in groupby(sorted(found, key=_account_and_day), key=_account_and_day):
            key = await self._data_key(account, day)
            for row in rows:
                wrapped[row["hold_id"], row["id"]] = await self._wrapped(row, key)
        columns: list[list[object]] = [[row[name] for row in found] for name in ("account_id", "occurred_at", "id")]
        columns.append([row["hold_id"] for row in found])
        columns.append([wrapped[row["hold_id"], row["id"]] for row in found])
        return columns

    async def _data_key(self, account: int, day: str) -> DataKey | None:
        try:
            period_key = await self._keyring.key(PeriodKeyName(self._tier, DataClass.PERSONAL, day), mint=False)
            return data_key(period_key, await self._keyring.key(AccountKeyName(account), mint=False))
        except KeyGoneError:
            return None

    async def _wrapped(self, row: asyncpg.Record, key: DataKey | None) -> bytes | None:
        if key is None or row["sealed"] is None:
            return None
        hold_key = await self._keyring.key(HoldKeyName(row["hold_id"]), mint=True)
        nonce = os.urandom(_NONCE_BYTES)
        bound = _associated_data(row["hold_id"], row["account_id"], row["id"])
        return nonce + AESGCM(hold_key).encrypt(
            nonce, record_key(row["sealed"], data_key=key, context=_context(row)), bound
        )


def _account_and_day(row: asyncpg.Record) -> tuple[int, str]:
    return row["account_id"], row["occurred_at"].strftime("%Y-%m-%d")


def _context(row: asyncpg.Record) -> SealContext:
    account, day = _account_and_day(row)
    return SealContext(account, Store.CALL_ERROR.value, row["id"].bytes, day, DataClass.PERSONAL.value)


def _associated_data(hold: UUID, account: int, record: UUID) -> bytes:
    """What a wrapped record key is bound to: one hold, account and record."""
    return b"".join((_LABEL, hold.bytes, account.to_bytes(8, "big"), record.bytes))


async def open_held(keyring: Keyring, row: asyncpg.Record) -> ErrorDetails | None:
    """The sealed value in a row of `call_error_held`; None when there is none.

    Raises KeyDestroyedError once the hold was lifted, HeldCopyError for a copy that does not open.
    """
    if row["sealed"] is None or row["record_key"] is None:
        return None
    hold_key = await keyring.key(HoldKeyName(row["hold_id"]), mint=False)
    wrapped = row["record_key"]
    try:
        bound = _associated_data(row["hold_id"], row["account_id"], row["id"])
        key = AESGCM(hold_key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound)
        return unpack_segments(open_with_record_key(row["sealed"], record_key=key, context=_context(row)))
    except (InvalidTag, PolicyError) as error:
        raise HeldCopyError(f"the held copy of the error `{row['id']}` does not open") from error


async def unopenable(keyring: Keyring, rows: Iterable[asyncpg.Record]) -> list[UUID]:
    """The ids of held copies whose sealed value does not open; for `fsck`."""
    wrong = []
    for row in rows:
        try:
            await open_held(keyring, row)
        except (HeldCopyError, KeyGoneError):
            wrong.append(row["id"])
    return wrong
