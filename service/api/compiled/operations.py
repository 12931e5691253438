"""Compiled operations: what an operation asks is worked out once, and then only its variables differ.

The ordinary path parses, validates and runs a document for the first time, and the gate offers it here once it has let
it pass. From then on the operation is answered by `service/query/rendering/row_renderer.py`: the same coercion, the
same enforcement and pricing (remembered by everything they depend on), the same reading; only graphql-core's walk over
every field of every row is left out. `None` instead of an answer means: take the ordinary path. It then decides as if
nothing had been tried, so a mistake of a caller is refused, coded and placed there. What should have been answered and
was not is a FallbackError, which `fallbacks.py` counts and logs.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_argument_values,
    located_error,
)
from graphql.execution.values import VariableValues, get_variable_values
from strawberry.types.execution import ExecutionResult

from policies.policy.model import Policy, View
from service.api.compiled.arguments import Arguments, signature
from service.api.compiled.fallbacks import COVERED, FallbackError, FallbackReason, Fallbacks, asks_for
from service.api.compiled.plan import CompiledConnection, NoTemplateError, Root, Scalars, Shaping, Template, root_field
from service.api.execution.admission import admitted
from service.api.execution.context import Context, Priced, charge, settle, too_large
from service.api.execution.documents import directive_variables
from service.api.execution.errors import code_errors
from service.api.execution.limits import QUERY_POINTS_MAX, points_of
from service.api.execution.tracing import Tracing
from service.errors import RequestError
from service.query.authorization.selection_set import SelectionReader, fragments_of
from service.query.model.errors import QueryTimeoutError
from service.query.model.scope import Scope
from service.query.rendering.row_renderer import (
    UnsupportedForRoleError,
    UnsupportedOperationError,
    UnsupportedValueError,
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

Roots = list[tuple[str, Root | None]]
"""Root fields by response key; None: `__typename`."""
Requests = Sequence[Callable[[], Any] | None]
"""What makes the request of each root, in step."""
_Requested = tuple[Roots, Requests, Priced]


@dataclass(slots=True, eq=False)
class _Variant:
    """An operation for one policy and role and one set of values of the variables that its directives name.

    Holds policy and views, so that their identity stays theirs. `roots` None: not to be compiled, or not covered, which
    `fallback` says. `sized`: how large a page is, and so what it costs, is said by a variable.
    """

    policy: Policy
    views: Mapping[str, View]
    roots: Roots | None
    fallback: FallbackError | None = None
    templates: list[Template | None] | None = None
    sized: bool = False
    admitted: OrderedDict[Hashable, Priced] = field(default_factory=OrderedDict[Hashable, Priced])


class Operations:
    """The compiled operations of one schema, the least recently used forgotten first."""

    def __init__(self, schema: Any, tracing: Tracing) -> None:  # noqa: ANN401 - Strawberry's, which imports this module
        self._schema: GraphQLSchema = schema._schema  # graphql-core's schema has no public name
        self._arguments = Arguments(schema)
        self._documents: OrderedDict[str, _Document] = OrderedDict()
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
        operation = document and document.operation(None, self._schema, self._arguments)
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
        operation = document.operation(name, self._schema, self._arguments)
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

    def operation(self, name: str | None, schema: GraphQLSchema, arguments: Arguments) -> "_CompiledOperation | None":
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
        self._operations[name] = _CompiledOperation(schema, self._document, found[0], arguments) if eligible else None
        return self._operations[name]


class _CompiledOperation:
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
        self._flags = directive_variables(document)
        self._scalars: Scalars | None = None
        self._variants: OrderedDict[Hashable, _Variant] = OrderedDict()

    async def answer(self, variables: dict[str, Any], context: Context) -> ExecutionResult | None:
        """The answer for these variables, already charged; None where the ordinary path has to answer."""
        if self._flags is None:
            raise FallbackError(FallbackReason.OPERATION, self._node.operation.value)
        simple = self._scalars.coerced(variables) if self._scalars is not None else None
        variant = None if simple is None else self._known(simple, context.scope)
        if simple is None or variant is None:
            asked = self._from_values(variables, context)
        else:
            asked = self._from_template(variant, simple, variables, context)
        if asked is None or not _charged(asked[-1], context):
            return None
        return await _run(*asked, context)

    def asked(self, variables: dict[str, Any], context: Context) -> tuple[Root | None, Callable[[], Any] | None] | None:
        """The first root field and what makes its request; None where the gate does not let these values pass."""
        return (found[0][0][1], found[1][0]) if (found := self._from_values(variables, context)) else None

    def _known(self, simple: dict[str, Any], scope: Scope) -> _Variant | None:
        """The variant that was compiled for such values, if all of it can be filled in."""
        key = self._key(simple, scope)
        variant = self._variants.get(key)
        if variant is None or variant.templates is None:
            return None
        self._variants.move_to_end(key)
        return variant

    def _from_template(
        self, variant: _Variant, simple: dict[str, Any], variables: dict[str, Any], context: Context
    ) -> _Requested | None:
        """What is asked, where only values differ from what was asked before."""
        assert variant.roots is not None and variant.templates is not None
        key = tuple([template and template.sizes(simple) for template in variant.templates]) if variant.sized else ()
        priced = variant.admitted.get(key)
        if priced is None:
            values = get_variable_values(self._schema, self._node.variable_definitions or (), variables, max_errors=1)
            priced = None if isinstance(values, list) else self._admitted(variant, key, values, context)
        if priced is None:
            return None
        return (
            variant.roots,
            [template and partial(template.request, simple) for template in variant.templates],
            priced,
        )

    def _from_values(self, variables: dict[str, Any], context: Context) -> _Requested | None:
        values = get_variable_values(self._schema, self._node.variable_definitions or (), variables, max_errors=1)
        if isinstance(values, list):
            return None
        variant = self._variant(values, context.scope)
        if variant.fallback is not None:
            raise FallbackError(variant.fallback.reason, variant.fallback.field)
        if variant.roots is None:
            return None
        try:
            given = [self._given(root, values) for _, root in variant.roots]
        except GraphQLError:
            return None
        key = ("values", *((signature(one), points_of(one)) for one in given))
        priced = self._admitted(variant, key, values, context)
        if priced is None:
            return None
        requests = [
            root and partial(root.request, self._arguments, arguments)
            for (_, root), arguments in zip(variant.roots, given, strict=True)
        ]
        return (variant.roots, requests, priced)

    def _key(self, coerced: Mapping[str, Any], scope: Scope) -> Hashable:
        flags = tuple([coerced.get(name) for name in self._flags]) if self._flags else ()
        return (id(scope.policy), id(scope.views), scope.role, flags)

    def _variant(self, values: VariableValues, scope: Scope) -> _Variant:
        key = self._key(values.coerced, scope)
        variant = self._variants.get(key)
        if variant is None:
            variant = self._compiled(values, scope)
            self._variants[key] = variant
            while len(self._variants) > _VARIANTS_MAX:
                self._variants.popitem(last=False)
        self._variants.move_to_end(key)
        return variant

    def _templates(self, roots: Roots, values: VariableValues) -> list[Template | None] | None:
        try:
            self._scalars = Scalars(values)
            return [self._template(root, values) if root else None for _, root in roots]
        except NoTemplateError:
            return None

    def _template(self, root: Root, values: VariableValues) -> Template:
        if not isinstance(root, CompiledConnection):
            raise NoTemplateError  # a report takes far longer than its arguments
        return Template(root.table, self._definition(root), root.nodes[0], values, self._arguments)

    def _compiled(self, values: VariableValues, scope: Scope) -> _Variant:
        try:
            roots = self._roots(values, scope)
        except FallbackError as fallback:
            return _Variant(scope.policy, scope.views, None, fallback)
        templates = self._templates(roots, values) if roots is not None else None
        sized = any(template and template.sized for template in templates or ())
        return _Variant(scope.policy, scope.views, roots, None, templates, sized)

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

    def _admitted(self, variant: _Variant, key: Hashable, values: VariableValues, context: Context) -> Priced | None:
        """The price, once the gate lets the operation pass. What the gate looks at is all in the key."""
        priced = variant.admitted.get(key)
        if priced is None:
            found = admitted(self._schema, self._node, self._fragments, values, context.scope)
            if isinstance(found, GraphQLError):
                return None
            priced = variant.admitted[key] = found
            while len(variant.admitted) > _ADMITTED_MAX:
                variant.admitted.popitem(last=False)
        return priced


async def _run(roots: Roots, requests: Requests, priced: Priced, context: Context) -> ExecutionResult | None:
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


def _charged(priced: Priced, context: Context) -> bool:
    """Whether the key can pay. If not, nothing has happened yet: the ordinary path refuses."""
    if charge(priced, context) is None:
        return True
    context.http_headers.pop("Retry-After", None)
    context.requested_cost = 0
    return False


class _Failed(NamedTuple):
    """Stands for the data of a root field that has none."""

    error: GraphQLError
