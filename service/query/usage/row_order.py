"""Orders of a cost report's rows, and positions in them: keyset pages over sums, nulls last, ties by the group's keys.

A position is what a row is ordered by and grouped by, as texts, and its bucket by the moment at which it begins: so it
stays where it is when calls arrive, when the range begins later, and when there are rows that were not there before.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import asyncpg

from service.query.buckets.bucket_edges import Edges
from service.query.model.parameters import Params
from service.query.records.ordering import CursorError, Position, from_microseconds, microseconds

KEY: Final = "KEY"
"""The order by what the rows are grouped by alone, which calls that arrive do not change."""
POSITION: Final = "position"

ORDERS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "AMOUNT": ("(CASE WHEN priced > 0 OR amount <> 0 THEN amount END)", ("amount", "priced")),
    "CALLS": ("calls", ("calls",)),
    "ERRORS": ("errors", ("errors",)),
    "TOTAL_TOKENS": ("(input_tokens + output_tokens)", ("input_tokens", "output_tokens")),
    "CACHE_READ_TOKENS": ("cache_read_tokens", ("cache_read_tokens",)),
    "CACHE_WRITE_TOKENS": ("cache_write_tokens", ("cache_write_tokens",)),
    "TOKEN_EFFICIENCY": ("(output_tokens / nullif(input_tokens, 0))", ("input_tokens", "output_tokens")),
    "BUCKET_START": ("bucket", ()),
    KEY: ("", ()),
}
"""By what rows can be ordered: the expression over sums by alias, and these sums. Null is what does not exist."""

_TYPES: Final = {"bucket": "integer", "account": "integer", "status": "boolean"}


class _Term(NamedTuple):
    sql: str
    type: str
    descending: bool


class RowOrder:
    """The order of one report's rows: `terms` are (name in ORDERS, descending), `keys` the aliases of its groups."""

    def __init__(
        self, terms: Sequence[tuple[str, bool]], keys: Sequence[str], texts: frozenset[str], edges: Edges | None
    ) -> None:
        self._edges = edges
        self._terms = list(_terms(terms, keys, texts))

    def order_by(self) -> str:
        """The text after `ORDER BY`."""
        return ", ".join(f"{sql} {'DESC' if descending else 'ASC'} NULLS LAST" for sql, _, descending in self._terms)

    def position_sql(self) -> str:
        """The expression of a row's position, an array of texts."""
        return f"ARRAY[{', '.join(f'({term.sql})::text' for term in self._terms)}]"

    def position(self, record: asyncpg.Record) -> Position:
        """Where a row stands, as a cursor holds it."""
        return tuple(
            microseconds(self._edges[int(value) - 1]) if term.sql == "bucket" and self._edges else value
            for term, value in zip(self._terms, record[POSITION], strict=True)
        )

    def beyond(self, position: Position, params: Params) -> str:
        """The condition that a row stands after `position`. Raises CursorError for a position in another order."""
        if len(position) != len(self._terms):
            raise CursorError
        beyond = "false"
        for term, value in reversed(list(zip(self._terms, position, strict=True))):
            # Nothing but another null comes after a null.
            past, same = "false", f"{term.sql} IS NULL"
            if value is not None:
                bound = self._bound(term, value, params)
                past = f"{term.sql} {'<' if term.descending else '>'} {bound} OR {term.sql} IS NULL"
                same = f"{term.sql} = {bound}"
            beyond = f"{past} OR ({same} AND ({beyond}))"
        return beyond

    def _bound(self, term: _Term, value: str | int, params: Params) -> str:
        if isinstance(value, int):
            return params.bind(bisect_right(self._edges or (), from_microseconds(value)), "integer")
        return f"{params.bind(value, 'text')}::{term.type}"


def _terms(terms: Sequence[tuple[str, bool]], keys: Sequence[str], texts: frozenset[str]) -> Iterator[_Term]:
    """The terms as asked, up to KEY, which what follows cannot tell apart; then the keys."""
    descending = False
    named: set[str] = set()
    for name, falls in terms:
        if name == KEY:
            descending = falls
            break
        sql = ORDERS[name][0]
        named.add(sql)
        yield _Term(sql, _TYPES.get(sql, "numeric"), falls)
    for key in keys:
        if key not in named:
            yield _Term(f"nullif({key}, '')" if key in texts else key, _TYPES.get(key, "text"), descending)
