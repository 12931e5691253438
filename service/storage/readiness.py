"""Whether the service can do its work now: the database answers, and what is reported can be written to it."""

import os
import time
from pathlib import Path
from typing import Final

import asyncpg

from service.logs import get_logger

log = get_logger()

_AGE_MAX_S: Final = 1.0
_TIMEOUT_S: Final = 2.0
_FREE_BYTES_MIN: Final = 32 * 2**20
# This writes a record to the write-ahead log only, which is flushed with the commit.
_WRITE: Final = "SELECT pg_logical_emit_message(true, 'calledger', 'ready')"


class Readiness:
    """Whether the service is ready, checked at most once a second, because anybody may ask and a check waits for the
    disk.

    `data` is the directory of the embedded database; None when the operator runs the database.
    """

    def __init__(self, pool: asyncpg.Pool, data: Path | None) -> None:
        self._pool = pool
        self._data = data
        self._looked_at = -_AGE_MAX_S
        self._missing: str | None = None

    async def missing(self) -> str | None:
        """What keeps the service from being ready, in words; None when it is ready."""
        if time.monotonic() - self._looked_at >= _AGE_MAX_S:
            self._looked_at = time.monotonic()
            self._missing = await self._look()
        return self._missing

    async def _look(self) -> str | None:
        if self._data is not None and free_bytes(self._data) < _FREE_BYTES_MIN:
            log.error("not ready", error="the disk is full")
            return "the disk of the database is full"
        try:
            if await self._pool.fetchval("SHOW transaction_read_only", timeout=_TIMEOUT_S) == "on":
                log.error("not ready", error="read-only")
                return "the database is read-only"
            await self._pool.execute(_WRITE, timeout=_TIMEOUT_S)
        except asyncpg.InsufficientResourcesError:
            log.exception("not ready")
            return "the database cannot be written"
        except Exception:
            log.exception("not ready")
            return "the database does not answer"
        return None


def free_bytes(folder: Path) -> int:
    """The free bytes of the file system that the directory is on."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize
