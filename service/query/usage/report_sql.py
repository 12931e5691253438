"""The statement of a cost report: the union of what is read, grouped once, as rows, totals, or both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from policies.policy.model import Policy, PseudonymPeriod
from service.query.buckets.edges_sql import bounds
from service.query.model.errors import BadInputError
from service.query.model.parameters import Params, storable
from service.query.records.ordering import Position
from service.query.scan.tag_tables import OF_CALL
from service.query.usage.plan import floor_to
from service.query.usage.row_order import ORDERS, POSITION, RowOrder
from service.query.usage.union_sql import MILLISECONDS, Column, UsageRead, UsageUnion
from service.storage.statements.unsummed import any_unsummed

ROW, TOTAL, COUNT, BEFORE, GROUPS, WHOLE, LACKING = 0, 1, 2, 3, 4, 5, 6
"""Kinds of records. COUNT: `calls` is how many rows there are in all. BEFORE: there are rows before the page. GROUPS:
of how many groups the buckets are filled. WHOLE: `calls` is 1 where the sums by tag have every call of the range.
LACKING: `calls` is 1 where sums have not, though they were taken to (`UsageRead.lacking`)."""
FILLED_MAX: Final = 100_000
"""Rows that filling buckets may lead to."""

_NO_TAG: Final = """''::text COLLATE "C" """
_OF_FAILED: Final = {
    "errors": "CASE WHEN failed THEN calls ELSE 0 END",
    "wasted": "CASE WHEN failed THEN amount ELSE 0 END",
}
SUMS: Final[Mapping[str, Column]] = {
    name: Column(_OF_FAILED.get(name, name), call, name, name, name) for name, call in OF_CALL.items()
}
"""What is added up, by alias."""

DIMENSIONS: Final[Mapping[str, Column]] = {
    "MODEL": Column("model", "model", "model"),
    "PROVIDER": Column("provider", "coalesce(provider, '')", "provider"),
    "ACCOUNT": Column("account_id", "account_id", by_key="account_id", by_tag="account_id"),
    "API_KEY": Column("api_key", "coalesce(api_key, '')", by_key="api_key"),
    "STATUS": Column("failed", "failed"),
    "OPERATION": Column(None, "coalesce(operation, '')"),
    "SERVED_MODEL": Column(None, "coalesce(served_model, '')"),
    "ERROR_TYPE": Column(None, "coalesce(error_type, '')"),
    # A token is one person's in its period alone; the plan sees to it that pseudonyms of the range can be read.
    "USER": Column(None, "coalesce(user_token || to_char(started_at, ' YYYY-MM-DD'), '') COLLATE \"C\""),
}
CURRENCY: Final = Column("currency", "coalesce(currency, '')", "currency", "currency", "currency")
_TEXT: Final = frozenset({"MODEL", "PROVIDER", "API_KEY", "OPERATION", "SERVED_MODEL", "ERROR_TYPE", "USER"})


@dataclass(frozen=True, slots=True)
class Grouping:
    """The keys of a row by alias, in the order that breaks ties; `currency` is always one, and the last."""

    columns: Mapping[str, Column]
    texts: frozenset[str]

    @property
    def names(self) -> str:
        """The aliases of the group's columns, separated by commas."""
        return ", ".join(self.columns)


def alias_of(dimension: str) -> str:
    """The column of a dimension: its name, unless that means something to PostgreSQL."""
    return "pseudonym" if dimension == "USER" else dimension.lower()


def grouping(dimensions: Iterable[str], tags: Sequence[str], reading: UsageRead, params: Params) -> Grouping:
    """Keys `bucket`, `model` and so on, `tag0`, `tag1`, `currency`."""
    edges, policy = reading.plan.edges, reading.policy
    columns: dict[str, Column] = {}
    texts = {"currency"}
    if edges is not None:
        # All of a rollup's row lies in one bucket, or the plan would have read a finer store.
        array = bounds(edges, params)
        rollup = f"width_bucket(bucket_at, {array})"
        columns["bucket"] = Column(rollup, f"width_bucket(started_at, {array})", rollup, rollup, rollup)
    for name in dimensions:
        columns[alias_of(name)] = (
            _by_month(DIMENSIONS[name]) if name == "USER" and _monthly(policy) else DIMENSIONS[name]
        )
        texts |= {alias_of(name)} if name in _TEXT else set()
    for position, key in enumerate(tags):
        if not storable(key):
            raise BadInputError("a tag key cannot hold that character")
        column = Column(None, f"""coalesce(tags ->> {params.bind(key, "text")}, '') COLLATE "C" """)
        columns[f"tag{position}"] = column if reading.tag is None else _of_rollups(column)
        texts.add(f"tag{position}")
    columns["currency"] = CURRENCY
    return Grouping(columns, frozenset(texts))


