"""The purge, killed at every step, raced and held up: the next one ends the same."""

import asyncio
import os
from pathlib import Path

import forked
import killed_purge
import pytest
from purging import (
    INSERT_CALL,
    OLD,
    PURGED,
    STEPS,
    YOUNG,
    Environment,
    longer,
    open_environment,
)

from service.retention.purge_runs import PurgeState, Run
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import Partitions

PROGRAM = Path(killed_purge.__file__)


def purge_in_a_child(env: Environment, *, killed_at: int = 0) -> forked.Process:
    """A purge in a process of its own, which ends without a farewell at the given step."""
    arguments = [env.url, str(env.folder), str(killed_at)]
    with log_of(env).open("ab") as log:
        child = forked.start(arguments, environment=os.environ, log=log, program=PROGRAM)
    child.stdout.close()
    return child


def log_of(env: Environment) -> Path:
    return env.folder / "child.log"


@pytest.mark.parametrize("number", range(1, len(STEPS) + 1), ids=lambda number: f"{number}-{STEPS[number - 1]}")
async def test_killed_at_any_step_the_next_purge_ends_the_same(env: Environment, number: int) -> None:
    """A process that dies right after a step, before the next, leaves what the next purge finishes: one run, all of it.

    At no point in between is anything that is sealed readable while its rows are gone from the record.
    """
    await env.fill()
    child = purge_in_a_child(env, killed_at=number)
    assert await asyncio.to_thread(child.wait) == 137, log_of(env).read_text()

    (after_the_kill,) = await env.runs()
    if after_the_kill.state not in ("PLANNED", "HOLDS_CHECKED", "INTENT_LEDGERED"):
        assert len(await env.keyring.periods()) == 1
    await env.purge()
    await env.purge()

    left = await env.left()
    # The second purge found nothing to do: a record of its own.
    assert left["runs"][0] == ("DONE", 5, 2, None)
    assert [state for state, *_ in left["runs"][1:]] == ["DONE"]
    assert (left["calls"], left["errors"], len(left["tables"]), len(left["keys"])) == (1, 1, 2, 1)


async def test_killed_among_its_drops_the_next_purge_ends_the_same(any_database_url: str, tmp_path: Path) -> None:
    """Two partitions are gone, the third waits for a reader when the purge dies: nothing is lost or counted twice."""
    async with open_environment(any_database_url, tmp_path) as env:
        await env.fill()
        child = purge_in_a_child(env, killed_at=STEPS.index("recorded DETACHED") + 1)
        await asyncio.to_thread(child.wait)
        read = min(await env.partitions.detached())
        async with env.database.owner.acquire() as reader, reader.transaction():
            await reader.execute(f"LOCK TABLE {read} IN ACCESS SHARE MODE")
            child = purge_in_a_child(env)
            while await env.partitions.detached() != {read}:
                assert child.poll() is None, log_of(env).read_text()
                await asyncio.sleep(0.02)
            child.kill()
            child.wait()
            (record,) = await env.runs()
            assert (record.state, record.rows_dropped) == ("DETACHED", 0)
        await env.purge()

        left = await env.left()
        assert PURGED.items() <= left.items()
        assert len(left["tables"]) == 2


async def test_a_detach_that_was_killed_under_a_reader_is_finalised(env: Environment) -> None:
    """A purge that is killed while it waits for a long reader leaves `detach pending`; the next one ends it all."""
    await env.fill()
    async with env.database.reading(None) as reader, reader.transaction():
        await reader.fetchval("SELECT count(*) FROM call")
        child = purge_in_a_child(env)
        while not await env.database.owner.fetchval("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"):
            assert child.poll() is None, log_of(env).read_text()
            await asyncio.sleep(0.02)
        child.kill()
        child.wait()
        # What is being detached is not served any more, though the purge is dead and the reader still reads.
        assert await env.database.owner.fetchval("SELECT count(*) FROM call WHERE started_at < $1", OLD) == 0
    await env.purge()

    left = await env.left()
    assert PURGED.items() <= left.items()
    assert len(left["tables"]) == 2


async def test_a_reader_that_outlasts_the_purge_delays_it_and_nobody_else(env: Environment) -> None:
    """The purge says busy and records why, others keep working, and it is finished when the reader is gone."""
    await env.fill()
    env.partitions = Partitions(env.database.owner, attempts=1)
    async with env.database.reading(None) as reader, reader.transaction():
        await reader.fetchval("SELECT count(*) FROM call")
        purging = asyncio.create_task(env.purge())
        while not purging.done():
            await env.database.owner.execute(INSERT_CALL, YOUNG)
            await asyncio.sleep(0.05)
        with pytest.raises(PartitionsBusyError):
            await purging
        (record,) = await env.runs()
        assert (record.state, bool(record.failure)) == ("KEYS_DESTROYED", True)
    (run,) = await env.purge()
    assert (run.state, run.failure, run.rows_dropped) == (PurgeState.DONE, None, 5)
    assert [run.failure for run in await env.runs()] == [None]


async def test_two_runners_do_the_work_once(env: Environment) -> None:
    """Four purges at once, two of them processes: one record of the work, every row counted once, nobody fails."""
    await env.fill()
    children = [purge_in_a_child(env) for _ in range(2)]
    await asyncio.gather(env.purge(), env.purge())
    for child in children:
        assert await asyncio.to_thread(child.wait) == 0, log_of(env).read_text()
    done = [run for run in (await env.left())["runs"] if run[1] or run[2]]
    assert done == [("DONE", 5, 2, None)]


async def test_a_runner_that_does_not_wait_leaves_the_work_to_the_other(env: Environment) -> None:
    """While a purge is under way, `wait=False` returns at once without a record."""
    await env.fill()
    seen: list[asyncio.Task[list[Run]]] = []
    running = asyncio.create_task(env.purge(on_step=lambda _: seen.append(asyncio.create_task(env.purge(wait=False)))))
    await running
    assert len(seen) == len(STEPS)
    assert [await task for task in seen[:-1]] == [[]] * (len(STEPS) - 1)


async def test_a_window_that_was_lengthened_spares_what_was_planned(env: Environment) -> None:
    """A purge that resumes under a policy by which its plan is no longer due destroys nothing more, and says so."""
    await env.fill()
    child = purge_in_a_child(env, killed_at=1)
    await asyncio.to_thread(child.wait)
    env.policy = longer(env.policy)
    (run,) = await env.purge()

    left = await env.left()
    assert (left["calls"], left["errors"], len(left["keys"]), run.rows_dropped) == (4, 3, 3, 0)
    assert len(run.spared) == 5
    assert run.plan.partitions == ()


async def test_what_is_half_detached_is_dropped_though_the_window_was_lengthened(env: Environment) -> None:
    """Partitions that a killed purge had detached are dropped by the next, not forgotten as tables of nobody."""
    await env.fill()
    child = purge_in_a_child(env, killed_at=STEPS.index("partition detached") + 1)
    await asyncio.to_thread(child.wait)
    env.policy = longer(env.policy)
    (run,) = await env.purge()

    assert len(run.plan.partitions) == 1
    assert await env.partitions.detached() == frozenset()
    assert len((await env.left())["tables"]) == 4
