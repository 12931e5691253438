"""Rows of a file: NDJSON, a JSON array, or CSV with a line of names, plain or gzip (RFC 1952), of any length.

The file is read once, in a thread, a page at a time. Its cursor is the number of rows that were taken.
"""

import asyncio
import codecs
import gzip
import hashlib
import io
import zlib
from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, cast

from service.errors import OperatorError
from service.imports.sources.csv_rows import CsvForm, column_names, csv_rows
from service.imports.sources.json_array import array_rows
from service.imports.sources.pages import PAGE_BYTES, PAGE_ROWS, RowPage, SourceError
from service.ingest.pipeline.long_rows import ROW_BYTES_MAX

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_HEAD_BYTES: Final = 2**16
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class FileSource:
    """A file of rows. Raises OperatorError, at once, where there is none that can be read."""

    def __init__(self, path: Path, form: CsvForm = CsvForm()) -> None:  # noqa: B008 - it cannot be changed
        self._form = form
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

    def column_names(self) -> tuple[str, ...]:
        """The names of its columns; none where it holds JSON. SourceError for a header that is none."""
        with self._path.open("rb") as plain, _opened(plain) as file:
            text = _decoded(file, self._form)
            begin = text.read(_HEAD_BYTES).removeprefix(_BOM).lstrip(_BLANK)
            return () if begin[:1] in (b"[", b"") or _is_json(begin) else column_names(_lines(text, begin), self._form)

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
                yield from _split(_decoded(file, self._form), self._form)
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


def _decoded(file: BinaryIO, form: CsvForm) -> BinaryIO:
    """The file as UTF-8, where it is another encoding by the map or by its mark."""
    begin = file.read(len(_BOM))
    file.seek(0)
    encoding = "utf-16" if begin[:2] in _UTF_16 else form.encoding
    if codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii"):
        return file
    return cast("BinaryIO", io.BufferedReader(_Transcoded(file, encoding)))


def _split(file: BinaryIO, form: CsvForm) -> Iterator[bytes]:
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
    return filter(bytes.strip, lines) if _is_json(begin) else csv_rows(lines, form)


def _is_json(begin: bytes) -> bool:
    """Whether the first line is an object or null, and no header of CSV such as `name,number`."""
    return begin[:1] == b"{" or begin.split(b"\n", 1)[0].strip() == b"null"


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


class _Transcoded(io.RawIOBase):
    """A file of another encoding as UTF-8. Bytes that are none of it come out as they went in, to be refused."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if _is_narrow(encoding) else "replace")
        self._left = b""

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # pyright: ignore[reportIncompatibleMethodOverride] - as BufferedReader calls it
        """Fill the buffer as far as one chunk of the file reaches; 0 at the end."""
        while not self._left:
            chunk = self._file.read(_HEAD_BYTES)
            self._left = self._decoder.decode(chunk, final=not chunk).encode("utf-8", "surrogateescape")
            if not chunk:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _is_narrow(encoding: str) -> bool:
    """Whether undecodable bytes of it can be handed on: those of UTF-16 and UTF-32 cannot."""
    return not codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
