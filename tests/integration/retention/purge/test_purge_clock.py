"""The purge under clocks that lie: what became due within a jump waits, and nothing else does."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from purging import DATABASE_ID, INSERT_ERROR, NOW, Environment, longer

from policies.policy.model import Store
from policies.retention import PurgePlan
from service.retention.errors import PurgeClockError
from service.retention.purge.planning import plan_purge
from service.retention.purge_runs import PurgeState, Run, Runs


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
