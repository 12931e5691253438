"""The statements that correct stored calls: find and lock the call, see what was corrected before, store corrections.

A call is found by its id, whose time and tier prune partitions, or by its source id, for which all are searched.
"""

from typing import Final, LiteralString

from service.storage.citus.locks import lock_of
from service.storage.statements.changes import changes_of
from service.storage.statements.tag_deltas import tag_deltas_of

# In the order in which every writer takes its locks, so that two writers of the same calls do not deadlock.
LOCK_CORRECTED: Final = lock_of(
    """
SELECT
    wanted.position, call.account_id, call.tier, call.started_at, call.id, call.source, call.source_id, call.amount,
    call.currency, call.correction_of
FROM unnest($1::integer[], $2::integer[], $3::timestamptz[], $4::uuid[])
    AS wanted (position, account_id, started_at, id)
JOIN call ON call.account_id = wanted.account_id AND call.started_at = wanted.started_at AND call.id = wanted.id
WHERE call.tier = $5 AND call.started_at >= $6 AND call.started_at <= $7
""",
    "ORDER BY call.account_id, call.started_at, call.id",
    parameters=7,
)
"""Lock the calls that corrections name by our id."""

# No index has the gateway's ids: all that a batch names are looked for in one reading of the accounts' calls.
CALLS_OF_SOURCE_IDS: Final[LiteralString] = """
SELECT * FROM (
    SELECT account_id, source, source_id, tier, started_at, id, correction_of IS NOT NULL AS is_correction,
        row_number() OVER (PARTITION BY account_id, source, source_id ORDER BY correction_of IS NOT NULL) AS place
    FROM call
    WHERE account_id = ANY ($1::integer[]) AND source = ANY ($2::smallint[]) AND source_id = ANY ($3::text[])
) AS found
WHERE place <= 2 ORDER BY place
"""
"""Finds calls before corrections: if the second of two rows of a source id is a call, it names several calls."""

CORRECTED_BEFORE: Final[LiteralString] = """
SELECT
    call.correction_of AS id, sum(call.amount) AS amount,
    coalesce(sum(call.amount) FILTER (WHERE call.amount_source = 3), 0) AS own_amount,
    count(*) FILTER (WHERE call.amount_source = 3) AS own, count(*) AS corrections
FROM call
WHERE call.tier = $1 AND call.account_id = ANY ($2::integer[]) AND call.started_at = ANY ($3::timestamptz[])
    AND call.correction_of = ANY ($4::uuid[])
GROUP BY call.correction_of
"""
"""The sum of all corrections of some calls of one tier, by the call's id, and that of those which put an estimate of
ours right."""

NOW_AND_TIERS: Final[LiteralString] = """
SELECT now() AS moment, wanted.account_id, (
    SELECT tier FROM account_tier
    WHERE account_tier.account_id = wanted.account_id AND from_at <= now() ORDER BY from_at DESC LIMIT 1
) AS tier
FROM unnest($1::integer[]) AS wanted (account_id)
"""
"""When corrections of our own are made, and the tier that their accounts have then."""

CORRECTIONS_KNOWN: Final[LiteralString] = """
SELECT wanted.position, correction.digest, correction.call_id
FROM unnest($1::integer[], $2::integer[], $3::uuid[]) AS wanted (position, account_id, key)
JOIN correction ON correction.account_id = wanted.account_id AND correction.key = wanted.key
"""
"""Corrections of a batch that are there already, with their digests."""

# A correction is found, filtered and summed by the columns of its call; only amount, time and id are its own.
_INHERITED: Final[LiteralString] = (
    "failed, streamed, model, served_model, provider, operation, api_key, user_token, tags, error_type, error_code, "
    "cache_hit, attempt, trace_id, session_id, deployment, team, organization, normalized_error, "
    "provider_request_id, team_id, organization_id, parent_span_id"
)
INHERITED: Final = frozenset(_INHERITED.split(", "))
"""The columns that a correction inherits from its call."""

_OWN: Final[LiteralString] = (
    "account_id, tier, started_at, id, digest, source, source_id, amount, currency, amount_source, amount_parts, "
    "correction_of, corrected_at"
)
_FROM_CALL: Final[LiteralString] = "corrected." + _INHERITED.replace(", ", ", corrected.")

# The planner takes a few rows for what comes of these joins, whatever there are, and many corrections of one moment
# would be compared each with each. So each call is looked for by its whole key, and what was kept by a hash of it.
_KEPT: Final[LiteralString] = "(whole.key IN (SELECT key FROM kept)) IS TRUE"

STORE_CORRECTIONS: Final[LiteralString] = f"""
WITH given AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::smallint[], $5::uuid[])
        AS given (id, correction_of, corrected_at, own_tier, key)
), wanted AS MATERIALIZED (
    SELECT staged.*, given.correction_of, given.corrected_at, given.own_tier, given.key
    FROM call_staged AS staged JOIN given ON given.id = staged.id
), whole AS MATERIALIZED (
    SELECT
        staged.account_id, staged.tier, staged.started_at, staged.id, staged.digest, staged.source, staged.source_id,
        staged.amount::numeric AS amount, staged.currency, staged.amount_source, staged.amount_parts,
        staged.correction_of, staged.corrected_at, staged.own_tier, staged.key, {_FROM_CALL},
        date_bin('15 minutes', staged.started_at, '1970-01-01 00:00:00+00') AS bucket_at
    FROM wanted AS staged
    JOIN call AS corrected ON corrected.account_id = staged.account_id AND corrected.tier = staged.tier
        AND corrected.started_at = staged.started_at AND corrected.id = staged.correction_of
), kept AS (
    INSERT INTO correction (
        key, bucket_at, own_bucket_at, digest, call_id, account_id, tier, own_tier, failed, amount, model, provider,
        api_key, currency
    )
    SELECT
        key, bucket_at, date_bin('15 minutes', corrected_at, '1970-01-01 00:00:00+00'), digest, correction_of,
        account_id, tier, own_tier, failed, amount, model, coalesce(provider, ''), coalesce(api_key, ''), currency
    FROM whole
    ORDER BY account_id, key
    ON CONFLICT DO NOTHING
    RETURNING key
), stored AS (
    INSERT INTO call ({_OWN}, {_INHERITED})
    SELECT {_OWN}, {_INHERITED} FROM whole WHERE {_KEPT}
    RETURNING *
), changes AS (
{changes_of("stored", "1")}), tag_deltas AS (
{tag_deltas_of("stored", corrections=True)}), deltas AS (
    INSERT INTO usage_delta (
        bucket_at, account_id, tier, failed, model, provider, api_key, currency, calls, input_tokens, output_tokens,
        cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, latency_buckets
    )
    SELECT
        bucket_at, account_id, tier, failed, model, coalesce(provider, ''), coalesce(api_key, ''), currency,
        0, 0, 0, 0, 0, 0, 0, sum(amount), coalesce(sum(amount) FILTER (WHERE amount_source = 3), 0), '{{}}'
    FROM whole WHERE {_KEPT}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
)
SELECT account_id, id FROM stored
"""  # noqa: S608 - our own text
"""Stores what was copied into the staging table, and returns what was new: the others were stored before."""
