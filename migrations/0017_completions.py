"""A later report completes a call: the digests of the reports before it, and a trigger that limits updates.

From here on the service's role may update calls. The trigger lets it fill in what was unknown, and replace an estimate,
and nothing else: what is known of a call stays as it was recorded.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

FILLED = (
    *("streamed", "served_model", "provider", "operation", "input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "latency_ms", "time_to_first_token_ms", "cache_hit", "trace_id"),
    *("session_id", "deployment", "normalized_error", "provider_request_id", "units"),
)
AMOUNT = ("amount", "currency", "amount_source", "amount_parts", "amount_unknown")


def _array(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"ARRAY[{', '.join(quoted)}]"


GUARD = [
    f"""
    CREATE FUNCTION calledger_known_stays() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        changed text;
    BEGIN
        SELECT was.key INTO changed
        FROM jsonb_each(to_jsonb(OLD)) AS was JOIN jsonb_each(to_jsonb(NEW)) AS now_is USING (key)
        WHERE was.value <> now_is.value AND NOT (
            was.key IN ('digest', 'digests')
            OR was.value = 'null'::jsonb AND was.key = ANY ({_array(FILLED)})
            OR was.key = ANY ({_array(AMOUNT)}) AND (OLD.amount IS NULL OR OLD.amount_source = 3)
        )
        LIMIT 1;
        IF changed IS NOT NULL THEN
            RAISE EXCEPTION 'what is known of a call stays as it was recorded: %', changed USING ERRCODE = '42501';
        END IF;
        RETURN NEW;
    END
    $$
    """,
    """
    CREATE TRIGGER known_stays BEFORE UPDATE ON call FOR EACH ROW
    WHEN (current_user = 'calledger_app_all') EXECUTE FUNCTION calledger_known_stays()
    """,
]


class Migration(migrations.Migration):
    """Add the column and the trigger."""

    dependencies = [("calledger", "0016_restriction")]

    operations = [
        ops.RunSQL(
            ["ALTER TABLE call ADD COLUMN digests bigint[]", *GUARD],
            reverse_sql=[
                "DROP TRIGGER known_stays ON call",
                "DROP FUNCTION calledger_known_stays()",
                "ALTER TABLE call DROP COLUMN digests",
            ],
        )
    ]