def _of_rollups(tag: Column) -> Column:
    """A tag beside its sums: the rollups' rows stand for calls without it."""
    return Column(_NO_TAG, tag.call, _NO_TAG, _NO_TAG, "tag_value", _NO_TAG)


def _monthly(policy: Policy) -> bool:
    return policy.pseudonym_period is PseudonymPeriod.MONTH


def _by_month(user: Column) -> Column:
    return replace(user, call=user.call.replace("YYYY-MM-DD", "YYYY-MM"))


@dataclass(frozen=True, slots=True)
class CostStatement:
    """What is wanted of a report. `row_sums` and `total_sums` are aliases of SUMS or of MILLISECONDS; None: not
    wanted.

    `limit`: of rows; None: all of them, and no word of whether sums by tag are whole. `after`: rows after this position
    alone. `positions`: where each row stands; `counted`: how many there are in all; `before`: whether there are some
    before `after`; `filled`: each group has a row for each of so many buckets, if these are FILLED_MAX rows at most.
    `money_alone`: a row may hold corrections and no calls.
    """

    grouping: Grouping
    row_sums: frozenset[str] | None
    total_sums: frozenset[str] | None
    terms: Sequence[tuple[str, bool]]
    order: RowOrder
    limit: int | None
    after: Position | None = None
    positions: bool = False
    counted: bool = False
    before: bool = False
    filled: int = 0
    money_alone: bool = False

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that has to be read."""
        before = self.before and self.after is not None
        return self.row_sums is None and self.total_sums is None and not self.counted and not before

    def sql(self, reading: UsageRead, params: Params) -> str:
        """Columns: `kind`, the keys (null but in rows), every sum of either, the histogram, and the position."""
        aliases = self._sums()
        union = UsageUnion(reading, self.grouping.columns, params)
        part = union.sums({name: SUMS[name] for name in aliases if name in SUMS})
        ctes = [f"part AS ({part})", f"figure AS ({self._figure(aliases)})"]
        ctes += [f"{name}_histogram AS ({union.histograms(name)})" for name in _histograms(aliases)]
        if self.filled:
            ctes += self._filling(aliases, params)
        beyond = self.order.beyond(self.after, params) if self.after is not None else "true"
        parts: list[str] = []
        if self.row_sums is not None:
            parts.append(self._rows(aliases, beyond, params))
        if self.total_sums is not None:
            parts.append(self._totals(aliases))
        if self.counted:
            parts.append(self._fact(COUNT, "count(*)", aliases, "true"))
        if self.filled:
            parts.append(self._fact(GROUPS, "(SELECT count(*) FROM kept)", aliases, "true", "(SELECT) AS one"))
        if self.before and self.after is not None:
            parts.append(self._fact(BEFORE, "count(*)", aliases, f"({beyond}) IS NOT TRUE"))
        if reading.tag is not None and self.limit is not None:
            whole = complete_tag_sums(reading, params)
            parts.append(self._fact(WHOLE, f"({whole})", aliases, "true", "(SELECT) AS one"))
        if union.assumed:
            # In their order, so that equal questions have equal statements.
            lacking = f"{any_unsummed(sorted(union.assumed))}::integer"
            parts.append(self._fact(LACKING, lacking, aliases, "true", "(SELECT) AS one"))
        return f"WITH {', '.join(ctes)}\n{' UNION ALL '.join(parts)}"

    def _sums(self) -> list[str]:
        """In the order of SUMS, so that equal questions have equal statements."""
        aliases = {*(self.row_sums or ()), *(self.total_sums or ())}
        aliases |= {alias for field, _ in self.terms for alias in ORDERS[field][1]}
        aliases |= {"calls", "amount"} if self.money_alone else {"calls"}
        return [name for name in (*SUMS, *MILLISECONDS) if name in aliases]

    def _figure(self, aliases: Iterable[str]) -> str:
        # Sums of calls that were completed under another key, such as a currency, are sums of none.
        keys, some = self.grouping.names, "sum(calls) <> 0" + (" OR sum(amount) <> 0" if self.money_alone else "")
        return f"SELECT {self._keys_and_sums(keys, aliases)} FROM part GROUP BY {keys} HAVING {some}"  # noqa: S608

    def _filling(self, aliases: Iterable[str], params: Params) -> list[str]:
        """CTEs: the groups without their buckets, and the figures with a row of zeros where a bucket has none."""
        keys, others = self.grouping.names, ", ".join(name for name in self.grouping.columns if name != "bucket")
        sums = ", ".join(f"coalesce({name}, 0) AS {name}" for name in aliases if name in SUMS)
        count = params.bind(self.filled, "integer")
        most = params.bind(FILLED_MAX // self.filled, "bigint")
        grid = (
            f"SELECT {keys} FROM kept, generate_series(1, {count}) AS bucket "  # noqa: S608 - our own names
            f"WHERE (SELECT count(*) FROM kept) <= {most} UNION SELECT {keys} FROM figure"
        )
        return [
            f"kept AS (SELECT DISTINCT {others} FROM figure)",  # noqa: S608
            f"filled AS (SELECT {keys}, {sums} FROM ({grid}) AS grid LEFT JOIN figure USING ({keys}))",  # noqa: S608
        ]

    @property
    def _source(self) -> str:
        return "filled" if self.filled else "figure"

    def _keys_and_sums(self, keys: str, aliases: Iterable[str]) -> str:
        return ", ".join([keys, *(f"sum({name}) AS {name}" for name in aliases if name in SUMS)])

    def _rows(self, aliases: Sequence[str], beyond: str, params: Params) -> str:
        keys = self.grouping.names
        joins = "".join(_joined(name, keys) for name in _histograms(aliases))
        position = f", {self.order.position_sql()} AS {POSITION}" if self.positions else ""
        return (
            f"(SELECT {ROW} AS kind, {', '.join([keys, *aliases])}{position} FROM {self._source}{joins} WHERE {beyond} "  # noqa: S608
            f"ORDER BY {self.order.order_by()} LIMIT {params.bind(self.limit, 'bigint')})"
        )

    def _totals(self, aliases: Sequence[str]) -> str:
        total = f"SELECT {self._keys_and_sums('currency', aliases)} FROM figure GROUP BY currency"  # noqa: S608
        joins = "".join(_joined(name, "currency") for name in _histograms(aliases))
        return (
            f"(SELECT {TOTAL} AS kind, {', '.join([*self._nulls('currency'), *aliases])}{self._no_position()} "  # noqa: S608
            f"FROM ({total}) AS total{joins} ORDER BY nullif(currency, '') NULLS LAST)"
        )

    def _fact(self, kind: int, calls: str, aliases: Sequence[str], condition: str, source: str = "") -> str:
        """One number about all rows, in the place of their calls."""
        sums = [f"{calls}::numeric AS calls" if name == "calls" else f"NULL::numeric AS {name}" for name in aliases]
        nulls = ", ".join([*self._nulls(), *sums])
        return f"SELECT {kind} AS kind, {nulls}{self._no_position()} FROM {source or self._source} WHERE {condition}"  # noqa: S608

    def _nulls(self, shown: str = "") -> list[str]:
        return [name if name == shown else _null(name, self.grouping) for name in self.grouping.columns]

    def _no_position(self) -> str:
        return f", NULL::text[] AS {POSITION}" if self.positions else ""


def complete_tag_sums(reading: UsageRead, params: Params) -> str:
    """A SELECT of 1 where sums by tag, with the calls of days that have none, have every call of the range, and of 0
    where single calls must answer.
    """
    assert reading.tag is not None, "only sums by tag can have less than the calls"
    of_tag, crowded = f"tag_key = {params.bind(reading.tag.key, 'text')}", "true"
    if reading.accounts is not None:
        crowded = f"account_id = ANY ({params.bind(reading.accounts, 'integer[]')})"
    since, end = (params.bind(moment, "timestamptz") for moment in (reading.tag.since, reading.plan.end))
    start = params.bind(floor_to(reading.plan.start, timedelta(days=1)), "timestamptz")
    return (
        f"SELECT count(*) FROM usage_tag_key WHERE {of_tag} AND summed_from <= {since} AND unlisted_at IS NULL "  # noqa: S608
        f"AND NOT EXISTS (SELECT 1 FROM usage_tag_crowded WHERE {of_tag} AND {crowded} "
        f"AND day >= {start} AND day < {end})"
    )


def _histograms(aliases: Iterable[str]) -> list[str]:
    return [name for name in aliases if name in MILLISECONDS]


def _joined(alias: str, keys: str) -> str:
    """The join of the histograms of one measure, summed by `keys`."""
    summed = f"SELECT {keys}, sum({alias}) AS {alias} FROM {alias}_histogram GROUP BY {keys}"  # noqa: S608
    return f" LEFT JOIN ({summed}) AS {alias}s USING ({keys})"


def _null(name: str, keys: Grouping) -> str:
    if name in keys.texts:
        return f"NULL::text AS {name}"
    return f"NULL::{'boolean' if name == 'status' else 'integer'} AS {name}"
