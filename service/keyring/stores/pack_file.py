"""A pack file: a row of slots of 128 bytes, one for each key, all zeros where there is no key.

A slot lies within one sector and one page: it is written as a whole or not at all. A key is destroyed by writing zeros
over its slot and waiting until they are on the disk.
"""

import os
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import Final

from service.disk import sync
from service.keyring.errors import KeyringExposedError
from service.keyring.stores.packs import SLOTS_MAX
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
    """The numbers of the slots that have an entry, of those `among` (None: of all).

    Also of a file that others can read: its keys are not used, and can be destroyed.
    """
    content = _content(path) or b""
    for slot in range(-(-len(content) // SLOT_BYTES)) if among is None else among:
        if _entry(content[slot * SLOT_BYTES : (slot + 1) * SLOT_BYTES]) is not None:
            yield slot


def write_slot(path: str, slot: int, entry: bytes) -> None:
    """Write an entry and wait until it is on disk; when that fails, the slot is as it was before.

    The caller holds the keyring's lock.
    """
    folder = Path(path).parent
    make_directory(folder)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        _check_private(descriptor, path)
        if os.fstat(descriptor).st_size == 0:
            # Before the first entry: a file that has one is in its folder on the disk, wherever a process was killed.
            sync(folder)
        before = os.pread(descriptor, SLOT_BYTES, slot * SLOT_BYTES)
        try:
            os.pwrite(descriptor, entry.ljust(SLOT_BYTES, b"\0"), slot * SLOT_BYTES)
            os.fsync(descriptor)
        except OSError:
            # It could be read until the next power cut, and not afterwards.
            with suppress(OSError):
                os.pwrite(descriptor, before.ljust(SLOT_BYTES, b"\0"), slot * SLOT_BYTES)
            raise
    finally:
        os.close(descriptor)


def clear_slots(path: str, slots: Set[int]) -> None:
    """Overwrite these slots, wait until that is on disk, and remove a file without entries.

    The caller holds the keyring's lock.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        size = os.fstat(descriptor).st_size
        for at in (slot * SLOT_BYTES for slot in slots):
            # Also what reads as zeros: if an earlier try failed or was killed, they may not be on the disk.
            if at < size:
                os.pwrite(descriptor, bytes(SLOT_BYTES), at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    # Also one that a crash has left empty.
    content = _content(path)
    if content is not None and not content.strip(b"\0") and erase(Path(path)):
        sync(Path(path).parent)


def _content(path: str) -> bytes | None:
    """What a pack can have of its file; None if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return os.pread(descriptor, SLOTS_MAX * SLOT_BYTES, 0)
    finally:
        os.close(descriptor)


def _entry(slot: bytes) -> bytes | None:
    if not any(slot):
        return None
    return slot if any(slot[PACKED_BYTES:]) else slot[:PACKED_BYTES]


def _check_private(descriptor: int, path: str) -> None:
    if os.fstat(descriptor).st_mode & 0o077:
        raise KeyringExposedError(f"others can read `{path}`: chmod 600 it")
