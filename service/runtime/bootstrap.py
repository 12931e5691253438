"""The first start, and the checks of every later one: the ledger's id, its keyring, its policy, its first key."""

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg

import policies
from policies import Policy, Role
from service.access.keys import NewKey, mac_digest, new_key
from service.errors import OperatorError
from service.keyring import Keyring, KeyringForeignError, create_kek_file, open_keyring
from service.keyring.deferred import DeferredKeyring
from service.keyring.fallback_secrets import KEPT, FallbackSecrets
from service.ledger import Ledger, LedgerKind, refuse_replaced
from service.logs import get_logger
from service.settings import Settings
from service.storage.control.api_keys import added_key, any_key
from service.storage.control.policies import AppliedPolicy, LedgerWriter, applied_policy, refuse_other, store_policy
from service.storage.embedded.data_directory import Cluster, write_private
from service.storage.schema.installed import has_ledger, install, installation

log = get_logger()
ADMIN_KEY_FILE = "admin.key"
FALLBACK_SECRETS_FILE = "standby"


class NoLedgerError(OperatorError):
    """there is no ledger here yet: `calledger serve` makes one"""


def refuse_empty_folder(data: Path) -> None:
    """Raise NoLedgerError unless the embedded database was made under `data`."""
    try:
        owner = Cluster(data).files_owner_uid()
    except PermissionError:
        raise OperatorError(f"`{data}` belongs to another user: run this command as that user") from None
    except OSError as error:
        raise OperatorError(f"`{data}` cannot be a data directory: {_reason(error)}") from None
    if owner is None:
        raise NoLedgerError(f"there is no ledger in `{data}` yet: `calledger serve` makes one, --data names another")


async def refuse_empty_database(url: str) -> None:
    """Raise NoLedgerError unless the operator's database, which must answer, has a ledger."""
    if not await has_ledger(url):
        raise NoLedgerError(
            "there is no ledger in the database of CALLEDGER_DATABASE_URL yet: `calledger serve` makes one"
        )


async def open_installed_keyring(
    settings: Settings, database_url: str, owner: asyncpg.Pool, *, serving: bool = False
) -> Keyring:
    """The keyring of this ledger, whose database is at `database_url`.

    Keys are made for an empty database only: new ones would hide that the old ones are lost. A ledger whose keyring is
    unavailable, lost or foreign is served without it, as long as this host has its fallback secrets; the keyring is
    opened when it is back. The service does not start with a key-encryption key
    that is another one, unless it is told to.
    """
    installed = await installation()
    if installed is None:
        return await _new_keyring(settings, database_url)
    database_id = installed.database_id

    async def open_now() -> Keyring:
        """Open the keyring, and check that it is this ledger's."""
        keyring = await open_keyring(settings.keyring_url, settings.kek_url, create=False, apart_from=database_url)
        try:
            await keyring.bind(database_id)
            await refuse_replaced(owner, keyring, database_id)
        except BaseException:
            await keyring.close()
            raise
        return keyring

    fallback = FallbackSecrets(settings.data / FALLBACK_SECRETS_FILE, database_id)
    deferred = DeferredKeyring(open_now, fallback, database_id)
    await deferred.start(with_wrong_kek=not serving or settings.start_without_kek)
    return deferred


async def _new_keyring(settings: Settings, database_url: str) -> Keyring:
    if settings.kek is None:
        # Only at the default path: a mistyped path of the operator's must not become a random key.
        create_kek_file(settings.default_kek_path)
    keyring = await open_keyring(settings.keyring_url, settings.kek_url, create=True, apart_from=database_url)
    database_id = await _new_database_id(keyring)
    await keyring.bind(database_id)
    # Recorded last, so that a first start that is interrupted begins again.
    await install(database_id, datetime.now(UTC))
    FallbackSecrets(settings.data / FALLBACK_SECRETS_FILE, database_id).write(
        {name: await keyring.secret(name) for name in KEPT}
    )
    return keyring


async def _new_database_id(keyring: Keyring) -> UUID:
    """The keyring's id, which a new ledger takes.

    Raises KeyringForeignError when the keyring has keys, which were made for another database.
    """
    counts = await keyring.counts()
    if any(count.live or count.destroyed for count in (counts.accounts, *counts.periods.values())):
        raise KeyringForeignError(
            "the database is empty, but the keyring holds the keys of another ledger: restore that ledger's database, "
            "or set CALLEDGER_KEYRING to a new folder"
        )
    return keyring.id


async def policy_in_force(settings: Settings, owner: asyncpg.Pool, ledger: LedgerWriter | None = None) -> AppliedPolicy:
    """The policy of this ledger; an empty database starts with CALLEDGER_POLICY, or else with the preset `default`."""
    text = _policy_text(settings.policy) if settings.policy else None
    applied = await applied_policy()
    if applied is None:
        first = policies.load_preset("default") if text is None else policies.parse(text)
        return await store_policy(owner, first, applied_by="system", ledger=ledger)
    if text is not None:
        refuse_other(applied, policies.parse_applied(text))
    return applied


def warn_of_unnamed(policy: Policy) -> None:
    """Log which fields an earlier version's policy does not name."""
    if missing := policies.unnamed(policy):
        log.warning(
            "an earlier version applied the policy: fields that it does not name are neither kept nor shown; see "
            "`calledger policy complete`",
            fields=missing,
        )


def _policy_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise OperatorError(f"the policy file `{path}` of CALLEDGER_POLICY cannot be read: {_reason(error)}") from None
    except UnicodeDecodeError:
        raise OperatorError(f"the policy file `{path}` of CALLEDGER_POLICY is not text in UTF-8") from None


async def ensure_first_key(data: Path, pepper: bytes, ledger: Ledger) -> None:
    """Make a key of role admin in a ledger that never had one, and write it to `DATA/admin.key`, mode 0600."""
    if await any_key():
        return
    key = new_key(pepper)
    # The file is written first: a stored key that nobody knows would keep the next start from making another.
    keep_admin_key(data, key)
    now = datetime.now(UTC)
    async with added_key(prefix=key.prefix, name="admin", role=Role.ADMIN, mac=key.mac, created_at=now) as connection:
        facts = {"key": key.prefix, "role": Role.ADMIN.value, "accounts": None, "expires_at": None}
        facts["mac"] = mac_digest(key.mac)
        await ledger.append(LedgerKind.API_KEY_CREATED, facts, actor="system", connection=connection)
    log.info("the admin key was written", path=str(data / ADMIN_KEY_FILE))


def keep_admin_key(data: Path, key: NewKey) -> None:
    """Write a key to `DATA/admin.key`, mode 0600, in place of one that may be there."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(data / ADMIN_KEY_FILE, key.text + "\n")


def _reason(error: OSError) -> str:
    return (error.strerror or "no reason given").lower()
