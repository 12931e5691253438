"""Rows and totals of a cost report as JSON values, by loops that are generated once for a selection.

As `compiled.py` does it for lists: every name in a loop's source is one of ours, and what the ordinary path would have
to be asked about is UnsupportedForRoleError.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import asyncpg

from policies.policy.model import View
from service.query.model.scope import Scope
from service.query.rendering.functions import decimal, moment_texts, real
from service.query.rendering.row_renderer import SelectedField, Shape, UnsupportedForRoleError
from service.query.usage.derived_figures import WORKED_OUT
from service.query.usage.percentiles import histogram_of, percentile_ms
from service.query.usage.report import CostRecords, user_of
from service.query.usage.report_request import NEEDS

_LAYOUTS_MAX: Final = 16
_REALS: Final = frozenset({"tokenEfficiency", "estimatedShare"})
_WHOLE: Final = frozenset({"callsWithoutAmount"})
_PLAIN: Final = '(c_amount.rstrip("0").rstrip(".") if "." in c_amount else c_amount)'
_PARTS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "amount": (
        '(None if c_priced == "0" and not Decimal(c_amount) or not c_currency else {entries})',
        {"amount": _PLAIN, "currency": "c_currency"},
    ),
    **{
        name: (
            f"({{entries}} if (histogram := histogram_of(c_{alias}))[0] else None)",
            {f"p{percent}": f"percentile_ms(*histogram, {percent})" for percent in (50, 95, 99)},
        )
        for name, alias in (("latencyMs", "latency"), ("timeToFirstTokenMs", "first_token"))
    },
}
# Field of a key -> the column that it needs, and what stands for it; without the column it is null.
_KEY: Final[Mapping[str, tuple[str, str]]] = {
    "model": ("model", "(c_model or None)"),
    "provider": ("provider", "(c_provider or None)"),
    "account": ("account", "names.get(c_account)"),
    "apiKey": ("api_key", "(c_api_key or None)"),
    "status": ("status", '("FAILED" if c_status else "SUCCEEDED")'),
    "operation": ("operation", "(c_operation or None)"),
    "servedModel": ("served_model", "(c_served_model or None)"),
    "errorType": ("error_type", "(c_error_type or None)"),
    "user": ("pseudonym", "user_of(c_pseudonym)"),
    "currency": ("currency", "(c_currency or None)"),
    "bucketStart": ("bucket", "starts[c_bucket]"),
    "bucketEnd": ("bucket", "ends[c_bucket]"),
}
_SEEN_WHOLE: Final = ("Money.amount", "Money.currency", "CostKey.currency")
Loop = Callable[..., list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class ReportLookups:
    """What the loops look up beside the columns: account names by id, tag keys, and the moments of buckets by index."""

    names: Mapping[int, str]
    tags: Sequence[str]
    starts: Mapping[int, str]
    ends: Mapping[int, str]

    @classmethod
    def of(cls, found: CostRecords, tags: Sequence[str]) -> "ReportLookups":
        """The lookups of one report; `tags` are the keys that it is grouped by."""
        edges = found.edges
        if not edges:
            return cls(found.names, tags, {}, {})
        # Of the buckets that have rows alone: a year of hours has 8,760.
        positions: list[int] = sorted({record["bucket"] for record in found.rows})
        starts = moment_texts([edges[position - 1] for position in positions])
        ends = moment_texts([edges[position] for position in positions])
        return cls(
            found.names, tags, dict(zip(positions, starts, strict=True)), dict(zip(positions, ends, strict=True))
        )


class FiguresLoop:
    """Answers the records of one kind, CostRow or CostFigures, in one shape."""

    def __init__(self, shape: Shape, scope: Scope) -> None:
        if any(scope.views.get(field, View.DENIED) is not View.SEE for field in _SEEN_WHOLE):
            raise UnsupportedForRoleError
        self._shape = shape
        self._shown = {name for name in NEEDS if scope.views.get(f"{shape.type}.{name}") is View.SEE}
        self._loops: dict[tuple[str, ...], Loop] = {}
        self._loop(())  # what is not covered is known before anything is read

    def answer(self, records: Sequence[asyncpg.Record], lookups: ReportLookups) -> list[dict[str, Any]]:
        """One dict a record. Raises UnsupportedValueError for a value that the schema might refuse."""
        if not records:
            return []
        layout = tuple(records[0].keys())
        loop = self._loops.get(layout)
        if loop is None:
            if len(self._loops) >= _LAYOUTS_MAX:
                self._loops.clear()
            loop = self._loops[layout] = self._loop(layout)
        return loop(records, lookups.names, lookups.tags, lookups.starts, lookups.ends)

    def _loop(self, layout: tuple[str, ...]) -> Loop:
        source = _Source(layout, self._shown)
        display = source.object(self._shape, source.figure)
        columns = "".join(f"c_{column}, " for column in layout) or "*_, "
        text = f"def loop(rows, names, tags, starts, ends):\n    return [{display} for ({columns}) in rows]\n"
        namespace = source.namespace
        exec(compile(text, "<compiled report>", "exec"), namespace)  # noqa: S102 - of our own names, see above
        return namespace["loop"]


class _Source:
    """Writes the source of one loop for one layout of columns."""

    def __init__(self, layout: Sequence[str], shown: set[str]) -> None:
        self.namespace: dict[str, Any] = {
            "Decimal": Decimal,
            "decimal": decimal,
            "real": real,
            "histogram_of": histogram_of,
            "percentile_ms": percentile_ms,
            "user_of": user_of,
            **{f"work_out_{name}": work_out for name, work_out in WORKED_OUT.items()},
        }
        self._layout = layout
        self._shown = shown

    def object(self, shape: Shape, value: Callable[[SelectedField], str]) -> str:
        """A dict display; `value` says what stands for an entry."""
        parts: list[str] = []
        for entry in shape.entries:
            found = self._constant(shape.type) if entry.field == "__typename" else value(entry)
            parts.append(f"{self._constant(entry.key)}: {found}")
        return "{" + ", ".join(parts) + "}"

    def figure(self, entry: SelectedField) -> str:
        """The Python expression of one field of a figure. Raises UnsupportedForRoleError for a required field that is
        hidden.
        """
        name = entry.field
        if name == "key" and entry.nested is not None:
            return self.object(entry.nested, self._key)
        if name not in self._shown:
            if entry.required:
                raise UnsupportedForRoleError
            return "None"
        if name in WORKED_OUT:
            sums = ", ".join(f'"{alias}": Decimal(c_{alias})' for alias in NEEDS[name])
            answered = "str" if name in _WHOLE else "real" if name in _REALS else "decimal"
            return f"{answered}(work_out_{name}({{{sums}}}))"
        if name in _PARTS and entry.nested is not None:
            around, sources = _PARTS[name]
            return around.replace("{entries}", self.object(entry.nested, lambda inner: sources[inner.field]))
        (alias,) = NEEDS[name]
        return f"c_{alias}"

    def _key(self, entry: SelectedField) -> str:
        if entry.field == "tags" and entry.nested is not None:
            return self._tags(entry.nested)
        column, source = _KEY[entry.field]
        return source if column in self._layout else "None"

    def _tags(self, shape: Shape) -> str:
        count = sum(column.startswith("tag") for column in self._layout)
        parts: list[str] = []
        for index in range(count):
            sources = {"key": f"tags[{index}]", "value": f"(c_tag{index} or None)"}
            parts.append(self.object(shape, lambda inner, sources=sources: sources[inner.field]))
        return f"[{', '.join(parts)}]" if parts else "None"

    def _constant(self, value: str) -> str:
        name = f"k{len(self.namespace)}"
        self.namespace[name] = value
        return name
