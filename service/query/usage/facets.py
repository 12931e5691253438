"""Facets: the values that a filter menu offers, with how many calls have each."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

import asyncpg

from service.query.model.errors import BadInputError, QueryTimeoutError
from service.query.model.parameters import Params
from service.query.model.predicate import And, Predicate, TagMatch, conjuncts, fields_of
from service.query.usage.report_sql import CURRENCY, DIMENSIONS, SUMS
from service.query.usage.source import UsageReader
from service.query.usage.union_sql import Column, UsageRead, UsageUnion
from service.storage.statements.unsummed import any_unsummed

FIRST_DEFAULT: Final = 20
FIRST_MAX: Final = 200
CALLS_AT_MOST: Final = timedelta(days=31)
"""How far a facet reaches back that single calls must answer, unless the filter says from when."""

SUMMED: Final[Mapping[str, Column]] = {
    "models": DIMENSIONS["MODEL"],
    "providers": DIMENSIONS["PROVIDER"],
    "accounts": DIMENSIONS["ACCOUNT"],
    "apiKeys": DIMENSIONS["API_KEY"],
    "statuses": DIMENSIONS["STATUS"],
    "currencies": CURRENCY,
}
"""Facets that the rollups can answer."""
SINGLE: Final[Mapping[str, str]] = {
    "operations": "coalesce(operation, '')",
    "servedModels": "coalesce(served_model, '')",
    "errorTypes": "coalesce(error_type, '')",
    "errorCodes": "coalesce(error_code, '')",
}
"""Facets that single calls must answer."""
TAGS: Final = "tags"
FACETS: Final = (*SUMMED, *SINGLE, TAGS)
OWN_FILTER: Final[Mapping[str, str]] = {
    "models": "model",
    "providers": "provider",
    "accounts": "account",
    "apiKeys": "apiKey",
    "statuses": "status",
    "currencies": "currency",
    "operations": "operation",
    "servedModels": "servedModel",
    "errorTypes": "errorType",
    "errorCodes": "errorCode",
}
_OF_FAILED: Final = frozenset({"errorTypes", "errorCodes"})
# Their names are not in the database's rows: they are put in order, and cut off, here.
_NUMBERED: Final = frozenset({"accounts", "statuses"})
_SINGLE: Final = """
    SELECT facet, value, count FROM (
        SELECT facet, value, sum(counted)::bigint AS count, row_number() OVER (
            PARTITION BY facet ORDER BY sum(counted) DESC, nullif(value, '') NULLS LAST
        ) AS rank
        FROM ({hits}) AS hit, LATERAL (VALUES {values}) AS found (facet, value)
        WHERE value IS NOT NULL GROUP BY facet, value HAVING sum(counted) <> 0
    ) AS ranked WHERE rank <= {first}
