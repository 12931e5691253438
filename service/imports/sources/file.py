"""Rows of a file: NDJSON, a JSON array, or CSV with a line of names, plain or gzip (RFC 1952), of any length.

The file is read once, in a thread, a page at a time. Its cursor is the number of rows that were taken.
"""

import asyncio
import csv
import gzip
import hashlib
import zlib
from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast

import orjson

from service.errors import OperatorError
from service.imports.sources.json_array import array_rows
from service.imports.sources.pages import PAGE_BYTES, PAGE_ROWS, RowPage, SourceError
from service.ingest.pipeline.long_rows import ROW_BYTES_MAX

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_HEAD_BYTES: Final = 2**16
_FIELD_CHARS_MAX: Final = ROW_BYTES_MAX // 4
_NO_VALUE: Final = ("", r"\N")
"""How PostgreSQL and MySQL write null."""


class FileSource:
    """A file of rows. Raises OperatorError, at once, where there is none that can be read."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        try:
            with self._path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
                size = file.seek(0, 2)
        except OSError as error:
            raise OperatorError(f"`{path}` cannot be read: {(error.strerror or 'no reason given').lower()}") from None
        # A file that was changed since is another one: it is begun anew, and what is known of it is a duplicate.
        self._identity = f"file {self._path} {size} {hashlib.sha256(head).hexdigest()}"

    @property
    def identity(self) -> str:
        """Its path, its size and a digest of its beginning."""
        return self._identity

    async def pages(self, after: str | None) -> AsyncGenerator[RowPage, None]:
        """Pages behind so many rows."""
        taken = int(after or 0)
        rows = islice(self._rows(), taken, None)
        # Not closed on the way out: a thread may still be in it. The file is closed with the last of the iterator.
        while page := await asyncio.to_thread(_page_of, rows):
            taken += len(page)
            yield RowPage(page, str(taken))

    def _rows(self) -> Iterator[bytes]:
        try:
            with self._path.open("rb") as plain, _opened(plain) as file:
                yield from _split(file)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise SourceError(f"`{self._path}` is not whole: its gzip ends too early or is damaged") from None
        except OSError as error:
            raise SourceError(f"`{self._path}`: {(error.strerror or 'it cannot be read').lower()}") from None


def _page_of(rows: Iterator[bytes]) -> list[bytes]:
    page: list[bytes] = []
    size = 0
    for row in rows:
        page.append(row)
        size += len(row)
        if len(page) == PAGE_ROWS or size >= PAGE_BYTES:
            break
    return page


def _opened(plain: BinaryIO) -> BinaryIO:
    """The file, decompressed where it is gzip, however many members it has: no more of it is held than is asked for."""
    zipped = plain.read(len(_GZIP)) == _GZIP
    plain.seek(0)
    return cast("BinaryIO", gzip.open(plain, "rb")) if zipped else plain


def _split(file: BinaryIO) -> Iterator[bytes]:
    begin = file.read(len(_BOM))
    begin = b"" if begin == _BOM else begin
    while not (begin := begin.lstrip(_BLANK)):
        begin = file.read(_HEAD_BYTES)
        if not begin:
            return iter(())
    first = begin[:1]
    if first == b"[":
        return array_rows(file, begin)
    lines = _lines(file, begin)
    return filter(bytes.strip, lines) if first in (b"{", b"n") else _csv_rows(lines)


def _lines(file: BinaryIO, begin: bytes) -> Iterator[bytes]:
    """The lines with their ends; one that is too long is cut behind its bound, to be refused as a row."""
    *whole, last = begin.split(b"\n")
    for line in whole:
        yield line + b"\n"
    line = last + file.readline(ROW_BYTES_MAX + 1)
    while line:
        yield line
        while len(line) > ROW_BYTES_MAX and not line.endswith(b"\n"):
            line = file.readline(ROW_BYTES_MAX + 1)
        line = file.readline(ROW_BYTES_MAX + 1)


def _csv_rows(lines: Iterator[bytes]) -> Iterator[bytes]:
    """A JSON object of each line of CSV (RFC 4180), by the names of the first line; nothing for an empty cell.

    A line with more or fewer cells than names comes out as an array, for its own rejection.
    """
    csv.field_size_limit(_FIELD_CHARS_MAX)
    records = csv.reader(line.decode("utf-8", "replace") for line in lines)
    try:
        names = [name.strip() for name in next(records, [])]
        for cells in filter(None, records):
            named = dict(zip(names, cells, strict=False))
            yield orjson.dumps(
                {name: cell for name, cell in named.items() if cell not in _NO_VALUE}
                if len(cells) == len(names)
                else cells
            )
    except csv.Error as error:
        raise SourceError(f"line {records.line_num} is not CSV: {error}; what is before it was read") from None
