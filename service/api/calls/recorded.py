"""`callRecorded`: the change feed, read on for as long as somebody listens.

There is no second way to the rows: each round asks `changes` for what is behind the last cursor. So a stream has each
call once and in the order of commits, also when the database was away meanwhile.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any, Final

import strawberry

from service.api.calls.filters import to_predicate
from service.api.calls.objects import objects_of
from service.api.execution.context import Context
from service.api.execution.selection import tree_of
from service.api.types.calls import Call
from service.api.types.declarations import UNSET, given
from service.api.types.directives import Cost
from service.api.types.filter_inputs import FilterArgument
from service.query.model.catalog import CALLS
from service.query.model.errors import QueryTimeoutError, SlowReaderError
from service.query.records.changes import ChangesPage, ChangesRequest
from service.query.records.page import PAGE_MAX
from service.storage.errors import is_unavailable
from service.storage.statements.changes import ChangeKind
from service.tasks import Notifier

Info = strawberry.Info[Context, Any]

BEHIND_MAX: Final = 100_000
"""Changes that a stream may lag behind, before it is ended: what it does not keep up with is read by `changes`."""
PAUSE_S: Final = 0.1
IDLE_S: Final = 30.0
_AWAY_S: Final = 1.0
_REST: Final = 10
_MEASURED_S: Final = 1.0
_BUSY_SHARE: Final = 0.6
"""Of one core. A process answers on one."""
_KINDS: Final = frozenset({ChangeKind.CALL})


class TooFarBehindError(SlowReaderError):
    """more is recorded than this stream can give: narrow its filter, or read `changes`"""


class StreamPace:
    """How many streams of one process read, what wakes them, and how long each has to leave the others alone."""

    def __init__(self, numbered: Notifier) -> None:
        self.numbered = numbered
        self.streams = 0
        self._measured = time.monotonic(), time.process_time()
        self._is_busy = False

    def pause_s(self, took_s: float) -> float:
        """How long to wait after a read that took so long; while the process is busy, all reads are a tenth of it."""
        now, cpu = time.monotonic(), time.process_time()
        if now - self._measured[0] >= _MEASURED_S:
            self._is_busy = cpu - self._measured[1] > _BUSY_SHARE * (now - self._measured[0])
            self._measured = now, cpu
        return max(PAUSE_S, took_s * _REST * self.streams) if self._is_busy else PAUSE_S


@strawberry.type
class Subscription:
    """What can be listened to, over graphql-transport-ws or server-sent events."""

    @strawberry.subscription(directives=[Cost(weight=10)])
    async def call_recorded(
        self,
        info: Info,
        filter: FilterArgument = UNSET,
    ) -> AsyncGenerator[Call, None]:
        """Each call that is recorded from now on, once, in the order of commits; corrections and completions are in
        `changes`.
        """
        async for call in _recorded(info, given(filter)):
            yield call


async def _recorded(info: Info, filter_: Any) -> AsyncGenerator[Call, None]:  # noqa: ANN401 - Strawberry's input
    context, selection, predicate = info.context, tree_of(info), to_predicate(filter_)
    pace: StreamPace = context.services["pace"]
    after = await context.reader.newest_change(context.scope, predicate)
    pace.streams += 1
    try:
        while True:
            seen, began = pace.numbered.count, time.perf_counter()
            request = ChangesRequest(predicate, PAGE_MAX, after, _KINDS)
            try:
                page = await context.reader.changes(context.scope, request, selection)
                calls = await objects_of(CALLS, page.rows, selection, context.reader, context.scope)
            except Exception as error:
                if not isinstance(error, QueryTimeoutError) and not is_unavailable(error):
                    raise
                await asyncio.sleep(_AWAY_S)
                continue
            after = page.cursor(page.end)
            took_s = time.perf_counter() - began
            for call in calls:
                yield call
            _keep_up(page)
            await asyncio.sleep(pace.pause_s(took_s))
            if not page.has_next:
                await pace.numbered.after(seen, IDLE_S)
    finally:
        pace.streams -= 1


def _keep_up(page: ChangesPage) -> None:
    if page.feed.head - page.end > BEHIND_MAX:
        raise TooFarBehindError
