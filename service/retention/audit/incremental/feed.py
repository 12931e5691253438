"""The change feed, block by block: what of it is as it was in an earlier run is left out."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import asyncpg

from policies.policy.model import Store
from service.query.records.feed.check import check_feed
from service.retention.audit.incremental.run import FsckRun
from service.storage.cold.catalogue import FrozenTimes

_CHECK = "feed"


class _Memory:
    """The results of earlier runs about the feed."""

    def __init__(self, run: FsckRun) -> None:
        self._run = run
        self.seed = run.results.seed

    async def recall(self, part: str, state: str) -> str | None:
        """What an earlier run kept of the part in this state."""
        return await self._run.results.recall(_CHECK, part, state)

    async def keep(self, part: str, state: str, result: str) -> None:
        """Keep what this run found."""
        await self._run.results.keep(_CHECK, part, state, result)

    async def calls_state(self, tier: int, since: datetime, until: datetime) -> str:
        """The states of the partitions of these calls."""
        states = await self._run.states()
        parts = await self._run.partitions(Store.CALL)
        return "; ".join(
            states.of(part) for part in parts if part.tier == tier and part.start <= until and part.end > since
        )


async def check_changes(run: FsckRun) -> tuple[list[str], str]:
    """What is wrong with the feed, in words, and what was looked at."""
    owner, results = run.context.owner, run.results
    parts, frozen = await run.partitions(Store.CALL), await FrozenTimes.read(owner)
    if not results.stored:
        return await settled(owner, frozen, lambda frozen: check_feed(owner, run.context.policy(), parts, frozen))
    wrong, looked_at = await settled(
        owner, frozen, lambda frozen: check_feed(owner, run.context.policy(), parts, frozen, _Memory(run))
    )
    await results.end(_CHECK)
    return wrong, f"{looked_at}; {results.said(_CHECK, 'blocks of it and partitions')}"


async def settled(
    owner: asyncpg.Pool, frozen: FrozenTimes, check: Callable[[FrozenTimes], Awaitable[tuple[list[str], str]]]
) -> tuple[list[str], str]:
    """What a check finds that no calls moved beside: one that found something while calls moved to files, or came back,
    is done again with the times of which they are in files by then.
    """
    while True:
        wrong, looked_at = await check(frozen)
        now = await FrozenTimes.read(owner)
        if not wrong or {*now.times} == {*frozen.times}:
            return wrong, looked_at
        frozen = now
