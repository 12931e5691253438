"""What can be exported: by kind the fields, and the operation of the schema that asks for them.

An export asks what anybody could ask, so that it cannot show what GraphQL would not.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from policies.policy.model import Store, View
from service.query.model.errors import BadInputError, ForbiddenError
from service.query.model.fields import CALL
from service.query.model.scope import Scope

Fields = tuple[tuple[str, tuple[str, ...]], ...]
"""Fields to select, in order, each with the fields to select of what it is (none of a plain value)."""

LISTS: Final = frozenset({"amountParts", "tags", "parameters", "redactions", "units"})
"""Fields that have many values."""
LIST_PARTS: Final[Mapping[str, tuple[str, ...]]] = {"tags": ("key", "value")}
"""Parts that have many values themselves, with the fields of these."""


@dataclass(frozen=True, slots=True)
class ExportShape:
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


_SHAPES: Final[Mapping[str, ExportShape]] = {
    "CALLS": ExportShape(
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
    "ERRORS": ExportShape(
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
    "COSTS": ExportShape(
        "CostRow",
        "costs",
        "CallFilter",
        "startedAt",
        Store.USAGE_DAY,
        _fields(
            "key* calls errors inputTokens outputTokens cacheReadTokens cacheWriteTokens reasoningTokens amount* "
            "callsWithoutAmount estimatedShare tokenEfficiency averageCost costPerThousandOutputTokens latencyMs* "
            "timeToFirstTokenMs* wastedOnFailures",
            key=("CostKey", ""),
            amount=("Money", "amount currency"),
            latencyMs=("Percentiles", "p50 p95 p99"),
            timeToFirstTokenMs=("Percentiles", "p50 p95 p99"),
        ),
        paged=False,
    ),
}
SHAPES: Final = {**_SHAPES, "FOCUS": _SHAPES["CALLS"]}
"""By kind; FOCUS has the charges of calls that are chosen so."""


@dataclass(frozen=True, slots=True)
class ExportGrouping:
    """How costs are grouped: arguments of `costs`, by the names of their values."""

    group_by: tuple[str, ...] = ("ACCOUNT", "MODEL", "PROVIDER", "STATUS")
    group_by_tags: tuple[str, ...] = ()
    bucket: str | None = "DAY"
    time_zone: str = "UTC"
    corrections: str = "BY_CALL_TIME"

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments as variables of the operation, and as they are kept."""
        return {
            "groupBy": list(self.group_by),
            "groupByTags": list(self.group_by_tags),
            "bucket": self.bucket,
            "timeZone": self.time_zone,
            "corrections": self.corrections,
        }

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "ExportGrouping":
        """What `arguments` were made of."""
        return cls(
            tuple(arguments["groupBy"]),
            tuple(arguments["groupByTags"]),
            arguments["bucket"],
            arguments["timeZone"],
            arguments["corrections"],
        )

    @property
    def key(self) -> tuple[str, ...]:
        """The fields of a row's key that have values."""
        names = [_camel(name) for name in self.group_by]
        tags = ["tags"] if self.group_by_tags else []
        return (*names, *tags, "currency", *(("bucketStart", "bucketEnd") if self.bucket else ()))


def _camel(name: str) -> str:
    first, *others = name.lower().split("_")
    return "".join([first, *map(str.title, others)])


def shape_of(kind: str, grouping: ExportGrouping) -> ExportShape:
    """The kind; of COSTS with the key that the rows have."""
    shape = SHAPES[kind]
    return shape if shape.paged else replace(shape, fields={**shape.fields, "key": ("CostKey", grouping.key)})


_ORDERS: Final = {"calls": "STARTED_AT", "errors": "OCCURRED_AT"}
_COMPUTED: Final[Mapping[str, frozenset[str]]] = {
    "Call": frozenset({"totalTokens", "tokenEfficiency", "netAmount", "correctedAt", "corrects"}),
    "CostRow": frozenset(
        {"tokenEfficiency", "averageCost", "costPerThousandOutputTokens", "latencyMs", "timeToFirstTokenMs"}
        | {"wastedOnFailures"}
    ),
}
"""Left out unless they are named: they follow from the others."""


def all_fields(shape: ExportShape) -> Fields:
    """The fields of an export when the request names none."""
    left_out = _COMPUTED.get(shape.type, frozenset())
    return tuple((name, parts) for name, (_, parts) in shape.fields.items() if name not in left_out)


def chosen_fields(shape: ExportShape, names: Sequence[str] | None, scope: Scope) -> Fields:
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


def _named(shape: ExportShape, name: str, scope: Scope) -> tuple[str, tuple[str, ...]]:
    if name not in shape.fields:
        raise BadInputError(f"there is no field `{name[:60]}` to export: choose among {', '.join(shape.fields)}")
    type_, parts = shape.fields[name]
    for field in (f"{shape.type}.{name}", *(f"{type_}.{part}" for part in parts)):
        if not _sees(scope, field):
            raise ForbiddenError(f"the role `{scope.role}` may not see `{field}`")
    return name, parts


def _visible(shape: ExportShape, name: str, parts: Iterable[str], scope: Scope) -> Iterable[str]:
    return (part for part in parts if _sees(scope, f"{shape.fields[name][0]}.{part}"))


def _sees(scope: Scope, field: str) -> bool:
    return scope.views.get(field, View.DENIED) is not View.DENIED


def operation_of(shape: ExportShape, fields: Fields) -> str:
    """The operation that asks for a page of these fields, oldest first. Its text is made of names of our own alone."""
    selected = selection_of(fields)
    if not shape.paged:
        return f"""
        query (
          $filter: {shape.filter}, $first: Int, $groupBy: [CostDimension!], $groupByTags: [String!],
          $bucket: TimeBucket, $timeZone: TimeZone, $corrections: CorrectionTime
        ) {{
          costs(
            filter: $filter, first: $first, groupBy: $groupBy, groupByTags: $groupByTags, bucket: $bucket,
            timeZone: $timeZone, corrections: $corrections
          ) {{ nodes {{ {selected} }} }}
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


def selection_of(fields: Fields) -> str:
    """The fields as a selection of GraphQL."""
    return " ".join(_selected(name, parts) for name, parts in fields)


def _selected(name: str, parts: Iterable[str]) -> str:
    inner = [f"{part} {{ {' '.join(LIST_PARTS[part])} }}" if part in LIST_PARTS else part for part in parts]
    return f"{name} {{ {' '.join(inner)} }}" if inner else name
