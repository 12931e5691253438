"""The list of destroyed keys: an append-only text file that is on disk before a key is unlinked.

A line is `destroyed period/1/personal/2026-11-22 2026-12-23T00:00:04Z`; `barred` instead of `destroyed` when there was
no such key, and now never will be. A last line without its newline was cut off by a crash: it is no tombstone yet.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Final

from service.keyring.errors import KeyringDamagedError, KeyringExposedError
from service.keyring.names import KeyName, parse_name
from service.keyring.stores.private_files import append

_HAD_KEY: Final = {"destroyed": True, "barred": False}


class Tombstones:
    """The tombstones of one keyring in memory, which follow the file as other processes append to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path_text = str(path)  # used with every use of a key
        self._names: dict[KeyName, bool] = {}
        self._on_disk: set[KeyName] = set()
        self._read_bytes = 0
        self._state = (0, -1, 0)
        self._lock = Lock()
        self.refresh()

    def __contains__(self, name: KeyName) -> bool:
        return name in self._names

    def all(self) -> dict[KeyName, bool]:
        """All tombstones in the order of the file; the value says whether there was a key."""
        return dict(self._names)

    def refresh(self) -> None:
        """Read what was appended since; one stat(2) when nothing was. A name once read stays, whatever the file says
        later.
        """
        status = os.stat(self._path_text)  # noqa: PTH116 - this is a hot path, and a Path is slower
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        if state == self._state:
            return
        with self._lock:
            if status.st_mode & 0o022:
                raise KeyringExposedError(f"others can change `{self._path}`: chmod 600 it")
            if status.st_ino != self._state[0] or status.st_size < self._read_bytes:
                self._read_bytes = 0
                self._on_disk.clear()
            self._read_on()
            self._state = state

    def add(self, entries: Iterable[tuple[KeyName, bool]], *, at: datetime) -> None:
        """Append tombstones and wait until they are on disk. `entries` are pairs of a name and whether its key exists.

        The caller holds the keyring's lock. `at` is aware UTC.
        """
        self.refresh()
        entries = [(name, was_here) for name, was_here in entries if name not in self._on_disk]
        if not entries:
            return
        moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = "".join(f"{'destroyed' if was_here else 'barred'} {name} {moment}\n" for name, was_here in entries)
        append(self._path, lines.encode(), at=self._read_bytes)
        self.refresh()

    def _read_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            content = file.read()
        complete = content[: content.rfind(b"\n") + 1]
        for line in complete.splitlines():
            name, had_key = self._parse(line)
            self._names.setdefault(name, had_key)
            self._on_disk.add(name)
        self._read_bytes += len(complete)

    def _parse(self, line: bytes) -> tuple[KeyName, bool]:
        try:
            fate, name, _ = line.decode("ascii").split(" ")
            return parse_name(name), _HAD_KEY[fate]
        except (ValueError, KeyError):
            raise KeyringDamagedError(f"`{self._path}` holds a line that is no tombstone") from None
