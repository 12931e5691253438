"""Compiled operations: what an operation asks is worked out once, and then only its variables differ.

The ordinary path parses, validates and runs a document for the first time, and the gate offers it here once it has let
it pass. From then on the operation is answered by `service/query/rendering/row_renderer.py`: the same coercion, the
same enforcement and pricing (remembered by everything they depend on), the same reading; only graphql-core's walk over
every field of every row is left out. `None` instead of an answer means: take the ordinary path. It then decides as if
nothing had been tried, so a mistake of a caller is refused, coded and placed there. What should have been answered and
was not is a FallbackError, which `fallbacks.py` counts and logs.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, Final

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_argument_values,
)
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.types.execution import ExecutionResult

from service.api.compiled.arguments import Arguments, signature
from service.api.compiled.fallbacks import COVERED, FallbackError, FallbackReason, Fallbacks, asks_for
from service.api.compiled.forms import Filled, Forms, Given, NoTemplateError, Template, Variables, Variant
from service.api.compiled.plan import CompiledConnection, Requested, Root, Roots, Shaping, root_field, run
from service.api.execution.admission import admitted
from service.api.execution.context import Context, Priced, Tracing, charge, too_large
from service.api.execution.documents import directive_variables
from service.api.execution.errors import code_errors
from service.api.execution.limits import QUERY_POINTS_MAX, points_of
from service.query.authorization.selection_set import SelectionReader, fragments_of
from service.query.model.scope import Scope
from service.query.rendering.row_renderer import (
    UnsupportedForRoleError,
    UnsupportedOperationError,
)

DOCUMENTS_MAX: Final = 256
NODES_MAX: Final = 40_000
"""Nodes of all documents together: 256 of the usual size, and ten of the largest."""
DOCUMENT_CHARACTERS_MAX: Final = 16_384
_VARIANTS_MAX: Final = 32
_ADMITTED_MAX: Final = 64
# `isinstance` takes a tuple faster than a union, which is made anew each time.
_NAME: Final = (str, type(None))
_VARIABLES: Final = (dict, type(None))


class Operations:
    """The compiled operations of one schema, the least recently used forgotten first."""

    def __init__(self, schema: Any, tracing: Tracing) -> None:  # noqa: ANN401 - Strawberry's, which imports this module
        self._schema: GraphQLSchema = schema._schema  # graphql-core's schema has no public name
        self._arguments = Arguments(schema)
        self._documents: OrderedDict[str, _Document] = OrderedDict()
        self._forms = Forms()
        self._nodes = 0
        self._fallbacks = Fallbacks()
        self._tracing = tracing
        self.answered = 0

    def offer(self, query: str, document: DocumentNode, nodes: int) -> None:
        """A document of so many nodes that was validated and let pass."""
        if len(query) > DOCUMENT_CHARACTERS_MAX:
            field = asks_for(document)
            if field is not None:
                self._fallbacks.note(query, FallbackError(FallbackReason.SIZE, field))
        elif query not in self._documents:
            self._documents[query] = _Document(document, nodes)
            self._nodes += nodes
            while len(self._documents) > DOCUMENTS_MAX or self._nodes > NODES_MAX:
                self._nodes -= self._documents.popitem(last=False)[1].nodes

    def asked(self, query: str, variables: dict[str, Any], context: Context) -> tuple[Root, Any]:
        """The one root field of an operation that was just let pass, and the request that these variables make of it.

        Raises FallbackError where its rows cannot be read by the compiled form alone.
        """
        document = self._documents.get(query)
        operation = document and document.operation(None, self._schema, self._arguments, self._forms)
        found = operation and operation.asked(variables, context)
        if found is None or found[0] is None or found[1] is None:
            raise FallbackError(FallbackReason.OPERATION, "Query")
        return found[0], found[1]()

    async def answer(self, query: object, name: object, variables: object, context: Context) -> ExecutionResult | None:
        """The answer, or None: take the ordinary path. The request's parts are as they came."""
        begun = self._tracing.begin()
        result = too_large(variables, context) or await self._answer(query, name, variables, context)
        if result is None:
            return None
        if result.errors:
            code_errors(result, context.request_id)
        self._tracing.end(begun, "compiled", result, context)
        return result

    async def _answer(self, query: object, name: object, variables: object, context: Context) -> ExecutionResult | None:
        if not isinstance(query, str) or not isinstance(name, _NAME) or not isinstance(variables, _VARIABLES):
            return None
        large = context.variable_points > QUERY_POINTS_MAX
        document = None if context.ordinary or large else self._documents.get(query)
        if document is None:
            return None
        self._documents.move_to_end(query)
        operation = document.operation(name, self._schema, self._arguments, self._forms)
        try:
            result = await operation.answer(variables or {}, context) if operation is not None else None
        except FallbackError as fallback:
            self._fallbacks.note(query, fallback)
            result = None
        context.ordinary = result is None
        self.answered += result is not None
        return result


