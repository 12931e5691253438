"""Partitions that no query of their store sees any more and that are still on the disk.

A pending detach hides its partition from new statements, and a detached table is still to be dropped. Both are found
through the catalogue, and their rows are counted in the table itself, since a count through the store would be 0.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from policies.policy.model import Store
from policies.retention import Partition, partition_bounds
from service.retention.context import RetentionContext
from service.retention.purge_runs import Runs
from service.storage.connection import Connection, one_row
from service.storage.partitioning.sums import outside
from service.storage.partitions import Catalogue, quoted

TIMES: Final = {
    Store.CALL: "started_at",
    Store.CALL_ERROR: "occurred_at",
    Store.USAGE_QUARTER: "bucket_at",
    Store.USAGE_DAY: "bucket_at",
}
_NAME: Final = re.compile(r"([a-z_]+)_t([0-9]+)_([0-9]{8})(?:_[0-9]+)?", re.ASCII)
_ROWS: Final = """
    SELECT count(*) AS rows, min({time}) AS oldest FROM {table} WHERE $1::integer[] IS NULL OR account_id = ANY ($1)
"""


@dataclass(frozen=True, slots=True)
class Detached:
    """A partition outside its store. `pending`: its detach has begun and not ended; `planned`: by a purge's plan."""

    partition: Partition
    pending: bool
    planned: bool

    def describe(self) -> str:
        """Its name and state, in words."""
        return _described(self.partition.name, self.pending)


@dataclass(frozen=True, slots=True)
class DetachedRows:
    """The rows of a detached partition; `oldest` is None when there are none."""

    rows: int
    oldest: datetime | None


async def detached_partitions(context: RetentionContext, catalogue: Catalogue) -> list[Detached]:
    """Every partition of ours that is outside its store, by name. `catalogue` must be of all stores."""
    planned = {part.name: part for run in await Runs(context.owner).unfinished() for part in run.plan.partitions}
    pending = {part.name: part for part in catalogue.partitions if part.name not in catalogue.attached}
    found = [Detached(part, True, part.name in planned) for part in pending.values()]
    for name in await context.partitions.detached() - pending.keys():
        found.append(Detached(planned.get(name) or _from_name(context, name), False, name in planned))
    return sorted(found, key=lambda one: one.partition.name)


async def detached_rows(connection: Connection, partition: Partition, accounts: Sequence[int] | None) -> DetachedRows:
    """Count the rows of these accounts (None: all) in the table itself; a table that was dropped meanwhile has none."""
    statement = _ROWS.format(time=TIMES[partition.store], table=quoted(partition.name))
    try:
        async with connection.transaction():
            row = await one_row(connection, statement, None if accounts is None else list(accounts))
    except asyncpg.UndefinedTableError:
        return DetachedRows(0, None)
    return DetachedRows(row["rows"], row["oldest"])


def descriptions(found: Iterable[Detached]) -> list[str]:
    """The description of each."""
    return [one.describe() for one in found]


async def detached_sums(context: RetentionContext) -> list[str]:
    """The descriptions of partitions of derived sums that are outside their tables: they go with their rollup's."""
    return [_described(name, pending) for name, pending in await outside(context.owner)]


def _described(name: str, pending: bool) -> str:
    return f"{name} ({'its detach is pending' if pending else 'detached and not dropped'})"


def _from_name(context: RetentionContext, name: str) -> Partition:
    """The partition that a table was. Store, tier and start are in its name; the policy in force gives the width."""
    match = _NAME.fullmatch(name)
    assert match is not None, "`Partitions.detached` names nothing else"
    store, tier = Store(match[1]), int(match[2])
    try:
        start = datetime.strptime(match[3], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:  # a name that looks like ours and holds no day
        start = datetime.min.replace(tzinfo=UTC)
        return Partition(store, name, tier, start, start + timedelta(days=1))
    return Partition(store, name, tier, start, partition_bounds(context.policy(), tier, store, start)[1])
