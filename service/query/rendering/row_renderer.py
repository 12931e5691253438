"""Rows as JSON values, by loops that are generated once for a selection.

A `Shape` is what an operation asks of an object: response keys, fields, and the shapes below them. `RowLoop` answers
the objects of a list of rows with one list display, `Rows` fetches what belongs to the rows (an error of a call, a call
of an error, what is sealed) for all of them at once. What a role does not get is never looked at, as in `mapper.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from service.query.model.catalog import CALLS, ERRORS, Table
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.by_key import RowKey, shown
from service.query.records.ordering import MOMENT, RAW_ID
from service.query.records.page import Row
from service.query.records.projection import TYPES, Selection
from service.query.rendering.field_expressions import (
    FUNCTIONS,
    OWN_MOMENT,
    PARTS,
    SCALARS,
    UnsupportedValueError,
    moment_texts,
    user_of,
)
from service.storage.ids import encode_call_ids, encode_raw_ids

_SEALED: Final = frozenset({"message", "disclosure", "parameters"})
_LAYOUTS_MAX: Final = 16
_CALL_KEY: Final = itemgetter("account_id", "id")
_OF_TEXT: Final = f"c_{MOMENT}[:23] + 'Z'"
"""RFC 3339 in UTC with milliseconds, of the text that the database gave."""
Loop = Any
"""A generated function: (rows, names, *lists beside, *lists below) -> list of dicts."""


class UnsupportedOperationError(Exception):
    """The operation asks for what the compiled form does not cover."""


@dataclass(frozen=True, slots=True)
class SelectedField:
    """One entry of an answer: `field` under `key`, with what is asked below it. `required`: the schema says `!`."""

    key: str
    field: str
    required: bool
    nested: "Shape | None" = None


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What is asked of an object of one type."""

    type: str
    entries: tuple[SelectedField, ...]


class RowLoop:
    """Answers the objects of one shape for rows of one table. The loop is generated for each layout of columns."""

    def __init__(self, shape: Shape, scope: Scope, seen: frozenset[str]) -> None:
        self.shape = shape
        self.nested = [entry for entry in shape.entries if entry.field in ("error", "call") and entry.field in seen]
        self._namespace: dict[str, Any] = {**FUNCTIONS, "user": user_of(scope.policy)}
        self._seen = seen
        self._loops: dict[tuple[str, ...], Loop] = {}
        self._display = self._object(shape.type, shape.entries)

    def answer(
        self,
        rows: Sequence[Row],
        names: Mapping[int, str],
        extra_columns: Mapping[str, Sequence[Any]],
        nested: Sequence[Sequence[Any]],
    ) -> list[Any]:
        """One dict a row. Raises UnsupportedValueError for a value that the schema might refuse.

        `beside`: values in step with the rows, by the names they have in the loop; the same names every time.
        """
        if not rows:
            return []
        layout = tuple(rows[0].keys())
        loop = self._loops.get(layout)
        if loop is None:
            if len(self._loops) >= _LAYOUTS_MAX:
                self._loops.clear()
            loop = self._loops[layout] = self._generate(layout, tuple(extra_columns))
        return loop(rows, names, *extra_columns.values(), *nested)

    def _generate(self, layout: tuple[str, ...], names: tuple[str, ...]) -> Loop:
        lists = [*(f"all_{name}" for name in names), *(f"below_{index}" for index in range(len(self.nested)))]
        ones = [*names, *(f"one_below_{index}" for index in range(len(self.nested)))]
        columns = "".join(f"c_{column}, " for column in layout)
        targets = ", ".join([f"({columns})", *ones])
        zipped = ", ".join(["rows", *lists])
        iterated = f"{targets} in zip({zipped}, strict=True)" if lists else f"({columns}) in rows"
        display = self._display.replace(OWN_MOMENT, _OF_TEXT if MOMENT in layout else "own_moment")
        arguments = ", ".join(["rows", "names", *lists])
        text = f"def loop({arguments}):\n    return [{display} for {iterated}]\n"
        namespace = dict(self._namespace)
        exec(compile(text, "<compiled operation>", "exec"), namespace)  # noqa: S102 - of our own names and literals
        return namespace["loop"]

    def _object(self, type_: str, entries: Iterable[SelectedField]) -> str:
        return "{" + ", ".join(f"{entry.key!r}: {self._value(type_, entry)}" for entry in entries) + "}"

    def _value(self, type_: str, entry: SelectedField) -> str:
        if entry.field == "__typename":
            return repr(type_)
        if entry.field not in self._seen:
            # Not for this role. Where the schema promises a value, graphql-core says what is wrong.
            if entry.required:
                raise UnsupportedOperationError
            return "None"
        if entry in self.nested:
            return f"one_below_{self.nested.index(entry)}"
        if entry.nested is not None:
            return self._parts(f"{type_}.{entry.field}", entry.nested)
        found = SCALARS.get(type_, {}).get(entry.field)
        if found is None:
            raise UnsupportedOperationError
        return found

    def _parts(self, field: str, shape: Shape) -> str:
        if field not in PARTS:
            raise UnsupportedOperationError
        around, sources = PARTS[field]
        entries: list[str] = []
        for entry in shape.entries:
            if entry.field != "__typename" and (entry.nested is not None or entry.field not in sources):
                raise UnsupportedOperationError
            value = repr(shape.type) if entry.field == "__typename" else sources[entry.field]
            entries.append(f"{entry.key!r}: {value}")
        return around.replace("{entries}", "{" + ", ".join(entries) + "}")


