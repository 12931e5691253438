"""An auditor of a served ledger, and the entries that fill it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from evidence import Auditor
from http_server import Served, serve
from rows import open_seeded

from policies.policy.model import Role
from service.ledger import LedgerKind


@asynccontextmanager
async def serving(url: str, folder: Path, **settings: Any) -> AsyncIterator[Served]:
    async with open_seeded(url, folder) as seeded, serve(seeded, **settings) as served:
        yield served


async def auditor(served: Served, role: Role = Role.AUDITOR, *accounts: int) -> Auditor:
    return Auditor(served, await served.key(role, *accounts))


async def fill(served: Served, count: int) -> None:
    """Entries with notes, and two policies of which one is named."""
    for number in range(count):
        await served.runtime.ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli", note=f"reason {number}")
