"""Private files: written completely or not at all, read only when nobody else can read them, and destroyed as far as a
file can be.
"""

import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Final

from service.disk import sync
from service.keyring.errors import KeyringExposedError

_FILE_BYTES_MAX: Final = 64 * 1024
SCRATCH_PREFIX: Final = ".new-"


def path_of_url(url: str) -> Path | None:
    """The path of `file:PATH` or `file:///PATH`, with `~` opened; None for anything else."""
    scheme, _, rest = url.partition(":")
    return Path(rest.removeprefix("//")).expanduser() if scheme == "file" and rest else None


def make_directory(path: Path) -> None:
    """Make a directory of mode 0700 and its missing parents, so that they outlast a power cut."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    sync(path.parent)


def check_private_directory(path: Path) -> None:
    """`KeyringExposedError` unless the directory is its owner's alone, and the owner is this process's user."""
    status = path.stat()
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise KeyringExposedError(f"others can enter the keyring `{path}`: chmod 700 it")
    # Root is refused, too: it would write files that the owner cannot read.
    if os.geteuid() != status.st_uid:
        raise KeyringExposedError(f"the keyring `{path}` belongs to user {status.st_uid}: run as that user")


def read_private(path: Path | str) -> bytes:
    """The bytes of a file of mode 0600; `FileNotFoundError` if absent, `KeyringExposedError` if others can read it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            raise KeyringExposedError(f"others can read `{path}`: chmod 600 it")
        return os.read(descriptor, _FILE_BYTES_MAX)
    finally:
        os.close(descriptor)


def publish(path: Path, content: bytes, *, scratch: Path) -> bool:
    """Write a file of mode 0600 that appears complete, and only if none exists. Returns whether it was written.

    `scratch` is a directory on the same file system for the unfinished file; in a keyring, the caller holds its lock.
    link(2) never replaces, so that of two processes that publish at the same time one wins, and both read the winner's.
    """
    unfinished = scratch / f"{SCRATCH_PREFIX}{token_hex(8)}"
    _write_new(unfinished, content)
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return False
    finally:
        unfinished.unlink()
    sync(path.parent)
    return True


def replace(path: Path, content: bytes, *, scratch: Path) -> None:
    """Replace a file of mode 0600: a reader sees the old content or the new, never a part.

    The old content is overwritten as far as that helps: see `erase`.
    """
    unfinished = scratch / f"{SCRATCH_PREFIX}{token_hex(8)}"
    _write_new(unfinished, content)
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        unfinished.rename(path)
        sync(path.parent)
        with suppress(OSError):
            os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
    finally:
        os.close(descriptor)


def erase(path: Path) -> bool:
    """Overwrite and unlink a file; the caller syncs its directory. Returns whether it existed.

    Overwriting helps on file systems that write in place, and not on others: a key is finally destroyed when its
    copies, and those of the key-encryption key, have expired.
    """
    # A full or odd disk may refuse to overwrite; the file is removed all the same.
    with suppress(OSError):
        _overwrite(path)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def append(path: Path, content: bytes, *, at: int) -> None:
    """Cut the file at byte `at`, write `content` there and wait until it is on disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, at)
        view = memoryview(content)
        while view:
            written = os.pwrite(descriptor, view, at)
            view, at = view[written:], at + written
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock of this file against other processes and other threads of this one; waits for it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _overwrite(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
