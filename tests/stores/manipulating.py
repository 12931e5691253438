"""A ledger that somebody is about to manipulate, and what fsck and the statement say of it."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from ingesting import call
from retaining import NOW, OLD, SHORT, RetainedLedger, failed, open_retained

from policies import Role, digest
from policies.evidence import LedgerKind
from policies.policy.model import DataClass
from service.access.keys import mac_digest, new_key
from service.ledger import Checkpoints, LedgerPublisher
from service.retention.account_names import record_accounts
from service.retention.audit.attestation.making import attest
from service.retention.audit.fsck import check_ledger
from service.retention.audit.start_check import differences_at_start
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.holds.holds import lift_hold
from service.storage.control.policies import AppliedPolicy, store_policy


@dataclass
class Case:
    """A sound ledger with something of everything."""

    retained: RetainedLedger
    folder: Path
    live: str = ""
    revoked: str = ""
    hold: str = ""
    lifted: str = ""

    async def start(self) -> None:
        """Open the mirror and sign, as a start of the service does."""
        publisher = await LedgerPublisher.start(self.retained.ledger, self.folder / "data")
        await publisher.checkpoints.sign()
        await publisher.settle()

    async def sql(self, statement: str, *values: object) -> None:
        await self.retained.retention.owner.execute(statement, *values)

    async def without_triggers(self, statement: str) -> None:
        """As somebody does it who knows that the ledger refuses changes, and puts the refusal back."""
        for table in ("ledger_entry", "ledger_checkpoint"):
            await self.sql(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        await self.sql(statement)
        for table in ("ledger_entry", "ledger_checkpoint"):
            await self.sql(f"ALTER TABLE {table} ENABLE TRIGGER append_only")

    async def fsck(self) -> dict[str, str]:
        return {one.check: one.detail async for one in check_ledger(self.retained.retention) if not one.ok}

    async def attested(self) -> dict[str, str]:
        """The requirements that the statement says are not met."""
        await Checkpoints(self.retained.ledger).sign()
        applied = AppliedPolicy(SHORT, 1, digest(SHORT), datetime.now(UTC), "cli")
        made = await attest(self.retained.retention, self.retained.ledger, applied, days=92)
        return {one["title"]: one["finding"] for one in made.statement["checks"] if not one["holds"]}


KEY = "INSERT INTO api_key (prefix, role, accounts, mac, created_at) VALUES ($1, $2, NULL, $3, clock_timestamp())"


async def new_api_key(retained: RetainedLedger, role: Role) -> str:
    key = new_key(b"pepper")
    await retained.retention.owner.execute(KEY, key.prefix, role.value, key.mac)
    facts = {"key": key.prefix, "role": role.value, "accounts": None, "expires_at": None, "mac": mac_digest(key.mac)}
    await retained.ledger.append(LedgerKind.API_KEY_CREATED, facts, actor="cli")
    return key.prefix


@dataclass(frozen=True)
class MadeCase:
    """A sound ledger that each test has a copy of: its folder and id, and the names of its keys and holds in `Case`."""

    folder: Path
    id: UUID
    names: Mapping[str, str]


async def made(url: str, folder: Path) -> MadeCase:
    """Make the ledger that is copied, in a new database."""
    async with sound_case(url, folder) as case:
        names = {name: getattr(case, name) for name in ("live", "revoked", "hold", "lifted")}
        return MadeCase(folder, case.retained.ledger.database_id, names)


@asynccontextmanager
async def copied(original: MadeCase, url: str, folder: Path) -> AsyncIterator[Case]:
    """A copy of the ledger, on a copy of its database."""
    shutil.copytree(original.folder, folder, dirs_exist_ok=True)
    async with open_retained(url, folder, id_=original.id) as retained:
        case = Case(retained, folder, **original.names)
        await case.start()
        yield case


@asynccontextmanager
async def sound_case(url: str, folder: Path) -> AsyncIterator[Case]:
    """Calls of two ages, an error, two holds, an erasure, a purge, a policy, keys, and a move to another tier."""
    async with open_retained(url, folder) as retained:
        case = Case(retained, folder)
        await retained.ledger.append(LedgerKind.STARTED, {"policy": digest(SHORT)}, actor="system")
        await store_policy(
            retained.retention.owner, SHORT, applied_by="cli", approved_by="admin", ledger=retained.ledger
        )
        await retained.report(call("old", started_at=OLD.isoformat(), account="acme"))
        await retained.report(
            failed("held", NOW - timedelta(days=2), user="u1"),
            failed("young", NOW - timedelta(days=1)),
            failed("other", NOW - timedelta(days=2), user="u2"),
        )
        case.live = await new_api_key(retained, Role.AUDITOR)
        case.revoked = await new_api_key(retained, Role.VIEWER)
        await case.sql("UPDATE api_key SET revoked_at = now() WHERE prefix = $1", case.revoked)
        await retained.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": case.revoked}, actor="cli")
        case.hold = str((await retained.hold(DataClass.OPERATIONAL, model="m")).id)
        lifted = await retained.hold(account="acme")
        await lift_hold(retained.retention, lifted.id, reason="over", actor="cli")
        case.lifted = str(lifted.id)
        wanted = {"account": "acme", "user": "u1", "reason": "asked", "actor": "cli"}
        await request_erasure(retained.retention, kind=ErasureKind.USER, **wanted)
        await retained.purge()
        await retained.purge()  # and one that finds nothing due
        await retained.retention.accounts.ensure(["globex"])
        await record_accounts(retained.retention)
        await case.start()
        yield case


async def assert_named_everywhere(case: Case, check: str, says: str) -> None:
    """What was done is named by fsck, at start and by attest."""
    found, at_start, attested = (
        await case.fsck(),
        await differences_at_start(case.retained.retention),
        await case.attested(),
    )

    assert says in found[check]
    assert any(says in one for one in at_start), at_start
    assert says in attested[f"fsck, {check}"]


async def revive_key(case: Case) -> None:
    await case.sql("UPDATE api_key SET revoked_at = NULL WHERE prefix = $1", case.revoked)


async def delete_hold(case: Case) -> None:
    await case.sql("DELETE FROM hold WHERE id::text = $1", case.hold)
    await case.sql("DELETE FROM call_held WHERE hold_id::text = $1", case.hold)


async def lift_behind(case: Case) -> None:
    await case.sql("UPDATE hold SET lifted_at = now(), lifted_by = 'cli' WHERE id::text = $1", case.hold)


async def shorten_hold(case: Case) -> None:
    await case.sql("UPDATE hold SET expires_at = now() WHERE id::text = $1", case.hold)


async def narrow_hold(case: Case) -> None:
    await case.sql("UPDATE hold SET model = 'another' WHERE id::text = $1", case.hold)


async def restrict_an_erasure(case: Case) -> None:
    """As the ledger has it: an erasure of `u2`, which a hold blocks."""
    await case.retained.hold()
    wanted = {"account": "acme", "user": "u2", "reason": "asked", "actor": "cli"}
    await request_erasure(case.retained.retention, kind=ErasureKind.USER, **wanted)
    assert await case.fsck() == {}
