"""Rows as what is answered: JSON values, or objects of the schema's types, by loops that are generated for a selection.

A `Shape` is what an operation asks of an object: keys, fields, and the shapes nested in them. What stands for a field
says the table of fields (`model/fields.py`), for JSON values and objects alike. `RowLoop` answers the objects of a list
of rows with one list display, `Rows` fetches what belongs to the rows (an error of a call, a call of an error, what is
sealed) for all of them at once. What a role does not get is never looked at.

Every name in a loop's source is one of ours: columns by their aliases (`c_model`), functions by their own. Of what a
caller wrote only response keys stand there, and those as literals.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from types import CodeType
from typing import Any, Final

from service.query.model.catalog import CALLS, ERRORS, Table
from service.query.model.field import Field, attribute
from service.query.model.fields import TYPES
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.by_key import RowKey, shown
from service.query.records.decryption import Details
from service.query.records.ordering import KEY, MOMENT, column_of
from service.query.records.page import Row
from service.query.records.projection import Selection
from service.query.rendering.functions import FUNCTIONS, UNCHECKED, UnsupportedValueError, moment_texts, user_of
from service.storage.ids import encode_call_ids, encode_raw_ids

_TABLES: Final[Mapping[str, Table]] = {table.type: table for table in (CALLS, ERRORS)}
_LAYOUTS_MAX: Final = 16
_CALL_KEY: Final = itemgetter("account_id", "id")
OWN_MOMENT: Final = "@moment"
"""Stands for a row's time until it is known how the rows have it. No response key can hold the `@`."""
Loop = Any
"""A generated function: (rows, names, *extra values, *nested lists) -> list, with one entry per row."""


class UnsupportedOperationError(Exception):
    """The operation asks for what the compiled form does not cover."""


class UnsupportedForRoleError(UnsupportedOperationError):
    """The role does not see what the schema promises: graphql-core says what is wrong."""


@dataclass(frozen=True, slots=True)
class Form:
    """What rows are made into: dicts of JSON values, or objects of these classes, by the type's name in the schema.

    `tuples`: types whose objects are tuples of JSON values instead, in the order in which they are asked for.
    """

    functions: Mapping[str, Any]
    classes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tuples: frozenset[str] = frozenset()

    @classmethod
    def of(cls, classes: Mapping[str, Any]) -> "Form":
        """Objects, whose values graphql-core checks and writes."""
        return cls(UNCHECKED, {f"make_{name}": made for name, made in classes.items()})

    def display(self, type_: str, entries: Iterable[tuple[str, str]]) -> str:
        """One object, as Python source, of the source of its values by their keys."""
        if self.classes:
            return f"make_{type_}({', '.join(f'{key}={value}' for key, value in entries)})"
        if type_ in self.tuples:
            return f"({''.join(f'{value}, ' for _, value in entries)})"
        return "{" + ", ".join(f"{key!r}: {value}" for key, value in entries) + "}"

    def value(self, field: Field, *, own_time: bool) -> str:
        """The Python expression of the field's value. `own_time`: the field is the row's own time."""
        if self.classes or field.bare_type != "DateTime":
            return field.value
        return OWN_MOMENT if own_time else f"moment({field.value})"


ANSWERS: Final = Form(FUNCTIONS)
TABLED: Final = Form(FUNCTIONS, tuples=frozenset({"Call", "CallError", "Amount"}))
"""For files of columns: only what stands in lists is dicts."""


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


def object_shape(type_: str, selection: Selection) -> Shape:
    """What a resolver asks of an object: attributes by the names of fields, each once."""
    entries: list[SelectedField] = []
    for name, inner in selection.items():
        known = TYPES[type_].get(name)
        if known is not None:
            nested = object_shape(known.bare_type, inner) if known.bare_type in TYPES else None
            entries.append(SelectedField(attribute(name), name, False, nested))
    return Shape(type_, tuple(entries))


