"""The one schema of the process. `python -m service.api.schema` prints it as `schema.graphql` has it."""

import sys
from collections.abc import Iterable
from functools import cache
from typing import Any
from uuid import uuid4

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.execution import ExecutionResult
from strawberry.types.graphql import OperationType

from service.api.compiled import Operations
from service.api.context import Context
from service.api.errors import coded
from service.api.gate import Gate
from service.api.limits import TOKENS_MAX
from service.api.mutations import Mutation
from service.api.query import Query
from service.api.scalars import SCALARS
from service.api.tracing import Tracing
from service.api.types import Call, CallError

_DOCUMENTS_KEPT = 256


class CalledgerSchema(strawberry.Schema):
    """Strawberry's schema, with every error coded, and nothing of a query ever logged.

    `compiled`: documents that were let pass before are answered without graphql-core's walk, where `compiled.py` covers
    what they ask. The answers are the same, byte for byte.
    """

    def __init__(self, *args: Any, compiled: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - Strawberry's
        super().__init__(*args, **kwargs)
        self.compiled = Operations(self) if compiled else None
        self.tracing = Tracing()

    async def execute(  # type: ignore[override]
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any = None,  # noqa: ANN401 - Strawberry's
        *args: Any,  # noqa: ANN401
        operation_name: str | None = None,
        **kwargs: Any,  # noqa: ANN401
    ) -> ExecutionResult:
        if _may_query(kwargs.get("allowed_operation_types")):
            answered = await self.answer_compiled(query, variable_values, context_value, operation_name)
            if answered is not None:
                return answered
        begun = self.tracing.begin()
        result = await super().execute(
            query, variable_values, context_value, *args, operation_name=operation_name, **kwargs
        )
        result = _coded(result, context_value)
        self.tracing.end(begun, "ordinary", result, context_value)
        return result

    async def answer_compiled(
        self, query: object, variables: object, context: Context, name: object
    ) -> ExecutionResult | None:
        """The answer of a compiled operation; None: `execute` has to answer. The request's parts are as they came."""
        if self.compiled is None:
            return None
        begun = self.tracing.begin()
        result = await self.compiled.answer(query, name, variables, context)
        if result is None:
            return None
        result = _coded(result, context)
        self.tracing.end(begun, "compiled", result, context)
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log the query with its values here; `errors.py` logs what may be logged."""


def _coded(result: ExecutionResult, context: object) -> ExecutionResult:
    if result.errors:
        request_id = (context.request_id if isinstance(context, Context) else None) or str(uuid4())
        result.errors = [coded(error, request_id) for error in result.errors]
    return result


def _may_query(allowed: Iterable[OperationType] | None) -> bool:
    return allowed is None or OperationType.QUERY in allowed


@cache
def build_schema(*, compiled: bool = True) -> CalledgerSchema:
    return CalledgerSchema(
        compiled=compiled,
        query=Query,
        mutation=Mutation,
        types=[Call, CallError],
        extensions=[
            lambda: MaxTokensLimiter(max_token_count=TOKENS_MAX),
            lambda: ParserCache(maxsize=_DOCUMENTS_KEPT),
            lambda: ValidationCache(maxsize=_DOCUMENTS_KEPT),
            Gate,
        ],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )


def sdl() -> str:
    """The schema as text, ending in a newline."""
    return build_schema().as_str().rstrip("\n") + "\n"


if __name__ == "__main__":
    sys.stdout.write(sdl())
