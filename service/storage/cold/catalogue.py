"""Which files of calls there are: one for the time of a partition, and whether it answers for that time.

A file is written from a partition and listed first; some time later, in one transaction, its rows are deleted from the
partition and the file is marked as frozen. Only from that commit on do its rows count, in the snapshot of the statement
that they are given to (`calledger_cold`). So each row answers from one place at every moment.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from service.storage.connection import Connection, Queryable

AGE_MIN: Final = timedelta(days=35)
"""Younger partitions are never frozen, so that writers need not look for newer calls in files."""

LATE_AGE: Final = AGE_MIN - timedelta(days=2)
"""Calls that started longer ago may be in a file. Clocks may differ by two days."""

LOCK: Final = 0x63616C6C_0023
"""Writers of late calls share this lock, and who moves rows to or from files takes it alone."""


class ColdFile(NamedTuple):
    """A file of the calls of one tier between two moments; `name` is its name in the folder of files.

    `frozen`: its rows are in no partition. `sha256` is of the file's bytes.
    """

    id: int
    tier: int
    start: datetime
    end: datetime
    partition: str
    name: str
    rows: int
    bytes: int
    sha256: str
    frozen: bool


_COLUMNS: Final = (
    "id, tier, start_at, end_at, partition, name, rows, bytes, encode(sha256, 'hex') AS sha256, "
    "frozen_at IS NOT NULL AS frozen"
)
_ALL: Final = f"SELECT {_COLUMNS} FROM cold_file ORDER BY tier, start_at"  # noqa: S608 - names of our own
"""The files of calls."""
_ONE: Final = f"SELECT {_COLUMNS} FROM cold_file WHERE id = $1 FOR UPDATE"  # noqa: S608
"""Lock one file's row, and read it as it is now."""
_OF: Final = f"SELECT {_COLUMNS} FROM cold_file WHERE partition = $1"  # noqa: S608
"""The file of a partition."""
_ROWS_OF: Final = "SELECT coalesce(sum(rows), 0)::bigint FROM cold_file WHERE partition = $1 AND frozen_at IS NOT NULL"
"""How many rows of a partition are in its file."""
_FROZEN: Final = "SELECT tier, start_at, end_at FROM cold_file WHERE frozen_at IS NOT NULL"
"""The times of which calls are in files."""
_ADD: Final = """
    INSERT INTO cold_file (tier, start_at, end_at, partition, name, rows, bytes, sha256, fingerprint, copied_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
    RETURNING id
"""
"""List a file whose rows are in their partition still."""
_FREEZE: Final = "UPDATE cold_file SET frozen_at = clock_timestamp() WHERE id = $1"
"""Let a file answer, in the transaction that deletes its rows."""
_REMOVE: Final = "DELETE FROM cold_file WHERE id = $1"
"""Forget a file, in the transaction in which its rows come back or are purged."""
_REWRITE: Final = "INSERT INTO cold_rewrite (partition) VALUES ($1) ON CONFLICT DO NOTHING"
"""Have what is left of a partition's calls move to a new file, in the transaction in which they come back."""
_REWRITES: Final = "SELECT partition FROM cold_rewrite ORDER BY partition"
"""The partitions that are to have a new file."""
_REWRITTEN: Final = "DELETE FROM cold_rewrite WHERE partition = $1"
"""A partition has its new file, or needs none."""
_TAKE: Final = "SELECT pg_advisory_xact_lock($1)"
"""Wait for writers of late calls, and keep others waiting until the transaction ends."""

AS_JSON: Final = f"(SELECT json_agg(file) FROM (SELECT {_COLUMNS} FROM cold_file) AS file)"  # noqa: S608
"""The files as one value, for a statement that has something else to tell."""


def from_json(text: str | None) -> tuple[ColdFile, ...]:
    """The files that `AS_JSON` tells."""
    return tuple(map(_from_json, orjson.loads(text))) if text else ()


def _from_json(row: dict[str, Any]) -> ColdFile:
    start, end = datetime.fromisoformat(row["start_at"]), datetime.fromisoformat(row["end_at"])
    return ColdFile(
        row["id"], row["tier"], start, end, row["partition"], row["name"], row["rows"], row["bytes"], row["sha256"],
        row["frozen"],
    )  # fmt: skip


async def cold_files(source: Queryable) -> list[ColdFile]:
    """All files, by tier and time."""
    return [ColdFile(*row) for row in await source.fetch(_ALL)]


async def lock_file(connection: Connection, id_: int) -> ColdFile | None:
    """The file as it is now, locked until the transaction ends; None when it is gone."""
    row = await connection.fetchrow(_ONE, id_)
    return None if row is None else ColdFile(*row)


async def file_of(source: Queryable, partition: str) -> ColdFile | None:
    """The file of a partition, if it has one."""
    row = await source.fetchrow(_OF, partition)
    return None if row is None else ColdFile(*row)


async def rows_in_file(source: Queryable, partition: str) -> int:
    """How many rows of a partition are in its file."""
    return await source.fetchval(_ROWS_OF, partition)


class FrozenTimes:
    """The times of which some calls are in files: checks and sums of stored calls cannot tell of them."""

    def __init__(self, times: Sequence[tuple[int, datetime, datetime]]) -> None:
        """`times`: tier, start and end of each file."""
        self.times = times

    @classmethod
    async def read(cls, source: Queryable) -> "FrozenTimes":
        """As they are now."""
        return cls([(row["tier"], row["start_at"], row["end_at"]) for row in await source.fetch(_FROZEN)])

    def touch(self, tier: int, start: datetime, end: datetime) -> bool:
        """Whether calls of the tier between two moments can be in a file."""
        return any(own == tier and begin < end and start < stop for own, begin, stop in self.times)

    def until(self, tier: int) -> datetime | None:
        """Where the newest file of the tier ends."""
        return max((stop for own, _, stop in self.times if own == tier), default=None)


async def add_file(connection: Connection, file: ColdFile, fingerprint: str) -> int:
    """List a file that was written; returns its id."""
    values = (file.tier, file.start, file.end, file.partition, file.name, file.rows, file.bytes)
    return await connection.fetchval(_ADD, *values, bytes.fromhex(file.sha256), fingerprint)


async def mark_frozen(connection: Connection, file: ColdFile) -> None:
    """Let the file answer for its rows."""
    await connection.execute(_FREEZE, file.id)
    await connection.execute(_REWRITTEN, file.partition)


async def ask_rewrite(connection: Connection, partition: str) -> None:
    """Have what is left of a partition's calls move to a new file."""
    await connection.execute(_REWRITE, partition)


async def rewrites(source: Queryable) -> list[str]:
    """The partitions that are to have a new file."""
    return [row["partition"] for row in await source.fetch(_REWRITES)]


async def end_rewrite(source: Queryable, partition: str) -> None:
    """The partition needs no new file."""
    await source.execute(_REWRITTEN, partition)


async def remove_file(connection: Connection, id_: int) -> None:
    """Forget the file."""
    await connection.execute(_REMOVE, id_)


async def take_lock(connection: Connection) -> None:
    """Take `LOCK` alone, until the transaction ends."""
    await connection.execute(_TAKE, LOCK)


def overlapping(files: Sequence[ColdFile], tier: int, start: datetime, end: datetime) -> list[ColdFile]:
    """The files of a tier that have a part of the time between two moments."""
    return [file for file in files if file.tier == tier and file.start < end and start < file.end]
