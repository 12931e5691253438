"""States of tables: what PostgreSQL counts of the changes to each, and digests of the sums of each day.

A state is read before what it is the state of: a change in between makes it another one the next time. PostgreSQL adds
up a session's changes within a minute of their commit. After a crash, and when somebody resets statistics, it counts
from zero, and a standby that takes over counts for itself: so since when and on which timeline it counts is a part of
each state. Otherwise two partitions of which nothing was counted yet, before and after a crash, would be the same.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition
from service.retention.rollups.tag_sums import EVERY_TABLE
from service.retention.rollups.totals import DERIVED_SUMS
from service.storage.cold.catalogue import cold_files

_DAY: Final = timedelta(days=1)
_PARTITIONED: Final = [store.value for store in Store]
_PLAIN: Final = ["account_tier", "bill_claim"]
# The background writer's counters begin when all do: with the cluster, and after each crash. A primary that was a
# standby for a while has its counters of before, but another timeline.
_COUNTED: Final = """
    SELECT c.relname AS name,
        pg_relation_size(c.oid) > 0 OR EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') AS filled,
        concat_ws(' ', begun.at, c.oid, pg_relation_filenode(c.oid), pg_stat_get_tuples_inserted(c.oid),
            pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid)) AS state,
        concat_ws(' ', begun.at, c.oid, pg_relation_filenode(c.oid), pg_stat_get_tuples_updated(c.oid),
            pg_stat_get_tuples_deleted(c.oid)) AS changed
    FROM pg_class AS c, (
        SELECT concat_ws(
            '/', coalesce(extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()), 0),
            coalesce(extract(epoch FROM pg_stat_get_db_stat_reset_time(oid)), 0),
            left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)
        ) AS at
        FROM pg_database WHERE datname = current_database()
    ) AS begun
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND (
        c.relname = ANY ($2::text[]) OR c.oid IN (
            SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY ($1::text[]::regclass[])
        )
    )
"""
"""What was counted of partitions and tables: with inserted rows, and without. Where Citus is, each counts as filled:
the rows are on the workers, and the coordinator's partition is empty."""
# On Citus a partition's rows are on the workers, and so are its counters.
_IS_COUNTED: Final = """
    SELECT current_setting('track_counts')::boolean
        AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AS counted
"""
"""Whether this server counts changes."""
_MOVES: Final = """
    SELECT from_at, count(*) || ' ' || sum(hashtextextended(account_id || ' ' || tier, $1::bigint)) AS digest
    FROM account_tier WHERE from_at <> 'epoch' GROUP BY from_at ORDER BY from_at
"""
"""Moves to other tiers, by the time from which they count."""
_SUMS: Final = """
    SELECT {tier} AS tier, date_trunc('day', {time}, 'UTC') AS day,
        count(*) || ' ' || sum(hash_record_extended(kept, $1::bigint)) AS digest
    FROM {table} AS kept GROUP BY 1, 2
"""
"""The sums of each tier and day in a table."""
_TIMES: Final = {
    "usage_day": "bucket_at",
    **{sums.table: "bucket_at" for resting in DERIVED_SUMS.values() for sums in resting},
    **dict.fromkeys(EVERY_TABLE, "bucket_at"),
    "usage_delta": "bucket_at",
    "usage_tag_delta": "bucket_at",
    "usage_tag_crowded": "day",
    "correction": "bucket_at",
}
_DIGESTS: Final = {
    **{table: _SUMS.format(table=table, tier="tier", time=time) for table, time in _TIMES.items()},
    "usage_unsummed": _SUMS.format(table="usage_unsummed", tier="of_tier", time="of_day"),
}


class Counted(NamedTuple):
    """What is counted of one table. `filled`: it has a page; `changed`: the state without inserted rows."""

    filled: bool
    state: str
    changed: str


async def is_counted(owner: asyncpg.Pool) -> bool:
    """Whether states can be compared here: changes are counted by this server, and the rows are on it."""
    return await owner.fetchval(_IS_COUNTED)


class States:
    """The states of all partitions and of the tables that their checks rest on, at one moment."""

    def __init__(
        self, counted: Mapping[str, Counted], moves: list[tuple[datetime, str]], files: Mapping[str, str]
    ) -> None:
        self._counted = counted
        self._moves = moves
        self._files = files

    @classmethod
    async def read(cls, owner: asyncpg.Pool, seed: int) -> "States":
        """Read them now. `seed`: of the hashes, unknown to others."""
        moves = [(row["from_at"], row["digest"]) for row in await owner.fetch(_MOVES, seed)]
        rows = await owner.fetch(_COUNTED, _PARTITIONED, _PLAIN)
        files = {
            file.partition: f" in a file: {file.sha256} {file.tier} {file.start} {file.end} {file.frozen}"
            for file in await cold_files(owner)
        }
        return cls({row["name"]: Counted(row["filled"], row["state"], row["changed"]) for row in rows}, moves, files)

    def filled(self, part: Partition) -> bool:
        """Whether there can be a row in the partition or in its file. One that is not known is taken as filled."""
        return part.name not in self._counted or self._counted[part.name].filled or part.name in self._files

    def of(self, part: Partition) -> str:
        """The state of a partition alone, with the listing of its file."""
        state = self._counted[part.name].state if part.name in self._counted else "gone"
        return state + self._files.get(part.name, "")

    def changed(self, table: str) -> str:
        """The state of a plain table, as far as rows that were there before are concerned."""
        return self._counted[table].changed

    def tiers_until(self, end: datetime) -> str:
        """The state of the accounts' tiers before `end`: new accounts do not change it, moves that count by then do."""
        moves = "; ".join(f"{digest}" for start, digest in self._moves if start < end)
        return f"{self.changed('account_tier')}; {moves}"


async def sums_by_day(owner: asyncpg.Pool, seed: int) -> dict[tuple[int, datetime], str]:
    """Digests of all sums besides `usage_quarter`, of each tier and UTC day that has any."""
    found: dict[tuple[int, datetime], str] = {}
    for table, statement in _DIGESTS.items():
        for tier, day, digest in await owner.fetch(statement, seed):
            key = tier, day.astimezone(UTC)
            found[key] = f"{found.get(key, '')}; {table} {digest}".removeprefix("; ")
    return found


def days_of(part: Partition) -> list[datetime]:
    """The UTC days of a partition."""
    return [part.start + number * _DAY for number in range((part.end - part.start) // _DAY)]
