"""Erasure of one person or one account (GDPR, article 17): live rows now, copies by destroying their keys.

A person is known by pseudonyms only, one per period. They are computed once, from the plain id, and kept until the
erasure is done, so that it survives a crash. The plain id is kept sealed until every row of the account was searched
for it (`service.retention.erasure.search`), and then becomes unreadable with its key. An account loses all its rows and
its key: nothing sealed or hashed that was ever stored for it can be read again, in any copy. Its name is removed too:
a later report under that name begins a new account.

Rows that a hold names are copied to it at once and deleted from the stores: until the hold ends they are for the hold's
export alone (article 18, restriction), and then the copies are deleted too.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import orjson

from policies.evidence import LedgerKind, moment
from policies.evidence.recorded import RecordedErasure
from policies.policy.model import DataClass, Store
from policies.pseudonym import pseudonym_key, token
from policies.retention import KeyPeriod, Partition, key_due_at, period_bounds
from service.keyring import AccountKeyName, KeyGoneError, PeriodKeyName
from service.logs import get_logger
from service.retention import ledger_entries as entries
from service.retention.cold.thaw import thaw_accounts
from service.retention.context import RetentionContext
from service.retention.erasure.erased_person import open_person, seal_person
from service.retention.erasure.erasure_record import ErasureKind, StoredErasure, get_erasure, pending_erasures
from service.retention.erasure.ledgered import known_erasures, still_blocking
from service.retention.erasure.notes import forget_in_notes, without
from service.retention.erasure.search import search_rows
from service.retention.errors import ErasureError
from service.retention.holds.escrow import ACTIVE, NOT_COPIED, RowFilter, RowsToHold, copy_held
from service.retention.holds.hold_record import restore_holds
from service.retention.holds.holds import lock_holds
from service.retention.locks import ERASURE
from service.retention.purge.planning import all_partitions
from service.retention.purge_runs import SYSTEM
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.totals import DERIVED_SUMS, FORGET_ACCOUNT, delete_empty_sums, delete_with_sums
from service.retention.rollups.unsummed import forget_tags_of, leave_derived
from service.storage.cold.errors import ColdFileError
from service.storage.connection import advisory_lock, affected
from service.storage.control.idempotency_keys import forget_answers
from service.storage.errors import PartitionsBusyError
from service.storage.gateways.pull_sources import forget_sources_of
from service.storage.gateways.reconciliations import forget_reconciliations_of
from service.storage.notifications import notify

log = get_logger()

SWEEP: Final = timedelta(days=2)
"""For how long after its end an account's erasure is repeated: a service may not know of it yet, and write rows."""

_BATCH_ROWS: Final = 5_000
_REASON_MAX: Final = 1500
_INSERT: Final = """
    INSERT INTO erasure (
        id, kind, account_id, tokens, requested_at, requested_by, rows, blocked_by, unreadable_at, sealed_user
    ) VALUES ($1, $2, $3, $4, clock_timestamp(), $5, 0, '[]', $6, $7)
"""
_PROGRESS: Final = """
    UPDATE erasure SET rows = rows + $2, blocked_by = $3::jsonb, finished_at = coalesce(finished_at, $4),
        ledger_index = coalesce($5, ledger_index), tokens = CASE WHEN $4::timestamptz IS NULL THEN tokens END,
        unreadable_at = coalesce($6, unreadable_at), restricted_at = coalesce(restricted_at, $7)
    WHERE id = $1
"""

_FORGET_CALLS: Final = """
    UPDATE call SET user_token = NULL
    WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND user_token = $5
"""
"""Take a user's token from the calls of one period."""
# An error of the person loses its sealed text. The period of a pseudonym is that of the call's start.
_FORGET_ERRORS: Final = """
    UPDATE call_error SET user_token = NULL, sealed = NULL
    WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND user_token = $5
        AND occurred_at >= $3 AND occurred_at < $4::timestamptz + interval '1 day'
"""
"""Take a user's token and sealed details from the errors of one period."""
_STILL_HELD: Final = """
    SELECT hold_id FROM call_held
    WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND user_token = $5
    UNION
    SELECT hold_id FROM call_error_held
    WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND user_token = $5
"""
"""The holds that still keep copies of a user's rows."""
_HOLDS_OF_ACCOUNT: Final = f"""
    SELECT id FROM hold AS held_by WHERE ({ACTIVE} OR released_at IS NULL AND lifted_at IS NOT NULL) AND account_id = $2
"""  # noqa: S608
_ROWS: Final = {
    Store.CALL: ("started_at", "id"),
    Store.CALL_ERROR: ("occurred_at", "id"),
    Store.USAGE_QUARTER: ("bucket_at",),
    Store.USAGE_DAY: ("bucket_at",),
}


