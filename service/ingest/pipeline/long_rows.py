"""Reading long rows in a process of its own.

One row of some MiB can take seconds to read, and a thread would not do: a decoder holds the interpreter until it is
done. The process is started by the first long row, reads one row at a time, and ends when none came for a minute.

Its input is a header (`_HEADER`), the function that reads, pickled, and the row; its output a length and the result,
pickled. Run as a program by `LongRows`: `python -m service.ingest.pipeline.long_rows`.
"""

import asyncio
import pickle
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO, Final, cast

from policies import Report
from service.ingest.formats.content import count_dropped
from service.ingest.formats.split import Rejection, Row
from service.ingest.refusals import Refusal

LONG_BYTES: Final = 2**16
"""Rows of this size on are read by the process."""

ROW_BYTES_MAX: Final = 2**24
CONTENT_CHARS_MAX: Final = 2**23
"""Content of a failed call in which echoes are looked for: eight million characters are two million tokens."""

_STRINGS_MAX: Final = 20_000
_VALUES_MAX: Final = 10_000
_READ_S: Final = 15.0
_IDLE_S: Final = 60.0
_CHUNK: Final = 2**16
_HEADER: Final = struct.Struct(">QH")
_LENGTH: Final = struct.Struct(">Q")
_TOO_LONG: Final = f"the row is longer than {ROW_BYTES_MAX} bytes: send it without prompts and answers"
_TOO_COSTLY: Final = "the row takes too long to read: send it without prompts and answers"
_NOT_READ: Final = "the process that reads long rows ended: report the row again, or without prompts and answers"
_ATTEMPTS: Final = 2

Read = Callable[[Row], Report | Rejection]


class LongRows:
    """The process. `read` may be called by any number of tasks; `close` it after use."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._ending: list[asyncio.subprocess.Process] = []
        self._turn = asyncio.Lock()
        self._idle: asyncio.TimerHandle | None = None

    async def read(self, read: Read, row: Row) -> Report | Rejection:
        """`read(row)`; a rejection for a row beyond ROW_BYTES_MAX, and for one that takes longer than 15 seconds.

        A row whose process ends is read once more by a new one, and is then NOT_STORED: it may be reported again.
        `read` is a function of a module, or a partial of one: it is pickled for the process.
        """
        if len(row) > ROW_BYTES_MAX:
            return Rejection(_TOO_LONG, Refusal.ROW_UNREADABLE)
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            for _ in range(_ATTEMPTS):
                try:
                    async with asyncio.timeout(_READ_S):
                        result = await self._exchanged(pickle.dumps(read), row)
                except TimeoutError:
                    self._kill()
                    return Rejection(_TOO_COSTLY, Refusal.ROW_UNREADABLE)
                except (OSError, asyncio.IncompleteReadError):
                    self._kill()  # it was ended, perhaps for what a row before had left: a new one may do
                except BaseException:
                    self._kill()  # half of an exchange may be under way
                    raise
                else:
                    self._idle = asyncio.get_running_loop().call_later(_IDLE_S, self._kill)
                    return result
            return Rejection(_NOT_READ, Refusal.NOT_STORED)

    async def close(self) -> None:
        """End the process, and wait until it has ended."""
        if self._idle is not None:
            self._idle.cancel()
        self._kill()
        await asyncio.gather(*map(drained, self._ending))

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self._ending = [one for one in self._ending if one.returncode is None] + [process]
        with suppress(ProcessLookupError):
            process.kill()

    async def _exchanged(self, read: bytes, row: Row) -> Report | Rejection:
        process = self._process
        if process is None or process.returncode is not None:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(_HEADER.pack(len(row), len(read)) + read)
        for piece in _pieces(memoryview(row)):
            process.stdin.write(piece)
            await process.stdin.drain()
        (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
        return pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - of our own process


async def drained(process: asyncio.subprocess.Process) -> None:
    """Wait until a process that was killed has ended. What it wrote is read until its end: Python 3.11 waits for that,
    and for ever where an answer was broken off that is longer than what is held of it.
    """
    if process.stdout is not None:
        with suppress(RuntimeError, OSError):  # RuntimeError: whoever reads it comes to its end
            while await process.stdout.read(_CHUNK):
                pass
    await process.wait()


def within_bounds(result: Report | Rejection) -> Report | Rejection:
    """What the service takes over in short time: content and parameters beyond the bounds are dropped, and said so.

    Without all of the content its echoes cannot be found: the error's message goes with it.
    """
    if isinstance(result, Rejection) or result.error is None:
        return result
    if len(result.content) > _STRINGS_MAX or sum(map(len, result.content)) > CONTENT_CHARS_MAX:
        result.content.clear()
        result.error.message, result.error.parameters = None, {}
        result.warnings += ("the content is too long to look for its echoes: `error.message` is left out",)
        count_dropped(result, "error.message")
    if _has_more_values(result.error.parameters, _VALUES_MAX):
        result.error.parameters = {}
        result.warnings += (f"`error.parameters` hold more than {_VALUES_MAX} values: left out",)
        count_dropped(result, "error.parameters")
    result.identifiers = result.identifiers[:_STRINGS_MAX]
    return result


def _has_more_values(value: object, most: int) -> bool:
    pending, seen = [value], 0
    while pending:
        item = pending.pop()
        seen += 1
        inner = cast("dict[str, object]", item).values() if isinstance(item, dict) else item
        if not isinstance(item, str) and isinstance(item, dict | list):
            pending.extend(cast("list[object]", inner))
        if seen + len(pending) > most:
            return True
    return False


def _pieces(view: memoryview) -> Iterator[memoryview]:
    return (view[at : at + _CHUNK] for at in range(0, len(view), _CHUNK))


def serve(given: BinaryIO, taken: BinaryIO) -> None:
    """Read rows from `given` and write what they are to `taken`, until there are no more."""
    while header := given.read(_HEADER.size):
        size, read_size = _HEADER.unpack(header)
        read: Read = pickle.loads(given.read(read_size))  # noqa: S301 - of our own process
        answer = pickle.dumps(within_bounds(read(given.read(size))), pickle.HIGHEST_PROTOCOL)
        taken.write(_LENGTH.pack(len(answer)) + answer)
        taken.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
