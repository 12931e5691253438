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

from service.api.types.declarations import argument, described, optional
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


@strawberry.input
class StringFilter:
    """Compares text by code point, case-sensitive. All given operators must hold."""

    eq: Maybe[str] = described("Equal.")
    ne: Maybe[str] = described("Not equal; also what was not reported.")
    in_: list[str] | None = optional("One of these; an empty list matches nothing.", "in")
    not_in: list[str] | None = optional("None of these; also what was not reported.", "notIn")
    contains: str | None = optional("Contains this text.")
    starts_with: str | None = optional("Starts with this text.")
    is_null: bool | None = optional("Was not reported (true), or was (false).")


@strawberry.input
class IDFilter:
    """Compares ids."""

    eq: Maybe[strawberry.ID] = described("Equal.")
    in_: list[strawberry.ID] | None = optional("One of these; an empty list matches nothing.", "in")


@strawberry.input(one_of=True)
class UserFilter:
    """Names users by the plain id (roles that may; hashed here, never logged) or by pseudonym."""

    id: Maybe[str] = described("The plain id of one user.")
    pseudonym: Maybe[list[strawberry.ID]] = described("Any of these pseudonyms.")
    is_null: Maybe[bool] = described("Not reported, or not readable any more (true), or readable (false).")


@strawberry.input
class IntFilter:
    """Compares whole numbers. All given operators must hold."""

    eq: Maybe[int] = described("Equal.")
    ne: Maybe[int] = described("Not equal; also what was not reported.")
    in_: list[int] | None = optional("One of these; an empty list matches nothing.", "in")
    not_in: list[int] | None = optional("None of these; also what was not reported.", "notIn")
    lt: int | None = optional("Less than.")
    lte: int | None = optional("At most.")
    gt: int | None = optional("More than.")
    gte: int | None = optional("At least.")
    is_null: bool | None = optional("Was not reported (true), or was (false).")


@strawberry.input
class BigIntFilter:
    """Compares 64-bit whole numbers. All given operators must hold."""

    eq: Maybe[BigInt] = described("Equal.")
    lt: BigInt | None = optional("Less than.")
    lte: BigInt | None = optional("At most.")
    gt: BigInt | None = optional("More than.")
    gte: BigInt | None = optional("At least.")


@strawberry.input
class TokenSumFilter:
    """Compares sums of tokens, 64-bit whole numbers. All given operators must hold."""

    eq: Maybe[BigInt] = described("Equal.")
    ne: Maybe[BigInt] = described("Not equal; also what was not reported.")
    in_: list[BigInt] | None = optional("One of these; an empty list matches nothing.", "in")
    not_in: list[BigInt] | None = optional("None of these; also what was not reported.", "notIn")
    lt: BigInt | None = optional("Less than.")
    lte: BigInt | None = optional("At most.")
    gt: BigInt | None = optional("More than.")
    gte: BigInt | None = optional("At least.")
    is_null: bool | None = optional("Was not reported (true), or was (false).")


@strawberry.input
class DecimalFilter:
    """Compares exact decimals. All given operators must hold."""

    eq: Maybe[Decimal] = described("Equal.")
    ne: Maybe[Decimal] = described("Not equal; also what was not reported.")
    lt: Decimal | None = optional("Less than.")
    lte: Decimal | None = optional("At most.")
    gt: Decimal | None = optional("More than.")
    gte: Decimal | None = optional("At least.")
    is_null: bool | None = optional("Was not reported (true), or was (false).")


@strawberry.input
class FloatFilter:
    """Compares quotients, which are not exact: by order alone. All given operators must hold."""

    lt: float | None = optional("Less than.")
    lte: float | None = optional("At most.")
    gt: float | None = optional("More than.")
    gte: float | None = optional("At least.")
    is_null: bool | None = optional("Does not exist (true), or does (false).")