def _delete(store: Store) -> str:
    """A statement that deletes some rows of an account that no hold keeps."""
    time = _ROWS[store][0]
    held = f"AND NOT {NOT_COPIED[store]}" if store in NOT_COPIED else "AND $1::timestamptz IS NOT NULL"
    where = f"kept.account_id = $2 AND kept.tier = $3 AND kept.{time} >= $4 AND kept.{time} < $5"
    # The bounds are one partition's, so a ctid names one row.
    return f"""
        DELETE FROM {store.value} AS kept
        WHERE {where} AND ctid = ANY (
            ARRAY(SELECT kept.ctid FROM {store.value} AS kept WHERE {where} {held} LIMIT $6)
        )
    """  # noqa: S608 - names of our own


_DELETE: Final = {store: delete_with_sums(store, _delete(store), ("$3", "$4", "$5")) for store in Store}
_DELETE_DELTAS: Final = "DELETE FROM usage_delta WHERE account_id = $1"
"""Delete the deltas of usage of an erased account."""
_DELETE_BUDGETS: Final = "DELETE FROM budget WHERE account_id = $1"
"""Delete the budgets of an erased account, which name its keys and tags."""
_DELETE_WEBHOOKS: Final = "DELETE FROM webhook WHERE accounts = jsonb_build_array($1::integer)"
"""Delete the webhooks that are sent events of the erased account alone; others end when keys are unbound from it."""
_END_KEYS: Final = """
    UPDATE api_key SET revoked_at = clock_timestamp()
    WHERE revoked_at IS NULL AND accounts = jsonb_build_array($1::integer)
    RETURNING prefix
"""
_UNBIND_KEYS: Final = """
    UPDATE api_key SET accounts = (
        SELECT jsonb_agg(one) FROM jsonb_array_elements(accounts) AS one WHERE one <> to_jsonb($1::integer)
    )
    WHERE accounts @> jsonb_build_array($1::integer) AND accounts <> jsonb_build_array($1::integer)
"""
_RENAME: Final = "UPDATE account SET name = $2, name_salt = NULL WHERE id = $1 AND name NOT LIKE 'erased:%'"
"""Replace the name of an erased account."""


async def request_erasure(
    context: RetentionContext,
    *,
    kind: ErasureKind,
    account: str,
    user: str | None,
    reason: str,
    actor: str,
    at_once: bool = True,
    within_s: float | None = None,
) -> StoredErasure:
    """Erase a person's or an account's data. Rows that a hold names are from now on for the hold's export alone, and
    are deleted when the hold ends.

    Unless `at_once`, the erasure is recorded when this returns, and the service's maintenance carries it out; so it
    does with what is left after `within_s` seconds. ErasureError when the request makes no sense. The returned record
    shows what is left to do.
    """
    account_id = await context.accounts.find(account)
    if account_id is None:
        raise ErasureError(f"there is no account `{account}`")
    if (kind is ErasureKind.USER) != bool(user):
        raise ErasureError("the erasure of a person names them, and that of an account names nobody")
    if not reason.strip() or len(reason) > _REASON_MAX or "\0" in reason:
        raise ErasureError(f"an erasure needs a reason of 1 to {_REASON_MAX} characters")
    tokens = await _tokens(context, account_id, user) if user else []
    unreadable = _unreadable_at(context, tokens) if user else None
    id_ = uuid4()
    person = await seal_person(context.keyring, id_, user) if user else None
    async with context.owner.acquire() as connection, connection.transaction():
        stored = orjson.dumps(tokens).decode() if user else None
        await connection.execute(_INSERT, id_, kind.value, account_id, stored, actor, unreadable, person)
        if kind is ErasureKind.ACCOUNT:
            # The holds that block the erasure are in the answer at once.
            now = await connection.fetchval("SELECT now()")
            blocking = [str(row[0]) for row in await connection.fetch(_HOLDS_OF_ACCOUNT, now, account_id)]
            await connection.execute(
                "UPDATE erasure SET blocked_by = $2 WHERE id = $1", id_, orjson.dumps(blocking).decode()
            )
        await forget_answers(connection)
        name = user or account
        reason = without(reason, name)
        await forget_in_notes(
            context,
            connection,
            name,
            account=account_id,
            only_of_account=bool(user),
            facts={"erasure": str(id_)},
            actor=actor,
        )
        facts = {"erasure": str(id_), "kind": kind.value, "account": account_id, "periods": len(tokens)}
        index = await context.ledger.append(
            LedgerKind.ERASURE_INTENT, facts, actor=actor, note=reason, connection=connection
        )
        await connection.execute("UPDATE erasure SET ledger_index = $2 WHERE id = $1", id_, index)
    if not (at_once and await _carried_out(context, within_s)):
        await notify(context.owner, "purge")
    erasure = await get_erasure(context.owner, id_)
    assert erasure is not None
    return erasure


