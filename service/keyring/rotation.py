"""Rotation: every key of a keyring is wrapped anew under another key-encryption key. Records are not touched.

1. The new key-encryption key is put first in the metadata: from now on nothing is wrapped by the old one.
2. Each entry is unwrapped and wrapped anew, and replaces the old one atomically.
3. When a pass finds nothing more under the old one, the old one is removed from the metadata.

The keys vouch for each other in the metadata, so that a process with either can trust the other.

The keyring is usable wherever a crash comes: entries say which key wraps them, and the metadata names both. Running the
command again continues. Services that run meanwhile read the metadata again.
"""

import asyncio
from itertools import islice
from typing import Final

from service.keyring.errors import KeyDamagedError, KeyringDamagedError, KeyringError
from service.keyring.kek.factory import open_kek
from service.keyring.protocol import HEAD, SECRETS, SUCCESSOR, OnStep, Rotation, nobody_watches
from service.keyring.stores.protocol import KeyStore, kek_id_of
from service.keyring.wrapping import Wrapping, new_record, opens

_AT_ONCE: Final = 8
_NAMED_MAX: Final = 5


async def rotate(store: KeyStore, wrapping: Wrapping, to: str, on_step: OnStep = nobody_watches) -> Rotation:
    """Wrap everything under the key-encryption key at `to`, or finish doing so.

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
    while done := await _pass(store, wrapping, on_step, damaged):
        rewrapped += done
    if damaged:
        names = ", ".join(f"`{name}`" for name in sorted(damaged)[:_NAMED_MAX])
        raise KeyringDamagedError(
            f"{len(damaged)} keys could not be unwrapped and are left under the old key-encryption key: {names};"
            " restore them from the keyring's backup and run this again"
        )
    await _drop_former_keks(store, wrapping)
    return Rotation(wrapping.describe(), rewrapped)


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
    if not await store.replace_keks((record, *former), expected=metadata):
        raise KeyringError("the keyring is rotated by somebody else now: wait until that has ended")
    await wrapping.reload()


async def _pass(store: KeyStore, wrapping: Wrapping, on_step: OnStep, damaged: list[str]) -> int:
    """Rewrap what is not under the current key-encryption key. Returns how many entries that was."""
    names = [f"secret/{name}" for name in (*SECRETS, SUCCESSOR, HEAD)] + sorted(
        str(name) for name in await store.names()
    )
    waiting = iter(names)
    looked = done = 0
    damaged.clear()
    while batch := list(islice(waiting, _AT_ONCE)):
        outcomes = await asyncio.gather(*(_rewrap(store, wrapping, name, damaged) for name in batch))
        done += sum(outcomes)
        looked += len(batch)
        on_step(looked, len(names))
    return done


async def _rewrap(store: KeyStore, wrapping: Wrapping, name: str, damaged: list[str]) -> bool:
    entry = await store.read(name)
    if entry is None or kek_id_of(entry) == wrapping.metadata.current.id:
        return False
    try:
        return await store.replace(name, entry, await wrapping.rewrap(name, entry))
    except KeyDamagedError:
        # Another process may be destroying it and have overwritten it; the next pass shows whether it is damaged.
        if await store.read(name) is not None:
            damaged.append(name)
        return False


async def _drop_former_keks(store: KeyStore, wrapping: Wrapping) -> None:
    metadata = wrapping.metadata
    if len(metadata.keks) > 1 and not await store.replace_keks(metadata.keks[:1], expected=metadata):
        raise KeyringError("the keyring is rotated by somebody else now: wait until that has ended")
    await wrapping.reload()
