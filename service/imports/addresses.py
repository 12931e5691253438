"""The address of a source, and what opens it."""

from pathlib import Path

from service.errors import OperatorError
from service.imports.formats import ImportFormat
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowSource


def open_source(form: ImportFormat, address: str) -> RowSource:
    """The source of rows at `address`. Raises OperatorError where there is none, or none for this format."""
    if "://" in address:
        raise OperatorError(f"`{form.source}` is imported from a file")
    return FileSource(Path(address))
