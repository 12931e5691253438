"""A ledger that somebody is about to manipulate, and what fsck and the statement say of it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from steward import SHORT, Steward

from policies import digest
from service.ledger import Checkpoints, LedgerPublisher
from service.retention.audit.attestation import attest
from service.retention.audit.fsck import check_ledger
from service.storage.control.policies import AppliedPolicy


@dataclass
class Case:
    """A sound ledger with something of everything."""

    steward: Steward
    folder: Path
    live: str = ""
    revoked: str = ""
    hold: str = ""
    lifted: str = ""

    async def start(self) -> None:
        """Open the mirror and sign, as a start of the service does."""
        publisher = await LedgerPublisher.start(self.steward.ledger, self.folder / "data")
        await publisher.checkpoints.sign()
        await publisher.settle()

    async def sql(self, statement: str, *values: object) -> None:
        await self.steward.retention.owner.execute(statement, *values)

    async def without_triggers(self, statement: str) -> None:
        """As somebody does it who knows that the ledger refuses changes, and puts the refusal back."""
        for table in ("ledger_entry", "ledger_checkpoint"):
            await self.sql(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await self.sql(statement)
        for table in ("ledger_entry", "ledger_checkpoint"):
            await self.sql(f"ALTER TABLE {table} ENABLE TRIGGER append_only")

    async def fsck(self) -> dict[str, str]:
        return {one.check: one.detail async for one in check_ledger(self.steward.retention) if not one.ok}

    async def attested(self) -> dict[str, str]:
        """The requirements that the statement says are not met."""
        await Checkpoints(self.steward.ledger).sign()
        applied = AppliedPolicy(SHORT, 1, digest(SHORT), datetime.now(UTC), "cli")
        said = await attest(self.steward.retention, self.steward.ledger, applied, days=92, actor="cli")
        return {one["title"]: one["finding"] for one in said["statement"]["checks"] if not one["holds"]}
