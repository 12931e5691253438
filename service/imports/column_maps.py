"""Column maps beside the files that they are for: whether the two fit together, and one to begin with."""

from contextlib import aclosing
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from service.errors import OperatorError
from service.imports.sources.csv_rows import CsvForm
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowSource
from service.ingest.formats.mapped.column_map import BYTES_MAX
from service.ingest.formats.mapped.reader import MappedReader
from service.ingest.formats.mapped.suggestion import suggested_map

_SAMPLE_ROWS: Final = 200
_SHOWN_NAMES: Final = 12


def load_map(path: Path) -> MappedReader:
    """What reads rows by the column map in a file. Raises OperatorError naming what is wrong with it."""
    try:
        with path.open("rb") as file:
            return MappedReader(file.read(BYTES_MAX + 1), str(path))
    except OSError as error:
        raise OperatorError(f"the column map `{path}` cannot be read: {(error.strerror or '').lower()}") from None


def form_of(reader: MappedReader | None) -> CsvForm:
    """How the map says that a file of CSV is written."""
    if reader is None:
        return CsvForm()
    said = reader.column_map
    return CsvForm(said.encoding, said.delimiter, said.names)


def check_columns(source: RowSource, reader: MappedReader) -> tuple[str, ...]:
    """The columns of the source that the map does not name: nothing of them is kept.

    Raises OperatorError for a column that the map names and a file of CSV has not.
    """
    names = source.column_names() if isinstance(source, FileSource) else ()
    if not names:
        return ()
    for entry in reader.column_map.entries:
        for column in entry.columns:
            if column not in names:
                near = get_close_matches(column, names, 3) or list(names)[:_SHOWN_NAMES]
                has = ", ".join(f"`{name}`" for name in near)
                raise OperatorError(f"{entry.where}: the file has no column `{column[:80]}`, but {has}")
    used = {column for entry in reader.column_map.entries for column in entry.columns}
    return tuple(name for name in names if name and name not in used)


async def suggest(source: RowSource) -> str:
    """A column map to begin with, guessed from the first rows."""
    rows: list[dict[str, Any]] = []
    async with aclosing(source.pages(None)) as pages:
        async for page in pages:
            values = [msgspec.json.decode(row) for row in page.rows[:_SAMPLE_ROWS]]
            rows += [cast("dict[str, Any]", value) for value in values if isinstance(value, dict)]
            break
    names = source.column_names() if isinstance(source, FileSource) else ()
    cells = [{name: str(value) for name, value in _flat(row).items()} for row in rows]
    return suggested_map(names or tuple(dict.fromkeys(name for row in cells for name in row)), cells)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A row with what is one level inside of its objects under names with dots, and without lists."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            flat |= {f"{name}.{key}": one for key, one in inner.items() if not isinstance(one, dict | list)}
        elif not isinstance(value, list):
            flat[name] = value
    return flat
