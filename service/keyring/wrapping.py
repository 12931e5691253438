"""Wrapping and unwrapping with a keyring's key-encryption keys: which of them wraps, and whether they are the right
ones; and with the pack keys between them and the keys of accounts and periods.
"""

import asyncio
import os
from contextlib import suppress
from dataclasses import replace
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from service.keyring.errors import KekError, KekWrongError, KeyDamagedError, KeyringError, KeyringUnavailableError
from service.keyring.kek.factory import open_kek
from service.keyring.kek.file import LocalKek
from service.keyring.kek.protocol import Kek, UnwrapError
from service.keyring.metadata import KEK_ID_BYTES, KekRecord, Metadata
from service.keyring.names import KeyName, parse_name
from service.keyring.protocol import KeyMemory
from service.keyring.stores.packs import pack_key_name, pack_slot_of
from service.keyring.stores.protocol import (
    ENTRY_FORMAT,
    HEADER_BYTES,
    PACKED_BYTES,
    PACKED_FORMAT,
    KeyStore,
    is_packed,
    kek_id_of,
)

KEY_BYTES: Final = 32
_CHECK: Final = b"calledger keyring check value v1"
assert len(_CHECK) == KEY_BYTES


class Wrapping:
    """Wraps and unwraps the keys of one keyring.

    `kek_url` is the key-encryption key that the operator names. While a keyring is rotated, and in a process that
    started before, there is a second one: it is opened at the address that the keyring's metadata names. Pack keys that
    were unwrapped are in `pack_keys` for a while.
    """

    def __init__(self, store: KeyStore, metadata: Metadata, kek_url: str, pack_keys: KeyMemory) -> None:
        self._store = store
        self.metadata = metadata
        self._url = kek_url
        self._opened: dict[bytes, Kek] = {}
        self._verified = False
        self._opening = asyncio.Lock()
        self._pack_keys = pack_keys
        self._fetching = WeakValueDictionary[str, asyncio.Lock]()

    async def verify(self) -> None:
        """Check that the operator's key-encryption key opens this keyring.

        Raises `KekError` if it does not, `KeyringUnavailableError` if it cannot be reached.
        """
        async with self._opening:
            if not self._verified:
                await self._verify()

    async def reload(self) -> None:
        """Read the metadata again, after another process changed it."""
        self.metadata = await self._store.metadata()

    def describe(self) -> str:
        """What wraps new keys, and what still wraps others while a rotation is not finished; for `status`."""
        current, *former = [self._describe(record) for record in self.metadata.keks]
        return current + "".join(f", and still by {old} (`keyring rotate` was not finished)" for old in former)

    def _describe(self, record: KekRecord) -> str:
        kek = self._opened.get(record.id)
        return kek.describe() if kek else f"`{record.url}`"

    def forget(self) -> None:
        """Drop all pack keys from memory."""
        self._pack_keys.clear()

    async def wrap(self, name: str, key: bytes) -> bytes:
        """The entry of `key` (32 bytes) under the current key-encryption key."""
        record = self.metadata.current
        kek = await self._kek(record)
        return entry_of(record.id, await kek.wrap(key, context=context_of(self.metadata.id, name)))

    async def wrap_key(self, name: KeyName, key: bytes) -> bytes:
        """The entry of a key of that name as the keyring's format has it: under its pack key, or directly.

        A pack key is made when there is none. Raises `StaleKekError`.
        """
        at = pack_slot_of(name) if self.metadata.packs else None
        if at is None:
            return await self.wrap(str(name), key)
        kek_id = self.metadata.current.id
        pack_key = await self._pack_key(pack_key_name(at.pack, kek_id), mint=True)
        wrapped = await pack_key.wrap(key, context=context_of(self.metadata.id, str(name)))
        return PACKED_FORMAT + kek_id + wrapped

    async def unwrap(self, name: str, entry: bytes) -> bytes:
        """The 32 bytes of the key in an entry.

        Raises `KeyDamagedError` if the entry is not what was written, `KeyringUnavailableError` if the key-encryption
        key cannot be used.
        """
        kek = await self._pack_key_of(name, entry) if is_packed(entry) else await self._kek_of(name, entry)
        try:
            key = await kek.unwrap(entry[HEADER_BYTES:], context=context_of(self.metadata.id, name))
        except UnwrapError:
            key = b""
        if len(key) != KEY_BYTES:
            raise KeyDamagedError(f"the entry of key `{name}` is not what was written: restore it from the backup")
        return key

    async def rewrap(self, name: str, entry: bytes) -> bytes:
        """The entry of the same secret or key under the current key-encryption key. It is opened once as a check."""
        old, new = await self._record(name, entry), self.metadata.current
        key = await self.unwrap(name, entry)
        if old.url == new.url:
            kek = await self._kek(new)
            context = context_of(self.metadata.id, name)
            wrapped = entry_of(new.id, await kek.rewrap(entry[HEADER_BYTES:], context=context))
        else:
            wrapped = await self.wrap(name, key)
        if await self.unwrap(name, wrapped) != key:
            raise KeyringUnavailableError(f"the key `{name}` was wrapped wrongly: it is left as it was, try again")
        return wrapped

    async def _pack_key_of(self, name: str, entry: bytes) -> Kek:
        """The pack key that wraps an entry. `KeyDamagedError` if the entry is no packed key's, or that key is gone."""
        try:
            at = pack_slot_of(parse_name(name))
        except ValueError:
            at = None
        if at is None or len(entry) != PACKED_BYTES:
            raise KeyDamagedError(f"the entry of key `{name}` is not what was written: restore it from the backup")
        return await self._pack_key(pack_key_name(at.pack, kek_id_of(entry)), mint=False)

    async def _pack_key(self, name: str, *, mint: bool) -> Kek:
        held = self._pack_keys.get(name)
        if held is not None and mint and await self._store.read(name) != held[KEY_BYTES:]:
            # It is gone, or another one is in its place: nobody could open after us what it would wrap now.
            self._pack_keys.forget(name)
            held = None
        if held is None:
            # One at a time for a pack: many of its keys are asked for at once, and what wraps them may be far away.
            async with self._fetching.setdefault(name, asyncio.Lock()):
                if (held := self._pack_keys.get(name)) is None:
                    generation = self._pack_keys.generation
                    held = await self._fetch_pack_key(name, mint=mint)
                    self._pack_keys.put(name, held, generation=generation)
        return LocalKek(held[:KEY_BYTES], name)

    async def _fetch_pack_key(self, name: str, *, mint: bool) -> bytes:
        """The 32 bytes of a pack key, and its entry."""
        entry = await self._store.read(name)
        if entry is None and mint:
            await self._store.put_secret(name, await self.wrap(name, os.urandom(KEY_BYTES)), instead=None)
            # Read again: when two processes make it at the same time, both use the one that was stored.
            entry = await self._store.read(name)
        if entry is None:
            raise KeyDamagedError(f"the key `{name}`, which wraps others, is gone: restore it from the backup")
        return await self.unwrap(name, entry) + entry

    async def _kek_of(self, name: str, entry: bytes) -> Kek:
        return await self._kek(await self._record(name, entry))

    async def _record(self, name: str, entry: bytes) -> KekRecord:
        if entry[: len(ENTRY_FORMAT)] == ENTRY_FORMAT and len(entry) > HEADER_BYTES:
            for again in (False, True):
                if again:
                    await self.reload()
                for record in self.metadata.keks:
                    if record.id == kek_id_of(entry):
                        return record
        raise KeyDamagedError(
            f"the entry of key `{name}` is cut, or was wrapped by a key-encryption key of another time"
        )

    async def _kek(self, record: KekRecord) -> Kek:
        """The opened key-encryption key of a record. Any trouble with it becomes `KeyringUnavailableError`."""
        try:
            await self.verify()
            if record.id not in self._opened:
                self._opened[record.id] = await self._open(record)
        except (KekError, KeyringError) as error:
            raise KeyringUnavailableError(str(error)) from error
        return self._opened[record.id]

    async def _verify(self) -> None:
        current = self.metadata.current
        try:
            kek = await open_kek(self._url, salt=self.metadata.salt)
        except KekError as error:
            raise type(error)(f"{error}{self._hint(current)}") from None
        for record in self.metadata.keks:
            if await opens(kek, record, self.metadata.id):
                self._opened[record.id] = kek
                self._verified = True
                return
        raise KekWrongError(
            f"the key-encryption key does not open the keyring {self._store.location}: is it the one it was made with?"
            + self._hint(current)
        )

    def _hint(self, current: KekRecord) -> str:
        return (
            "" if current.url == self._url else f" (the keyring is wrapped by `{current.url}`: set CALLEDGER_KEK to it)"
        )

    def adopt(self, record: KekRecord, kek: Kek) -> None:
        """Trust a further key-encryption key that the operator has named."""
        self._opened[record.id] = kek

    async def vouch(self, by: KekRecord, of: KekRecord) -> KekRecord:
        """`of` with a voucher of `by` added."""
        kek = await self._kek(by)
        voucher = await kek.wrap(of.digest(), context=self._voucher_context(of))
        return replace(of, vouchers=(*of.vouchers, (by.id, voucher)))

    async def _is_vouched_for(self, record: KekRecord) -> bool:
        for by, voucher in record.vouchers:
            if by in self._opened:
                with suppress(UnwrapError):
                    digest = await self._opened[by].unwrap(voucher, context=self._voucher_context(record))
                    return digest == record.digest()
        return False

    def _voucher_context(self, record: KekRecord) -> bytes:
        return context_of(self.metadata.id, f"kek/{record.id.hex()}")

    async def _open(self, record: KekRecord) -> Kek:
        # Checked before the key is contacted: it might belong to somebody who wants our token or our keys.
        if not await self._is_vouched_for(record):
            raise KekError(
                f"the keyring {self._store.location} names a key-encryption key for which the one that we have does not"
                f" vouch: set CALLEDGER_KEK to `{record.url}` if it is right, and start again"
            )
        kek = await open_kek(record.url, salt=self.metadata.salt)
        if not await opens(kek, record, self.metadata.id):
            raise KekError(
                f"`{record.url}` is not the key-encryption key that wraps the keyring {self._store.location}"
            )
        return kek


