"""Purging calls while 8 readers and a writer run: the worst stall of any of their statements, and time against DELETE.

    python -m benchmarks.storage.purge [--calls 10000000] [--warm] [--json FILE]

Half of the rows are in one tier and are deleted, partition by partition, as an operator without partitions would have
to; the other half, row for row the same, are in another tier and are purged. Both while the same readers and writer
run, and once more with nothing else going on, for what the machine itself makes them wait. Each reader, and the
writer, is a process of its own with one statement under way, so that nobody waits for an event loop and a wait is the
database's or the machine's.

Both find what is a year old as it lies there by then: its key indexes packed, as maintenance packs them, and all of it
on the disk and not in memory. So before each the server is started anew and the page cache lets go of its files
(`--warm`: it keeps them).

The bar on time holds like against like: DELETE until it has committed, against the purge until the same is true of the
same rows, that no statement reads them (and no key opens them any more): its keys are destroyed and its last partition
is detached. Both leave the bytes where they are, for VACUUM and for what the purge does next. Beside it stand, without
a bar, how long it takes until the disk has its bytes again (DELETE and the VACUUM after it; the purge is DONE), where
VACUUM leaves the bytes of the indexes as they are; and the strict ratio, the whole purge against DELETE alone, which
gives nothing back.

Last, without a database: how long the disk alone makes a flush wait while a file as large as a partition's rows is
given back, which is most of what the writer waits.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.bars import Figure, conclude
from benchmarks.harness.options import calls_of, parser
from benchmarks.harness.places import FOLDER, ROOT, say
from benchmarks.harness.processes import machine
from benchmarks.storage.giving_back import describe, worst_flushes
from policies import Role, Store
from policies.retention import Partition, partition_bounds
from service.access.principal import Principal
from service.ingest.formats.native.reader import native_reader
from service.ingest.formats.split import split_rows
from service.ingest.pipeline.writer import Writer
from service.ingest.preparation.batch_context import rules_in_force
from service.ingest.prices.price_file import shipped_prices
from service.ingest.prices.price_list import Prices
from service.retention.purge.runner import run_purge
from service.runtime.runtime import Runtime, open_runtime
from service.settings import Settings
from service.storage.embedded.data_directory import Cluster
from service.storage.packing import pack

READERS: Final = 8
ACCOUNTS: Final = 50
WEEKS_OLD: Final = 4
DELETED_TIER: Final = 2
QUIET_S: Final = 8.0
_THINK_S: Final = 0.005
_WARM_UP_S: Final = 3.0
Wait = tuple[float, float]
"""When a statement began, and how long it took."""
Bounds = list[tuple[datetime, datetime]]
_SLICE: Final = 250_000
# As `service.storage.partitions` makes one, but that rows come in before it is attached.
_BARE: Final = """
    DROP TABLE {name};
    CREATE TABLE {name} (
        LIKE call INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION
    );
    ALTER TABLE {name} ENABLE ROW LEVEL SECURITY
"""
_ATTACH: Final = """
    ALTER TABLE call ATTACH PARTITION {name} FOR VALUES FROM ({tier}, '{start}') TO ({tier}, '{end}')
"""
_FILL: Final = """
    INSERT INTO {table} (
        started_at, id, digest, account_id, input_tokens, output_tokens, latency_ms, tier, source, amount_source,
        failed, amount, source_id, model, provider, operation, api_key, currency
    )
    SELECT $3::timestamptz + $4::interval * ((n - $1)::float8 / $5), md5(n::text)::uuid, n, 1 + n % $6, n % 4000,
        n % 900, n % 3000, $7, 1, 1, n % 50 = 0, (n % 9000) * 0.000001, md5(n::text), 'gpt-4o', 'openai', 'chat',
        'key-' || n % 200, 'USD'
    FROM generate_series($1::bigint, $2::bigint - 1) AS n
"""
_PAGE: Final = """
    SELECT started_at, id, model, input_tokens, output_tokens, amount FROM call
    WHERE account_id = $1 AND tier = 1 AND started_at >= $2 AND started_at < $3
    ORDER BY started_at DESC, id DESC LIMIT 50
