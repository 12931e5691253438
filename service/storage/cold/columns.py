"""The columns of a call as a file has them: how PostgreSQL writes each, and how it is read again."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from service.storage.cold.errors import ColdTierError
from service.storage.connection import Connection

ColumnTypes = Mapping[str, str]
"""Name -> SQL type, in the order of the file."""


class CallsAt(NamedTuple):
    """Single calls, of which the times and the ids (as texts) are known; their corrections have the same times."""

    moments: Collection[datetime]
    ids: Collection[str]


READ_AS: Final[Mapping[str, str]] = {
    "integer": "integer",
    "smallint": "smallint",
    "bigint": "bigint",
    "boolean": "boolean",
    "text": "text",
    "numeric": "text",
    "uuid": "uuid",
    "timestamp with time zone": "moment",
    "jsonb": "json",
    "bigint[]": "json",
}
"""What a column of each type is in a file: a moment is microseconds since 1970, decimals keep their digits as text."""

_WRITTEN: Final[Mapping[str, str]] = {
    "moment": "(extract(epoch FROM {0}) * 1000000)::bigint",
    "uuid": "encode(uuid_send({0}), 'hex')",
    "json": "to_json({0})::text",
}
_COLUMNS: Final = """
    SELECT attname AS name, format_type(atttypid, NULL) AS type FROM pg_attribute
    WHERE attrelid = 'call'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
"""The columns of a call, with their types."""


async def column_types(connection: Connection) -> ColumnTypes:
    """The columns of `call` by now. Raises ColdTierError for one of a type that files do not hold."""
    types = {row["name"]: row["type"] for row in await connection.fetch(_COLUMNS)}
    for name, type_ in types.items():
        if type_ not in READ_AS:
            raise ColdTierError(f"`call.{name}` is of the type `{type_}`, which files of calls do not hold")
    return types


def rows_in_order(types: ColumnTypes, table: str) -> str:
    """The statement that reads a partition, whose quoted name is `table`, as `parquet.write_file` takes its rows."""
    columns = ", ".join(_WRITTEN.get(READ_AS[type_], "{0}").format(f'"{name}"') for name, type_ in types.items())
    return f"SELECT {columns} FROM {table} ORDER BY account_id, started_at, id"  # noqa: S608 - names of the catalogue


KEY_COLUMNS: Final = frozenset({"account_id", "tier", "started_at", "id"})
"""What tells where a call lies."""
