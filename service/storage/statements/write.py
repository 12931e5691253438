"""The statements of the writer: stage a batch, store what is new of it, and look up what was there before.

A batch is stored by one statement, so that calls, errors and usage deltas are stored together. Many rows are first
copied into a temporary table of the writer's own connection; a few are a parameter of the statement itself.
"""

from typing import Final, LiteralString

from service.storage.statements.changes import change_rows_of, changes_of
from service.storage.statements.tag_deltas import tag_deltas_of, tag_rows_of

STAGED_TABLE: Final = "call_staged"

# The amount is sent as decimal text, because the driver's binary form of it is expensive to make.
_STAGED: Final[dict[LiteralString, LiteralString]] = {
    "account_id": "integer",
    "tier": "smallint",
    "started_at": "timestamptz",
    "id": "uuid",
    "digest": "bigint",
    "source": "smallint",
    "source_id": 'text COLLATE "C"',
    "failed": "boolean",
    "streamed": "boolean",
    "model": 'text COLLATE "C"',
    "served_model": 'text COLLATE "C"',
    "provider": 'text COLLATE "C"',
    "operation": 'text COLLATE "C"',
    "api_key": 'text COLLATE "C"',
    "user_token": "bigint",
    "input_tokens": "integer",
    "output_tokens": "integer",
    "cache_read_tokens": "integer",
    "cache_write_tokens": "integer",
    "reasoning_tokens": "integer",
    "amount": 'text COLLATE "C"',
    "currency": 'text COLLATE "C"',
    "amount_source": "smallint",
    "amount_parts": "jsonb",
    "corrects": 'text COLLATE "C"',
    "latency_ms": "integer",
    "time_to_first_token_ms": "integer",
    "tags": "jsonb",
    "amount_unknown": "smallint",
    "error_type": 'text COLLATE "C"',
    "error_code": 'text COLLATE "C"',
    "error_at": "timestamptz",
    "detail_type": 'text COLLATE "C"',
    "detail_code": 'text COLLATE "C"',
    "fingerprint": "bigint",
    "rules": 'text[] COLLATE "C"',
    "rule_counts": "integer[]",
    "sealed": "bytea",
    "cache_hit": "boolean",
    "attempt": "smallint",
    "trace_id": 'text COLLATE "C"',
    "session_id": 'text COLLATE "C"',
    "deployment": 'text COLLATE "C"',
    "team": 'text COLLATE "C"',
    "organization": 'text COLLATE "C"',
    "normalized_error": 'text COLLATE "C"',
    "provider_request_id": 'text COLLATE "C"',
    "units": "jsonb",
    "team_id": 'text COLLATE "C"',
    "organization_id": 'text COLLATE "C"',
    "parent_span_id": 'text COLLATE "C"',
}

STAGED_COLUMNS: Final[tuple[str, ...]] = tuple(_STAGED)
"""What one staged row is made of, in order. From `detail_type` to `sealed`: the error record, null unless
`error_at` is set."""

_TYPED_COLUMNS: Final[LiteralString] = ", ".join(f"{name} {type_}" for name, type_ in _STAGED.items())

CREATE_STAGED: Final[LiteralString] = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS call_staged ({_TYPED_COLUMNS}) ON COMMIT DELETE ROWS
"""
"""Make the temporary table that many calls are copied into."""

# `off` and `local` would let an acknowledged call be lost; anything stricter than `on` is the operator's own choice.
DURABLE_COMMITS: Final[LiteralString] = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') IN ('off', 'local')
"""
"""Let commits wait for the disk, whatever the database is set to."""

# Any of these settings writes parameters of statements to the server's log; copied rows are never written there.
LOGS_PARAMETERS: Final[LiteralString] = """(
    current_setting('log_parameter_max_length_on_error') <> '0'
    OR current_setting('log_parameter_max_length') <> '0' AND (
        current_setting('log_statement') IN ('mod', 'all')
        OR current_setting('log_min_duration_statement') <> '-1'
        OR current_setting('log_min_duration_sample') <> '-1'
        OR current_setting('log_transaction_sample_rate') <> '0'
    )
    OR coalesce(current_setting('auto_explain.log_min_duration', true), '-1') <> '-1'
    OR coalesce(current_setting('pgaudit.log_parameter', true), 'off') <> 'off'
)"""
DATABASE_STATE: Final[LiteralString] = f"SELECT clock_timestamp() AS now, {LOGS_PARAMETERS} AS logs_parameters"
"""The database's time, and whether its log may repeat parameters."""


