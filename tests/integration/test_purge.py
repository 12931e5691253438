"""The purge on a real server with a real keyring: killed at every step, raced, held up, lied to by clocks."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from policies.policy.document import load_preset
from policies.policy.model import Policy, Store
from policies.retention import KeyPeriod, PurgePlan, partition_bounds
from service.keyring import KeyDestroyedError, Keyring, PeriodKeyName, create_kek_file, open_keyring
from service.ledger import Ledger, Selection
from service.retention import purge_runs as runs
from service.retention.clock_guard import Clock, machine_clock
from service.retention.context import RetentionContext
from service.retention.errors import PurgeClockError, PurgeFailedError, PurgePlanError
from service.retention.maintenance import maintain, maintain_for_ever
from service.retention.purge.planning import plan_purge
from service.retention.purge.runner import run_purge
from service.retention.purge_runs import PurgeState, Run, Runs
from service.retention.replay import replay_tombstones
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.errors import PartitionsBusyError
from service.storage.partitions import Partitions

REPOSITORY = Path(__file__).parents[2]
DATABASE_ID = UUID("b7a9c2de-0000-4000-8000-000000000001")
NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(days=500), NOW - timedelta(days=1)
INSERT_CALL = """
    INSERT INTO call (started_at, id, digest, account_id, tier, source, failed, source_id, model)
    VALUES ($1, gen_random_uuid(), 1, 1, 1, 1, false, 'r', 'm')
"""
INSERT_ERROR = """
    INSERT INTO call_error
        (occurred_at, started_at, id, fingerprint, account_id, tier, model, error_type, rules, rule_counts)
    VALUES ($1, $1, gen_random_uuid(), 1, 1, 1, 'm', 'E', '{}', '{}')
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ '_t1_[0-9]{8}' ORDER BY 1"


WRITE_RUN = """
    INSERT INTO purge_run
        (id, state, plan_digest, plan, planned_at, finished_at, requested_by, keys_destroyed, rows_dropped)
    VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0)
"""


@dataclass
class Environment:
    """What a purge works on."""

    url: str
    folder: Path
    database: Database
    partitions: Partitions
    keyring: Keyring
    policy: Policy
    ledger: Ledger
    clock: Clock = machine_clock

    @property
    def retention(self) -> RetentionContext:
        accounts = Accounts(1)
        return RetentionContext(
            self.database, self.partitions, self.keyring, accounts, lambda: self.policy, self.ledger, clock=self.clock
        )

    async def purge(self, **options) -> list[Run]:
        return await run_purge(self.retention, **options)

    async def runs(self, **wanted: object) -> list[Run]:
        """The records, oldest first, that are as wanted."""
        found = reversed(await Runs(self.database.owner).page(100))
        return [run for run in found if all(getattr(run, name) == value for name, value in wanted.items())]

    async def write(self, run: Run, *, plan: str | None = None) -> None:
        """Put a record there as only the owner of the database can."""
        await self.database.owner.execute(
            WRITE_RUN,
            run.id,
            run.state,
            run.digest,
            runs.encode(run) if plan is None else plan,
            run.planned_at,
            run.finished_at,
            run.requested_by,
        )

    async def set_planned(self, run: Run, moment: datetime) -> None:
        await self.database.owner.execute("UPDATE purge_run SET planned_at = $2 WHERE id = $1", run.id, moment)

    async def fill(self) -> None:
        """Three old calls and two old errors in three partitions, a young one of each, and keys of both ages."""
        for store, insert, moments in (
            (Store.CALL, INSERT_CALL, [OLD, OLD, OLD - timedelta(days=7), YOUNG]),
            (Store.CALL_ERROR, INSERT_ERROR, [NOW - timedelta(days=40)] * 2 + [YOUNG]),
        ):
            await self.partitions.ensure(self.policy, [(store, 1, moment) for moment in moments])
            for moment in moments:
                await self.database.owner.execute(insert, moment)
        for moment in (NOW - timedelta(days=40), NOW - timedelta(days=39), YOUNG):
            await self.keyring.key(PeriodKeyName(1, "personal", f"{moment:%Y-%m-%d}"), mint=True)

    async def left(self) -> dict[str, object]:
        """What is there, in every respect that a purge changes."""
        names = await self.database.owner.fetch(TABLES)
        return {
            "calls": await self.database.owner.fetchval("SELECT count(*) FROM call"),
            "errors": await self.database.owner.fetchval("SELECT count(*) FROM call_error"),
            "tables": [row["relname"] for row in names],
            "keys": await self.keyring.periods(),
            "runs": [(run.state, run.rows_dropped, run.keys_destroyed, run.failure) for run in await self.runs()],
        }


