"""The streams of one process: who listens to what, how many may, and when they have to end.

Subscribers that ask the same with the same rights share one stream: it is read, walked and encoded once, and each
connection gets the same text.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Final, NamedTuple, Protocol

from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError, subscribe
from prometheus_client import Counter as CounterMetric
from prometheus_client import Gauge
from strawberry.types.execution import ExecutionResult

from policies.policy.model import Policy
from service.access.authenticate import UnauthenticatedError
from service.access.principal import Principal
from service.api.execution.context import Context
from service.api.execution.errors import Code
from service.api.schema import CalledgerSchema
from service.api.subscriptions.operation import Listening, body, coded, error_of
from service.logs import get_logger
from service.runtime.runtime import Runtime

CONNECTIONS_MAX: Final = 2_000
"""Connections with streams in one process."""
PER_CONNECTION: Final = 10
_CHECK_S: Final = 5.0
_SERVICE_RESTART: Final = 1012

CONNECTIONS: Final = Gauge("calledger_streams_connections", "Connections that listen", multiprocess_mode="livesum")
ENDED: Final = CounterMetric("calledger_streams_ended", "Connections and streams that the service ended", ["reason"])

log = get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the service ends a connection. `close_code`: that of a WebSocket (RFC 6455, graphql-transport-ws)."""

    name: str
    code: Code
    message: str
    close_code: int

    @property
    def passes(self) -> bool:
        """Whether the client only has to connect again, as clients do by themselves after such a code."""
        return self.close_code == _SERVICE_RESTART

    @property
    def error(self) -> GraphQLError:
        """The same as an error of an operation."""
        return error_of(self.code, self.message)


KEY_ENDED: Final = Ending("key", Code.UNAUTHENTICATED, "the API key has ended", 4401)
OTHER_POLICY: Final = Ending("policy", Code.UNAVAILABLE, "another policy is in force", _SERVICE_RESTART)
STOPPING: Final = Ending("stopping", Code.UNAVAILABLE, "the service is stopping: subscribe again", _SERVICE_RESTART)
TOO_SLOW: Final = Ending("slow", Code.SLOW_READER, "this reader does not keep up with its stream", 1013)


class Listener(Protocol):
    """One subscriber of a stream."""

    def next(self, payload: str) -> None:
        """One result, as JSON."""

    def finish(self, errors: list[GraphQLError] | None) -> None:
        """The stream has ended, by an error or by itself."""


class Known(NamedTuple):
    """Who is on the other side, by which header, and a maker of contexts for what they ask."""

    authorization: str | None
    principal: Principal
    context: Callable[[], Context]


Authenticate = Callable[[str | None], Awaitable[Known]]


class OpenConnection(Protocol):
    """One connection with streams. `policy`: the one that its operations were admitted under."""

    known: Known
    policy: Policy

    def end(self, ending: Ending) -> None:
        """End it soon, and say why."""


class _Stream:
    """One subscription that runs, for everybody who asks the same."""

    def __init__(
        self, listening: Listening, schema: CalledgerSchema, context: Context, ended: Callable[[], None]
    ) -> None:
        self.listeners: set[Listener] = set()
        self._listening, self._schema, self._context, self._ended = listening, schema, context, ended
        self.task = asyncio.create_task(self._run(), name="calledger stream")

    async def _run(self) -> None:
        errors: list[GraphQLError] | None = None
        try:
            asked = self._listening.asked
            begun: Any = subscribe(
                self._schema._schema,
                self._listening.document,
                variable_values=asked.variables,
                operation_name=asked.operation_name,
                context_value=self._context,
            )
            source = await begun if isawaitable(begun) else begun
            if isinstance(source, CoreResult):
                errors = coded(ExecutionResult(None, source.errors)).errors
            else:
                try:
                    async for result in source:
                        self._give(result)
                finally:
                    await source.aclose()
        except Exception as error:  # whatever it is, the listeners must hear of it
            located = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
            errors = coded(ExecutionResult(None, [located])).errors
        finally:
            self._ended()
        for listener in list(self.listeners):
            listener.finish(errors)

    def _give(self, result: Any) -> None:  # noqa: ANN401 - graphql-core's
        payload = body(coded(ExecutionResult(result.data, result.errors)))
        for listener in list(self.listeners):
            listener.next(payload)


