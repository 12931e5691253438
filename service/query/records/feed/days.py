"""The calls of each day against the positions of the feed: no call is without its position, and none has two.

A sum of hashes by day of the calls' start is made of both sides, under a seed that nobody knows beforehand. A day
whose sums differ, because of damage or of what was written meanwhile, is compared id by id, in one statement. So memory
depends on the number of days, and not on that of calls.
"""

import secrets
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, LiteralString, NamedTuple, TypeVar

import asyncpg
import msgspec

from policies.policy.model import Policy, Store
from policies.retention import EPOCH, Partition, cutoff
from service.query.records.feed.checked_blocks import BLOCK, FeedMemory
from service.query.records.feed.positions import AHEAD, Wrong
from service.storage.citus.settling import fetch_differences

_NAMED: Final = 6
_DAY: Final = timedelta(days=1)

_UNPACKED: Final[LiteralString] = """
    SELECT change.account_id, change.tier, change.kind, raw.id, raw.day
    FROM {rows} AS change
    CROSS JOIN generate_series(0, octet_length(change.ids) / 16 - 1) AS at
    CROSS JOIN LATERAL (SELECT encode(substr(change.ids, at * 16 + 1, 16), 'hex') AS digits) AS part
    CROSS JOIN LATERAL (
        SELECT part.digits::uuid AS id, ('x' || left(part.digits, 12))::bit(48)::bigint / 86400000 AS day
    ) AS raw
"""
"""The changes of some rows of the feed, one by one, with the day of their calls' start."""
_NUMBERED: Final[LiteralString] = "(SELECT * FROM call_change WHERE position > $1 AND position <= $2)"
"""A range of the feed."""
_POSITION_SUMS: Final[LiteralString] = f"""
SELECT tier, kind, day, count(*) AS count, sum(uuid_hash_extended(id, $3::bigint + account_id)) AS sum
FROM ({_UNPACKED.format(rows=_NUMBERED)}) AS unpacked
WHERE day BETWEEN $4 AND $5 AND kind BETWEEN 0 AND 2
GROUP BY tier, kind, day
"""  # noqa: S608 - our own text
"""The positions of a range of the feed, summed by tier, kind and day of the calls' start."""
_CALL_SUMS: Final[LiteralString] = """
SELECT (correction_of IS NOT NULL)::integer AS kind, floor(extract(epoch FROM started_at) / 86400)::bigint AS day,
    count(*) AS count, sum(uuid_hash_extended(id, $4::bigint + account_id)) AS sum,
    coalesce(sum(cardinality(digests)) FILTER (WHERE recorded_at IS NOT NULL), 0)::bigint AS completed
FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3
GROUP BY 1, 2
"""
"""The calls of a partition, summed by kind and day, and how often a later report has completed them at least."""
# What a purge took with a partition was recorded before that ended: positions of calls reported ahead of time.
_NUMBERED_OR_NEW: Final[LiteralString] = """(
    SELECT account_id, tier, kind, ids FROM call_change
    WHERE tier = $1 AND recorded_at >= $2::timestamptz - interval '2 days'
    UNION ALL SELECT account_id, tier, kind, ids FROM call_change_new WHERE tier = $1
)"""
"""The feed, and what waits for its position, since a day."""
_OF_DAY: Final[LiteralString] = f"""
WITH feed AS (
    SELECT account_id, id, count(*) FILTER (WHERE kind = 0) AS calls, count(*) FILTER (WHERE kind = 1) AS corrections,
        count(*) FILTER (WHERE kind = 2) AS completions
    FROM ({_UNPACKED.format(rows=_NUMBERED_OR_NEW)}) AS unpacked WHERE day = $4
    GROUP BY account_id, id
), stored AS (
    SELECT account_id, id, (correction_of IS NOT NULL)::integer AS correction, recorded_at,
        CASE WHEN recorded_at IS NULL THEN 0 ELSE coalesce(cardinality(digests), 0) END AS completed
    FROM call WHERE tier = $1 AND started_at >= $2 AND started_at < $3
)
SELECT account_id, id, coalesce(calls + corrections, 0) AS positions, coalesce(completions, 0) AS completions,
    stored.completed
FROM stored LEFT JOIN feed USING (account_id, id)
WHERE (coalesce(calls, 0) <> 1 - correction OR coalesce(corrections, 0) <> correction
        OR coalesce(completions, 0) < stored.completed)
    AND coalesce(recorded_at >= $5, true)
ORDER BY account_id, id
LIMIT $6
"""  # noqa: S608 - our own text
"""The calls of one tier and day that have not exactly one position, or too few for their completions."""


_PositionSum = tuple[int, int, int, int, str]
"""Tier, kind, day, number and sum of some positions."""
_CallSum = tuple[int, int, int, str, int]
"""Kind, day, number and sum of some calls, and how often they were completed."""
_Sum = TypeVar("_Sum", _PositionSum, _CallSum)