"""
"""Values of several facets, counted in one pass over single calls. Of a call that is in none of a facet it is null: a
SELECT for each would be no part of what Citus' workers count.
"""
_COLUMNS: Final = (
    "operation, served_model, error_type, error_code, tags, failed, (correction_of IS NULL)::integer AS counted"
)


@dataclass(frozen=True, slots=True)
class FacetValue:
    """`value` None: not reported."""

    value: str | None
    count: int


Found = Mapping[str, Sequence[FacetValue]]


def facet_of_tag(key: str) -> str:
    """The name of the facet of one tag."""
    return f"{TAGS}.{key}"


async def read_facets(
    reader: UsageReader,
    predicate: Predicate,
    facets: Iterable[str],
    first: int = FIRST_DEFAULT,
    *,
    without_own: bool = False,
) -> Found:
    """The `first` values of each of `facets`, most calls first, then by code point, what was not reported last.

    Errors' types and codes are those of failed calls; `tags` is a facet for each tag that the policy lets be grouped
    by (`facet_of_tag`), of the calls that carry it. `without_own`: each facet as if the filter said nothing of it, so
    that a menu offers what else could be chosen. Raises as `read_costs` does.
    """
    if not 1 <= first <= FIRST_MAX:
        raise BadInputError(f"`first` is 1 to {FIRST_MAX}")
    requested = set(facets)
    reader.refuse_unseen(f"Facets.{name}" for name in FACETS if name in requested)
    names = [name for name in FACETS if name in requested and name != TAGS]
    if TAGS in requested:
        names += [facet_of_tag(key) for key in sorted(reader.scope.policy.tag_dimensions)]
    together: dict[tuple[Predicate, bool], list[str]] = defaultdict(list)
    for name in names:
        chosen = _without(predicate, name) if without_own else predicate
        together[chosen, name in SUMMED].append(name)
    found: dict[str, Sequence[FacetValue]] = {}
    for (chosen, summed), alike in together.items():
        found |= await _read(reader, chosen, alike, first, summed=summed)
    return {name: found[name] for name in names}


def _without(predicate: Predicate, facet: str) -> Predicate:
    """What the filter says of anything but the facet itself."""
    kept = tuple(part for part in conjuncts(predicate) if not _is_own(part, facet))
    if facet == "currencies" and "amount" in fields_of(And(kept)):
        return predicate  # amounts are compared within one currency
    return And(kept)


def _is_own(part: Predicate, facet: str) -> bool:
    if facet in OWN_FILTER:
        return set(fields_of(part)) == {OWN_FILTER[facet]}
    return isinstance(part, TagMatch) and facet == facet_of_tag(part.key)


async def _read(
    reader: UsageReader, predicate: Predicate, facets: Sequence[str], first: int, *, summed: bool
) -> dict[str, Sequence[FacetValue]]:
    reading = await reader.reading(predicate, rollups=summed, calls_at_most=CALLS_AT_MOST)
    found: dict[str, list[FacetValue]] = {name: [] for name in facets}
    if reading.plan.segments:
        sql = _summed if summed else _single
        rows = await _fetch(reader, replace(reading, lacking=reader.unsummed), sql, facets, first)
        if any(row["facet"] is None for row in rows):
            rows = await _fetch(reader, reading, sql, facets, first)
        for row in rows:
            found[row["facet"]].append(FacetValue(row["value"] or None, row["count"]))
    if "accounts" in found:
        found["accounts"] = await _named(reader, found["accounts"])
    return {name: sorted(values, key=_order)[:first] for name, values in found.items()}


async def _fetch(
    reader: UsageReader,
    reading: UsageRead,
    sql: Callable[[UsageRead, Sequence[str], int, Params], str],
    facets: Sequence[str],
    first: int,
) -> Sequence[Any]:
    """The rows of facets; one of no facet (null) where sums lack days that they were taken to have."""
    params = Params()
    statement = sql(reading, facets, first, params)
    try:
        async with reader.database.reading(reader.scope.accounts, key_id=reader.scope.key_id) as connection:
            return await connection.fetch(statement, *params.values)
    except asyncpg.QueryCanceledError:
        raise QueryTimeoutError from None


async def _named(reader: UsageReader, values: Sequence[FacetValue]) -> list[FacetValue]:
    """The counts by account name instead of account id. Accounts that are not known are left out."""
    counts = {int(one.value): one.count for one in values if one.value is not None}
    await reader.accounts.look_up(account_ids=counts)
    names = reader.accounts.names()
    return [FacetValue(names[number], count) for number, count in counts.items() if number in names]


def _order(value: FacetValue) -> tuple[int, bool, str]:
    return -value.count, value.value is None, value.value or ""


def _summed(reading: UsageRead, facets: Sequence[str], first: int, params: Params) -> str:
    """The statement that counts the values of facets by sums."""
    keys = {name.lower(): SUMMED[name] for name in facets}
    union = UsageUnion(reading, keys, params)
    part = union.sums({"calls": SUMS["calls"]})
    counts = [_counts(name, first, params) for name in facets]
    if union.assumed:
        counts.append(f"SELECT NULL, NULL, NULL WHERE {any_unsummed(sorted(union.assumed))}")
    return f"WITH part AS ({part}) {' UNION ALL '.join(counts)}"


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


def _single(reading: UsageRead, facets: Sequence[str], first: int, params: Params) -> str:
    """The statement that counts the values of facets by single calls."""
    values = [f'({params.bind(name, "text")}, ({_value(name, params)}) COLLATE "C")' for name in facets]
    hits = UsageUnion(reading, {}, params).rows(_COLUMNS)
    return _SINGLE.format(hits=hits, values=", ".join(values), first=params.bind(first, "bigint"))


def _value(facet: str, params: Params) -> str:
    """A call's value of a facet, null where it has none."""
    if facet not in SINGLE:
        return f"tags ->> {params.bind(facet.partition('.')[2], 'text')}"
    return f"CASE WHEN failed THEN {SINGLE[facet]} END" if facet in _OF_FAILED else SINGLE[facet]
