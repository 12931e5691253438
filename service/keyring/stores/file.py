"""The key store in a directory: `file:DIR`. One host, any number of processes; `file_layout` says which file
is what.

The list of destroyed keys is an append-only text file that is on disk before a key is unlinked. A line of it is
`destroyed period/1/personal/2026-11-22 2026-12-23T00:00:04Z`; `barred` instead of `destroyed` when there was no such
key, and now never will be. A last line without its newline was cut off by a crash: it is no tombstone yet.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final, ParamSpec, TypeVar
from uuid import UUID

from service.disk import sync
from service.keyring.errors import KeyringDamagedError, KeyringError, KeyringExposedError, KeyringUnavailableError
from service.keyring.metadata import Metadata
from service.keyring.names import KeyName, parse_name
from service.keyring.stores.file_layout import Layout, key_of
from service.keyring.stores.key_files import KeyFiles
from service.keyring.stores.pack_file import read_slot
from service.keyring.stores.private_files import append, locked, make_directory, publish, read_private, replace
from service.keyring.stores.protocol import StaleKekError, is_stale, kek_id_of

_SEEN_MAX: Final = 16_384
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
            raise KeyringDamagedError(
                f"`{self._path}` holds a line that is no tombstone: restore it from the keyring's backup"
            ) from None


P = ParamSpec("P")
R = TypeVar("R")


async def create_file_store(root: Path, metadata: Metadata, secrets: Mapping[str, bytes]) -> None:
    """Make a keyring in `root`, unless another process makes it first. `secrets` are entries by name."""
    await _in_thread(Layout(root).create, metadata, secrets)


async def set_files_aside(root: Path, suffix: str) -> str | None:
    """Rename the directory of a lost keyring by adding `suffix`. Returns its new path, None if it was empty or absent.

    Raises `KeyringError` when it cannot be moved.
    """
    return await asyncio.to_thread(_set_aside, root, root.with_name(f"{root.name}.{suffix}"))


def _set_aside(root: Path, aside: Path) -> str | None:
    try:
        if not root.is_dir() or not any(root.iterdir()):
            return None
        root.rename(aside)
        sync(root.parent)
    except OSError as error:
        reason = (error.strerror or "no reason given").lower()
        raise KeyringError(
            f"what is left of the keyring `{root}` cannot be moved to `{aside}` ({reason}): move it away, or set"
            " CALLEDGER_KEYRING to another place"
        ) from None
    return str(aside)


async def open_file_store(root: Path) -> "FileStore":
    """The key store in `root`. A destruction that a crash interrupted is finished first.

    Raises `KeyringMissingError`, `KeyringDamagedError` or `KeyringExposedError`.
    """
    layout = Layout(root)
    await _in_thread(layout.metadata)
    store = FileStore(layout, await _in_thread(Tombstones, layout.tombstones_path))
    await store.recover()
    return store


class FileStore:
    """A `KeyStore` in a directory."""

    def __init__(self, layout: Layout, tombstones: Tombstones) -> None:
        self._layout = layout
        self._tombstones = tombstones
        self._keys = KeyFiles(layout)
        self._seen: dict[KeyName, tuple[int, int]] = {}
        """Packs as they were when these keys were seen in them: inode, and time of the last change in ns."""

    @property
    def location(self) -> str:
        """The directory, in back-ticks."""
        return f"`{self._layout.root}`"

    def watch(self, forget: Callable[[], None]) -> None:
        """Do nothing: `still_there` looks at the disk, so nothing has to be announced."""

    async def metadata(self) -> Metadata:
        """The metadata as `keyring.json` has them now. `KeyringMissingError`, `KeyringDamagedError`."""
        return await _in_thread(self._layout.metadata)

    async def replace_metadata(self, metadata: Metadata, *, expected: Metadata) -> bool:
        """Replace `keyring.json` under the lock; False if it is no longer `expected`."""
        return await _in_thread(self._replace_metadata, metadata, expected)

    async def bind(self, database_id: UUID) -> str:
        """Write the database's id unless one is written. Returns the one that is."""
        return await _in_thread(self._bind, database_id)

    def still_there(self, name: KeyName) -> bool:
        """Whether a key in memory may still be used: two system calls look for its tombstone and its pack."""
        # A destruction by another process is noticed with the next use of the key.
        self._refresh()
        try:
            return name not in self._tombstones and self._has(name)
        except OSError as error:
            raise _unavailable(error) from error

    def _has(self, name: KeyName) -> bool:
        """Whether there is a key of that name. One system call while its pack is as it was when it was looked at."""
        pack, slot, alone = self._keys.where(name)
        if pack:
            try:
                status = os.stat(pack)  # noqa: PTH116 - this is a hot path, and a Path is slower
            except FileNotFoundError:
                return os.access(alone, os.F_OK)
            state = (status.st_ino, status.st_mtime_ns)
            if self._seen.get(name) == state:
                return True
            if read_slot(pack, slot) is not None:
                if len(self._seen) >= _SEEN_MAX:
                    self._seen.clear()
                self._seen[name] = state
                return True
        return os.access(alone, os.F_OK)

    async def read(self, name: str) -> bytes | None:
        """The entry of that name; None if there is none. `KeyringUnavailableError` on errors of the disk."""
        try:
            return self._read(name)
        except OSError as error:
            raise _unavailable(error) from error

    async def is_destroyed(self, name: KeyName) -> bool:
        """Whether the tombstones, as they are on disk now, have the name."""
        self._refresh()
        return name in self._tombstones

    async def publish(self, name: KeyName, entry: bytes) -> None:
        """Write a new key under the lock, unless there is one or a tombstone. `StaleKekError`."""
        await _in_thread(self._publish, name, entry)

    async def replace(self, name: str, old: bytes, new: bytes) -> bool:
        """Replace the entry `old` by `new` in one step; False if something else is there by now."""
        return await _in_thread(self._replace, name, old, new)

    async def put_secret(self, name: str, entry: bytes, *, instead: bytes | None) -> bool:
        """Replace the entry `instead` of a secret or a pack key in one rename; False if something else is there.

        `StaleKekError`.
        """
        return await _in_thread(self._put_secret, name, entry, instead)

    async def destroy(self, names: Sequence[KeyName]) -> int:
        """Write the tombstones, then overwrite the keys where they are. Returns how many keys there were."""
        return await _in_thread(self._erase, names)

    async def tombstones(self) -> Mapping[KeyName, bool]:
        """All tombstones in the order of the file; the value says whether there was a key."""
        await _in_thread(self._tombstones.refresh)
        return self._tombstones.all()

    async def names(self) -> Iterable[KeyName]:
        """The names of all keys that have no tombstone."""
        return await _in_thread(self._live)

    async def directly_wrapped(self) -> Iterable[str]:
        """The names of all secrets and pack keys, and of the keys without a tombstone that stand alone."""
        return await _in_thread(self._directly_wrapped)

    async def recover(self) -> int:
        """Finish destructions that a crash interrupted. Returns how many destroyed keys were still there."""
        return await _in_thread(self._recover)

    async def close(self) -> None:
        """Do nothing: no file is kept open."""

    def _read(self, name: str) -> bytes | None:
        key = key_of(name)
        if key is not None:
            return self._keys.read(key)
        try:
            return read_private(self._layout.entry_path(name))
        except FileNotFoundError:
            return None

    def _publish(self, name: KeyName, entry: bytes) -> None:
        with locked(self._layout.lock_path):
            # Under the lock, so that no key appears after its tombstone, or under a former key-encryption key.
            if is_stale(name, entry, self._layout.metadata()):
                raise StaleKekError
            self._tombstones.refresh()
            if name not in self._tombstones:
                self._keys.add(name, entry)

    def _replace(self, name: str, old: bytes, new: bytes) -> bool:
        key = key_of(name)
        with locked(self._layout.lock_path):
            self._tombstones.refresh()
            destroyed = key is not None and key in self._tombstones
            if destroyed or self._read(name) != old:
                return False
            if key is not None:
                self._keys.replace(key, new)
            else:
                replace(Path(self._layout.entry_path(name)), new, scratch=self._layout.root)
        return True

    def _put_secret(self, name: str, entry: bytes, instead: bytes | None) -> bool:
        path = Path(self._layout.entry_path(name))
        make_directory(path.parent)
        with locked(self._layout.lock_path):
            # Under the lock, as for keys: nothing is added under a former key-encryption key.
            if self._layout.metadata().current.id != kek_id_of(entry):
                raise StaleKekError
            if instead is None:
                return publish(path, entry, scratch=self._layout.root)
            with suppress(FileNotFoundError):
                if read_private(path) == instead:
                    replace(path, entry, scratch=self._layout.root)
                    return True
        return False

    def _replace_metadata(self, metadata: Metadata, expected: Metadata) -> bool:
        with locked(self._layout.lock_path):
            if self._layout.metadata() != expected:
                return False
            replace(self._layout.metadata_path, metadata.encode().encode(), scratch=self._layout.root)
            return True

    def _erase(self, names: Sequence[KeyName]) -> int:
        with locked(self._layout.lock_path):
            self._layout.remove_unfinished()
            present = self._keys.present(names)
            self._tombstones.add([(name, name in present) for name in names], at=datetime.now(UTC))
            self._keys.erase(names)
        return len(present)

    def _recover(self) -> int:
        with locked(self._layout.lock_path):
            self._layout.remove_unfinished()
            present = self._keys.present(self._tombstones.all())
            self._keys.erase(present)
        return len(present)

    def _bind(self, database_id: UUID) -> str:
        with locked(self._layout.lock_path):
            publish(self._layout.database_path, f"{database_id}\n".encode(), scratch=self._layout.root)
        return read_private(self._layout.database_path).decode("ascii", "replace").strip()

    def _live(self) -> list[KeyName]:
        self._tombstones.refresh()
        return [name for name in self._keys.every() if name not in self._tombstones]

    def _directly_wrapped(self) -> list[str]:
        self._tombstones.refresh()
        alone = [str(name) for name in self._layout.keys_alone() if name not in self._tombstones]
        if not any(self._layout.loose_keys()):
            with locked(self._layout.lock_path):
                self._layout.remove_empty_folders()
        return [*self._layout.secrets_and_pack_keys(), *alone]

    def _refresh(self) -> None:
        try:
            self._tombstones.refresh()
        except OSError as error:
            raise _unavailable(error) from error


def _unavailable(error: OSError) -> KeyringUnavailableError:
    return KeyringUnavailableError(f"the keyring cannot be used now: {error.strerror or error}")


async def _in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except OSError as error:
        raise _unavailable(error) from error
