"""Finds the oldest row of a partition, in the way that the engine knows."""

from typing import Final

from policies.policy.model import Store
from service.retention.purge.detached import TIMES


def _oldest(store: Store) -> str:
    """A statement for the oldest row of one partition from a time on: one probe of its key per account."""
    time = TIMES[store]
    return f"""
        SELECT min(first.moment) FROM account, LATERAL (
            SELECT {time} AS moment FROM {store.value}
            WHERE account_id = account.id AND tier = $1 AND {time} >= $2 AND {time} < $3
            ORDER BY {time} LIMIT 1
        ) AS first
        WHERE $4::integer[] IS NULL OR account.id = ANY ($4)
    """  # noqa: S608 - names of our own


def _oldest_by_scan(store: Store) -> str:
    """The same where an engine cannot probe: it reads the partition."""
    time = TIMES[store]
    return f"""
        SELECT min({time}) FROM {store.value}
        WHERE tier = $1 AND {time} >= $2 AND {time} < $3 AND ($4::integer[] IS NULL OR account_id = ANY ($4))
    """  # noqa: S608


OLDEST: Final = {
    True: {store: _oldest(store) for store in Store},
    False: {store: _oldest_by_scan(store) for store in Store},
}
"""By whether the engine can probe account by account."""
