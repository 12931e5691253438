"""The statements of the change feed: what a write adds to it, and how changes get their positions.

A change that is committed has no position yet. One process at a time, in a transaction of its own, takes what is
committed by then, in the order in which it was inserted, and numbers it. So positions are dense, are visible in their
order, and are given once; what commits later gets a later one, however long its transaction was open.
"""

from enum import IntEnum
from typing import Final, LiteralString


class ChangeKind(IntEnum):
    """What happened to a call: it was stored, a correction of one was stored, or a later report completed it.

    The numbers are stored.
    """

    CALL = 0
    CORRECTION = 1
    COMPLETION = 2


ID_BYTES: Final = 16


def change_rows_of(rows: LiteralString, kind: LiteralString) -> LiteralString:
    """A SELECT of what a statement has done, for the feed. `rows` has `account_id`, `tier` and `id`; `kind` is a number
    of ChangeKind.
    """
    return f"""
    SELECT account_id, tier, {kind} AS kind, string_agg(uuid_send(id), ''::bytea) AS ids
    FROM {rows}
    GROUP BY account_id, tier
"""  # noqa: S608 - names of our own


def changes_of(rows: LiteralString, kind: LiteralString) -> LiteralString:
    """An INSERT of the changes that `change_rows_of` selects."""
    return f"""
    INSERT INTO call_change_new (account_id, tier, kind, ids) {change_rows_of(rows, kind)}"""


ARE_UNNUMBERED: Final[LiteralString] = "SELECT EXISTS (SELECT FROM call_change_new)"
"""Whether there is anything to number."""

# A restored database continues from an older position, under a server that was started anew, as another database, or
# with the table made anew. PostgreSQL tells each of these apart.
LOCK_HEAD: Final[LiteralString] = """
SELECT
    position, greatest(recorded_at + interval '1 microsecond', clock_timestamp()) AS recorded_at, history,
    concat_ws(
        ' ', pg_postmaster_start_time(), (SELECT oid FROM pg_database WHERE datname = current_database()),
        pg_relation_filenode('change_head')
    ) AS history_now
FROM change_head FOR UPDATE
"""
"""Lock the newest position, so that one process numbers at a time; with the time of what is numbered next."""

BEGIN_EPOCH: Final[LiteralString] = """
WITH known AS (UPDATE change_head SET history = $2)
INSERT INTO change_epoch (first, token, began_at) VALUES ($1, gen_random_uuid(), clock_timestamp())
"""
"""From this position on, positions belong to another history of the database."""

# Neighbours of the same account, tier and kind become one row of some thousand changes at most, which takes less space.
# Nothing overtakes anything. The time is of after the snapshot, so that no change is older here than its call.
NUMBER: Final[LiteralString] = """
WITH moment AS MATERIALIZED (
    SELECT greatest($2::timestamptz, clock_timestamp()) AS recorded_at
), gone AS (
    DELETE FROM call_change_new
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM call_change_new ORDER BY seq LIMIT $3))
    RETURNING seq, committed_at, account_id, tier, kind, ids
), runs AS (
    SELECT
        *, row_number() OVER (ORDER BY seq)
            - row_number() OVER (PARTITION BY account_id, tier, kind ORDER BY seq) AS run,
        sum(octet_length(ids) / 16) OVER (PARTITION BY account_id, tier, kind ORDER BY seq) / 1000 AS part
    FROM gone
), joined AS (
    SELECT account_id, tier, kind, min(seq) AS seq, string_agg(ids, ''::bytea ORDER BY seq) AS ids
    FROM runs GROUP BY account_id, tier, kind, run, part
), numbered AS (
    INSERT INTO call_change (position, recorded_at, account_id, tier, kind, ids)
    SELECT
        $1 + sum(octet_length(ids) / 16) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING),
        recorded_at, account_id, tier, kind, ids
    FROM joined, moment ORDER BY seq
    RETURNING position
), head AS (
    UPDATE change_head SET position = (SELECT max(position) FROM numbered),
        recorded_at = (SELECT recorded_at FROM moment)
    WHERE EXISTS (SELECT FROM numbered)
)
SELECT count(*) AS rows, (SELECT max(position) FROM numbered) AS position, min(committed_at) AS oldest FROM gone
"""
"""Give what is committed its positions, at most so many rows of it."""

UNNUMBERED: Final[LiteralString] = """
SELECT
    coalesce(sum(octet_length(ids) / 16), 0)::bigint AS changes,
    extract(epoch FROM clock_timestamp() - min(committed_at))::double precision AS age_s,
    (SELECT position FROM change_head) AS position
FROM call_change_new
"""
"""How many changes wait for their position, and for how long the oldest has."""