async def _carried_out(context: RetentionContext, within_s: float | None) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await carry_out_erasures(context)
    except TimeoutError:
        return False
    except (ColdFileError, PartitionsBusyError) as error:  # of this erasure or another: maintenance goes on with it
        log.error("an erasure cannot end yet", reason=str(error))
        return False
    return True


async def carry_out_erasures(context: RetentionContext) -> int:
    """Continue every erasure that is not done, and repeat the latest of accounts; how many rows that changed. Raises
    ColdFileError or PartitionsBusyError for calls in files that do not come back, when all else is erased.
    """
    rows = 0
    async with advisory_lock(context.owner, ERASURE):
        pending = await pending_erasures(context.owner, SWEEP)
        if pending:
            # A hold that was deleted behind our back would let go of what it keeps.
            async with context.owner.acquire() as connection, connection.transaction():
                await lock_holds(connection)
                await restore_holds(context, connection)
        known = await known_erasures(context) if pending else {}
        # What is in files is neither searched nor changed there.
        unreached = await thaw_accounts(context, dict.fromkeys(one.account_id for one in pending), actor=SYSTEM)
        for erasure in pending:
            work = _erase_user if erasure.kind is ErasureKind.USER else _erase_account
            rows += await work(context, erasure, known.get(str(erasure.id)), ends=erasure.account_id not in unreached)
    if unreached:
        raise next(iter(unreached.values()))
    return rows


async def _erase_user(
    context: RetentionContext, erasure: StoredErasure, known: RecordedErasure | None, *, ends: bool
) -> int:
    """Erase what is kept of one user of an account. The plain id is searched for in all rows when that `ends`."""
    rows, holds = 0, set[UUID]()
    tokens = await _known_tokens(context, erasure, known)
    if tokens is None:
        log.error("whom an erasure is about is not what the ledger says: ask for it again", erasure=str(erasure.id))
        return 0
    for tier, period, number in tokens:
        start, end = period_bounds(period)
        async with context.owner.acquire() as connection, connection.transaction():
            await lock_holds(connection)
            now, only = await connection.fetchval("SELECT now()"), RowFilter(erasure.account_id, number)
            for store, until in ((Store.CALL, end), (Store.CALL_ERROR, end + timedelta(days=1))):
                await copy_held(connection, context.keyring, RowsToHold(store, tier, start, until), now, only)
            values = (erasure.account_id, tier, start, end, number)
            for statement in (_FORGET_ERRORS, _FORGET_CALLS):
                rows += affected(await connection.execute(statement, *values))
            holds |= {row[0] for row in await connection.fetch(_STILL_HELD, *values)}
    if ends:
        holds |= await search_rows(context, erasure)
    holds |= await still_blocking(context.owner, known)
    await _record_progress(context, erasure, rows, holds, erasure.unreadable_at, ends=ends)
    return rows


async def _known_tokens(
    context: RetentionContext, erasure: StoredErasure, known: RecordedErasure | None
) -> Sequence[tuple[int, str, int]] | None:
    """The person's tokens; made anew where the row has not as many as the ledger. None when they cannot be."""
    if known is None or known.periods is None or len(erasure.tokens) == known.periods:
        return erasure.tokens
    sealed = await context.owner.fetchval("SELECT sealed_user FROM erasure WHERE id = $1", erasure.id)
    user = None if sealed is None else await open_person(context.keyring, erasure.id, sealed)
    return None if user is None else await _tokens(context, erasure.account_id, user)


async def _erase_account(
    context: RetentionContext, erasure: StoredErasure, known: RecordedErasure | None, *, ends: bool
) -> int:
    """Erase what is kept of one account. Its key is destroyed when that `ends`."""
    account_id = erasure.account_id
    now: datetime = await context.owner.fetchval("SELECT clock_timestamp()")
    # The name and the API keys come first, so that nothing new is reported under them.
    renamed = affected(await context.owner.execute(_RENAME, account_id, f"erased:{erasure.id}"))
    await _end_keys(context, erasure)
    if renamed:
        await context.accounts.load([account_id])
        await notify(context.owner, "accounts", str(account_id))
        await notify(context.owner, "keys")
    rows = affected(await context.owner.execute(_DELETE_DELTAS, account_id))
    await context.owner.execute(FORGET_ACCOUNT, account_id)
    await forget_tags_of(context.owner, account_id)
    await context.owner.execute(_DELETE_BUDGETS, account_id)
    await context.owner.execute(_DELETE_WEBHOOKS, account_id)
    await forget_sources_of(context.owner, account_id)
    await forget_reconciliations_of(context.owner, account_id)
    for part in await all_partitions(context.partitions):
        await _copy_held(context, part, now, account_id)
        while count := await _delete_some(context, part, now, account_id):
            rows += count
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        holds = {row[0] for row in await connection.fetch(_HOLDS_OF_ACCOUNT, now, account_id)}
        holds |= await still_blocking(connection, known)
        ended = ends and not holds
        if ended:
            await context.keyring.destroy([AccountKeyName(account_id)])
    unreadable = now + timedelta(days=context.keyring_backup_days) if ended else None
    await _record_progress(context, erasure, rows, holds, unreadable, ends=ends)
    return rows


