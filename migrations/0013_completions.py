"""A later report completes a call: the digests of the reports before it, and the writer's right to fill in."""

from tortoise import migrations
from tortoise.migrations import operations as ops

COLUMNS = """
    streamed, served_model, provider, operation, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
    reasoning_tokens, latency_ms, time_to_first_token_ms, cache_hit, trace_id, session_id, deployment, normalized_error,
    provider_request_id, units, amount, currency, amount_source, amount_parts, amount_unknown, digest, digests
"""


def _when_role_exists(statement: str) -> str:
    return f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'calledger_app_all') THEN {statement}; END IF;
        END $$
    """


class Migration(migrations.Migration):
    """Add the column and the right."""

    dependencies = [("calledger", "0012_unknown_amounts")]

    operations = [
        ops.RunSQL(
            [
                "ALTER TABLE call ADD COLUMN digests bigint[]",
                _when_role_exists(f"GRANT UPDATE ({COLUMNS}) ON call TO calledger_app_all"),
            ],
            reverse_sql=[
                _when_role_exists(f"REVOKE UPDATE ({COLUMNS}) ON call FROM calledger_app_all"),
                "ALTER TABLE call DROP COLUMN digests",
            ],
        )
    ]
