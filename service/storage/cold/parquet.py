"""One file of calls, as Parquet: written from a partition's rows in CSV, and read by account and time.

Rows lie by account, then by time and id, in groups of some thousand, of which the file says the accounts and times:
rows of one account are found without reading the others. Every column is kept as it is stored, sealed and hashed ones
too. This module loads pyarrow, which takes 80 MB: only who has a file imports it.
"""

import re
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple
from uuid import UUID

import orjson
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from pyarrow import compute

from service.storage.cold.columns import READ_AS, CallsAt, ColumnTypes
from service.storage.cold.errors import TooManyRowsError

pc: Any = compute  # it makes its functions when it is loaded

GROUP_ROWS: Final = 16_384
_HELD_GROUPS: Final = 8
_BLOCK_BYTES: Final = 4 * 2**20
_LEVEL: Final = 9
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_KEY: Final = ("account_id", "started_at", "id")
_NAMED: Final = b"calledger"

_ARROW: Final[Mapping[str, pa.DataType]] = {
    "integer": pa.int32(),
    "smallint": pa.int16(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "moment": pa.int64(),
    "uuid": pa.string(),
    "json": pa.string(),
    "text": pa.string(),
}
_UUID: Final = pa.binary(16)
# Values that are alike in few ways are listed once a group; random ones would only fill the list.
_RANDOM: Final = frozenset({"id", "source_uuid", "digest", "correction_of"})
# An id begins with the milliseconds of its call, which `started_at` has: the rest of it is stored, and its beginning
# where that is another. Source ids that are UUIDs take a half as bytes.
_BESIDE: Final[Mapping[str, tuple[str, pa.DataType]]] = {
    "id": ("id_head", pa.binary(6)),
    "source_id": ("source_uuid", pa.binary(16)),
}
_HEAD: Final = 6
_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_ASCENDING: Final = frozenset({"started_at", "recorded_at", "error_at", "corrected_at"})


def write_file(path: Path, types: ColumnTypes, rows: BinaryIO) -> int:
    """Write the rows, which come as CSV in the order of the key, to a new file; how many there were."""
    names = list(types)
    reader = csv.open_csv(
        rows,
        read_options=csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types={name: _ARROW[READ_AS[types[name]]] for name in names},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
    fields = [pa.field(name, _stored(name, types[name])) for name in names]
    fields += [pa.field(*_BESIDE[name]) for name in names if name in _BESIDE]
    schema = pa.schema(fields, metadata={_NAMED: orjson.dumps(dict(types))})
    written = 0
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=_LEVEL,
        use_dictionary=[name for name in schema.names if name not in _RANDOM | _ASCENDING],  # pyright: ignore[reportArgumentType] - a list too
        column_encoding={name: "DELTA_BINARY_PACKED" for name in names if name in _ASCENDING}
        | {name: "BYTE_STREAM_SPLIT" for name in schema.names if name in _RANDOM},
        write_statistics=["account_id", "started_at"],  # pyright: ignore[reportArgumentType] - a list too
    ) as writer:
        held: list[pa.Table] = []
        for batch in reader:
            held.append(_as_stored(pa.Table.from_batches([batch]), schema, types))
            if sum(table.num_rows for table in held) >= _HELD_GROUPS * GROUP_ROWS:
                table = pa.concat_tables(held)
                whole = table.num_rows - table.num_rows % GROUP_ROWS
                writer.write_table(table.slice(0, whole), row_group_size=GROUP_ROWS)
                written += whole
                held = [table.slice(whole)]
        for table in [pa.concat_tables(held)] if held else ():
            writer.write_table(table, row_group_size=GROUP_ROWS)
            written += table.num_rows
    return written


def _stored(name: str, type_: str) -> pa.DataType:
    if name == "id":
        return pa.binary(16 - _HEAD)
    return _UUID if READ_AS[type_] == "uuid" else _ARROW[READ_AS[type_]]


def _as_stored(table: pa.Table, schema: pa.Schema, types: ColumnTypes) -> pa.Table:
    """The table with UUIDs as bytes, which come as hexadecimal digits."""
    columns = {
        name: pa.array([None if text is None else bytes.fromhex(text) for text in column.to_pylist()], _UUID)
        if READ_AS[types[name]] == "uuid"
        else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    heads = [_head(moment) for moment in columns["started_at"].to_pylist()]
    ids: list[bytes] = columns["id"].to_pylist()
    texts: list[str] = columns["source_id"].to_pylist()
    are_uuids = [_CANONICAL.fullmatch(text) is not None for text in texts]
    packed = {
        "id": [id_[_HEAD:] for id_ in ids],
        "id_head": [None if id_[:_HEAD] == head else id_[:_HEAD] for id_, head in zip(ids, heads, strict=True)],
        "source_id": [None if is_uuid else text for text, is_uuid in zip(texts, are_uuids, strict=True)],
        "source_uuid": [
            bytes.fromhex(text.replace("-", "")) if is_uuid else None
            for text, is_uuid in zip(texts, are_uuids, strict=True)
        ],
    }
    columns |= {name: pa.array(values, schema.field(name).type) for name, values in packed.items()}
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _head(moment: int) -> bytes:
    return (moment // 1000).to_bytes(_HEAD, "big")


class CallFile:
    """A file that is open for reading. Raises OSError or pyarrow's errors where it is not what it should be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = pq.ParquetFile(path)  # not mapped: a process whose mapped file is cut off is killed
        metadata = self._file.schema_arrow.metadata or {}
        self.types: dict[str, str] = orjson.loads(metadata[_NAMED])
        self.rows = self._file.metadata.num_rows
        names = self._file.schema_arrow.names
        account, moment = names.index("account_id"), names.index("started_at")
        self._groups = [
            (_bounds(group.column(account)), _bounds(group.column(moment)))
            for group in map(self._file.metadata.row_group, range(self._file.metadata.num_row_groups))
        ]

    def keys(
        self, accounts: Sequence[int] | None, start: datetime, end: datetime, calls: CallsAt | None, most: int
    ) -> pa.Table:
        """Where rows lie: `started_at` in microseconds, the `group`, and the `row` in it; of these accounts (None: of
        all) between two moments, and only `calls` and their corrections where they are given.

        Raises TooManyRowsError for more than `most`, as soon as there are.
        """
        lower, upper = _microseconds(start), _microseconds(end)
        exact = None if calls is None else _Exact.of(calls)
        found, count = [_KEYS.empty_table()], 0
        for group in self._near(accounts, lower, upper, exact):
            found.append(self._keys_of(group, accounts, lower, upper, exact))
            count += found[-1].num_rows
            if count > most:
                raise TooManyRowsError
        return pa.concat_tables(found)

    def survey(self, accounts: Sequence[int] | None, start: datetime, end: datetime) -> tuple[int, datetime | None]:
        """How many rows there are of these accounts (None: of all) between two moments, and the oldest of them."""
        count, oldest = 0, None
        lower, upper = _microseconds(start), _microseconds(end)
        for group in self._near(accounts, lower, upper):
            moments = self._keys_of(group, accounts, lower, upper, None).column("started_at")
            if len(moments):
                count, first = count + len(moments), pc.min(moments).as_py()
                oldest = first if oldest is None else min(oldest, first)
        return count, None if oldest is None else _EPOCH + _MICROSECOND * oldest

    def has_account(self, account: int) -> bool:
        """Whether any row is of this account."""
        return any(
            pc.any(pc.equal(self._file.read_row_group(group, columns=["account_id"]).column(0), account)).as_py()
            for group, (bounds, _) in enumerate(self._groups)
            if bounds[0] <= account <= bounds[1]
        )

    def records(self, keys: pa.Table, columns: Collection[str] | None) -> Iterator[bytes]:
        """The rows at `keys` as JSON objects of the columns that have a value (None: of all), without an order."""
        names = [name for name in self.types if columns is None or name in columns]
        for group in pc.unique(keys.column("group")).to_pylist():
            rows = keys.filter(pc.equal(keys.column("group"), group)).column("row")
            table = self._file.read_row_group(group, columns=_read_for(names)).take(rows)
            yield from self._as_json(table)

    def groups_near(self, accounts: Sequence[int] | None, start: datetime, end: datetime) -> list[int]:
        """The groups of rows that may have some of these accounts (None: of any) between two moments."""
        return list(self._near(accounts, _microseconds(start), _microseconds(end)))

    def of_group(
        self, group: int, accounts: Sequence[int] | None, start: datetime, end: datetime, columns: Collection[str]
    ) -> list[bytes]:
        """The rows of one group that are, as `records`."""
        keys = self._keys_of(group, accounts, _microseconds(start), _microseconds(end), None)
        return list(self.records(keys, columns))

    def every_record(self, rows: int) -> Iterator[list[bytes]]:
        """All rows as JSON objects, so many at a time."""
        for batch in self._file.iter_batches(batch_size=rows):
            yield list(self._as_json(batch))

    def _as_json(self, rows: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
        columns = {name: rows.column(name).to_pylist() for name in rows.schema.names}
        names = [name for name in self.types if name in columns]
        if "id" in columns:
            parts = zip(columns["id_head"], columns["started_at"], columns["id"], strict=True)
            columns["id"] = [(head or _head(moment)) + rest for head, moment, rest in parts]
        if "source_id" in columns:
            pairs = zip(columns["source_id"], columns["source_uuid"], strict=True)
            columns["source_id"] = [text if raw is None else str(UUID(bytes=raw)) for text, raw in pairs]
        values = [_values(self.types[name], columns[name]) for name in names]
        for row in zip(*values, strict=True):
            yield orjson.dumps({name: value for name, value in zip(names, row, strict=True) if value is not None})

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)

    def _near(
        self, accounts: Sequence[int] | None, lower: int, upper: int, exact: "_Exact | None" = None
    ) -> Iterator[int]:
        wanted = None if accounts is None else sorted(accounts)
        for group, (of_account, of_time) in enumerate(self._groups):
            if of_time[1] < lower or of_time[0] >= upper or (exact is not None and not exact.any_within(*of_time)):
                continue
            if wanted is None or any(of_account[0] <= account <= of_account[1] for account in wanted):
                yield group

    def _keys_of(
        self, group: int, accounts: Sequence[int] | None, lower: int, upper: int, exact: "_Exact | None"
    ) -> pa.Table:
        names = ["account_id", "started_at", *(("id", "correction_of") if exact is not None else ())]
        table = self._file.read_row_group(group, columns=names)
        moment = table.column("started_at")
        mask = pc.and_(pc.greater_equal(moment, lower), pc.less(moment, upper))
        if accounts is not None:
            mask = pc.and_(mask, pc.is_in(table.column("account_id"), value_set=pa.array(accounts, pa.int32())))
        if exact is not None:
            ids = pc.is_in(table.column("id"), value_set=exact.id_ends)
            corrected = pc.is_in(table.column("correction_of"), value_set=exact.ids)
            at = pc.is_in(moment, value_set=pa.array(exact.moments, pa.int64()))
            mask = pc.and_(mask, pc.and_(at, pc.or_(ids, corrected)))
        rows = pc.indices_nonzero(mask)
        return pa.Table.from_arrays(
            [moment.take(rows).combine_chunks(), pa.repeat(pa.scalar(group, pa.int32()), len(rows)), rows],
            schema=_KEYS,
        )


class _Exact(NamedTuple):
    """Single calls: their times in order, their ids, and what a file has of these in `id`."""

    moments: Sequence[int]
    ids: pa.Array
    id_ends: pa.Array

    @classmethod
    def of(cls, calls: CallsAt) -> "_Exact":
        """As a file has them."""
        ids = sorted({UUID(text).bytes for text in calls.ids})
        ends = pa.array([id_[_HEAD:] for id_ in ids], pa.binary(16 - _HEAD))
        return cls(sorted(set(map(_microseconds, calls.moments))), pa.array(ids, _UUID), ends)

    def any_within(self, first: int, last: int) -> bool:
        """Whether one of the times lies between two."""
        position = bisect_left(self.moments, first)
        return position < len(self.moments) and self.moments[position] <= last


_KEYS: Final = pa.schema([("started_at", pa.int64()), ("group", pa.int32()), ("row", pa.uint64())])


class FoundKeys:
    """Where rows of some files lie, in the order of their time, newest or oldest first."""

    def __init__(self, of_files: Sequence[pa.Table], *, newest_first: bool) -> None:
        """`of_files`: what `CallFile.keys` has found, by the number of the file."""
        numbered = [
            table.append_column("file", pa.repeat(pa.scalar(number, pa.int32()), table.num_rows))
            for number, table in enumerate(of_files)
        ]
        table = pa.concat_tables(numbered)
        self._keys = table.sort_by([("started_at", "descending" if newest_first else "ascending")])

    def __len__(self) -> int:
        return self._keys.num_rows

    def last_of(self, first: int, most: int) -> int:
        """Behind which key the part ends that begins with `first` and has `most` keys, and those of the same time."""
        last = first + most
        if last >= len(self):
            return len(self)
        moments = self._keys.column("started_at")
        edge = moments[last - 1].as_py()
        while last < len(self) and moments[last].as_py() == edge:
            last += 1
        return last

    def moment(self, position: int) -> datetime:
        """The time of a key."""
        return _EPOCH + _MICROSECOND * self._keys.column("started_at")[position].as_py()

    def of_file(self, number: int, first: int, last: int) -> pa.Table:
        """The keys of one file among those from `first` to before `last`."""
        part = self._keys.slice(first, last - first)
        return part.filter(pc.equal(part.column("file"), number))


def _read_for(names: Collection[str]) -> list[str]:
    """The columns of a file that have the values of these."""
    read = [*names, *(_BESIDE[name][0] for name in names if name in _BESIDE)]
    return read if "id" not in names or "started_at" in names else [*read, "started_at"]


def _bounds(column: Any) -> tuple[int, int]:  # noqa: ANN401 - pyarrow says no types
    return column.statistics.min, column.statistics.max


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _values(type_: str, values: list[Any]) -> list[Any]:
    """A column's values as PostgreSQL reads them from JSON."""
    match READ_AS[type_]:
        case "moment":
            return [None if value is None else (_EPOCH + _MICROSECOND * value).isoformat() for value in values]
        case "uuid":
            return [None if value is None else value.hex() for value in values]
        case "json":
            return [None if value is None else orjson.Fragment(value) for value in values]
        case _:
            return values
