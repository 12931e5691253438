"""The writer while something goes wrong: policies that change, full queues, databases that are away, kills."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest
from bodies import read_native
from ingesting import (
    ACCEPTED,
    ANYONE,
    DUPLICATE,
    RECENT,
    Ingest,
    body,
    call,
    eventually,
    statuses,
    sums_agree,
)

from policies import Store
from policies.policy.model import Action
from service.ingest.errors import QueueFullError, WriterClosedError
from service.ingest.pipeline.writer import as_read
from service.ingest.results import RowResult
from service.storage.errors import DatabaseUnavailableError

# What the writer's own connections run; pool connections that rest between two statements are left alone.
KILL_WRITERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()
      AND (query LIKE '%call_staged%' OR query LIKE 'COPY%' OR query LIKE 'COMMIT%' OR query LIKE 'BEGIN%')
"""


async def test_policy_that_changes_while_calls_wait_is_obeyed(ingest: Ingest) -> None:
    """Calls that were admitted under one policy and not yet stored are admitted again under the next."""
    policy = ingest.applied.policy
    fields = dict(policy.fields)
    fields["Call.apiKey"] = replace(fields["Call.apiKey"], action=Action.DROP)
    stricter = replace(policy, fields=fields)
    async with ingest.database.owner.acquire() as blocker, blocker.transaction():
        await ingest.report(call("warm"))
        await blocker.execute("LOCK TABLE call IN SHARE MODE")
        first = asyncio.create_task(ingest.report(call("first", api_key="prod-web")))
        await waiting_for_lock(ingest)
        second = asyncio.create_task(ingest.report(call("second", api_key="prod-web")))
        await rows_waiting(ingest, 2)
        ingest.use_policy(stricter)
    await asyncio.gather(first, second)

    keys = dict(await ingest.fetch("SELECT source_id, api_key FROM call WHERE source_id <> 'warm'"))
    assert keys == {"first": "prod-web", "second": None}


async def waiting_for_lock(ingest: Ingest) -> None:
    """Return once the writer's statement stands behind a lock."""
    statement = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%call_staged%'"
    await eventually(lambda: ingest.value(statement))


async def rows_waiting(ingest: Ingest, rows: int) -> None:
    """Return once this many rows were taken and are not stored yet."""
    await eventually(lambda: ingest.writer.waiting_rows >= rows)


async def test_full_queue_refuses_and_stores_nothing_of_the_refused(ingest: Ingest) -> None:
    """While the database stands still, rows beyond the queue are refused; those in it are stored later."""
    await ingest.report(call("warm"))
    writer = await ingest.another_writer(queue_rows=3, batch_rows=2)

    def submit(*ids: str) -> "asyncio.Task[list[RowResult]]":
        rows = read_native(body(*(call(id_) for id_ in ids)))
        return asyncio.create_task(writer.submit(rows, as_read, ANYONE, source="native"))

    async with ingest.database.owner.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE call IN SHARE MODE")
        waiting = submit("a", "b")
        await waiting_for_lock(ingest)
        with pytest.raises(QueueFullError):
            await submit("c", "d")
        third = submit("e")
    assert statuses(await waiting + await third) == [ACCEPTED, ACCEPTED, ACCEPTED]
    stored = [row[0] for row in await ingest.fetch("SELECT source_id FROM call ORDER BY 1")]
    assert stored == ["a", "b", "e", "warm"]
    assert writer.waiting_rows == 0


async def test_body_larger_than_the_queue_passes_in_parts(ingest: Ingest) -> None:
    """A body of more rows than the queue holds is stored all the same, some at a time."""
    writer = await ingest.another_writer(queue_rows=10, batch_rows=7)

    verdicts = await writer.submit(
        read_native(body(*(call(f"r{n}") for n in range(100)))), as_read, ANYONE, source="native"
    )

    assert Counter(statuses(verdicts)) == {ACCEPTED: 100}
    assert len({verdict.id for verdict in verdicts}) == 100


async def test_cancelled_client_does_not_cancel_the_batch(ingest: Ingest) -> None:
    """A client that goes away while its batch is stored loses its answer; its calls and its neighbours' are stored."""
    await ingest.report(call("warm"))
    async with ingest.database.owner.acquire() as blocker, blocker.transaction():
        await blocker.execute("LOCK TABLE call IN SHARE MODE")
        first = asyncio.create_task(ingest.report(call("first")))
        await waiting_for_lock(ingest)
        gone = asyncio.create_task(ingest.report(call("gone")))
        stays = asyncio.create_task(ingest.report(call("stays")))
        await rows_waiting(ingest, 3)
        first.cancel()
        gone.cancel()
        await asyncio.gather(first, gone, return_exceptions=True)

    assert statuses(await stays) == [ACCEPTED]
    stored = {row[0] for row in await ingest.fetch("SELECT source_id FROM call")}
    assert {"warm", "first", "gone", "stays"} == stored
    assert ingest.writer.waiting_rows == 0


