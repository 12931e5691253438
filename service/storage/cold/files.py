"""Where the files of calls are: in a folder, or in a bucket with copies in a folder of those that are read.

What is read of a file is what was written: its SHA-256 is taken before it is opened, and again when what lies in the
folder under its name is another file, or was changed. So nobody is answered from a file that was cut off or edited, or
from another in its place.
"""

import os
import re
import secrets
import stat
import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from errno import EINVAL, ENOENT
from hashlib import file_digest, sha256
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from service.disk import sync
from service.settings import Settings
from service.storage.bucket import ObjectBucket
from service.storage.cold.catalogue import ColdFile
from service.storage.cold.errors import ColdFileError

UNFINISHED: Final = ".part"
"""How the name ends of a file that is being written or fetched."""
_NAMES: Final = "call_t*"
_NAME: Final = re.compile(r"call_t[A-Za-z0-9_.-]{1,200}", re.ASCII)
_ABANDONED_S: Final = 3600.0
"""How old a file is that nobody writes or fetches any more, though it is unfinished."""
_FETCH_BYTES: Final = 8 * 2**20
_PAUSE_S: Final = 10.0
"""For so long a store that did not answer is not asked again, nor for a damaged file."""

FileState: TypeAlias = tuple[int, int, int]
"""By what a file in a folder is told from another one, and from itself before it was changed."""


class StoredName(NamedTuple):
    """A file that is there, and how old it is."""

    name: str
    age_s: float


class ColdFiles(Protocol):
    """The files of one ledger. Every method raises OSError, and waits for a disk or a network."""

    @property
    def where(self) -> str:
        """Where they are, for an operator."""
        ...

    def draft(self, name: str) -> Path:
        """Where the file of this name is to be written."""
        ...

    def keep(self, name: str) -> None:
        """Make what was written a complete file, which others see and a power cut leaves."""
        ...

    def digest(self, name: str) -> str:
        """The SHA-256 of what is kept under the name, in hexadecimal digits, read anew."""
        ...

    def lacks(self, file: ColdFile) -> bool:
        """Whether `fetch` has to bring the file to this host before it is opened. Waits for no network."""
        ...

    def fetch(self, file: ColdFile) -> None:
        """Have the file on this host. Raises ColdFileError for a damaged one."""
        ...

    def in_use(self, file: ColdFile) -> AbstractContextManager[None]:
        """Keep this host's copy during the block, whatever else needs its room."""
        ...

    def opened(self, file: ColdFile) -> tuple[Path, FileState]:
        """A file of this host with what was written, and what tells it from others. Waits for no network. Raises
        ColdFileError for another file than that.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, a draft or copies of it. It does not matter whether there are any."""
        ...

    def names(self) -> list[StoredName]:
        """What is there: complete files, and those that are being written."""
        ...

    def retain(self, names: Collection[str]) -> None:
        """Remove this host's copies of all other files, and what is left of those that were begun."""
        ...

    def end_uploads(self) -> None:
        """Remove what uploads have left that were broken off a day ago."""
        ...