class _Document:
    """One document and its operations by name."""

    def __init__(self, document: DocumentNode, nodes: int) -> None:
        self._document = document
        self.nodes = nodes
        self._operations: dict[str | None, _CompiledOperation | None] = {}

    def operation(
        self, name: str | None, schema: GraphQLSchema, arguments: Arguments, forms: Forms
    ) -> "_CompiledOperation | None":
        """The query called `name`, or the only one for None; None when there is no such query, or it is no query."""
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
        self._operations[name] = (
            _CompiledOperation(schema, self._document, found[0], arguments, forms) if eligible else None
        )
        return self._operations[name]


class _CompiledOperation:
    """One operation of a document."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        arguments: Arguments,
        forms: Forms,
    ) -> None:
        self._schema = schema
        self._node = operation
        self._forms = forms
        self._fragments = fragments_of(document)
        self._arguments = arguments
        self._flags = directive_variables(document)
        self._variables = Variables(schema, operation.variable_definitions or (), self._flags or ())
        self._variants: OrderedDict[Hashable, Variant] = OrderedDict()

    async def answer(self, variables: dict[str, Any], context: Context) -> ExecutionResult | None:
        """The answer for these variables, already charged; None where the ordinary path has to answer."""
        if self._flags is None:
            raise FallbackError(FallbackReason.OPERATION, self._node.operation.value)
        scope, given = context.scope, self._variables.read(variables)
        key = None if given is None else (self, id(scope.policy), id(scope.views), scope.role, given.form)
        filled = None if key is None else self._forms.get(key)
        if filled is None or given is None:
            asked = self._from_values(variables, context, key)
        else:
            asked = self._from_template(filled, given, variables, context)
        if asked is None or not await _charged(asked[-1], context):
            return None
        return await run(*asked, context)

    def asked(self, variables: dict[str, Any], context: Context) -> tuple[Root | None, Callable[[], Any] | None] | None:
        """The first root field and what makes its request; None where the gate does not let these values pass."""
        return (found[0][0][1], found[1][0]) if (found := self._from_values(variables, context)) else None

    def _from_template(
        self, filled: Filled, given: Given, variables: dict[str, Any], context: Context
    ) -> Requested | None:
        """What is asked, where only values differ from what was asked before."""
        key = tuple([one and one.sizes(given.values) for one in filled.templates]) if filled.sized else ()
        priced = filled.admitted.get(key)
        if priced is None:
            values = self._coerced(variables)
            priced = None if values is None else self._admitted(filled.admitted, key, values, context)
        if priced is None:
            return None
        return (
            filled.roots,
            [template and partial(template.request, given.values) for template in filled.templates],
            priced,
        )

    def _coerced(self, variables: dict[str, Any]) -> VariableValues | None:
        values = get_variable_values(self._schema, self._node.variable_definitions or (), variables, max_errors=1)
        return None if isinstance(values, list) else values

    def _from_values(self, variables: dict[str, Any], context: Context, form_key: Hashable = None) -> Requested | None:
        """What is asked, worked out anew; for the form of `form_key` once and for all."""
        values = self._coerced(variables)
        if values is None:
            return None
        variant = self._variant(values, context.scope)
        if variant.fallback is not None:
            raise FallbackError(variant.fallback.reason, variant.fallback.field)
        roots = variant.roots
        if roots is None:
            return None
        try:
            given = [self._given(root, values) for _, root in roots]
        except GraphQLError:
            return None
        key = tuple([(signature(one), points_of(one)) for one in given])
        priced = self._admitted(variant.admitted, key, values, context)
        if priced is None:
            return None
        if form_key is not None:
            self._forms.put(form_key, lambda: self._filled(variant, roots, variables, values))
        requests = [
            root and partial(root.request, self._arguments, arguments)
            for (_, root), arguments in zip(roots, given, strict=True)
        ]
        return (roots, requests, priced)

    def _filled(
        self, variant: Variant, roots: Roots, variables: dict[str, Any], values: VariableValues
    ) -> Filled | None:
        marked = VariableValues(values.sources, self._variables.marked(variables, values.coerced))
        try:
            templates = [root and self._template(root, marked) for _, root in roots]
        except NoTemplateError:
            return None
        return Filled(variant, roots, templates, any(one and one.sized for one in templates))

    def _template(self, root: Root, marked: VariableValues) -> Template:
        if not isinstance(root, CompiledConnection):
            raise NoTemplateError  # a report takes far longer than its arguments
        return Template(root.table, self._definition(root), root.nodes[0], marked, self._arguments)

    def _key(self, coerced: Mapping[str, Any], scope: Scope) -> Hashable:
        flags = tuple([coerced.get(name) for name in self._flags]) if self._flags else ()
        return (id(scope.policy), id(scope.views), scope.role, flags)

    def _variant(self, values: VariableValues, scope: Scope) -> Variant:
        key = self._key(values.coerced, scope)
        variant = self._variants.get(key)
        if variant is None:
            variant = self._compiled(values, scope)
            self._variants[key] = variant
            while len(self._variants) > _VARIANTS_MAX:
                self._variants.popitem(last=False)
        self._variants.move_to_end(key)
        return variant

    def _compiled(self, values: VariableValues, scope: Scope) -> Variant:
        try:
            roots = self._roots(values, scope)
        except FallbackError as fallback:
            return Variant(scope.policy, scope.views, None, fallback)
        return Variant(scope.policy, scope.views, roots)

    def _roots(self, values: VariableValues, scope: Scope) -> Roots | None:
        """The root fields, or None where there is one that is not to be compiled, or nothing but `__typename`."""
        shaping = Shaping(self._schema, self._fragments, values)
        document = SelectionReader(self._fragments, values.coerced)
        asked = {key: (details[0].node.name.value, details) for key, details in shaping.roots(self._node).items()}
        names = {name for name, _ in asked.values()}
        if not names <= COVERED or names == {"__typename"}:
            return None
        roots: Roots = []
        for key, (name, details) in asked.items():
            try:
                meta = name == "__typename"
                roots.append((key, None if meta else root_field(shaping, self._node, document, key, details, scope)))
            except UnsupportedForRoleError as error:
                raise FallbackError(FallbackReason.ROLE, name) from error
            except (UnsupportedOperationError, RecursionError) as error:
                raise FallbackError(FallbackReason.OPERATION, name) from error
        return roots

    def _given(self, root: Root | None, values: VariableValues) -> dict[str, Any]:
        if root is None:
            return {}
        return get_argument_values(self._definition(root), root.nodes[0], values)

    def _definition(self, root: Root) -> Any:  # noqa: ANN401 - graphql-core's field
        assert self._schema.query_type is not None
        return self._schema.query_type.fields[root.nodes[0].name.value]

    def _admitted(
        self, known: OrderedDict[Hashable, Priced], key: Hashable, values: VariableValues, context: Context
    ) -> Priced | None:
        """The price, once the gate lets the operation pass. What the gate looks at is all in the key."""
        priced = known.get(key)
        if priced is None:
            found = admitted(self._schema, self._node, self._fragments, values, context.scope)
            if isinstance(found, GraphQLError):
                return None
            priced = known[key] = found
            while len(known) > _ADMITTED_MAX:
                known.popitem(last=False)
        return priced


async def _charged(priced: Priced, context: Context) -> bool:
    """Whether the key can pay. If not, nothing has happened yet: the ordinary path refuses."""
    cost = priced.in_advance
    if cost <= context.max_cost and context.bucket.take_at_once(cost):
        context.requested_cost = cost
        return True
    if await charge(priced, context) is None:
        return True
    context.http_headers.pop("Retry-After", None)
    context.requested_cost = 0
    return False