class RowLoop:
    """Answers the objects of one shape for rows of one table. The loop is generated for each layout of columns."""

    def __init__(self, table: Table, shape: Shape, scope: Scope, seen: frozenset[str], form: Form) -> None:
        self.shape = shape
        self.nested = [
            entry for entry in shape.entries if entry.field in seen and table.fields[entry.field].relation is not None
        ]
        self._table = table
        self._scope = scope
        self._form = form
        self._namespace: dict[str, Any] = {**form.functions, **form.classes, "user": user_of(scope.policy)}
        self._seen = seen
        self._loops: dict[tuple[str, ...], Loop] = {}
        self._display = form.display(shape.type, [(entry.key, self._value(entry)) for entry in shape.entries])

    def answer(
        self,
        rows: Sequence[Row],
        names: Mapping[int, str],
        extra_values: Mapping[str, Sequence[Any]],
        nested: Sequence[Sequence[Any]],
    ) -> list[Any]:
        """One object per row. Raises UnsupportedValueError for a value that the schema might refuse.

        `extra_values`: values in step with the rows, by the names they have in the loop; the same names every time.
        """
        if not rows:
            return []
        layout = tuple(rows[0].keys())
        loop = self._loops.get(layout)
        if loop is None:
            if len(self._loops) >= _LAYOUTS_MAX:
                self._loops.clear()
            loop = self._loops[layout] = self._generate(layout, tuple(extra_values))
        return loop(rows, names, *extra_values.values(), *nested)

    def _generate(self, layout: tuple[str, ...], names: tuple[str, ...]) -> Loop:
        lists = [*(f"all_{name}" for name in names), *(f"all_nested_{index}" for index in range(len(self.nested)))]
        ones = [*names, *(f"nested_{index}" for index in range(len(self.nested)))]
        columns = "".join(f"c_{column}, " for column in layout)
        targets = ", ".join([f"({columns})", *ones])
        zipped = ", ".join(["rows", *lists])
        iterated = f"{targets} in zip({zipped}, strict=True)" if lists else f"({columns}) in rows"
        display = self._display.replace(OWN_MOMENT, f"c_{MOMENT}" if MOMENT in layout else "own_moment")
        arguments = ", ".join(["rows", "names", *lists])
        namespace = dict(self._namespace)
        code = code_of(f"def loop({arguments}):\n    return [{display} for {iterated}]\n")
        exec(code, namespace)  # noqa: S102 - of our own names and literals
        return namespace["loop"]

    def _value(self, entry: SelectedField) -> str:
        if entry.field == "__typename":
            return repr(self.shape.type)
        if entry.field not in self._seen:
            if entry.required:
                raise UnsupportedForRoleError
            return "None"
        if entry in self.nested:
            return f"nested_{self.nested.index(entry)}"
        field = self._table.fields[entry.field]
        value = self._form.value(field, own_time=entry.field == self._table.time_field)
        return value if entry.nested is None else value.replace("{object}", self._parts(field, entry.nested))

    def _parts(self, field: Field, shape: Shape) -> str:
        return self._form.display(shape.type, self._part_values(field, shape))

    def _part_values(self, field: Field, shape: Shape) -> list[tuple[str, str]]:
        """The expressions of the parts that are asked for, by their keys."""
        assert field.parts is not None
        parts = {name: part.value for name, part in field.parts.items()} | {"__typename": repr(shape.type)}
        return [(entry.key, parts[entry.field]) for entry in shape.entries]


@lru_cache(maxsize=256)
def code_of(text: str) -> CodeType:
    """The compiled source of a loop, remembered."""
    return compile(text, "<loop over rows>", "exec")


@lru_cache(maxsize=256)
def joined(keys: tuple[str, ...]) -> Loop:
    """A function of as many lists as there are keys: a list of dicts, which each have one entry of every list."""
    names = [f"list_{index}" for index in range(len(keys))]
    entries = ", ".join([f"{key!r}: {name}" for key, name in zip(keys, names, strict=True)])
    namespace: dict[str, Any] = {}
    code = code_of(
        f"def loop(*lists):\n    return [{{{entries}}} for ({', '.join(names)},) in zip(*lists, strict=True)]\n"
    )
    exec(code, namespace)  # noqa: S102 - of our own names and literals
    return namespace["loop"]


