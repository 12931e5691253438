"""A file's format as one thing: it is begun, takes rows, and is ended; each step gives the bytes that are ready."""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Protocol

from service.export.files.columns import Layout
from service.export.files.csv_file import Csv
from service.export.files.ndjson import ndjson_lines
from service.export.files.parquet import Parquet

_GZIP_BITS: Final = 31
_GZIP_LEVEL: Final = 5


class ExportFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"


class Encoder(Protocol):
    """One file in the making. `close` it after use, whether or not it was ended."""

    async def begin(self) -> bytes:
        """What stands before the rows."""
        ...

    async def rows(self, rows: Sequence[Any]) -> bytes:
        """Take rows: dicts for NDJSON, the values of each column otherwise."""
        ...

    async def end(self) -> bytes:
        """What stands after the rows."""
        ...

    async def close(self) -> None:
        """Let go of what was taken up for it."""
        ...


class LineEncoder:
    """Writes CSV or NDJSON."""

    def __init__(self, layout: Layout, form: ExportFormat) -> None:
        self._csv = Csv(layout) if form is ExportFormat.CSV else None

    async def begin(self) -> bytes:
        """The header of CSV."""
        return b"" if self._csv is None else self._csv.header()

    async def rows(self, rows: Sequence[Any]) -> bytes:
        """The rows as lines."""
        return ndjson_lines(rows) if self._csv is None else self._csv.rows(rows)

    async def end(self) -> bytes:
        """Nothing stands after the rows."""
        return b""

    async def close(self) -> None:
        """Nothing was taken up."""


class Gzip:
    """Another encoder's file, compressed (RFC 1952). The bytes depend on the rows alone: no time stands in them."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self._stream = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)

    async def begin(self) -> bytes:
        """What stands before the rows, as far as it is compressed."""
        return await self._compressed(await self._inner.begin())

    async def rows(self, rows: Sequence[Any]) -> bytes:
        """The rows, as far as they are compressed."""
        return await self._compressed(await self._inner.rows(rows))

    async def end(self) -> bytes:
        """The rest of the file, behind the last row."""
        return await self._compressed(await self._inner.end()) + self._stream.flush()

    async def close(self) -> None:
        """Let go of what the inner encoder has taken up."""
        await self._inner.close()

    async def _compressed(self, data: bytes) -> bytes:
        # Off the loop: it leaves the interpreter to others while it works.
        return await asyncio.to_thread(self._stream.compress, data)


def encoder_of(form: ExportFormat, layout: Layout, metadata: Mapping[str, str], *, gzip: bool = False) -> Encoder:
    """What writes rows of this layout. `metadata` is kept in a Parquet file. Raises ParquetMissingError."""
    if form is ExportFormat.PARQUET:
        return Parquet(layout, metadata)
    lines = LineEncoder(layout, form)
    return Gzip(lines) if gzip else lines
