"""A ledger under retention: the real writer, a real keyring and the real ledger, with calls of any age in it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from ingesting import Ingest, call, ingesting

from policies import canonical, digest, load_preset
from policies.policy.model import DataClass, Policy, Store
from service.ingest.results import RowResult
from service.ledger import Ledger
from service.retention.audit.fsck import check_ledger
from service.retention.context import RetentionContext
from service.retention.holds.holds import HOLDABLE, HoldScope, StoredHold, place_hold
from service.retention.purge.runner import OnStep, ignore_step, run_purge
from service.retention.purge_runs import Run

SHORT = load_preset("default")
NOW = datetime.now(UTC).replace(microsecond=0)
OLD = NOW - timedelta(days=500)
YOUNG = NOW - timedelta(hours=2)
APPLY = """
    INSERT INTO policy_version (name, digest, document, applied_at, applied_by) VALUES ($1, $2, $3, $4, 'cli')
"""


def windows(days: int, *, errors: int | None = None, personal: int | None = None) -> Policy:
    """The default policy with other windows."""
    tier = SHORT.tiers["standard"]
    stores = dict.fromkeys(Store, days) | {Store.CALL_ERROR: errors or days}
    return replace(
        SHORT,
        tiers={"standard": replace(tier, store_days=stores, readable_days={DataClass.PERSONAL: personal or days})},
    )


LONG = windows(4000)


def failed(id_: str, moment: datetime = OLD, **facts: Any) -> dict[str, Any]:
    """A failed call whose error tells who it is about."""
    error = {"type": "E", "message": f"user of {id_} has no quota", "occurred_at": moment.isoformat()}
    return call(id_, started_at=moment.isoformat(), status="failed", error=error, **{"account": "acme", **facts})


@dataclass
class RetainedLedger:
    """A ledger under retention: reports come in, holds are placed, purges run, and fsck looks it over."""

    ingest: Ingest
    retention: RetentionContext
    ledger: Ledger

    async def report(self, *rows: dict[str, Any], policy: Policy = LONG) -> list[RowResult]:
        """Report under `policy`, into partitions of the default one, which is in force again afterwards."""
        moments = [datetime.fromisoformat(row["started_at"]) for row in rows]
        needs = [(store, 1, moment) for moment in moments for store in (Store.CALL, Store.CALL_ERROR)]
        await self.retention.partitions.ensure(SHORT, needs)
        self.ingest.use_policy(policy)
        try:
            return await self.ingest.report(*rows)
        finally:
            self.ingest.use_policy(SHORT)

    async def purge(self, on_step: OnStep = ignore_step, **options: Any) -> list[Run]:
        return await run_purge(self.retention, on_step=on_step, **options)

    async def apply(self, policy: Policy, at: datetime) -> None:
        """Put a policy in force, as of a moment."""
        document = canonical(policy).decode()
        await self.ingest.database.owner.execute(APPLY, policy.name, digest(policy), document, at)
        self.ingest.use_policy(policy)

    async def compact(self) -> None:
        """Sum up all that waits for it."""
        await self.ingest.compaction().compact_all()

    async def hold(self, *classes: DataClass, expires_at: datetime | None = None, **scope: Any) -> StoredHold:
        return await place_hold(
            self.retention,
            name="case 17",
            owner="counsel",
            reason="suit",
            scope=HoldScope(**{"account": "acme", **scope}),
            classes=classes or HOLDABLE,
            expires_at=expires_at,
            actor="cli",
        )

    async def value(self, statement: str, *values: Any) -> Any:
        return await self.ingest.value(statement, *values)

    async def column(self, statement: str, *values: Any) -> list[Any]:
        return [row[0] for row in await self.ingest.fetch(statement, *values)]

    async def kinds(self) -> list[str]:
        """Kinds of the ledger's entries, in order."""
        return await self.column("SELECT kind FROM ledger_entry ORDER BY index")

    async def findings(self) -> dict[str, str]:
        """What fsck finds wrong."""
        return {one.check: one.detail async for one in check_ledger(self.retention) if not one.ok}


@asynccontextmanager
async def open_retained(
    url: str, folder: Path, *, delay: timedelta = timedelta(0), id_: UUID | None = None
) -> AsyncIterator[RetainedLedger]:
    """`id_`: of a ledger that is there."""
    async with ingesting(url, folder, id_=id_) as ingest:
        ingest.use_policy(SHORT)
        retention = RetentionContext(
            ingest.database,
            ingest.partitions,
            ingest.keyring,
            ingest.accounts,
            lambda: ingest.applied.policy,
            ledger=ingest.ledger,
            purge_delay=delay,
            keyring_backup_days=7,
        )
        yield RetainedLedger(ingest, retention, ingest.ledger)


class Killed(BaseException):
    """The process ends here."""


def kill_at(number: int) -> Callable[[str], None]:
    """An `OnStep` that ends the purge at its n-th step."""
    left = number

    def on_step(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    return on_step
