"""Rotation: what a key-encryption key wraps is wrapped anew under another one. Records are not touched.

1. The new key-encryption key is put first in the metadata: from now on nothing is wrapped by the old one.
2. Each entry under the old one (a secret's, a pack key's, a hold's) is unwrapped and wrapped anew, and replaces the old
   one atomically. What pack keys wrap stays as it is.
3. When a pass finds nothing more under the old one, the old one is removed from the metadata.

The keys vouch for each other in the metadata, so that a process with either can trust the other.

The keyring is usable wherever a crash comes: entries say which key wraps them, and the metadata names both. Running the
command again continues. Services that run meanwhile read the metadata again.

Packing a keyring of an earlier version is the same for its keys: first the metadata say that new keys go into packs,
and then each key is wrapped by its pack key instead.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from service.keyring.errors import KeyDamagedError, KeyringDamagedError, KeyringError
from service.keyring.kek.factory import open_kek
from service.keyring.metadata import FORMAT
from service.keyring.names import parse_name
from service.keyring.protocol import OnStep, Rotation, nobody_watches
from service.keyring.stores.packs import is_pack_key, pack_slot_of
from service.keyring.stores.protocol import KeyStore, StaleKekError, is_packed, kek_id_of
from service.keyring.wrapping import Wrapping, new_record, opens

_AT_ONCE: Final = 8
_NAMED_MAX: Final = 5


async def rotate(store: KeyStore, wrapping: Wrapping, to: str, on_step: OnStep = nobody_watches) -> Rotation:
    """Wrap everything under the key-encryption key at `to`, or finish doing so. Keys in packs stay as they are.

    Raises `KekError` if it is unfit. Raises `KeyringDamagedError` when keys are left that nothing opens: those stay
    under the old key-encryption key, and the rotation stays unfinished. `KeyringUnavailableError` leaves it where it
    is.
    """
    await wrapping.reload()
    await wrapping.verify()
    await _add_kek(store, wrapping, to)
    damaged: list[str] = []
    rewrapped = 0
    # The last pass finds nothing, and so shows that nothing is left.
    while done := await _pass(sorted(await store.directly_wrapped()), _rewrap(store, wrapping, damaged), on_step):
        rewrapped += done
    if damaged:
        raise KeyringDamagedError(
            f"{len(damaged)} keys could not be unwrapped and are left under the old key-encryption key:"
            f" {_named(damaged)}; restore them from the keyring's backup and run this again"
        )
    await _drop_former_keks(store, wrapping)
    return Rotation(wrapping.describe(), rewrapped)


def _named(damaged: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(damaged)[:_NAMED_MAX])


async def _add_kek(store: KeyStore, wrapping: Wrapping, to: str) -> None:
    metadata = wrapping.metadata
    kek = await open_kek(to, salt=metadata.salt)
    if len(metadata.keks) > 1 and metadata.current.url == to and await opens(kek, metadata.current, metadata.id):
        wrapping.adopt(metadata.current, kek)
        return  # an earlier run came further than this
    record = await new_record(kek, to, metadata.id)
    wrapping.adopt(record, kek)
    for old in metadata.keks:
        record = await wrapping.vouch(old, record)
    former = [await wrapping.vouch(record, old) for old in metadata.keks]
    if not await store.replace_metadata(replace(metadata, keks=(record, *former)), expected=metadata):
        raise KeyringError("the keyring is rotated by somebody else now: wait until that has ended")
    await wrapping.reload()


async def pack(store: KeyStore, wrapping: Wrapping) -> int:
    """Pack the keys of accounts and periods that stand alone, or finish doing so. Returns how many.

    Raises `KeyringDamagedError` when keys are left that nothing unwraps; they stay where they are.
    """
    await wrapping.reload()
    if not wrapping.metadata.packs:
        # From here on programs that know no packs refuse the keyring: before the first key is where they do not look.
        await store.replace_metadata(replace(wrapping.metadata, format=FORMAT), expected=wrapping.metadata)
        await wrapping.reload()
    if not wrapping.metadata.packs:
        raise KeyringError("the keyring is rotated by somebody else now: keys are packed when that has ended")
    damaged: list[str] = []
    packed = 0
    while names := [name for name in await store.directly_wrapped() if _is_loose(name) and name not in damaged]:
        if not (done := await _pass(names, _pack(store, wrapping, damaged), nobody_watches)):
            break  # what is left is damaged, or somebody else is at work: the next call looks again
        packed += done
    if damaged:
        raise KeyringDamagedError(
            f"{len(damaged)} keys could not be unwrapped and are not packed: {_named(damaged)};"
            " restore them from the keyring's backup"
        )
    return packed


def _is_loose(name: str) -> bool:
    alone = not name.startswith("secret/") and not is_pack_key(name)
    return alone and pack_slot_of(parse_name(name)) is not None


Work = Callable[[str], Awaitable[bool]]


async def _pass(names: Sequence[str], work: Work, on_step: OnStep) -> int:
    """Do the work for each name, some at once. Returns how many entries were replaced."""
    waiting = iter(names)
    looked = done = 0
    while batch := list(islice(waiting, _AT_ONCE)):
        done += sum(await asyncio.gather(*(work(name) for name in batch)))
        looked += len(batch)
        on_step(looked, len(names))
    return done


def _rewrap(store: KeyStore, wrapping: Wrapping, damaged: list[str]) -> Work:
    """Wrap an entry anew that is not under the current key-encryption key."""
    damaged.clear()

    async def rewrap(name: str) -> bool:
        """Whether the entry was wrapped anew."""
        entry = await store.read(name)
        # A packed one is as it should be; its own file was left by a crash, and goes when packing goes on.
        if entry is None or is_packed(entry) or kek_id_of(entry) == wrapping.metadata.current.id:
            return False
        try:
            return await store.replace(name, entry, await wrapping.rewrap(name, entry))
        except KeyDamagedError:
            # Another process may be destroying it and have overwritten it; the next pass shows whether it is damaged.
            if await store.read(name) is not None:
                damaged.append(name)
            return False

    return rewrap


def _pack(store: KeyStore, wrapping: Wrapping, damaged: list[str]) -> Work:
    """Wrap a key by its pack key, and put it into the pack."""

    async def pack_one(name: str) -> bool:
        """Whether it was; another process may have done so, or be rotating, and then the next pass shows it."""
        entry = await store.read(name)
        if entry is None:
            return False
        try:
            key = await wrapping.unwrap(name, entry)
            packed = await wrapping.wrap_key(parse_name(name), key)
            return await store.replace(name, entry, packed)
        except StaleKekError:
            await wrapping.reload()
        except KeyDamagedError:
            if await store.read(name) is not None:
                damaged.append(name)
        return False

    return pack_one


async def _drop_former_keks(store: KeyStore, wrapping: Wrapping) -> None:
    metadata = wrapping.metadata
    alone = replace(metadata, keks=metadata.keks[:1])
    if len(metadata.keks) > 1 and not await store.replace_metadata(alone, expected=metadata):
        raise KeyringError("the keyring is rotated by somebody else now: wait until that has ended")
    await wrapping.reload()
