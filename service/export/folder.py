"""The files of exports in a folder: 0600 in a folder of 0700, named by id, and never reached through a link.

    DATA/exports/<id in hex>        a complete file, on disk before its export is ready
    DATA/exports/<id in hex>.part   one that is being written

The names are made here, of ids on record; what is in the folder besides is removed.
"""

import contextlib
import os
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from service.export.counted_file import CountedFile

NAME: Final = "exports"
_PART: Final = ".part"


class Draft(CountedFile):
    """A file that is being written; under its own name only after `keep`."""

    def __init__(self, folder: int, id_: UUID) -> None:
        self._folder = folder
        self._name = id_.hex
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        super().__init__(os.fdopen(os.open(self._name + _PART, flags, 0o600, dir_fd=folder), "wb"))

    def keep(self) -> None:
        """Give the file its name; on disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())
        os.rename(self._name + _PART, self._name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)

    def close(self) -> None:
        """Let go of the file; what was not kept is gone."""
        with contextlib.suppress(OSError):  # what is still to be written is thrown away
            self._file.close()
        _remove(self._folder, self._name + _PART)


class ExportFolder:
    """One folder of exports. Every method raises OSError, and waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def draft(self, id_: UUID) -> Iterator[Draft]:
        """A new file."""
        with self._open() as folder:
            draft = Draft(folder, id_)
            try:
                yield draft
            finally:
                draft.close()

    def open(self, id_: UUID, size: int) -> BinaryIO | None:
        """The complete file of `size` bytes, to be read; None when it is absent or has another size."""
        with self._open() as folder:
            try:
                file = os.open(id_.hex, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError:
                return None
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_size != size:
            os.close(file)
            return None
        return os.fdopen(file, "rb")

    def remove(self, id_: UUID) -> None:
        """Remove the export's file. It does not matter whether there is one."""
        with self._open() as folder:
            _remove(folder, id_.hex)

    def names(self) -> list[str]:
        """What is in the folder."""
        with self._open() as folder, os.scandir(folder) as found:
            return [entry.name for entry in found]

    def sweep(self, names: Collection[str], kept: Collection[UUID]) -> None:
        """Remove those of `names` that belong to none of `kept`. Ask for the names first, and then what is kept."""
        known = {name for id_ in kept for name in (id_.hex, id_.hex + _PART)}
        with self._open() as folder:
            for name in set(names) - known:
                _remove(folder, name)

    @contextmanager
    def _open(self) -> Iterator[int]:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchmod(folder, 0o700)
            yield folder
        finally:
            os.close(folder)


def _remove(folder: int, name: str) -> None:
    """Remove a file or a link. A folder of that name is left: we make none."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        os.unlink(name, dir_fd=folder)
