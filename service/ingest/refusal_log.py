"""What was refused, where an operator looks: one log line, a metric, and counts on record that `ingestReport` reads.

Counts by hour, source, reason and account; nothing of what was refused.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import asyncpg

from policies import Source
from service.access.principal import Principal
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.metrics import count_refused
from service.ingest.refusals import Refusal
from service.logs import get_logger
from service.storage.control.refusals import NO_ACCOUNT, RefusalCount, add_refusals
from service.storage.sources import SOURCE_NUMBERS
from service.tasks import set_within

log = get_logger()

_CountKey = tuple[datetime, int, int, str]

_EVERY_S: Final = 1.0
_PATIENCE_S: Final = 2.0
_TIMEOUT_S: Final = 10.0
_COUNTS_MAX: Final = 10_000
"""Further accounts are counted without their name while the database is away."""


class RefusalLog:
    """Counts refusals of one process, and puts them on record. `start` it before, `close` it after use."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._counts: Counter[_CountKey] = Counter()
        self._counted = asyncio.Event()
        self._urgent = asyncio.Event()
        self._written = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run(), name="calledger refusals")

    async def close(self) -> None:
        """Write what is counted, and end."""
        self._closing = True
        self._counted.set()
        self._urgent.set()
        if self._task is not None:
            await self._task

    def refuse_request(self, source: Source, principal: Principal | None, reason: Refusal, **fields: object) -> None:
        """Count a request that was refused as a whole; how many calls it held is unknown. `fields` are logged."""
        log.warning("a report was refused", source=source, refusal=reason.value, key_id=_key_of(principal), **fields)
        self._count(source, principal, {reason: 1})

    async def refuse_rows(self, source: Source, principal: Principal, reasons: Counter[Refusal], *, of: int) -> None:
        """Count the rows of one request that were refused, by reason, of how many; and wait until that is on record, or
        for two seconds.
        """
        by_name = {reason.value: count for reason, count in sorted(reasons.items())}
        facts = {"source": source, "key_id": _key_of(principal), "rows": of, "refused": reasons.total()}
        log.warning("calls were refused", **facts, **by_name)
        self._count(source, principal, reasons)
        if self._task is not None:
            written = self._written
            self._urgent.set()
            await set_within(written, _PATIENCE_S)

    def _count(self, source: Source, principal: Principal | None, reasons: Mapping[Refusal, int]) -> None:
        hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        for reason, count in reasons.items():
            count_refused(source, reason, count)
            key = (hour, _account_of(principal), SOURCE_NUMBERS[source], reason.value)
            if len(self._counts) >= _COUNTS_MAX and key not in self._counts:
                key = (hour, NO_ACCOUNT, SOURCE_NUMBERS[source], reason.value)
            self._counts[key] += count
        self._counted.set()

    async def _run(self) -> None:
        while True:
            if not self._counts:
                if self._closing:
                    return
                self._counted.clear()
                await self._counted.wait()
                continue
            await set_within(self._urgent, _EVERY_S)
            self._urgent.clear()
            if await self._write():
                continue
            if self._closing:
                log.error("refused calls are not on record: the database is away", refused=self._counts.total())
                return
            await asyncio.sleep(_EVERY_S)

    async def _write(self) -> bool:
        """Put what is counted on record; whether that was done. What was not stays counted."""
        counts, self._counts = self._counts, Counter()
        written, self._written = self._written, asyncio.Event()
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._pool.acquire() as connection:
                await add_refusals(connection, [RefusalCount(*key, count) for key, count in counts.items()])
        except DATABASE_FAULTS as error:
            log.warning("refused calls are not on record yet", error=type(error).__name__)
            self._counts.update(counts)
            return False
        finally:
            written.set()
        return True


def _account_of(principal: Principal | None) -> int:
    """The account whose report it was, where the key tells: what the report itself says may be what was wrong."""
    accounts = () if principal is None else principal.accounts or ()
    return accounts[0] if len(accounts) == 1 else NO_ACCOUNT


def _key_of(principal: Principal | None) -> str | None:
    return None if principal is None else principal.key_id
