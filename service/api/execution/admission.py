"""What every operation passes before it runs: limits, enforcement, cost, rate."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from graphql import FieldNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, get_argument_values
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.extensions import SchemaExtension

from service.api.execution.complexity import TOO_MANY_VALUES, Pricing, TooManyFieldsError, points_max
from service.api.execution.context import Context, Priced, charge, settle
from service.api.execution.documents import documents_of, operation_of
from service.api.execution.errors import Code, refused
from service.query.authorization.enforcement import enforce
from service.query.authorization.selection_set import SelectionReader, fragments_of
from service.query.model.errors import ForbiddenError
from service.query.model.scope import Scope

_PRICINGS: Final[dict[int, Pricing]] = {}


class Gate(SchemaExtension):
    """Refuses an operation after validation, as validation would. Has to follow `DocumentPreparation` in the list of
    extensions.
    """

    def __init__(self) -> None:
        self._priced: Priced | None = None

    async def on_validate(self) -> AsyncIterator[None]:
        """Refuse the validated operation before it runs when it costs too much or asks for a denied field."""
        execution = self.execution_context
        if not execution.pre_execution_errors and execution.graphql_document is not None:
            error = await self._refusal()
            if error is not None:
                execution.pre_execution_errors = [error]
        yield

    async def _refusal(self) -> GraphQLError | None:
        execution = self.execution_context
        context: Context = execution.context
        assert execution.graphql_document is not None
        operation = operation_of(execution.graphql_document, execution.operation_name)
        schema: GraphQLSchema = execution.schema._schema
        if context.variable_points > points_max(operation):
            return refused(Code.MAX_COST_EXCEEDED, TOO_MANY_VALUES)
        definitions = operation.variable_definitions or ()
        values = get_variable_values(schema, definitions, execution.variables or {}, max_errors=1)
        if isinstance(values, list):
            return values[0]
        found = admitted(schema, operation, fragments_of(execution.graphql_document), values, context.scope)
        if isinstance(found, GraphQLError):
            return found
        compiled = getattr(execution.schema, "compiled", None)
        if compiled is not None and execution.query is not None:
            nodes = documents_of(execution).nodes_of(execution.query)
            compiled.offer(execution.query, execution.graphql_document, nodes)
        refusal = await charge(found, context)
        self._priced = None if refusal is not None else found
        return refusal

    def get_results(self) -> dict[str, Any]:
        """`extensions.cost`, as Shopify has it. What was not spent is given back first."""
        context = self.execution_context.context
        if not isinstance(context, Context) or not context.requested_cost:
            return {}
        priced, self._priced = self._priced, None
        result = self.execution_context.result
        return settle(priced, context, answered=result is not None and result.data is not None)


def admitted(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, Any],
    values: VariableValues,
    scope: Scope,
) -> Priced | GraphQLError:
    """The price of an operation that the scope's role may ask, or why it is refused.

    Depends on the schema, the document, policy and role, the variables of directives, and of the arguments on their
    names, their enum values and `first` and `last`: `compiled/operations.py` remembers it by these.
    """
    document = SelectionReader(fragments, values.coerced)

    def arguments(definition: Any, node: FieldNode) -> Mapping[str, Any]:  # noqa: ANN401 - graphql-core's field
        """The field's arguments with this request's variables in place."""
        return get_argument_values(definition, node, values)

    try:
        priced = _pricing(schema).price(operation, document, arguments)
        enforce(schema, operation, document, arguments, scope)
    except TooManyFieldsError as error:
        return refused(Code.MAX_COST_EXCEEDED, str(error))
    except ForbiddenError as error:
        return refused(Code.FORBIDDEN, str(error))
    except GraphQLError as error:
        return error
    return priced


def _pricing(schema: GraphQLSchema) -> Pricing:
    return _PRICINGS.setdefault(id(schema), Pricing(schema))