def entry_of(kek_id: bytes, wrapped: bytes) -> bytes:
    """The entry as it is stored: the format's number (1 byte), the key-encryption key's id (8 bytes), the
    wrapped key.
    """
    return ENTRY_FORMAT + kek_id + wrapped


def context_of(keyring_id: UUID, name: str) -> bytes:
    r"""What a wrapped key is bound to: `\\0\\x10`, the keyring's id, the name's length in 2 bytes, the name."""
    encoded = name.encode()
    return b"".join((b"\x00\x10", keyring_id.bytes, len(encoded).to_bytes(2, "big"), encoded))


async def opens(kek: Kek, record: KekRecord, keyring_id: UUID) -> bool:
    """Whether this is the key-encryption key of the record: whether it opens the record's check value."""
    try:
        return await kek.unwrap(record.check, context=context_of(keyring_id, "check")) == _CHECK
    except UnwrapError:
        return False


async def new_record(kek: Kek, url: str, keyring_id: UUID) -> KekRecord:
    """A record for a key-encryption key that a keyring takes up. `KekError` if it does not bind keys to their names."""
    check = await kek.wrap(_CHECK, context=context_of(keyring_id, "check"))
    try:
        await kek.unwrap(check, context=context_of(keyring_id, "another name"))
    except UnwrapError:
        return KekRecord(os.urandom(KEK_ID_BYTES), url, check)
    raise KekError(
        f"{kek.describe()} does not bind what it wraps to a context, so that keys could stand in for one another:"
        " a key of Vault transit must be made with `derived=true`"
    )