class ColdFolder:
    """Files in a folder, of this host or of several."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._as_written: dict[str, tuple[str, FileState]] = {}

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.folder)

    def draft(self, name: str) -> Path:
        """Where the file of this name is to be written."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.path(name + UNFINISHED)

    def keep(self, name: str) -> None:
        """Give what was written its name, on the disk too."""
        self.draft(name).rename(self.path(name))
        sync(self.folder)

    def digest(self, name: str) -> str:
        """The SHA-256 of the file, which is on the disk under its name then."""
        found = _digest(self.path(name))
        sync(self.folder)
        return found

    def lacks(self, file: ColdFile) -> bool:  # noqa: ARG002
        """A folder is on this host."""
        return False

    def fetch(self, file: ColdFile) -> None:
        """A folder is on this host."""

    def in_use(self, file: ColdFile) -> AbstractContextManager[None]:  # noqa: ARG002
        """A folder has no copies."""
        return nullcontext()

    def opened(self, file: ColdFile) -> tuple[Path, FileState]:
        """The file in the folder. Raises ColdFileError for another one than was written."""
        path = self.path(file.name)
        state = _state(path)
        if self._as_written.get(file.name) != (file.sha256, state):
            found = _digest(path) if state[0] == file.bytes else None
            if found != file.sha256 or _state(path) != state:
                raise ColdFileError(f"`{file.name}` is not the file that was written")
            self._as_written[file.name] = file.sha256, state
        return path, state

    def is_as_written(self, file: ColdFile) -> bool:
        """Whether the file is as it was when its digest was taken."""
        with suppress(OSError):
            return self._as_written.get(file.name) == (file.sha256, _state(self.path(file.name)))
        return False

    def remove(self, name: str) -> None:
        """Remove the file, or a draft."""
        self._as_written.pop(name, None)
        self.path(name).unlink(missing_ok=True)

    def names(self) -> list[StoredName]:
        """What is in the folder of ours."""
        now = time.time()
        return [StoredName(path.name, now - at) for path in sorted(self.folder.glob(_NAMES)) for at in _written(path)]

    def retain(self, names: Collection[str]) -> None:
        """A folder has no copies."""

    def path(self, name: str) -> Path:
        """Where the file of this name lies. Raises OSError for a name that none of ours has: lists can be changed."""
        if not _NAME.fullmatch(name):
            raise OSError(EINVAL, "no name of a file of calls", name)
        return self.folder / name

    def end_uploads(self) -> None:
        """Nothing is sent to a folder."""