"""
# What the writer would have summed, had it brought the calls of the purged tier.
_SUM: Final = """
    INSERT INTO usage_day (
        bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, latency_buckets,
        latency_counts
    )
    SELECT date_trunc('day', started_at, 'UTC'), account_id, tier, failed, model, provider, api_key, currency, count(*),
        sum(input_tokens), sum(output_tokens), 0, 0, 0, count(*), sum(amount), 0, '{}', '{}'
    FROM call WHERE tier = 1 AND started_at >= $1 AND started_at < $2
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""
_LARGEST: Final = """
    SELECT max(pg_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'call'::regclass
"""
_DELETE: Final = "DELETE FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3"


async def _fill(runtime: Runtime, calls: int, now: datetime) -> Bounds:
    """`calls` old calls in each of two tiers, and a fifth as many young ones. Returns the old partitions' bounds."""
    policy, owner = runtime.applied.policy, runtime.database.owner
    await runtime.accounts.ensure(f"account-{number}" for number in range(ACCOUNTS))
    bounds = [
        partition_bounds(policy, 1, Store.CALL, now - timedelta(days=420 + 7 * week)) for week in range(WEEKS_OLD)
    ]
    young = now - timedelta(days=6)
    needs = [(Store.CALL, tier, start) for start, _ in bounds for tier in (1, DELETED_TIER)]
    needs += [(Store.CALL, 1, young + timedelta(days=day)) for day in range(9)]
    needs += [(Store.USAGE_DAY, 1, moment) for start, end in bounds for moment in (start, end - timedelta(days=1))]
    await runtime.partitions.ensure(policy, needs)
    each = calls // WEEKS_OLD
    old = [part for part in await runtime.partitions.list(Store.CALL) if (part.start, part.end) in bounds]
    for part in old:
        await owner.execute(_BARE.format(name=part.name))
    halves = ([part for part in old if part.tier == tier] for tier in (1, DELETED_TIER))
    await asyncio.gather(*(_fill_partitions(owner, parts, each) for parts in halves))
    await _insert(owner, "call", 1, (young, now), calls // 5)
    for start, end in bounds:
        await owner.execute(_SUM, start, end, timeout=3600)
    for table in ("call", "usage_day"):
        await owner.execute(f"VACUUM (ANALYZE) {table}", timeout=3600)
    while await pack(owner, runtime.partitions, now):
        pass
    return bounds


async def _fill_partitions(owner: asyncpg.Pool, parts: Sequence[Partition], count: int) -> None:
    """`count` calls in each. Indexes are built when they are in: packed, as they lie after a year, in a third of the
    time that it takes to grow them and to pack them then.
    """
    for part in parts:
        await _insert(owner, part.name, part.tier, (part.start, part.end), count)
        values = {"tier": part.tier, "start": part.start.isoformat(), "end": part.end.isoformat()}
        await owner.execute(_ATTACH.format(name=part.name, **values), timeout=3600)
        await owner.execute(f"VACUUM (ANALYZE) {part.name}", timeout=3600)
        say(f"  {count} calls in {part.name}")


async def _insert(owner: asyncpg.Pool, table: str, tier: int, bounds: tuple[datetime, datetime], count: int) -> None:
    statement, (start, end) = _FILL.format(table=table), bounds
    for first in range(0, count, _SLICE):
        last, span = min(first + _SLICE, count), (end - start) / count
        values = (start + span * first, span * (last - first), last - first, ACCOUNTS, tier)
        await owner.execute(statement, first, last, *values, timeout=3600)


class Load:
    """Readers and a writer in processes of their own, until the end of the block; `stalls` then has their waits."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._processes: list[asyncio.subprocess.Process] = []
        self.stalls: dict[str, Any] = {}

    async def __aenter__(self) -> "Load":
        for number in range(READERS + 1):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "benchmarks.storage.purge", "--load", str(self._data), "--number", str(number),
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=2**27,
            )  # fmt: skip
            self._processes.append(process)
        for process in self._processes:
            assert process.stdout is not None
            await process.stdout.readline()
        self._warm = time.perf_counter() + _WARM_UP_S
        await asyncio.sleep(_WARM_UP_S)  # until connections are open and plans are made
        return self

    async def __aexit__(self, *_: object) -> None:
        ended = time.perf_counter()
        await asyncio.sleep(1)  # what began before the end is waited for; what the end itself holds up is not counted
        answers = await asyncio.gather(*(process.communicate(b"end\n") for process in self._processes))
        waits = [
            [(at, took) for at, took in json.loads(out) if self._warm < at + took and at < ended] for out, _ in answers
        ]
        self.stalls = {"read": _summary(list(chain(*waits[:READERS]))), "write": _summary(waits[READERS])}


async def _load(data: Path, number: int) -> None:
    """One of the other processes: statements one after the other, each timed, until its standard input ends."""
    waits: list[Wait] = []
    async with open_runtime(Settings(data=data)) as runtime:
        writer = Writer(
            database=runtime.database, accounts=runtime.accounts, partitions=runtime.partitions,
            keyring=runtime.keyring, rules=rules_in_force(runtime), prices=Prices(shipped_prices()),
            queue_rows=20_000, batch_rows=2_000,
        )  # fmt: skip
        await writer.start()
        ended = asyncio.Event()
        work = _read(runtime, number, waits, ended) if number < READERS else _write(writer, waits, ended)
        task = asyncio.create_task(work)
        while not waits and not task.done():  # noqa: ASYNC110 - until its first answer
            await asyncio.sleep(0.01)
        print("running", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        ended.set()
        await task  # a statement that is under way is waited for, and counts
        await writer.close()
    print(json.dumps(waits))


async def _read(runtime: Runtime, number: int, waits: list[Wait], ended: asyncio.Event) -> None:
    account = number * (ACCOUNTS // READERS)
    async with runtime.database.reading(None) as connection:
        while not ended.is_set():
            now = datetime.now(UTC)
            account = account % ACCOUNTS + 1
            begin = time.perf_counter()
            await connection.fetch(_PAGE, account, now - timedelta(days=500), now + timedelta(days=1))
            waits.append((begin, time.perf_counter() - begin))
            await asyncio.sleep(_THINK_S)


async def _write(writer: Writer, waits: list[Wait], ended: asyncio.Event) -> None:
    principal, batch = Principal("benchmark", Role.INGEST, None), 0
    while not ended.is_set():
        batch += 1
        moment = datetime.now(UTC).isoformat()
        rows = [
            {"id": f"{time.monotonic_ns()}-{number}", "started_at": moment, "account": f"account-{number}",
             "model": "gpt-4o", "status": "succeeded", "input_tokens": 10, "amount": "0.01", "currency": "USD"}
            for number in range(20)
        ]  # fmt: skip
        body = json.dumps(rows).encode()
        begin = time.perf_counter()
        verdicts = await writer.submit(split_rows(body), native_reader(body), principal, source="native")
        waits.append((begin, time.perf_counter() - begin))
        assert all(verdict.status == "accepted" for verdict in verdicts)
        await asyncio.sleep(_THINK_S)


def _summary(waits: list[Wait]) -> dict[str, Any]:
    """`worst_at`: when the longest began, by the clock that all processes of a machine share."""
    ordered = sorted(wait for _, wait in waits)
    return {
        "worst_at": next(at for at, wait in waits if wait == ordered[-1]),
        "statements": len(ordered),
        "median_ms": round(1000 * ordered[len(ordered) // 2], 2),
        "p99_ms": round(1000 * ordered[len(ordered) * 99 // 100], 2),
        "worst_ms": round(1000 * ordered[-1], 2),
    }


async def _measure(data: Path, calls: int, *, warm: bool) -> dict[str, Any]:
    async with open_runtime(Settings(data=data), serving=True) as runtime:
        bounds = await _fill(runtime, calls, datetime.now(UTC))
        rows_bytes = await runtime.database.owner.fetchval(_LARGEST)
    found: dict[str, Any] = {"calls": calls, "warm": warm, "rows_bytes": rows_bytes}
    for name, work in (("quiet", _nothing), ("delete", _delete), ("purge", _purge)):
        if not warm:
            _let_go(Cluster(data).files)
        async with open_runtime(Settings(data=data), serving=True) as runtime:
            async with Load(data) as load:
                found |= await work(runtime, bounds)
            found[name] = load.stalls
            for part in await _deleted(runtime) if name == "delete" else ():  # so that the purge has its half alone
                await runtime.partitions.detach(part)
                await runtime.partitions.drop(part)
    assert found["rows"] == calls // WEEKS_OLD * WEEKS_OLD, found["rows"]
    found["disk_alone_ms"] = worst_flushes(data, rows_bytes)
    return found


def _let_go(files: Path) -> None:
    """Have the page cache let go of a stopped server's files; all of them are on the disk by then."""
    for path in files.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


async def _nothing(*_: object) -> dict[str, Any]:
    await asyncio.sleep(QUIET_S)
    return {}


async def _delete(runtime: Runtime, bounds: Bounds) -> dict[str, Any]:
    """Seconds until the DELETEs have committed and until VACUUM has ended; bytes before, and what is left of them."""
    owner, parts = runtime.database.owner, await _deleted(runtime)
    begin = time.perf_counter()
    for start, end in bounds:
        await owner.execute(_DELETE, DELETED_TIER, start, end, timeout=3600)
    deleted = time.perf_counter()
    for part in parts:
        await owner.execute(f"VACUUM {part.name}", timeout=3600)
    return {
        "delete_s": deleted - begin,
        "vacuum_s": time.perf_counter() - deleted,
        "bytes": sum(part.bytes for part in parts),
        "bytes_left": sum(part.bytes for part in await _deleted(runtime)),
    }


async def _purge(runtime: Runtime, _: Bounds) -> dict[str, Any]:
    """Seconds until nothing can be read or opened and until the purge is done, and when each step took effect."""
    begin = time.perf_counter()
    steps = [("begun", begin)]
    (run,) = await run_purge(runtime.retention, on_step=lambda step: steps.append((step, time.perf_counter())))
    done = time.perf_counter()
    unreadable = max(at for step, at in steps if step in ("keys destroyed", "partition detached"))
    return {"unreadable_s": unreadable - begin, "purge_s": done - begin, "steps": steps, "rows": run.rows_dropped}


async def _deleted(runtime: Runtime) -> list[Partition]:
    return [part for part in await runtime.partitions.list(Store.CALL) if part.tier == DELETED_TIER]


def _tell(found: dict[str, Any]) -> None:
    """Print the waits, the steps, and DELETE beside the purge."""
    for name in ("quiet", "delete", "purge"):
        for kind, waits in found[name].items():
            print(f"{name:7} {kind:6} {waits}")
    for kind, waits in found["purge"].items():
        before = [step for step, at in found["steps"] if at <= waits["worst_at"]]
        print(f"the worst {kind} during the purge began after: {before[-1] if before else 'nothing yet'}")
    for (_, before_at), (step, at) in pairwise(found["steps"]):
        print(f"{1000 * (at - before_at):8.1f} ms until {step}")
    print(f"\n{'':<46} {'DELETE':>9} {'purge':>9} {'ratio':>9}")
    for what, (theirs, ours) in _durations(found).items():
        print(f"{what:<46} {theirs:>7.2f} s {ours:>7.2f} s {theirs / ours:>7.1f} x")
    was, left = found["bytes"] / 1e6, found["bytes_left"] / 1e6
    print(f"of {was:,.0f} MB VACUUM leaves {left:,.0f} MB on the disk, and the purge none")
    print(describe(found["disk_alone_ms"], found["rows_bytes"]))


def _durations(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Seconds of DELETE and of the purge until the same is true of both, and last the strict ratio's."""
    deleted, vacuumed = found["delete_s"], found["delete_s"] + found["vacuum_s"]
    return {
        "until nothing can be read: DELETE | detached": (deleted, found["unreadable_s"]),
        "until the disk has it: DELETE, VACUUM | done": (vacuumed, found["purge_s"]),
        "the whole purge against DELETE alone": (deleted, found["purge_s"]),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    chosen_parser = parser(__doc__, calls=10_000_000)
    chosen_parser.add_argument("--load", type=Path, help="run a reader or the writer on this folder (used by itself)")
    chosen_parser.add_argument("--number", type=int, default=0, help="which of them: the last one writes")
    chosen_parser.add_argument("--warm", action="store_true", help="old rows are in the page cache, as after a load")
    chosen = chosen_parser.parse_args(arguments)
    if chosen.load is not None:
        asyncio.run(_load(chosen.load, chosen.number))
        return 0
    calls = calls_of(chosen)
    data = FOLDER / f"purge-{calls}"
    shutil.rmtree(data, ignore_errors=True)
    say(machine())
    try:
        found = asyncio.run(_measure(data, calls, warm=chosen.warm))
    finally:
        shutil.rmtree(data, ignore_errors=True)
    _tell(found)
    worst = max(waits["worst_ms"] for waits in found["purge"].values())
    note = f"{calls:,} calls, {'warm' if chosen.warm else 'cold'}"
    figures = [
        Figure("purge/stall", worst, note),
        Figure("purge/delete", found["delete_s"] / found["unreadable_s"], note),
    ]
    found["ratios"] = {what: theirs / ours for what, (theirs, ours) in _durations(found).items()}
    return conclude(figures, found, chosen.json)


if __name__ == "__main__":
    raise SystemExit(main())