class Rows:
    """The rows of one table that an operation asks for in one place, in one or more shapes.

    `selection`: everything that is asked of them there, by field. `loop`: what makes an answer of them; of rows that
    belong to them it is always `RowLoop`.
    """

    def __init__(
        self,
        table: Table,
        selection: Selection,
        shapes: Sequence[Shape],
        scope: Scope,
        form: Form = ANSWERS,
        loop: type[RowLoop] = RowLoop,
    ) -> None:
        self._table = table
        self._selection = selection
        seen = shown(table, selection, scope) & {*selection}
        self._loops = [loop(table, shape, scope, seen, form) for shape in shapes]
        self._extra_values = frozenset[str]().union(*(table.fields[name].extra_values for name in seen))
        self._timed = table.time_field in seen and not form.classes
        self._related: dict[str, Rows] = {}
        for name in [name for name in selection if name in seen]:
            relation = table.fields[name].relation
            if relation is not None:
                entries = [entry for loop in self._loops for entry in loop.nested if entry.field == name]
                inner = [entry.nested for entry in entries if entry.nested is not None]
                self._related[name] = Rows(_TABLES[relation.type], selection[name], inner, scope, form)

    async def answer(
        self,
        reader: Reader,
        scope: Scope,
        rows: Sequence[Row],
        account: int | None = None,
        details: Sequence[Details] | None = None,
    ) -> list[list[Any]]:
        """For each shape, in step, one object per row, or what `loop` makes of them. `account`: whose all rows are,
        where they do not say it. `details`: what is shown of the rows' sealed part, where that is not up to the scope
        alone.
        """
        names: Mapping[int, str] = await self._names(reader, rows) if "names" in self._extra_values else {}
        extra_values: dict[str, Sequence[Any]] = {}
        if "own_id" in self._extra_values:
            extra_values["own_id"] = _ids(rows, account)
        if self._timed and rows and MOMENT not in rows[0]:
            extra_values["own_moment"] = moment_texts([row[self._table.time] for row in rows])
        if "details" in self._extra_values:
            extra_values["details"] = await reader.details(scope, rows) if details is None else details
        if "net" in self._extra_values:
            sums = await reader.corrected_by(scope, _keys(rows, "started_at", "id"))
            extra_values["net"] = [sums.get((row["account_id"], row["id"]), 0) for row in rows]
        nested = {name: iter(await self._nested(reader, scope, rows, name)) for name in self._related}
        return [
            loop.answer(rows, names, extra_values, [next(nested[entry.field]) for entry in loop.nested])
            for loop in self._loops
        ]

    async def _nested(self, reader: Reader, scope: Scope, rows: Sequence[Row], name: str) -> list[list[Any]]:
        """What the rows are related to by one field: for each shape of it, in step, one value a row."""
        relation, related = self._table.fields[name].relation, self._related[name]
        assert relation is not None
        keys = _keys(rows, relation.moment, relation.id)
        own = [(row["account_id"], row[relation.id]) for row in rows]
        if relation.many:
            lists = await reader.corrections(scope, keys, self._selection[name])
            answers = await related.answer(reader, scope, [row for some in lists.values() for row in some])
            made = [iter(answer) for answer in answers]
            by_key = [{key: [next(one) for _ in some] for key, some in lists.items()} for one in made]
            return [[found.get(key, []) for key in own] for found in by_key]
        found = await reader.rows(scope, related._table, keys, self._selection[name])
        answers = await related.answer(reader, scope, list(found.values()))
        positions = {key: index for index, key in enumerate(found)}
        indexes = [positions.get(key) for key in own]
        return [[None if index is None else answer[index] for index in indexes] for answer in answers]

    async def _names(self, reader: Reader, rows: Sequence[Row]) -> Mapping[int, str]:
        names = reader.accounts.names()
        for number in {row["account"] for row in rows if isinstance(row["account"], int)}:
            if number not in names:
                await reader.accounts.name(number)
                names = reader.accounts.names()
        return names


def _keys(rows: Sequence[Row], moment: str, id_: str) -> list[RowKey]:
    """Where the rows lie that these point to with two of their columns, where they point to any."""
    return [RowKey(row["account_id"], row["tier"], row[moment], row[id_]) for row in rows if row[moment] and row[id_]]


def _ids(rows: Sequence[Row], account: int | None) -> list[str]:
    """The outward ids of calls."""
    if not rows or KEY not in rows[0]:
        return encode_call_ids(list(map(_CALL_KEY, rows)))
    place = [*rows[0].keys()].index(KEY)
    raw = [row[place][8:] for row in rows]
    if "account_id" in rows[0]:
        return encode_raw_ids(column_of(rows, "account_id"), raw)
    assert account is not None  # without the column, the page is of one account
    return encode_raw_ids(account, raw)


__all__ = [
    "Form",
    "RowLoop",
    "Rows",
    "SelectedField",
    "Shape",
    "UnsupportedForRoleError",
    "UnsupportedOperationError",
    "UnsupportedValueError",
    "joined",
]
