"""Compiled operations: what an operation asks is worked out once, and then only its variables differ.

The ordinary path parses, validates and runs a document for the first time, and the gate offers it here once it has let
it pass. From then on the operation is answered by `service/query/compiled.py`: the same coercion, the same enforcement
and pricing (remembered by everything they depend on), the same reading; only graphql-core's walk over every field
of every row is left out. `None` instead of an answer means: take the ordinary path. It then decides as if nothing
had been tried, so a mistake of a caller is refused, coded and placed there.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    get_argument_values,
    located_error,
)
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.types.execution import ExecutionResult

from policies.model import Policy, View
from service.api.compiled_arguments import Arguments, signature
from service.api.compiled_plan import Connection, Shaping, connection
from service.api.context import Context
from service.api.cost import Priced
from service.api.gate import admitted, charge, settle
from service.errors import RequestError
from service.query.compiled import IneligibleError
from service.query.document import Document, fragments_of
from service.query.errors import QueryTimeoutError
from service.query.scope import Scope

DOCUMENTS_MAX: Final = 256
DOCUMENT_CHARACTERS_MAX: Final = 16_384
_VARIANTS_MAX: Final = 32
_ADMITTED_MAX: Final = 64
_DIRECTIVES: Final = frozenset({"skip", "include"})


@dataclass(slots=True, eq=False)
class _Variant:
    """An operation for one policy and role and one set of values of the variables that its directives name.

    Holds policy and views, so that their identity stays theirs. `connections` None: not covered.
    """

    policy: Policy
    views: Mapping[str, View]
    roots: list[tuple[str, Connection | None]] | None
    admitted: OrderedDict[Hashable, Priced] = field(default_factory=OrderedDict[Hashable, Priced])


class Operations:
    """The compiled operations of one schema, the least recently used forgotten first."""

    def __init__(self, schema: Any) -> None:  # noqa: ANN401 - the Strawberry schema, which imports this module
        self._schema: GraphQLSchema = schema._schema  # graphql-core's schema has no public name
        self._arguments = Arguments(schema)
        self._documents: OrderedDict[str, _Document] = OrderedDict()
        self.answered = 0

    def offer(self, query: str, document: DocumentNode) -> None:
        """A document that was validated and let pass."""
        if len(query) <= DOCUMENT_CHARACTERS_MAX and query not in self._documents:
            self._documents[query] = _Document(document)
            while len(self._documents) > DOCUMENTS_MAX:
                self._documents.popitem(last=False)

    async def answer(
        self, query: str | None, name: str | None, variables: Mapping[str, Any] | None, context: Context
    ) -> ExecutionResult | None:
        """The answer, or None: take the ordinary path."""
        if not isinstance(query, str) or not isinstance(name, str | None) or not isinstance(variables, dict | None):
            return None
        document = self._documents.get(query)
        if document is None:
            return None
        self._documents.move_to_end(query)
        operation = document.operation(name, self._schema, self._arguments)
        result = await operation.answer(variables or {}, context) if operation is not None else None
        self.answered += result is not None
        return result


class _Document:
    """One document and its operations by name."""

    def __init__(self, document: DocumentNode) -> None:
        self._document = document
        self._operations: dict[str | None, _Operation | None] = {}

    def operation(self, name: str | None, schema: GraphQLSchema, arguments: Arguments) -> "_Operation | None":
        if name in self._operations:
            return self._operations[name]
        found = [
            definition
            for definition in self._document.definitions
            if isinstance(definition, OperationDefinitionNode)
            and (name is None or (definition.name is not None and definition.name.value == name))
        ]
        if len(found) != 1:
            return None
        eligible = found[0].operation is OperationType.QUERY
        self._operations[name] = _Operation(schema, self._document, found[0], arguments) if eligible else None
        return self._operations[name]


class _Operation:
    """One operation of a document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        arguments: Arguments,
    ) -> None:
        self._schema = schema
        self._node = operation
        self._fragments = fragments_of(document)
        self._arguments = arguments
        self._flags = _directive_variables(document)
        self._variants: OrderedDict[Hashable, _Variant] = OrderedDict()

    async def answer(self, variables: dict[str, Any], context: Context) -> ExecutionResult | None:
        if self._flags is None:
            return None
        values = get_variable_values(self._schema, self._node.variable_definitions or (), variables)
        if isinstance(values, list):
            return None
        variant = self._variant(values, context.scope)
        if variant.roots is None:
            return None
        try:
            given = [self._given(root, values) for _, root in variant.roots]
        except GraphQLError:
            return None
        priced = self._admitted(variant, given, values, context)
        if priced is None or charge(priced, context) is not None:
            return None
        return await self._run(variant.roots, given, priced, context)

    def _variant(self, values: VariableValues, scope: Scope) -> _Variant:
        flags = tuple(values.coerced.get(name) for name in self._flags or ())
        key = (id(scope.policy), id(scope.views), scope.role, flags)
        variant = self._variants.get(key)
        if variant is None:
            variant = self._variants[key] = _Variant(scope.policy, scope.views, self._compiled(values, scope))
            while len(self._variants) > _VARIANTS_MAX:
                self._variants.popitem(last=False)
        self._variants.move_to_end(key)
        return variant

    def _compiled(self, values: VariableValues, scope: Scope) -> list[tuple[str, Connection | None]] | None:
        shaping = Shaping(self._schema, self._fragments, values)
        document = Document(self._fragments, values.coerced)
        roots: list[tuple[str, Connection | None]] = []
        try:
            for key, details in shaping.roots(self._node).items():
                meta = details[0].node.name.value == "__typename"
                roots.append((key, None if meta else connection(shaping, self._node, document, key, details, scope)))
        except (IneligibleError, RecursionError):
            return None
        return roots if any(root is not None for _, root in roots) else None

    def _given(self, root: Connection | None, values: VariableValues) -> dict[str, Any]:
        if root is None:
            return {}
        definition = self._schema.query_type.fields[root.nodes[0].name.value]  # type: ignore[union-attr]
        return get_argument_values(definition, root.nodes[0], values)

    def _admitted(
        self, variant: _Variant, given: list[dict[str, Any]], values: VariableValues, context: Context
    ) -> Priced | None:
        """The price, once the gate lets the operation pass. What the gate looks at is all in the key."""
        key = tuple(signature(arguments) for arguments in given)
        priced = variant.admitted.get(key)
        if priced is None:
            found = admitted(self._schema, self._node, self._fragments, values, context.scope)
            if isinstance(found, GraphQLError):
                return None
            priced = variant.admitted[key] = found
            while len(variant.admitted) > _ADMITTED_MAX:
                variant.admitted.popitem(last=False)
        return priced

    async def _run(
        self,
        roots: list[tuple[str, Connection | None]],
        given: list[dict[str, Any]],
        priced: Priced,
        context: Context,
    ) -> ExecutionResult | None:
        data: dict[str, Any] | None = {}
        errors = None
        asked = [(root, arguments) for (_, root), arguments in zip(roots, given, strict=True) if root is not None]
        try:
            if len(asked) == 1:
                answers = [await self._root(*asked[0], context)]
            else:
                answers = await _together(self._root(root, arguments, context) for root, arguments in asked)
            parts = iter(answers)
            data = {key: "Query" if root is None else next(parts) for key, root in roots}
        except _FailedError as failed:
            data, errors = None, [failed.error]
        except Exception:
            # The ordinary path meets it again, places it, and logs it.
            context.bucket.give_back(context.requested_cost)
            context.requested_cost = 0
            context.sizes.clear()
            return None
        return ExecutionResult(data, errors, settle(priced, context))

    async def _root(self, root: Connection, arguments: dict[str, Any], context: Context) -> dict[str, Any]:
        try:
            request = self._arguments.request(root.table, arguments)
            page = await context.reader.page(context.scope, root.table, request, root.wanted)
            answer = await root.answer(context.reader, context.scope, page)
        except (RequestError, QueryTimeoutError) as error:
            raise _FailedError(located_error(error, root.nodes, [root.key])) from error
        context.sizes[(root.key,)] = len(page.rows)
        return answer


class _FailedError(Exception):
    """A root field has no answer. Every root that is covered is `!`, so that nothing else of the data stays."""

    def __init__(self, error: GraphQLError) -> None:
        super().__init__(error.message)
        self.error = error


async def _together(roots: Iterator[Any]) -> list[Any]:
    tasks = [asyncio.ensure_future(root) for root in roots]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _directive_variables(document: DocumentNode) -> tuple[str, ...] | None:
    """The variables that decide what is included; None when a directive is not one of those that do."""
    names: set[str] = set()
    for node in _nodes(document):
        if isinstance(node, DirectiveNode):
            if node.name.value not in _DIRECTIVES:
                return None
            names |= {inner.name.value for inner in _nodes(node) if isinstance(inner, VariableNode)}
    return tuple(sorted(names))


def _nodes(start: Node) -> Iterator[Node]:
    pending = [start]
    while pending:
        node = pending.pop()
        yield node
        for key in node.keys:
            value = getattr(node, key, None)
            if isinstance(value, Node):
                pending.append(value)
            elif isinstance(value, list | tuple):
                pending += [item for item in value if isinstance(item, Node)]
