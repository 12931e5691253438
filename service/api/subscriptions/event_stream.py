"""Server-sent events, as graphql-sse has them in its distinct connections mode: one operation per request.

https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
"""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import ClientConnectionResetError, web
from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult

from service.api.schema import CalledgerSchema
from service.api.subscriptions.operation import Asked, begun, body
from service.api.subscriptions.outbox import Outbox
from service.api.subscriptions.streams import ENDED, TOO_SLOW, Ending, Known, Streams

KEEP_ALIVE_S: Final = 12.0
_COMPLETE: Final = "event: complete\ndata:\n\n"
_GONE: Final = (ConnectionError, TimeoutError, ClientConnectionResetError)
HEADERS: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep events back
}


class EventStream:
    """One request whose answer goes on."""

    def __init__(self, streams: Streams, known: Known) -> None:
        self.known, self._context = known, known.context()
        self.policy = self._context.scope.policy
        self._streams = streams
        self._response = web.StreamResponse(headers=HEADERS)
        self._outbox = Outbox(self._write)

    async def serve(
        self, request: web.Request, schema: CalledgerSchema, asked: Asked, *, read_only: bool
    ) -> web.StreamResponse:
        """Answer until the stream ends or its client is gone."""
        outcome = await begun(schema, asked, self._context, read_only=read_only)
        await self._response.prepare(request)
        leave = None
        if isinstance(outcome, ExecutionResult):
            self.next(body(outcome))
            self.finish(None)
        else:
            leave = self._streams.join(outcome, self._context, self)
        keeping = asyncio.create_task(self._keep_alive())
        try:
            await self._outbox.run()
            with suppress(*_GONE):
                await self._response.write_eof()
        except _GONE:
            # What waits for a reader that takes nothing would wait on.
            if request.transport is not None:
                request.transport.abort()
        finally:
            keeping.cancel()
            if leave is not None:
                leave()
        return self._response

    async def _write(self, event: str) -> None:
        await self._response.write(event.encode())

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_S)
            self._outbox.offer(":\n\n")

    def next(self, payload: str) -> None:
        """One result as an event; for a reader that is too slow the reason why there is no more."""
        if not self._outbox.offer(_event(payload)):
            self.end(TOO_SLOW)

    def finish(self, errors: list[GraphQLError] | None) -> None:
        """The last event, after which the answer ends."""
        if errors:
            self._outbox.offer(_event(body(ExecutionResult(None, errors))))
        self._outbox.offer(_COMPLETE)
        self._outbox.close()

    def end(self, ending: Ending) -> None:
        """End it soon, and say why; a slow reader gets that instead of what waits.

        An answer that ends without `complete` has clients ask again.
        """
        ENDED.labels(ending.name).inc()
        last = [_event(body(ExecutionResult(None, [ending.error]))), _COMPLETE]
        if ending.passes:
            last = [f": {ending.message}\n\n"]
        if ending is TOO_SLOW:
            self._outbox.instead(last)
        else:
            for event in last:
                self._outbox.offer(event)
        self._outbox.close()


def _event(payload: str) -> str:
    return f"event: next\ndata: {payload}\n\n"
