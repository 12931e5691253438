"""The statements that claim bills: the first that commits has a claim for good, whichever process it is of."""

from typing import Final, LiteralString

# In the order of keys, so that two writers that claim the same bills wait for each other and do not deadlock.
CLAIM_BILLS: Final[LiteralString] = """
INSERT INTO bill_claim (key, account_id, tier, started_at)
SELECT key, account_id, tier, started_at
FROM unnest($1::uuid[], $2::integer[], $3::smallint[], $4::timestamptz[])
    WITH ORDINALITY AS wanted (key, account_id, tier, started_at, position)
ORDER BY key, position
ON CONFLICT (key) DO NOTHING
"""

CLAIMED_BILLS: Final[LiteralString] = """
SELECT key, account_id, tier, started_at FROM bill_claim WHERE key = ANY ($1::uuid[])
"""
"""The claims of these keys; after CLAIM_BILLS one of each."""
