"""What fsck finds: nothing in a sound ledger, and each kind of damage by the check that is for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from rows import call_uuid

from policies.admission.segments import ErrorDetails, pack_segments
from policies.policy.document import load_preset
from policies.policy.model import Store
from policies.retention import PurgePlan
from service.ingest.preparation.batch_context import Sealer
from service.keyring import Keyring, PeriodKeyName, create_kek_file, open_keyring
from service.ledger import Ledger
from service.retention.audit.fsck import Finding, check_ledger
from service.retention.clock_guard import Clock, machine_clock
from service.retention.context import RetentionContext
from service.retention.purge.runner import run_purge
from service.retention.purge_runs import Runs
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.partitions import Partitions

NOW = datetime.now(UTC).replace(microsecond=0)
POLICY = load_preset("default")
CHECKS = [
    *("clocks", "deadlines", "partitions", "purges", "rows", "keys", "holds", "erasures", "record"),
    *("api keys", "hold record", "erasure record", "purge record", "policies", "tiers", "accounts"),
    *("exports", "installation", "field removals", "webhooks", "budgets", "sources"),
    *(
        "attestations",
        "row security",
        "catalogue",
        "history",
        "columns",
        "notes",
        "mirror",
        "keyring",
        "sealed",
        "errors",
        "usage",
    ),
    *("feed", "cold tier"),
    *("ids", "held copies", "bills", "not compared"),
]
DATABASE_ID = UUID("b7a9c2de-0000-4000-8000-000000000002")
CALL = """
    INSERT INTO call (started_at, error_at, id, digest, account_id, tier, source, failed, source_id, model)
    VALUES (
        $1, $2, $3, 1, 1, $4, 1, $2::timestamptz IS NOT NULL,
        CASE WHEN $2::timestamptz IS NULL THEN 'done' ELSE 'failed' END, 'm'
    )
"""
ERROR = """
    INSERT INTO call_error
        (occurred_at, started_at, id, fingerprint, account_id, tier, model, error_type, rules, rule_counts, sealed)
    VALUES ($2, $1, $3, 1, 1, $4, 'm', 'E', '{}', '{}', $5)
"""
DELTA = """
    INSERT INTO usage_delta (
        bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, latency_buckets
    ) VALUES (date_bin('15 minutes', $1, '1970-01-01Z'), 1, $2, $3, 'm', '', '', '', 1, 0, 0, 0, 0, 0, 0, 0, 0, '{}')
