"""The purge on a real server with a real keyring: killed at every step, raced, held up, lied to by clocks."""

import asyncio
import contextlib
import json
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from purging import (
    NOW,
    OLD,
    PURGED,
    STEPS,
    YOUNG,
    Environment,
    open_environment,
)

from policies.policy.model import Store
from policies.retention import KeyPeriod, PurgePlan, partition_bounds
from service.keyring import KeyDestroyedError, PeriodKeyName, open_keyring
from service.ledger import Selection
from service.retention.errors import PurgeFailedError, PurgePlanError
from service.retention.maintenance import maintain, maintain_for_ever
from service.retention.purge.planning import plan_purge
from service.retention.purge_runs import PurgeState, Run, Runs
from service.retention.replay import replay_tombstones


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

    assert await replay_tombstones(env.database.owner, restored, env.ledger) == 2
    assert await restored.periods() == await env.keyring.periods()
    assert await replay_tombstones(env.database.owner, restored, env.ledger) == 0


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
