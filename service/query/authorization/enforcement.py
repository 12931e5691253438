"""The enforcement point on what is asked: refused before anything is executed, by name.

An operation is walked whole: root fields by what the role may ask, every field by what it may see, every filter, order
and group by what it may filter by. Filters are not an oracle: what a role does not see in clear it may not choose by,
the user excepted, by pseudonym.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
)

from policies.policy import views
from policies.policy.model import Action, View
from service.query.authorization.selection_set import SelectionReader
from service.query.model.catalog import CALLS, ERRORS, Sortable
from service.query.model.errors import ForbiddenError
from service.query.model.field import Filterable
from service.query.model.scope import Scope

InputType: TypeAlias = (
    "GraphQLScalarType | GraphQLEnumType | GraphQLInputObjectType | GraphQLList[Any] | GraphQLNonNull[Any]"
)
"""GraphQLInputType, which nobody can check: graphql-core does not say there what it is a list of."""

Arguments = Callable[[Any, FieldNode], Mapping[str, Any]]


def _filters(filters: Mapping[str, Filterable]) -> dict[str, tuple[str, ...]]:
    return {name: field.governed_by for name, field in filters.items()}


def _orders(orders: Mapping[str, Sortable]) -> dict[str, tuple[str, ...]]:
    return {name: order.governed_by for name, order in orders.items()}


INPUT_FIELDS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "CallFilter": _filters(CALLS.filters),
    "ErrorFilter": _filters(ERRORS.filters),
}
"""Fields of the filters -> the policy's fields that they tell something of."""

_WHEN: Final = ("Call.startedAt", "CostKey.bucketStart", "CostKey.bucketEnd")
ENUM_VALUES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "CallOrderField": _orders(CALLS.orders),
    "ErrorOrderField": _orders(ERRORS.orders),
    "ErrorGroupOrderField": {
        "COUNT": ("ErrorGroup.count",),
        "LAST_SEEN": ("ErrorGroup.lastSeen",),
        "FIRST_SEEN": ("ErrorGroup.firstSeen",),
    },
    "CostDimension": {
        "MODEL": ("Call.model", "CostKey.model"),
        "PROVIDER": ("Call.provider", "CostKey.provider"),
        "ACCOUNT": ("Call.account", "CostKey.account"),
        "API_KEY": ("Call.apiKey", "CostKey.apiKey"),
        "STATUS": ("Call.status", "CostKey.status"),
        "OPERATION": ("Call.operation", "CostKey.operation"),
        "SERVED_MODEL": ("Call.servedModel", "CostKey.servedModel"),
        "ERROR_TYPE": ("Call.errorType", "CostKey.errorType"),
        # By pseudonym who is masked may be filtered by; who is grouped by is named, to whoever sees it.
        "USER": ("Call.user", "CostKey.user"),
    },
    "CostOrderField": {
        "AMOUNT": ("Call.amount", "CostRow.amount"),
        "CALLS": ("CostRow.calls",),
        "ERRORS": ("CostRow.errors",),
        "TOTAL_TOKENS": ("CostRow.inputTokens", "CostRow.outputTokens"),
        "CACHE_READ_TOKENS": ("Call.cacheReadTokens", "CostRow.cacheReadTokens"),
        "CACHE_WRITE_TOKENS": ("Call.cacheWriteTokens", "CostRow.cacheWriteTokens"),
        "TOKEN_EFFICIENCY": ("Call.tokenEfficiency", "CostRow.tokenEfficiency"),
        "BUCKET_START": ("CostKey.bucketStart",),
        "KEY": (),
    },
    # Rows of hours and days tell when, whether or not their times are shown.
    "TimeBucket": dict.fromkeys(("MINUTE", "QUARTER_HOUR", "HOUR", "DAY", "WEEK", "MONTH"), _WHEN),
}
"""Values of the enums that order and group -> the policy's fields that they tell something of."""

ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {"groupByTags": ("Call.tags", "Tag.key", "Tag.value", "CostKey.tags")}
"""Arguments that choose by a field without an input type of their own."""

_NAMELESS: Final = frozenset({"and", "or", "not"})
_CHOICES: Final = (
    *(governed for table in (*INPUT_FIELDS.values(), *ENUM_VALUES.values()) for governed in table.values()),
    *ARGUMENTS.values(),
)


