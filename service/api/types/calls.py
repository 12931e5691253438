"""Calls and errors as the schema shows them: their fields are those of the table in `service/query/model/fields.py`.

Objects are made by `objects.py`; what was not asked for stays None. Nullability: `!` only where a value always exists
and no shipped role can be denied or masked on it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar

import strawberry

from service.api.types.declarations import selected
from service.api.types.enums import AmountSource, AmountUnknownReason, CallStatus, Disclosure, ParameterAction
from service.api.types.scalars import BigInt
from service.query.model.field import Field, attribute
from service.query.model.fields import TYPES

_NAMES: Final[Mapping[str, str]] = {
    "Boolean": "bool",
    "DateTime": "datetime",
    "Float": "float",
    "ID": "strawberry.ID",
    "Int": "int",
    "String": "str",
}
"""What Strawberry calls the types of GraphQL, where it is not the name that they have in this module."""
_Type = TypeVar("_Type", bound=type)


def _annotation(type_: str) -> str:
    """The Python type of a GraphQL type, as text: `[Tag!]` is `list[Tag] | None`."""
    bare = type_.removesuffix("!")
    inner = f"list[{_annotation(bare[1:-1])}]" if bare.startswith("[") else _NAMES.get(bare, bare)
    return inner if type_.endswith("!") else f"{inner} | None"


def _tabled(fields: Mapping[str, Field], inherited: tuple[str, ...] = ()) -> Callable[[_Type], _Type]:
    """Gives a class the fields of the table, but for what it inherits."""

    def add(cls: _Type) -> _Type:
        """Give `cls` an attribute for each of the fields."""
        own = [field for name, field in fields.items() if name not in inherited]
        cls.__annotations__ = {attribute(field.name): _annotation(field.type) for field in own}
        for field in own:
            setattr(cls, attribute(field.name), selected(field.description, weight=field.weight))
        return cls

    return add


@strawberry.interface
class Node:
    """A thing with an opaque, type-prefixed id (`call_...`, `err_...`): the id that ingest answers is this id."""

    id: strawberry.ID = selected("Opaque id.")


@strawberry.type
@_tabled(TYPES["Amount"])
class Amount:
    """Money of one call."""


@strawberry.type
@_tabled(TYPES["AmountPart"])
class AmountPart:
    """One part of an amount: quantity x unit price."""


@strawberry.type
@_tabled(TYPES["Tag"])
class Tag:
    """A label that the policy allows."""


@strawberry.type
@_tabled(TYPES["Unit"])
class Unit:
    """What a call used beside tokens."""


@strawberry.type
@_tabled(TYPES["Call"], inherited=("id",))
class Call(Node):
    """One request to a model through a gateway."""


@strawberry.type
@_tabled(TYPES["ErrorParameter"])
class ErrorParameter:
    """One request parameter; only names on the policy's allow-list appear."""


@strawberry.type
@_tabled(TYPES["Redaction"])
class Redaction:
    """How often a rule fired; never what it hit."""


@strawberry.type
@_tabled(TYPES["CallError"], inherited=("id",))
class CallError(Node):
    """The error record of a failed call."""


@strawberry.type
class ErrorGroupBucket:
    """Errors of one fingerprint in one bucket of time."""

    start: datetime = selected("Where the bucket begins, included; it may lie before the range asked for.")
    end: datetime = selected("Where it ends, not included.")
    count: BigInt = selected("How many there are.")


@strawberry.type
class ErrorGroup:
    """Errors of one fingerprint."""

    fingerprint: strawberry.ID = selected("What these errors have in common.")
    type: str = selected("Their type.")
    count: BigInt = selected("How many there are.")
    first_seen: datetime = selected("The oldest inside the window.")
    last_seen: datetime = selected("The newest.")
    models: list[str] = selected("Models that were asked for, a hundred at most.")
    buckets: list[ErrorGroupBucket] | None = selected(
        "How many there are by time, oldest first and none that is zero; null without `bucket`.", weight=5
    )
    sample_message: str | None = selected("The newest error's message, masked as for errors.", weight=5)


CLASSES: Final[Mapping[str, type]] = {
    cls.__name__: cls for cls in (Amount, AmountPart, Call, CallError, ErrorParameter, Redaction, Tag, Unit)
}
"""The types of the table, by name."""

__all__ = [
    "CLASSES",
    "Amount",
    "AmountPart",
    "AmountSource",
    "AmountUnknownReason",
    "BigInt",
    "Call",
    "CallError",
    "CallStatus",
    "Decimal",
    "Disclosure",
    "ErrorGroup",
    "ErrorParameter",
    "Node",
    "ParameterAction",
    "Redaction",
    "Tag",
    "Unit",
]
