"""The root field `costs` of a compiled operation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from graphql import FieldNode

from service.api.compiled.arguments import Arguments
from service.api.execution.context import Context
from service.api.usage.costs import CostArguments, to_request
from service.offload import TURN_S, clock, next_turn
from service.query.authorization.selection_set import Tree
from service.query.model.scope import Scope
from service.query.rendering.functions import int32, moment_texts
from service.query.rendering.report_renderer import FiguresLoop, ReportLookups
from service.query.rendering.row_renderer import SelectedField, Shape, UnsupportedOperationError
from service.query.usage.report import CostRecords, Coverage, read_records
from service.query.usage.report_request import CostRequest

_PIECE: Final = 50
_REPORT: Final = frozenset(
    {"__typename", "edges", "nodes", "pageInfo", "totalCount", "totals", "coverage", "rows", "truncated"}
)
_EDGE: Final = frozenset({"__typename", "cursor", "node"})
_ROWS: Final = ("nodes", "rows")


@dataclass(frozen=True, slots=True, eq=False)
class CompiledReport:
    """One root field: its response key and nodes, the request that it makes, and the loops of what it selects of rows
    and totals, by response keys.
    """

    key: str
    nodes: Sequence[FieldNode]
    shape: Shape
    tree: Tree
    loops: Mapping[tuple[str, ...], FiguresLoop]

    def request(self, arguments: Arguments, given: Mapping[str, Any]) -> CostRequest:
        """Raises what the resolver would raise."""
        return to_request(self.tree, CostArguments(**arguments.converted("costs", given)))

    async def answer(self, context: Context, make: Callable[[], CostRequest]) -> dict[str, Any]:
        """The report as JSON values. Raises UnsupportedValueError where the schema might refuse one."""
        request = make()
        found = await read_records(await context.reader.usage(context.scope), request)
        lookups = ReportLookups.of(found, request.tags)
        data: dict[str, Any] = {}
        for entry in self.shape.entries:
            match entry.field:
                case "edges":
                    data[entry.key] = await self._edges(entry, found, lookups)
                case "nodes" | "rows":
                    data[entry.key] = await _in_turns(self.loops[entry.key,], found.rows, lookups)
                case "totals":
                    data[entry.key] = self.loops[entry.key,].answer(found.totals, lookups)
                case "pageInfo":
                    data[entry.key] = _page_info(entry, found)
                case "totalCount":
                    data[entry.key] = int32(found.count)
                case "coverage":
                    data[entry.key] = _coverage(entry, found.coverage)
                case "truncated":
                    data[entry.key] = found.has_next
                case _:
                    data[entry.key] = self.shape.type
        return data

    async def _edges(self, entry: SelectedField, found: CostRecords, lookups: ReportLookups) -> list[dict[str, Any]]:
        assert entry.nested is not None
        keys: list[str] = []
        columns: list[Sequence[Any]] = []
        for part in entry.nested.entries:
            keys.append(part.key)
            match part.field:
                case "node":
                    columns.append(await _in_turns(self.loops[entry.key, part.key], found.rows, lookups))
                case "cursor":
                    columns.append(found.cursors)
                case _:
                    columns.append([entry.nested.type] * len(found.rows))
        return [dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)]


async def _in_turns(loop: FiguresLoop, rows: Sequence[asyncpg.Record], lookups: ReportLookups) -> list[dict[str, Any]]:
    """The rows as JSON values, in pieces, with turns for other requests between them: there may be ten thousand."""
    answered, until = list[dict[str, Any]](), clock() + TURN_S
    for at in range(0, len(rows), _PIECE):
        answered += loop.answer(rows[at : at + _PIECE], lookups)
        if clock() > until:
            until = await next_turn()
    return answered


def report(key: str, nodes: Sequence[FieldNode], shape: Shape, tree: Tree, scope: Scope) -> CompiledReport:
    """What the root field asks for. UnsupportedOperationError where the compiled form does not reach."""
    if not {entry.field for entry in shape.entries} <= _REPORT:
        raise UnsupportedOperationError
    shapes: dict[tuple[str, ...], Shape] = {}
    for entry in shape.entries:
        if entry.field == "edges" and entry.nested is not None:
            if not {part.field for part in entry.nested.entries} <= _EDGE:
                raise UnsupportedOperationError
            shapes |= {(entry.key, part.key): part.nested for part in entry.nested.entries if part.nested is not None}
        elif entry.field in (*_ROWS, "totals") and entry.nested is not None:
            shapes[entry.key,] = entry.nested
    return CompiledReport(
        key, nodes, shape, tree, {keys: FiguresLoop(nested, scope) for keys, nested in shapes.items()}
    )


def _page_info(entry: SelectedField, found: CostRecords) -> dict[str, Any]:
    cursors = found.cursors
    values = {
        "hasNextPage": found.has_next,
        "hasPreviousPage": found.has_previous,
        "startCursor": cursors[0] if cursors else None,
        "endCursor": cursors[-1] if cursors else None,
    }
    return _chosen(entry, values)


def _coverage(entry: SelectedField, coverage: Coverage) -> dict[str, Any]:
    values = {
        "from": moment_texts([coverage.start])[0] if coverage.start else None,
        "to": moment_texts([coverage.end])[0],
        "source": coverage.source.name,
    }
    return _chosen(entry, values)


def _chosen(entry: SelectedField, values: Mapping[str, Any]) -> dict[str, Any]:
    assert entry.nested is not None
    type_ = entry.nested.type
    return {part.key: type_ if part.field == "__typename" else values[part.field] for part in entry.nested.entries}