class _Day(NamedTuple):
    tier: int
    number: int

    @property
    def start(self) -> datetime:
        """Midnight, UTC."""
        return EPOCH + self.number * _DAY


class FeedDays:
    """A comparison of calls and positions by day. `calls`: how many were summed; `compared`: days seen id by id."""

    def __init__(
        self,
        owner: asyncpg.Pool,
        policy: Policy,
        now: datetime,
        memory: FeedMemory | None = None,
        digests: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """`memory` has sums of blocks, whose states are in `digests`, and of partitions."""
        self._owner = owner
        self._policy = policy
        self._now = now
        self._memory = memory
        self._digests = digests
        self._seed = secrets.randbelow(2**62) if memory is None else memory.seed
        self.wrong: list[Wrong] = []
        self.calls = self.compared = 0

    async def compare(self, partitions: Sequence[Partition], head: int) -> None:
        """Compare the calls of these partitions with the positions up to `head`, and those that came since."""
        numbered = await self._numbered(head)
        # The oldest day may be gone by half, and what is past the window is not asked for.
        oldest: dict[int, datetime] = {}
        for part in sorted(partitions, key=lambda part: part.start):
            first = oldest.setdefault(part.tier, part.start)
            for kind, number, count, total, completed in await self._summed_calls(part):
                self.calls += count
                day = _Day(part.tier, number)
                numbered[day][kind] -= count
                numbered[day][2] -= completed
                numbered[day][3] -= int(Decimal(total))
            days = [day for day in numbered if day.tier == part.tier and part.start <= day.start < part.end]
            for day in sorted(days):
                calls, corrections, completions, sums = numbered.pop(day)
                if calls or corrections or sums or completions < 0:
                    await self._compare_day(day, first)

    async def _numbered(self, head: int) -> dict[_Day, list[int]]:
        """Of each day: positions of calls, of corrections and of completions, and the sum of the first two."""
        numbered: dict[_Day, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        newest = (self._now + AHEAD - EPOCH) // _DAY
        for lower in range(0, head, BLOCK):
            upper = min(lower + BLOCK, head)
            for tier, kind, number, count, total in await self._summed_positions(lower, upper, newest):
                day = numbered[_Day(tier, number)]
                day[kind] += count
                day[3] += int(Decimal(total)) if kind < 2 else 0
        return numbered

    async def _summed_positions(self, lower: int, upper: int, newest: int) -> Sequence[_PositionSum]:
        """The positions of a block, summed: read, or as they were summed in this state."""

        async def read() -> list[_PositionSum]:
            """Sum them now."""
            rows = await self._owner.fetch(_POSITION_SUMS, lower, upper, self._seed, 0, newest)
            return [(row["tier"], row["kind"], row["day"], row["count"], str(row["sum"])) for row in rows]

        return await self._remembered(f"sums {upper}", self._digests.get(upper), read, list[_PositionSum])

    async def _summed_calls(self, part: Partition) -> Sequence[_CallSum]:
        """The calls of a partition, summed: read, or as they were summed in this state."""

        async def read() -> list[_CallSum]:
            """Sum them now."""
            rows = await self._owner.fetch(_CALL_SUMS, part.tier, part.start, part.end, self._seed)
            return [(row["kind"], row["day"], row["count"], str(row["sum"]), row["completed"]) for row in rows]

        state = None
        if self._memory is not None:
            state = await self._memory.calls_state(part.tier, part.start, part.end - timedelta(microseconds=1))
        return await self._remembered(f"calls {part.name}", state, read, list[_CallSum])

    async def _remembered(
        self, part: str, state: str | None, read: Callable[[], Awaitable[list[_Sum]]], form: type[list[_Sum]]
    ) -> list[_Sum]:
        if self._memory is None or state is None:
            return await read()
        known = await self._memory.recall(part, state)
        if known is not None:
            return msgspec.json.decode(known, type=form)
        sums = await read()
        await self._memory.keep(part, state, msgspec.json.encode(sums).decode())
        return sums

    async def _compare_day(self, day: _Day, oldest: datetime) -> None:
        start = max(day.start, cutoff(self._policy, day.tier, Store.CALL, self._now))
        if start >= day.start + _DAY:
            return
        self.compared += 1
        values = (day.tier, start, day.start + _DAY, day.number, oldest, _NAMED)
        for row in await fetch_differences(self._owner, _OF_DAY, *values):
            name = f"call `{row['id']}` of account {row['account_id']}"
            if row["positions"] == 1 and row["completions"] < row["completed"]:
                text = f"{name} was completed {row['completed']} times, and has {row['completions']} positions for that"
            else:
                text = f"{name} has {row['positions'] or 'no'} positions in the feed instead of one"
            self.wrong.append(Wrong(row["account_id"], text))
