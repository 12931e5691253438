"""What an operation asks for below one field, as a tree of names: aliases merged, @skip and @include obeyed."""

from collections.abc import Iterator
from typing import Any

from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode, ValueNode, VariableNode

Tree = dict[str, Any]


class Selected:
    """Reads the selection of one operation. `variables` are the coerced ones."""

    def __init__(self, fragments: dict[str, Any], variables: dict[str, Any]) -> None:
        self._fragments = fragments
        self._variables = variables

    def of(self, nodes: list[FieldNode], *, types: frozenset[str] | None = None) -> Tree:
        """The tree below these field nodes. `types`: leave out fragments on any other type, at the first level."""
        tree: Tree = {}
        for node in nodes:
            if node.selection_set is not None:
                self._collect(node.selection_set, types, tree)
        return tree

    def _collect(self, selection_set: SelectionSetNode, types: frozenset[str] | None, tree: Tree) -> None:
        for field in self.fields(selection_set, types):
            below = tree.setdefault(field.name.value, {})
            if field.selection_set is not None:
                self._collect(field.selection_set, None, below)

    def fields(self, selection_set: SelectionSetNode, types: frozenset[str] | None = None) -> Iterator[FieldNode]:
        """The fields of a selection set, with those of its fragments."""
        for selection in selection_set.selections:
            if not self.included(selection):
                continue
            if isinstance(selection, FieldNode):
                yield selection
                continue
            inner = self._fragments[selection.name.value] if isinstance(selection, FragmentSpreadNode) else selection
            assert isinstance(selection, FragmentSpreadNode | InlineFragmentNode)
            condition = inner.type_condition
            if types is None or condition is None or condition.name.value in types:
                yield from self.fields(inner.selection_set, types)

    def included(self, node: Any) -> bool:  # noqa: ANN401 - any selection
        """Whether @skip and @include leave the selection in."""
        for directive in node.directives or ():
            name = directive.name.value
            if name in ("skip", "include") and directive.arguments:
                given = self._value(directive.arguments[0].value)
                if given is (name == "skip"):
                    return False
        return True

    def _value(self, node: ValueNode) -> object:
        if isinstance(node, VariableNode):
            return self._variables.get(node.name.value)
        return getattr(node, "value", None)


def selected(info: Any) -> Selected:  # noqa: ANN401 - Strawberry's Info wraps graphql-core's
    raw = info._raw_info  # noqa: SLF001 - the wrapped info is the only way to the field's nodes
    return Selected(raw.fragments, raw.variable_values)
