"""Rows as columns of JSON values, for files of columns: each field's values of all rows at once.

What stands for a field says the same table as for answers. A field that shows its column is that column, and the loop
of any other runs over those columns alone that its expression names.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, Final

from service.query.model.catalog import Table
from service.query.records.ordering import MOMENT
from service.query.records.page import Row
from service.query.rendering.functions import moments, sources, users_of
from service.query.rendering.row_renderer import OWN_MOMENT, RowLoop, SelectedField, code_of

Column = Sequence[Any]
_Given = Mapping[str, Column]
_Made = Callable[[_Given, Mapping[int, str]], Column]
_IDENTIFIER: Final = re.compile(r"[a-z_]\w*")
_CALL: Final = re.compile(r"(moment|source|user)\(([\w, ]+)\)")
"""The expressions of a function that is there for whole columns too."""


class ColumnLoop(RowLoop):
    """Answers one column per field of the shape, in order; of an object, one per part of it."""

    def answer(
        self,
        rows: Sequence[Row],
        names: Mapping[int, str],
        extra_values: Mapping[str, Column],
        nested: Sequence[Column],
    ) -> list[Any]:
        """The columns. `nested`: what belongs to the rows, tuples of values or None. Raises UnsupportedValueError for a
        value that the schema might refuse.
        """
        if not rows:
            return [() for _ in self._sources]
        names_of = [f"c_{name}" for name in tuple(rows[0].keys())]
        given: dict[str, Column] = dict(zip(names_of, zip(*rows, strict=True), strict=True))
        given |= extra_values
        given |= {f"nested_{index}": values for index, values in enumerate(nested)}
        layout = tuple(given)
        made: list[_Made] | None = self._loops.get(layout)
        if made is None:
            made = self._loops[layout] = [self._made(source, layout) for source in self._sources]
        return [column(given, names) for column in made]

    @cached_property
    def _at_once(self) -> Mapping[str, Callable[..., Column]]:
        return {"moment": moments, "source": sources, "user": users_of(self._scope.policy)}

    @cached_property
    def _sources(self) -> list[str]:
        """The expressions of the columns."""
        return [source for entry in self.shape.entries for source in self._sources_of(entry)]

    def _sources_of(self, entry: SelectedField) -> Iterator[str]:
        field, value = self._table.fields[entry.field], self._value(entry)
        if entry.nested is None or field.type.startswith("["):
            yield value
        elif value == "None" or field.relation is not None:
            for index in range(len(entry.nested.entries)):
                yield "None" if value == "None" else f"(None if {value} is None else {value}[{index}])"
        else:
            for _, part in self._part_values(field, entry.nested):
                yield field.value.replace("{object}", part)

    def _made(self, source: str, layout: tuple[str, ...]) -> _Made:
        """What makes the column of one expression, where these columns are given."""
        if source == "None":
            return lambda given, _: (None,) * len(given[layout[0]])
        if f"c_{MOMENT}" in layout:
            source = source.replace(OWN_MOMENT, f"c_{MOMENT}").replace(f"c_{self._table.time}", f"c_{MOMENT}")
        source = source.replace(OWN_MOMENT, "own_moment")
        if source in layout:
            return lambda given, _: given[source]
        if call := _CALL.fullmatch(source):
            function, used = self._at_once[call[1]], call[2].split(", ")
            return lambda given, _: function(*[given[name] for name in used])
        used = [name for name in dict.fromkeys(_IDENTIFIER.findall(source)) if name in layout]
        one = used[0] if len(used) == 1 else f"({', '.join(used)})"
        all_ = used[0] if len(used) == 1 else f"zip({', '.join(used)}, strict=True)"
        namespace = dict(self._namespace)
        exec(code_of(f"def loop(names, {', '.join(used)}):\n    return [{source} for {one} in {all_}]\n"), namespace)  # noqa: S102 - of our own names
        return partial(_looped, namespace["loop"], used)


def _looped(loop: Callable[..., Column], used: Sequence[str], given: _Given, names: Mapping[int, str]) -> Column:
    return loop(names, *[given[name] for name in used])


def only_written(table: Table, names: Iterable[str]) -> bool:
    """Whether these fields only write moments and ids of a row on, as a column shows them: nothing is looked up by
    them. A user's pseudonym is of a day, which the text of a moment says as well.
    """
    return table.written_on(name for name in names if name != "user")
