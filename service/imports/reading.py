"""Reading the rows of an import in a process of its own, beside the one that admits and stores those before them.

The process gets the reader, and then rows, a page at a time; it answers with what they are. All of it is pickled, each
behind its length. Reports travel as their values: pickled as they stand, they would take as long as they do to read.

Run as a program by `ReadingProcess`: `python -m service.imports.reading`.
"""

import asyncio
import os
import pickle
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from operator import attrgetter
from typing import Any, BinaryIO, Final, Self, TypeAlias

from policies import AmountPart, Attributes, Report
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection, Row
from service.ingest.pipeline.long_rows import drained
from service.logs import get_logger
from service.memory import expect_rows

log = get_logger()

_LENGTH: Final = struct.Struct(">Q")
_PAGE_S: Final = 60.0
_FIELDS: Final = Report.__struct_fields__
_AMOUNT_AT: Final = _FIELDS.index("amount")
_PARTS_AT: Final = _FIELDS.index("amount_parts")
_ATTRIBUTES_AT: Final = _FIELDS.index("attributes")
_VALUES_OF: Final = attrgetter(*_FIELDS)
_VALUES_OF_ATTRIBUTES: Final = attrgetter(*Attributes.__struct_fields__)

_Packed: TypeAlias = "list[Any] | Rejection"


def is_worth_it() -> bool:
    """Whether there is a processor for it."""
    return len(os.sched_getaffinity(0)) > 1


class ReadingProcess:
    """The process, from the first page on. For one task; to be used as a context."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._process: asyncio.subprocess.Process | None = None
        self._has_failed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await drained(process)

    async def reports(self, rows: Sequence[Row]) -> list[Report | Rejection] | None:
        """What each row is; None where the process has ended, or takes longer than a minute: then nobody but the caller
        can read them, nor those after them.
        """
        if self._has_failed:
            return None
        try:
            async with asyncio.timeout(_PAGE_S):
                return [unpacked(values) for values in await self._exchanged(list(map(bytes, rows)))]
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._has_failed = True
            log.warning("rows are read without a process of their own from here on", error=type(error).__name__)
            await self._end()
            return None

    async def _exchanged(self, rows: list[bytes]) -> list[_Packed]:
        process = self._process
        if process is None:
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __name__),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await _send(process, self._read)
        await _send(process, rows)
        assert process.stdout is not None
        (length,) = _LENGTH.unpack(await process.stdout.readexactly(_LENGTH.size))
        return pickle.loads(await process.stdout.readexactly(length))  # noqa: S301 - of our own process


async def _send(process: asyncio.subprocess.Process, value: object) -> None:
    assert process.stdin is not None
    process.stdin.write(_framed(value))
    await process.stdin.drain()


def packed(outcome: Report | Rejection) -> _Packed:
    """A report as its values, and those of what it consists of; decimals as text, which is quicker by far."""
    if isinstance(outcome, Rejection):
        return outcome
    values = list(_VALUES_OF(outcome))
    if outcome.amount is not None:
        values[_AMOUNT_AT] = str(outcome.amount)
    if outcome.attributes is not None:
        values[_ATTRIBUTES_AT] = _VALUES_OF_ATTRIBUTES(outcome.attributes)
    if outcome.amount_parts is not None:
        values[_PARTS_AT] = [
            (part.meter, str(part.amount), _text(part.quantity), _text(part.unit_price), part.price_list)
            for part in outcome.amount_parts
        ]
    return values


def unpacked(values: _Packed) -> Report | Rejection:
    """What was packed."""
    if isinstance(values, Rejection):
        return values
    if (amount := values[_AMOUNT_AT]) is not None:
        values[_AMOUNT_AT] = Decimal(amount)
    if values[_ATTRIBUTES_AT] is not None:
        values[_ATTRIBUTES_AT] = Attributes(*values[_ATTRIBUTES_AT])
    if values[_PARTS_AT] is not None:
        values[_PARTS_AT] = [
            AmountPart(meter, Decimal(amount), _number(quantity), _number(price), price_list)
            for meter, amount, quantity, price, price_list in values[_PARTS_AT]
        ]
    return Report(*values)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _framed(value: object) -> bytes:
    pickled = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(pickled)) + pickled


def serve(given: BinaryIO, taken: BinaryIO) -> None:
    """Read rows from `given` and write what they are to `taken`, until there are no more."""
    read: Reader = _next(given)
    expect_rows()
    while (rows := _next(given)) is not None:
        taken.write(_framed([packed(read(row)) for row in rows]))
        taken.flush()


def _next(given: BinaryIO) -> Any:  # noqa: ANN401 - a reader, or rows
    header = given.read(_LENGTH.size)
    return pickle.loads(given.read(*_LENGTH.unpack(header))) if header else None  # noqa: S301 - of our own process


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