class Streams:
    """All of them. `run` checks keys and policy for as long as the process answers."""

    def __init__(self, schema: CalledgerSchema, runtime: Runtime, authenticate: Authenticate) -> None:
        self._schema = schema
        self._authenticate = authenticate
        self._runtime = runtime
        self._per_key_max = runtime.settings.streams_per_key
        self._streams: dict[tuple[object, ...], _Stream] = {}
        self._connections: set[OpenConnection] = set()
        self._of_key: Counter[str] = Counter()
        self._open = 0
        self.stopping = False

    # Connections -----------------------------------------------------------------------------------------------------

    def refusal(self) -> str | None:
        """Why there can be no further connection now."""
        if self.stopping:
            return STOPPING.message
        return "too many clients listen already: try again later" if self._open >= CONNECTIONS_MAX else None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Count a connection during the block, also while it has not said yet who it is."""
        self._open += 1
        CONNECTIONS.set(self._open)
        try:
            yield
        finally:
            self._open -= 1
            CONNECTIONS.set(self._open)

    def add(self, connection: OpenConnection) -> bool:
        """Whether the key may have one more; then it is watched until `remove`."""
        key = connection.known.principal.key_id
        if self._of_key[key] >= self._per_key_max:
            return False
        self._of_key[key] += 1
        self._connections.add(connection)
        return True

    def remove(self, connection: OpenConnection) -> None:
        """Forget a connection that has ended."""
        if connection in self._connections:
            self._connections.remove(connection)
            self._of_key[connection.known.principal.key_id] -= 1
            self._of_key += Counter()  # forgets keys that have none

    def end_all(self) -> None:
        """End every connection, because the service stops."""
        self.stopping = True
        for connection in list(self._connections):
            connection.end(STOPPING)

    # Streams ---------------------------------------------------------------------------------------------------------

    def join(self, listening: Listening, context: Context, listener: Listener) -> Callable[[], None]:
        """Listen; call what is returned to listen no more. The operation must have been admitted for `context`."""
        scope = context.scope
        key = (scope.role, scope.accounts, id(scope.policy), listening.asked.key)
        stream = self._streams.get(key)
        if stream is None:
            stream = _Stream(listening, self._schema, context, lambda: self._forget(key, stream))
            self._streams[key] = stream
        joined = stream
        joined.listeners.add(listener)

        def leave() -> None:
            """Listen no more; the last one out ends the stream."""
            joined.listeners.discard(listener)
            if not joined.listeners:
                self._forget(key, joined)
                joined.task.cancel()

        return leave

    def _forget(self, key: tuple[object, ...], stream: _Stream | None) -> None:
        if self._streams.get(key) is stream:
            del self._streams[key]

    # Checks ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """End connections whose key or policy is no longer in force, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_S)
            await self.check()

    async def check(self) -> None:
        """End connections whose key or policy is no longer in force."""
        policy = self._runtime.applied.policy
        for connection in list(self._connections):
            if not await self._is_good(connection.known):
                connection.end(KEY_ENDED)
            elif connection.policy is not policy:
                connection.end(OTHER_POLICY)

    async def _is_good(self, known: Known) -> bool:
        """Whether the key, or the token that stands for it, still says what it said."""
        try:
            return (await self._authenticate(known.authorization)).principal == known.principal
        except UnauthenticatedError:
            return False
        except Exception as error:  # the database is away: nothing new is streamed meanwhile
            log.warning("a key could not be checked", error=type(error).__name__)
            return True
