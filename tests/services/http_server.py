"""The HTTP application's GraphQL part on a free port of the loopback, over a test's own ledger."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web
from ledgers import recorded_key
from rows import SeededLedger

from policies.policy.model import Role
from service import api, export
from service.access.authenticate import Authenticator
from service.access.issuing import ApiKeys
from service.ledger import KeyRegister, Ledger, LedgerPublisher
from service.runtime.runtime import Runtime
from service.server.application import Runner
from service.server.middleware import Middleware
from service.settings import Settings
from service.storage.control.policies import store_policy


@dataclass(slots=True)
class Served:
    """A server that listens, and a client's session."""

    url: str
    session: aiohttp.ClientSession
    pepper: bytes
    runtime: Runtime

    async def key(self, role: Role = Role.ADMIN, *accounts: int, **changes: Any) -> str:
        """A new key of this role; its text."""
        return await recorded_key(self.runtime.ledger, role, accounts, **changes)


@asynccontextmanager
async def serve(seeded: SeededLedger, *, exports: bool = True, **settings: Any) -> AsyncIterator[Served]:
    """Without `exports` nothing takes what is in their queue, but the test itself."""
    pepper = await seeded.keyring.secret("pepper")
    data = TemporaryDirectory()
    ledger = Ledger(seeded.database, seeded.keyring, uuid4())
    register = KeyRegister(ledger)
    runtime = Runtime(
        Settings(**{"data": Path(data.name)} | settings),
        seeded.database,
        seeded.accounts,
        await store_policy(seeded.database.owner, seeded.policy, applied_by="test"),
        seeded.keyring,
        seeded.partitions,
        Authenticator(pepper, register),
        ApiKeys(seeded.accounts, seeded.keyring, ledger, register),
        ledger,
        await LedgerPublisher.start(ledger, Path(data.name)),
    )
    app = web.Application()
    api.setup(app, runtime)
    if exports:
        export.setup(app, runtime)
    runner = Runner(app, Middleware(app, {"/graphql": app[api.GRAPHQL]}, runtime.settings.origins), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession() as session:
            yield Served(f"http://127.0.0.1:{port}/graphql", session, pepper, runtime)
    finally:
        await runner.cleanup()
        data.cleanup()