class ColdBucket:
    """Files in a bucket; `copies` is a folder of this host for those that are read, of so many bytes."""

    def __init__(self, bucket: ObjectBucket, where: str, copies: Path, copies_bytes: int) -> None:
        self._bucket, self._where, self._copies_bytes = bucket, where, copies_bytes
        self._copies = ColdFolder(copies)
        self._read_at: dict[str, float] = {}
        self._silent_until = 0.0
        self._damaged_until: dict[str, float] = {}
        self._used = Counter[str]()
        self._room = Lock()

    @property
    def where(self) -> str:
        """The bucket."""
        return self._where

    def draft(self, name: str) -> Path:
        """Where the file of this name is to be written, before it is sent."""
        return self._copies.draft(name)

    def keep(self, name: str) -> None:
        """Send what was written, and have it as a copy."""
        with self._copies.draft(name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._bucket.put(name, file)
        with self._room:
            self._copies.keep(name)
            self._make_room(name, size)

    def digest(self, name: str) -> str:
        """The SHA-256 of the object, all of which is fetched."""
        found = sha256()
        for data in self._data(name, None):
            found.update(data)
        return found.hexdigest()

    def lacks(self, file: ColdFile) -> bool:
        """Whether there is no copy of it, or none that is as when it was looked at last."""
        return not self._copies.is_as_written(file)

    def fetch(self, file: ColdFile) -> None:
        """Have a copy of the object, unless there is one that is as it was written. Raises ColdFileError."""
        with suppress(OSError, ColdFileError):
            self._copies.opened(file)
            return
        if time.monotonic() < self._damaged_until.get(file.name, 0.0):
            raise ColdFileError(f"`{file.name}` was not the file that was written a moment ago")
        with self._once_a_while():
            self._fetch(file)
        try:
            self._copies.opened(file)
        except ColdFileError:
            self._damaged_until[file.name] = time.monotonic() + _PAUSE_S
            self._copies.remove(file.name)
            raise

    @contextmanager
    def in_use(self, file: ColdFile) -> Iterator[None]:
        """Keep the copy during the block, whatever else needs its room."""
        self._used[file.name] += 1
        try:
            yield
        finally:
            self._used[file.name] -= 1
            self._used += Counter()  # those of whom nobody is left

    def opened(self, file: ColdFile) -> tuple[Path, FileState]:
        """The copy of the object. Raises ColdFileError, and OSError where there is none."""
        self._read_at[file.name] = time.time()
        return self._copies.opened(file)

    def remove(self, name: str) -> None:
        """Remove the object, and this host's copy."""
        self._forget_copy(name)
        if not name.endswith(UNFINISHED):
            self._bucket.remove(name)

    def names(self) -> list[StoredName]:
        """The objects, and what is being written here."""
        drafts = [one for one in self._copies.names() if one.name.endswith(UNFINISHED)]
        return [StoredName(one.name, one.age_s) for one in self._bucket.objects()] + drafts

    def retain(self, names: Collection[str]) -> None:
        """Remove this host's copies of all other files, and what is left of those that were begun."""
        for one in self._copies.names():
            done_with = one.age_s > _ABANDONED_S if is_draft(one.name) else one.name not in names
            if done_with:
                self._forget_copy(one.name)

    def end_uploads(self) -> None:
        """Remove what uploads have left that were broken off a day ago."""
        self._bucket.end_uploads()

    def _fetch(self, file: ColdFile) -> None:
        """Have a copy of an object, under its name when it is complete."""
        unfinished = f"{file.name}.{secrets.token_hex(4)}"
        path = self._copies.draft(unfinished)
        try:
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as into:
                for data in self._data(file.name, file.bytes):
                    into.write(data)
            with self._room:
                self._make_room(file.name, file.bytes)
                path.rename(self._copies.path(file.name))
        finally:
            path.unlink(missing_ok=True)

    def _data(self, name: str, size: int | None) -> Iterator[bytes]:
        opened = self._bucket.open(name, size, ahead=_FETCH_BYTES)
        if opened is None:
            raise FileNotFoundError(ENOENT, "no such object, or one of another size", name)
        with opened as file:
            while data := file.read(_FETCH_BYTES):
                yield data

    def _make_room(self, kept: str, size: int) -> None:
        """Remove the copies that were read longest ago, but for `kept` and those that are being read, until `size`
        bytes more find room.
        """
        found = sorted(
            (self._read_at.get(path.name, state.st_mtime), state.st_size, path)
            for path in self._copies.folder.glob(_NAMES)
            if path.suffix != UNFINISHED and path.name != kept
            for state in _stats(path)
        )
        room = self._copies_bytes - size - sum(bytes_ for _, bytes_, _ in found)
        for _, bytes_, path in found:
            if room >= 0:
                return
            if not self._used[path.name]:
                self._forget_copy(path.name)
                room += bytes_

    def _forget_copy(self, name: str) -> None:
        self._read_at.pop(name, None)
        self._copies.remove(name)

    @contextmanager
    def _once_a_while(self) -> Iterator[None]:
        """Refuse at once for a while after the store has failed."""
        if time.monotonic() < self._silent_until:
            raise OSError(None, "the store of calls did not answer a moment ago")
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError:
            self._silent_until = time.monotonic() + _PAUSE_S
            raise


def open_files(settings: Settings, ledger: UUID) -> ColdFiles:
    """Where the settings say that the files of calls are, of the ledger with this id.

    Raises OperatorError when that cannot be. What is in it is ours: a shared folder or bucket has one of its own for
    each ledger.
    """
    if settings.cold is None:
        return ColdFolder(settings.cold_folder)
    if not settings.cold.startswith("s3:"):
        return ColdFolder(Path(settings.cold) / str(ledger))
    bucket = ObjectBucket(settings.cold, str(ledger), setting="CALLEDGER_COLD", whose="calls")
    return ColdBucket(bucket, settings.cold, settings.cold_folder / "copies", settings.cold_copies_mb * 2**20)


def is_draft(name: str) -> bool:
    """Whether a file of ours has this name while it is written or fetched."""
    return name.endswith(UNFINISHED) and _NAME.fullmatch(name) is not None


def _digest(path: Path) -> str:
    """The SHA-256 of a file, and of no pipe, which nobody would write to. Raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(EINVAL, "no file", path.name)
        return file_digest(file, "sha256").hexdigest()


def _stats(path: Path) -> Iterator[os.stat_result]:
    """What a file is like; nothing of one that is gone."""
    with suppress(FileNotFoundError):
        yield path.stat()


def _written(path: Path) -> Iterator[float]:
    for state in _stats(path):
        yield state.st_mtime


def _state(path: Path) -> FileState:
    found = path.stat()
    return found.st_size, found.st_ctime_ns, found.st_ino  # a time that nobody can set
