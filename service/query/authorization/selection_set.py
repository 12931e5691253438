"""Walking an operation's document: fragments opened as the specification does (CollectFields), @skip and @include
obeyed."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

Tree = dict[str, Any]


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    """The fragments of a document by name."""
    definitions = document.definitions
    return {item.name.value: item for item in definitions if isinstance(item, FragmentDefinitionNode)}


class SelectionReader:
    """The selections of one operation. `variables` are the coerced ones."""

    def __init__(self, fragments: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
        self._fragments = fragments
        self._variables = variables

    def tree(self, nodes: Iterable[FieldNode], *, types: frozenset[str] | None = None) -> Tree:
        """What is asked for below these fields, by name. `types`: the first level leaves out any other type."""
        tree: Tree = {}
        for node in nodes:
            if node.selection_set is not None:
                self._collect(node.selection_set, types, tree)
        return tree

    def _collect(self, selection_set: SelectionSetNode, types: frozenset[str] | None, tree: Tree) -> None:
        for type_, field in self.fields(selection_set, ""):
            if types is not None and type_ and type_ not in types:
                continue
            nested = tree.setdefault(field.name.value, {})
            if field.selection_set is not None:
                self._collect(field.selection_set, None, nested)

    def fields(self, selection_set: SelectionSetNode, parent: str) -> Iterator[tuple[str, FieldNode]]:
        """The fields with the name of the type that they are selected on: `parent`, or the fragment's own."""
        yield from self._fields(selection_set, parent, set())

    def _fields(
        self, selection_set: SelectionSetNode, parent: str, opened: set[tuple[str, str]]
    ) -> Iterator[tuple[str, FieldNode]]:
        for selection in selection_set.selections:
            if not self._included(selection):
                continue
            if isinstance(selection, FieldNode):
                yield parent, selection
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                type_ = condition.name.value if condition else parent
                yield from self._fields(selection.selection_set, type_, opened)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                # Once a fragment, as CollectFields has it: spreads of spreads must not double.
                if (name, parent) not in opened:
                    opened.add((name, parent))
                    fragment = self._fragments[name]
                    yield from self._fields(fragment.selection_set, fragment.type_condition.name.value, opened)

    def _included(self, node: Any) -> bool:  # noqa: ANN401 - any selection
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include") and directive.arguments:
                given = self._value(directive.arguments[0].value)
                if bool(given) is (name == "skip"):
                    return False
        return True

    def _value(self, node: ValueNode) -> object:
        if isinstance(node, VariableNode):
            return self._variables.get(node.name.value)
        return getattr(node, "value", None)
