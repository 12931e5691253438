"""A person's name in model, provider or API key: the names that calls are summed by, in calls and in sums alike.

Day by day, in one transaction each: calls, their errors, deltas, rollups and the sums that are derived from them lose
the name together, so that sums equal calls at every moment. What several other people's calls have in common is no
person's name: a model `claude` stays when somebody of that name is erased, or all costs by model would be lost.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from policies.admission.personal import without_persons
from policies.policy.model import Store
from policies.redaction import Persons
from service.logs import get_logger
from service.query.buckets.tier_days import TierDays
from service.retention.context import RetentionContext
from service.retention.holds.escrow import RowFilter, RowsToHold, copy_held
from service.retention.holds.holds import lock_holds
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.compaction import renamed
from service.retention.rollups.rebuild import derive_again
from service.retention.rollups.unsummed import leave_derived
from service.storage.connection import Connection

log = get_logger()

_COLUMNS: Final = ("model", "provider", "api_key")
_DAY: Final = timedelta(days=1)
_OTHERS_MAX: Final = 2
"""How many other people may have calls by a name on one day that counts as the erased person's."""
_TABLES: Final = {
    "call": "started_at",
    "usage_delta": "bucket_at",
    "usage_quarter": "bucket_at",
    "usage_day": "bucket_at",
}
_NAMES: Final = {
    column: " UNION ".join(
        f"SELECT {column} AS name FROM {table} WHERE account_id = $1 AND {column} IS NOT NULL"  # noqa: S608
        for table in _TABLES
    )
    for column in _COLUMNS
}
"""The names of one column that an account's calls and sums have."""
_DAYS: Final = {
    column: " UNION ".join(
        f"SELECT tier, date_trunc('day', {time}, 'UTC') AS day FROM {table} WHERE account_id = $1 AND {column} = $2"  # noqa: S608
        for table, time in _TABLES.items()
    )
    for column in _COLUMNS
}
"""The tiers and UTC days on which the account has such a name."""
_OTHERS: Final = {
    column: f"""
        SELECT coalesce(max(number), 0) FROM (
            SELECT count(DISTINCT user_token) AS number FROM call WHERE account_id = $1 AND {column} = $2
            GROUP BY tier, date_trunc('day', started_at, 'UTC')
        ) AS by_day
    """  # noqa: S608
    for column in _COLUMNS
}
"""How many people, at most on one day, have calls with the name; the erased one has no pseudonym any more."""
_IDS: Final = {
    column: f"""
        SELECT id FROM call
        WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND {column} = $5
    """  # noqa: S608
    for column in _COLUMNS
}
"""The calls of one day that have the name."""
_BY_TIME: Final = {"call": "started_at", "usage_delta": "bucket_at", "correction": "bucket_at"}
_RENAME: Final = {
    (table, column): f"""
        UPDATE {table} SET {column} = $6
        WHERE account_id = $1 AND tier = $2 AND {time} >= $3 AND {time} < $4 AND {column} = $5
    """  # noqa: S608
    for table, time in _BY_TIME.items()
    for column in _COLUMNS
} | {
    ("call_error", column): f"""
        UPDATE call_error SET {column} = $6
        WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND {column} = $5
            AND occurred_at >= $3 AND occurred_at < $4::timestamptz + interval '1 day'
    """  # noqa: S608
    for column in _COLUMNS
}
"""Take the name out of calls, errors, deltas and corrections of one day."""
_COPIED: Final = "SELECT DISTINCT hold_id FROM call_held WHERE account_id = $1 AND id = ANY ($2::uuid[])"


async def forget_billing_names(context: RetentionContext, account: int, persons: Persons) -> tuple[int, set[UUID]]:
    """Take the person out of the names; how many calls were changed, and the holds that have copies of these.

    It can be called again at any time, and changes only what is left.
    """
    rows, holds = 0, set[UUID]()
    for column in _COLUMNS:
        for (name,) in await context.owner.fetch(_NAMES[column], account):
            without = without_persons(name, persons, column, {})
            if without is None or without == name:
                continue
            if await context.owner.fetchval(_OTHERS[column], account, name) > _OTHERS_MAX:
                log.warning("a name that many people's calls have stays after an erasure", column=column)
                continue
            for tier, day in await context.owner.fetch(_DAYS[column], account, name):
                changed, copied = await _rename_day(context, account, column, (name, without), tier, day)
                rows, holds = rows + changed, holds | copied
    return rows, holds


async def _rename_day(
    context: RetentionContext, account: int, column: str, names: tuple[str, str], tier: int, day: datetime
) -> tuple[int, set[UUID]]:
    """Take the name out of everything of one day; how many calls that were, and which holds have copies of them."""
    old, new = names
    where = (account, tier, day, day + _DAY, old)
    async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
        await connection.execute("SELECT pg_advisory_xact_lock($1)", COMPACTION_LOCK)
        await lock_holds(connection)
        await leave_derived(connection, TierDays(tier, day, day + _DAY), account)
        ids = [row["id"] for row in await connection.fetch(_IDS[column], *where)]
        copied = await _copy(context, connection, account, tier, day, ids) if ids else set[UUID]()
        for table in ("call", "call_error", "usage_delta", "correction"):
            await connection.execute(_RENAME[table, column], *where, new)
        for store in (Store.USAGE_QUARTER, Store.USAGE_DAY):
            await connection.execute(renamed(store, column), tier, day, day + _DAY, new, account, old)
            await derive_again(connection, store, tier, day, day + _DAY)
    return len(ids), copied


async def _copy(
    context: RetentionContext, connection: Connection, account: int, tier: int, day: datetime, ids: Sequence[UUID]
) -> set[UUID]:
    """Copy for the holds in force what they name of these calls, before they lose the name; which holds have copies."""
    now, only = await connection.fetchval("SELECT now()"), RowFilter(account, ids=tuple(ids))
    for store, end in ((Store.CALL, day + _DAY), (Store.CALL_ERROR, day + 2 * _DAY)):
        await copy_held(connection, context.keyring, RowsToHold(store, tier, day, end), now, only)
    return {row["hold_id"] for row in await connection.fetch(_COPIED, account, list(ids))}
