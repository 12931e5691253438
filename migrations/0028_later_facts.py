"""A later report may also give a call its attempt, team and organization, more tags and units, and an amount its parts.
A call has the gateway's id of its organization beside the name.

What is known still stays: names of tags and units that are there keep their values.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

FILLED = (
    *("streamed", "served_model", "provider", "operation", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "latency_ms", "time_to_first_token_ms", "cache_hit", "trace_id"),
    *("session_id", "deployment", "normalized_error", "provider_request_id"),
)
LATER = ("attempt", "team", "organization", "team_id", "organization_id", "amount_parts")
MERGED = ("tags", "units")
TABLES = ("call", "call_held")
AMOUNT = ("amount", "currency", "amount_source", "amount_parts", "amount_unknown")


def _array(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"ARRAY[{', '.join(quoted)}]"


def _guard(filled: tuple[str, ...], merged: str) -> str:
    return f"""
    CREATE OR REPLACE FUNCTION calledger_known_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        changed text;
    BEGIN
        SELECT was.key INTO changed
        FROM jsonb_each(to_jsonb(OLD)) AS was JOIN jsonb_each(to_jsonb(NEW)) AS now_is USING (key)
        WHERE was.value <> now_is.value AND NOT (
            was.key IN ('digest', 'digests')
            OR was.value = 'null'::jsonb AND was.key = ANY ({_array(filled)}){merged}
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
    """Add the column, replace the function of the trigger."""

    dependencies = [("calledger", "0027_session_hours")]

    operations = [
        ops.RunSQL(
            [
                *[f'ALTER TABLE {table} ADD COLUMN organization_id text COLLATE "C"' for table in TABLES],
                _guard(
                    (*FILLED, *LATER, *MERGED),
                    f"\n            OR was.key = ANY ({_array(MERGED)}) AND now_is.value @> was.value",
                ),
            ],
            reverse_sql=[
                _guard((*FILLED, "units"), ""),
                *[f"ALTER TABLE {table} DROP COLUMN organization_id" for table in TABLES],
            ],
        )
    ]
