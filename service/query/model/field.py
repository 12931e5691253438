"""What one field of the schema is: what it reads, how it is filtered, and what stands for it in an answer.

The tables of these are in `fields.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

EXTRA_VALUES: Final = frozenset({"own_id", "own_moment", "names", "details", "net"})
"""What an expression may name besides the columns of its row; `row_renderer.py` works it out for all rows at once.

`own_id`: the outward id of a call. `own_moment`: the row's time as text. `names`: account names by id. `details`: what
the role may see of the sealed part of an error. `net`: what the corrections of a call add up to.
"""
_IDENTIFIER: Final = re.compile(r"[a-z_]\w*")


class FieldKind(Enum):
    """How a filter's value is compared."""

    TEXT = auto()
    INTEGER = auto()
    TOKEN_SUM = auto()
    DECIMAL = auto()
    REAL = auto()
    MOMENT = auto()
    FLAG = auto()
    STATUS = auto()
    REASON = auto()
    AMOUNT_SOURCE = auto()
    CALL_ID = auto()
    ERROR_ID = auto()
    FINGERPRINT = auto()
    ACCOUNT = auto()
    USER = auto()
    RULES = auto()
    TAGS = auto()


@dataclass(frozen=True, slots=True)
class Filterable:
    """A field of a filter: its expression, how it compares, the policy's fields that govern it, and what the schema
    says of it.
    """

    sql: str
    kind: FieldKind
    governed_by: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Relation:
    """Which rows a field stands for: those of the type `type` at the account, tier, time and id of these columns.

    `many`: the corrections of the call at that place instead.
    """

    type: str
    moment: str = "started_at"
    id: str = "id"
    many: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the schema.

    `type`: as GraphQL writes it. `value`: the Python expression of the JSON value that is answered, over columns by
    alias (`c_model`) and the EXTRA_VALUES; by default the column of the field's own name. A `DateTime` is a datetime
    there, and is written by the renderer. `parts`: the fields of what it holds; `{object}` in the value stands for one.
    `columns`: aliases of what has to be read; by default those that the value names. `filter`: how it is filtered by,
    if at all. `weight`: what it costs, where that is more than 0.
    """

    name: str
    type: str
    description: str
    value: str = ""
    columns: tuple[str, ...] = ()
    parts: "Mapping[str, Field] | None" = None
    relation: Relation | None = None
    filter: FieldKind | Filterable | None = None
    weight: int | None = None
    extra_values: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        value = self.value or ("" if self.relation else f"c_{attribute(self.name)}")
        named = _IDENTIFIER.findall(value)
        columns = self.columns or tuple(dict.fromkeys(name[2:] for name in named if name.startswith("c_")))
        inner = (part.extra_values for part in (self.parts or {}).values())
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "extra_values", EXTRA_VALUES.intersection(named).union(*inner))

    @property
    def bare_type(self) -> str:
        """The name of its type, without lists and `!`."""
        return self.type.strip("[]!")

    @property
    def masked_as_text(self) -> bool:
        """Whether the database can put a masked text in its place: where it cannot, a masked value is null."""
        return self.bare_type == "String" and "details" not in self.extra_values


def attribute(name: str) -> str:
    """The Python name of a GraphQL name, which is that of its column as well: `latencyMs` is `latency_ms`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def by_name(*fields: Field) -> Mapping[str, Field]:
    """The fields by their GraphQL names, in the given order."""
    return {field.name: field for field in fields}
