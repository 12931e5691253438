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

CLAIMED_BILLS: Final[LiteralString] = """
SELECT key, account_id, tier, started_at FROM bill_claim WHERE key = ANY ($1::uuid[])
"""
"""Reads the claims of these keys; after CLAIM_BILLS there is one of each."""
