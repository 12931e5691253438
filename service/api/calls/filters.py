"""From a filter as written to a predicate: bounded in depth and size, each operator one comparison."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from strawberry import UNSET, Some

from service.api.types.filter_inputs import CallFilter, ErrorFilter, TagFilter, UserFilter
from service.log_redaction import name_as_stored
from service.query.model.errors import BadInputError
from service.query.model.predicate import And, Compare, Not, Operator, Or, Predicate, TagMatch

DEPTH_MAX: Final = 4
LEAVES_MAX: Final = 50
VALUES_MAX: Final = 1000

_OPERATORS: Final[dict[str, Operator]] = {
    "eq": "eq",
    "ne": "ne",
    "in_": "in",
    "not_in": "notIn",
    "lt": "lt",
    "lte": "lte",
    "gt": "gt",
    "gte": "gte",
    "contains": "contains",
    "starts_with": "startsWith",
    "is_null": "isNull",
}
_USER_OPERATORS: Final[dict[str, Operator]] = {"id": "eq", "pseudonym": "in", "is_null": "isNull"}
_NAMES: Final[dict[str, str]] = {
    python: "".join([head, *map(str.title, tail)])
    for filter_type in (CallFilter, ErrorFilter)
    for python in filter_type.__annotations__
    for head, *tail in [python.split("_")]
    if not python.endswith("_")
}


_NAME_MAX: Final = 200
"""Characters of a name as calls are stored with it; a mark in the place of a short credential is no longer."""


def to_predicate(filter_: CallFilter | ErrorFilter | None) -> Predicate:
    """The predicate of a filter; no filter lets everything pass. BadInputError when it is too deep or too large."""
    if filter_ is None:
        return And(())
    predicate = _all_of(filter_, 1)
    if sum(1 for _ in _leaves(predicate)) > LEAVES_MAX:
        raise BadInputError(f"a filter holds at most {LEAVES_MAX} comparisons")
    return predicate


def written_filter(filter_: CallFilter | ErrorFilter) -> dict[str, Any]:
    """The filter as it is written in JSON, to be kept. BadInputError when it names a user by the plain id."""
    return _written(filter_)


def _written(value: Any) -> Any:  # noqa: ANN401 - any part of a filter
    match value:
        case list():
            return [_written(item) for item in value]
        case Enum():
            return value.name
        case datetime():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case UserFilter(id=Some()):
            raise BadInputError("what was asked for is kept with an export: name users by `pseudonym`")
        case TagFilter():
            return {name: _written(inner) for name, inner in _given(value)}
        case str():
            return _name_as_stored(value)
        case bool() | int() | float():
            return value
    return {_outward(name): _written(inner) for name, inner in _given(value)}


def _name_as_stored(text: str) -> str:
    """As calls are stored with it, so that what is kept has no credential, and finds them. Raises BadInputError."""
    stored = name_as_stored(text, max_chars=max(len(text), _NAME_MAX))
    if stored is None or (text and not stored):
        raise BadInputError("what was asked for is kept with an export, and this filter cannot be searched for secrets")
    return stored


def _outward(name: str) -> str:
    head, *tail = name.rstrip("_").split("_")
    return "".join([head, *map(str.title, tail)])


def _all_of(filter_: CallFilter | ErrorFilter, depth: int) -> Predicate:
    if depth > DEPTH_MAX:
        raise BadInputError(f"`and`, `or` and `not` nest at most {DEPTH_MAX - 1} deep")
    parts = tuple(part for name, value in _given(filter_) for part in _parts(name, value, depth))
    return parts[0] if len(parts) == 1 else And(parts)


def _given(value: object) -> Iterator[tuple[str, Any]]:
    """Name and value of each field that was given; of a filter's fields null is not."""
    for name, given in vars(value).items():
        if isinstance(given, Some):
            yield name, given.value
        elif given is not None and given is not UNSET:
            yield name, given


def _parts(name: str, value: Any, depth: int) -> Iterator[Predicate]:  # noqa: ANN401 - any field of a filter
    if name in ("and_", "or_"):
        _check_size(value)
        inner = tuple(_all_of(part, depth + 1) for part in value)
        yield And(inner) if name == "and_" else Or(inner)
    elif name == "not_":
        yield Not(_all_of(value, depth + 1))
    elif name == "tags":
        _check_size(value)
        yield from (_tag(tag) for tag in value)
    elif isinstance(value, UserFilter):
        yield from _user(value)
    else:
        yield from _comparisons(_NAMES[name], value)


def _comparisons(field: str, value: object) -> Iterator[Compare]:
    for name, given in _given(value):
        yield Compare(field, _OPERATORS[name], _plain(given))


def _plain(value: object) -> object:
    if isinstance(value, list):
        _check_size(value)
        return tuple(_plain(item) for item in value)
    return value.value if isinstance(value, Enum) else value


def _tag(tag: TagFilter) -> TagMatch:
    conditions = tuple(_comparisons("value", tag.value)) if tag.value else ()
    return TagMatch(tag.key, conditions)


def _user(value: UserFilter) -> Iterator[Compare]:
    for name, given in _given(value):
        yield Compare("user", _USER_OPERATORS[name], _plain(given))


def _check_size(values: list[object]) -> None:
    if len(values) > VALUES_MAX:
        raise BadInputError(f"a list in a filter holds at most {VALUES_MAX} values")


def _leaves(predicate: Predicate) -> Iterator[Predicate]:
    if isinstance(predicate, Not):
        yield from _leaves(predicate.part)
    elif isinstance(predicate, TagMatch):
        yield predicate
        yield from predicate.conditions
    elif isinstance(predicate, Compare):
        yield predicate
    else:
        yield from (leaf for part in predicate.parts for leaf in _leaves(part))
