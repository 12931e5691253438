"""Derived sums lie in partitions beside those of their rollup: made, moved and dropped with them, and read as one."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import asyncpg
import pytest
from ingesting import call
from retaining import OLD, SHORT, YOUNG, Killed, RetainedLedger, kill_at, open_retained
from tortoise.context import TortoiseContext
from tortoise.migrations.api import migrate as tortoise_migrate
from usage_ledger import Ledger, Reported, default_policy, open_ledger

from policies.policy.model import Store
from service.query.buckets.time_buckets import TimeBucket
from service.query.model.predicate import EVERYTHING
from service.query.usage.report import read_costs
from service.query.usage.report_request import CostRequest
from service.retention.audit.report import report
from service.retention.rollups.compaction import Compaction
from service.retention.rollups.totals_check import check_derived_sums
from service.storage.partitioning.sums import DERIVED, DERIVED_TABLES, beside
from service.storage.schema.catalogue import catalogue_differences
from service.storage.schema.migrate import migrate
from service.storage.schema.tortoise import APP, tortoise_config

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
REQUESTS = [
    CostRequest(EVERYTHING, dimensions, bucket=TimeBucket.DAY, zone="Asia/Kolkata", row_figures=frozenset({"calls"}))
    for dimensions in (["MODEL"], ["API_KEY"])
]
BEFORE = f"{APP}.0044_cold_rewriting"


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(database_url, tmp_path) as retained:
        yield retained


def calls() -> list[Reported]:
    """Of several weeks, quarters, keys and models, and of two tiers."""
    return [
        Reported(
            TODAY - timedelta(days=days, minutes=-17 * number),
            account=account,
            model=f"model-{number % 3}",
            api_key=f"key-{number % 2}",
            amount=Decimal(1),
            currency="USD",
            amount_source=1,
            latency_ms=number,
        )
        for days in (1, 4, 9, 40, 130)
        for number in range(6)
        for account in ("acme", "other")
    ]


async def stored(ledger: Ledger) -> dict[str, list[tuple[object, ...]]]:
    """All rows of derived sums."""
    owner = ledger.database.owner
    return {
        table: sorted([tuple(row) for row in await owner.fetch(f"SELECT * FROM {table}")], key=repr)
        for table in DERIVED_TABLES
    }


async def parts(ledger: Ledger, table: str) -> list[tuple[int, datetime, datetime]]:
    """Tier, start and end of a table's partitions."""
    rows = await ledger.database.owner.fetch("SELECT * FROM calledger_partitions(ARRAY[$1::text])", table)
    return [(row["tier"], row["start_at"], row["end_at"]) for row in rows]


async def _by_hand(ledger: Ledger, store: str) -> None:
    """Make a partition that is named as we name none, long ago."""
    owner = ledger.database.owner
    await owner.execute(f'CREATE TABLE "{store} by hand" (LIKE {store} INCLUDING DEFAULTS)')
    await owner.execute(
        f'ALTER TABLE {store} ATTACH PARTITION "{store} by hand" FOR VALUES '
        "FROM (1, '2001-01-01 00:00+00') TO (1, '2001-02-01 00:00+00')"
    )


async def _migrate(url: str, target: str) -> None:
    async with TortoiseContext():
        await tortoise_migrate(config=tortoise_config(url, max_connections=1), app_labels=[APP], target=target)


