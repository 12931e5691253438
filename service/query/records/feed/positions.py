"""The positions of the change feed, one after the other: none is missing, doubled or out of order, and each leads to
its call. Some thousand changes are in memory at a time.
"""

import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, NamedTuple
from uuid import UUID

import asyncpg

from policies.policy.model import Policy, Store
from policies.retention import cutoff
from service.logs import get_logger
from service.query.records.feed.checked_blocks import BLOCK, DIGEST, Block, FeedMemory, block_of
from service.storage.cold.catalogue import FrozenTimes
from service.storage.connection import one_row
from service.storage.ids import from_milliseconds
from service.storage.statements.changes import ID_BYTES, ChangeKind

Row = Any

STRETCH: Final = 5_000
"""Changes that are looked at together."""
_GROWTH: Final = 8
_WRONG_MAX: Final = 1_000
_NAMED: Final = 6
_TICK: Final = timedelta(microseconds=1)
AHEAD: Final = timedelta(days=2)
"""A call is reported a day before it starts at the earliest."""
_SAY_EVERY_S: Final = 10.0

log = get_logger()

_HEAD: Final[LiteralString] = """
SELECT
    head.position,
    ARRAY(
        SELECT change.position FROM call_change AS change
        WHERE change.position > head.position OR change.recorded_at > head.recorded_at
        ORDER BY change.position LIMIT 6
    ) AS beyond
FROM change_head AS head
"""
"""The newest position, and what claims to be newer."""
_ROWS: Final[LiteralString] = """
SELECT position, recorded_at, account_id, tier, kind, ids FROM call_change
WHERE position > $1 AND position <= $2
ORDER BY position, account_id
"""
"""The rows of a range of the feed."""
_CALLS: Final[LiteralString] = """
SELECT wanted.number, call.id, call.recorded_at, call.correction_of IS NOT NULL AS correction
FROM unnest($1::integer[], $2::timestamptz[], $3::uuid[])
    WITH ORDINALITY AS wanted (account_id, started_at, id, number)
JOIN call ON call.account_id = wanted.account_id AND call.started_at = wanted.started_at AND call.id = wanted.id
WHERE call.tier = $4 AND call.started_at >= $5 AND call.started_at <= $6
"""
"""The calls of some changes of one tier, between their first and last start."""


class Wrong(NamedTuple):
    """What is wrong, and of which account; None where it is of no single one."""

    account_id: int | None
    text: str


class FeedChange(NamedTuple):
    """A change as its row in the feed has it. `started_at` is None where the id names no time."""

    account_id: int
    tier: int
    kind: int
    id: bytes
    started_at: datetime | None
    position: int
    recorded_at: datetime

    def __str__(self) -> str:
        return f"position {self.position} of account {self.account_id}"


