"""Everything that a process of calledger works with, opened in order and closed in reverse."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.access.authenticate import Authenticator
from service.installation import (
    ensure_first_key,
    open_installed_keyring,
    policy_in_force,
    refuse_empty_database,
    refuse_empty_folder,
)
from service.keyring import Keyring
from service.settings import Settings
from service.storage import address
from service.storage.accounts import Accounts
from service.storage.database import Database
from service.storage.migrate import migrate
from service.storage.partitions import Partitions
from service.storage.policy_store import AppliedPolicy, applied_policy

_LOCK = 0x63616C6C_0002


@dataclass(slots=True)
class Runtime:
    """`applied` changes when another policy is put in force; the rest stays for the life of the process."""

    settings: Settings
    database: Database
    accounts: Accounts
    applied: AppliedPolicy
    keyring: Keyring
    partitions: Partitions
    authenticator: Authenticator

    async def reload_policy(self) -> None:
        """Take up the policy that is in force now, whole or not at all."""
        self.applied = await applied_policy() or self.applied


@asynccontextmanager
async def open_runtime(settings: Settings, *, serving: bool = False, existing: bool = False) -> AsyncIterator[Runtime]:
    """Find or start the database, bring it to the newest schema, and open what works on it.

    The service (`serving`) runs the embedded database itself; a command shares the one that runs already. A command
    that only reads wants an `existing` ledger: a mistyped path must not become an empty one.

    Raises OperatorError when the installation cannot work as it is set up, or there is none and `existing`.
    """
    if existing and settings.database_url is None:
        refuse_empty_folder(settings.data)
    async with address.database(data=settings.data, database_url=settings.database_url, serving=serving) as url:
        if existing and settings.database_url is not None:
            await refuse_empty_database(url)
        await migrate(url)
        database = await Database.open(
            url, read_connections=settings.read_connections, statement_timeout_ms=settings.statement_timeout_ms
        )
        try:
            runtime = await _assemble(settings, database)
            try:
                yield runtime
            finally:
                await runtime.keyring.close()
        finally:
            await database.close()


async def _assemble(settings: Settings, database: Database) -> Runtime:
    async with database.owner.acquire() as connection:
        # Two first starts at once: one makes the keyring, the policy and the first key, and the other finds them.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        try:
            keyring = await open_installed_keyring(settings, database.url)
            applied = await policy_in_force(settings)
            pepper = await keyring.secret("pepper")
            await ensure_first_key(settings.data, pepper)
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    accounts = Accounts(applied.policy.tiers[applied.policy.default_tier].number)
    await accounts.refresh()
    return Runtime(settings, database, accounts, applied, keyring, Partitions(database.owner), Authenticator(pepper))