@asynccontextmanager
async def open_environment(url: str, folder: Path) -> AsyncIterator[Environment]:
    create_kek_file(folder / "kek")
    keyring = await open_keyring(f"file:{folder / 'keyring'}", f"file:{folder / 'kek'}", create=True)
    await keyring.bind(DATABASE_ID)
    database = await Database.open(url)
    ledger = Ledger(database, keyring, DATABASE_ID)
    try:
        yield Environment(url, folder, database, Partitions(database.owner), keyring, load_preset("default"), ledger)
    finally:
        await database.close()
        await keyring.close()


@pytest.fixture
async def env(database_url: str, tmp_path: Path) -> AsyncIterator[Environment]:
    async with open_environment(database_url, tmp_path) as env:
        yield env


PURGED = {"calls": 1, "errors": 1, "runs": [("DONE", 5, 2, None)]}
STEPS = [
    "planned",
    "recorded HOLDS_CHECKED",
    "recorded INTENT_LEDGERED",
    "record keys escrowed",
    "keys destroyed",
    "recorded KEYS_DESTROYED",
    *["partition detached"] * 3,
    "recorded DETACHED",
    *["held rows copied", *["index dropped"] * 4, "partition dropped"] * 2,
    *["held rows copied", "index dropped", "partition dropped"],
    "recorded DROPPED",
    "verified",
    "recorded VERIFIED",
    "recorded DONE",
]


async def test_a_purge_destroys_what_is_due_and_nothing_else(env: Environment) -> None:
    """Old partitions and keys go, young ones stay, the record says how many rows and keys; it passes every step."""
    await env.fill()
    steps: list[str] = []

    (run,) = await env.purge(requested_by="cli", on_step=steps.append)

    left = await env.left()
    assert PURGED.items() <= left.items()
    assert len(left["tables"]) == 2
    assert left["keys"] == [PeriodKeyName(1, "personal", f"{YOUNG:%Y-%m-%d}")]
    with pytest.raises(KeyDestroyedError):
        await env.keyring.key(PeriodKeyName(1, "personal", f"{NOW - timedelta(days=40):%Y-%m-%d}"), mint=True)
    assert steps == STEPS
    assert (run.state, run.requested_by, run.finished_at is not None) == (PurgeState.DONE, "cli", True)
    assert [part.rows_estimate for part in run.plan.partitions] == [1, 2, 2]
    assert await Runs(env.database.owner).get(run.id) == run
    kinds = [entry.kind.value async for entry in env.ledger.every(Selection())]
    assert kinds == ["PURGE_INTENT", "KEY_DESTROYED", "PURGE_RESULT"]


async def test_a_dry_run_touches_nothing(env: Environment) -> None:
    """A plan names what would go, has the digest of the purge that follows, and leaves everything as it was."""
    await env.fill()
    before = await env.left()

    planned = await plan_purge(env.retention)

    assert await env.left() == before
    assert (len(planned.partitions), len(planned.keys)) == (3, 2)
    (run,) = await env.purge(plan_digest=planned.digest())
    assert run.digest == planned.digest()


