"""The statements that complete a stored call: read and lock what is there, fill in what was unknown, count the change.

The columns that are filled in are in no index but that of the trace, so that an update mostly needs no new index
entries (HOT), where the page has space.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, LiteralString

from service.storage.citus.locks import lock_of
from service.storage.statements.changes import changes_of
from service.storage.statements.tag_deltas import tag_deltas_of

_FILLED: Final[tuple[LiteralString, ...]] = (
    "streamed",
    "served_model",
    "provider",
    "operation",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "latency_ms",
    "time_to_first_token_ms",
    "cache_hit",
    "trace_id",
    "parent_span_id",
    "session_id",
    "deployment",
    "normalized_error",
    "provider_request_id",
    "units",
    "attempt",
    "team",
    "organization",
    "team_id",
    "organization_id",
    "tags",
)
FILLED: Final[tuple[str, ...]] = tuple(_FILLED)
"""Columns that a later report may fill in where they are null."""

_AMOUNT: Final[tuple[LiteralString, ...]] = ("amount", "currency", "amount_source", "amount_parts", "amount_unknown")
AMOUNT: Final[tuple[str, ...]] = tuple(_AMOUNT)
"""Columns that a later report may give a value together, where there is no amount, or an estimate of ours. Parts may
come later than an amount that they sum to."""
MERGED: Final[Mapping[str, int]] = MappingProxyType({"tags": 64, "units": 16})
"""Objects to which a later report may add names, until there are as many as one report may bring."""
UNFILLED: Final[Mapping[str, str]] = MappingProxyType(
    {"api_key": "api_key", "user_token": "user", "error_at": "error", "error_type": "error"}
)
"""Columns that no later report fills in, because keys, sums or pseudonyms hang on them: the field of the report."""

_OPEN: Final = " + ".join(
    f"CASE WHEN call.{name} IS NULL THEN {1 << index} ELSE 0 END" for index, name in enumerate(_FILLED)
)
AMOUNT_OPEN: Final = 1 << len(FILLED)
PARTS_OPEN: Final = AMOUNT_OPEN << 1
_UNFILLED_OPEN: Final = " + ".join(
    f"CASE WHEN call.{name} IS NULL THEN {PARTS_OPEN << index} ELSE 0 END" for index, name in enumerate(UNFILLED, 1)
)

# One tier at a time, between the times of the first and the last call, so that partitions are pruned.
_WANTED: Final[LiteralString] = """
FROM unnest($1::integer[], $2::integer[], $3::timestamptz[], $4::uuid[])
    AS wanted (position, account_id, started_at, id)
JOIN call ON call.account_id = wanted.account_id AND call.started_at = wanted.started_at AND call.id = wanted.id
WHERE call.tier = $5 AND call.started_at >= $6 AND call.started_at <= $7
"""

STORED_DIGESTS: Final = f"""
SELECT
    wanted.position, call.digest, call.digests,
    {_OPEN} + CASE WHEN call.amount IS NULL OR call.amount_source = 3 THEN {AMOUNT_OPEN} ELSE 0 END
    + CASE WHEN call.amount_parts IS NULL THEN {PARTS_OPEN} ELSE 0 END + {_UNFILLED_OPEN} AS open,
    call.tags, call.units
{_WANTED}
"""
"""`open`: a bit for each of FILLED that is null, AMOUNT_OPEN where the amount is unknown or an estimate, PARTS_OPEN
where it has no parts, and behind it a bit for each of UNFILLED that is null."""

_LISTED: Final[LiteralString] = ", ".join(
    f"call.{name}" for name in (*_FILLED, *_AMOUNT, "api_key", "user_token", "error_at", "error_type")
)

# In the order in which every writer takes its locks, so that two writers of the same calls do not deadlock.
LOCK_STORED: Final = lock_of(
    f"SELECT wanted.position, call.digest, call.digests, call.failed, call.model, {_LISTED}{_WANTED}",
    "ORDER BY call.account_id, call.started_at, call.id",
    parameters=7,
)
"""Lock stored calls and read all that a completion compares."""

_SET: Final[LiteralString] = ", ".join(
    f"{name} = staged.{name}::numeric" if name == "amount" else f"{name} = staged.{name}"
    for name in (*_FILLED, *_AMOUNT)
)
_SAME_CALL: Final[LiteralString] = """
    call.account_id = staged.account_id AND call.started_at = staged.started_at AND call.id = staged.id
    AND staged.tier = $1 AND call.tier = $1 AND call.started_at >= $2 AND call.started_at <= $3