async def test_connections_killed_under_load_lose_and_double_nothing(ingest: Ingest) -> None:
    """With the writer's connections killed again and again, every acknowledged call is there, and counted once."""
    acknowledged: set[str] = set()
    sent = unknown = 0

    async def client(name: str) -> None:
        nonlocal sent, unknown
        for turn in range(500):
            if turn >= 12 and killing.done():
                break
            sent += 20
            rows = [call(f"{name}-{turn}-{n}", amount="0.01", input_tokens=1, latency_ms=5) for n in range(20)]
            try:
                verdicts = await ingest.report(*rows)
            except DatabaseUnavailableError:
                unknown += len(rows)
                continue
            acknowledged.update(row["id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict.id)

    async def killer() -> None:
        killed = 0
        connection = await asyncpg.connect(ingest.url)
        try:
            while killed < 4:
                killed += await connection.fetchval(KILL_WRITERS)
                await asyncio.sleep(0.003)
        finally:
            await connection.close()

    killing = asyncio.create_task(killer())
    await asyncio.gather(*(client(f"c{n}") for n in range(6)))
    assert killing.done(), "too few connections were killed: the test has shown nothing"

    stored = [row[0] for row in await ingest.fetch("SELECT source_id FROM call")]
    assert len(stored) == len(set(stored))
    assert acknowledged <= set(stored)
    assert len(acknowledged) + unknown == sent
    calls, tokens, _, amount = await sums_agree(ingest)
    assert (len(stored), len(stored), Decimal("0.01") * len(stored)) == (calls, tokens, amount)


async def test_database_that_is_away_stores_nothing_and_says_so(ingest: Ingest) -> None:
    """When no connection can be had the submission raises; afterwards the same report is accepted."""
    await ingest.report(call("warm"))
    name = await ingest.value("SELECT quote_ident(current_database())")
    operator = await asyncpg.connect(ingest.url)
    try:
        await operator.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
        await operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()"
        )
        with pytest.raises(DatabaseUnavailableError):
            await ingest.report(call("a"))
    finally:
        await operator.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        await operator.close()

    assert statuses(await ingest.report(call("a"))) == [ACCEPTED]


async def test_partition_that_was_dropped_is_made_again(ingest: Ingest) -> None:
    """A partition that vanished behind the writer's back costs a second look, not the calls."""
    await ingest.report(call("a"))
    [partition] = [part for part in await ingest.partitions.list(Store.CALL) if part.start <= RECENT < part.end]
    await ingest.database.owner.execute(f"DROP TABLE {partition.name}")

    assert statuses(await ingest.report(call("b"))) == [ACCEPTED]


async def test_shutdown_stores_what_waits_and_takes_no_more(ingest: Ingest) -> None:
    """Closing the writer answers every submission that was taken before, and refuses those after."""
    writer = await ingest.another_writer(batch_rows=5)
    tasks = [
        asyncio.create_task(writer.submit(read_native(body(call(f"r{n}"))), as_read, ANYONE, source="native"))
        for n in range(30)
    ]
    await asyncio.sleep(0)

    await writer.close()

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    taken = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert all(isinstance(answer, (list, WriterClosedError)) for answer in answers)
    assert len(taken) == await ingest.value("SELECT count(*) FROM call") > 0
    with pytest.raises(WriterClosedError):
        await writer.submit(read_native(body(call("late"))), as_read, ANYONE, source="native")


@pytest.mark.plain("a trigger on calls")
async def test_commits_are_durable_whatever_the_server_defaults_to(ingest: Ingest) -> None:
    """The test server defaults to `synchronous_commit = off`; the transaction that stores calls runs with `on`."""
    await ingest.note("current_setting('synchronous_commit')")
    await ingest.report(call("a"))

    assert await ingest.noted() == ["on"]
    assert await ingest.value("SHOW synchronous_commit") == "off"


async def test_ten_thousand_rows_in_one_body(ingest: Ingest) -> None:
    """A large NDJSON body is stored whole, in order, with every row's own id, and its retry adds nothing."""
    lines = [json.dumps(call(f"r{n}", amount="0.000001", input_tokens=1)) for n in range(10_000)]
    ndjson = "\n".join(lines).encode()

    first = await ingest.writer.submit(read_native(ndjson), as_read, ANYONE, source="native")
    again = await ingest.writer.submit(read_native(ndjson), as_read, ANYONE, source="native")

    assert Counter(statuses(first)) == {ACCEPTED: 10_000}
    assert Counter(statuses(again)) == {DUPLICATE: 10_000}
    assert [verdict.id for verdict in first] == [verdict.id for verdict in again]
    assert (10_000, 10_000, 0, Decimal("0.01")) == await sums_agree(ingest)
