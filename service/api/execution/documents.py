"""From the text of a document to one operation that may be looked at: parsed, bounded, validated, and remembered.

Bounds come before the work that they bound. Validation compares fields of one response key by pairs, and fragments with
each other: what would make it long is counted first, in one walk over the document. What is long within its bounds
takes tens of milliseconds the first time, and so a thread reads it, and not the event loop.
"""

import gc
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeGuard

from graphql import (
    DirectiveNode,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    Node,
    OperationDefinitionNode,
    VariableNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types import ExecutionContext

from service.api.execution.complexity import TOKENS_MAX, DocumentSize, check_size
from service.api.execution.errors import Code, refused
from service.api.execution.limits import DOCUMENT_CHARACTERS_MAX, check_document
from service.offload import OffloadThread
from service.query.model.errors import BadInputError

NODES_KEPT: Final = 20_000
"""Nodes of all documents that are remembered: a kilobyte each. The garbage collector walks them, in one piece."""
ERRORS_MAX: Final = 3
"""Mistakes of a document that are reported: each repeats a part of it."""
SHORT_CHARACTERS: Final = 500
"""A document up to this size is read on the event loop: it takes a few milliseconds at worst."""
_YOUNG_MAX: Final = 10_000
_DIRECTIVES: Final = frozenset({"skip", "include"})
_RULES: Final = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@dataclass(slots=True, eq=False)
class PreparedDocument:
    """A document that is within its bounds. `errors`: what validation says of it, once it was asked."""

    document: DocumentNode
    nodes: int
    errors: list[GraphQLError] | None = None


class Documents:
    """The documents of one schema, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._prepared: OrderedDict[str, PreparedDocument] = OrderedDict()
        self._nodes = 0
        self._aside = OffloadThread()

    def is_new(self, query: object) -> TypeGuard[str]:
        """Whether this is a long document that is still to be read."""
        return (
            isinstance(query, str)
            and SHORT_CHARACTERS < len(query) <= DOCUMENT_CHARACTERS_MAX
            and query not in self._prepared
        )

    def nodes_of(self, query: str) -> int:
        """How many nodes a document has; 0 when it is forgotten already."""
        found = self._prepared.get(query)
        return found.nodes if found is not None else 0

    async def read(self, query: str, schema: GraphQLSchema) -> None:
        """Read a document in the thread, and remember it. Raises GraphQLError as `prepared` does."""
        self._keep(query, await self._aside.run(partial(_read, schema), query))

    def prepared(self, query: str) -> PreparedDocument:
        """Raises GraphQLError for a text that is no document, or one that is out of bounds."""
        found = self._prepared.get(query)
        if found is not None:
            self._prepared.move_to_end(query)
            return found
        found = _prepared(query)
        self._keep(query, found)
        return found

    def _keep(self, query: str, prepared: PreparedDocument) -> None:
        before = self._prepared.pop(query, None)
        self._prepared[query] = prepared
        self._nodes += prepared.nodes - (before.nodes if before is not None else 0)
        while self._nodes > NODES_KEPT:
            self._nodes -= self._prepared.popitem(last=False)[1].nodes


def _read(schema: GraphQLSchema, query: str) -> PreparedDocument:
    prepared = _prepared(query)
    validated(schema, prepared)
    return prepared


def validated(schema: GraphQLSchema, prepared: PreparedDocument) -> list[GraphQLError]:
    """What is wrong with it; looked for once."""
    if prepared.errors is None:
        prepared.errors = validate(schema, prepared.document, _RULES, max_errors=ERRORS_MAX)
        # Validation leaves rings of thousands of objects behind. Of many documents they would be collected at once, and
        # nobody has the interpreter meanwhile.
        if gc.get_count()[0] > _YOUNG_MAX:
            gc.collect(0)
    return prepared.errors


def _prepared(query: str) -> PreparedDocument:
    try:
        check_document(query)
    except BadInputError as error:
        raise refused(Code.BAD_USER_INPUT, str(error)) from None
    document = parse(query, max_tokens=TOKENS_MAX)
    _unlink(document)
    size = DocumentSize(document)
    refusal = check_size(size)
    if refusal is None:
        return PreparedDocument(document, size.nodes)
    del document, size  # the refusal's traceback keeps this frame, and the frame the refusal
    raise refusal


def _unlink(document: DocumentNode) -> None:
    """Take the tokens of a document apart: while each knows its neighbours, only the garbage collector frees them."""
    token = document.loc.start_token if document.loc is not None else None
    while token is not None:
        following, token.prev, token.next = token.next, None, None
        token = following


def operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation that is meant. Raises GraphQLError when that is not clear (GetOperation of the specification).

    An empty name is none: a form that is sent with an empty field has no other way to say so.
    """
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if not operations:
        raise refused(Code.GRAPHQL_VALIDATION_FAILED, "the document has no operation")
    if not name:
        if len(operations) > 1:
            message = "the document has several operations: say by `operationName` which one is meant"
            raise refused(Code.GRAPHQL_VALIDATION_FAILED, message)
        return operations[0]
    found = [one for one in operations if one.name is not None and one.name.value == name]
    if not found:
        raise refused(Code.GRAPHQL_VALIDATION_FAILED, f"the document has no operation `{name[:60]}`")
    return found[0]


def documents_of(execution: ExecutionContext) -> Documents:
    """The documents of the schema that executes."""
    # CalledgerSchema has them; its module imports this one.
    return execution.schema.documents  # pyright: ignore[reportAttributeAccessIssue]


class DocumentPreparation(SchemaExtension):
    """Parses and validates instead of Strawberry. Has to precede the gate in the list of extensions."""

    def __init__(self) -> None:
        self._prepared: PreparedDocument | None = None

    def on_parse(self) -> Iterator[None]:
        """Give Strawberry the document that was read before, so that it parses nothing."""
        execution = self.execution_context
        if execution.query:
            self._prepared = documents_of(execution).prepared(execution.query)
            operation_of(self._prepared.document, execution._provided_operation_name)
            execution.graphql_document = self._prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Give Strawberry the remembered result of validation, so that it validates nothing."""
        prepared, execution = self._prepared, self.execution_context
        assert prepared is not None, "what is validated was parsed"
        execution.pre_execution_errors = validated(execution.schema._schema, prepared)
        yield


def directive_variables(document: DocumentNode) -> tuple[str, ...] | None:
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
