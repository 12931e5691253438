"""Days of which some tables of sums have no rows: there single calls answer instead (docs/decisions/0020)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import orjson

UNSUMMED_CALLS: Final = "usage_unsummed CROSS JOIN LATERAL (SELECT * FROM call"
"""What `calls_of_days` is the condition of."""

UnsummedDays = Mapping[str, tuple[datetime, datetime]]
"""The first and the last day of which each table of sums has no rows, of whatever tier; tables that have all are not
in it.
"""
AS_JSON: Final = """(
    SELECT json_object_agg(name, json_build_array(first_day, last_day)) FROM (
        SELECT name, min(of_day) AS first_day, max(of_day) AS last_day
        FROM usage_unsummed, unnest(sums) AS name GROUP BY name
    ) AS of_table
)"""
"""The same as one value, for a statement that has something else to tell."""


def from_json(text: str | None) -> UnsummedDays:
    """The days that `AS_JSON` tells."""
    found: dict[str, tuple[str, str]] = orjson.loads(text) if text else {}
    return {
        table: (datetime.fromisoformat(first), datetime.fromisoformat(last)) for table, (first, last) in found.items()
    }


def any_unsummed(conditions: Iterable[str]) -> str:
    """Whether there is a day that one of `conditions` chooses."""
    return f"EXISTS (SELECT 1 FROM usage_unsummed WHERE ({') OR ('.join(conditions)}))"  # noqa: S608 - our own names


def calls_of_days(days: str, calls: str) -> str:
    """What stands behind UNSUMMED_CALLS and WHERE: the condition that chooses `days`, and the one that chooses `calls`
    of them. Both together have the columns of `call`.

    By OFFSET each day is looked for by itself, by the index on time or on accounts: in a join of ranges each call would
    be compared with each day. That there is such a day is asked first, once, and else no partition is opened.
    """
    of_day = "tier = of_tier AND started_at >= of_day AND started_at < of_day + interval '1 day'"
    some = f"EXISTS (SELECT 1 FROM usage_unsummed WHERE {days})"  # noqa: S608 - names of our own
    return f"{of_day} AND {calls} OFFSET 0) AS call WHERE {days} AND {some}"


def is_unsummed(table: str, tier: str = "tier", moment: str = "bucket_at") -> str:
    """The condition that `table` has no rows of the UTC day of `moment`, which is an expression as `tier` is."""
    return f"""EXISTS (
        SELECT 1 FROM usage_unsummed
        WHERE of_tier = {tier} AND of_day = date_trunc('day', {moment}, 'UTC') AND '{table}' = ANY (sums)
    )"""  # noqa: S608 - names of our own
