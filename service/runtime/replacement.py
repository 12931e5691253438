"""A new keyring in place of a lost one: `calledger keyring replace --accept-loss`.

1. The remains of the lost one are moved aside, and a new one is made. It is not bound to a database yet.
2. One transaction writes to the ledger which keys are lost, which API keys were revoked, and that the new keyring is in
   force. From this commit on its signer signs.
3. The new keyring is bound to the database, and this host writes its fallback secrets.

After a crash before 2 the keyring is not the ledger's, and the command begins again; after a later crash the next start
does 3.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from policies import DataClass, Role
from policies.evidence import VerifierKey
from service.access.keys import NewKey, mac_digest, new_key
from service.errors import OperatorError
from service.keyring import (
    SECRETS,
    AccountKeyName,
    KekError,
    KeyGoneError,
    Keyring,
    KeyringDamagedError,
    KeyringForeignError,
    KeyringMissingError,
    KeyringReplacedError,
    PeriodKeyName,
    create_kek_file,
    create_replacement,
    open_keyring,
)
from service.keyring.deferred import DeferredKeyring
from service.keyring.fallback_secrets import KEPT, FallbackSecrets
from service.ledger import KnownKeys, Ledger, LedgerKind, LedgerPublisher, record_replacement, refuse_replaced
from service.runtime.bootstrap import (
    ADMIN_KEY_FILE,
    FALLBACK_SECRETS_FILE,
    NoLedgerError,
    keep_admin_key,
    refuse_empty_database,
    refuse_empty_folder,
)
from service.settings import Settings
from service.storage.connection import Connection
from service.storage.control.api_keys import added_key, revoke_every_key
from service.storage.database import Database
from service.storage.embedded import connection as address
from service.storage.notifications import notify
from service.storage.schema.installed import installation, starting_alone
from service.storage.schema.migrate import migrate
from service.storage.sealed_keys import sealed_with

_NAMES_MAX: Final = 500
_ACTOR: Final = "cli"


@dataclass(frozen=True, slots=True)
class Replacement:
    """What was done. `index`: the ledger's entry; `aside`: where the lost keyring's remains are now, if there were any.

    `admin_key` is the file of the new admin key when all API keys had to be revoked (`api_keys`), else None.
    """

    index: int
    keyring: str
    signer: VerifierKey
    keys: int
    api_keys: int
    admin_key: Path | None
    aside: str | None


async def replace_keyring(settings: Settings, *, reason: str | None) -> Replacement:
    """Begin a new keyring for the ledger of `settings`, whose own is lost.

    Raises OperatorError when the old one still opens, belongs to another database, or there is no ledger;
    KeyringUnavailableError when it only cannot be reached.
    """
    if settings.database_url is None:
        refuse_empty_folder(settings.data)
    async with address.database(data=settings.data, database_url=settings.database_url, serving=False) as url:
        await refuse_empty_database(url)
        await migrate(url)
        database = await Database.open(
            url, read_connections=settings.read_connections, statement_timeout_ms=settings.statement_timeout_ms
        )
        try:
            async with starting_alone(database.owner):
                return await _replace(settings, database, reason)
        finally:
            await database.close()


async def _replace(settings: Settings, database: Database, reason: str | None) -> Replacement:
    installed = await installation()
    if installed is None:
        raise NoLedgerError
    database_id = installed.database_id
    await _refuse_usable(settings, database, database_id)
    fallback = FallbackSecrets(settings.data / FALLBACK_SECRETS_FILE, database_id)
    kept = fallback.read()
    if settings.kek is None:
        create_kek_file(settings.default_kek_path)
    # The ledger is completed from its mirror before anything is changed, since the database may be a restored one.
    await LedgerPublisher.start(
        Ledger(database, _unopenable_keyring(fallback, database_id), database_id), settings.data
    )
    keyring, aside = await create_replacement(
        settings.keyring_url,
        settings.kek_url,
        secrets=kept,
        apart_from=database.url,
        suffix=f"{datetime.now(UTC):given-up-%Y%m%dt%H%M%S}",
    )
    try:
        ledger = Ledger(database, keyring, database_id)
        found = await _record(ledger, settings.data, reason, all_new=not kept)
        await keyring.bind(database_id)
        fallback.write({name: await keyring.secret(name) for name in KEPT})
        publisher = await LedgerPublisher.start(ledger, settings.data)
        await publisher.settle()
        signer = (await publisher.checkpoints.signer()).key
        for topic in ("keys", "purge"):  # services drop API keys and data keys, and open the keyring again
            await notify(database.owner, topic)
        admin_key = None if kept else settings.data / ADMIN_KEY_FILE
        return Replacement(found.index, keyring.describe(), signer, found.keys, found.api_keys, admin_key, aside)
    finally:
        await keyring.close()


async def _refuse_usable(settings: Settings, database: Database, database_id: UUID) -> None:
    """Raise OperatorError unless the keyring is lost: it does not exist, does not open, or lacks its secrets."""
    try:
        keyring = await open_keyring(settings.keyring_url, settings.kek_url, create=False, apart_from=database.url)
    except (KeyringMissingError, KeyringDamagedError, KekError):
        return
    try:
        await keyring.bind(database_id)
        await refuse_replaced(database.owner, keyring, database_id)
        for name in SECRETS:
            await keyring.secret(name)
    except (KeyringReplacedError, KeyGoneError):
        return
    except KeyringForeignError as error:
        raise KeyringForeignError(
            f"{error}. To begin a new one, set CALLEDGER_KEYRING to a place where none is"
        ) from None
    finally:
        await keyring.close()
    raise OperatorError(f"the keyring {keyring.describe()} opens, so nothing is lost, and nothing was replaced")


def _unopenable_keyring(fallback: FallbackSecrets, database_id: UUID) -> Keyring:
    """A keyring that never opens, with the fallback secrets only."""

    async def open_now() -> Keyring:
        """Raise KeyringMissingError."""
        raise KeyringMissingError

    keyring = DeferredKeyring(open_now, fallback, database_id)
    keyring.postpone(KeyringMissingError())
    return keyring


@dataclass(frozen=True, slots=True)
class _Recorded:
    index: int
    keys: int
    api_keys: int


async def _record(ledger: Ledger, data: Path, reason: str | None, *, all_new: bool) -> _Recorded:
    """Record what is lost and what is in force, in one transaction."""
    sealed = await sealed_with(ledger.database.owner)
    pepper = await ledger.keyring.secret("pepper")
    known = KnownKeys(ledger)
    await known.follow()
    async with _transaction(ledger, data, pepper if all_new else None) as (connection, admin):
        names = {str(PeriodKeyName(tier, DataClass.PERSONAL.value, day)) for tier, day, _ in sealed}
        names |= {str(AccountKeyName(account)) for _, _, account in sealed}
        lost = sorted(names.union(known.names()))
        for first in range(0, len(lost), _NAMES_MAX):
            facts = {"keys": lost[first : first + _NAMES_MAX], "replaced": True}
            await ledger.append(LedgerKind.KEY_LOST, facts, actor=_ACTOR, connection=connection)
        revoked = 0
        if admin is not None:
            revoked = await _reset_api_keys(ledger, admin, connection)
        index = await record_replacement(
            ledger, keys=len(lost), api_keys=revoked, reason=reason, actor=_ACTOR, connection=connection
        )
    return _Recorded(index, len(lost), revoked)


@asynccontextmanager
async def _transaction(
    ledger: Ledger, data: Path, pepper: bytes | None
) -> AsyncIterator[tuple[Connection, NewKey | None]]:
    """A transaction; with a new pepper also a new admin key in it, which is written to `data`."""
    if pepper is None:
        async with ledger.database.owner.acquire() as connection, connection.transaction():
            yield connection, None
        return
    key = new_key(pepper)
    keep_admin_key(data, key)
    now = datetime.now(UTC)
    async with added_key(prefix=key.prefix, name="admin", role=Role.ADMIN, mac=key.mac, created_at=now) as connection:
        yield connection, key


async def _reset_api_keys(ledger: Ledger, admin: NewKey, connection: Connection) -> int:
    """Revoke every other API key, in the ledger too, because none can be checked any more; how many."""
    revoked = await revoke_every_key(connection, datetime.now(UTC), but=admin.prefix)
    for prefix in revoked:
        await ledger.append(LedgerKind.API_KEY_REVOKED, {"key": prefix}, actor=_ACTOR, connection=connection)
    facts = {"key": admin.prefix, "role": Role.ADMIN.value, "accounts": None, "expires_at": None}
    facts["mac"] = mac_digest(admin.mac)
    await ledger.append(LedgerKind.API_KEY_CREATED, facts, actor=_ACTOR, connection=connection)
    return len(revoked)
