"""Replacing the key that signs the ledger, in three steps.

1. A successor is made and stored next to the signer.
2. The ledger is handed over to it (`service.ledger.handover`): from that commit on the successor signs.
3. It is stored in the signer's place.

Wherever a crash comes, the key that signs is in the keyring. A waiting successor is replaced by the next successor, and
never removed.
"""

import os
from typing import Final

from service.keyring.errors import KeyLostError, KeyringUnavailableError
from service.keyring.protocol import HEAD, SUCCESSOR
from service.keyring.stores.protocol import KeyStore, StaleKekError
from service.keyring.wrapping import KEY_BYTES, Wrapping

_SIGNER: Final = "secret/signer"
_WAITING: Final = f"secret/{SUCCESSOR}"
_HEAD: Final = f"secret/{HEAD}"
_TRIES: Final = 5


async def signers(store: KeyStore, wrapping: Wrapping) -> tuple[bytes, ...]:
    """The seeds of the signer and, if one was made, of its successor. `KeyLostError` without a signer."""
    found = [await _read(store, wrapping, name) for name in (_SIGNER, _WAITING)]
    if found[0] is None:
        raise KeyLostError("the ledger's signer is gone: restore it from the keyring's backup")
    return tuple(key for key in found if key is not None)


async def new_successor(store: KeyStore, wrapping: Wrapping) -> bytes:
    """Make a successor in place of an earlier one, and return its 32 bytes."""
    key = os.urandom(KEY_BYTES)
    await _put(store, wrapping, _WAITING, key)
    return key


async def promote(store: KeyStore, wrapping: Wrapping) -> None:
    """Store the successor as the signer. `KeyLostError` when no successor was made."""
    key = await _read(store, wrapping, _WAITING)
    if key is None:
        raise KeyLostError("no successor of the ledger's signer was made")
    await _put(store, wrapping, _SIGNER, key)


async def head(store: KeyStore, wrapping: Wrapping) -> bytes | None:
    """The 32 bytes that `note_head` stored last; None before the first time."""
    return await _read(store, wrapping, _HEAD)


async def note_head(store: KeyStore, wrapping: Wrapping, noted: bytes) -> None:
    """Store 32 bytes about the ledger's state, in place of those before."""
    await _put(store, wrapping, _HEAD, noted)


async def _read(store: KeyStore, wrapping: Wrapping, name: str) -> bytes | None:
    entry = await store.read(name)
    return None if entry is None else await wrapping.unwrap(name, entry)


async def _put(store: KeyStore, wrapping: Wrapping, name: str, key: bytes) -> None:
    for _ in range(_TRIES):
        before = await store.read(name)
        entry = await wrapping.wrap(name, key)
        try:
            if await store.put_secret(name, entry, instead=before):
                return
        except StaleKekError:
            await wrapping.reload()
    raise KeyringUnavailableError("the keyring is rotated again and again: try again when that has ended")
