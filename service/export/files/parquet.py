"""Parquet: decimal128(38, 12) for money, timestamps in UTC, zstd. A process of its own writes it."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, Final

import orjson

from service.errors import RequestError, ServiceError
from service.export.files.columns import FileColumn, Layout, Values, flat

_PROGRAM: Final = "service.export.files.parquet_process"
_LENGTH_BYTES: Final = 8
_CHUNK_BYTES: Final = 2**16


class ParquetMissingError(RequestError):
    """Parquet needs pyarrow, which is not here: `pip install 'calledger[parquet]'`, or choose CSV or NDJSON"""


class ParquetError(ServiceError):
    """the rows could not be written as Parquet"""


def refuse_without_pyarrow() -> None:
    """Raise ParquetMissingError where the extra `parquet` is not installed."""
    if find_spec("pyarrow") is None:
        raise ParquetMissingError


class Parquet:
    """One file. `close` it after use, whether or not it was finished."""

    def __init__(self, layout: Layout, metadata: Mapping[str, str]) -> None:
        refuse_without_pyarrow()
        self._layout = layout
        self._metadata = metadata
        self._process: Process | None = None
        self._made = bytearray()
        self._reading: asyncio.Task[None] | None = None

    async def begin(self) -> bytes:
        """Start the process; what there is of the file so far."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", _PROGRAM), stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        self._reading = asyncio.create_task(self._read(self._process))
        await self._send({"columns": columns_said(self._layout), "metadata": self._metadata})
        return b""

    async def rows(self, rows: Sequence[Values]) -> bytes:
        """Hand over rows, as columns; what has been made of the file meanwhile. Raises ParquetError."""
        await self._send(rows)
        made, self._made = self._made, bytearray()
        return bytes(made)

    async def end(self) -> bytes:
        """The rest of the file. Raises ParquetError."""
        assert self._process is not None and self._process.stdin is not None and self._reading is not None
        self._process.stdin.close()
        await self._reading
        if await self._process.wait():
            raise await self._failure()
        return bytes(self._made)

    async def close(self) -> None:
        """End the process, and wait until it has ended."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)
            await self._process.wait()

    async def _send(self, message: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        data = orjson.dumps(message)
        try:
            self._process.stdin.write(len(data).to_bytes(_LENGTH_BYTES, "big") + data)
            await self._process.stdin.drain()
        except OSError:
            raise await self._failure() from None

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while part := await process.stdout.read(_CHUNK_BYTES):
            self._made += part

    async def _failure(self) -> ParquetError:
        assert self._process is not None and self._process.stderr is not None
        said = (await self._process.stderr.read()).decode("ascii", "replace").strip().rpartition("\n")[2]
        return ParquetError(f"the rows could not be written as Parquet (`{said[:60]}`): choose CSV or NDJSON")


def columns_said(layout: Layout) -> list[list[Any]]:
    """The columns as the process that writes them takes them: name, type and members of each."""
    return [_said(column) for column in flat(layout)]


def _said(column: FileColumn) -> list[Any]:
    return [column.name, column.type, [_said(member) for member in column.members]]
