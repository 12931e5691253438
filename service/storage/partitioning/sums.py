"""The partitions of derived sums: each stands beside a partition of its rollup, of the same tier and time, is made with
it and dropped before it. So a rollup's table that is gone has left none behind.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from policies.policy.model import Store
from policies.retention import Partition
from service.storage.connection import Connection, Queryable

DERIVED: Final[Mapping[Store, tuple[str, ...]]] = {
    Store.USAGE_QUARTER: (
        "usage_quarter_all",
        "usage_hour_all",
        "usage_half_hour",
        "usage_tag_half_hour",
        "usage_tag_half_hour_all",
    ),
    Store.USAGE_DAY: ("usage_day_all", "usage_tag_day", "usage_tag_day_all"),
}
"""The tables that are derived from each rollup, and those by tag that are kept as long."""
DERIVED_TABLES: Final = tuple(table for tables in DERIVED.values() for table in tables)

_ROLLUPS: Final = [store.value for store, tables in DERIVED.items() for _ in tables]
_MISSING: Final = """
    SELECT derived.name AS table, rollup.store, rollup.name, rollup.tier, rollup.start_at, rollup.end_at
    FROM unnest($1::text[], $2::text[]) AS derived (name, store)
    JOIN calledger_partitions($3) AS rollup ON rollup.store = derived.store
    WHERE NOT rollup.pending AND NOT EXISTS (
        SELECT 1 FROM calledger_partitions($1) AS own
        WHERE own.store = derived.name AND own.tier = rollup.tier AND own.start_at = rollup.start_at
    )
    ORDER BY rollup.start_at, derived.name LIMIT $4
"""
"""Partitions of rollups that none of a derived table stands beside."""
_LEFT_BEHIND: Final = """
    SELECT own.store AS table, own.name FROM calledger_partitions($1) AS own
    JOIN unnest($1::text[], $2::text[]) AS derived (name, store) ON derived.name = own.store
    WHERE NOT EXISTS (
        SELECT 1 FROM calledger_partitions($3) AS rollup
        WHERE rollup.store = derived.store AND rollup.tier = own.tier AND rollup.start_at = own.start_at
    ) AND to_regclass(quote_ident(replace(own.name, own.store || '_t', derived.store || '_t'))) IS NULL
    UNION ALL
    SELECT derived.name, c.relname FROM pg_class AS c
    JOIN unnest($1::text[], $2::text[]) AS derived (name, store)
        ON c.relname ~ ('^' || derived.name || '_t[0-9]+_[0-9]{8}(_[0-9]+)?$')
    WHERE c.relkind = 'r' AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
        AND to_regclass(quote_ident(replace(c.relname, derived.name || '_t', derived.store || '_t'))) IS NULL
"""
"""Those of derived tables beside which no partition of their rollup is left: an older service dropped that alone."""
_OUTSIDE: Final = """
    SELECT store AS table, name, true AS pending FROM calledger_partitions($1) WHERE pending
    UNION ALL
    SELECT derived.name, c.relname, false FROM pg_class AS c
    JOIN unnest($1::text[]) AS derived (name) ON c.relname ~ ('^' || derived.name || '_t[0-9]+_[0-9]{8}(_[0-9]+)?$')
    WHERE c.relkind = 'r' AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
    ORDER BY name
"""
"""Partitions of derived tables that no query sees any more and that are still on the disk."""


class Beside(NamedTuple):
    """A partition of derived sums."""

    table: str
    name: str


def beside(partition: Partition) -> tuple[Beside, ...]:
    """The partitions of derived sums beside one of a rollup, which may have been made by hand under any name; none
    beside those of other stores.
    """
    own = partition.name.removeprefix(f"{partition.store.value}_t")
    return tuple(Beside(table, f"{table}_t{own}") for table in DERIVED.get(partition.store, ()))


async def missing(connection: Connection, stores: Iterable[Store], most: int) -> list[tuple[Beside, Partition]]:
    """The partitions of derived sums that are to be made, at most so many, each with that of its rollup."""
    rollups = [store.value for store in stores if store in DERIVED]
    if not rollups:
        return []
    tables = [(table, store.value) for store, tables in DERIVED.items() for table in tables if store.value in rollups]
    names, of = [name for name, _ in tables], [store for _, store in tables]
    found = []
    for table, store, name, tier, start, end in await connection.fetch(_MISSING, names, of, rollups, most):
        rollup = Partition(Store(store), name, tier, start, end)
        found.append((next(one for one in beside(rollup) if one.table == table), rollup))
    return found


async def outside(source: Queryable) -> list[tuple[str, bool]]:
    """The names of partitions of derived sums that are still on the disk outside their table, each with whether its
    detach is pending.
    """
    return [(row["name"], row["pending"]) for row in await source.fetch(_OUTSIDE, list(DERIVED_TABLES))]


async def left_behind(source: Queryable) -> list[Beside]:
    """The partitions of derived sums that have outlived that of their rollup."""
    rollups = [store.value for store in DERIVED]
    return [Beside(*row) for row in await source.fetch(_LEFT_BEHIND, list(DERIVED_TABLES), _ROLLUPS, rollups)]
