"""The statement of a cost report: the union of what is read, grouped once, as rows, totals, or both."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from service.query.model.errors import BadInputError
from service.query.model.parameters import Params, storable
from service.query.usage.bucket_edges import Edges
from service.query.usage.union_sql import Column, UsageRead, UsageUnion

ROW, TOTAL = 0, 1
_BOUND_MAX: Final = 500
"""More edges than these take longer to bind, one by one on the event loop, than to be made by the database."""
_SECOND: Final = timedelta(seconds=1)
LATENCY: Final = "latency"

_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_AMOUNT: Final = "coalesce(amount, 0)"


def _sum(name: str, rollup: str, call: str) -> Column:
    return Column(rollup, call, name, name)


SUMS: Final[Mapping[str, Column]] = {
    # A correction is no call: it adds to amounts, and to nothing else.
    "calls": _sum("calls", "calls", "(correction_of IS NULL)::integer::bigint"),
    "errors": _sum(
        "errors", "CASE WHEN failed THEN calls ELSE 0 END", "(failed AND correction_of IS NULL)::integer::bigint"
    ),
    **{name: _sum(name, name, f"coalesce({name}, 0)::bigint") for name in _TOKENS},
    "priced": _sum("priced", "priced", "(amount IS NOT NULL AND correction_of IS NULL)::integer::bigint"),
    "amount": _sum("amount", "amount", _AMOUNT),
    "estimated": _sum("estimated", "estimated", f"CASE WHEN amount_source = 3 THEN {_AMOUNT} ELSE 0 END"),
    "wasted": _sum("wasted", "CASE WHEN failed THEN amount ELSE 0 END", f"CASE WHEN failed THEN {_AMOUNT} ELSE 0 END"),
}
"""What is added up, by alias."""

DIMENSIONS: Final[Mapping[str, Column]] = {
    "MODEL": Column("model", "model", "model"),
    "PROVIDER": Column("provider", "coalesce(provider, '')", "provider"),
    "ACCOUNT": Column("account_id", "account_id", by_key="account_id"),
    "API_KEY": Column("api_key", "coalesce(api_key, '')", by_key="api_key"),
    "STATUS": Column("failed", "failed"),
    "OPERATION": Column(None, "coalesce(operation, '')"),
    "SERVED_MODEL": Column(None, "coalesce(served_model, '')"),
}
CURRENCY: Final = Column("currency", "coalesce(currency, '')", "currency", "currency")
_TEXT: Final = frozenset({"MODEL", "PROVIDER", "API_KEY", "OPERATION", "SERVED_MODEL"})

# By what a row can be ordered, over the aliases of sums; an amount that nothing has is null, and nulls are last.
ORDERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "AMOUNT": ("CASE WHEN priced > 0 OR amount <> 0 THEN amount END", ("amount", "priced")),
    "CALLS": ("calls", ("calls",)),
    "ERRORS": ("errors", ("errors",)),
    "TOTAL_TOKENS": ("input_tokens + output_tokens", ("input_tokens", "output_tokens")),
    "BUCKET_START": ("bucket", ()),
}


@dataclass(frozen=True, slots=True)
class Grouping:
    """The keys of a row by alias, in the order that breaks ties; `currency` is always one, and the last."""

    columns: Mapping[str, Column]
    texts: frozenset[str]

    @property
    def names(self) -> str:
        """The aliases of the group's columns, separated by commas."""
        return ", ".join(self.columns)


def grouping(dimensions: Iterable[str], tags: Sequence[str], edges: Edges | None, params: Params) -> Grouping:
    """Keys `bucket`, `model` and so on, `tag0`, `tag1`, `currency`."""
    columns: dict[str, Column] = {}
    texts = {"currency"}
    if edges is not None:
        # All of a rollup's row lies in one bucket, or the plan would have read a finer store.
        bounds = _bounds(edges, params)
        rollup = f"width_bucket(bucket_at, {bounds})"
        columns["bucket"] = Column(rollup, f"width_bucket(started_at, {bounds})", rollup, rollup)
    for name in dimensions:
        columns[name.lower()] = DIMENSIONS[name]
        texts |= {name.lower()} if name in _TEXT else set()
    for position, key in enumerate(tags):
        if not storable(key):
            raise BadInputError("a tag key cannot hold that character")
        columns[f"tag{position}"] = Column(None, f"""coalesce(tags ->> {params.bind(key, "text")}, '') COLLATE "C" """)
        texts.add(f"tag{position}")
    columns["currency"] = CURRENCY
    return Grouping(columns, frozenset(texts))