_DELTA_KEY: Final[tuple[LiteralString, ...]] = (
    *("bucket_at", "account_id", "tier", "failed", "model", "provider", "api_key", "currency"),
)
DELTA_NUMBERS: Final[tuple[LiteralString, ...]] = (
    *("calls", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("priced", "amount", "estimated"),
)
DELTA_COLUMNS: Final[tuple[LiteralString, ...]] = (*_DELTA_KEY, *DELTA_NUMBERS, "latency_buckets")
"""The columns of `usage_delta`, in the order of `delta_rows_of`."""


def delta_rows_of(rows: LiteralString, *, corrections: bool = False) -> LiteralString:
    """A SELECT of what calls add to the sums: a delta for each key and quarter hour. `rows` has columns of `call`.

    `corrections`: there may be some among them, which add to amounts alone.
    """
    calls: LiteralString = " FILTER (WHERE correction_of IS NULL)" if corrections else ""
    return f"""
    SELECT
        date_bin('15 minutes', started_at, '1970-01-01 00:00:00+00') AS bucket_at, account_id, tier, failed, model,
        coalesce(provider, '') AS provider, coalesce(api_key, '') AS api_key, coalesce(currency, '') AS currency,
        count(*){calls} AS calls, coalesce(sum(input_tokens), 0) AS input_tokens,
        coalesce(sum(output_tokens), 0) AS output_tokens, coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
        coalesce(sum(cache_write_tokens), 0) AS cache_write_tokens,
        coalesce(sum(reasoning_tokens), 0) AS reasoning_tokens, count(amount){calls} AS priced,
        coalesce(sum(amount), 0) AS amount, coalesce(sum(amount) FILTER (WHERE amount_source = 3), 0) AS estimated,
        coalesce(
            array_agg(calledger_latency_bucket(latency_ms)) FILTER (WHERE latency_ms IS NOT NULL), '{{}}'
        ) AS latency_buckets
    FROM {rows}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
"""  # noqa: S608 - names of our own


def deltas_of(rows: LiteralString, *, corrections: bool = False) -> LiteralString:
    """An INSERT of the rows of `delta_rows_of`."""
    return f"INSERT INTO usage_delta ({', '.join(DELTA_COLUMNS)}) {delta_rows_of(rows, corrections=corrections)}"


# Stores what is new and returns the keys of what is not. The deltas are summed over the rows of RETURNING, never over
# what was sent, so that a retried call is not counted twice. The order of the rows is the same for every writer, so
# that two writers of the same calls wait for each other and do not deadlock.
_STORED: Final[LiteralString] = """
stored AS (
    INSERT INTO call (
        started_at, error_at, id, digest, user_token, account_id, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, latency_ms, time_to_first_token_ms, tier, source, amount_source, failed,
        streamed, amount, source_id, model, served_model, provider, operation, api_key, currency, error_type,
        error_code, corrects, tags, amount_parts, amount_unknown, cache_hit, attempt, trace_id, session_id, deployment,
        team, organization, normalized_error, provider_request_id, units, team_id, organization_id,
        parent_span_id
    )
    SELECT
        started_at, error_at, id, digest, user_token, account_id, input_tokens, output_tokens, cache_read_tokens,
        cache_write_tokens, reasoning_tokens, latency_ms, time_to_first_token_ms, tier, source, amount_source, failed,
        streamed, amount::numeric, source_id, model, served_model, provider, operation, api_key, currency, error_type,
        error_code, corrects, tags, amount_parts, amount_unknown, cache_hit, attempt, trace_id, session_id, deployment,
        team, organization, normalized_error, provider_request_id, units, team_id, organization_id,
        parent_span_id
    FROM call_staged
    ORDER BY account_id, tier, started_at, id
    ON CONFLICT DO NOTHING
    RETURNING
        account_id, tier, started_at, id, failed, model, provider, api_key, currency, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, amount, amount_source, latency_ms, tags
), errors AS (
    INSERT INTO call_error (
        occurred_at, started_at, id, fingerprint, user_token, account_id, tier, api_key, model, provider, error_type,
        error_code, rules, rule_counts, sealed
    )
    SELECT
        staged.error_at, staged.started_at, staged.id, staged.fingerprint, staged.user_token, staged.account_id,
        staged.tier, staged.api_key, staged.model, staged.provider, staged.detail_type, staged.detail_code,
        staged.rules, staged.rule_counts, staged.sealed
    FROM call_staged AS staged
    JOIN stored ON stored.account_id = staged.account_id AND stored.id = staged.id
    WHERE staged.error_at IS NOT NULL
    RETURNING 1
)
"""
_KNOWN: Final[LiteralString] = """
SELECT staged.account_id, staged.id
FROM call_staged AS staged
WHERE NOT EXISTS (
    SELECT 1 FROM stored WHERE stored.account_id = staged.account_id AND stored.id = staged.id
)
"""
"""The calls that were there before."""
_STORE: Final[LiteralString] = f"""{_STORED}, deltas AS (
{deltas_of("stored")}), tag_deltas AS (
{tag_deltas_of("stored")}), changes AS (
{changes_of("stored", "0")})
{_KNOWN}"""

STORE_STAGED: Final[LiteralString] = f"WITH {_STORE}"
"""Stores what was copied into `STAGED_TABLE`."""

STORE_ON_WORKER: Final[LiteralString] = f"""
WITH {_STORED}, sent AS (
    INSERT INTO stored_on_worker (usage, tags, changes)
    SELECT
        (SELECT json_agg(made) FROM ({delta_rows_of("stored")}) AS made),
        (SELECT json_agg(made) FROM ({tag_rows_of("stored", keys="unnest($1::text[]) AS summed (tag_key)")}) AS made),
        (SELECT json_agg(made) FROM ({change_rows_of("stored", "0")}) AS made)
    WHERE EXISTS (SELECT 1 FROM stored)
)
{_KNOWN}"""  # noqa: S608 - our own text
"""The same on a worker of a Citus cluster, where sums and feed are not: what belongs there goes to the coordinator as
one row, of which a trigger there makes deltas and changes. $1: the tags that are summed.
"""
KEEP_TAGS: Final[LiteralString] = "SELECT pg_advisory_xact_lock_shared($1)"
"""Keep the tags that are summed as they are until the transaction ends."""
SUMMED_TAGS: Final[LiteralString] = "SELECT array_agg(tag_key) FROM usage_tag_key"
"""The tags that are summed, for statements on workers."""

_GIVEN: Final[LiteralString] = f"SELECT * FROM json_to_recordset($1::json) AS given ({_TYPED_COLUMNS})"  # noqa: S608 - our own text
"""A few calls as the parameter of the statement that stores them."""

STORE_GIVEN: Final[LiteralString] = f"WITH call_staged AS MATERIALIZED ({_GIVEN}), {_STORE}"
"""Stores the rows of one JSON array of objects, absent columns null: no temporary table, one round trip."""
