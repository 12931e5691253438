"""Sums by tag: which questions they answer, and the tables that have them.

They have a row for each half hour, account, currency and value of one tag, of the calls that carry it; so they answer
questions that name one tag, and accounts and currencies besides. What the rollups have more than they is of calls that
do not carry the tag: `less` takes it out of them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from policies.policy.model import Store
from service.query.model.predicate import And, Not, Or, Predicate, TagMatch, fields_of

DELTAS: Final = "usage_tag_delta"
BY_ACCOUNT: Final = {Store.USAGE_QUARTER: "usage_tag_half_hour", Store.USAGE_DAY: "usage_tag_day"}
OVER_ALL: Final = {Store.USAGE_QUARTER: "usage_tag_half_hour_all", Store.USAGE_DAY: "usage_tag_day_all"}
DIMENSIONS: Final = frozenset({"ACCOUNT"})
"""What the sums can be grouped by, time and the tag apart."""
_FILTERS: Final = frozenset({"account", "currency", "tags"})
_SUMS: Final = (
    "calls", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "priced", "amount", "estimated", "wasted",
)  # fmt: skip
SINCE: Final = """
    SELECT summed_from FROM usage_tag_key WHERE tag_key = $1 AND unlisted_at IS NULL AND summed_from IS NOT NULL
"""
"""From when on every call that carries a tag is in its sums."""


class TagSums(NamedTuple):
    """The sums of one tag: every call from `since` on that carries it is in them."""

    key: str
    since: datetime


def key_of(predicate: Predicate, grouped: Sequence[str]) -> str | None:
    """The tag whose sums can tell which calls match, and what groups they are in; None when there is no such tag."""
    keys = {*grouped, *_keys(predicate)}
    return keys.pop() if len(keys) == 1 and set(fields_of(predicate)) <= _FILTERS else None


def _keys(predicate: Predicate) -> Iterator[str]:
    match predicate:
        case TagMatch(key):
            yield key
        case And(parts) | Or(parts):
            for part in parts:
                yield from _keys(part)
        case Not(part):
            yield from _keys(part)
        case _:
            pass


def less(table: str) -> str:
    """The rows of a table of sums as what they take out of those of the calls without the tag, a value of ''."""
    account = "" if table in OVER_ALL.values() else "account_id, "
    latencies = "ARRAY(SELECT (-1 - bin)::smallint FROM unnest(latency_buckets) AS bin) AS latency_buckets"
    latency = latencies if table == DELTAS else "-latency AS latency"
    sums = ", ".join(f"-{name} AS {name}" for name in _SUMS)
    key = f"bucket_at, {account}tier, tag_key, ''::text AS tag_value, currency"
    return f"(SELECT {key}, {sums}, {latency} FROM {table}) AS less"  # noqa: S608 - names of our own


_TABLES: Final = (*BY_ACCOUNT.values(), *OVER_ALL.values())
SKETCHED: Final = frozenset({*_TABLES, *map(less, _TABLES)})
"""Tables whose rows have a histogram as one number."""
UNSKETCHED: Final = frozenset({DELTAS, less(DELTAS)})
"""Tables whose rows have the latency of each call."""
EVERY: Final = SKETCHED | UNSKETCHED
