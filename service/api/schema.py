"""The one schema of the process. `python -m service.api.schema` prints it as `schema.graphql` has it."""

import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import uuid4

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from service.api.compiled.operations import Operations
from service.api.execution.admission import Gate
from service.api.execution.context import Context, overspent
from service.api.execution.documents import Documents, Preparation
from service.api.execution.errors import Code, coded, refused
from service.api.execution.limits import check_variables, refusal_points
from service.api.execution.tracing import Tracing
from service.api.mutations import Mutation
from service.api.query import Query
from service.api.types.calls import Call, CallError
from service.api.types.descriptions import describe
from service.api.types.scalars import SCALARS
from service.query.model.errors import BadInputError


class CalledgerSchema(strawberry.Schema):
    """Strawberry's schema, with every error coded, and nothing of a query ever logged.

    `compiled`: documents that were let pass before are answered without graphql-core's walk, where `compiled.py` covers
    what they ask. The answers are the same, byte for byte.
    """

    def __init__(self, *args: Any, compiled: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - Strawberry's
        super().__init__(*args, **kwargs)
        describe(self._schema)
        self.compiled = Operations(self) if compiled else None
        self.documents = Documents()
        self.tracing = Tracing()

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,  # noqa: ANN401 - Strawberry's
        *args: Any,  # noqa: ANN401
        operation_name: str | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> ExecutionResult:
        """Answer by the compiled path where it covers the operation, else by graphql-core; errors are coded."""
        if _may_query(kwargs.get("allowed_operation_types")):
            answered = await self.answer_compiled(query, variable_values, context_value, operation_name)
            if answered is not None:
                return answered
        begun = self.tracing.begin()
        result = _too_large(variable_values, context_value) or _overspent(context_value)
        if result is None:
            is_news = self.documents.is_news(query)
            result = await self._unreadable(query, context_value) if is_news else None
            result = result or await super().execute(
                query, variable_values, context_value, *args, operation_name=operation_name, **kwargs
            )
            _charge_refusal(result, None if is_news else query, variable_values, context_value)
        result = _coded(result, context_value)
        self.tracing.end(begun, "ordinary", result, context_value)
        return result

    async def _unreadable(self, query: str, context: object) -> ExecutionResult | None:
        """The refusal of a long text that is no document, or one out of bounds. It is paid for before it is read."""
        if isinstance(context, Context):
            context.bucket.spend(refusal_points(query, None))
        try:
            await self.documents.read(query, self._schema)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        return None

    async def answer_compiled(
        self, query: object, variables: object, context: Context, name: object
    ) -> ExecutionResult | None:
        """The answer of a compiled operation; None: `execute` has to answer. The request's parts are as they came."""
        if self.compiled is None:
            return None
        begun = self.tracing.begin()
        result = _too_large(variables, context) or await self.compiled.answer(query, name, variables, context)
        if result is None:
            return None
        result = _coded(result, context)
        self.tracing.end(begun, "compiled", result, context)
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log the query with its values here; `errors.py` logs what may be logged."""


def _too_large(variables: object, context: object) -> ExecutionResult | None:
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


def _overspent(context: object) -> ExecutionResult | None:
    """The refusal of a key that has nothing left, before its document is parsed."""
    if not isinstance(context, Context) or not context.bucket.overspent:
        return None
    return ExecutionResult(None, [overspent(1, context)])


def _charge_refusal(result: ExecutionResult, query: object, variables: object, context: object) -> None:
    """What was refused before it had a price has been read all the same."""
    if result.data is None and isinstance(context, Context) and not context.requested_cost:
        context.bucket.spend(refusal_points(query, variables))


def _coded(result: ExecutionResult, context: object) -> ExecutionResult:
    if result.errors:
        request_id = (context.request_id if isinstance(context, Context) else None) or str(uuid4())
        result.errors = [coded(error, request_id) for error in _in_order(result.errors, result.data)]
    return result


def _in_order(errors: list[GraphQLError], data: Mapping[str, Any] | None) -> list[GraphQLError]:
    """Errors in the order of the root fields that they belong to, whichever of these failed first."""
    if len(errors) == 1 or not data:
        return errors
    places = {key: place for place, key in enumerate(data)}
    return sorted(errors, key=lambda error: places.get(str(error.path[0]) if error.path else "", -1))


def _may_query(allowed: Iterable[OperationType] | None) -> bool:
    return allowed is None or OperationType.QUERY in allowed


@cache
def build_schema(*, compiled: bool = True) -> CalledgerSchema:
    """The schema, built once in a process. `compiled`: with the compiled path."""
    return CalledgerSchema(
        compiled=compiled,
        query=Query,
        mutation=Mutation,
        types=[Call, CallError],
        extensions=[
            Preparation,
            Gate,
        ],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )


def sdl() -> str:
    """The schema as text, ending in a newline."""
    return build_schema().as_str().rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(sdl())
