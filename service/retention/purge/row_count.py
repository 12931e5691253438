"""The exact number of rows of a partition that is due, without reading it where its days were summed.

Every call is counted in `usage_day`, or in a delta that will be added to it, by the transaction that stored it, and a
partition of `call` begins and ends at UTC midnights: its rows are the sum of its days, plus the corrections of its
calls. The sums are used only where they are complete. They are not

- for an account whose erasure was requested: its sums are deleted, and its held calls are not. Its rows are counted, by
  the partition's primary key;
- for days that are not all in attached partitions of `usage_day`, or that an earlier purge took from it: the sums may
  know only of what came since. The partition is counted, and so it is where a day has no sums (`usage_unsummed`);
- when they are zero: either the partition is empty, which is quickly counted, or nobody has summed it.

Rows that are not calls are counted: errors are few, and sums have no sums.
"""

from datetime import UTC, datetime, time
from typing import Final
from uuid import UUID

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.storage.cold.catalogue import rows_in_file
from service.storage.connection import one_row
from service.storage.partitions import Catalogue, quoted

_COUNT: Final = "SELECT count(*) FROM {table}"
_ERASED: Final = "ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT')"
# One statement, so that neither a compaction nor an erasure comes between its parts. The times of a plan are all
# written in UTC and in one form, so that they compare as text.
_SUMMED: Final = f"""
    SELECT days.calls + deltas.calls + corrections.calls AS summed, counted.calls AS counted, EXISTS (
        SELECT 1 FROM purge_run
        WHERE id IS DISTINCT FROM $4 AND jsonb_path_exists(
            plan,
            '$.partitions[*] ? (@.store == "usage_day" && @.tier == $tier && @.from < $end && @.to > $start)',
            jsonb_build_object('tier', $1::integer, 'start', $5::text, 'end', $6::text)
        )
    ) OR EXISTS (
        SELECT 1 FROM usage_unsummed
        WHERE of_tier = $1 AND of_day >= $2 AND of_day < $3 AND 'usage_day' = ANY (sums)
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


async def count_rows(owner: asyncpg.Pool, run: UUID | None, part: Partition, catalogue: Catalogue) -> int:
    """The rows of a partition that the purge `run` has detached (None: that one would); 0 when its table is gone.

    `catalogue`: the partitions of `usage_day` that are left by then.
    """
    table = quoted(part.name)
    try:
        if _covers_full_days(part, catalogue):
            bounds = [moment.astimezone(UTC).isoformat() for moment in (part.start, part.end)]
            values = (part.tier, part.start, part.end, run, *bounds)
            row = await one_row(owner, _SUMMED.format(table=table), *values)
            if row["summed"] and not row["taken"]:
                return row["summed"] + row["counted"]
        stored = await owner.fetchval(_COUNT.format(table=table))
        return stored + (await rows_in_file(owner, part.name) if part.store is Store.CALL else 0)
    except asyncpg.UndefinedTableError:
        return 0


def _covers_full_days(part: Partition, catalogue: Catalogue) -> bool:
    """Whether attached partitions of the sums by day cover all of the partition's time."""
    if part.store is not Store.CALL or not (_is_midnight(part.start) and _is_midnight(part.end)):
        return False
    sums = [days for days in catalogue.partitions if (days.store, days.tier) == (Store.USAGE_DAY, part.tier)]
    reached = part.start
    for days in sums:  # by time
        if days.start <= reached and days.name in catalogue.attached:
            reached = max(reached, days.end)
    return reached >= part.end


def _is_midnight(moment: datetime) -> bool:
    return moment.astimezone(UTC).time() == time()
