"""What a key may still spend is one level in the database, and each process knows it nearly."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from service.api.execution import limits
from service.api.execution.limits import UNSETTLED_SHARE, Bucket, Buckets
from service.storage.connection import Queryable
from service.storage.database import Database
from service.storage.shared.key_spending import forget_spending, settle

CAPACITY = 6_400
SHARE = CAPACITY // UNSETTLED_SHARE


@pytest.fixture
async def database(any_database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(any_database_url)
    yield database
    await database.close()


def processes(database: Database, number: int) -> list[Bucket]:
    """One key's bucket in so many processes."""
    return [Buckets(CAPACITY, database).of("key") for _ in range(number)]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the database takes off a level each time that it is told or asked: the level itself rises by the second."""
    told: list[float] = []

    async def noted(source: Queryable, key_id: str, spent: float, asked: float, capacity: float) -> tuple[float, bool]:
        level, granted = await settle(source, key_id, spent, asked, capacity)
        told.append(spent + asked * granted)
        return level, granted

    monkeypatch.setattr(limits, "settle", noted)
    return told


async def test_processes_take_from_one_level(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one has spent another has not, at once where it is much; what is given back comes back."""
    one, other = processes(database, 2)
    monkeypatch.setattr(limits, "ASK_AGAIN_S", 3_600.0)
    assert await one.take(CAPACITY - 1_000)
    assert not await other.take(5_000)
    assert 1_000 <= other.available < 5_000, "what is left, and what was restored since"
    one.give_back(5_000)
    await one.settled()
    assert not await other.take(5_000), "a refusal is remembered for a moment"
    other._refused_until = 0.0  # the moment is over
    assert await other.take(5_000)
    other.spend(50_000)
    await other.settled()
    await one.settled()
    assert one.overspent
    assert 30 < one.seconds_until(1) < 61, "a debt is at most what a minute restores"


async def test_no_number_of_processes_multiplies_a_budget(database: Database) -> None:
    """Whatever mixture of prices eight processes take at the same time, they take the budget and a 64th each."""
    buckets = processes(database, 8)

    async def spend(bucket: Bucket, cost: int) -> int:
        """All that one process can take."""
        taken = 0
        while await bucket.take(cost):
            taken += cost
        return taken

    began = time.monotonic()
    async with asyncio.timeout(60):
        taken = sum(await asyncio.gather(*(spend(bucket, 7 + 40 * n) for n, bucket in enumerate(buckets))))
    restored = CAPACITY * (time.monotonic() - began) / 60
    assert CAPACITY * 0.9 < taken < CAPACITY + restored + 8 * SHARE


async def test_small_costs_are_settled_behind(database: Database, told: list[float]) -> None:
    """A process tells of what it has spent when that is a 64th, or a second has passed: not with each operation."""
    buckets = Buckets(CAPACITY, database)
    bucket = buckets.of("key")
    assert await bucket.take(1)
    for _ in range(SHARE):
        assert await bucket.take(1)
    assert told == [1], "the first is asked for"
    assert await bucket.take(1)
    assert told == [1, SHARE + 1]
    bucket.spend(500)
    task = asyncio.create_task(buckets.settle_for_ever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told[2:] == [500], "a process that ends tells what it has spent"


async def test_a_debt_is_forgiven_to_nobody(database: Database) -> None:
    """An operation that is dearer than twice the budget is granted at a full level, and paid back to the last minute,
    whatever is spent and settled meanwhile, by whichever process, and however long that takes.
    """
    one, other = processes(database, 2)
    assert await one.take(100 * CAPACITY)
    minutes = pytest.approx(99 * 60, abs=30)
    for bucket in (one, other, one):
        bucket.spend(1)
        assert bucket is other or bucket.seconds_until(0) == minutes
        await bucket.settled()
        assert bucket.seconds_until(0) == minutes
        assert not await bucket.take(1)
    await database.owner.execute("UPDATE key_spending SET settled_at = settled_at - interval '90 minutes'")
    await forget_spending(database.owner)
    await other.settled()
    assert other.seconds_until(0) == pytest.approx(9 * 60, abs=30)


async def test_what_was_spent_is_told_of_a_key_that_was_forgotten(
    database: Database, monkeypatch: pytest.MonkeyPatch, told: list[float]
) -> None:
    """Keys that come and go push a bucket out of memory, and not what it owes; nor does what fails in between."""
    monkeypatch.setattr(limits, "_KEYS_MAX", 2)
    buckets = Buckets(CAPACITY, database)
    bucket = buckets.of("key")
    assert await bucket.take(0)
    for number in range(3):
        assert await bucket.take(SHARE // 4)
        buckets.of(f"other {number}")
    assert buckets.of("key") is not bucket
    bucket.spend(500)  # by an operation that began before
    task = asyncio.create_task(buckets.settle_for_ever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sum(told) == 3 * (SHARE // 4) + 500
    assert not buckets._owing, "what is settled is let go"


async def test_what_is_full_is_forgotten(database: Database) -> None:
    """A level that nobody has changed for an hour is full, and needs no row."""
    await settle(database.spending, "idle", 10, 0, CAPACITY)
    await settle(database.spending, "busy", 10, 0, CAPACITY)
    await database.owner.execute(
        "UPDATE key_spending SET settled_at = settled_at - interval '2 hours' WHERE key_id = 'idle'"
    )
    assert (await settle(database.spending, "idle", 100, 0, CAPACITY))[0] == CAPACITY - 100
    await database.owner.execute(
        "UPDATE key_spending SET settled_at = now() - interval '2 hours' WHERE key_id = 'idle'"
    )
    await forget_spending(database.owner)
    assert await database.owner.fetchval("SELECT array_agg(key_id) FROM key_spending") == ["busy"]
