"""What every resolver of one request works with, and what its key pays for the request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final

import strawberry
from graphql import GraphQLError
from strawberry.types.execution import ExecutionResult

from service.access.idempotency import Idempotency
from service.access.principal import Principal
from service.api.execution.errors import Code, refused
from service.api.execution.limits import Bucket, check_variables
from service.ledger import Ledger
from service.query.model.errors import BadInputError
from service.query.model.scope import Scope
from service.query.reader import Reader

_SPENT_MAX: Final = 512


@dataclass(slots=True)
class Context:
    """One request: who asks, what reads for them, and what they have spent.

    `ordinary`: a compiled operation has had no answer, and need not be asked again. `sizes` notes how many entries each
    list really had, for the actual cost, `variable_points` how much the variables hold (`limits.py`). `export_asked`
    tells who writes exports that there is one to write. `idempotency_key`: the client's name for the request, under
    which `idempotency` knows it again. `holds_secret`: a key or token is in the answer.
    """

    scope: Scope
    reader: Reader
    bucket: Bucket
    max_cost: int
    principal: Principal | None = None
    request_id: str | None = None
    ledger: Ledger | None = None
    export_asked: Callable[[], None] = lambda: None
    idempotency: Idempotency | None = None
    idempotency_key: str | None = None
    services: dict[str, Any] = field(default_factory=dict[str, Any])
    sizes: dict[tuple[str | int, ...], int] = field(default_factory=dict[tuple[str | int, ...], int])
    requested_cost: int = 0
    variable_points: int = 0
    ordinary: bool = False
    holds_secret: bool = False
    http_headers: dict[str, str] = field(default_factory=dict[str, str])


Info = strawberry.Info[Context, Any]
"""What Strawberry gives a resolver."""


@dataclass(slots=True)
class Priced:
    """What a field costs, alone and for each entry of the list that it holds; `size` of them were asked for."""

    own: int = 1
    per_entry: int = 0
    size: int = 1
    nested: dict[str, "Priced"] = field(default_factory=dict[str, "Priced"])
    _in_advance: int | None = None
    _spent: dict[tuple[tuple[tuple[str | int, ...], int], ...], int] = field(default_factory=dict)

    @property
    def in_advance(self) -> int:
        """The cost that is charged in advance. It is worked out once: a compiled operation is charged for often."""
        if self._in_advance is None:
            self._in_advance = self.total()
        return self._in_advance

    def spent(self, sizes: Mapping[tuple[str | int, ...], int]) -> int:
        """The sum with the sizes that the lists really had, remembered: most pages are full ones."""
        key = tuple(sizes.items())
        spent = self._spent.get(key)
        if spent is None:
            if len(self._spent) >= _SPENT_MAX:
                self._spent.clear()
            spent = self._spent[key] = self.total(sizes)
        return spent

    def total(self, sizes: Mapping[tuple[str | int, ...], int] | None = None, path: tuple[str | int, ...] = ()) -> int:
        """The sum. `sizes`: how many entries a list really had, by its path; without them, as asked for."""
        size = self.size if sizes is None else sizes.get(path, self.size)
        rest = sum(part.total(sizes, (*path, name)) for name, part in self.nested.items())
        return self.own + self.per_entry * size + rest


def charge(priced: Priced, context: Context) -> GraphQLError | None:
    """Take the price from the key's bucket; the refusal when it is too high, or there is not enough left."""
    cost = priced.in_advance
    context.requested_cost = cost
    if cost > context.max_cost:
        message = f"the operation costs {cost}, more than {context.max_cost}: ask for fewer fields or smaller pages"
        return refused(Code.MAX_COST_EXCEEDED, message)
    return None if context.bucket.take(cost) else overspent(cost, context)


def overspent(cost: int, context: Context) -> GraphQLError:
    """The refusal of a key whose bucket does not hold `cost`; says when it will."""
    wait = max(1, round(context.bucket.seconds_until(cost) + 0.5))
    return throttled(f"the key has spent its cost for now: try again in {wait} seconds", wait, context)


def throttled(message: str, seconds: int, context: Context, **extensions: object) -> GraphQLError:
    """A refusal that ends by itself: `Retry-After` says when, and the error too, for who sees no headers."""
    context.http_headers["Retry-After"] = str(seconds)
    return GraphQLError(message, extensions={"code": Code.THROTTLED.value, "retryAfterSeconds": seconds, **extensions})


def settle(priced: Priced | None, context: Context, *, answered: bool) -> dict[str, Any]:
    """`extensions` of an answer; what was charged and not spent goes back. `priced` None: nothing was run.

    A root field that failed has no size and is charged as asked, and so is an operation that is not `answered` at all:
    a question that fails on purpose must not be a cheap one.
    """
    actual, requested, bucket = None, context.requested_cost, context.bucket
    if priced is not None:
        actual = priced.spent(context.sizes) if answered else requested
        if actual != requested:
            bucket.give_back(requested - actual)
    cost: dict[str, Any] = {"requestedQueryCost": requested, "actualQueryCost": actual}
    if bucket.capacity:
        cost["throttleStatus"] = {
            "maximumAvailable": bucket.capacity,
            "currentlyAvailable": bucket.available,
            "restoreRate": bucket.restore_rate,
        }
        _rate_limit_headers(context, cost["throttleStatus"]["currentlyAvailable"])
    return {"cost": cost}


def _rate_limit_headers(context: Context, available: int) -> None:
    """`RateLimit` of the answer, for who reads headers (IETF draft-ietf-httpapi-ratelimit-headers)."""
    bucket = context.bucket
    restored_s = ceil((bucket.capacity - available) / bucket.per_second) if bucket.per_second else 0
    context.http_headers["RateLimit"] = f'"cost";r={available};t={restored_s}'
    context.http_headers["RateLimit-Policy"] = f'"cost";q={bucket.capacity};w=60'


def too_large(variables: object, context: object) -> ExecutionResult | None:
    """The refusal of variables that are out of bounds, before anything else looks at them."""
    if not variables or not isinstance(variables, dict):
        return None
    try:
        points = check_variables(variables)
    except BadInputError as error:
        return ExecutionResult(None, [refused(Code.BAD_USER_INPUT, str(error))])
    if isinstance(context, Context):
        context.variable_points = points
    return None
