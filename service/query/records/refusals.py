"""What was refused, for those who run the gateways: sums of counts, never anything of what was refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from service.query.model.errors import BadInputError
from service.storage.connection import Connection
from service.storage.control.refusals import KEPT
from service.storage.sources import SOURCE_NAMES

ROWS_MAX: Final = 5000

# One statement, so that rows and sum are of one moment.
_REFUSED: Final = """
    SELECT hour, account_id, source, reason, refused, (sum(refused) OVER ())::bigint AS total FROM ingest_refusal
    WHERE hour >= date_trunc('hour', $1::timestamptz, 'UTC') AND hour < $2
        AND ($3::integer[] IS NULL OR account_id = ANY ($3))
    ORDER BY hour DESC, account_id, source, reason LIMIT $4
"""


class Refused(NamedTuple):
    """One count; `account_id` is 0 where the account is not known."""

    hour: datetime
    account_id: int
    source: str
    reason: str
    refused: int


async def read_refusals(
    connection: Connection, since: datetime, until: datetime, accounts: Sequence[int] | None
) -> tuple[list[Refused], int]:
    """Counts of the hours that touch `since` to `until`, newest first, `ROWS_MAX` at most, and the sum of all of them.

    Raises BadInputError for a time that ends before it begins, or is longer than counts are kept.
    """
    if until <= since:
        raise BadInputError("`until` must be later than `since`")
    if until - since > 2 * KEPT:
        raise BadInputError(f"`since` to `until` is at most {2 * KEPT.days} days: counts are kept for {KEPT.days}")
    among = None if accounts is None else list(accounts)
    rows = await connection.fetch(_REFUSED, since, until, among, ROWS_MAX)
    counts = [Refused(row[0], row[1], SOURCE_NAMES[row[2]], row[3], row[4]) for row in rows]
    return counts, rows[0]["total"] if rows else 0
