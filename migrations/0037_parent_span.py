"""The span that a call is a part of, by which attempts are shown within each other. A column that is null costs nothing.

A later report may give it, as it gives the trace.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

TABLES = ("call", "call_held")
FILLED = (
    *("streamed", "served_model", "provider", "operation", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "latency_ms", "time_to_first_token_ms", "cache_hit", "trace_id"),
    *("session_id", "deployment", "normalized_error", "provider_request_id", "attempt", "team", "organization"),
    *("team_id", "organization_id", "amount_parts", "tags", "units"),
)
MERGED = ("tags", "units")
AMOUNT = ("amount", "currency", "amount_source", "amount_parts", "amount_unknown")


def _array(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"ARRAY[{', '.join(quoted)}]"


def _guard(filled: tuple[str, ...]) -> str:
    return f"""
    CREATE OR REPLACE FUNCTION calledger_known_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        changed text;
    BEGIN
        SELECT was.key INTO changed
        FROM jsonb_each(to_jsonb(OLD)) AS was JOIN jsonb_each(to_jsonb(NEW)) AS now_is USING (key)
        WHERE was.value <> now_is.value AND NOT (
            was.key IN ('digest', 'digests')
            OR was.value = 'null'::jsonb AND was.key = ANY ({_array(filled)})
            OR was.key = ANY ({_array(MERGED)}) AND now_is.value @> was.value
            OR was.key = ANY ({_array(AMOUNT)}) AND (OLD.amount IS NULL OR OLD.amount_source = 3)
        )
        LIMIT 1;
        IF changed IS NOT NULL THEN
            RAISE EXCEPTION 'what is known of a call stays as it was recorded: %', changed USING ERRCODE = '42501';
        END IF;
        RETURN NEW;
    END
    $$
    """


class Migration(migrations.Migration):
    """Add the column, let a completion fill it in."""

    dependencies = [("calledger", "0036_sources")]

    operations = [
        ops.RunSQL(
            [
                *[f'ALTER TABLE {table} ADD COLUMN parent_span_id text COLLATE "C"' for table in TABLES],
                _guard((*FILLED, "parent_span_id")),
            ],
            reverse_sql=[
                _guard(FILLED),
                *[f"ALTER TABLE {table} DROP COLUMN parent_span_id" for table in TABLES],
            ],
        )
    ]
