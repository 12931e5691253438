"""The one schema of the process. `python -m service.api.schema` prints it as `schema.graphql` has it."""

import sys
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any, Final

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import HasGraphQLName, NameConverter
from strawberry.types import ExecutionContext
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType
from strawberry.utils.str_converters import to_camel_case

from service.api.calls.recorded import Subscription
from service.api.compiled.operations import Operations
from service.api.execution.admission import Gate
from service.api.execution.context import Context, overspent, too_large
from service.api.execution.documents import DocumentPreparation, Documents
from service.api.execution.errors import code_errors
from service.api.execution.idempotency import Once
from service.api.execution.limits import refusal_points
from service.api.execution.tracing import Tracing
from service.api.mutations import Mutation
from service.api.query import Query
from service.api.types.calls import Call, CallError
from service.api.types.descriptions import describe
from service.api.types.scalars import SCALARS


class CalledgerSchema(strawberry.Schema):
    """Strawberry's schema, with every error coded, and nothing of a query ever logged.

    `compiled`: documents that were let pass before are answered without graphql-core's walk, where
    `compiled/operations.py` covers what they ask. The answers are the same, byte for byte.
    """

    def __init__(self, *args: Any, compiled: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - Strawberry's
        super().__init__(*args, **kwargs)
        describe(self._schema)
        self.documents = Documents()
        self.tracing = Tracing()
        self.compiled = Operations(self, self.tracing) if compiled else None

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
        if self.compiled is not None and _may_query(kwargs.get("allowed_operation_types")):
            answered = await self.compiled.answer(query, operation_name, variable_values, context_value)
            if answered is not None:
                return answered
        begun = self.tracing.begin()
        result = too_large(variable_values, context_value) or _overspent(context_value)
        if result is None:
            is_new = self.documents.is_new(query)
            result = await self._unreadable(query, context_value) if is_new else None
            result = result or await super().execute(
                query, variable_values, context_value, *args, operation_name=operation_name, **kwargs
            )
            _charge_refusal(result, None if is_new else query, variable_values, context_value)
        if result.errors:
            code_errors(result, context_value.request_id if isinstance(context_value, Context) else None)
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

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log the query with its values here; `errors.py` logs what may be logged."""


def _overspent(context: object) -> ExecutionResult | None:
    """The refusal of a key that has nothing left, before its document is parsed."""
    if not isinstance(context, Context) or not context.bucket.overspent:
        return None
    return ExecutionResult(None, [overspent(1, context)])


def _charge_refusal(result: ExecutionResult, query: object, variables: object, context: object) -> None:
    """What was refused before it had a price has been read all the same."""
    if result.data is None and isinstance(context, Context) and not context.requested_cost:
        context.bucket.spend(refusal_points(query, variables))


def _may_query(allowed: Iterable[OperationType] | None) -> bool:
    return allowed is None or OperationType.QUERY in allowed


_in_camel_case: Final = lru_cache(maxsize=4096)(to_camel_case)


class _Names(NameConverter):
    """Strawberry's own, which makes the name of each field anew for every object of every argument."""

    def get_graphql_name(self, obj: HasGraphQLName) -> str:
        """The field's GraphQL name; each Python name is converted to camel case once."""
        return obj.graphql_name or _in_camel_case(obj.python_name)


@cache
def build_schema(*, compiled: bool = True) -> CalledgerSchema:
    """The schema, built once in a process. `compiled`: with the compiled path."""
    return CalledgerSchema(
        compiled=compiled,
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[Call, CallError],
        extensions=[
            DocumentPreparation,
            Gate,
            Once,
        ],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True, name_converter=_Names()),
    )


def sdl() -> str:
    """The schema as text, ending in a newline."""
    return build_schema().as_str().rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(sdl())
