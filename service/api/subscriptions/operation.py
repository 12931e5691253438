"""From a request on a stream to what runs: refused, one answer, or a subscription that passed every check.

The same checks as for any operation (`execution/admission.py`), in the same order, and before anything is listened to.
"""

from typing import Any, NamedTuple, cast
from uuid import uuid4

import orjson
from graphql import DocumentNode, GraphQLError, OperationType
from graphql.execution.values import get_variable_values
from strawberry.types.execution import ExecutionResult

from service.api.execution.admission import admitted
from service.api.execution.complexity import TOO_MANY_VALUES, points_max
from service.api.execution.context import Context, charge, overspent, too_large
from service.api.execution.documents import operation_of, validated
from service.api.execution.errors import Code, code_errors, refused
from service.api.execution.limits import refusal_points
from service.api.execution.trusted_documents import TrustedDocuments
from service.api.schema import CalledgerSchema
from service.query.authorization.selection_set import fragments_of
from service.query.model.errors import BadInputError


class Asked(NamedTuple):
    """An operation as a client asks for it."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None

    @classmethod
    def of(cls, value: object, trusted: TrustedDocuments) -> "Asked":
        """The operation of a JSON value: an object that has a document's text, or names a trusted one.

        Raises BadInputError for anything else, DocumentRefusedError as `TrustedDocuments.text_of` does.
        """
        given = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        query, variables, name = trusted.text_of(given), given.get("variables"), given.get("operationName")
        if isinstance(query, str) and isinstance(variables, dict | None) and isinstance(name, str | None):
            return cls(query, variables, name)
        raise BadInputError("an operation is an object with a text `query`, and `variables` as an object")

    @property
    def key(self) -> bytes:
        """Equal for operations that say the same."""
        return orjson.dumps([self.query, self.variables, self.operation_name], option=orjson.OPT_SORT_KEYS)


class Listening(NamedTuple):
    """A subscription that may run."""

    asked: Asked
    document: DocumentNode


async def begun(
    schema: CalledgerSchema, asked: Asked, context: Context, *, read_only: bool = False
) -> Listening | ExecutionResult:
    """The subscription, admitted and paid for, or the one answer that there is; `read_only`: no mutation's."""
    refusal = too_large(asked.variables, context)
    if refusal is not None:
        return coded(refusal)
    if context.bucket.overspent:
        return coded(ExecutionResult(None, [overspent(1, context)]))
    try:
        if schema.documents.is_new(asked.query):
            context.bucket.spend(refusal_points(asked.query, None))
            await schema.documents.read(asked.query, schema._schema)
        prepared = schema.documents.prepared(asked.query)
        operation = operation_of(prepared.document, asked.operation_name)
    except GraphQLError as error:
        context.bucket.spend(refusal_points(asked.query, asked.variables))
        return coded(ExecutionResult(None, [error]))
    if operation.operation is OperationType.MUTATION and read_only:
        return ExecutionResult(None, [error_of(Code.BAD_USER_INPUT, "a mutation is asked by POST")])
    if operation.operation is not OperationType.SUBSCRIPTION:
        return await schema.execute(asked.query, asked.variables, context, operation_name=asked.operation_name)
    errors = validated(schema._schema, prepared) or await _refusals(schema, asked, prepared.document, context)
    if errors:
        context.bucket.spend(refusal_points(asked.query, asked.variables))
        return coded(ExecutionResult(None, errors))
    return Listening(asked, prepared.document)


async def _refusals(
    schema: CalledgerSchema, asked: Asked, document: DocumentNode, context: Context
) -> list[GraphQLError] | None:
    """Why a valid subscription is not run, as `Gate` says it of other operations."""
    operation = operation_of(document, asked.operation_name)
    if context.variable_points > points_max(operation):
        return [refused(Code.MAX_COST_EXCEEDED, TOO_MANY_VALUES)]
    definitions = operation.variable_definitions or ()
    values = get_variable_values(schema._schema, definitions, asked.variables or {}, max_errors=1)
    if isinstance(values, list):
        return values
    priced = admitted(schema._schema, operation, fragments_of(document), values, context.scope)
    refusal = priced if isinstance(priced, GraphQLError) else await charge(priced, context)
    return None if refusal is None else [refusal]


def coded(result: ExecutionResult) -> ExecutionResult:
    """The result, whose errors have their codes."""
    if result.errors:
        code_errors(result, str(uuid4()))
    return result


def body(result: Any) -> str:  # noqa: ANN401 - an ExecutionResult of Strawberry or of graphql-core
    """The result as a JSON text, without extensions: they are of a request, and a stream is of none."""
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [error.formatted for error in result.errors]
    return orjson.dumps(answer).decode()


def error_of(code: Code, message: str) -> GraphQLError:
    """An error of ours for a stream as a whole."""
    return GraphQLError(message, extensions={"code": code.value})
