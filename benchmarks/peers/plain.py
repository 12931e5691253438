"""The calls in a plain table with its best index, in a schema of its own beside the ledger's tables."""

import asyncpg

SCHEMA = "peers"
_COLUMNS = """
    id, account_id, started_at, model, served_model, provider, operation, api_key,
    CASE WHEN failed THEN 'FAILED' ELSE 'SUCCEEDED' END AS status, streamed, source_id, user_token,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, amount, currency,
    amount_source, latency_ms, time_to_first_token_ms, error_type, error_code, error_at, corrects, tags, amount_parts,
    digest
"""
_MAKE = f"""
    CREATE SCHEMA IF NOT EXISTS {SCHEMA};
    DROP TABLE IF EXISTS {SCHEMA}.calls;
    CREATE TABLE {SCHEMA}.calls AS SELECT {_COLUMNS} FROM call ORDER BY started_at;
    ALTER TABLE {SCHEMA}.calls ADD PRIMARY KEY (id);
    ALTER TABLE {SCHEMA}.calls ALTER account_id SET NOT NULL, ALTER started_at SET NOT NULL,
        ALTER model SET NOT NULL, ALTER status SET NOT NULL;
    CREATE INDEX calls_of_account ON {SCHEMA}.calls (account_id, started_at DESC, id DESC);
"""


async def make_plain_table(owner: asyncpg.Connection, calls: int) -> None:
    """`peers.calls`, unless it is there with as many rows."""
    there = await owner.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{SCHEMA}.calls")
    if there and await owner.fetchval(f"SELECT count(*) FROM {SCHEMA}.calls") == calls:
        return
    await owner.execute(_MAKE, timeout=3600)
    await owner.execute(f"VACUUM (ANALYZE) {SCHEMA}.calls", timeout=3600)
