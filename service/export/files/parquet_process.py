"""The process that writes one Parquet file: columns in, the file's bytes out.

Apart from the service, because pyarrow takes 80 MB when it is loaded, and the interpreter while it works.

Its input is a length and a JSON object, `{"columns": [[name, type, members], ...], "metadata": {...}}`, and then, as
often as there are rows, a length and a JSON list of the columns' values. Its output is the file. It ends with its
input; whatever fails is one line on standard error, the name of the error and nothing of its text, which may hold
values. Run as a program: `python -m service.export.files.parquet_process`.
"""

import struct
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

LENGTH: Final = struct.Struct(">Q")
_GROUP_ROWS: Final = 20_000
_MONEY: Final = pa.decimal128(38, 12)
# Quantities and prices of one token have more places than money.
_FINE: Final = pa.decimal128(38, 15)
_FINE_NAMES: Final = frozenset({"quantity", "unitPrice"})
_TYPES: Final[Mapping[str, pa.DataType]] = {
    "String": pa.string(),
    "ID": pa.string(),
    "Int": pa.int32(),
    "BigInt": pa.int64(),
    "Decimal": _MONEY,
    "Float": pa.float64(),
    "Boolean": pa.bool_(),
    "DateTime": pa.timestamp("us", "UTC"),
}
_AS_TEXT: Final = frozenset({"Decimal", "BigInt", "DateTime"})
Member = Sequence[Any]
Array = Callable[[Sequence[Any]], pa.Array]


def _type(name: str, scalar: str) -> pa.DataType:
    return _FINE if scalar == "Decimal" and name in _FINE_NAMES else _TYPES[scalar]


def _plain(name: str, scalar: str) -> Array:
    """What makes an array of JSON values. pyarrow reads texts as numbers and moments exactly, and many at once."""
    type_ = _type(name, scalar)
    if scalar in _AS_TEXT:
        return lambda values: pa.array(values, pa.string()).cast(type_)
    return lambda values: pa.array(values, type_)


def _listed(members: Sequence[Member]) -> Array:
    names = [name for name, *_ in members]
    arrays = [_plain(name, scalar) for name, scalar, _ in members]
    fields = [pa.field(name, _type(name, scalar)) for name, scalar, _ in members]

    def made(values: Sequence[Any]) -> pa.Array:
        """An array of lists of structs, of lists of dicts or None."""
        offsets: list[int | None] = []
        inner: list[dict[str, Any]] = []
        for value in values:
            offsets.append(None if value is None else len(inner))
            inner += value or ()
        structs = pa.StructArray.from_arrays(
            [array([one[name] for one in inner]) for name, array in zip(names, arrays, strict=True)], fields=fields
        )
        return pa.ListArray.from_arrays(pa.array([*offsets, len(inner)], pa.int32()), structs)

    return made


def _field(name: str, scalar: str, members: Sequence[Member]) -> pa.Field:
    if not members:
        return pa.field(name, _type(name, scalar))
    return pa.field(name, pa.list_(pa.struct([pa.field(one, _type(one, type_)) for one, type_, _ in members])))


def _messages(given: BinaryIO) -> Iterator[Any]:
    while header := given.read(LENGTH.size):
        yield orjson.loads(given.read(LENGTH.unpack(header)[0]))


class ParquetFile:
    """A Parquet file in the making. `columns`: name, type and members of each, as in the first message."""

    def __init__(self, taken: BinaryIO, columns: Sequence[Sequence[Any]], metadata: Mapping[str, str]) -> None:
        self._schema = pa.schema([_field(*column) for column in columns], metadata=dict(metadata))
        self._arrays = [_listed(members) if members else _plain(name, scalar) for name, scalar, members in columns]
        self._file = pq.ParquetWriter(taken, self._schema, compression="zstd")
        self._batches: list[pa.RecordBatch] = []

    def rows(self, values: Sequence[Sequence[Any]]) -> None:
        """Take rows, as the values of each column."""
        made = [array(column) for array, column in zip(self._arrays, values, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(made, schema=self._schema))
        if sum(batch.num_rows for batch in self._batches) >= _GROUP_ROWS:
            self._write()

    def end(self) -> None:
        """Write what is left, and what stands after the rows."""
        if self._batches:
            self._write()
        self._file.close()

    def _write(self) -> None:
        self._file.write_table(pa.Table.from_batches(self._batches))
        self._batches.clear()


def write(given: BinaryIO, taken: BinaryIO) -> None:
    """Write the file whose columns `given` has to `taken`."""
    messages = _messages(given)
    said = next(messages)
    file = ParquetFile(taken, said["columns"], said["metadata"])
    for values in messages:
        file.rows(values)
    file.end()


if __name__ == "__main__":
    try:
        write(sys.stdin.buffer, sys.stdout.buffer)
    except Exception as error:
        sys.exit(type(error).__name__)
