"""A person's name as the value of a tag that is summed: it leaves the sums as it leaves the calls.

While a call loses the name, deltas take it out of the sums in the same transaction. What is left then is of calls that
are gone, or sums of none: a day whose calls have no such value any more is renamed in the sums, in one statement.
"""

from collections.abc import Sequence
from typing import Final, LiteralString
from uuid import UUID

from policies.admission.personal import without_persons
from policies.redaction import Persons
from service.retention.context import RetentionContext
from service.retention.rollups.compaction import LOCK as COMPACTION_LOCK
from service.retention.rollups.tag_sums import BY_ACCOUNT, NAMES, derive_tags
from service.storage.connection import Connection
from service.storage.statements.tag_deltas import DELTA_COLUMNS, tag_deltas_of

_TABLES: Final = (*BY_ACCOUNT, "usage_tag_delta")
_VALUES: Final = " UNION ".join(
    f"SELECT tier, date_trunc('day', bucket_at, 'UTC') AS day, tag_key, tag_value FROM {table} WHERE account_id = $1"  # noqa: S608
    for table in _TABLES
)
"""The values of an account's tags that are summed, by UTC day."""


def _side(side: LiteralString) -> LiteralString:
    """The deltas that take some calls of a partition out of the sums (-1), or add them (1)."""
    calls: LiteralString = f"""(
        SELECT {side} AS side, call.* FROM call
        WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4 AND id = ANY ($5::uuid[])
    ) AS changed"""  # noqa: S608
    return tag_deltas_of(calls, corrections=True, sided=True)


_OUT: Final = _side("-1")
_IN: Final = _side("1")
_OF_DAY: Final = """account_id = $1 AND tier = $2 AND bucket_at >= $3 AND bucket_at < $3::timestamptz + interval '1 day'
    AND tag_key = $4 AND tag_value = $5"""


def _moved(table: str) -> str:
    """CTEs that give sums of one value another, unless a call still has the first."""
    named = ("bucket_at", "account_id", "tier", "tag_key", "tag_value", "currency")
    columns = ", ".join(DELTA_COLUMNS if table == "usage_tag_delta" else (*named, *NAMES))
    both = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in NAMES)
    conflict = f"ON CONFLICT (account_id, tier, tag_key, bucket_at, tag_value, currency) DO UPDATE SET {both}"
    return f"""
    {table}_gone AS (DELETE FROM {table} WHERE {_OF_DAY} AND NOT (SELECT there FROM still) RETURNING *),
    {table}_moved AS (
        INSERT INTO {table} ({columns}) SELECT {columns.replace("tag_value", "$6::text")} FROM {table}_gone
        {"" if table == "usage_tag_delta" else conflict}
    )"""  # noqa: S608 - names of our own


# One statement has one snapshot: a call that commits meanwhile is in none of its parts.
_RENAME: Final = f"""
    WITH still AS MATERIALIZED (
        SELECT EXISTS (
            SELECT 1 FROM call WHERE account_id = $1 AND tier = $2 AND started_at >= $3
                AND started_at < $3::timestamptz + interval '1 day' AND tags ->> $4::text = $5::text
        ) AS there
    ), {",".join(_moved(table) for table in _TABLES)}
    SELECT there FROM still
"""  # noqa: S608
"""Renames the value $5 of a tag to $6 in the sums of an account's day, unless a call still has it."""


async def take_out(connection: Connection, where: Sequence[object], ids: Sequence[UUID]) -> None:
    """Subtract some calls from the sums by tag; `where`: account, tier, and from when to when they began."""
    await connection.execute(_OUT, *where, list(ids))


async def put_in(connection: Connection, where: Sequence[object], ids: Sequence[UUID]) -> None:
    """Add them again, as they are now."""
    await connection.execute(_IN, *where, list(ids))


async def forget_tag_values(context: RetentionContext, account: int, persons: Persons) -> None:
    """Take the person out of the values of an account's sums by tag, where its calls have them no more."""
    for tier, day, key, value in await context.owner.fetch(_VALUES, account):
        without = without_persons(value, persons, "tag", {})
        if without is None or without == value:
            continue
        async with context.owner.acquire() as connection, connection.transaction(isolation="read_committed"):
            await connection.execute("SELECT pg_advisory_xact_lock($1)", COMPACTION_LOCK)
            await connection.execute(_RENAME, account, tier, day, key, value, without)
            await derive_tags(connection, tier, day, [key])
