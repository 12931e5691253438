"""Locks between processes that end with their holder, by flock(2)."""

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock on `path`, a file that exists only for this. Its methods never wait: callers try again.

    Children of the holder do not inherit it, so it shows whether the holder itself lives.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_exclusive(self) -> bool:
        """Take the lock alone, and write our process id to the file; False when another process has it."""
        if not self._try(fcntl.LOCK_EX):
            return False
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return True

    def try_shared(self) -> bool:
        """Take the lock together with other sharers; False when a process has it alone."""
        return self._try(fcntl.LOCK_SH)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def release(self) -> None:
        """Release the lock; nothing happens when it isn't held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> str:
        """The process id that the last exclusive holder wrote to the file; `unknown` without one."""
        try:
            return self.path.read_text().strip() or "unknown"
        except OSError:
            return "unknown"

    def _try(self, kind: int) -> bool:
        assert self._descriptor is None, "a lock is taken once"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True
