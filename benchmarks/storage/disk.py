"""Disk per call: what a call's row and its indexes take, and what everything that is kept of a call takes.

Rows as gateways report them (ids of 36 characters, tags on half of them), in the tables and indexes that the service
makes. Rows lie as they were appended; the indexes of past weeks are packed, as maintenance does it.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from benchmarks.bars import Figure, conclude
from benchmarks.data import fill
from benchmarks.harness.calledger import Calledger
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import say
from benchmarks.harness.processes import machine
from service.storage.partitioning.sums import DERIVED_TABLES

# Partitions without rows are left out: each has a few pages of its own, whatever it holds.
_SIZES: Final = """
    SELECT
        parent.relname AS store, sum(pg_relation_size(part.oid))::bigint AS rows_bytes,
        sum(pg_indexes_size(part.oid))::bigint AS index_bytes,
        sum(pg_total_relation_size(part.oid))::bigint AS bytes, sum(part.reltuples)::bigint AS rows
    FROM pg_class AS parent
    JOIN pg_inherits ON inhparent = parent.oid
    JOIN pg_class AS part ON part.oid = inhrelid
    WHERE parent.relname = ANY ($1) AND part.relkind = 'r' AND part.reltuples > 0
    GROUP BY parent.relname
    ORDER BY store
"""
_STORES: Final = ["call", "call_error", "usage_quarter", "usage_day", *DERIVED_TABLES]
_INDEXES: Final = r"""
    SELECT
        regexp_replace(pg_get_indexdef(indexrelid), '^.* USING | WITH \(fillfactor=.*', '', 'g') AS index,
        sum(pg_relation_size(indexrelid))::bigint AS bytes
    FROM pg_index JOIN pg_inherits ON inhrelid = indrelid
    WHERE inhparent = 'call'::regclass GROUP BY 1 ORDER BY 2 DESC
"""


async def sizes(calledger: Calledger) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    owner = await fill.connect(calledger)
    stores = [dict(row) for row in await owner.fetch(_SIZES, _STORES)]
    indexes = [dict(row) for row in await owner.fetch(_INDEXES)]
    await owner.close()
    return stores, indexes


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser(__doc__, calls=1_000_000).parse_args(arguments)
    calls = calls_of(chosen)
    say(machine())
    with Calledger(fill.folder(calls)) as calledger:
        fill.filled(calledger, calls)
        stores, indexes = asyncio.run(sizes(calledger))
    print(f"{'':18} {'rows':>10} {'bytes a row':>12} {'indexes':>8} {'bytes a call':>13}")
    for size in stores:
        each = size["rows_bytes"] / size["rows"], size["index_bytes"] / size["rows"], size["bytes"] / calls
        print(f"{size['store']:18} {size['rows']:>10} {each[0]:>12.0f} {each[1]:>8.0f} {each[2]:>13.0f}")
    for index in indexes:
        print(f"  index of call by {index['index']:40} {index['bytes'] / calls:5.0f} bytes a call")
    call = next(size for size in stores if size["store"] == "call")
    everything = sum(size["bytes"] for size in stores) / calls
    note = f"{everything:.0f} with errors, rollups and sums; {calls:,} calls"
    return conclude(
        [Figure("disk/call", call["bytes"] / calls, note)], {"stores": stores, "indexes": indexes}, chosen.json
    )


if __name__ == "__main__":
    raise SystemExit(main())
