"""The union of rows that a plan reads: rollups, the deltas that are not folded yet, and single calls, as one relation.

One statement sees one snapshot, so a fold between two reads cannot lose or double a call. A name that was not reported
is the empty string in every column here, as the rollups have it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from policies.model import DataClass, Policy, Store
from policies.retention import readable_cutoff
from service.query.fields import CALL_FILTERS, Filterable, Kind
from service.query.params import Params
from service.query.predicate import Predicate, fields_of
from service.query.usage_plan import Plan, Windows
from service.query.where import Branch, UserTokens, Where


@dataclass(frozen=True, slots=True)
class Column:
    """One value by alias: over a rollup (None: rollups do not have it), over a delta, over a call."""

    rollup: str | None
    call: str
    delta: str | None = None

    def over(self, table: str) -> str:
        if table == "call":
            return self.call
        chosen = self.delta if table == "usage_delta" and self.delta else self.rollup
        assert chosen is not None, "a plan with rollups asks only for what rollups have"
        return chosen


def _filter(field: str, sql: str) -> Filterable:
    return Filterable(sql, CALL_FILTERS[field].kind, CALL_FILTERS[field].governed_by)


ROLLUP_FILTERS: Final[Mapping[str, Filterable]] = {
    "account": _filter("account", "account_id"),
    "model": _filter("model", "model"),
    "provider": _filter("provider", "nullif(provider, '')"),
    "apiKey": _filter("apiKey", "nullif(api_key, '')"),
    "status": _filter("status", "failed"),
    "currency": _filter("currency", "nullif(currency, '')"),
}
"""What rollups can be filtered by; time apart, which the plan sees to."""

assert ROLLUP_FILTERS["status"].kind is Kind.STATUS


def rollups_answer(predicate: Predicate) -> bool:
    """Whether the rollups can tell which calls match."""
    return set(fields_of(predicate)) <= ROLLUP_FILTERS.keys()


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read of whom: `accounts` numbers (None: every account), `names` numbers by name, for the filter."""

    plan: Plan
    windows: Windows
    policy: Policy
    accounts: tuple[int, ...] | None
    names: Mapping[str, int]
    predicate: Predicate
    users: Mapping[str, UserTokens]


class UsageUnion:
    """Renders one reading's rows with the asked columns."""

    def __init__(self, reading: Reading, columns: Mapping[str, Column], params: Params) -> None:
        self._reading = reading
        self._columns = columns
        self._params = params

    def sql(self) -> str:
        """SELECT ... UNION ALL SELECT ..., with the columns by alias; one empty SELECT when nothing can match."""
        branches = [*self._stores(), *self._deltas()]
        return "\nUNION ALL\n".join(branches) if branches else self._select("call", "false")

    def _stores(self) -> Iterator[str]:
        for piece in self._reading.plan.pieces:
            for tier, start in self._reading.windows.tiers(piece):
                table, time = (piece.store.value, "started_at" if piece.store is Store.CALL else "bucket_at")
                yield self._select(table, f"{self._tier(tier)} AND {self._range(time, start, piece.end)}", tier)

    def _deltas(self) -> Iterator[str]:
        """One branch a tier: the table has no index, and is read once whatever the ranges."""
        ranges: dict[int, list[str]] = {}
        for piece in self._reading.plan.pieces:
            if piece.store is not Store.CALL:
                for tier, start in self._reading.windows.tiers(piece):
                    ranges.setdefault(tier, []).append(f"({self._range('bucket_at', start, piece.end)})")
        for tier, alternatives in ranges.items():
            yield self._select("usage_delta", f"{self._tier(tier)} AND ({' OR '.join(alternatives)})", tier)

    def _select(self, table: str, condition: str, tier: int | None = None) -> str:
        columns = ", ".join(f"{column.over(table)} AS {alias}" for alias, column in self._columns.items())
        conditions = [condition]
        if self._reading.accounts is not None:
            conditions.append(f"account_id = ANY ({self._params.bind(self._reading.accounts, 'integer[]')})")
        if tier is not None:
            conditions.append(f"({self._where(table, tier)})")
        return f"SELECT {columns} FROM {table} WHERE {' AND '.join(conditions)}"  # noqa: S608 - names of our own

    def _where(self, table: str, tier: int) -> str:
        reading = self._reading
        readable = readable_cutoff(reading.policy, tier, DataClass.PERSONAL, Store.CALL, reading.windows.now)
        branch = Branch(tier, readable, reading.names, reading.users)
        return Where(CALL_FILTERS if table == "call" else ROLLUP_FILTERS, self._params, branch).render(
            reading.predicate
        )

    def _tier(self, tier: int) -> str:
        return f"tier = {self._params.bind(tier, 'smallint')}"

    def _range(self, time: str, start: datetime, end: datetime) -> str:
        bind = self._params.bind
        return f"{time} >= {bind(start, 'timestamptz')} AND {time} < {bind(end, 'timestamptz')}"
