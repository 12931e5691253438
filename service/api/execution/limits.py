"""What a request may hold at most, and what a key may spend by time.

What a request holds is counted before it is read, coerced, or looked at by what grows with it. A body is bounded by its
marks before it is parsed as JSON, a document by its characters before its tokens, variables by a walk that stops at the
first thing too many. Whatever comes later may take a few microseconds for each of these.

What a key may spend is one level for all processes of all services, which the database has. A process spends from what
it remembers of it, and settles with the database at latest when it has spent a 64th of the capacity, and behind that
every second. So no number of processes multiplies a budget: each can overdraw it by a 64th, which is paid back.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from service.logs import get_logger
from service.query.model.errors import BadInputError
from service.storage.database import Database
from service.storage.errors import DatabaseUnavailableError, is_unavailable
from service.storage.shared.key_spending import settle

log = get_logger()

BODY_BYTES_MAX: Final = 2**20
DOCUMENT_CHARACTERS_MAX: Final = 2**15
OBJECTS_MAX: Final = 250
"""Objects in variables: each costs as much as some thirty plain values, for every field of its type is looked for."""
VALUES_MAX: Final = 12_000
"""Values in variables, those in lists and objects included; a hold names ten thousand calls."""
TEXT_MAX: Final = 16_384
"""Characters of one text: the longest are cursors, of rows of costs that are grouped by as much as they can be."""
NAME_MAX: Final = 200
"""Characters of a name of a variable or a field."""
DEPTH_MAX: Final = 20
"""Lists and objects inside of each other."""

_SMALL_BYTES: Final = 4096
"""A body that is smaller cannot hold enough to be worth counting first."""
_OPENED_MAX: Final = 4_000
_ENTRIES_MAX: Final = 30_000
"""Marks in a body: those of the document and of texts are among them, so they are more than the values."""
VALUE_POINTS: Final = 0.5
OBJECT_POINTS: Final = 10
_FREE_POINTS: Final = 100
QUERY_POINTS_MAX: Final = 2_000
"""Of variables, and of all arguments together: two hundred objects, or four thousand values."""
MUTATION_POINTS_MAX: Final = 10_000
_CHARACTERS_A_POINT: Final = 4
"""Of a document: about a token."""


def check_body(body: bytes | str) -> None:
    """Raise BadInputError for a body that holds more values than a request may, before it is parsed."""
    if len(body) < _SMALL_BYTES:
        return
    if isinstance(body, str):
        opened, entries = body.count("{"), body.count(",") + body.count("[")
    else:
        opened, entries = body.count(b"{"), body.count(b",") + body.count(b"[")
    if opened > _OPENED_MAX or entries > _ENTRIES_MAX:
        raise BadInputError(f"a request holds at most {VALUES_MAX} values and {OBJECTS_MAX} objects: ask in parts")


def decoded(data: str | bytes) -> object:
    """Raises BadInputError before anything that is too large is parsed, JSONDecodeError for what is no JSON."""
    check_body(data)
    return orjson.loads(data)


def check_document(query: str) -> None:
    """Raise BadInputError for a document that is longer than any that its tokens would be let pass of."""
    if len(query) > DOCUMENT_CHARACTERS_MAX:
        raise BadInputError(
            f"a document has at most {DOCUMENT_CHARACTERS_MAX} characters: give values by `variables`, "
            "and leave comments out"
        )


def check_variables(variables: Mapping[str, Any]) -> int:
    """What they cost to coerce, in points; nothing is free here.

    Raises BadInputError for the first thing too many, too long or too deep; what comes behind it is not looked at.
    """
    objects = values = 0
    pending: list[tuple[Any, int]] = [(variables, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > DEPTH_MAX:
            raise BadInputError(f"lists and objects of `variables` nest at most {DEPTH_MAX} deep")
        values += len(value)
        if values > VALUES_MAX:
            raise BadInputError(f"`variables` hold at most {VALUES_MAX} values: ask in parts")
        if type(value) is dict:
            if max(map(len, value), default=0) > NAME_MAX:
                raise BadInputError(f"a name in `variables` has at most {NAME_MAX} characters")
            objects += 1
            # The variables themselves are an object too.
            if objects > OBJECTS_MAX + 1:
                raise BadInputError(f"`variables` hold at most {OBJECTS_MAX} objects: ask in parts")
            value = value.values()
        for item in value:
            kind = type(item)
            if kind is str:
                if len(item) > TEXT_MAX:
                    raise BadInputError(f"a text of `variables` has at most {TEXT_MAX} characters")
            elif kind is dict or kind is list:
                pending.append((item, depth + 1))
    return int(objects * OBJECT_POINTS + values * VALUE_POINTS)


def points_of(arguments: Mapping[str, Any]) -> int:
    """What the coerced arguments of one field cost: what is converted, compared and looked up by them."""
    points = 0.0
    pending: list[Any] = [arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, list | tuple):
            points += VALUE_POINTS * len(value)
            pending += [item for item in value if isinstance(item, list | tuple | dict)]
        else:
            points += OBJECT_POINTS
            pending += [item for item in value.values() if isinstance(item, list | tuple | dict)]
    return int(points)


def charged(points: int) -> int:
    """The points that the values add to the price of the field: none for a filter of usual size."""
    return max(0, points - _FREE_POINTS)


def refusal_points(query: object, variables: object) -> int:
    """What reading costs, in points: of a document, and of the variables of what is refused before it has a price."""
    points = charged(points_of(variables)) if isinstance(variables, dict) else 0
    if isinstance(query, str):
        points += 1 + min(len(query), DOCUMENT_CHARACTERS_MAX) // _CHARACTERS_A_POINT
    return points


UNSETTLED_SHARE: Final = 64
SETTLE_EVERY_S: Final = 1.0
ASK_AGAIN_S: Final = 0.05
"""For so long a refusal of the database is taken for its next answer too."""
_KEYS_MAX: Final = 10_000

Settle = Callable[[float, float], Awaitable[tuple[float, bool]]]
"""Takes what was spent, and what is asked for if there is as much; the level then, and whether there was."""


class Bucket:
    """A token bucket of cost, as far as this process knows it. A capacity of 0 sets no limit.

    Without `settle` it is this process's alone. `owing`: it is among these while the database does not know of all that
    was spent here.
    """

    __slots__ = (
        *("_alone", "_filled_at", "_level", "_owing", "_refused_until", "_settle", "_turn", "_unsettled"),
        *("capacity", "per_second", "restore_rate"),
    )

    def __init__(self, capacity: int, settle: Settle | None = None, owing: "set[Bucket] | None" = None) -> None:
        self.capacity = capacity
        self.per_second = capacity / 60
        self.restore_rate = round(self.per_second, 3)
        self._level = float(capacity)
        self._filled_at = time.monotonic()
        self._settle = settle
        self._unsettled = 0.0
        self._owing = set[Bucket]() if owing is None else owing
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

    def take_at_once(self, cost: int) -> bool:
        """Whether there is enough by what this process knows alone; if so it is taken."""
        capacity = self.capacity
        if not capacity:
            return True
        if self._now() < min(cost, capacity) or (self._settle is not None and self._unsettled + cost > self._alone):
            return False
        self._spend(cost)
        return True

    async def take(self, cost: int) -> bool:
        """Whether there is enough; if so it is taken. Raises DatabaseUnavailableError."""
        return self.take_at_once(cost) or (self._settle is not None and await self._asked(cost))

    async def settled(self) -> None:
        """Tell the database what was spent. Raises DatabaseUnavailableError."""
        await self._asked(0)

    def spend(self, cost: int) -> None:
        """Take a cost that can no longer be refused, into debt if need be, by at most what a minute restores."""
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
        # One operation may be dearer than what is left and the largest debt together: its debt is not made smaller.
        self._level = max(min(-self.capacity, self._level), min(self.capacity, self._level - cost))
        if self._settle is not None:
            self._unsettled += cost
            self._owing.add(self)

    def _now(self) -> float:
        now = time.monotonic()
        level = self._level = min(self.capacity, self._level + (now - self._filled_at) * self.per_second)
        self._filled_at = now
        return level

    async def _asked(self, cost: int) -> bool:
        """Settle, and take `cost` with it; one at a time: who has waited finds what the one before was answered."""
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
            if not self._unsettled:
                self._owing.discard(self)
            # What was spent here meanwhile comes on top.
            self._level, self._filled_at = level - self._unsettled, time.monotonic()
            self._alone = self.capacity / UNSETTLED_SHARE
            self._refused_until = 0.0 if granted else time.monotonic() + ASK_AGAIN_S
            return granted


class Buckets:
    """One bucket per API key. What was forgotten here the database still knows, or is told of within a second: a bucket
    that owes it something is kept for that, of as many keys as have spent since it answered.
    """

    def __init__(self, per_minute: int, database: Database | None = None) -> None:
        self._per_minute = per_minute
        self._database = database if per_minute else None
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._owing = set[Bucket]()

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
            for bucket in list(self._owing):
                await bucket.settled()
        except DatabaseUnavailableError:
            pass  # it is settled when the database is back
        except Exception:  # a loop that has ended would leave it to the next cost
            log.exception("what was spent could not be settled")

    def _new(self, key_id: str) -> Bucket:
        database, capacity = self._database, self._per_minute
        if database is None:
            return Bucket(capacity)
        return Bucket(
            capacity, lambda spent, asked: settle(database.spending, key_id, spent, asked, capacity), self._owing
        )