async def test_another_plan_than_the_one_named_is_refused(env: Environment) -> None:
    """With a digest that is not what is due nothing is destroyed."""
    await env.fill()
    before = await env.left()
    with pytest.raises(PurgePlanError):
        await env.purge(plan_digest="sha256:" + 64 * "0")
    assert await env.left() == before


async def test_purges_with_nothing_due_are_one_record(env: Environment) -> None:
    """Hourly purges that find nothing leave a single record, whose end is when it was last looked at."""
    for _ in range(3):
        assert await env.purge() == []
    (record,) = await env.runs()
    assert (record.state, record.rows_dropped, record.failure) == ("DONE", 0, None)
    assert record.finished_at > record.planned_at


# A purge in a process of its own, which ends without a farewell at the given step.
CHILD = """
import asyncio, os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
import importlib.util
spec = importlib.util.spec_from_file_location("purge_house", {module!r})
module = importlib.util.module_from_spec(spec)
sys.modules["purge_house"] = module
spec.loader.exec_module(module)

async def main():
    left = int(sys.argv[3])
    def on_step(_):
        nonlocal left
        left -= 1
        if left == 0:
            os._exit(137)
    async with module.open_environment(sys.argv[1], Path(sys.argv[2])) as env:
        print("open", flush=True)
        await env.purge(on_step=on_step)

asyncio.run(main())
"""