async def _copy_held(context: RetentionContext, part: Partition, now: datetime, account_id: int) -> None:
    """Copy the account's rows in one partition that holds name, so that they can be deleted from the store."""
    if part.store in NOT_COPIED:
        async with context.owner.acquire() as connection, connection.transaction():
            await lock_holds(connection)
            rows = RowsToHold(part.store, part.tier, part.start, part.end)
            await copy_held(connection, context.keyring, rows, now, RowFilter(account_id))


async def _end_keys(context: RetentionContext, erasure: StoredErasure) -> None:
    """Revoke the API keys that are bound to the account alone, each with its entry, and remove it from the others."""
    async with context.owner.acquire() as connection, connection.transaction():
        for (prefix,) in await connection.fetch(_END_KEYS, erasure.account_id):
            facts, actor = {"key": prefix}, erasure.requested_by
            await context.ledger.append(LedgerKind.API_KEY_REVOKED, facts, actor=actor, connection=connection)
        await connection.execute(_UNBIND_KEYS, erasure.account_id)


async def _delete_some(context: RetentionContext, part: Partition, now: datetime, account_id: int) -> int:
    """Delete a batch of the account's rows in one partition; how many were deleted."""
    async with context.owner.acquire() as connection, connection.transaction():
        if part.store in DERIVED_SUMS:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", COMPACTION_LOCK)
        elif part.store is Store.CALL:
            await leave_derived(connection, part, account_id)
        values = (now, account_id, part.tier, part.start, part.end, _BATCH_ROWS)
        count = await connection.fetchval(_DELETE[part.store], *values)
        if count:
            await delete_empty_sums(connection, part)
        return count


async def _record_progress(
    context: RetentionContext,
    erasure: StoredErasure,
    rows: int,
    holds: set[UUID],
    unreadable_at: datetime | None,
    *,
    ends: bool,
) -> None:
    """Record the progress of an erasure; its end, unless rows could not be reached, is written to the ledger once."""
    async with context.owner.acquire() as connection, connection.transaction():
        finished, index, restricted = None, None, None
        if holds and erasure.restricted_at is None:
            restricted = await connection.fetchval("SELECT clock_timestamp()")
            facts = {"erasure": str(erasure.id), "holds": entries.listed(sorted(map(str, holds)))}
            actor = erasure.requested_by
            await context.ledger.append(LedgerKind.ERASURE_RESTRICTED, facts, actor=actor, connection=connection)
        if ends and not holds and erasure.finished_at is None:
            finished = await connection.fetchval("SELECT clock_timestamp()")
            before = await connection.fetchval("SELECT rows FROM erasure WHERE id = $1 FOR UPDATE", erasure.id)
            facts: dict[str, object] = {"erasure": str(erasure.id), "rows": before + rows}
            if unreadable_at is not None:
                facts["unreadable_at"] = moment(unreadable_at)
            index = await context.ledger.append(
                LedgerKind.ERASURE_RESULT, facts, actor=erasure.requested_by, connection=connection
            )
        blocked = orjson.dumps(sorted(str(hold) for hold in holds)).decode()
        await connection.execute(_PROGRESS, erasure.id, rows, blocked, finished, index, unreadable_at, restricted)


async def _tokens(context: RetentionContext, account: int, user: str) -> list[tuple[int, str, int]]:
    """The person's tokens in every period that has a key: (tier, period, token). An account without a key has none."""
    found = []
    try:
        account_key = await context.keyring.key(AccountKeyName(account), mint=False)
    except KeyGoneError:
        return []
    for name in await context.keyring.periods():
        if name.data_class == DataClass.PERSONAL.value:
            try:
                period_key = await context.keyring.key(PeriodKeyName(*name), mint=False)
            except KeyGoneError:
                continue
            found.append((name.tier, name.period, token(key=pseudonym_key(period_key, account_key), user=user)))
    return found


def _unreadable_at(context: RetentionContext, tokens: Sequence[tuple[int, str, int]]) -> datetime | None:
    """When the last key that opens a copy of the person's data has left the keyring's backups too."""
    policy = context.policy()
    ends = [key_due_at(policy, KeyPeriod(tier, DataClass.PERSONAL.value, period)) for tier, period, _ in tokens]
    return max(ends) + timedelta(days=context.keyring_backup_days) if ends else None
