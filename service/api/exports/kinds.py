"""What can be exported: by kind the fields, and the operation of the schema that asks for them.

An export asks what anybody could ask, page by page, so that it cannot show what GraphQL would not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.policy.model import Store, View
from service.query.model.errors import BadInputError, ForbiddenError
from service.query.model.fields import CALL
from service.query.model.scope import Scope

Fields = tuple[tuple[str, tuple[str, ...]], ...]
"""Fields to select, in order, each with the fields to select of what it is (none of a plain value)."""

LISTS: Final = frozenset({"amountParts", "tags", "parameters", "redactions", "units"})
"""Fields that have many values."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind: its type, root field, filter and store, and its fields, each with the type and fields of its parts."""

    type: str
    root: str
    filter: str
    time_field: str
    store: Store
    fields: Mapping[str, tuple[str, tuple[str, ...]]]
    paged: bool = True


def _fields(plain: str, **parts: tuple[str, str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Plain fields in order; `name*` stands where the parts of `name` are."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for name in plain.split():
        type_, inner = parts.get(name.rstrip("*"), ("", ""))
        found[name.rstrip("*")] = (type_, tuple(inner.split()))
    return found


SHAPES: Final[Mapping[str, Shape]] = {
    "CALLS": Shape(
        "Call",
        "calls",
        "CallFilter",
        "startedAt",
        Store.CALL,
        {
            name: (field.bare_type if field.parts else "", tuple(field.parts or ()))
            for name, field in CALL.items()
            if field.relation is None
        }
        | {"corrects": ("Call", ("id", "sourceId"))},
    ),
    "ERRORS": Shape(
        "CallError",
        "errors",
        "ErrorFilter",
        "occurredAt",
        Store.CALL_ERROR,
        _fields(
            "id occurredAt type code fingerprint message disclosure parameters* redactions* call*",
            parameters=("ErrorParameter", "name value action"),
            redactions=("Redaction", "rule count"),
            call=("Call", "id sourceId startedAt account model provider"),
        ),
    ),
    "COSTS": Shape(
        "CostRow",
        "costs",
        "CallFilter",
        "startedAt",
        Store.USAGE_DAY,
        _fields(
            "key* calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens amount* "
            "callsWithoutAmount estimatedShare",
            key=("CostKey", "account model provider status currency bucketStart bucketEnd"),
            amount=("Money", "amount currency"),
        ),
        paged=False,
    ),
}
_ORDERS: Final = {"calls": "STARTED_AT", "errors": "OCCURRED_AT"}
_COMPUTED: Final = frozenset({"totalTokens", "tokenEfficiency", "netAmount", "correctedAt", "corrects"})
"""Left out unless they are named: they follow from the others."""


def all_fields(shape: Shape) -> Fields:
    """The fields of an export when the request names none."""
    return tuple((name, parts) for name, (_, parts) in shape.fields.items() if name not in _COMPUTED)


def chosen_fields(shape: Shape, names: Sequence[str] | None, scope: Scope) -> Fields:
    """The fields of these names; without names, all that the scope's role sees in clear or masked.

    Raises BadInputError for a name that is none, ForbiddenError for a field that is denied to the role.
    """
    if names is None:
        seen = ((name, tuple(_visible(shape, name, parts, scope))) for name, parts in all_fields(shape))
        found = tuple(
            (name, parts)
            for name, parts in seen
            if _sees(scope, f"{shape.type}.{name}") and (parts or not shape.fields[name][1])
        )
        if not found:
            raise ForbiddenError(f"the role `{scope.role}` may not see any field of `{shape.type}`")
        return found
    if not names:
        raise BadInputError("an export has one field at least: leave `fields` out for all of them")
    return tuple(_named(shape, name, scope) for name in dict.fromkeys(names))


def _named(shape: Shape, name: str, scope: Scope) -> tuple[str, tuple[str, ...]]:
    if name not in shape.fields:
        raise BadInputError(f"there is no field `{name[:60]}` to export: choose among {', '.join(shape.fields)}")
    type_, parts = shape.fields[name]
    for field in (f"{shape.type}.{name}", *(f"{type_}.{part}" for part in parts)):
        if not _sees(scope, field):
            raise ForbiddenError(f"the role `{scope.role}` may not see `{field}`")
    return name, parts


def _visible(shape: Shape, name: str, parts: Iterable[str], scope: Scope) -> Iterable[str]:
    return (part for part in parts if _sees(scope, f"{shape.fields[name][0]}.{part}"))


def _sees(scope: Scope, field: str) -> bool:
    return scope.views.get(field, View.DENIED) is not View.DENIED


def operation_of(shape: Shape, fields: Fields) -> str:
    """The operation that asks for a page of these fields, oldest first. Its text is made of names of our own alone."""
    selected = " ".join(name if not parts else f"{name} {{ {' '.join(parts)} }}" for name, parts in fields)
    if not shape.paged:
        return f"""
        query ($filter: {shape.filter}, $first: Int) {{
          costs(filter: $filter, groupBy: [ACCOUNT, MODEL, PROVIDER, STATUS], bucket: DAY, timeZone: "UTC",
                first: $first, orderBy: [{{field: BUCKET_START, direction: ASC}}]) {{
            pageInfo {{ hasNextPage }} nodes {{ {selected} }}
          }}
        }}
        """
    order = _ORDERS[shape.root]
    return f"""
    query ($filter: {shape.filter}, $first: Int, $after: String, $total: Boolean!) {{
      {shape.root}(filter: $filter, first: $first, after: $after, orderBy: [{{field: {order}, direction: ASC}}]) {{
        totalCount @include(if: $total) pageInfo {{ hasNextPage endCursor }} nodes {{ {selected} }}
      }}
    }}
    """
