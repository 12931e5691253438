"""The statements that claim bills: the first transaction that commits a claim keeps it, in whichever process."""

from typing import Final, LiteralString

# Sorted by key, so that two writers that claim the same bills wait for each other and do not deadlock.
CLAIM_BILLS: Final[LiteralString] = """
INSERT INTO bill_claim (key, account_id, tier, started_at)
SELECT key, account_id, tier, started_at
FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::timestamptz[])
    WITH ORDINALITY AS wanted (key, account_id, tier, started_at, position)
ORDER BY key, position
ON CONFLICT (key) DO NOTHING
"""
"""Claim bills for the calls of a batch, the first report of each wins."""

STORED_BILLS: Final[LiteralString] = """
SELECT DISTINCT ON (source, source_id) source, source_id, account_id, tier, started_at
FROM call
WHERE source_id = ANY ($1::text[]) AND source = ANY ($2::smallint[]) AND correction_of IS NULL
    AND ($3::integer[] IS NULL OR account_id = ANY ($3)) AND started_at >= $4 AND started_at <= $5
ORDER BY source, source_id, started_at, account_id
"""
"""Finds stored calls with the ids of bills that have no claim, the oldest of each: stored before bills had claims."""

CLAIMED_BILLS: Final[LiteralString] = """
SELECT key, account_id, tier, started_at FROM bill_claim WHERE key = ANY ($1::uuid[])
"""
"""Reads the claims of these keys; after CLAIM_BILLS there is one of each."""
