"""The one schema of the process. `python -m service.api.schema` prints it as `schema.graphql` has it."""

import sys
from functools import cache
from typing import Any
from uuid import uuid4

import strawberry
from graphql import GraphQLError
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext
from strawberry.types.execution import ExecutionResult

from service.api.context import Context
from service.api.errors import coded
from service.api.gate import Gate
from service.api.limits import TOKENS_MAX
from service.api.mutations import Mutation
from service.api.query import Query
from service.api.scalars import SCALARS
from service.api.types import Call, CallError

_DOCUMENTS_KEPT = 256


class CalledgerSchema(strawberry.Schema):
    """Strawberry's schema, with every error coded, and nothing of a query ever logged."""

    async def execute(self, *args: Any, context_value: Any = None, **kwargs: Any) -> ExecutionResult:  # noqa: ANN401
        result = await super().execute(*args, context_value=context_value, **kwargs)
        if result.errors:
            request_id = context_value.request_id if isinstance(context_value, Context) else str(uuid4())
            result.errors = [coded(error, request_id) for error in result.errors]
        return result

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Strawberry would log the query with its values here; `errors.py` logs what may be logged."""


@cache
def build_schema() -> CalledgerSchema:
    return CalledgerSchema(
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