async def test_an_upgrade_moves_the_sums_while_they_are_read(any_database_url: str) -> None:
    """Tables of before become partitioned ones with the same rows, and back; who reads meanwhile sees the same costs,
    and what is reported meanwhile is added.
    """
    standard = default_policy().tiers["standard"]
    async with open_ledger(any_database_url, default_policy(replace(standard, name="other", number=2))) as ledger:
        await ledger.join("other", (1, datetime(1970, 1, 1, tzinfo=UTC)), (2, TODAY - timedelta(days=20)))
        await ledger.report(calls())
        await ledger.compaction.compact_all()
        for store in DERIVED:
            await _by_hand(ledger, store.value)
        rows, reader = await stored(ledger), ledger.reader(await ledger.now())
        ends = asyncio.Event()

        async def read(request: CostRequest) -> set[int]:
            seen = set[int]()
            while not ends.is_set():
                report = await read_costs(reader, replace(request, first=1_000))
                seen.add(int(sum(row.figures.sums["calls"] for row in report.rows)))
            return seen

        async def change() -> None:
            try:
                await _migrate(any_database_url, BEFORE)
                assert [await parts(ledger, table) for table in DERIVED_TABLES] == [[]] * len(DERIVED_TABLES)
                assert await stored(ledger) == rows
                # One that was interrupted is begun anew.
                await ledger.database.owner.execute(
                    "CREATE TABLE usage_half_hour_new (LIKE usage_half_hour) PARTITION BY RANGE (tier, bucket_at)"
                )
                await migrate(any_database_url)
            finally:
                ends.set()

        _, *seen = await asyncio.gather(change(), *map(read, REQUESTS))

        assert seen == [{len(calls())}] * len(REQUESTS)
        assert await stored(ledger) == rows
        for store, tables in DERIVED.items():
            for table in tables:
                assert await parts(ledger, table) == await parts(ledger, store.value)
        await ledger.report(calls())
        await ledger.compaction.compact_all()
        assert [one async for one in check_derived_sums(ledger.database.owner, ledger.policy)] == []
        async with ledger.database.owner.acquire() as connection:
            assert await catalogue_differences(connection) == []


async def test_each_role_that_there_is_reads_them_at_once(database_url: str) -> None:
    """Where an operator has made one of the two roles, it has its rights with the table."""
    migration = import_module("migrations.0045_sum_partitions")
    table = "usage_half_hour"
    only = {table: migration.DERIVED[table]}
    connection = await asyncpg.connect(database_url)
    for gone, there in (("calledger_app_all", "calledger_app"), ("calledger_app", "calledger_app_all")):
        for step in (migration.back(only), migration.forward(only)):
            # Roles are the server's, and other tests need both.
            await connection.execute(re.sub(rf"\b{gone}\b", "nobody_has_made_it", step[0]))
        may = "SELECT has_table_privilege($1, $2, 'SELECT')"
        assert await connection.fetchval(may, there, table) and not await connection.fetchval(may, gone, table)
    await connection.close()


async def test_a_purge_drops_them_with_their_rollup(retained: RetainedLedger) -> None:
    """Wherever it is killed, and gone on with: no partition is left beside one that is gone, and the younger stay."""
    await retained.report(
        *(call(f"{moment}", account="acme", started_at=moment.isoformat()) for moment in (OLD, YOUNG))
    )
    compaction = Compaction(
        retained.retention.owner, ensure=lambda needs: retained.retention.partitions.ensure_anew(SHORT, needs)
    )
    await compaction.compact_all()
    catalogue = await retained.retention.partitions.catalogue([Store.USAGE_QUARTER])
    [old] = [part for part in catalogue.partitions if part.start <= OLD < part.end]
    names = [name for _, name in beside(old)]
    there = "SELECT count(*) FROM pg_class WHERE relname = ANY ($1) AND relkind = 'r'"
    assert await retained.value(there, names) == len(names)

    killed = 0
    for step in range(5, 60, 9):
        try:
            await retained.purge(kill_at(step))
        except Killed:
            killed += 1
            assert "partitions" not in await retained.findings()
    await retained.purge()

    assert killed
    assert await retained.value(there, [old.name, *names]) == 0
    tables = [table for table in DERIVED[Store.USAGE_QUARTER] if "tag" not in table]
    assert [await retained.value(f"SELECT sum(calls) FROM {table}") for table in tables] == [1] * len(tables)
    assert await retained.findings() == {}