def purge_in_a_child(env: Environment, *, killed_at: int = 0) -> "subprocess.Popen[str]":
    code = CHILD.format(tests=str(REPOSITORY), module=__file__)
    command = [sys.executable, "-W", "ignore", "-c", code, env.url, str(env.folder), str(killed_at)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", range(1, len(STEPS) + 1), ids=lambda number: f"{number}-{STEPS[number - 1]}")
async def test_killed_at_any_step_the_next_purge_ends_the_same(env: Environment, number: int) -> None:
    """A process that dies right after a step, before the next, leaves what the next purge finishes: one run, all of it.

    At no point in between is anything that is sealed readable while its rows are gone from the record.
    """
    await env.fill()
    child = purge_in_a_child(env, killed_at=number)
    _, errors = await asyncio.to_thread(child.communicate)
    assert child.returncode == 137, errors

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
        await asyncio.to_thread(child.communicate)
        read = min(await env.partitions.detached())
        async with env.database.owner.acquire() as reader, reader.transaction():
            await reader.execute(f"LOCK TABLE {read} IN ACCESS SHARE MODE")
            child = purge_in_a_child(env)
            while await env.partitions.detached() != {read}:
                assert child.poll() is None, child.communicate()
                await asyncio.sleep(0.02)
            child.kill()
            child.communicate()
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
            assert child.poll() is None, child.communicate()
            await asyncio.sleep(0.02)
        child.kill()
        child.communicate()
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
        _, errors = await asyncio.to_thread(child.communicate)
        assert child.returncode == 0, errors
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


@pytest.mark.parametrize("minutes", [-6, 6, 60 * 24 * 365])
async def test_a_database_clock_that_is_off_stops_the_purge(env: Environment, minutes: int) -> None:
    """More than five minutes between the two clocks, either way, and nothing is destroyed or recorded."""
    await env.fill()
    before = await env.left()
    env.clock = lambda: datetime.now(UTC) + timedelta(minutes=minutes)
    with pytest.raises(PurgeClockError):
        await env.purge()
    assert await env.left() == before
    env.clock = lambda: datetime.now(UTC) + timedelta(minutes=4)
    assert await env.purge()


async def last_purge_was(env: Environment, moment: datetime) -> None:
    await env.write(Run(uuid4(), PurgeState.DONE, PurgePlan(), "", moment, "system", finished_at=moment))


async def test_a_jump_of_the_clock_puts_the_purge_off_for_an_hour(env: Environment) -> None:
    """After more than a day without a record nothing is destroyed at first; an hour later it is, by anyone."""
    await env.fill()
    await last_purge_was(env, NOW - timedelta(hours=25))
    for _ in range(2):
        with pytest.raises(PurgeClockError):
            await env.purge()
    left = await env.left()
    assert (left["calls"], len(left["keys"]), len(left["tables"])) == (4, 3, 5)

    (waiting,) = await env.runs(state="PLANNED")
    await env.set_planned(waiting, waiting.planned_at - timedelta(hours=1))
    (run,) = await env.purge()
    assert (run.id, run.state, run.rows_dropped) == (waiting.id, PurgeState.DONE, 5)


async def test_a_machine_that_is_on_for_minutes_a_week_is_purged_all_the_same(env: Environment) -> None:
    """Each start finds a gap of a week: the first one plans, the second carries that out; nothing waits for ever."""
    await env.fill()
    await last_purge_was(env, NOW - timedelta(days=14))
    with pytest.raises(PurgeClockError):
        await env.purge()
    (waiting,) = await env.runs(state="PLANNED")
    await env.set_planned(waiting, NOW - timedelta(days=7))
    assert [run.rows_dropped for run in await env.purge()] == [5]


async def test_a_clock_that_goes_back_takes_its_plan_with_it(env: Environment) -> None:
    """What was planned by a clock that had jumped ahead is dropped when the clock is right again."""
    await env.fill()
    await last_purge_was(env, NOW - timedelta(days=2))
    with pytest.raises(PurgeClockError):
        await env.purge()
    (wrong,) = await env.runs(state="PLANNED")
    await env.set_planned(wrong, NOW + timedelta(days=3650))
    await last_purge_was(env, NOW - timedelta(hours=1))
    (run,) = await env.purge()

    assert run.id != wrong.id
    assert (await Runs(env.database.owner).get(wrong.id)).state == "FAILED"


async def test_naming_the_plan_does_not_wait_for_the_clock(env: Environment) -> None:
    """An operator who names the digest of a plan that waits has it carried out at once."""
    await env.fill()
    await last_purge_was(env, NOW - timedelta(days=30))
    with pytest.raises(PurgeClockError):
        await env.purge()
    planned = await plan_purge(env.retention)
    (run,) = await env.purge(plan_digest=planned.digest())
    assert (run.rows_dropped, run.state) == (5, PurgeState.DONE)


async def test_a_record_from_the_future_does_not_switch_the_guard_off(env: Environment) -> None:
    """A run that a wrong clock dated ten years ahead does not count as the last purge."""
    await env.fill()
    await last_purge_was(env, NOW + timedelta(days=3650))
    await last_purge_was(env, NOW - timedelta(days=3))
    with pytest.raises(PurgeClockError):
        await env.purge()


async def time_passes(env: Environment, passed: timedelta) -> None:
    """As if every record had been written that much earlier."""
    for column in ("planned_at", "finished_at"):
        await env.database.owner.execute(f"UPDATE purge_run SET {column} = {column} - $1::interval", passed)


async def test_a_second_jump_of_the_clock_waits_as_the_first_one_did(env: Environment) -> None:
    """Ahead by 200 days, right again, ahead by 200 days and 2 hours: the moment that was refused vouches for none."""
    await env.fill()
    await last_purge_was(env, NOW - timedelta(days=200))
    with pytest.raises(PurgeClockError):
        await env.purge()
    await time_passes(env, -timedelta(days=200))
    undue = env.policy
    env.policy = longer(undue)
    assert not await env.purge()
    await time_passes(env, timedelta(days=200, hours=2))
    env.policy = undue
    before = await env.left()
    with pytest.raises(PurgeClockError):
        await env.purge()

    assert await env.left() | {"runs": None} == before | {"runs": None}
    assert (before["calls"], len(before["keys"])) == (4, 3)


async def test_a_wrong_moment_at_which_nothing_was_due_vouches_for_none(env: Environment) -> None:
    """That nothing was due is learned from a trusted moment only, or once the moment has stood for an hour."""
    await last_purge_was(env, NOW - timedelta(days=200))
    assert await env.purge() == await env.purge() == []
    await time_passes(env, timedelta(minutes=30))
    await env.fill()
    before = await env.left()
    with pytest.raises(PurgeClockError):
        await env.purge()
    assert await env.left() | {"runs": None} == before | {"runs": None}


async def test_a_moment_that_stood_for_an_hour_vouches_for_itself_alone(env: Environment) -> None:
    """A clock that jumps between the record of an idle purge and its confirmation is not vouched for by it."""
    await last_purge_was(env, NOW - timedelta(days=200))
    assert await env.purge() == []
    await time_passes(env, timedelta(days=100))
    await env.fill()
    with pytest.raises(PurgeClockError):
        await env.purge()


async def test_a_waiting_purge_that_is_carried_out_late_takes_nothing_else_along(env: Environment) -> None:
    """What was planned a while ago goes; what is due by another jump waits for itself."""
    await env.fill()
    await last_purge_was(env, NOW - timedelta(days=300))
    with pytest.raises(PurgeClockError):
        await env.purge()
    await time_passes(env, timedelta(days=100))
    moment = NOW - timedelta(days=90)
    await env.partitions.ensure(env.policy, [(Store.CALL_ERROR, 1, moment)])
    await env.database.owner.execute(INSERT_ERROR, moment)
    with pytest.raises(PurgeClockError):
        await env.purge()

    (done,) = await env.runs(state="DONE", waits=True)
    (waiting,) = await env.runs(state="PLANNED")
    assert done.rows_dropped == 5
    assert [part.store for part in waiting.plan.partitions] == [Store.CALL_ERROR]


async def test_a_moment_that_turned_out_wrong_is_not_trusted_when_its_time_comes(env: Environment) -> None:
    """Purges went on for hours by a wrong clock; when that time comes by another jump, it proves nothing."""
    await last_purge_was(env, NOW + timedelta(days=200))
    await last_purge_was(env, NOW - timedelta(hours=1))
    assert await env.purge() == []
    await time_passes(env, timedelta(days=200, hours=2))
    await env.fill()
    with pytest.raises(PurgeClockError):
        await env.purge()


async def test_a_running_service_is_trusted_an_hour_after_a_gap(env: Environment) -> None:
    """After a day off, an idle purge and another an hour later: from then on what is due goes at once."""
    await last_purge_was(env, NOW - timedelta(days=3))
    assert await env.purge() == []
    await time_passes(env, timedelta(hours=1))
    await env.fill()
    assert [run.rows_dropped for run in await env.purge()] == [5]


async def test_a_new_installation_is_purged_at_once(env: Environment) -> None:
    """Without any purge before it, the installation's own date is what the clock is held against."""
    await env.fill()
    await env.database.owner.execute(
        "INSERT INTO installation (id, database_id, created_at, demo) VALUES (1, $1, $2, false)",
        DATABASE_ID,
        NOW - timedelta(hours=2),
    )
    assert [run.rows_dropped for run in await env.purge()] == [5]


def longer(policy: Policy) -> Policy:
    tier = policy.tiers["standard"]
    return replace(
        policy,
        tiers={"standard": replace(tier, store_days=dict.fromkeys(Store, 4000), readable_days={"personal": 4000})},
    )


async def test_a_window_that_was_lengthened_spares_what_was_planned(env: Environment) -> None:
    """A purge that resumes under a policy by which its plan is no longer due destroys nothing more, and says so."""
    await env.fill()
    child = purge_in_a_child(env, killed_at=1)
    await asyncio.to_thread(child.communicate)
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
    await asyncio.to_thread(child.communicate)
    env.policy = longer(env.policy)
    (run,) = await env.purge()

    assert len(run.plan.partitions) == 1
    assert await env.partitions.detached() == frozenset()
    assert len((await env.left())["tables"]) == 4


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"partitions": [{"store": "call", "name": "account"}], "keys": []},
        {"partitions": "call", "keys": [], "waits": False, "spared": []},
        {"partitions": [], "keys": [[1, "../../x", "2020-01-01"]], "waits": False, "spared": []},
    ],
)
async def test_a_record_that_nobody_can_read_stops_no_purge(env: Environment, plan: dict[str, object]) -> None:
    """An unfinished record that is damaged or made up fails by itself; the purge after it is carried out."""
    await env.fill()
    forged = Run(uuid4(), PurgeState.DETACHED, PurgePlan(), "", NOW, "mallory")
    await env.write(forged, plan=json.dumps(plan))
    assert [run.rows_dropped for run in await env.purge()] == [5]
    statement = "SELECT state FROM purge_run WHERE id = $1"
    assert await env.database.owner.fetchval(statement, forged.id) == "FAILED"


