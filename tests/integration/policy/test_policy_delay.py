"""Destruction that follows from a change: of policy, which waits; of tier, which never reaches back."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from retaining import LONG, NOW, SHORT, RetainedLedger, failed, open_retained, windows

from policies.policy.model import DataClass, Policy, Store
from policies.retention import TIER_NOTICE, tier_may_move_from
from service.ingest.results import Status
from service.ledger import LedgerKind
from service.retention.context import EarlierPolicyError
from service.retention.errors import PurgePlanError, TierError
from service.retention.maintenance import maintain
from service.retention.purge.planning import due_plans, named_plan, plan_purge, request_purge
from service.retention.purge_runs import PurgeState, Runs
from service.retention.tiers import move_account

AGE = timedelta(days=60)


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(database_url, tmp_path, delay=timedelta(hours=72)) as retained:
        yield retained


async def shorten(retained: RetainedLedger, ago: timedelta) -> None:
    """A call of 60 days ago under long windows, which were shortened to 30 days `ago`."""
    await retained.report(failed("a", NOW - AGE, user="u1"))
    await retained.apply(LONG, NOW - timedelta(days=300))
    await retained.apply(windows(30), NOW - ago)


async def test_what_a_change_makes_due_waits_while_reads_cut_off(retained: RetainedLedger) -> None:
    """An hour after the windows were shortened nothing is destroyed by itself, though all of it is due by name."""
    await shorten(retained, timedelta(hours=1))
    assert await retained.purge() == []
    assert await retained.value("SELECT count(*) FROM call") == 1
    due = await due_plans(retained.retention, NOW)
    assert (len(due.all.partitions), len(due.all.keys), bool(due.settled)) == (2, 1, False)
    assert await retained.findings() == {}


async def test_after_the_delay_it_goes_by_itself(retained: RetainedLedger) -> None:
    """Three days and an hour later the same plan is carried out without anybody naming it."""
    await shorten(retained, timedelta(hours=73))
    (run,) = await retained.purge()
    assert (run.state, run.rows_dropped, run.keys_destroyed) == (PurgeState.DONE, 2, 1)


async def test_who_names_the_plan_does_not_wait(retained: RetainedLedger) -> None:
    """With the digest of the whole plan it is carried out at once."""
    await shorten(retained, timedelta(hours=1))
    (run,) = await retained.purge(plan_digest=(await plan_purge(retained.retention)).digest())
    assert (run.rows_dropped, run.named) == (2, True)


async def test_a_typo_that_is_undone_costs_nothing(retained: RetainedLedger) -> None:
    """Windows that were shortened and lengthened again within the delay: the rows are there and served."""
    await shorten(retained, timedelta(hours=2))
    await retained.apply(LONG, NOW - timedelta(hours=1))
    assert await retained.purge() == []
    assert not (await due_plans(retained.retention, NOW)).all
    assert [one.status for one in await retained.report(failed("a", NOW - AGE, user="u1"))] == [Status.DUPLICATE]


async def test_time_alone_does_not_wait(retained: RetainedLedger) -> None:
    """What was due under the earlier policy too is destroyed at once, however new the policy is."""
    await retained.report(failed("a", NOW - timedelta(days=500)))
    await retained.apply(windows(100), NOW - timedelta(days=300))
    await retained.apply(windows(30), NOW - timedelta(hours=1))
    (run,) = await retained.purge()
    assert run.rows_dropped == 2


async def test_an_earlier_policy_that_nobody_can_read_stops_what_goes_by_itself(retained: RetainedLedger) -> None:
    """On doubt nothing is destroyed until the delay ends or somebody names the plan."""
    await shorten(retained, timedelta(hours=1))
    await retained.ingest.database.owner.execute(
        "UPDATE policy_version SET document = 'nonsense' WHERE version = (SELECT min(version) FROM policy_version)"
    )
    with pytest.raises(EarlierPolicyError):
        await retained.purge()
    assert await retained.value("SELECT count(*) FROM call") == 1
    (run,) = await retained.purge(plan_digest=(await plan_purge(retained.retention)).digest())
    assert run.rows_dropped == 2


# Asked for by digest ---------------------------------------------------------------------------------------------


async def test_a_purge_that_was_asked_for_is_carried_out_by_the_worker(retained: RetainedLedger) -> None:
    """requestPurge records REQUESTED; the next round of maintenance carries out that plan, newly changed or not."""
    await shorten(retained, timedelta(hours=1))
    wanted = await plan_purge(retained.retention)
    asked = await request_purge(retained.retention, wanted.digest(), actor="key1")
    again = await request_purge(retained.retention, wanted.digest(), actor="key1")
    assert (asked.state, asked.id) == (PurgeState.REQUESTED, again.id)
    assert await retained.value("SELECT count(*) FROM call") == 1

    assert await maintain(retained.retention)
    done = await Runs(retained.retention.owner).get(asked.id)
    assert (done.state, done.rows_dropped, done.requested_by) == (PurgeState.DONE, 2, "key1")


async def test_a_part_of_what_is_due_can_be_named(retained: RetainedLedger) -> None:
    """The digest of one class's part carries out that part and leaves the rest."""
    await shorten(retained, timedelta(hours=1))
    due = await plan_purge(retained.retention)
    part = due.part(data_class=DataClass.PERSONAL, tier=1)
    assert await named_plan(retained.retention, part.digest(), NOW) == part
    (run,) = await retained.purge(plan_digest=part.digest())
    assert {one.store for one in run.plan.partitions} == {Store.CALL_ERROR}
    assert await retained.value("SELECT count(*) FROM call") == 1


