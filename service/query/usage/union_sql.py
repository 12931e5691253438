"""The union of rows that a plan reads: rollups, deltas that are not compacted yet, and single calls, as one relation.

One statement sees one snapshot, so a compaction between two reads cannot lose or double a call. A name that was not
reported is the empty string in every column here, as the rollups have it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from policies.policy.model import DataClass, Policy, Store
from policies.retention import readable_cutoff
from service.query.buckets.bucket_edges import Edges
from service.query.filters.to_sql import Branch, UserTokens, Where
from service.query.model.catalog import CALL_FILTERS
from service.query.model.field import FieldKind, Filterable
from service.query.model.parameters import Params
from service.query.model.predicate import Predicate, TagMatch, conjuncts, fields_of
from service.query.scan import tag_tables as tagged
from service.query.scan.statements import sources
from service.query.usage import rollup_tables as overall
from service.query.usage.plan import Plan, RetentionWindows, UsageSegment, floor_to
from service.storage.cold.tier import GivenRows
from service.storage.statements.unsummed import UNSUMMED_CALLS, UnsummedDays, calls_of_days, is_unsummed

_QUARTER: Final = timedelta(minutes=15)
_DAY: Final = timedelta(days=1)
Select = Callable[[str, str], str]
"""A table and a condition -> the statement that reads it."""

# A delta holds one entry per call, below zero (-1 for bucket 0) for one that is taken away; null: the call does not say
# how long it took.
_OF_CALLS: Final = ("CASE WHEN {milliseconds} IS NOT NULL THEN calledger_latency_bucket({milliseconds}) END", "1")
_BINS: Final = {
    "usage": ("unnest(latency_buckets)", "unnest(latency_counts)"),
    "usage_delta": (
        "greatest(unnest(latency_buckets), -1 - unnest(latency_buckets))::smallint",
        "sign(unnest(latency_buckets) + 0.5)::integer",
    ),
    "call": _OF_CALLS,
    UNSUMMED_CALLS: _OF_CALLS,
}
LATENCY, FIRST_TOKEN = "latency", "first_token"
MILLISECONDS: Final = {LATENCY: "latency_ms", FIRST_TOKEN: "time_to_first_token_ms"}
"""Histograms by alias: what of a call they count. The rollups have that of latency."""


# Corrections where they were made instead of where their calls were: taken away there, and added here. As the deltas of
# usage, with which they share their columns.
_MOVED: Final = """(
    SELECT bucket_at, tier, -amount AS amount, account_id, failed, model, provider, api_key, currency, 0 AS calls,
        0 AS input_tokens, 0 AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_write_tokens, 0 AS reasoning_tokens,
        0 AS priced, 0 AS estimated
    FROM correction
    UNION ALL
    SELECT own_bucket_at, own_tier, amount, account_id, failed, model, provider, api_key, currency,
        0, 0, 0, 0, 0, 0, 0, 0
    FROM correction
) AS moved"""


@dataclass(frozen=True, slots=True)
class Column:
    """One value by alias: over a rollup or its deltas, over a call, over sums of all accounts, over sums by API key,
    over sums by tag. None: not there.
    """

    rollup: str | None
    call: str
    overall: str | None = None
    by_key: str | None = None
    by_tag: str | None = None
    unsummed: str | None = None
    """Over calls in the stead of sums, where it is not as over a call."""

    def over(self, table: str) -> str:
        """The SQL expression of the column in `table`, one of the tables that the plan reads."""
        if table == "call":
            return self.call
        if table == UNSUMMED_CALLS:
            return self.unsummed or self.call
        if table in tagged.EVERY:
            assert self.by_tag is not None, "sums by tag are asked only for what they have"
            return self.by_tag
        if table in overall.OVER_ALL_ACCOUNTS:
            assert self.overall is not None, "sums of all accounts are asked only for what they have"
            return self.overall
        if table == overall.BY_KEY.several:
            assert self.by_key is not None, "sums by API key are asked only for what they have"
            return self.by_key
        assert self.rollup is not None, "a plan with rollups asks only for what rollups have"
        return self.rollup


def _filter(field: str, sql: str) -> Filterable:
    return replace(CALL_FILTERS[field], sql=sql)


ROLLUP_FILTERS: Final[Mapping[str, Filterable]] = {
    "account": _filter("account", "account_id"),
    "model": _filter("model", "model"),
    "provider": _filter("provider", "nullif(provider, '')"),
    "apiKey": _filter("apiKey", "nullif(api_key, '')"),
    "status": _filter("status", "failed"),
    "currency": _filter("currency", "nullif(currency, '')"),
}
"""What rollups can be filtered by; time apart, which the plan sees to."""

assert ROLLUP_FILTERS["status"].kind is FieldKind.STATUS


def rollups_answer(predicate: Predicate) -> bool:
    """Whether the rollups can tell which calls match."""
    return set(fields_of(predicate)) <= ROLLUP_FILTERS.keys()


@dataclass(frozen=True, slots=True)
class UsageRead:
    """What a report reads. `accounts`: account ids (None: every account); `names`: account ids by name, for the filter;
    `tag`: the sums by tag that answer with the rollups, where the plan reads no calls.

    `given`: the calls of files among those that are read one by one. `unsummed`: there can be days without sums, whose
    calls are read in their stead. `lacking`: which tables lacked days a moment ago (None: not known); of the others
    calls are not planned, and who gives it asks `UsageUnion.assumed` in the same statement.
    `corrections_moved`: corrections count in the period in which they were made, not in that of their calls.
    """

    plan: Plan
    windows: RetentionWindows
    policy: Policy
    accounts: tuple[int, ...] | None
    names: Mapping[str, int]
    predicate: Predicate
    users: Mapping[str, UserTokens]
    corrections_moved: bool = False
    tag: tagged.TagSums | None = None
    given: GivenRows | None = None
    unsummed: bool = True
    lacking: UnsummedDays | None = None

    def may_lack(self, tables: Iterable[str], start: datetime, end: datetime) -> bool:
        """Whether one of these tables of sums may have no rows of a day between `start` and `end`."""
        if self.lacking is None or not self.unsummed:
            return self.unsummed
        days = [self.lacking[table] for table in tables if table in self.lacking]
        return any(first < end and floor_to(start, _DAY) <= last for first, last in days)

    @property
    def overall(self) -> bool:
        """Whether sums over all accounts can tell which calls match."""
        return self.accounts is None and self._filters <= overall.OVERALL.filters

    @property
    def by_key(self) -> bool:
        """Whether sums by API key can tell which calls match."""
        return self._filters <= overall.BY_KEY.filters

    @property
    def _filters(self) -> set[str]:
        fields = set(fields_of(self.predicate))
        return fields - {"tags"} if self.tag is not None else fields


_VALUES: Final = {
    **dict.fromkeys((tagged.DELTAS, *tagged.BY_ACCOUNT.values(), *tagged.OVER_ALL.values()), "tag_value"),
    tagged.UNSUMMED: tagged.VALUE_OF_CALL,
}
"""The value of a tag, by the table whose rows have one."""


class UsageUnion:
    """Renders one reading's rows: each store grouped by itself, so that the planner knows how many groups there are.

    What comes of two stores for one key is added up outside.
    """

    def __init__(self, reading: UsageRead, keys: Mapping[str, Column], params: Params) -> None:
        self._reading = reading
        self._keys = keys
        self._params = params
        self.assumed: set[str] = set()
        """Conditions on `usage_unsummed` that must choose no day (`any_unsummed`), or calls are missing."""

    def sums(self, columns: Mapping[str, Column]) -> str:
        """The keys and the sums of `columns`, by alias; no rows when nothing can match."""

        def select(table: str, condition: str) -> str:
            """The statement that sums the rows of one table by the group's keys."""
            keys = ", ".join(f"{column.over(table)} AS {alias}" for alias, column in self._keys.items())
            sums = "".join(f", sum({column.over(table)}) AS {alias}" for alias, column in columns.items())
            positions = ", ".join(str(position + 1) for position in range(len(self._keys)))
            return f"SELECT {keys}{sums} FROM {table} WHERE {condition} GROUP BY {positions}"  # noqa: S608 - our own names

        moved = self._moved() if self._reading.corrections_moved else ()
        return self._union(select, self._tables((*self._keys.values(), *columns.values())), moved)

    def rows(self, columns: str) -> str:
        """`columns` of single calls, of a reading that has nothing else."""
        return self._union(lambda table, condition: f"SELECT {columns} FROM {table} WHERE {condition}", None)  # noqa: S608

    def histograms(self, alias: str) -> str:
        """The keys and `alias`: a histogram as one number (`percentiles.histogram_of`), which is added up outside."""

        def select(table: str, condition: str) -> str:
            """The statement that adds the latency sketches of one table by the group's keys."""
            keys = ", ".join(f"{column.over(table)} AS {alias}" for alias, column in self._keys.items())
            names = ", ".join(self._keys)
            if table in overall.OVER_ALL_ACCOUNTS or table in tagged.SKETCHED:
                spread = f"SELECT {keys}, latency FROM {table} WHERE {condition}"  # noqa: S608 - our own names
                return f"SELECT {names}, sum(latency) AS latency FROM ({spread}) AS spread GROUP BY {names}"  # noqa: S608
            bin_, entries = _BINS.get("usage_delta" if table in tagged.UNSKETCHED else table, _BINS["usage"])
            bin_ = bin_.format(milliseconds=MILLISECONDS[alias])
            spread = f"SELECT {keys}, {bin_} AS bin, {entries} AS entries FROM {table} WHERE {condition}"  # noqa: S608
            added = (
                f"SELECT {names}, bin, sum(entries) AS entries FROM ({spread}) AS spread "  # noqa: S608
                f"WHERE bin IS NOT NULL GROUP BY {names}, bin"
            )
            sketched = f"sum(calledger_latency_sketch(bin, entries)) AS {alias}"
            return f"SELECT {names}, {sketched} FROM ({added}) AS added GROUP BY {names}"  # noqa: S608

        from_overall = self._reading.overall and all(column.overall for column in self._keys.values())
        return self._union(select, overall.OVERALL if from_overall else None)

    def conditions(self, *, corrections: bool) -> list[str]:
        """Which rows match: of `call`, one condition a tier and segment; with `corrections`, of corrections where they
        were made, under the names that sums are filtered by.
        """
        return [condition for _, condition in (self._deltas() if corrections else self._stores())]

    def _tables(self, columns: Sequence[Column]) -> overall.Tables | None:
        """Sums that have these columns, and can tell which calls match; None: the rollups must."""
        if self._reading.overall and all(column.overall for column in columns):
            return overall.OVERALL
        return overall.BY_KEY if self._reading.by_key and all(column.by_key for column in columns) else None

    def _union(self, select: Select, tables: overall.Tables | None, more: Iterable[tuple[str, str]] = ()) -> str:
        if self._reading.tag is not None and self._carries_tag:
            parts = [*self._calls(), *self._tagged(self._reading.tag)]
        else:
            parts = [*self._sums(tables), *more]
            if self._reading.tag is not None:
                # What the rollups have more than sums by tag is of calls without the tag.
                parts += [*self._tagged(self._reading.tag), *self._tagged(self._reading.tag, less=True)]
        branches = [text for table, condition in parts for text in self._selected(select, table, condition)]
        return "\nUNION ALL\n".join(branches or [select("call", "false")])

    def _selected(self, select: Select, table: str, condition: str) -> Iterator[str]:
        """What is selected from a table, and the same from the calls that are given of files."""
        text = select(table, condition)
        yield text
        if table == "call" and self._reading.given is not None:
            _, given = sources(table, self._params, self._reading.given)
            yield text.replace("FROM call WHERE", f"FROM {given} WHERE", 1)

    @property
    def _carries_tag(self) -> bool:
        """Whether only calls that carry the tag can match."""
        return any(isinstance(part, TagMatch) for part in conjuncts(self._reading.predicate))

    def _stores(self) -> Iterator[tuple[str, str]]:
        for segment in self._reading.plan.segments:
            for tier, start in self._reading.windows.tiers(segment):
                yield self._stored(segment, tier, start)

    def _calls(self) -> Iterator[tuple[str, str]]:
        for segment in self._reading.plan.segments:
            for tier, start in self._reading.windows.tiers(segment) if segment.store is Store.CALL else ():
                yield self._stored(segment, tier, start)

    def _stored(self, segment: UsageSegment, tier: int, start: datetime) -> tuple[str, str]:
        table, time = segment.store.value, "started_at" if segment.store is Store.CALL else "bucket_at"
        return table, self._condition(table, tier, self._range(time, start, segment.end))

    def _sums(self, tables: overall.Tables | None) -> Iterator[tuple[str, str]]:
        """The sums (None: the rollups), what is not compacted of their time, and the calls of days without sums.

        There is one branch of deltas per tier: the table has no index, and is read once whatever the ranges.
        """
        deltas: dict[int, list[str]] = {}
        for segment in self._reading.plan.segments:
            for tier, start in self._reading.windows.tiers(segment):
                if segment.store is Store.CALL:
                    yield self._stored(segment, tier, start)
                    continue
                read = dict(self._ranges(tables, segment, start))
                lacking = self._reading.may_lack(read, start, segment.end)
                grain = tables.grain if tables is not None else _QUARTER
                for table, times in read.items():
                    yield table, self._condition(table, tier, times)
                    kept = f" AND NOT {is_unsummed(table)}" if lacking else ""
                    of_deltas = overall.of_finer(times, grain, "bucket_at")
                    deltas.setdefault(tier, []).append(f"({of_deltas}{kept})")
                if read and lacking:
                    yield from self._unsummed(read, tier, start, segment.end, grain)
                elif read and self._reading.unsummed:
                    of_tables = f"sums && {self._params.bind(tuple(read), 'text[]')}"
                    self.assumed.add(f"{self._days(tier, start, segment.end)} AND {of_tables}")
        for tier, alternatives in deltas.items():
            yield "usage_delta", self._condition("usage_delta", tier, f"({' OR '.join(alternatives)})")

    def _ranges(
        self, tables: overall.Tables | None, segment: UsageSegment, start: datetime
    ) -> Iterable[tuple[str, str]]:
        """The tables that answer for a segment from `start` on, each with a condition on `bucket_at`."""
        if tables is None:
            return [(segment.store.value, self._range("bucket_at", start, segment.end))]
        return overall.ranges(tables, segment, start, self._reading.plan.edges or Edges(), self._params)

    def _unsummed(
        self, read: Mapping[str, str], tier: int, start: datetime, end: datetime, grain: timedelta
    ) -> Iterator[tuple[str, str]]:
        """The calls that answer where tables that are read have no rows of a day, each for its own time: one branch,
        because every one that reads calls is planned, whether there is such a day or not.
        """
        has_none = {table: f"'{table}' = ANY (sums)" for table in read}
        times = self._range("started_at", start, end)
        if len(read) > 1:
            own = (f"{has_none[table]} AND {overall.of_finer(of, grain, 'started_at')}" for table, of in read.items())
            times += f" AND ({' OR '.join((' AND '.join(has_none.values()), *own))})"
        days = f"{self._days(tier, start, end)} AND ({' OR '.join(has_none.values())})"
        yield UNSUMMED_CALLS, calls_of_days(days, self._condition(UNSUMMED_CALLS, tier, times))

    def _days(self, tier: int, start: datetime, end: datetime) -> str:
        """The condition on days of which some sums are missing that they are of a tier and of some time."""
        of_tier = f"of_tier = {self._params.bind(tier, 'smallint')}"
        return f"{of_tier} AND {self._range('of_day', floor_to(start, _DAY), end)}"

    def _tagged(self, tag: tagged.TagSums, *, less: bool = False) -> Iterator[tuple[str, str]]:
        """The sums by tag and their deltas, and the calls of days without such sums; `less`: what they take out of the
        sums of calls without the tag.
        """
        over_all = self._reading.overall and all(column.overall for column in self._keys.values())
        tables = tagged.OVER_ALL if over_all else tagged.BY_ACCOUNT
        deltas: dict[int, list[str]] = {}
        for segment in self._reading.plan.segments:
            for tier, start in self._reading.windows.tiers(segment) if segment.store is not Store.CALL else ():
                table, times = tables[segment.store], self._range("bucket_at", start, segment.end)
                yield self._of_tag(tag, table, tier, times, less)
                kept, lacks = "", f"{self._days(tier, start, segment.end)} AND '{table}' = ANY (sums)"
                if self._reading.may_lack((table,), start, segment.end):
                    kept = f" AND NOT {is_unsummed(table)}"
                    calls = tagged.UNSUMMED_LESS if less else tagged.UNSUMMED
                    own = self._of_tag(tag, calls, tier, self._range("started_at", start, segment.end), less=False)
                    yield calls, calls_of_days(lacks, own[1])
                elif self._reading.unsummed:
                    self.assumed.add(lacks)
                deltas.setdefault(tier, []).append(f"({times}{kept})")
        for tier, alternatives in deltas.items():
            yield self._of_tag(tag, tagged.DELTAS, tier, f"({' OR '.join(alternatives)})", less)

    def _of_tag(self, tag: tagged.TagSums, name: str, tier: int, times: str, less: bool) -> tuple[str, str]:
        table = tagged.less(name) if less else name
        return table, self._condition(table, tier, f"{times} AND tag_key = {self._params.bind(tag.key, 'text')}")

    def _deltas(self) -> Iterator[tuple[str, str]]:
        """What is of the plan's sums by time, as one condition a tier."""
        ranges: dict[int, list[str]] = {}
        for segment in self._reading.plan.segments:
            if segment.store is not Store.CALL:
                for tier, start in self._reading.windows.tiers(segment):
                    ranges.setdefault(tier, []).append(f"({self._range('bucket_at', start, segment.end)})")
        for tier, alternatives in ranges.items():
            yield "usage_delta", self._condition("usage_delta", tier, f"({' OR '.join(alternatives)})")

    def _moved(self) -> Iterator[tuple[str, str]]:
        return ((_MOVED, condition) for _, condition in self._deltas())

    def _condition(self, table: str, tier: int, times: str) -> str:
        """Equality on tier and both ends of the time, as pruning needs them; then the accounts, then the filter."""
        conditions = [f"tier = {self._params.bind(tier, 'smallint')}", times]
        if self._reading.accounts is not None:
            conditions.append(f"account_id = ANY ({self._params.bind(self._reading.accounts, 'integer[]')})")
        return " AND ".join([*conditions, f"({self._where(table, tier)})"])

    def _where(self, table: str, tier: int) -> str:
        reading = self._reading
        readable = readable_cutoff(reading.policy, tier, DataClass.PERSONAL, Store.CALL, reading.windows.now)
        value = None if table == "call" else _VALUES.get(table, "")
        filters = CALL_FILTERS if table in ("call", UNSUMMED_CALLS) else ROLLUP_FILTERS
        branch = Branch(tier, lambda: readable, reading.names, reading.users, reading.policy.tag_keys, value)
        return Where(filters, self._params, branch).render(reading.predicate)

    def _range(self, time: str, start: datetime, end: datetime) -> str:
        bind = self._params.bind
        return f"{time} >= {bind(start, 'timestamptz')} AND {time} < {bind(end, 'timestamptz')}"