"""


@dataclass
class FilledLedger:
    """A ledger of one account in tier 1."""

    database: Database
    partitions: Partitions
    keyring: Keyring
    clock: Clock = machine_clock

    @property
    def retention(self) -> RetentionContext:
        accounts, ledger = Accounts(1), Ledger(self.database, self.keyring, DATABASE_ID)
        return RetentionContext(
            self.database, self.partitions, self.keyring, accounts, lambda: POLICY, ledger, clock=self.clock
        )

    async def sql(self, statement: str, *values: object) -> None:
        await self.database.owner.execute(statement, *values)

    async def record(self, moment: datetime, *, error: bool = True, tier: int = 1) -> UUID:
        """Store a call with its delta and, if it failed, its sealed error and key."""
        call = call_uuid(1, "native", "failed" if error else "done", moment)
        error_at = moment + timedelta(seconds=1) if error else None
        await self.partitions.ensure(POLICY, [(store, tier, moment) for store in (Store.CALL, Store.CALL_ERROR)])
        await self.sql(CALL, moment, error_at, call, tier)
        await self.sql(DELTA, moment, tier, error)
        await self.sql(
            "INSERT INTO call_change_new (account_id, tier, kind, ids) VALUES (1, $1, 0, $2)", tier, call.bytes
        )
        if error_at is not None:
            await self.partitions.ensure(POLICY, [(Store.CALL_ERROR, tier, error_at)])
            where = {"account_id": 1, "tier": tier, "record": call, "moment": error_at}
            sealed = await Sealer(self.keyring).seal(pack_segments(ErrorDetails(None, ())), **where)
            await self.sql(ERROR, moment, error_at, call, tier, sealed)
        return call

    async def failed(self) -> dict[str, str]:
        """The checks that fail, with what they say."""
        findings: list[Finding] = [finding async for finding in check_ledger(self.retention)]
        assert [finding.check for finding in findings] == CHECKS
        return {finding.check: finding.detail for finding in findings if not finding.ok}


@asynccontextmanager
async def open_ledger(url: str, folder: Path) -> AsyncIterator[FilledLedger]:
    create_kek_file(folder / "kek")
    keyring = await open_keyring(f"file:{folder / 'keyring'}", f"file:{folder / 'kek'}", create=True)
    await keyring.bind(DATABASE_ID)
    database = await Database.open(url)
    try:
        ledger = FilledLedger(database, Partitions(database.owner, attempts=1), keyring)
        await ledger.sql("INSERT INTO account (id, name, created_at) VALUES (1, 'acme', now())")
        await ledger.sql("INSERT INTO account_tier (account_id, tier, from_at) VALUES (1, 1, 'epoch')")
        for days in (0, 3, 29):
            await ledger.record(NOW - timedelta(days=days))
            await ledger.record(NOW - timedelta(days=days), error=False)
        yield ledger
    finally:
        await database.close()
        await keyring.close()


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[FilledLedger]:
    async with open_ledger(database_url, tmp_path) as ledger:
        yield ledger


async def test_a_sound_ledger_passes(any_database_url: str, tmp_path: Path) -> None:
    """Calls within their windows, with their errors, keys and sums, before and after a purge of nothing."""
    async with open_ledger(any_database_url, tmp_path) as ledger:
        assert await ledger.failed() == {}
        assert await run_purge(ledger.retention) == []
        assert await ledger.failed() == {}


async def test_a_purged_ledger_passes(ledger: FilledLedger) -> None:
    """What a purge leaves is sound: calls outlive their errors, and nothing misses what was destroyed."""
    await ledger.record(NOW - timedelta(days=40))
    await ledger.record(NOW - timedelta(days=500), error=False)
    await ledger.sql("DELETE FROM usage_delta WHERE bucket_at < $1", NOW - timedelta(days=450))
    assert "deadlines" in await ledger.failed()
    (run,) = await run_purge(ledger.retention)
    assert run.rows_dropped == 2
    assert await ledger.failed() == {}


async def test_what_is_due_is_not_overdue_for_a_day(ledger: FilledLedger) -> None:
    """An error partition whose window ended last midnight waits for its purge, and is within its promise."""
    await ledger.record(datetime(NOW.year, NOW.month, NOW.day, 12, tzinfo=UTC) - timedelta(days=31))
    assert await ledger.failed() == {}


async def foreign_partition(ledger: FilledLedger) -> None:
    await ledger.sql("CREATE TABLE odd PARTITION OF call FOR VALUES FROM (7, '2026-01-01') TO (9, '2026-02-01')")


async def unknown_tier(ledger: FilledLedger) -> None:
    await ledger.partitions.ensure(POLICY, [(Store.CALL, 42, NOW)])


async def forgotten_table(ledger: FilledLedger) -> None:
    await ledger.sql("CREATE TABLE call_t1_20200106 (LIKE call)")


async def row_in_another_tier(ledger: FilledLedger) -> None:
    await ledger.sql("UPDATE account_tier SET tier = 2")
    await ledger.sql("UPDATE usage_delta SET tier = 2")


async def row_of_nobody(ledger: FilledLedger) -> None:
    await ledger.partitions.ensure(POLICY, [(Store.USAGE_DAY, 1, NOW)])
    await ledger.sql("DELETE FROM account_tier")


async def lost_key(ledger: FilledLedger) -> None:
    await ledger.partitions.ensure(POLICY, [(Store.CALL_ERROR, 1, NOW - timedelta(days=9))])
    await ledger.sql(ERROR, NOW - timedelta(days=9), NOW - timedelta(days=9), uuid4(), 1, b"sealed")


async def lost_error(ledger: FilledLedger) -> None:
    await ledger.sql("DELETE FROM call_error WHERE occurred_at < $1", NOW - timedelta(days=2))


async def stuck_purge(ledger: FilledLedger) -> None:
    records = Runs(ledger.database.owner)
    run = await records.begin(PurgePlan(), now=NOW - timedelta(days=2), requested_by="cli")
    await records.note_delay(run, "a reader never ends")


async def uncounted_call(ledger: FilledLedger) -> None:
    await ledger.sql(CALL, NOW, None, uuid4(), 1)


async def counted_twice(ledger: FilledLedger) -> None:
    await ledger.sql("INSERT INTO usage_delta SELECT * FROM usage_delta LIMIT 1")


@pytest.mark.parametrize(
    ("damage", "check", "says"),
    [
        (foreign_partition, "partitions", "odd"),
        (unknown_tier, "partitions", "call_t42_"),
        (forgotten_table, "partitions", "call_t1_20200106"),
        (row_in_another_tier, "rows", "6 of call"),
        (row_of_nobody, "rows", "6 of call"),
        (lost_key, "keys", f"period/1/personal/{NOW - timedelta(days=9):%Y-%m-%d}"),
        (lost_error, "errors", "2 calls"),
        (stuck_purge, "purges", "a reader never ends"),
        (uncounted_call, "usage", f"{NOW:%Y-%m-%d}"),
        (counted_twice, "usage", "calls 2 instead of 1"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_damage_is_found(
    ledger: FilledLedger, damage: Callable[[FilledLedger], Awaitable[None]], check: str, says: str
) -> None:
    """Each kind of damage fails its check, which says what and where."""
    await damage(ledger)
    failed = await ledger.failed()
    assert says in failed[check]


async def test_keys_that_were_destroyed_on_record_are_not_lost(ledger: FilledLedger) -> None:
    """A row may outlive its key, when the key was destroyed on purpose."""
    await ledger.keyring.destroy([PeriodKeyName(1, "personal", f"{NOW - timedelta(days=29):%Y-%m-%d}")])
    assert await ledger.failed() == {}


async def test_a_clock_that_is_off_is_a_finding(ledger: FilledLedger) -> None:
    """fsck goes on with a wrong clock, and says so first."""
    ledger.clock = lambda: NOW + timedelta(days=2)
    findings = [finding async for finding in check_ledger(ledger.retention)]
    assert [finding.check for finding in findings if not finding.ok] == ["clocks"]


async def test_the_tables_of_a_purge_under_way_are_not_forgotten_ones(ledger: FilledLedger) -> None:
    """What an unfinished purge has detached is in its plan: not forgotten, and overdue until it is dropped."""
    await ledger.record(NOW - timedelta(days=500), error=False)
    await ledger.sql("DELETE FROM usage_delta WHERE bucket_at < $1", NOW - timedelta(days=450))

    class Killed(BaseException):
        pass

    def kill(step: str) -> None:
        if step == "recorded DETACHED":
            raise Killed

    with pytest.raises(Killed):
        await run_purge(ledger.retention, on_step=kill)
    assert len(await ledger.partitions.detached()) == 2
    assert (await ledger.failed()).keys() == {"deadlines"}
    assert (await Runs(ledger.database.owner).newest()).state == "DETACHED"
