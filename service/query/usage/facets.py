"""Facets: the values that a filter menu offers, with how many calls have each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import asyncpg

from service.query.model.errors import BadInputError, QueryTimeoutError
from service.query.model.parameters import Params
from service.query.model.predicate import And, Compare, Predicate
from service.query.usage.report_sql import CURRENCY, DIMENSIONS, SUMS
from service.query.usage.source import UsageReader
from service.query.usage.union_sql import Column, UsageRead, UsageUnion

FIRST_DEFAULT: Final = 20
FIRST_MAX: Final = 200
CALLS_AT_MOST: Final = timedelta(days=31)
"""How far a facet reaches back that single calls must answer, unless the filter says from when."""

FACETS: Final[Mapping[str, Column]] = {
    "models": DIMENSIONS["MODEL"],
    "providers": DIMENSIONS["PROVIDER"],
    "accounts": DIMENSIONS["ACCOUNT"],
    "apiKeys": DIMENSIONS["API_KEY"],
    "statuses": DIMENSIONS["STATUS"],
    "currencies": CURRENCY,
    "errorTypes": Column(None, "coalesce(error_type, '')"),
}
SEEN_BY: Final = {
    "models": "Facets.models",
    "providers": "Facets.providers",
    "accounts": "Facets.accounts",
    "apiKeys": "Facets.apiKeys",
    "statuses": "Facets.statuses",
    "currencies": "Facets.currencies",
    "errorTypes": "Facets.errorTypes",
}
_FAILED: Final = Compare("status", "eq", "FAILED")
# Their names are not in the database's rows: they are put in order, and cut off, here.
_NUMBERED: Final = frozenset({"accounts", "statuses"})


@dataclass(frozen=True, slots=True)
class FacetValue:
    """`value` None: not reported."""

    value: str | None
    count: int


async def read_facets(
    reader: UsageReader, predicate: Predicate, facets: Iterable[str], first: int = FIRST_DEFAULT
) -> Mapping[str, Sequence[FacetValue]]:
    """The `first` values of each of `facets`, most calls first, then by code point, what was not reported last.

    Error types are those of failed calls. Raises as `read_costs` does.
    """
    if not 1 <= first <= FIRST_MAX:
        raise BadInputError(f"`first` is 1 to {FIRST_MAX}")
    requested = [name for name in FACETS if name in set(facets)]
    reader.refuse_unseen(SEEN_BY[name] for name in requested)
    summed = [name for name in requested if FACETS[name].rollup is not None]
    found = await _read(reader, predicate, summed, first)
    if "errorTypes" in requested:
        found |= await _read(reader, And((predicate, _FAILED)), ["errorTypes"], first)
    return found


async def _read(
    reader: UsageReader, predicate: Predicate, facets: Sequence[str], first: int
) -> dict[str, Sequence[FacetValue]]:
    if not facets:
        return {}
    rollups = all(FACETS[name].rollup is not None for name in facets)
    reading = await reader.reading(predicate, rollups=rollups, calls_at_most=CALLS_AT_MOST)
    found: dict[str, list[FacetValue]] = {name: [] for name in facets}
    for facet, value, count in await _fetch(reader, reading, facets, first):
        found[facet].append(FacetValue(value, count))
    if "accounts" in found:
        found["accounts"] = await _named(reader, found["accounts"])
    return {name: sorted(values, key=_order)[:first] for name, values in found.items()}


async def _named(reader: UsageReader, values: Sequence[FacetValue]) -> list[FacetValue]:
    """The counts by account name instead of account id. Accounts that are not known are left out."""
    counts = {int(one.value): one.count for one in values if one.value is not None}
    await reader.accounts.look_up(account_ids=counts)
    names = reader.accounts.names()
    return [FacetValue(names[number], count) for number, count in counts.items() if number in names]


def _order(value: FacetValue) -> tuple[int, bool, str]:
    return -value.count, value.value is None, value.value or ""


async def _fetch(
    reader: UsageReader, reading: UsageRead, facets: Sequence[str], first: int
) -> list[tuple[str, str | None, int]]:
    """The counts of all facets, in one statement."""
    if not reading.plan.segments:
        return []
    params = Params()
    keys = {name.lower(): FACETS[name] for name in facets}
    part = UsageUnion(reading, keys, params).sums({"calls": SUMS["calls"]})
    counts = " UNION ALL ".join(_counts(name, first, params) for name in facets)
    try:
        async with reader.database.reading(reader.scope.accounts, key_id=reader.scope.key_id) as connection:
            rows = await connection.fetch(f"WITH part AS ({part}) {counts}", *params.values)
    except asyncpg.QueryCanceledError:
        raise QueryTimeoutError from None
    return [(row["facet"], row["value"] or None, row["count"]) for row in rows]


def _counts(facet: str, first: int, params: Params) -> str:
    """The part of the statement that counts one facet's values."""
    key = facet.lower()
    value = "CASE WHEN statuses THEN 'FAILED' ELSE 'SUCCEEDED' END" if facet == "statuses" else f"{key}::text"
    counted = (
        f"SELECT {params.bind(facet, 'text')} AS facet, {value} AS value, sum(calls)::bigint AS count "  # noqa: S608
        f"FROM part GROUP BY {key} HAVING sum(calls) <> 0"
    )
    if facet in _NUMBERED:
        return f"({counted})"
    return f"({counted} ORDER BY sum(calls) DESC, nullif({key}, '') NULLS LAST LIMIT {params.bind(first, 'bigint')})"
