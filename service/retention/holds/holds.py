"""Legal holds: placed and lifted, in the table and in the ledger.

Placing moves nothing: from then on a purge copies what the hold names before it destroys the rest. Lifting destroys the
hold's key at once, and with it everything sealed that was kept for it; the copies are deleted in batches after that.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from policies.evidence import LedgerKind
from policies.policy.model import DataClass
from service.keyring import HoldKeyName
from service.log_redaction import name_as_stored, without_secrets
from service.retention import ledger_entries as entries
from service.retention.context import RetentionContext
from service.retention.errors import HoldError
from service.retention.holds.hold_condition import HoldCondition, seal_condition
from service.retention.holds.hold_record import restore_holds
from service.retention.purge_runs import SYSTEM, Runs
from service.storage.connection import Connection, Queryable, advisory_lock, affected, one_row, record_of
from service.storage.database import uuid_of
from service.storage.ids import IdError, decode_call_id
from service.storage.notifications import notify

HOLDABLE: Final = (DataClass.OPERATIONAL, DataClass.BILLING, DataClass.PERSONAL)
"""The classes of which values are stored."""

_LOCK: Final = 0x63616C6C_0015
_NAME_MAX: Final = 200
_REASON_MAX: Final = 1500  # together with both names it fits into a note of the ledger
_IDS_MAX: Final = 10_000
_BATCH_ROWS: Final = 5_000
_COLUMNS: Final = (
    "id, name, owner, reason, account_id, from_at, to_at, model, api_key, call_ids, classes, placed_at, expires_at, "
    "lifted_at, lifted_by, rows, ledger_index"
)
_INSERT: Final = """
    INSERT INTO hold (
        id, name, owner, reason, account_id, from_at, to_at, model, api_key, call_ids, classes, placed_at, placed_by,
        expires_at, rows
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 0)
"""
_ONE: Final = f"SELECT {_COLUMNS} FROM hold WHERE id = $1"  # noqa: S608
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM hold
    WHERE ($1::timestamptz IS NULL OR (placed_at, id) < ($1, $2::uuid))
        AND ($4::boolean IS NULL OR (lifted_at IS NULL AND (expires_at IS NULL OR expires_at > now())) = $4)
        AND ($5::integer[] IS NULL OR account_id = ANY ($5))
    ORDER BY placed_at DESC, id DESC LIMIT $3
"""  # noqa: S608
_COUNT: Final = """
    SELECT count(*) FROM hold
    WHERE ($1::boolean IS NULL OR (lifted_at IS NULL AND (expires_at IS NULL OR expires_at > now())) = $1)
        AND ($2::integer[] IS NULL OR account_id = ANY ($2))
"""
_LIFT: Final = "UPDATE hold SET lifted_at = $2, lifted_by = $3 WHERE id = $1 AND lifted_at IS NULL RETURNING id"
_EXPIRED: Final = f"SELECT {_COLUMNS} FROM hold WHERE lifted_at IS NULL AND expires_at <= $1"  # noqa: S608
_UNRELEASED: Final = f"SELECT {_COLUMNS} FROM hold WHERE lifted_at IS NOT NULL AND released_at IS NULL"  # noqa: S608
_RELEASED: Final = """
    UPDATE hold SET released_at = now(),
        model = CASE WHEN name = $2 AND model IS NOT NULL THEN $2 ELSE model END,
        api_key = CASE WHEN name = $2 AND api_key IS NOT NULL THEN $2 ELSE api_key END
    WHERE id = $1
"""
"""With its names erased before, what it named goes now that nothing is found by it any more."""
_DELETE: Final = {
    table: f"""
        DELETE FROM {table} WHERE account_id = $1 AND hold_id = $2 AND ctid = ANY (
            ARRAY(SELECT ctid FROM {table} WHERE account_id = $1 AND hold_id = $2 LIMIT $3)
        )
    """  # noqa: S608 - names of our own
    for table in ("call_held", "call_error_held")
}


