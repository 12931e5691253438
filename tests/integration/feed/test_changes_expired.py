"""The change feed where rows went: restored, purged, erased, and of before there was one."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from conftest import Server
from dumping import pg
from feeding import Consumer, account_id, number
from ingesting import RECENT, Ingest, call, ingesting

import migrations
from policies.policy.model import Store
from policies.retention import Partition
from service.query.model.errors import CursorExpiredError
from service.query.reader import Reader
from service.retention.rollups.totals import FORGET_ACCOUNT, delete_sums


@pytest.fixture
async def ingest(any_database_url: str, tmp_path: Path) -> AsyncIterator[Ingest]:
    async with ingesting(any_database_url, tmp_path) as ingest:
        yield ingest


@pytest.mark.plain("restores a dump: a cluster is restored node by node, from their WAL")
async def test_a_cursor_of_before_a_restore_is_refused(database_url: str, embedded_18: Server, tmp_path: Path) -> None:
    """What is numbered after a restore has positions that were other changes before: a cursor of these is refused, one
    of what was kept goes on."""
    dump = tmp_path / "dump"
    async with ingesting(database_url, tmp_path) as ingest:
        kept, gone = await Consumer.of(ingest), await Consumer.of(ingest)
        await ingest.report(call("kept"))
        await number(ingest)
        await kept.read()
        await pg(embedded_18, "pg_dump", database_url, "-Fc", "-f", dump)
        await ingest.report(call("lost-1"), call("lost-2"))
        await number(ingest)
        await gone.read()
        with embedded_18.database() as restored_url:
            await pg(embedded_18, "pg_restore", restored_url, dump)
            await ingest.stack.aclose()
            (tmp_path / "other").mkdir()
            async with ingesting(restored_url, tmp_path / "other") as restored:
                secret_of = kept.reader.cursors  # the keyring is the same one in life
                for consumer in (kept, gone):
                    reader = await Reader.open(restored.database, restored.accounts, restored.keyring)
                    reader.cursors = secret_of
                    consumer.reader = reader
                with pytest.raises(CursorExpiredError):
                    await gone.read()  # its position is not reached yet
                await restored.report(*(call(f"new-{index}") for index in range(5)))
                await number(restored)
                with pytest.raises(CursorExpiredError):
                    await gone.read()  # its position is another change
                assert {source for _, source in await kept.read()} == {f"new-{index}" for index in range(5)}


async def test_what_is_purged_behind_a_cursor_is_said(ingest: Ingest) -> None:
    """The feed of calls goes with their partition; a cursor before it has expired, one behind it has not."""
    early, late = await Consumer.of(ingest), await Consumer.of(ingest)
    await ingest.report(call("one"))
    await number(ingest)
    await early.read()
    await ingest.report(call("two"))
    await number(ingest)
    await late.read()
    tier = await ingest.value("SELECT tier FROM call LIMIT 1")
    end = await ingest.value("SELECT clock_timestamp()")
    part = Partition(Store.CALL, "call_t1", tier, end - timedelta(days=7), end)
    async with ingest.database.owner.acquire() as connection:
        await delete_sums(connection, part)
    await ingest.report(call("three"))
    await number(ingest)

    with pytest.raises(CursorExpiredError):
        await early.read()
    assert await late.read() == [("CALL", "three")]
    assert await replace(early, after=None, received=[]).read() == [("CALL", "three")]


async def test_a_cursor_before_the_window_has_expired_before_anything_is_purged(ingest: Ingest) -> None:
    """What is past its window is not served any more: a cursor before it says so, a new reader begins behind it."""
    consumer = await Consumer.of(ingest)
    await ingest.report(call("one"))
    await number(ingest)
    await consumer.read()
    await ingest.report(call("two"))
    await number(ingest)
    await ingest.database.owner.execute("UPDATE call_change SET recorded_at = recorded_at - interval '500 days'")

    with pytest.raises(CursorExpiredError):
        await consumer.read()
    assert await replace(consumer, after=None).read() == []


async def test_calls_that_are_gone_are_counted_as_unreadable(ingest: Ingest) -> None:
    """A change whose call is past its window leaves a gap that is said."""
    await ingest.report(call("old"), call("new"))
    await number(ingest)
    await ingest.database.owner.execute("DELETE FROM call WHERE source_id = 'old'")
    consumer = await Consumer.of(ingest)

    assert await consumer.read() == [("CALL", "new")]
    assert consumer.pages[0].unreadable == 1


async def test_the_feed_of_an_erased_account_goes_with_it(ingest: Ingest) -> None:
    """Nothing of an erased account's calls is left in the feed, numbered or not; cursors of others stay good."""
    await ingest.report(call("theirs", account="gone"), call("mine", account="here"))
    await number(ingest)
    consumer = await Consumer.of(ingest)
    await consumer.read()
    await ingest.report(call("theirs-2", account="gone"), call("mine-2", account="here"))
    await ingest.database.owner.execute(FORGET_ACCOUNT, await account_id(ingest, "gone"))
    await number(ingest)

    assert await consumer.read() == [("CALL", "mine-2")]
    assert await ingest.value("SELECT count(*) FROM call_change") == 2


async def test_calls_of_before_the_feed_have_their_places(ingest: Ingest) -> None:
    """The migration gives calls that are there already their places, in the order of their days."""
    (name,) = [module.name for module in iter_modules(migrations.__path__) if module.name.endswith("_change_feed")]
    migration = import_module(f"migrations.{name}")
    for day in range(3):
        await ingest.report(call(f"day{day}", started_at=(RECENT - timedelta(days=day)).isoformat()))
    await ingest.database.owner.execute("DELETE FROM call_change_new")
    await ingest.database.owner.execute("UPDATE call SET recorded_at = NULL")
    await ingest.database.owner.execute(migration.EARLIER_CALLS)
    await number(ingest)
    consumer = await Consumer.of(ingest)

    assert [source for _, source in await consumer.read()] == ["day2", "day1", "day0"]
