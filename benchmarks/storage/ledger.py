"""Append and prove at a million entries: `python -m benchmarks.storage.ledger [ENTRIES]`.

The ledger is loaded in bulk, with the hashes that appending would have stored; then single appends are timed, in a
transaction of somebody else's and with a durable commit of their own, and proofs of random entries. No fsync is off.
"""

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from policies.evidence import Leaf, LedgerKind, Node, completed, leaf_bytes, leaf_hash, verify_inclusion
from service.keyring import create_kek_file, open_keyring
from service.ledger import Checkpoints, Ledger
from service.storage.database import Database
from service.storage.embedded import connection as address
from service.storage.schema.migrate import migrate

ENTRIES = 1_000_000
ROUNDS = 500
APPEND_MS, PROOF_MS = 1.0, 10.0
START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(count: int) -> Iterator[tuple[object, ...]]:
    """Rows of `ledger_entry`, of which COPY makes what appending one by one would."""
    peaks: dict[int, bytes] = {}
    for index in range(count):
        facts = {"error": f"err_{index:026d}", "account": index % 50}
        leaf = leaf_bytes(Leaf(LedgerKind.ERROR_REVEALED, START, "k7m2xq9p", facts))

        def peak(node: Node) -> bytes:
            return peaks[node.level]

        hashes = completed(leaf, index, peak)
        peaks[len(hashes) - 1] = hashes[-1]
        yield index, START, LedgerKind.ERROR_REVEALED.value, "k7m2xq9p", leaf, b"".join(hashes)


async def timed(work: Callable[[], Awaitable[object]]) -> list[float]:
    found = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        await work()
        found.append((time.perf_counter() - started) * 1000)
    return sorted(found)


def line(name: str, times: list[float], bar: float | None) -> dict[str, object]:
    median, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    verdict = "" if bar is None else f"  bar {bar} ms: {'met' if median < bar else 'MISSED'}"
    print(f"{name:<42} median {median:6.3f} ms  p99 {p99:6.3f} ms{verdict}")
    return {"work": name, "median_ms": median, "p99_ms": p99, "bar_ms": bar}


async def measure(ledger: Ledger, size: int) -> list[dict[str, object]]:
    facts = {"error": "err_00000000000000000000000001", "account": 7}

    async def append() -> None:
        await ledger.append(LedgerKind.ERROR_REVEALED, facts, actor="k7m2xq9p", note="ticket 4711")

    async def prove() -> None:
        await ledger.inclusion_proof(random.randrange(size), size)

    async def grow() -> None:
        await ledger.consistency_proof(random.randrange(1, size), size)

    async with ledger.database.owner.acquire() as connection, connection.transaction():

        async def append_inside() -> None:
            await ledger.append(LedgerKind.ERROR_REVEALED, facts, actor="k7m2xq9p", connection=connection)

        await append_inside()
        results = [line("append, in the caller's transaction", await timed(append_inside), APPEND_MS)]
    results.append(line("append with a note and a durable commit", await timed(append), None))
    await prove()
    results.append(line("inclusion proof", await timed(prove), PROOF_MS))
    results.append(line("consistency proof", await timed(grow), PROOF_MS))
    checkpoints = Checkpoints(ledger)
    started = time.perf_counter()
    await checkpoints.sign()
    results.append(line("checkpoint", [(time.perf_counter() - started) * 1000], None))
    proof = await ledger.inclusion_proof(size // 3, size)
    entry = await ledger.entry(size // 3)
    assert entry is not None
    assert verify_inclusion(leaf_hash(entry.leaf), size // 3, size, proof.hashes, proof.root)
    return results


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="calledger-bench-") as folder:
        data = Path(folder)
        create_kek_file(data / "kek")
        keyring = await open_keyring(f"file:{data / 'keyring'}", f"file:{data / 'kek'}", create=True)
        async with address.database(data=data / "data", database_url=None, serving=True) as url:
            await migrate(url)
            database = await Database.open(url)
            async with database.owner.acquire() as connection:
                started = time.perf_counter()
                columns = ["index", "recorded_at", "kind", "actor", "leaf", "hashes"]
                await connection.copy_records_to_table("ledger_entry", records=rows(count), columns=columns)
                await connection.execute("ANALYZE ledger_entry")
                bytes_ = await connection.fetchval("SELECT pg_total_relation_size('ledger_entry')")
            print(f"{count} entries loaded in {time.perf_counter() - started:.0f} s, {bytes_ / count:.0f} bytes each")
            results = await measure(Ledger(database, keyring, uuid4()), count)
            await database.close()
        print(json.dumps({"entries": count, "bytes_per_entry": bytes_ / count, "results": results}))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ENTRIES))
