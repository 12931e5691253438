"""The rows that a purge says it dropped are the rows that were there, whether it read them or their sums."""

from dataclasses import replace
from datetime import timedelta

import pytest
from ingesting import call
from retaining import LONG, OLD, SHORT, YOUNG, Killed, RetainedLedger, failed, windows

from policies.policy.model import Store
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.purge_runs import Run

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = ANY ($1::text[]::regclass[])"


async def fill(retained: RetainedLedger) -> None:
    """Old calls of two accounts in two partitions, three of them failed, and young ones."""
    await retained.report(
        failed("a"),
        failed("b", OLD + timedelta(days=1), model="m2"),
        failed("c", account="other"),
        *(call(f"d{n}", started_at=OLD.isoformat(), account="other") for n in range(5)),
        *(call(f"e{n}", started_at=(OLD + timedelta(days=14)).isoformat(), account="acme") for n in range(3)),
        call("f", account="acme"),
    )


async def stored(retained: RetainedLedger) -> dict[str, int]:
    """How many rows each partition has, asked of it by its name: on Citus `tableoid` is that of a shard."""
    names = [row[0] for row in await retained.ingest.fetch(PARTITIONS, [store.value for store in Store])]
    return {name: await retained.value(f"SELECT count(*) FROM {name}") for name in names}


def calls(run: Run) -> int:
    return sum(part.rows_estimate for part in run.plan.partitions if part.store is Store.CALL)


def said(run: Run) -> dict[str, int]:
    return {part.name: part.rows_estimate for part in run.plan.partitions}


async def check(retained: RetainedLedger) -> Run:
    """Purge, and hold what it says of each partition against what was there."""
    before = await stored(retained)
    (run,) = await retained.purge()
    assert said(run) == {name: before.get(name, 0) for name in said(run)}
    assert run.rows_dropped == sum(said(run).values())
    return run


async def test_summed_days_give_the_number_of_rows(retained: RetainedLedger) -> None:
    """With days in the rollup and later calls still in deltas, the number is that of the rows."""
    await fill(retained)
    await retained.compact()
    await retained.report(*(call(f"g{n}", started_at=OLD.isoformat(), account="other") for n in range(4)))
    assert calls(await check(retained)) == 15


async def test_a_partition_whose_days_are_summed_is_not_read(retained: RetainedLedger) -> None:
    """The number comes from the sums: where fsck would call them wrong, the purge repeats them."""
    await fill(retained)
    await retained.compact()
    await retained.retention.owner.execute("UPDATE usage_day SET calls = 1000 WHERE account_id = 2 AND NOT failed")
    (run,) = await retained.purge()
    assert calls(run) == 1000 + 6


@pytest.mark.parametrize("loss", ["DELETE FROM usage_delta", "UPDATE usage_delta SET tier = 2"])
async def test_days_that_nobody_summed_are_counted(retained: RetainedLedger, loss: str) -> None:
    """Sums that say nothing are not taken for an empty partition."""
    await fill(retained)
    await retained.retention.partitions.ensure(SHORT, [(Store.USAGE_DAY, 1, OLD), (Store.USAGE_DAY, 2, OLD)])
    await retained.retention.owner.execute(loss)
    assert calls(await check(retained)) == 11


async def test_days_without_their_partition_are_counted(retained: RetainedLedger) -> None:
    """Deltas alone are no answer: a partition of the sums may have been there and gone."""
    await fill(retained)
    await retained.retention.owner.execute("UPDATE usage_delta SET calls = 1000")
    assert calls(await check(retained)) == 11


async def test_held_calls_of_an_erased_account_are_not_in_the_number(retained: RetainedLedger) -> None:
    """An erasure under a hold takes an account's sums, and its held calls to where the hold keeps them: a purge later
    counts what is left, and of what is held what lies with the hold already.
    """
    await fill(retained)
    await retained.compact()
    await retained.hold(account="other", model="gpt-4o")
    kind = ErasureKind.ACCOUNT
    await request_erasure(retained.retention, kind=kind, account="other", user=None, reason="letter", actor="cli")
    assert await retained.value("SELECT count(*) FROM usage_day WHERE account_id = 2") == 0
    assert await retained.value("SELECT count(*) FROM call_held") == 6

    run = await check(retained)
    assert (calls(run), run.rows_held_back) == (5, 6 + 1)  # and the error of one of them
    assert await retained.value("SELECT count(*) FROM call_held") == 6


async def test_sums_that_were_purged_and_came_back_are_not_believed(retained: RetainedLedger) -> None:
    """Days that an earlier purge took from the sums hold only what was reported since: their calls are counted."""
    await fill(retained)
    await retained.compact()
    tier = LONG.tiers["standard"]
    no_sums = replace(tier, store_days={**tier.store_days, Store.USAGE_DAY: 300})
    retained.ingest.use_policy(replace(LONG, tiers={"standard": no_sums}))
    (taken,) = await retained.purge()
    assert {part.store for part in taken.plan.partitions} == {Store.USAGE_DAY}
    await retained.report(call("late", started_at=OLD.isoformat(), account="other"))
    await retained.compact()
    assert (
        await retained.value("SELECT sum(calls) FROM usage_day WHERE bucket_at < $1", YOUNG - timedelta(days=300)) == 1
    )

    assert calls(await check(retained)) == 12


@pytest.mark.parametrize("number", range(1, 9))
async def test_killed_between_detaches_the_number_is_the_same(retained: RetainedLedger, number: int) -> None:
    """The next purge counts again, though partitions of the sums are detached by then."""
    await fill(retained)
    await retained.compact()
    before = await stored(retained)
    seen = 0

    def on_step(step: str) -> None:
        nonlocal seen
        seen += step == "partition detached"
        if seen == number:
            raise Killed

    retained.ingest.use_policy(windows(300))
    with pytest.raises(Killed):
        await retained.purge(on_step)
    (run,) = await retained.purge()
    assert len(said(run)) >= number
    assert said(run) == {name: before.get(name, 0) for name in said(run)}
