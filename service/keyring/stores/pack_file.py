"""A pack file: a row of slots of 128 bytes, one for each key, all zeros where there is no key.

A slot lies within one sector and one page: it is written as a whole or not at all. A key is destroyed by writing zeros
over its slot and waiting until they are on the disk.
"""

import os
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Final

from service.disk import sync
from service.keyring.errors import KeyringExposedError
from service.keyring.stores.private_files import erase, make_directory
from service.keyring.stores.protocol import PACKED_BYTES

SLOT_BYTES: Final = 128


def read_slot(path: str, slot: int) -> bytes | None:
    """The entry in a slot; None if there is none. What is no entry of ours is returned as it is, up to its last byte.

    Raises `KeyringExposedError` if others can read the file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        _check_private(descriptor, path)
        return _entry(os.pread(descriptor, SLOT_BYTES, slot * SLOT_BYTES))
    finally:
        os.close(descriptor)


def read_slots(path: str, among: Iterable[int] | None = None) -> Iterator[int]:
    """The numbers of the slots that have an entry, of those `among` (None: of all)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        _check_private(descriptor, path)
        content = file.read()
    for slot in range(-(-len(content) // SLOT_BYTES)) if among is None else among:
        if _entry(content[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]) is not None:
            yield slot


def write_slot(path: str, slot: int, entry: bytes) -> None:
    """Write an entry and wait until it is on disk. The caller holds the keyring's lock."""
    make_directory(Path(path).parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _check_private(descriptor, path)
        is_new = os.fstat(descriptor).st_size == 0
        os.pwrite(descriptor, entry.ljust(SLOT_BYTES, b"\0"), slot * SLOT_BYTES)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync(Path(path).parent)


def clear_slots(path: str, slots: Set[int]) -> None:
    """Overwrite those of these slots that have an entry, wait until that is on disk, and remove a file without entries.

    The caller holds the keyring's lock.
    """
    if used := list(read_slots(path, slots)):
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            for slot in used:
                os.pwrite(descriptor, bytes(SLOT_BYTES), slot * SLOT_BYTES)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    # Also one that a crash has left empty.
    if _is_empty(path) and erase(Path(path)):
        sync(Path(path).parent)


def _is_empty(path: str) -> bool:
    try:
        return not Path(path).read_bytes().strip(b"\0")
    except FileNotFoundError:
        return False


def _entry(slot: bytes) -> bytes | None:
    if not any(slot):
        return None
    return slot if any(slot[PACKED_BYTES:]) else slot[:PACKED_BYTES]


def _check_private(descriptor: int, path: str) -> None:
    if os.fstat(descriptor).st_mode & 0o077:
        raise KeyringExposedError(f"others can read `{path}`: chmod 600 it")