@pytest.mark.parametrize("digest", ["", "sha256:" + 64 * "0", "nonsense"])
async def test_a_digest_of_nothing_is_refused(retained: RetainedLedger, digest: str) -> None:
    """Nothing is recorded for a digest that no part of what is due has."""
    await shorten(retained, timedelta(hours=1))
    with pytest.raises(PurgePlanError):
        await request_purge(retained.retention, digest, actor="key1")
    assert await Runs(retained.retention.owner).count() == 0


async def test_what_was_asked_for_and_is_no_longer_due_is_spared(retained: RetainedLedger) -> None:
    """A request that waits while the windows are lengthened destroys nothing."""
    await shorten(retained, timedelta(hours=1))
    await request_purge(retained.retention, (await plan_purge(retained.retention)).digest(), actor="key1")
    await retained.apply(LONG, NOW)
    (run,) = await retained.purge()
    assert (run.rows_dropped, run.keys_destroyed, len(run.spared)) == (0, 0, 3)
    assert await retained.value("SELECT count(*) FROM call") == 1


# Tiers -----------------------------------------------------------------------------------------------------------


def two_tiers() -> Policy:
    standard = LONG.tiers["standard"]
    return replace(LONG, tiers={"standard": standard, "gold": replace(standard, name="gold", number=2)})


async def test_a_move_waits_for_calls_that_may_be_here_already(retained: RetainedLedger) -> None:
    """A call may be reported a day before it starts; no move takes effect before such calls have started."""
    tiers = two_tiers()
    ahead = (datetime.now(UTC) + timedelta(hours=23, minutes=30)).replace(microsecond=0)
    row = failed("ahead", ahead, user="u1")
    assert [one.status for one in await retained.report(row, policy=tiers)] == [Status.ACCEPTED]
    retained.ingest.use_policy(tiers)
    move = await move_account(retained.retention, "acme", "gold", day=None, actor="cli")

    assert move.from_at - datetime.now(UTC) >= TIER_NOTICE - timedelta(minutes=1)
    assert [one.status for one in await retained.report(row, policy=tiers)] == [Status.DUPLICATE]
    assert (await retained.kinds()) == ["TIER_CHANGED"]
    for day in (move.from_at.date() - timedelta(days=1), NOW.date(), NOW.date() - timedelta(days=9)):
        with pytest.raises(TierError):
            await move_account(retained.retention, "acme", "gold", day=day, actor="cli")


async def test_across_a_move_a_retry_is_still_a_duplicate(retained: RetainedLedger) -> None:
    """Calls from before the move stay in their tier, later ones get the new one, each stored and counted once."""
    tiers = two_tiers()
    before, after = NOW - timedelta(days=3), NOW - timedelta(hours=2)
    midnight = datetime(after.year, after.month, after.day, tzinfo=UTC) - timedelta(days=1)
    await retained.report(failed("before", before, user="u1"), policy=tiers)
    # The midnight of the move has passed by now.
    await retained.ingest.database.owner.execute(
        "INSERT INTO account_tier (account_id, tier, from_at) SELECT id, 2, $1 FROM account WHERE name = 'acme'",
        midnight,
    )
    facts = {"account": 1, "from_tier": 1, "to_tier": 2, "from": midnight.isoformat()}
    await retained.ledger.append(LedgerKind.TIER_CHANGED, facts, actor="cli")
    await retained.retention.accounts.refresh()
    rows = [failed("before", before, user="u1"), failed("after", after, user="u1")]
    assert [one.status for one in await retained.report(*rows, policy=tiers)] == [Status.DUPLICATE, Status.ACCEPTED]
    assert [one.status for one in await retained.report(*rows, policy=tiers)] == [Status.DUPLICATE] * 2
    stored = await retained.ingest.fetch("SELECT source_id, tier FROM call ORDER BY started_at")
    assert [tuple(row) for row in stored] == [("before", 1), ("after", 2)]
    retained.ingest.use_policy(tiers)
    assert await retained.findings() == {}


async def test_two_moves_of_one_day_are_the_last_one(retained: RetainedLedger) -> None:
    """A planned move can be changed as long as its day is far enough away; others stay planned."""
    await retained.report(failed("a"))
    retained.ingest.use_policy(two_tiers())
    day = tier_may_move_from(NOW).date() + timedelta(days=30)
    later = day + timedelta(days=30)
    await move_account(retained.retention, "acme", "gold", day=day, actor="cli")
    await move_account(retained.retention, "acme", "gold", day=later, actor="cli")
    move = await move_account(retained.retention, "acme", "standard", day=day, actor="cli")
    assert (move.until.date(), move.new.name) == (later, "standard")
    assert await retained.column("SELECT tier FROM account_tier ORDER BY from_at") == [1, 1, 2]
    for account, tier in (("nobody", "gold"), ("acme", "platinum")):
        with pytest.raises(TierError):
            await move_account(retained.retention, account, tier, day=None, actor="cli")


def test_the_short_policy_is_the_default_one() -> None:
    """These tests speak of the windows that everybody starts with."""
    assert SHORT.tiers["standard"].store_days[Store.CALL_ERROR] == 30