"""
_COUNTED_COLUMNS: Final[tuple[LiteralString, ...]] = (
    *("account_id", "tier", "started_at", "failed", "model", "provider", "api_key", "currency", "input_tokens"),
    *("output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "amount", "amount_source"),
    *("latency_ms", "tags"),
)
_COUNTED: Final[LiteralString] = ", ".join(_COUNTED_COLUMNS)
_BEFORE: Final[LiteralString] = ", ".join(f"call.{name}" for name in _COUNTED_COLUMNS)

_SET_DIGEST: Final[LiteralString] = """digest = staged.digest,
        digests = CASE
            WHEN call.digest = staged.digest THEN call.digests ELSE array_append(call.digests, call.digest)
        END"""


def _completing(changes: LiteralString) -> LiteralString:
    """A statement that makes `changes` to the calls that were staged, of one tier and between two moments.

    Usage gets the difference: the call as it is now, minus the call as it was. A negative bucket is subtracted from a
    histogram: -1 means one call less in bucket 0.
    """
    return f"""
WITH before AS MATERIALIZED (
    SELECT {_BEFORE}
    FROM call JOIN call_staged AS staged ON {_SAME_CALL}
), after AS (
    UPDATE call SET {changes}
    FROM call_staged AS staged WHERE {_SAME_CALL}
    RETURNING call.*
), sides AS (
    SELECT 1 AS side, {_COUNTED} FROM after
    UNION ALL SELECT -1, {_COUNTED} FROM before
), tag_deltas AS (
{tag_deltas_of("sides", sided=True)}), changes AS (
{changes_of("after", "2")})
INSERT INTO usage_delta (
    bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
    cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, latency_buckets
)
SELECT
    date_bin('15 minutes', started_at, '1970-01-01 00:00:00+00') AS bucket_at, account_id, tier, failed, model,
    coalesce(provider, '') AS provider, coalesce(api_key, '') AS api_key, coalesce(currency, '') AS currency,
    sum(side), coalesce(sum(side * input_tokens::bigint), 0), coalesce(sum(side * output_tokens::bigint), 0),
    coalesce(sum(side * cache_read_tokens::bigint), 0), coalesce(sum(side * cache_write_tokens::bigint), 0),
    coalesce(sum(side * reasoning_tokens::bigint), 0), coalesce(sum(side) FILTER (WHERE amount IS NOT NULL), 0),
    coalesce(sum(side * amount), 0), coalesce(sum(side * amount) FILTER (WHERE amount_source = 3), 0),
    coalesce(
        array_agg(
            CASE
                WHEN side = 1 THEN calledger_latency_bucket(latency_ms)
                ELSE (-1 - calledger_latency_bucket(latency_ms))::smallint
            END
        ) FILTER (WHERE latency_ms IS NOT NULL),
        '{{}}'
    )
FROM sides
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608 - our own text


COMPLETE: Final[LiteralString] = _completing(f"{_SET}, {_SET_DIGEST}")
"""Completes what was copied into the staging table, of one tier and between two moments."""

PRICE: Final[LiteralString] = _completing(
    "amount = staged.amount::numeric, currency = staged.currency, amount_source = staged.amount_source, "
    "amount_parts = staged.amount_parts, amount_unknown = NULL"
)
"""Gives the calls that were staged their estimates, of one tier and between two moments."""