@strawberry.input
class DateTimeFilter:
    """Compares moments. `gte` and `lt` together make a half-open range."""

    eq: Maybe[datetime] = described("At exactly this moment.")
    lt: datetime | None = optional("Before.")
    lte: datetime | None = optional("Not after.")
    gt: datetime | None = optional("After.")
    gte: datetime | None = optional("Not before.")


@strawberry.input
class BooleanFilter:
    """Compares yes and no."""

    eq: Maybe[bool] = described("Equal.")
    is_null: bool | None = optional("Was not reported (true), or was (false).")


@strawberry.input
class CallStatusFilter:
    """Compares how calls ended."""

    eq: Maybe[CallStatus] = described("Equal.")
    ne: Maybe[CallStatus] = described("Not equal.")
    in_: list[CallStatus] | None = optional("One of these; an empty list matches nothing.", "in")
    not_in: list[CallStatus] | None = optional("None of these.", "notIn")


@strawberry.input
class AmountUnknownFilter:
    """Compares why amounts are not known."""

    eq: Maybe[AmountUnknownReason] = described("Equal.")
    ne: Maybe[AmountUnknownReason] = described("Not equal; also where the amount is known.")
    in_: list[AmountUnknownReason] | None = optional("One of these; an empty list matches nothing.", "in")
    not_in: list[AmountUnknownReason] | None = optional("None of these; also where the amount is known.", "notIn")
    is_null: bool | None = optional("There is no such reason (true), or there is one (false).")


@strawberry.input
class AmountSourceFilter:
    """Compares where amounts come from."""

    eq: Maybe[AmountSource] = described("Equal.")
    ne: Maybe[AmountSource] = described("Not equal; also where the amount is not known.")
    in_: list[AmountSource] | None = optional("One of these; an empty list matches nothing.", "in")
    not_in: list[AmountSource] | None = optional("None of these; also where the amount is not known.", "notIn")
    is_null: bool | None = optional("There is no amount (true), or there is one (false).")


@strawberry.input
class TagFilter:
    """Matches calls that carry a tag."""

    key: str = described("The tag's key.")
    value: StringFilter | None = optional("What its value must satisfy; without it any value will do.")


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
            setattr(cls, attribute(name), optional(field.description))
        return cls

    return add


@strawberry.input
@_comparing(CALLS.filters)
class CallFilter:
    """Chooses calls. All given fields must hold; a value that was not reported matches no comparison but `ne`, `notIn`,
    `not` and `isNull`.
    """

    and_: list["CallFilter"] | None = optional("All of these must hold.", "and")
    or_: list["CallFilter"] | None = optional("At least one of these must hold; an empty list matches nothing.", "or")
    not_: "CallFilter | None" = optional("This must not hold.", "not")


@strawberry.input
@_comparing(ERRORS.filters)
class ErrorFilter:
    """Chooses errors. All given fields must hold, as for calls."""

    and_: list["ErrorFilter"] | None = optional("All of these must hold.", "and")
    or_: list["ErrorFilter"] | None = optional("At least one of these must hold; an empty list matches nothing.", "or")
    not_: "ErrorFilter | None" = optional("This must not hold.", "not")


@strawberry.input
class CallOrder:
    """Nulls last; ties by id. All but STARTED_AT want a startedAt range of 31 days or less."""

    field: CallOrderField = described("What to order by.")
    direction: OrderDirection = described("Which end comes first.", default=OrderDirection.DESC)


@strawberry.input
class ErrorOrder:
    """Order of errors; ties by id."""

    field: ErrorOrderField = described("What to order by.")
    direction: OrderDirection = described("Which end comes first.", default=OrderDirection.DESC)


@strawberry.input
class ErrorGroupOrder:
    """Order of groups of errors; ties by fingerprint."""

    field: ErrorGroupOrderField = described("What to order by.")
    direction: OrderDirection = described("Which end comes first.", default=OrderDirection.DESC)


FilterArgument = Annotated[CallFilter | None, argument("Which calls.")]
ErrorFilterArgument = Annotated[ErrorFilter | None, argument("Which errors.")]
