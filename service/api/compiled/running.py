"""Runs the root fields of a compiled operation, all at once; one that fails leaves the others theirs."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLError, located_error
from strawberry.types.execution import ExecutionResult

from service.api.compiled.fallbacks import FallbackError, FallbackReason
from service.api.compiled.forms import Roots
from service.api.execution.context import Context, Priced, settle
from service.errors import RequestError
from service.query.model.errors import QueryTimeoutError
from service.query.rendering.row_renderer import UnsupportedValueError

Requests = Sequence[Callable[[], Any] | None]
"""What makes the request of each root, in step."""
Requested = tuple[Roots, Requests, Priced]


async def run(roots: Roots, requests: Requests, priced: Priced, context: Context) -> ExecutionResult | None:
    """The answer of what is asked and paid for; None where the ordinary path has to refuse it.

    Raises FallbackError where it has to answer.
    """
    data: dict[str, Any] = {}
    errors: list[GraphQLError] = []
    try:
        answers = await _answers(roots, requests, context)
    except (FallbackError, GraphQLError) as error:
        # The ordinary path meets the same error, adds its path, and logs it.
        context.bucket.give_back(context.requested_cost)
        context.requested_cost = 0
        context.sizes.clear()
        if isinstance(error, FallbackError):
            raise
        return None
    for (key, _), answer in zip(roots, answers, strict=True):
        failed = isinstance(answer, _Failed)
        if failed:
            errors.append(answer.error)
        data[key] = None if failed else answer
    return ExecutionResult(data, errors or None, settle(priced, context, answered=True))


async def _answers(roots: Roots, requests: Requests, context: Context) -> Sequence[Any]:
    """What each root answers, in step: its data, or how it failed; one that fails leaves the others theirs."""
    work = [(root, make) for (_, root), make in zip(roots, requests, strict=True) if root and make]
    if len(roots) == 1:
        return [await _root(*work[0], context)]
    tasks = [asyncio.ensure_future(_root(root, make, context)) for root, make in work]
    try:
        answers = iter(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return ["Query" if root is None else next(answers) for _, root in roots]


async def _root(root: Any, make_request: Any, context: Context) -> "dict[str, Any] | _Failed":  # noqa: ANN401
    try:
        return await root.answer(context, make_request)
    except (RequestError, QueryTimeoutError) as error:
        return _Failed(located_error(error, root.nodes, [root.key]))
    except GraphQLError:
        raise  # an argument that the ordinary path refuses
    except Exception as error:
        reason = FallbackReason.VALUE if isinstance(error, UnsupportedValueError) else FallbackReason.FAILURE
        raise FallbackError(reason, root.nodes[0].name.value) from error


class _Failed(NamedTuple):
    """Stands for the data of a root field that has none."""

    error: GraphQLError
