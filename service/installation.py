"""The first start, and the checks of every other: which ledger this is, its keyring, its policy, its first key."""

import os
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import policies
from policies import Policy, Role
from service.access.keys import new_key
from service.errors import OperatorError
from service.keyring import Keyring, KeyringForeignError, create_kek_file, open_keyring
from service.logs import get_logger
from service.settings import Settings
from service.storage.models import ApiKey, Installation
from service.storage.policy_store import AppliedPolicy, applied_policy, refuse_other, store_policy

log = get_logger()
ADMIN_KEY_FILE = "admin.key"


async def open_installed_keyring(settings: Settings) -> Keyring:
    """The keyring of this ledger.

    Keys are minted for an empty database only. A ledger whose keyring is missing or foreign is refused: new keys
    would hide that the old ones are lost.
    """
    installation = await Installation.get_or_none(id=1)
    if installation is None and settings.kek is None:
        # Only ever at the default place: a mistyped path of the operator's must not become a random key.
        create_kek_file(settings.default_kek_path)
    keyring = await open_keyring(settings.keyring_url, settings.kek_url, create=installation is None)
    database_id = installation.database_id if installation else await _new_database_id(keyring)
    await keyring.bind(database_id)
    if installation is None:
        # Last, so that a first start that is cut short begins again.
        await Installation.create(id=1, database_id=database_id, created_at=datetime.now(UTC))
    return keyring


async def _new_database_id(keyring: Keyring) -> UUID:
    """A ledger takes its keyring's id. Keys that are here already were minted for a database that this one is not."""
    counts = await keyring.counts()
    if any(count.live or count.destroyed for count in (counts.accounts, *counts.periods.values())):
        raise KeyringForeignError(
            "the database is empty, but the keyring holds the keys of another ledger: restore that ledger's database, "
            "or set CALLEDGER_KEYRING to a new folder"
        )
    return keyring.id


async def policy_in_force(settings: Settings) -> AppliedPolicy:
    """The policy of this ledger; an empty database starts with CALLEDGER_POLICY, or else with the preset `default`."""
    wanted = _read_policy(settings.policy) if settings.policy else None
    applied = await applied_policy()
    if applied is None:
        return await store_policy(wanted or policies.load_preset("default"), applied_by="system")
    if wanted is not None:
        refuse_other(applied, wanted)
    return applied


def _read_policy(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"the policy file `{path}` cannot be read ({type(error).__name__})") from None
    return policies.parse(text)


async def ensure_first_key(data: Path, pepper: bytes) -> None:
    """In a ledger that never had a key, make one of role admin and leave it in `DATA/admin.key`, mode 0600."""
    if await ApiKey.exists():
        return
    key = new_key(pepper)
    # The file first: a key that nobody knows would keep the next start from making another.
    _write_private(data / ADMIN_KEY_FILE, key.text + "\n")
    await ApiKey.create(prefix=key.prefix, name="admin", role=Role.ADMIN, mac=key.mac, created_at=datetime.now(UTC))
    log.info("the admin key was written", path=str(data / ADMIN_KEY_FILE))


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)
        file.write(text)