def _bounds(edges: Edges, params: Params) -> str:
    """The edges as an array: bound as they are, or made by the database of the runs that they are."""
    if len(edges) <= _BOUND_MAX:
        return params.bind(tuple(edges), "timestamptz[]")
    first = params.bind(tuple(run.first for run in edges.runs), "timestamptz[]")
    step = params.bind(tuple(run.step // _SECOND for run in edges.runs), "bigint[]")
    count = params.bind(tuple(run.count for run in edges.runs), "integer[]")
    # Seconds, because a day of an interval is one of the session's time zone.
    return (
        "ARRAY(SELECT first + number * step * interval '1 second' "  # noqa: S608 - our own names
        f"FROM unnest({first}, {step}, {count}) AS run (first, step, count), generate_series(0, count - 1) AS number "
        "ORDER BY 1)"
    )


@dataclass(frozen=True, slots=True)
class CostStatement:
    """What is wanted of a report. `row_sums` and `total_sums` are aliases of SUMS, or LATENCY; None: not wanted.

    `limit`: of rows; None: all of them. `money_alone`: a row may hold corrections and no calls.
    """

    grouping: Grouping
    row_sums: frozenset[str] | None
    total_sums: frozenset[str] | None
    order: Sequence[tuple[str, bool]]
    limit: int | None
    money_alone: bool = False

    def sql(self, reading: UsageRead, params: Params) -> str:
        """Columns: `kind` (ROW or TOTAL), the keys (null in totals), every sum of either, and the histogram."""
        aliases = self._sums()
        union = UsageUnion(reading, self.grouping.columns, params)
        part = union.sums({name: SUMS[name] for name in aliases if name != LATENCY})
        ctes = [f"part AS ({part})", f"figure AS ({self._figure(aliases)})"]
        if LATENCY in aliases:
            ctes.append(f"histogram AS ({union.histograms()})")
        parts = [part for part in (self._rows(aliases, params), self._totals(aliases)) if part is not None]
        return f"WITH {', '.join(ctes)}\n{' UNION ALL '.join(parts)}"

    def _sums(self) -> list[str]:
        """In the order of SUMS, so that equal questions have equal statements."""
        aliases = {*(self.row_sums or ()), *(self.total_sums or ())}
        aliases |= {alias for field, _ in self.order for alias in ORDERS[field][1]}
        aliases |= {"calls", "amount"} if self.money_alone else {"calls"}
        return [name for name in (*SUMS, LATENCY) if name in aliases]

    def _figure(self, aliases: Iterable[str]) -> str:
        # Sums of calls that were completed under another key, such as a currency, are sums of none.
        keys, some = self.grouping.names, "sum(calls) <> 0" + (" OR sum(amount) <> 0" if self.money_alone else "")
        return f"SELECT {self._keys_and_sums(keys, aliases)} FROM part GROUP BY {keys} HAVING {some}"  # noqa: S608

    def _keys_and_sums(self, keys: str, aliases: Iterable[str]) -> str:
        return ", ".join([keys, *(f"sum({name}) AS {name}" for name in aliases if name != LATENCY)])

    def _rows(self, aliases: Sequence[str], params: Params) -> str | None:
        if self.row_sums is None:
            return None
        keys = self.grouping.names
        sums = [name for name in aliases if name != LATENCY]
        histogram = ", latency" if LATENCY in aliases else ""
        join = f" LEFT JOIN ({_histogram(keys)}) AS histograms USING ({keys})" if LATENCY in aliases else ""
        return (
            f"(SELECT {ROW} AS kind, {', '.join([keys, *sums])}{histogram} FROM figure{join} "  # noqa: S608
            f"ORDER BY {', '.join(self._order())} LIMIT {params.bind(self.limit, 'bigint')})"
        )

    def _totals(self, aliases: Sequence[str]) -> str | None:
        if self.total_sums is None:
            return None
        nulls = ", ".join(_null(name, self.grouping) for name in self.grouping.columns if name != "currency")
        keys = f"{nulls}, currency" if nulls else "currency"
        sums = [name for name in aliases if name != LATENCY]
        total = f"SELECT {self._keys_and_sums('currency', aliases)} FROM figure GROUP BY currency"  # noqa: S608
        histogram = ", latency" if LATENCY in aliases else ""
        join = f" LEFT JOIN ({_histogram('currency')}) AS histograms USING (currency)" if histogram else ""
        return (
            f"(SELECT {TOTAL} AS kind, {', '.join([keys, *sums])}{histogram} FROM ({total}) AS total{join} "  # noqa: S608
            "ORDER BY nullif(currency, '') NULLS LAST)"
        )

    def _order(self) -> Iterator[str]:
        for field, descending in self.order:
            yield f"{ORDERS[field][0]} {'DESC' if descending else 'ASC'} NULLS LAST"
        for name in self.grouping.columns:
            yield f"nullif({name}, '') NULLS LAST" if name in self.grouping.texts else name


def _histogram(keys: str) -> str:
    """The part that sums the histograms of latency."""
    return f"SELECT {keys}, sum(latency) AS latency FROM histogram GROUP BY {keys}"  # noqa: S608 - our own names


def _null(name: str, keys: Grouping) -> str:
    if name in keys.texts:
        return f"NULL::text AS {name}"
    return f"NULL::{'boolean' if name == 'status' else 'integer'} AS {name}"
