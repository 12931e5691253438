"""What each API key may still spend, by time, in all processes of all services on the database.

The database has the level of a key. A process spends from what it remembers of it, and settles with the database at
latest when it has spent a 64th of the capacity, and behind that every second. So no number of processes multiplies a
budget: each can overdraw it by a 64th, which is paid back.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

from service.logs import get_logger
from service.storage.database import Database
from service.storage.errors import DatabaseUnavailableError, is_unavailable
from service.storage.shared.key_spending import settle

log = get_logger()

UNSETTLED_SHARE: Final = 64
SETTLE_EVERY_S: Final = 1.0
ASK_AGAIN_S: Final = 0.05
"""For so long a refusal of the database is taken for its next answer too."""
_KEYS_MAX: Final = 10_000

Settle = Callable[[float, float], Awaitable[tuple[float, bool]]]
"""Takes what was spent, and what is asked for if there is as much; the level then, and whether there was."""


class Bucket:
    """A token bucket of cost, as far as this process knows it. A capacity of 0 sets no limit.

    Without `settle` it is this process's alone.
    """

    __slots__ = (
        *("_alone", "_filled_at", "_level", "_refused_until", "_settle", "_turn", "_unsettled"),
        *("capacity", "per_second", "restore_rate"),
    )

    def __init__(self, capacity: int, settle: Settle | None = None) -> None:
        self.capacity = capacity
        self.per_second = capacity / 60
        self.restore_rate = round(self.per_second, 3)
        self._level = float(capacity)
        self._filled_at = time.monotonic()
        self._settle = settle
        self._unsettled = 0.0
        # A bucket that is new here may have been spent from elsewhere: its first cost is asked for.
        self._alone = 0.0
        self._refused_until = 0.0
        self._turn: asyncio.Lock | None = None

    @property
    def available(self) -> int:
        """Cost that can be taken now, rounded down; 0 when in debt."""
        return max(0, int(self._now()))

    @property
    def overspent(self) -> bool:
        """Whether nothing at all is left."""
        return self.capacity > 0 and self._now() < 1

    @property
    def is_settled(self) -> bool:
        """Whether the database knows of all that was spent here."""
        return not self._unsettled

    async def take(self, cost: int) -> bool:
        """Whether there is enough; if so it is taken. Raises DatabaseUnavailableError."""
        capacity = self.capacity
        if not capacity:
            return True
        enough = self._now() >= min(cost, capacity)
        if self._settle is None:
            self._level -= cost if enough else 0
            return enough
        if enough and self._unsettled + cost <= self._alone:
            self._spend(cost)
            return True
        return await self._asked(cost)

    async def settled(self) -> None:
        """Tell the database what was spent. Raises DatabaseUnavailableError."""
        await self._asked(0)

    def spend(self, cost: int) -> None:
        """Take what cannot be refused any more, and go into debt for it, by what a minute restores at most."""
        if self.capacity:
            self._now()
            self._spend(cost)

    def give_back(self, cost: int) -> None:
        """What was taken and not spent."""
        if self.capacity:
            self._spend(-cost)

    def seconds_until(self, cost: int) -> float:
        """Until `cost` can be taken."""
        missing = min(cost, self.capacity) - self._now()
        return max(0.0, missing / self.per_second) if self.capacity else 0.0

    def _spend(self, cost: float) -> None:
        self._level = max(-self.capacity, min(self.capacity, self._level - cost))
        self._unsettled += cost if self._settle is not None else 0

    def _now(self) -> float:
        now = time.monotonic()
        level = self._level = min(self.capacity, self._level + (now - self._filled_at) * self.per_second)
        self._filled_at = now
        return level

    async def _asked(self, cost: int) -> bool:
        """Settle, and take `cost` with it; one at a time, so that who has waited finds what the one before was told."""
        settle = self._settle
        assert settle is not None, "only a shared bucket asks"
        self._turn = self._turn or asyncio.Lock()
        async with self._turn:
            if cost and time.monotonic() < self._refused_until and self._now() < min(cost, self.capacity):
                return False
            spent, self._unsettled = self._unsettled, 0.0
            try:
                level, granted = await settle(spent, cost)
            except BaseException as error:
                self._unsettled += spent
                if is_unavailable(error):
                    raise DatabaseUnavailableError from error
                raise
            # What was spent here meanwhile comes on top.
            self._level, self._filled_at = level - self._unsettled, time.monotonic()
            self._alone = self.capacity / UNSETTLED_SHARE
            self._refused_until = 0.0 if granted else time.monotonic() + ASK_AGAIN_S
            return granted


class Buckets:
    """One bucket per API key. What was forgotten here the database still knows."""

    def __init__(self, per_minute: int, database: Database | None = None) -> None:
        self._per_minute = per_minute
        self._database = database if per_minute else None
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def of(self, key_id: str) -> Bucket:
        """The bucket of one API key, made when it is new. The key longest unused may be forgotten for it."""
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = self._new(key_id)
            while len(self._buckets) > _KEYS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key_id)
        return bucket

    async def settle_for_ever(self) -> None:
        """Tell the database every second what was spent, and once more when this is cancelled."""
        try:
            while True:
                await asyncio.sleep(SETTLE_EVERY_S)
                await self._settle()
        finally:
            await self._settle()

    async def _settle(self) -> None:
        try:
            for bucket in [one for one in self._buckets.values() if not one.is_settled]:
                await bucket.settled()
        except DatabaseUnavailableError:
            pass  # it is settled when the database is back
        except Exception:  # a loop that has ended would leave it to the next cost
            log.exception("what was spent could not be settled")

    def _new(self, key_id: str) -> Bucket:
        database, capacity = self._database, self._per_minute
        if database is None:
            return Bucket(capacity)
        return Bucket(capacity, lambda spent, asked: settle(database.spending, key_id, spent, asked, capacity))
