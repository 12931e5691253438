"""Filters as values: what a caller asked for, before any SQL.

A predicate names the fields of the GraphQL filters (`startedAt`, `apiKey`) and holds values already of the right type.
`ne`, `notIn` and `Not` are complements: a value that was not reported matches them.
A status is `SUCCEEDED` or `FAILED`; ids and pseudonyms are text as given out; `user` with `in` takes pseudonyms, with
`eq` the plain id.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, cast

Operator = Literal["eq", "ne", "in", "notIn", "lt", "lte", "gt", "gte", "contains", "startsWith", "isNull"]


class Compare(NamedTuple):
    """`field operator value`; `in` and `notIn` take a tuple, `isNull` a bool."""

    field: str
    operator: Operator
    value: object


@dataclass(frozen=True, slots=True)
class TagMatch:
    """The call carries tag `key`, and its value satisfies every one of `conditions` (none: any value)."""

    key: str
    conditions: tuple[Compare, ...]


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; no parts: always true."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds; no parts: never true."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The complement, with what was not reported."""

    part: "Predicate"


Predicate = Compare | TagMatch | And | Or | Not
EVERYTHING = And(())


def operands(compare: Compare) -> tuple[object, ...]:
    """What is compared with: the values of `in` and `notIn`, the one value of any other operator."""
    value = compare.value
    return cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)


def conjuncts(predicate: Predicate) -> Iterator[Predicate]:
    """The parts that must all hold, nested And's opened."""
    if isinstance(predicate, And):
        for part in predicate.parts:
            yield from conjuncts(part)
    else:
        yield predicate


def fields_of(predicate: Predicate) -> Iterator[str]:
    """Every field that the predicate looks at; tags as `tags`."""
    if isinstance(predicate, Compare):
        yield predicate.field
    elif isinstance(predicate, TagMatch):
        yield "tags"
    elif isinstance(predicate, Not):
        yield from fields_of(predicate.part)
    else:
        for part in predicate.parts:
            yield from fields_of(part)


def plain_users(predicate: Predicate) -> Iterator[str]:
    """Every plain id that the predicate names."""
    match predicate:
        case Compare(field="user", operator="eq", value=str(value)):
            yield value
        case Not(part):
            yield from plain_users(part)
        case And(parts) | Or(parts):
            for part in parts:
                yield from plain_users(part)
        case _:
            pass


def canonical(predicate: Predicate) -> str:
    """A text that says all of a predicate: another predicate has another text."""
    match predicate:
        case Compare(field, operator, value):
            return f"{field} {operator} {value!r}"
        case TagMatch(key, conditions):
            return f"tag {key!r} [{'; '.join(canonical(condition) for condition in conditions)}]"
        case Not(part):
            return f"not [{canonical(part)}]"
        case And(parts) | Or(parts):
            return f"{type(predicate).__name__} [{'; '.join([canonical(part) for part in parts])}]"


class TimeRange(NamedTuple):
    """A half-open time range [start, end); None: open."""

    start: datetime | None = None
    end: datetime | None = None
