"""Sums by tag: which questions they answer, and the tables that have them.

They have a row for each half hour, account, currency and value of one tag, of the calls that carry it; so they answer
questions that name one tag, and accounts and currencies besides. What the rollups have more than they is of calls that
do not carry the tag: `less` takes it out of them.
"""

from collections.abc import Iterator, Mapping, Sequence
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
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_AMOUNT: Final = "coalesce(amount, 0)"
# A correction is no call: it adds to amounts, and to nothing else.
OF_CALL: Final[Mapping[str, str]] = {
    "calls": "(correction_of IS NULL)::integer::bigint",
    "errors": "(failed AND correction_of IS NULL)::integer::bigint",
    **{name: f"coalesce({name}, 0)::bigint" for name in _TOKENS},
    "priced": "(amount IS NOT NULL AND correction_of IS NULL)::integer::bigint",
    "amount": _AMOUNT,
    "estimated": f"CASE WHEN amount_source = 3 THEN {_AMOUNT} ELSE 0 END",
    "wasted": f"CASE WHEN failed THEN {_AMOUNT} ELSE 0 END",
}
"""What a call adds to each sum, in the order of the sums."""
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
    sums = ", ".join(f"-{name} AS {name}" for name in OF_CALL)
    key = f"bucket_at, {account}tier, tag_key, ''::text AS tag_value, currency"
    return f"(SELECT {key}, {sums}, {latency} FROM {table}) AS less"  # noqa: S608 - names of our own


VALUE_OF_CALL: Final = """(coalesce(tags ->> tag_key, '') COLLATE "C")"""
"""A call's value of a tag in `UNSUMMED`, as a condition there finds it."""


def _calls(value: str, sign: str, bin_: str) -> str:
    sums = ", ".join(
        f"{sign}{sql if sql.endswith('bigint') else f'({sql})'} AS {name}" for name, sql in OF_CALL.items()
    )
    latencies = f"CASE WHEN latency_ms IS NULL THEN '{{}}' ELSE ARRAY[({bin_})::smallint] END AS latency_buckets"
    key = (
        f"started_at AS bucket_at, account_id, tier, tag_key, {value} AS tag_value, coalesce(currency, '') AS currency"
    )
    return (
        f"usage_unsummed CROSS JOIN LATERAL (SELECT {key}, {sums}, {latencies} "  # noqa: S608 - names of our own
        "FROM call JOIN usage_tag_key ON jsonb_exists(tags, tag_key)"
    )


UNSUMMED: Final = _calls(VALUE_OF_CALL, "", "calledger_latency_bucket(latency_ms)")
UNSUMMED_LESS: Final = _calls("''::text", "-", "-1 - calledger_latency_bucket(latency_ms)")
"""The calls that carry a tag, of days of which a table of sums by tag has no rows, with the columns of `DELTAS`: for
`service.storage.statements.unsummed.calls_of_days`. LESS: what they take out of those of the calls without the tag.
"""
_TABLES: Final = (*BY_ACCOUNT.values(), *OVER_ALL.values())
SKETCHED: Final = frozenset({*_TABLES, *map(less, _TABLES)})
"""Tables whose rows have a histogram as one number."""
UNSKETCHED: Final = frozenset({DELTAS, less(DELTAS), UNSUMMED, UNSUMMED_LESS})
"""Tables whose rows have the latency of each call."""
EVERY: Final = SKETCHED | UNSKETCHED
