"""The runtime of a process: its database, keyring, ledger and policy, opened in order and closed in reverse."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from policies import PolicyError
from service.access.authenticate import Authenticator
from service.access.issuing import ApiKeys
from service.errors import OperatorError
from service.keyring import Keyring, KeyringUnavailableError
from service.ledger import KeyRegister, Ledger, LedgerKind, LedgerPublisher
from service.logs import get_logger
from service.retention.context import RetentionContext
from service.retention.key_minting import KeyMinting
from service.retention.replay import replay_tombstones
from service.runtime.bootstrap import (
    ensure_first_key,
    open_installed_keyring,
    policy_in_force,
    refuse_empty_database,
    refuse_empty_folder,
    warn_of_unnamed,
)
from service.settings import Settings
from service.storage.cold.files import open_files
from service.storage.cold.tier import ColdTier
from service.storage.control.accounts import Accounts
from service.storage.control.policies import AppliedPolicy, applied_policy, refuse_unledgered
from service.storage.database import Database
from service.storage.embedded import connection as address
from service.storage.partitions import Partitions
from service.storage.schema.installed import installation, starting_alone
from service.storage.schema.migrate import migrate
from service.tasks import Notifier

_SETTLE_S: Final = 5.0
"""For so long the service waits at its end for the last entries to be mirrored."""

log = get_logger()


@dataclass(slots=True)
class Runtime:
    """What a process works with. `applied` changes when another policy is put in force; the rest stays.

    `export_asked` is set when there may be an export to write, `recorded` when this process may have recorded
    something; `numbered` beats when the change feed has grown.
    """

    settings: Settings
    database: Database
    accounts: Accounts
    applied: AppliedPolicy
    keyring: Keyring
    partitions: Partitions
    authenticator: Authenticator
    api_keys: ApiKeys
    ledger: Ledger
    publisher: LedgerPublisher
    export_asked: asyncio.Event = field(default_factory=asyncio.Event)
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    numbered: Notifier = field(default_factory=Notifier)

    @property
    def retention(self) -> RetentionContext:
        """What retention works with."""
        return RetentionContext(
            self.database,
            self.partitions,
            self.keyring,
            self.accounts,
            lambda: self.applied.policy,
            ledger=self.ledger,
            purge_delay=timedelta(hours=self.settings.purge_delay),
            keyring_backup_days=self.settings.keyring_backup_days,
            cold_age=timedelta(days=self.settings.cold_days) if self.settings.cold_days else None,
        )

    async def reload_policy(self) -> None:
        """Take up the policy that is in force now. If it cannot be used, the one before stays in force here.

        New accounts and reads obey it from the next request on.
        """
        try:
            applied = await applied_policy() or self.applied
            if applied.digest == self.applied.digest and applied.version == self.applied.version:
                return
            refuse_unledgered(applied, await self.ledgered_policy())
        except (OperatorError, PolicyError) as error:
            log.error(
                "the policy that was applied cannot be used here; the one before it stays in force in this process",
                reason=str(error),
                version=self.applied.version,
                digest=self.applied.digest,
            )
            return
        self.accounts.default_tier = applied.policy.tiers[applied.policy.default_tier].number
        self.applied = applied
        log.info("a policy was taken up", version=applied.version, digest=applied.digest)

    async def ledgered_policy(self) -> Mapping[str, Any] | None:
        """The facts of the ledger's newest POLICY_APPLIED entry; None without one."""
        newest = await self.ledger.newest(LedgerKind.POLICY_APPLIED)
        return None if newest is None else newest[1].facts


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, serving: bool = False, existing: bool = False, migrated: bool = False
) -> AsyncIterator[Runtime]:
    """Find or start the database, bring it to the newest schema, and open what works on it.

    The service (`serving`) runs the embedded database itself; a command shares the one that runs already. A command
    that only reads needs an `existing` ledger, because a mistyped path must not become an empty one. A worker's parent
    has `migrated` the database: where a newer version has done so since, the worker goes on as its neighbours do.

    Raises OperatorError when the installation cannot work as it is set up, or there is none and `existing`.
    """
    if existing and settings.database_url is None:
        refuse_empty_folder(settings.data)
    async with address.database(data=settings.data, database_url=settings.database_url, serving=serving) as url:
        if existing and settings.database_url is not None:
            await refuse_empty_database(url)
        if not migrated:
            await migrate(url)
        database = await Database.open(
            url,
            replica_url=settings.replica_url,
            read_connections=settings.read_connections,
            statement_timeout_ms=settings.statement_timeout_ms,
        )
        try:
            runtime = await _assemble(settings, database, serving=serving)
            try:
                if serving:
                    # Only the service refuses: a command must be able to put the right policy in force.
                    refuse_unledgered(runtime.applied, await runtime.ledgered_policy())
                yield runtime
                # The last entries are mirrored before the process ends, because no other may be running: a database
                # that was restored would not know them. The next start mirrors what a slow disk leaves.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_SETTLE_S if serving else None):
                        await runtime.publisher.settle()
            finally:
                await runtime.keyring.close()
        finally:
            await database.close()


async def _assemble(settings: Settings, database: Database, *, serving: bool) -> Runtime:
    async with starting_alone(database.owner):
        keyring = await open_installed_keyring(settings, database.url, database.owner, serving=serving)
        installed = await installation()
        assert installed is not None, "an opened keyring is bound to a ledger"
        database.cold = ColdTier(open_files(settings, installed.database_id))
        ledger = Ledger(database, keyring, installed.database_id)
        publisher = await LedgerPublisher.start(ledger, settings.data)
        applied = await policy_in_force(settings, database.owner, ledger)
        if serving:
            warn_of_unnamed(applied.policy)
        keyring.before_minting(KeyMinting(ledger).before)
        await _destroy_again(database, keyring, ledger)
        pepper = await keyring.secret("pepper")
        await ensure_first_key(settings.data, pepper, ledger)
    accounts = Accounts(applied.policy.tiers[applied.policy.default_tier].number)
    await accounts.refresh()
    register = KeyRegister(ledger)
    authenticator = Authenticator(pepper, register)
    api_keys = ApiKeys(accounts, keyring, ledger, register)
    partitions = Partitions(database.owner)
    return Runtime(
        settings, database, accounts, applied, keyring, partitions, authenticator, api_keys, ledger, publisher
    )


async def _destroy_again(database: Database, keyring: Keyring, ledger: Ledger) -> None:
    """Destroy again what an older keyring brought back, before anything is served."""
    try:
        await replay_tombstones(database.owner, keyring, ledger)
    except KeyringUnavailableError as error:
        # No key can be used without the keyring, and maintenance replays tombstones in every round.
        log.warning("tombstones are replayed when the keyring is back", reason=str(error))
