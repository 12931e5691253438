"""Checksums of the change feed, by account and hour, which a consumer works out from what it has received.

The checksum of some changes is the sum, modulo 2^64, of the first eight bytes (big-endian) of SHA-256 over the text
`KIND call_id` of each. It does not depend on their order, differs when one is missing or doubled, and the sums of two
parts of an hour add up. docs/partners.md has an example.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, LiteralString, NamedTuple

from service.query.model.errors import BadInputError
from service.query.model.scope import Scope
from service.storage.connection import Connection, one_row
from service.storage.ids import encode_raw_ids
from service.storage.statements.changes import ID_BYTES, ChangeKind

SPAN_MAX: Final = timedelta(days=31)
CHANGES_MAX: Final = 1_000_000
"""Changes that one question sums up: a second of work, with turns for others between."""
SETTLED: Final = timedelta(minutes=5)
"""From then on no change gets an earlier time, however slow the database is."""
_ROWS_AT_ONCE: Final = 2_000
_MODULUS: Final = 2**64

_COUNTED: Final[LiteralString] = """
    SELECT
        coalesce(sum(octet_length(ids) / 16), 0)::bigint AS changes, clock_timestamp() AS now,
        (SELECT recorded_at FROM change_head) AS newest
    FROM call_change
    WHERE recorded_at >= $1 AND recorded_at < $2 AND ($3::integer[] IS NULL OR account_id = ANY ($3))
"""
"""How many changes a time has, and up to when no further change can come."""
_SUMMED: Final[LiteralString] = """
    SELECT account_id, kind, date_trunc('hour', recorded_at, 'UTC') AS hour, position, ids FROM call_change
    WHERE recorded_at >= $1 AND recorded_at < $2 AND ($3::integer[] IS NULL OR account_id = ANY ($3))
        AND position > $4
    ORDER BY position LIMIT $5
"""
"""The changes of a time, part by part."""


class HourlySum(NamedTuple):
    """The changes of one account in one hour, or in the part of it that was asked for."""

    hour: datetime
    account_id: int
    changes: int
    checksum: int


def checksum_of(kind: str, call_ids: Sequence[str]) -> int:
    """The sum over some changes of one kind."""
    return sum(int.from_bytes(sha256(f"{kind} {id_}".encode()).digest()[:8], "big") for id_ in call_ids) % _MODULUS


async def sum_changes(
    connection: Connection, scope: Scope, since: datetime, until: datetime
) -> tuple[list[HourlySum], bool]:
    """The sums of [since, until) by hour and account, and whether all of them are final.

    Raises BadInputError for a time that is empty, too long, or holds too many changes.
    """
    if not timedelta() < until - since <= SPAN_MAX:
        raise BadInputError(f"`until` is later than `since`, by {SPAN_MAX.days} days at most")
    accounts = None if scope.accounts is None else list(scope.accounts)
    counted = await one_row(connection, _COUNTED, since, until, accounts)
    if counted["changes"] > CHANGES_MAX:
        raise BadInputError(
            f"this time has {counted['changes']} changes, more than {CHANGES_MAX}: ask for parts of it, whose "
            "checksums add up"
        )
    sums: dict[tuple[datetime, int], tuple[int, int]] = {}
    position = 0
    while rows := await connection.fetch(_SUMMED, since, until, accounts, position, _ROWS_AT_ONCE):
        position = rows[-1]["position"]
        for row in rows:
            ids: bytes = row["ids"]
            uuids = [ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES)]
            key = row["hour"], row["account_id"]
            changes, checksum = sums.get(key, (0, 0))
            added = checksum_of(ChangeKind(row["kind"]).name, encode_raw_ids(row["account_id"], uuids))
            sums[key] = changes + len(uuids), (checksum + added) % _MODULUS
            await asyncio.sleep(0)
    settled = until <= counted["newest"] or until <= counted["now"] - SETTLED
    return [HourlySum(*key, *sums[key]) for key in sorted(sums)], settled