@pytest.mark.parametrize("state", ["REQUESTED", "PLANNED", "INTENT_LEDGERED", "KEYS_DESTROYED", "DETACHED"])
async def test_a_forged_record_destroys_nothing_that_is_not_due(env: Environment, state: str) -> None:
    """Whoever can write records but not drop tables cannot have a young partition or key destroyed by one."""
    await env.fill()
    (young,) = [part for part in await env.partitions.list(Store.CALL) if part.end > NOW - timedelta(days=8)]
    old_bounds = partition_bounds(env.policy, 1, Store.CALL, OLD)
    forged = replace(young, start=old_bounds[0], end=old_bounds[1])
    key = KeyPeriod(1, "personal", f"{YOUNG:%Y-%m-%d}")
    await env.write(Run(uuid4(), PurgeState(state), PurgePlan((forged,), (key,)), "", NOW, "mallory"))
    with contextlib.suppress(PurgeFailedError):
        await env.purge()
    await env.purge()

    left = await env.left()
    assert (left["calls"], left["errors"], len(left["tables"])) == (1, 1, 2)
    assert await env.partitions.exists(young)
    assert PeriodKeyName(*key) in await env.keyring.periods()


async def test_an_older_keyring_loses_again_what_a_purge_destroyed(env: Environment, tmp_path: Path) -> None:
    """A keyring restored from before the purge has the keys again; replaying the records destroys them."""
    await env.fill()
    before = await env.keyring.periods()
    copy = tmp_path / "copy"
    await asyncio.to_thread(subprocess.run, ["cp", "-a", tmp_path / "keyring", copy], check=True)
    await env.purge()
    restored = await open_keyring(f"file:{copy}", f"file:{tmp_path / 'kek'}", create=False)
    assert await restored.periods() == before

    assert await replay_tombstones(env.database.owner, restored) == 2
    assert await restored.periods() == await env.keyring.periods()
    assert await replay_tombstones(env.database.owner, restored) == 0


async def test_a_round_of_maintenance_makes_partitions_and_purges(env: Environment) -> None:
    """One round leaves today's partition of every store in place and what was due gone."""
    await env.fill()
    assert await maintain(env.retention)
    for store in Store:
        assert any(part.start <= NOW < part.end for part in await env.partitions.list(store))
    assert await env.database.owner.fetchval("SELECT count(*) FROM call") == 1


async def test_maintenance_outlives_its_errors(env: Environment) -> None:
    """A round that fails altogether is followed by another, which does the work."""
    await env.fill()
    policies = iter([None, None])
    retention = env.retention
    retention.policy = lambda: next(policies, env.policy)
    loop = asyncio.create_task(maintain_for_ever(retention, every_s=0.01, retry_s=0.01))
    while await env.database.owner.fetchval("SELECT count(*) FROM call") != 1:
        assert not loop.done()
        await asyncio.sleep(0.02)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop


async def test_both_versions_purge(any_database_url: str, tmp_path: Path) -> None:
    """The whole purge, on the newest and on the oldest PostgreSQL."""
    async with open_environment(any_database_url, tmp_path) as env:
        await env.fill()
        await env.purge()
        assert PURGED.items() <= (await env.left()).items()
