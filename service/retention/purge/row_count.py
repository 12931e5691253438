"""How many rows a partition that is due holds, exactly, and without reading it where its days were summed.

Every call is counted in `usage_day`, or in a delta on its way there, by the transaction that stored it, and a partition
of `call` begins and ends at UTC midnights: its rows are the sum of its days, and the corrections of its calls. The sums
are asked only where they can answer. They cannot

    for an account whose erasure was asked for: its sums are gone, and its held calls are not. Its rows are counted, by
    the partition's primary key;
    for days that are not all in whole partitions of `usage_day`, or that an earlier purge took from it: what came to
    them since may be all that the sums know of. The partition is counted;
    when they say nothing at all: either the partition is empty, which is soon counted, or nobody has summed it.

What is not a call is counted: errors are few, and of sums there is no sum.
"""

from datetime import UTC, datetime, time
from typing import Final
from uuid import UUID

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.storage.connection import one_row
from service.storage.partitions import Catalogue, quoted

_COUNT: Final = "SELECT count(*) FROM {table}"
_ERASED: Final = "ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT')"
# One statement, so that neither a fold nor an erasure comes between its parts. Moments of a plan are all written in UTC
# and in one form, so that they compare as text.
_SUMMED: Final = f"""
    SELECT days.calls + deltas.calls + corrections.calls AS summed, counted.calls AS counted, EXISTS (
        SELECT FROM purge_run
        WHERE id IS DISTINCT FROM $4 AND jsonb_path_exists(
            plan,
            '$.partitions[*] ? (@.store == "usage_day" && @.tier == $tier && @.from < $end && @.to > $start)',
            jsonb_build_object('tier', $1::integer, 'start', $5::text, 'end', $6::text)
        )
    ) AS taken
    FROM (
        SELECT coalesce(sum(calls), 0)::bigint AS calls FROM usage_day
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND account_id <> ALL ({_ERASED})
    ) AS days, (
        SELECT coalesce(sum(calls), 0)::bigint AS calls FROM usage_delta
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND account_id <> ALL ({_ERASED})
    ) AS deltas, (
        SELECT count(*) AS calls FROM correction
        WHERE tier = $1 AND bucket_at >= $2 AND bucket_at < $3 AND account_id <> ALL ({_ERASED})
    ) AS corrections, (
        SELECT count(*) AS calls FROM {{table}} WHERE account_id = ANY ({_ERASED})
    ) AS counted
"""  # noqa: S608 - names of our own


async def count_rows(owner: asyncpg.Pool, run: UUID | None, part: Partition, there: Catalogue) -> int:
    """Rows of a partition that the purge `run` has detached (None: that one would), none when its table is gone.

    `there`: the partitions of `usage_day` that are left by then.
    """
    table = quoted(part.name)
    try:
        if _covers_full_days(part, there):
            bounds = [moment.astimezone(UTC).isoformat() for moment in (part.start, part.end)]
            values = (part.tier, part.start, part.end, run, *bounds)
            row = await one_row(owner, _SUMMED.format(table=table), *values)
            if row["summed"] and not row["taken"]:
                return row["summed"] + row["counted"]
        return await owner.fetchval(_COUNT.format(table=table))
    except asyncpg.UndefinedTableError:
        return 0


def _covers_full_days(part: Partition, there: Catalogue) -> bool:
    """Whether each moment of the partition lies in a whole partition of the sums by day."""
    if part.store is not Store.CALL or not (_is_midnight(part.start) and _is_midnight(part.end)):
        return False
    sums = [days for days in there.partitions if (days.store, days.tier) == (Store.USAGE_DAY, part.tier)]
    reached = part.start
    for days in sums:  # by time
        if days.start <= reached and days.name in there.attached:
            reached = max(reached, days.end)
    return reached >= part.end


def _is_midnight(moment: datetime) -> bool:
    return moment.astimezone(UTC).time() == time()
