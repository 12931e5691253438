"""Proof that the record of corrections is right: it agrees with the corrections that are stored beside their calls. It
is part of fsck.
"""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Policy, Store
from service.query.buckets.tier_days import TierDays, every_day, within
from service.storage.citus.settling import fetch_differences

_LONGEST: Final = timedelta(days=4000)
# One value for all rows: a call is compared with no row of the table of files, which Citus could not do on its workers.
_FROZEN: Final = """(
    SELECT coalesce(range_agg(tstzrange(start_at, end_at)), '{}') FROM cold_file
    WHERE frozen_at IS NOT NULL AND tier = $1
)"""
"""The times of which the calls of a tier are in files."""
_DIFFERENCES: Final = f"""
    WITH sides AS (
        SELECT 1 AS side, account_id, call_id, failed, model, currency, amount FROM correction
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND NOT bucket_at <@ {_FROZEN}
        UNION ALL
        SELECT -1, account_id, correction_of, failed, model, currency, amount FROM call
        WHERE tier = $1 AND started_at >= $2 AND started_at < $3 AND correction_of IS NOT NULL
            AND NOT started_at <@ {_FROZEN}
    )
    SELECT DISTINCT account_id FROM (
        SELECT account_id FROM sides GROUP BY account_id, call_id, failed, model, currency
        HAVING sum(side) <> 0 OR sum(side * amount) <> 0
    ) AS wrong ORDER BY account_id
"""  # noqa: S608 - our own text


async def check_corrections(
    owner: asyncpg.Pool, policy: Policy, tier_days: Iterable[TierDays] | None = None
) -> AsyncIterator[int]:
    """The accounts whose corrections differ, of UTC days (of `tier_days`) of which all calls are still there."""
    now: datetime = await owner.fetchval("SELECT now()")
    chosen = await every_day(owner, now) if tier_days is None else tier_days
    for tier, start, end in within(chosen, policy, Store.CALL, now, _LONGEST):
        for (account,) in await fetch_differences(owner, _DIFFERENCES, tier, start, end):
            yield account
