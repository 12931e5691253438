"""The statements that look for calls to be priced anew."""

from typing import Final, LiteralString

from service.storage.citus.locks import lock_of

_READ: Final[LiteralString] = (
    "account_id, tier, started_at, id, source, model, served_model, provider, operation, failed, input_tokens, "
    "output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, units, amount, currency, amount_source, "
    "amount_unknown"
)
# An erasure that has begun ends with nothing of the account: nothing is written to it any more.
_MAY_BE_PRICED: Final[LiteralString] = """
    correction_of IS NULL AND (amount IS NULL OR amount_source = 3)
    AND account_id <> ALL (ARRAY(SELECT account_id FROM erasure WHERE kind = 'ACCOUNT'))
"""

CALLS_TO_PRICE: Final[LiteralString] = f"""
SELECT {_READ} FROM call
WHERE tier = $1 AND started_at >= $2 AND started_at < $3 AND ($4::integer IS NULL OR account_id = $4)
    AND ($5::text IS NULL OR model = $5 OR served_model = $5) AND {_MAY_BE_PRICED}
"""  # noqa: S608 - names of our own
"""Calls of one tier between two moments that have no amount, or an estimate of ours."""

# In the order in which every writer takes its locks, so that two writers of the same calls do not deadlock.
LOCK_TO_PRICE: Final = lock_of(
    f"""
SELECT {_READ} FROM call
WHERE tier = $1 AND account_id = ANY ($2::integer[]) AND started_at = ANY ($3::timestamptz[]) AND id = ANY ($4::uuid[])
    AND started_at >= $5 AND started_at <= $6 AND {_MAY_BE_PRICED}
""",  # noqa: S608 - names of our own
    "ORDER BY account_id, started_at, id",
    parameters=6,
)
"""Lock some of these calls, those that still are to be priced."""

MOMENT: Final[LiteralString] = "SELECT now()"
"""The database's time, which windows are measured by."""