class Rows:
    """The rows of one table that an operation asks for in one place, in one or more shapes.

    `selection`: everything that is asked of them there, by field.
    """

    def __init__(self, table: Table, selection: Selection, shapes: Sequence[Shape], scope: Scope) -> None:
        self._table = table
        self._type = TYPES[table.kind]
        self._selection = selection
        self._seen = shown(table, selection, scope) & {*selection}
        self._loops = [RowLoop(shape, scope, self._seen) for shape in shapes]
        self._named = table is CALLS and "account" in self._seen
        self._identified = table is CALLS and "id" in self._seen
        self._timed = table.time_field in self._seen
        self._opens = table is ERRORS and bool(_SEALED & self._seen)
        self._other = self._belonging(scope)

    def _belonging(self, scope: Scope) -> "Rows | None":
        field = "error" if self._table is CALLS else "call"
        if field not in self._seen:
            return None
        shapes = [entry.nested for loop in self._loops for entry in loop.nested if entry.nested is not None]
        other = ERRORS if self._table is CALLS else CALLS
        return Rows(other, self._selection[field], shapes, scope)

    async def answer(
        self, reader: Reader, scope: Scope, rows: Sequence[Row], account: int | None = None
    ) -> list[list[Any]]:
        """For each shape, in step, one dict a row. `account`: whose all rows are, where they do not say it."""
        names: Mapping[int, str] = await self._names(reader, rows) if self._named else {}
        beside: dict[str, Sequence[Any]] = {}
        if self._identified:
            beside["own_id"] = _ids(rows, account)
        if self._timed and rows and MOMENT not in rows[0]:
            beside["own_moment"] = moment_texts([row[self._table.time] for row in rows])
        if self._opens:
            beside["details"] = await reader.details(scope, rows)
        below = await self._nested(reader, scope, rows) if self._other is not None else []
        answers: list[list[Any]] = []
        used = 0
        for loop in self._loops:
            own = below[used : used + len(loop.nested)]
            used += len(loop.nested)
            answers.append(loop.answer(rows, names, beside, own))
        return answers

    async def _nested(self, reader: Reader, scope: Scope, rows: Sequence[Row]) -> list[list[Any]]:
        """What belongs to the rows: for each shape below, in step, one dict or None a row."""
        assert self._other is not None
        field, moment = ("error", "error_at") if self._table is CALLS else ("call", "started_at")
        keys = [RowKey(row["account_id"], row["tier"], row[moment], row["id"]) for row in rows if row[moment]]
        found = await reader.rows(scope, self._other._table, keys, self._selection[field])
        answers = await self._other.answer(reader, scope, list(found.values()))
        places = {key: index for index, key in enumerate(found)}
        indexes = [places.get((row["account_id"], row["id"])) for row in rows]
        return [[None if index is None else answer[index] for index in indexes] for answer in answers]

    async def _names(self, reader: Reader, rows: Sequence[Row]) -> Mapping[int, str]:
        names = reader.accounts.names()
        for number in {row["account"] for row in rows if isinstance(row["account"], int)}:
            if number not in names:
                await reader.accounts.name(number)
                names = reader.accounts.names()
        return names


def _ids(rows: Sequence[Row], account: int | None) -> list[str]:
    """The outward ids of calls."""
    if not rows or RAW_ID not in rows[0]:
        return encode_call_ids(list(map(_CALL_KEY, rows)))
    raw = _column(rows, RAW_ID)
    if "account_id" in rows[0]:
        return encode_raw_ids(_column(rows, "account_id"), raw)
    assert account is not None  # without the column, the page is of one account
    return encode_raw_ids(account, raw)


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    # By place: a name would be looked up once a row.
    return list(map(itemgetter(list(rows[0].keys()).index(name)), rows))


__all__ = ["RowLoop", "Rows", "SelectedField", "Shape", "UnsupportedOperationError", "UnsupportedValueError"]