@dataclass(frozen=True, slots=True)
class HoldScope:
    """What a hold names: calls of one account that started at `start` or later and before `end`, and so on."""

    account: str
    start: datetime | None = None
    end: datetime | None = None
    model: str | None = None
    api_key: str | None = None
    call_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class StoredHold:
    """A hold as its row has it. `copies`: rows that were copied for it so far."""

    id: UUID
    name: str
    owner: str
    reason: str | None
    account_id: int
    start: datetime | None
    end: datetime | None
    model: str | None
    api_key: str | None
    call_ids: tuple[UUID, ...] | None
    classes: tuple[DataClass, ...]
    placed_at: datetime
    expires_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str | None
    copies: int
    ledger_index: int | None

    def facts(self) -> dict[str, Any]:
        """The facts of its entry in the ledger: no names, no reasons."""
        ids = None if self.call_ids is None else {"count": len(self.call_ids), "digest": _ids(self.call_ids)}
        return {
            "hold": str(self.id),
            "account": self.account_id,
            "classes": [one.value for one in self.classes],
            "from": _moment(self.start),
            "to": _moment(self.end),
            "calls": ids,
            "selection": entries.text_digest(self.model, self.api_key),
            "expires": _moment(self.expires_at),
        }


def holds_locked(owner: asyncpg.Pool) -> AbstractAsyncContextManager[Connection]:
    """Lock the holds until the block ends: none is placed or lifted, and no purge copies rows for one."""
    return advisory_lock(owner, _LOCK)


async def lock_holds(connection: Connection) -> None:
    """Lock the holds until the transaction of `connection` ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def place_hold(
    context: RetentionContext,
    *,
    name: str,
    owner: str,
    reason: str,
    scope: HoldScope,
    classes: Sequence[DataClass],
    expires_at: datetime | None,
    actor: str,
) -> StoredHold:
    """Place a hold, which is in force when this returns. HoldError says what is wrong with the request."""
    account_id = await context.accounts.find(scope.account)
    if account_id is None:
        raise HoldError(f"there is no account `{scope.account}`")
    now: datetime = await context.owner.fetchval("SELECT clock_timestamp()")
    for what, text, longest in (
        ("name", name, _NAME_MAX),
        ("owner", owner, _NAME_MAX),
        ("reason", reason, _REASON_MAX),
    ):
        _check_text(f"a hold needs a {what}", text, longest)
    name, owner, reason = (without_secrets(text) for text in (name, owner, reason))
    note = "\n".join((name, owner, reason))
    if without_secrets(note) != note:
        raise HoldError("a hold's name, owner and reason hold no credential: leave it out")
    _check(scope, classes, expires_at, now)
    scope = replace(scope, model=_as_stored(scope.model), api_key=_as_stored(scope.api_key))
    values = (
        uuid4(), name, owner, reason, account_id, scope.start, scope.end, scope.model, scope.api_key,
        _uuids(scope.call_ids, account_id), orjson.dumps([one.value for one in classes]).decode(), now, actor,
        expires_at,
    )  # fmt: skip
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        await connection.execute(_INSERT, *values)
        hold = _hold(await one_row(connection, _ONE, values[0]))
        named = HoldCondition(hold.model, hold.api_key, hold.call_ids)
        facts = hold.facts() | {"condition": await seal_condition(context.keyring, hold.id, named)}
        index = await context.ledger.append(
            LedgerKind.HOLD_PLACED, facts, actor=actor, note=note, connection=connection
        )
        await connection.execute("UPDATE hold SET ledger_index = $2 WHERE id = $1", hold.id, index)
        return _hold(await one_row(connection, _ONE, hold.id))


async def lift_hold(
    context: RetentionContext, hold_id: UUID, *, reason: str, actor: str
) -> tuple[StoredHold, int | None]:
    """Lift a hold and destroy what was kept for it; returns the hold and the index of its entry in the ledger.

    HoldError when there is none, or it was lifted before.
    """
    _check_text("lifting a hold needs a reason", reason, _REASON_MAX)
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        row = await connection.fetchrow(_ONE, hold_id)
        if row is None:
            raise HoldError("there is no such hold")
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        if not await connection.fetchval(_LIFT, hold_id, now, actor):
            raise HoldError("the hold was lifted before")
        facts = {"hold": str(hold_id), "copies": row["rows"]}
        index = await context.ledger.append(
            LedgerKind.HOLD_LIFTED, facts, actor=actor, note=reason, connection=connection
        )
    await release_lifted(context)
    hold = await get_hold(context.owner, hold_id)
    assert hold is not None
    return hold, index


async def lift_expired(context: RetentionContext) -> int:
    """Lift the holds that have expired; how many. None while the clock is not trusted, because a hold ends for good."""
    now: datetime = await context.now()
    if await Runs(context.owner).clock_is_untrusted(now):
        return 0
    expired = [_hold(row) for row in await context.owner.fetch(_EXPIRED, now)]
    for hold in expired:
        await lift_hold(context, hold.id, reason="expired", actor=SYSTEM)
    return len(expired)


async def release_lifted(context: RetentionContext) -> int:
    """Destroy the keys of lifted holds, then delete their copies in batches; how many rows. It can be repeated.

    A hold is lifted when the ledger says so: one that is lifted in the table alone is restored first.
    """
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        await restore_holds(context, connection)
    deleted = 0
    for row in await context.owner.fetch(_UNRELEASED):
        hold = _hold(row)
        await context.keyring.destroy([HoldKeyName(hold.id)])
        for statement in _DELETE.values():
            while count := affected(await context.owner.execute(statement, hold.account_id, hold.id, _BATCH_ROWS)):
                deleted += count
        await context.owner.execute(_RELEASED, hold.id, entries.ERASED)
        await notify(context.owner, "purge")
    return deleted


async def get_hold(source: Queryable, hold_id: UUID) -> StoredHold | None:
    """One hold, if `source` may see it: a reader's connection sees those of its accounts."""
    row = await source.fetchrow(_ONE, hold_id)
    return None if row is None else _hold(row)


