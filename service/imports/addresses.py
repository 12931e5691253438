"""The address of a source, and what opens it."""

from datetime import datetime
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
from service.imports.sources.databases.timed_table import TimedTableSource
from service.imports.sources.file import FileSource
from service.imports.sources.gateway_client import access_of
from service.imports.sources.pages import PullableSource, RowSource

_POSTGRES: Final = ("postgresql", "postgres")


def open_source(
    form: ImportFormat,
    address: str,
    secret: str | None = None,
    user: str | None = None,
    *,
    csv: CsvForm | None = None,
    since: datetime | None = None,
) -> RowSource:
    """The source of rows at `address`: a file, a database's URL, whose password is `secret`, or a gateway's API, whose
    token it is, for the user of this number. `csv`: how a file of CSV is written, where looking does not tell.
    `since`: rows from before are left out where the source can tell; of a file all rows come.

    Raises OperatorError where there is none, none for this format, or where the address holds a password.
    """
    if "://" not in address:
        return FileSource(Path(address), csv or CsvForm())
    return open_pullable(form, address, secret, user, since=since)


def open_pullable(
    form: ImportFormat, address: str, secret: str | None, user: str | None, *, since: datetime | None = None
) -> PullableSource:
    """As `open_source`, for a source that can be asked again and again: no file."""
    url = _split(address)
    if form.table is None or form.api is None:
        raise OperatorError(f"`{form.source}` is imported from a file")
    if url.scheme in ("http", "https"):
        return form.api(url, access_of(secret, user), since=None if since is None else int(since.timestamp()))
    return _table(form.table, url, secret, since)


def shown(address: str) -> str:
    """Where a source is, for lists and logs: without a user's name and a query. Raises OperatorError."""
    url = _split(address)
    return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2], query="", fragment=""))


def _split(address: str) -> SplitResult:
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError:
        raise OperatorError("the source's address cannot be read: give it as `scheme://host:port/path`") from None
    if url.password is not None or "password=" in url.query:
        raise OperatorError(
            "the source's address holds a password: give it by --secret-file or CALLEDGER_SOURCE_SECRET"
        )
    return url


def _table(table: SourceTable, url: SplitResult, secret: str | None, since: datetime | None) -> PullableSource:
    where = urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2]))
    if table.by_time:
        if url.scheme not in _POSTGRES:
            raise OperatorError(f"the table `{table.name}` is in PostgreSQL: postgresql://USER@HOST/NAME, or https://")
        return TimedTableSource(table, partial(postgres_reader, urlunsplit(url), secret), where, since)
    if url.scheme == "sqlite":
        path = Path(unquote(url.path.removeprefix("/"))).absolute()
        return TableSource(table, partial(sqlite_reader, path), ("?", "?"), f"sqlite {path}", since)
    if url.scheme in _POSTGRES:
        return TableSource(table, partial(postgres_reader, urlunsplit(url), secret), ("$1", "$2"), where, since)
    if url.scheme == "mysql":
        return TableSource(table, partial(mysql_reader, url, secret), ("%s", "%s"), where, since)
    raise OperatorError(
        f"`{url.scheme[:40]}://` is no source: a file, sqlite:///FILE, postgresql://, mysql://, https://"
    )
