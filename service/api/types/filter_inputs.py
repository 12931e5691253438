"""Filters and orders as a caller writes them. `filters.py` makes predicates of them.

What calls and errors can be filtered by says the catalog of queries (`service/query/model/catalog.py`).

What is null in a filter is not given: clients send null for every variable that they do not set, such as an open bound
of a range. `eq` and `ne` alone refuse it, by `Maybe`: nothing equals null, and "no filter" is not what was meant.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, TypeVar

import strawberry
from strawberry import Maybe

from service.api.types.enums import (
    AmountSource,
    AmountUnknownReason,
    CallOrderField,
    CallStatus,
    ErrorGroupOrderField,
    ErrorOrderField,
    OrderDirection,
)
from service.api.types.scalars import BigInt
from service.query.model.catalog import CALLS, ERRORS
from service.query.model.field import FieldKind, Filterable, attribute

_Type = TypeVar("_Type", bound=type)


def _field(description: str, name: str | None = None) -> Any:  # noqa: ANN401 - a dataclass field, whatever its type
    return strawberry.field(description=description, name=name)


def _optional(description: str, name: str | None = None) -> Any:  # noqa: ANN401 - a dataclass field, whatever its type
    return strawberry.field(description=description, name=name, default=strawberry.UNSET)


@strawberry.input
class StringFilter:
    """Compares text by code point, case-sensitive. All given operators must hold."""

    eq: Maybe[str] = _field("Equal.")
    ne: Maybe[str] = _field("Not equal; also what was not reported.")
    in_: list[str] | None = _optional("One of these; an empty list matches nothing.", "in")
    not_in: list[str] | None = _optional("None of these; also what was not reported.", "notIn")
    contains: str | None = _optional("Contains this text.")
    starts_with: str | None = _optional("Starts with this text.")
    is_null: bool | None = _optional("Was not reported (true), or was (false).")


@strawberry.input
class IDFilter:
    """Compares ids."""

    eq: Maybe[strawberry.ID] = _field("Equal.")
    in_: list[strawberry.ID] | None = _optional("One of these; an empty list matches nothing.", "in")


@strawberry.input(one_of=True)
class UserFilter:
    """Names users by the plain id (roles that may; hashed here, never logged) or by pseudonym."""

    id: Maybe[str] = _field("The plain id of one user.")
    pseudonym: Maybe[list[strawberry.ID]] = _field("Any of these pseudonyms.")
    is_null: Maybe[bool] = _field("Not reported, or not readable any more (true), or readable (false).")


@strawberry.input
class IntFilter:
    """Compares whole numbers. All given operators must hold."""

    eq: Maybe[int] = _field("Equal.")
    ne: Maybe[int] = _field("Not equal; also what was not reported.")
    in_: list[int] | None = _optional("One of these; an empty list matches nothing.", "in")
    not_in: list[int] | None = _optional("None of these; also what was not reported.", "notIn")
    lt: int | None = _optional("Less than.")
    lte: int | None = _optional("At most.")
    gt: int | None = _optional("More than.")
    gte: int | None = _optional("At least.")
    is_null: bool | None = _optional("Was not reported (true), or was (false).")


@strawberry.input
class BigIntFilter:
    """Compares 64-bit whole numbers. All given operators must hold."""

    eq: Maybe[BigInt] = _field("Equal.")
    lt: BigInt | None = _optional("Less than.")
    lte: BigInt | None = _optional("At most.")
    gt: BigInt | None = _optional("More than.")
    gte: BigInt | None = _optional("At least.")


@strawberry.input
class TokenSumFilter:
    """Compares sums of tokens, 64-bit whole numbers. All given operators must hold."""

    eq: Maybe[BigInt] = _field("Equal.")
    ne: Maybe[BigInt] = _field("Not equal; also what was not reported.")
    in_: list[BigInt] | None = _optional("One of these; an empty list matches nothing.", "in")
    not_in: list[BigInt] | None = _optional("None of these; also what was not reported.", "notIn")
    lt: BigInt | None = _optional("Less than.")
    lte: BigInt | None = _optional("At most.")
    gt: BigInt | None = _optional("More than.")
    gte: BigInt | None = _optional("At least.")
    is_null: bool | None = _optional("Was not reported (true), or was (false).")


@strawberry.input
class DecimalFilter:
    """Compares exact decimals. All given operators must hold."""

    eq: Maybe[Decimal] = _field("Equal.")
    ne: Maybe[Decimal] = _field("Not equal; also what was not reported.")
    lt: Decimal | None = _optional("Less than.")
    lte: Decimal | None = _optional("At most.")
    gt: Decimal | None = _optional("More than.")
    gte: Decimal | None = _optional("At least.")
    is_null: bool | None = _optional("Was not reported (true), or was (false).")


@strawberry.input
class FloatFilter:
    """Compares quotients, which are not exact: by order alone. All given operators must hold."""

    lt: float | None = _optional("Less than.")
    lte: float | None = _optional("At most.")
    gt: float | None = _optional("More than.")
    gte: float | None = _optional("At least.")
    is_null: bool | None = _optional("Does not exist (true), or does (false).")


@strawberry.input
class DateTimeFilter:
    """Compares moments. `gte` and `lt` together make a half-open range."""

    eq: Maybe[datetime] = _field("At exactly this moment.")
    lt: datetime | None = _optional("Before.")
    lte: datetime | None = _optional("Not after.")
    gt: datetime | None = _optional("After.")
    gte: datetime | None = _optional("Not before.")


@strawberry.input
class BooleanFilter:
    """Compares yes and no."""

    eq: Maybe[bool] = _field("Equal.")
    is_null: bool | None = _optional("Was not reported (true), or was (false).")


@strawberry.input
class CallStatusFilter:
    """Compares how calls ended."""

    eq: Maybe[CallStatus] = _field("Equal.")
    ne: Maybe[CallStatus] = _field("Not equal.")
    in_: list[CallStatus] | None = _optional("One of these; an empty list matches nothing.", "in")
    not_in: list[CallStatus] | None = _optional("None of these.", "notIn")


@strawberry.input
class AmountUnknownFilter:
    """Compares why amounts are not known."""

    eq: Maybe[AmountUnknownReason] = _field("Equal.")
    ne: Maybe[AmountUnknownReason] = _field("Not equal; also where the amount is known.")
    in_: list[AmountUnknownReason] | None = _optional("One of these; an empty list matches nothing.", "in")
    not_in: list[AmountUnknownReason] | None = _optional("None of these; also where the amount is known.", "notIn")
    is_null: bool | None = _optional("There is no such reason (true), or there is one (false).")


@strawberry.input
class AmountSourceFilter:
    """Compares where amounts come from."""

    eq: Maybe[AmountSource] = _field("Equal.")
    ne: Maybe[AmountSource] = _field("Not equal; also where the amount is not known.")
    in_: list[AmountSource] | None = _optional("One of these; an empty list matches nothing.", "in")
    not_in: list[AmountSource] | None = _optional("None of these; also where the amount is not known.", "notIn")
    is_null: bool | None = _optional("There is no amount (true), or there is one (false).")


@strawberry.input
class TagFilter:
    """Matches calls that carry a tag."""

    key: str = _field("The tag's key.")
    value: StringFilter | None = _optional("What its value must satisfy; without it any value will do.")


_INPUTS: Final[Mapping[FieldKind, Any]] = {
    FieldKind.TEXT: StringFilter,
    FieldKind.ACCOUNT: StringFilter,
    FieldKind.RULES: StringFilter,
    FieldKind.INTEGER: IntFilter,
    FieldKind.TOKEN_SUM: TokenSumFilter,
    FieldKind.DECIMAL: DecimalFilter,
    FieldKind.REAL: FloatFilter,
    FieldKind.MOMENT: DateTimeFilter,
    FieldKind.FLAG: BooleanFilter,
    FieldKind.STATUS: CallStatusFilter,
    FieldKind.REASON: AmountUnknownFilter,
    FieldKind.AMOUNT_SOURCE: AmountSourceFilter,
    FieldKind.CALL_ID: IDFilter,
    FieldKind.ERROR_ID: IDFilter,
    FieldKind.FINGERPRINT: IDFilter,
    FieldKind.USER: UserFilter,
    FieldKind.TAGS: list[TagFilter],
}


def _comparing(filters: Mapping[str, Filterable]) -> Callable[[_Type], _Type]:
    """Gives a filter its fields, by how each compares, before those that it has of its own."""

    def add(cls: _Type) -> _Type:
        """Give `cls` an optional attribute for each of the filters."""
        own = {attribute(name): _INPUTS[field.kind] | None for name, field in filters.items()}
        cls.__annotations__ = {**own, **cls.__annotations__}
        for name, field in filters.items():
            setattr(cls, attribute(name), _optional(field.description))
        return cls

    return add


@strawberry.input
@_comparing(CALLS.filters)
class CallFilter:
    """Chooses calls. All given fields must hold; a value that was not reported matches no comparison but `ne`, `notIn`,
    `not` and `isNull`.
    """

    and_: list["CallFilter"] | None = _optional("All of these must hold.", "and")
    or_: list["CallFilter"] | None = _optional("At least one of these must hold; an empty list matches nothing.", "or")
    not_: "CallFilter | None" = _optional("This must not hold.", "not")


@strawberry.input
@_comparing(ERRORS.filters)
class ErrorFilter:
    """Chooses errors. All given fields must hold, as for calls."""

    and_: list["ErrorFilter"] | None = _optional("All of these must hold.", "and")
    or_: list["ErrorFilter"] | None = _optional("At least one of these must hold; an empty list matches nothing.", "or")
    not_: "ErrorFilter | None" = _optional("This must not hold.", "not")


@strawberry.input
class CallOrder:
    """Nulls last; ties by id. All but STARTED_AT want a startedAt range of 31 days or less."""

    field: CallOrderField = _field("What to order by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which end comes first.")


@strawberry.input
class ErrorOrder:
    """Order of errors; ties by id."""

    field: ErrorOrderField = _field("What to order by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which end comes first.")


@strawberry.input
class ErrorGroupOrder:
    """Order of groups of errors; ties by fingerprint."""

    field: ErrorGroupOrderField = _field("What to order by.")
    direction: OrderDirection = strawberry.field(default=OrderDirection.DESC, description="Which end comes first.")


FilterArgument = Annotated[CallFilter | None, strawberry.argument(description="Which calls.")]
ErrorFilterArgument = Annotated[ErrorFilter | None, strawberry.argument(description="Which errors.")]