async def page_holds(
    source: Queryable,
    size: int,
    *,
    after: tuple[datetime, UUID] | None = None,
    active: bool | None = None,
    accounts: Sequence[int] | None = None,
) -> list[StoredHold]:
    """A page of at most `size` holds, newest first, after the position `after`.

    `active`: only those in force, or only the others.
    """
    moment, id_ = after or (None, None)
    rows = await source.fetch(_PAGE, moment, id_, size, active, None if accounts is None else list(accounts))
    return [_hold(row) for row in rows]


async def count_holds(source: Queryable, *, active: bool | None = None, accounts: Sequence[int] | None = None) -> int:
    """The number of holds that `source` may see, filtered as in `page_holds`."""
    return await source.fetchval(_COUNT, active, None if accounts is None else list(accounts))


def _check(scope: HoldScope, classes: Sequence[DataClass], expires_at: datetime | None, now: datetime) -> None:
    if not classes or any(one not in HOLDABLE for one in classes):
        raise HoldError("a hold names one or more of the classes operational, billing and personal")
    if scope.start is not None and scope.end is not None and scope.start >= scope.end:
        raise HoldError("what a hold covers must begin before it ends: its first moment is not before its last")
    if expires_at is not None and expires_at <= now:
        raise HoldError("a hold must expire in the future, or not at all")
    if scope.call_ids is not None and not 1 <= len(scope.call_ids) <= _IDS_MAX:
        raise HoldError(f"a hold names 1 to {_IDS_MAX} calls, or leaves them out")
    for text in (scope.model, scope.api_key):
        if text is not None:
            _check_text("a model or an API key has a name", text, _NAME_MAX)


def _as_stored(name: str | None) -> str | None:
    """The name as calls have it, who are held by it: an API key typed in place of its name is one of theirs too."""
    if name is None:
        return None
    stored = name_as_stored(name, max_chars=_NAME_MAX)
    if not stored:
        raise HoldError("the model or the API key of a hold cannot be searched for credentials: leave it out")
    return stored


def _check_text(claim: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest or "\0" in text:
        raise HoldError(f"{claim} of 1 to {longest} characters")


def _uuids(texts: Sequence[str] | None, account_id: int) -> list[UUID] | None:
    if texts is None:
        return None
    found = []
    for text in texts:
        try:
            key = decode_call_id(text)
        except (IdError, OverflowError):
            raise HoldError(
                f"`{text[:60]}` is not the id of a call, such as `calledger export calls` has as `id`"
            ) from None
        if key.account_id != account_id:
            raise HoldError(f"`{text[:60]}` is not a call of that account")
        found.append(key.uuid)
    return found


def _hold(row: asyncpg.Record) -> StoredHold:
    ids = row["call_ids"]
    return record_of(
        StoredHold,
        row,
        id=uuid_of(row["id"]),
        start=row["from_at"],
        end=row["to_at"],
        call_ids=None if ids is None else tuple(map(uuid_of, ids)),
        classes=tuple(DataClass(one) for one in orjson.loads(row["classes"])),
        copies=row["rows"],
    )


def _ids(ids: Sequence[UUID]) -> str:
    return entries.ids_digest(list(ids))


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
