"""The columns that can be filtered, selected and ordered by, and the SQL of each.

Names are those of the GraphQL filters and types. Every piece of SQL that a query is assembled from stands here or in
the modules beside it; nothing of a caller's ever becomes part of a statement but as a bound parameter.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from policies.policy.model import Store
from service.query.model.field import Field, FieldKind, Filterable
from service.query.model.fields import AMOUNT_SOURCE, CALL, CALL_ERROR, EXPRESSIONS


@dataclass(frozen=True, slots=True)
class Sortable:
    """A field to order by: its expression, its SQL type, and the policy's fields that govern it."""

    sql: str
    type: str
    governed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A store as queries see it: one of the two below. `type`: what its rows are in the schema. `time`: the column that
    it is partitioned and paged by, and `time_field` its field.
    """

    name: str
    kind: str
    type: str
    time: str
    time_field: str
    store: Store
    filters: Mapping[str, Filterable]
    fields: Mapping[str, Field]
    orders: Mapping[str, Sortable]
    time_order: str

    @property
    def moments(self) -> frozenset[str]:
        """The columns of its other moments."""
        others = [field for field in self.fields.values() if field.bare_type == "DateTime"]
        return frozenset(column for field in others for column in field.columns) - {self.time}

    def written_on(self, names: Iterable[str]) -> bool:
        """Whether these fields leave time and id of a row as they are, or only write them on."""
        plain = [self.fields[name] for name in names if name in self.fields and name != self.time_field]
        return all(field.value == "own_id" or not {self.time, "id"} & {*field.columns} for field in plain)


def _filters(type_: str, fields: Mapping[str, Field]) -> dict[str, Filterable]:
    return {name: _filterable(type_, field, field.filter) for name, field in fields.items() if field.filter}


def _filterable(type_: str, field: Field, given: FieldKind | Filterable) -> Filterable:
    """A field that only says how it compares is filtered by its column, and governed by itself."""
    if isinstance(given, Filterable):
        return given
    (alias,) = field.columns
    sql = EXPRESSIONS.get(alias, alias)
    sql = sql if sql.isidentifier() else f"({sql})"
    return Filterable(sql, given, (f"{type_}.{field.name}",), field.description)


CALL_FILTERS: Final[Mapping[str, Filterable]] = {
    **_filters("Call", CALL),
    "currency": Filterable("currency", FieldKind.TEXT, ("Call.amount", "Amount.currency"), "Currency of the amount."),
    "amountSource": AMOUNT_SOURCE,
    "isCorrection": Filterable(
        "(correction_of IS NOT NULL)",
        FieldKind.FLAG,
        ("Call.corrects",),
        "Whether it corrects a call. Lists leave corrections out unless this is given; costs and facets have them with "
        "their calls: money, and no counts.",
    ),
}
ERROR_FILTERS: Final[Mapping[str, Filterable]] = {
    **_filters("CallError", CALL_ERROR),
    **{name: CALL_FILTERS[name] for name in ("account", "apiKey", "user", "model", "provider")},
    "redactedBy": Filterable(
        "rules",
        FieldKind.RULES,
        ("CallError.redactions", "Redaction.rule"),
        "A redaction rule that fired; `ne` and `notIn`: that did not.",
    ),
}

CALLS: Final = Table(
    name="call",
    kind="calls",
    type="Call",
    time="started_at",
    time_field="startedAt",
    store=Store.CALL,
    filters=CALL_FILTERS,
    fields=CALL,
    orders={
        "STARTED_AT": Sortable("started_at", "timestamptz", ("Call.startedAt",)),
        "AMOUNT": Sortable("amount", "numeric", ("Call.amount", "Amount.amount")),
        "LATENCY": Sortable("latency_ms", "integer", ("Call.latencyMs",)),
        "TOTAL_TOKENS": Sortable(f"({EXPRESSIONS['total_tokens']})", "bigint", ("Call.totalTokens",)),
        "CACHE_READ_TOKENS": Sortable("cache_read_tokens", "integer", ("Call.cacheReadTokens",)),
        "CACHE_WRITE_TOKENS": Sortable("cache_write_tokens", "integer", ("Call.cacheWriteTokens",)),
        "TOKEN_EFFICIENCY": Sortable(
            f"({EXPRESSIONS['token_efficiency']})", "double precision", ("Call.tokenEfficiency",)
        ),
        "TIME_TO_FIRST_TOKEN": Sortable("time_to_first_token_ms", "integer", ("Call.timeToFirstTokenMs",)),
        "AMOUNT_SOURCE": Sortable(AMOUNT_SOURCE.sql, "text", AMOUNT_SOURCE.governed_by),
    },
    time_order="STARTED_AT",
)

ERRORS: Final = Table(
    name="call_error",
    kind="errors",
    type="CallError",
    time="occurred_at",
    time_field="occurredAt",
    store=Store.CALL_ERROR,
    filters=ERROR_FILTERS,
    fields=CALL_ERROR,
    orders={"OCCURRED_AT": Sortable("occurred_at", "timestamptz", ("CallError.occurredAt",))},
    time_order="OCCURRED_AT",
)
