"""The address of a source, and what opens it."""

from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from service.errors import OperatorError
from service.imports.formats import ImportFormat
from service.imports.sources.csv_rows import CsvForm
from service.imports.sources.databases.mysql import mysql_reader
from service.imports.sources.databases.postgresql import postgres_reader
from service.imports.sources.databases.sqlite import sqlite_reader
from service.imports.sources.databases.table import SourceTable, TableSource
from service.imports.sources.file import FileSource
from service.imports.sources.pages import RowSource

_POSTGRES: Final = ("postgresql", "postgres")


def open_source(
    form: ImportFormat, address: str, secret: str | None = None, *, csv: CsvForm | None = None
) -> RowSource:
    """The source of rows at `address`: a file, or a database's URL, whose password is `secret`. `csv`: how a file of
    CSV is written, where that cannot be found by looking.

    Raises OperatorError where there is none, none for this format, or where the address holds a password.
    """
    if "://" not in address:
        return FileSource(Path(address), csv or CsvForm())
    url = _split(address)
    if form.table is None:
        raise OperatorError(f"`{form.source}` is imported from a file")
    return _table(form.table, url, secret)


def _split(address: str) -> SplitResult:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        raise OperatorError("the source's address cannot be read") from None
    if url.password is not None or "password=" in url.query:
        raise OperatorError(
            "the source's address holds a password: give it by --secret-file or CALLEDGER_SOURCE_SECRET"
        )
    return url


def _table(table: SourceTable, url: SplitResult, secret: str | None) -> TableSource:
    where = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    if url.scheme == "sqlite":
        path = Path(unquote(url.path.removeprefix("/"))).absolute()
        return TableSource(table, partial(sqlite_reader, path), ("?", "?"), f"sqlite {path}")
    if url.scheme in _POSTGRES:
        return TableSource(table, partial(postgres_reader, urlunsplit(url), secret), ("$1", "$2"), where)
    if url.scheme == "mysql":
        return TableSource(table, partial(mysql_reader, url, secret), ("%s", "%s"), where)
    raise OperatorError(f"`{url.scheme[:40]}://` is no source: a file, sqlite:///FILE, postgresql://... or mysql://...")
