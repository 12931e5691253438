"""A ledger of plain rows in two tables, and a purge of it: in this process, or in a child that can be killed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from policies.policy.document import load_preset
from policies.policy.model import Policy, Store
from service.keyring import Keyring, PeriodKeyName, create_kek_file, open_keyring
from service.ledger import Ledger
from service.retention import purge_runs as runs
from service.retention.clock_guard import Clock, machine_clock
from service.retention.context import RetentionContext
from service.retention.purge.runner import run_purge
from service.retention.purge_runs import Run, Runs
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.partitions import Partitions

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
    *["held rows copied", *["index dropped"] * 5, "partition dropped"] * 2,
    *["held rows copied", "index dropped", "partition dropped"],
    "recorded DROPPED",
    "verified",
    "recorded VERIFIED",
    "recorded DONE",
]


def longer(policy: Policy) -> Policy:
    tier = policy.tiers["standard"]
    return replace(
        policy,
        tiers={"standard": replace(tier, store_days=dict.fromkeys(Store, 4000), readable_days={"personal": 4000})},
    )
