"""The address of a source, and what opens it."""

from pathlib import Path

from service.errors import OperatorError
from service.imports.formats import ImportFormat
from service.imports.sources.csv_rows import CsvForm
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowSource


def open_source(form: ImportFormat, address: str, *, csv: CsvForm | None = None) -> RowSource:
    """The source of rows at `address`; `csv`: how a file of CSV is written, where that is not to be found by looking.

    Raises OperatorError where there is none, or none for this format.
    """
    if "://" in address:
        raise OperatorError(f"`{form.source}` is imported from a file")
    return FileSource(Path(address), csv or CsvForm())