class FeedPositions:
    """A walk along the feed up to its newest position at the start.

    With a `memory`, blocks that are as they were in an earlier walk, and lead to calls that are, are left out.

    `wrong`: what was found, a thousand at most; `gaps`: the newest ranges that have no row, as (after, until),
    and `gone`, how many positions these and all others are; `checked_until`: the newest position.
    """

    def __init__(
        self, owner: asyncpg.Pool, policy: Policy, now: datetime, frozen: FrozenTimes, memory: FeedMemory | None = None
    ) -> None:
        self._owner = owner
        self._frozen = frozen
        self._memory = memory
        self._spans: dict[int, tuple[datetime, datetime]] = {}
        self.digests: dict[int, str] = {}
        """The states of whole blocks, by their last position."""
        self._policy = policy
        self._now = now
        self._reached = 0
        self._newest: datetime | None = None
        self._said_at = time.monotonic()
        self.checked_until = 0
        self.wrong: list[Wrong] = []
        self.gaps: deque[tuple[int, int]] = deque(maxlen=_NAMED)
        self.gone = self.changes = self.past = self.in_files = 0

    async def walk(self) -> None:
        """Look at every row, in the order of positions."""
        head = await one_row(self._owner, _HEAD)
        self.checked_until = head["position"]
        for position in head["beyond"]:
            self._add(None, f"position {position} of the feed is newer than the newest that was given")
        for lower in range(0, self.checked_until, BLOCK):
            if self._memory is None or lower + BLOCK > self.checked_until:
                await self._walk(lower, min(lower + BLOCK, self.checked_until))
            else:
                await self._walk_or_recall(self._memory, lower, lower + BLOCK)
        self._pass_to(self.checked_until)

    async def _walk_or_recall(self, memory: FeedMemory, lower: int, upper: int) -> None:
        digest: str = await self._owner.fetchval(DIGEST, lower, upper, memory.seed)
        self.digests[upper] = digest
        part, state = f"positions {upper}", f"{self._reached}; {self._newest}; {digest}"
        known = await memory.recall(part, state)
        if known is not None and await self._pass_over(memory, block_of(known)):
            return
        wrong, before = len(self.wrong), Block(changes=self.changes, in_files=self.in_files, gone=self.gone)
        self._spans.clear()
        await self._walk(lower, upper)
        if len(self.wrong) > wrong or wrong >= _WRONG_MAX:
            return
        gone = self.gone - before.gone
        calls = {tier: (*span, await memory.calls_state(tier, *span)) for tier, span in self._spans.items()}
        gaps = [gap for gap in self.gaps if gap[1] > lower] if gone else []
        changes, in_files = self.changes - before.changes, self.in_files - before.in_files
        block = Block(self._reached, self._newest, changes, in_files, gone, gaps, calls)
        await memory.keep(part, state, block.text())

    async def _pass_over(self, memory: FeedMemory, block: Block) -> bool:
        """Take over what was found of a block, if the calls that it leads to are as they were."""
        for tier, (since, until, state) in block.calls.items():
            if await memory.calls_state(tier, since, until) != state:
                return False
        self._reached, self._newest = block.reached, block.newest
        self.changes += block.changes
        self.in_files += block.in_files
        self.gone += block.gone
        self.gaps.extend(block.gaps)
        return True

    async def _walk(self, lower: int, until: int) -> None:
        width = STRETCH
        while lower < until:
            upper = min(lower + width, until)
            rows = await self._owner.fetch(_ROWS, lower, upper)
            changes = [change for row in rows if self._is_in_order(row) for change in changes_of(row)]
            self.changes += len(changes)
            await self._look_up(changes)
            lower, width = upper, STRETCH if rows else width * _GROWTH
            self._say(lower)

    def _add(self, account_id: int | None, text: str) -> None:
        if len(self.wrong) < _WRONG_MAX:
            self.wrong.append(Wrong(account_id, text))

    def _say(self, position: int) -> None:
        if time.monotonic() - self._said_at > _SAY_EVERY_S:
            self._said_at = time.monotonic()
            log.info("the change feed is being checked", position=position, of=self.checked_until)

    def _pass_to(self, position: int) -> None:
        """Note the positions between the last row and this position, which have none."""
        if position > self._reached:
            self.gaps.append((self._reached, position))
            self.gone += position - self._reached

    def _is_in_order(self, row: Row) -> bool:
        """Whether a row holds whole changes; says what is wrong with it, and with its order."""
        position, size, kind = row["position"], len(row["ids"]), row["kind"]
        name = f"position {position} of account {row['account_id']}"
        if not size or size % ID_BYTES or kind not in set(ChangeKind):
            self._add(row["account_id"], f"{name} holds no whole changes")
            return False
        before = position - size // ID_BYTES
        if before < self._reached:
            self._add(row["account_id"], f"{name} begins at {before + 1}, and {self._reached} is taken")
        self._pass_to(before)
        if self._newest is not None and row["recorded_at"] < self._newest:
            self._add(row["account_id"], f"{name} was recorded before the position before it")
        self._reached, self._newest = position, max(row["recorded_at"], self._newest or row["recorded_at"])
        return True

    async def _look_up(self, changes: Sequence[FeedChange]) -> None:
        by_tier: dict[int, list[FeedChange]] = {}
        for change in changes:
            if (moment := change.started_at) is not None:
                first, last = self._spans.get(change.tier, (moment, moment))
                self._spans[change.tier] = min(first, moment), max(last, moment)
            if change.started_at is None or change.started_at > self._now + AHEAD:
                self._add(change.account_id, f"{change} is of a call that starts in the future")
            elif change.started_at < cutoff(self._policy, change.tier, Store.CALL, self._now):
                self.past += 1
            elif self._frozen.touch(change.tier, change.started_at, change.started_at + _TICK):
                self.in_files += 1
            else:
                by_tier.setdefault(change.tier, []).append(change)
        for tier, of_tier in by_tier.items():
            for at in range(0, len(of_tier), STRETCH):
                await self._compare(tier, of_tier[at : at + STRETCH])

    async def _compare(self, tier: int, changes: Sequence[FeedChange]) -> None:
        """Each of these changes, of one tier and within its window, has its call, recorded before it."""
        found = await calls_of(self._owner, tier, changes)
        for number, change in enumerate(changes, 1):
            call = found.get(number)
            if call is None:
                self._add(change.account_id, f"{change} is of call `{UUID(bytes=change.id)}`, which is not there")
            elif call["correction"] != (change.kind == ChangeKind.CORRECTION):
                self._add(
                    change.account_id, f"{change} takes call `{UUID(bytes=change.id)}` for another kind of change"
                )
            elif call["recorded_at"] is not None and call["recorded_at"] > change.recorded_at:
                self._add(change.account_id, f"{change} was recorded before its call `{UUID(bytes=change.id)}` was")


async def calls_of(owner: asyncpg.Pool, tier: int, changes: Sequence[FeedChange]) -> dict[int, Row]:
    """The calls of some changes of one tier, by the change's number, from 1: `id`, `recorded_at`, `correction`."""
    moments = [change.started_at for change in changes if change.started_at is not None]
    ids, accounts = [change.id.hex() for change in changes], [change.account_id for change in changes]
    if len(moments) < len(changes) or not changes:
        return {}
    rows = await owner.fetch(_CALLS, accounts, moments, ids, tier, min(moments), max(moments))
    return {row["number"]: row for row in rows}


def changes_of(row: Row) -> list[FeedChange]:
    """The changes that a row of the feed holds."""
    account, tier, kind, recorded_at = row["account_id"], row["tier"], row["kind"], row["recorded_at"]
    ids: bytes = row["ids"]
    first = row["position"] - len(ids) // ID_BYTES + 1
    return [
        FeedChange(
            account, tier, kind, ids[at : at + ID_BYTES], _started_at(ids[at : at + 6]), first + index, recorded_at
        )
        for index, at in enumerate(range(0, len(ids), ID_BYTES))
    ]


def _started_at(raw: bytes) -> datetime | None:
    """When the call of an id started, which the id begins with."""
    try:
        return from_milliseconds(int.from_bytes(raw, "big"))
    except OverflowError:
        return None
