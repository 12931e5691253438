"""A keyring in a directory, and what a test does to it."""

import asyncio
import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from dying import die_at

from service.keyring import (
    AccountKeyName,
    KeyName,
    Keyring,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)
from service.keyring.stores.pack_file import SLOT_BYTES
from service.keyring.stores.packs import pack_slot_of

DAY = PeriodKeyName(1, "personal", "2026-11-22")
NEXT_DAY = PeriodKeyName(1, "personal", "2026-11-23")


@dataclass(frozen=True)
class Slot:
    """The place of a key in its pack, with the methods of a path."""

    pack: Path
    number: int

    def exists(self) -> bool:
        return self.pack.exists() and any(self.read_bytes())

    def read_bytes(self) -> bytes:
        return self.pack.read_bytes()[self.number * SLOT_BYTES :][:SLOT_BYTES]

    def write_bytes(self, content: bytes) -> None:
        with self.pack.open("r+b") as file:
            file.seek(self.number * SLOT_BYTES)
            file.write(content.ljust(SLOT_BYTES, b"\0"))

    def unlink(self) -> None:
        self.write_bytes(b"")


def slot_of(ring: Path, name: KeyName) -> Slot:
    """Where a keyring in the directory `ring` has the key of an account or a period."""
    at = pack_slot_of(name)
    assert at is not None
    return Slot(ring / "packs" / at.pack, at.slot)


class Environment:
    """A place for a keyring and its key-encryption key."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a ring"
        self.kek = folder / "kek"
        create_kek_file(self.kek)

    async def open(self, *, create: bool = False) -> Keyring:
        return await open_keyring(f"file:{self.root}", f"file:{self.kek}", create=create)

    def file(self, name: PeriodKeyName | int) -> Slot:
        return slot_of(self.root, AccountKeyName(name) if isinstance(name, int) else name)


class Disk:
    """The disk under a file that is there: it fails the first fsync(2), and `synced` is what was written to it since.

    What it fails is forgotten, as Linux does: the pages count as written.
    """

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._file = file.stat()
        self._written: list[bytes] = []
        self._has_failed = False
        self._pwrite, self._fsync = os.pwrite, os.fsync
        self.synced: list[bytes] = []
        monkeypatch.setattr(os, "pwrite", self.pwrite)
        monkeypatch.setattr(os, "fsync", self.fsync)

    def pwrite(self, descriptor: int, content: bytes, at: int) -> int:
        if os.path.samestat(os.fstat(descriptor), self._file):
            self._written.append(content)
        return self._pwrite(descriptor, content, at)

    def fsync(self, descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), self._file):
            written, self._written = self._written, []
            if not self._has_failed:
                self._has_failed = True
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            self.synced += written
        self._fsync(descriptor)


def die_packing(urls: tuple[str, str], where: str, nth: int) -> None:
    """Pack, and die by SIGKILL at the nth call of `where` that belongs to it."""

    async def run() -> None:
        keyring = await open_keyring(*urls, create=False)
        die_at(os, where, nth)
        await keyring.pack()

    asyncio.run(run())
