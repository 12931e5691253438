"""Rows that name a person in clear, as they were stored before reports were looked through for that: cleared by an
erasure, which has the plain id while it is asked for, and at no other time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from policies.admission.personal import code_without, source_id_without, without_persons
from policies.policy.model import Store
from policies.redaction import Persons
from policies.retention import Partition
from service.retention.context import RetentionContext
from service.retention.holds.escrow import RowsToHold, Whose, copy_held
from service.retention.holds.holds import lock_holds
from service.retention.purge.planning import all_partitions

_LABELS: Final = ("error_type", "deployment", "team", "organization", "normalized_error")
_IDS: Final = ("trace_id", "session_id", "provider_request_id")
_CALL: Final = """
    SELECT started_at AS moment, id, source_id, error_type, error_code, tags, deployment, team, organization,
        normalized_error, trace_id, session_id, provider_request_id
    FROM call
    WHERE account_id = $1 AND tier = $2 AND started_at >= $3 AND started_at < $4
        AND strpos(lower(concat_ws(E'\\n', source_id, error_type, error_code, tags::text, deployment, team,
            organization, normalized_error, trace_id, session_id, provider_request_id)), $5) > 0
"""
_CALL_ERROR: Final = """
    SELECT occurred_at AS moment, id, error_type, error_code
    FROM call_error
    WHERE account_id = $1 AND tier = $2 AND occurred_at >= $3 AND occurred_at < $4
        AND strpos(lower(concat_ws(E'\\n', error_type, error_code)), $5) > 0
"""
_CLEAR_CALL: Final = """
    UPDATE call SET source_id = $5, error_type = $6, error_code = $7, tags = $8::jsonb, deployment = $9, team = $10,
        organization = $11, normalized_error = $12, trace_id = $13, session_id = $14, provider_request_id = $15
    WHERE account_id = $1 AND tier = $2 AND started_at = $3 AND id = $4
"""
_CLEAR_CALL_ERROR: Final = """
    UPDATE call_error SET error_type = $5, error_code = $6
    WHERE account_id = $1 AND tier = $2 AND occurred_at = $3 AND id = $4
"""
_STATEMENTS: Final = {Store.CALL: (_CALL, _CLEAR_CALL), Store.CALL_ERROR: (_CALL_ERROR, _CLEAR_CALL_ERROR)}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


async def clear_names(context: RetentionContext, account: int, user: str) -> int:
    """Put marks in place of a person's plain id wherever the account's rows have it in clear; how many rows had it.

    What a hold names is copied for the hold first. Source ids that change carry the call's milliseconds, as they do
    when they are stored; trace, session and request ids go whole. Killed at any point, it can be asked for again.
    """
    persons, cleared = Persons((user,)), 0
    if not persons:
        return 0
    for part in await all_partitions(context.partitions):
        if part.store in _STATEMENTS:
            cleared += await _clear_partition(context, part, account, persons, _needle(user))
    return cleared


def _needle(user: str) -> str:
    """What is in every row that names the person; for ids beyond ASCII each row is looked at."""
    return user.split()[0].lower() if user.isascii() else ""


async def _clear_partition(
    context: RetentionContext, part: Partition, account: int, persons: Persons, needle: str
) -> int:
    find, clear = _STATEMENTS[part.store]
    async with context.owner.acquire() as connection, connection.transaction():
        await lock_holds(connection)
        changes = []
        async for row in connection.cursor(find, account, part.tier, part.start, part.end, needle):
            before = dict(row)
            after = _without(before, persons)
            if after != before:
                changes.append((account, part.tier, *after.values()))
        if not changes:
            return 0
        now: datetime = await connection.fetchval("SELECT now()")
        rows = RowsToHold(part.store, part.tier, part.start, part.end)
        await copy_held(connection, context.keyring, rows, now, Whose(account))
        await connection.executemany(clear, changes)
        return len(changes)


def _without(row: Mapping[str, Any], persons: Persons) -> dict[str, Any]:
    """The row without persons, in the same order."""
    removed: dict[str, int] = {}
    cleared = dict(row)
    for name in row.keys() & set(_LABELS):
        cleared[name] = without_persons(row[name], persons, name, removed)
    for name in row.keys() & set(_IDS):
        if row[name] is not None and without_persons(row[name], persons, name, removed) != row[name]:
            cleared[name] = None
    cleared["error_code"] = code_without(row["error_code"], persons, removed)
    if "source_id" in row:
        cleared["source_id"] = _source_id(row, persons, removed)
    if row.get("tags") is not None:
        tags = orjson.loads(row["tags"])
        kept = {key: without_persons(value, persons, "tag", removed) for key, value in tags.items()}
        cleared["tags"] = row["tags"] if kept == tags else orjson.dumps(kept).decode()
    return cleared


def _source_id(row: Mapping[str, Any], persons: Persons, removed: dict[str, int]) -> str:
    shown = source_id_without(row["source_id"], persons, removed)
    if shown == row["source_id"]:
        return shown
    return f"{shown}~{(row['moment'] - _EPOCH) // _MILLISECOND}"
