"""What a request may hold at most.

It is counted before it is read, coerced, or looked at by what grows with it. A body is bounded by its
marks before it is parsed as JSON, a document by its characters before its tokens, variables by a walk that stops at the
first thing too many. Whatever comes later may take a few microseconds for each of these.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from service.query.model.errors import BadInputError

BODY_BYTES_MAX: Final = 2**20
DOCUMENT_CHARACTERS_MAX: Final = 2**15
OBJECTS_MAX: Final = 250
"""Objects in variables: each costs as much as some thirty plain values, for every field of its type is looked for."""
VALUES_MAX: Final = 12_000
"""Values in variables, those in lists and objects included; a hold names ten thousand calls."""
TEXT_MAX: Final = 16_384
"""Characters of one text: the longest are cursors, of rows of costs that are grouped by as much as they can be."""
NAME_MAX: Final = 200
"""Characters of a name of a variable or a field."""
DEPTH_MAX: Final = 20
"""Lists and objects inside of each other."""

_SMALL_BYTES: Final = 4096
"""A body that is smaller cannot hold enough to be worth counting first."""
_OPENED_MAX: Final = 4_000
_ENTRIES_MAX: Final = 30_000
"""Marks in a body: those of the document and of texts are among them, so they are more than the values."""
VALUE_POINTS: Final = 0.5
OBJECT_POINTS: Final = 10
_FREE_POINTS: Final = 100
QUERY_POINTS_MAX: Final = 2_000
"""Of variables, and of all arguments together: two hundred objects, or four thousand values."""
MUTATION_POINTS_MAX: Final = 10_000
_CHARACTERS_A_POINT: Final = 4
"""Of a document: about a token."""


def check_body(body: bytes | str) -> None:
    """Raise BadInputError for a body that holds more values than a request may, before it is parsed."""
    if len(body) < _SMALL_BYTES:
        return
    if isinstance(body, str):
        opened, entries = body.count("{"), body.count(",") + body.count("[")
    else:
        opened, entries = body.count(b"{"), body.count(b",") + body.count(b"[")
    if opened > _OPENED_MAX or entries > _ENTRIES_MAX:
        raise BadInputError(f"a request holds at most {VALUES_MAX} values and {OBJECTS_MAX} objects: ask in parts")


def decoded(data: str | bytes) -> object:
    """Raises BadInputError before anything that is too large is parsed, JSONDecodeError for what is no JSON."""
    check_body(data)
    return orjson.loads(data)


def check_document(query: str) -> None:
    """Raise BadInputError for a document that is longer than any that its tokens would be let pass of."""
    if len(query) > DOCUMENT_CHARACTERS_MAX:
        raise BadInputError(
            f"a document has at most {DOCUMENT_CHARACTERS_MAX} characters: give values by `variables`, "
            "and leave comments out"
        )


def check_variables(variables: Mapping[str, Any]) -> int:
    """What they cost to coerce, in points; nothing is free here.

    Raises BadInputError for the first thing too many, too long or too deep; what comes behind it is not looked at.
    """
    count = _Count()
    pending: list[tuple[Any, int]] = [(variables, 1)]
    while pending:
        value, depth = pending.pop()
        if depth > DEPTH_MAX:
            raise BadInputError(f"lists and objects of `variables` nest at most {DEPTH_MAX} deep")
        inner = count.entries_of(value)
        for item in inner:
            kind = type(item)
            if kind is str:
                if len(item) > TEXT_MAX:
                    raise BadInputError(f"a text of `variables` has at most {TEXT_MAX} characters")
            elif kind is dict or kind is list:
                pending.append((item, depth + 1))
    return count.points


class _Count:
    """How much was met so far."""

    def __init__(self) -> None:
        self._objects = 0
        self._values = 0

    @property
    def points(self) -> int:
        """The cost of reading what was counted, in points, rounded down."""
        return int(self._objects * OBJECT_POINTS + self._values * VALUE_POINTS)

    def entries_of(self, value: Any) -> Any:  # noqa: ANN401 - a list or an object of JSON
        """What is inside of it."""
        self._values += len(value)
        if self._values > VALUES_MAX:
            raise BadInputError(f"`variables` hold at most {VALUES_MAX} values: ask in parts")
        if isinstance(value, list):
            return value
        for name in value:
            if len(name) > NAME_MAX:
                raise BadInputError(f"a name in `variables` has at most {NAME_MAX} characters")
        self._objects += 1
        # The variables themselves are an object too.
        if self._objects > OBJECTS_MAX + 1:
            raise BadInputError(f"`variables` hold at most {OBJECTS_MAX} objects: ask in parts")
        return value.values()


def points_of(arguments: Mapping[str, Any]) -> int:
    """What the coerced arguments of one field cost: what is converted, compared and looked up by them."""
    points = 0.0
    pending: list[Any] = [arguments]
    while pending:
        value = pending.pop()
        if isinstance(value, list | tuple):
            points += VALUE_POINTS * len(value)
            pending += [item for item in value if isinstance(item, list | tuple | dict)]
        else:
            points += OBJECT_POINTS
            pending += [item for item in value.values() if isinstance(item, list | tuple | dict)]
    return int(points)


def charged(points: int) -> int:
    """The points that the values add to the price of the field: none for a filter of usual size."""
    return max(0, points - _FREE_POINTS)


def refusal_points(query: object, variables: object) -> int:
    """What reading costs, in points: of a document, and of the variables of what is refused before it has a price."""
    points = charged(points_of(variables)) if isinstance(variables, dict) else 0
    if isinstance(query, str):
        points += 1 + min(len(query), DOCUMENT_CHARACTERS_MAX) // _CHARACTERS_A_POINT
    return points