def enforce(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    document: SelectionReader,
    arguments: Arguments,
    scope: Scope,
) -> None:
    """Raise ForbiddenError naming the first thing of the operation that the scope's role may not have.

    `arguments(definition, node)` are a field's coerced arguments.
    """
    root = schema.get_root_type(operation.operation)
    assert root is not None
    for _, node in document.fields(operation.selection_set, root.name):
        name = node.name.value
        if not name.startswith("__") and not views.may_ask(scope.policy, scope.role, name):
            raise ForbiddenError(f"the role `{scope.role}` may not ask `{root.name}.{name}`")
    for type_, node in _walk(schema, operation, document, root.name):
        _check_field(schema, type_, node, arguments, scope)


def choosable(scope: Scope) -> frozenset[str]:
    """The fields that the role may filter, order or group by: there is a way to, and it tells nothing that the role
    does not see."""
    return frozenset(
        field
        for governed in _CHOICES
        if all(views.filterable(scope.policy, scope.role, one) for one in governed)
        for field in governed
    )


def _walk(
    schema: GraphQLSchema, operation: OperationDefinitionNode, document: SelectionReader, root: str
) -> Iterator[tuple[str, FieldNode]]:
    """Every field of the operation with the type that it is selected on."""
    pending = [(operation.selection_set, root)]
    while pending:
        selection_set, parent = pending.pop()
        for type_, node in document.fields(selection_set, parent):
            if node.name.value.startswith("__"):
                continue
            yield type_, node
            if node.selection_set is not None:
                definition = getattr(schema.type_map[type_], "fields", {})[node.name.value]
                named = cast("GraphQLNamedType", get_named_type(definition.type))
                pending.append((node.selection_set, named.name))


def _check_field(schema: GraphQLSchema, type_: str, node: FieldNode, arguments: Arguments, scope: Scope) -> None:
    name = f"{type_}.{node.name.value}"
    if type_ not in views.ROOT_TYPES and views.view(scope.policy, scope.role, name) is View.DENIED:
        raise ForbiddenError(f"the role `{scope.role}` may not see `{name}`")
    definition = getattr(schema.type_map[type_], "fields", {})[node.name.value]
    if not definition.args or not node.arguments:
        return
    given = arguments(definition, node)
    for argument, value in given.items():
        if value is None:
            continue
        for field in ARGUMENTS.get(argument, ()):
            _check_choice(scope, field, argument)
        if argument in definition.args:
            _check_input(definition.args[argument].type, value, scope)


def _check_input(type_: InputType, value: object, scope: Scope) -> None:
    """Everything that an argument chooses by, in filters within filters and lists of them."""
    if value is None:
        return
    if isinstance(type_, GraphQLNonNull):
        _check_input(type_.of_type, value, scope)
    elif isinstance(type_, GraphQLList):
        for item in cast("Sequence[object]", value) if isinstance(value, list | tuple) else [value]:
            _check_input(type_.of_type, item, scope)
    elif isinstance(type_, GraphQLInputObjectType) and isinstance(value, Mapping):
        _check_object(type_, cast("Mapping[str, object]", value), scope)
    elif isinstance(type_, GraphQLEnumType):
        name = getattr(value, "name", str(value))
        for field in ENUM_VALUES.get(type_.name, {}).get(name, ()):
            _check_choice(scope, field, name)


def _check_object(type_: GraphQLInputObjectType, value: Mapping[str, object], scope: Scope) -> None:
    governed = INPUT_FIELDS.get(type_.name)
    for name, inner in value.items():
        if inner is None:
            continue  # not given
        if governed is not None and name not in _NAMELESS:
            # A filter that is new and not in the table is refused for everyone: less, never more.
            for field in governed.get(name, ("",)):
                _check_choice(scope, field, name)
        if type_.name == "UserFilter" and name == "id" and not views.may_filter_by_plain_user(scope.policy, scope.role):
            raise ForbiddenError(f"the role `{scope.role}` may not filter by the plain id of a user")
        definition = type_.fields.get(name)
        if definition is not None:
            _check_input(definition.type, inner, scope)


def _check_choice(scope: Scope, field: str, name: str) -> None:
    if field in scope.policy.fields and scope.policy.action(field) is Action.DROP:
        raise ForbiddenError(f"nobody may filter, order or group by `{name}`: the policy does not keep `{field}`")
    if not views.filterable(scope.policy, scope.role, field):
        raise ForbiddenError(f"the role `{scope.role}` may not filter, order or group by `{name}` (`{field}`)")


def check_schema(schema: GraphQLSchema) -> None:
    """Refuse a schema that shows a field which no policy has to name. Raises SchemaCoverageError."""
    types = {
        name: list(type_.fields)
        for name, type_ in schema.type_map.items()
        if not name.startswith("__") and isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
    }
    views.check_schema(types)
