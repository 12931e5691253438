"""Opening a keyring: which key store an address names, and making one where there is none."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

from service.keyring.errors import KeyringAddressError, KeyringMissingError, KeyringUnavailableError
from service.keyring.kek.factory import open_kek
from service.keyring.keyring import KeyCache, StoredKeyring
from service.keyring.metadata import SALT_BYTES, Metadata
from service.keyring.protocol import SECRETS
from service.keyring.stores.file import create_file_store, open_file_store, set_files_aside
from service.keyring.stores.postgres import (
    address_of_url,
    create_postgres_store,
    open_postgres_store,
    set_postgres_aside,
)
from service.keyring.stores.private_files import path_of_url
from service.keyring.stores.protocol import KeyStore
from service.keyring.wrapping import KEY_BYTES, Wrapping, context_of, entry_of, new_record
from service.logs import get_logger

log = get_logger()


@dataclass(frozen=True, slots=True)
class _StoreFactory:
    """How a kind of key store is opened, created, and moved out of the way (returns where it then is)."""

    open: Callable[[], Awaitable[KeyStore]]
    create: Callable[[Metadata, Mapping[str, bytes]], Awaitable[None]]
    set_aside: Callable[[str], Awaitable[str | None]]


async def open_keyring(url: str, kek: str, *, create: bool, apart_from: str | None = None) -> StoredKeyring:
    """The keyring at `url` (`file:DIR`, `postgres:URL`), wrapped by the key-encryption key at `kek` (see `open_kek`).

    If there is none, it is made when `create` is set; otherwise `KeyringMissingError` is raised. Call `bind` before the
    first key is used. `apart_from` is the address of the database that the keys are for: a keyring in the same
    PostgreSQL is refused with `KeyringSameClusterError`.

    The keyring also opens while the key-encryption key cannot be reached, because keys are destroyed without it.
    """
    factory = _store_factory(url, apart_from)
    try:
        store = await factory.open()
    except KeyringMissingError:
        if not create:
            raise
        await factory.create(*await _new_keyring(kek))
        store = await factory.open()
    try:
        keyring = StoredKeyring(store, wrapping := Wrapping(store, await store.metadata(), kek, KeyCache()))
        await _verify(wrapping)
    except BaseException:
        await store.close()
        raise
    return keyring


async def create_replacement(
    url: str, kek: str, *, secrets: Mapping[str, bytes], apart_from: str, suffix: str
) -> tuple[StoredKeyring, str | None]:
    """Make a new keyring at `url`, with these `secrets` by name and the others random, and open it.

    What is already there is moved aside, under a name that ends with `suffix`. Returns the new keyring and where the
    old one is now, None if there was nothing. The key-encryption key is used before anything is moved: if it fails,
    everything stays as it is.
    """
    factory = _store_factory(url, apart_from)
    made = await _new_keyring(kek, secrets)
    aside = await factory.set_aside(suffix)
    await factory.create(*made)
    return await open_keyring(url, kek, create=False, apart_from=apart_from), aside


def _store_factory(url: str, apart_from: str | None) -> _StoreFactory:
    if (root := path_of_url(url)) is not None:
        return _file_store_factory(root)
    if (address := address_of_url(url)) is not None:
        return _StoreFactory(
            lambda: open_postgres_store(address, apart_from=apart_from),
            lambda metadata, secrets: create_postgres_store(address, metadata, secrets),
            lambda suffix: set_postgres_aside(address, suffix),
        )
    raise KeyringAddressError


def _file_store_factory(root: Path) -> _StoreFactory:
    return _StoreFactory(
        lambda: open_file_store(root),
        lambda metadata, secrets: create_file_store(root, metadata, secrets),
        lambda suffix: set_files_aside(root, suffix),
    )


async def _new_keyring(
    kek_url: str, given: Mapping[str, bytes] = MappingProxyType({})
) -> tuple[Metadata, dict[str, bytes]]:
    keyring_id, salt = uuid4(), os.urandom(SALT_BYTES)
    kek = await open_kek(kek_url, salt=salt)
    record = await new_record(kek, kek_url, keyring_id)
    secrets = {
        f"secret/{name}": entry_of(
            record.id,
            await kek.wrap(given.get(name) or os.urandom(KEY_BYTES), context=context_of(keyring_id, f"secret/{name}")),
        )
        for name in SECRETS
    }
    return Metadata(keyring_id, salt, (record,)), secrets


async def _verify(wrapping: Wrapping) -> None:
    try:
        await wrapping.verify()
    except KeyringUnavailableError as error:
        log.warning("what is sealed stays sealed until the key-encryption key is back", reason=str(error))