async def test_what_an_older_service_leaves_is_mended(retained: RetainedLedger) -> None:
    """It makes partitions of rollups alone, and drops them alone: compaction makes the others, and a purge drops them;
    until then fsck says so.
    """
    await retained.report(call("young", account="acme", started_at=YOUNG.isoformat()))
    partitions, owner = retained.retention.partitions, retained.retention.owner
    compaction = Compaction(owner, ensure=lambda needs: partitions.ensure_anew(SHORT, needs))
    await partitions.ensure(SHORT, [(store, 1, moment) for store in DERIVED for moment in (OLD, YOUNG)])
    quarters = (await partitions.catalogue([Store.USAGE_QUARTER])).partitions
    [old], [young] = ([part for part in quarters if part.start <= moment < part.end] for moment in (OLD, YOUNG))
    for _, name in beside(young):
        await owner.execute(f"DROP TABLE {name}")
    await owner.execute(f"DROP TABLE {old.name}")

    assert await compaction.compact_all() == 1
    assert await retained.value("SELECT sum(calls) FROM usage_half_hour") == 1
    assert {name for _, name in beside(old)} == set(await partitions.left_behind())
    assert "in no purge's plan" in (await retained.findings())["partitions"]

    await retained.purge()
    assert await partitions.left_behind() == ()
    assert "partitions" not in await retained.findings()


async def test_a_rollup_that_is_attached_again_has_its_own(retained: RetainedLedger) -> None:
    """Partitions that were detached, of which somebody attaches that of the rollup alone, as fsck has it said: theirs
    are attached with the sums that they had, and others can be made.
    """
    await retained.report(call("young", account="acme", started_at=YOUNG.isoformat()))
    await retained.compact()
    partitions, owner = retained.retention.partitions, retained.retention.owner
    quarters = (await partitions.catalogue([Store.USAGE_QUARTER])).partitions
    [young] = [part for part in quarters if part.start <= YOUNG < part.end]
    await partitions.detach(young)
    detached = (await report(retained.retention)).detached
    assert {one.partition(" ")[0] for one in detached} == {young.name, *(name for _, name in beside(young))}
    assert await retained.value("SELECT sum(calls) FROM usage_half_hour") is None
    bounds = f"FROM (1, '{young.start.isoformat()}') TO (1, '{young.end.isoformat()}')"
    await owner.execute(f"ALTER TABLE usage_quarter ATTACH PARTITION {young.name} FOR VALUES {bounds}")

    await partitions.ensure_anew(SHORT, [(Store.USAGE_QUARTER, 1, moment) for moment in (OLD, YOUNG)])
    tables = [table for table in DERIVED[Store.USAGE_QUARTER] if "tag" not in table]
    assert [await retained.value(f"SELECT sum(calls) FROM {table}") for table in tables] == [1] * len(tables)
    assert "usage" not in await retained.findings()


async def test_a_rollup_that_was_made_by_hand_has_its_own(retained: RetainedLedger) -> None:
    """Whatever it is called: its sums are kept, and other partitions can be made."""
    await retained.report(call("old", account="acme", started_at=OLD.isoformat()))
    partitions, owner = retained.retention.partitions, retained.retention.owner
    bounds = f"FROM (1, '{(OLD - timedelta(days=1)).isoformat()}') TO (1, '{(OLD + timedelta(days=1)).isoformat()}')"
    await owner.execute('CREATE TABLE "By hand" (LIKE usage_quarter INCLUDING DEFAULTS)')
    await owner.execute(f'ALTER TABLE usage_quarter ATTACH PARTITION "By hand" FOR VALUES {bounds}')
    await partitions.ensure_anew(SHORT, [(Store.USAGE_QUARTER, 1, YOUNG)])
    await retained.compact()
    tables = [table for table in DERIVED[Store.USAGE_QUARTER] if "tag" not in table]
    assert [await retained.value(f"SELECT sum(calls) FROM {table}") for table in tables] == [1] * len(tables)
    assert await partitions.left_behind() == ()
