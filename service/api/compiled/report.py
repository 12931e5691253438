"""The root field `costs` of a compiled operation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from graphql import FieldNode

from service.api.compiled.arguments import Arguments
from service.api.execution.context import Context
from service.api.usage.costs import to_request, usage_reader
from service.query.authorization.selection_set import Tree
from service.query.model.scope import Scope
from service.query.rendering.functions import moment_texts
from service.query.rendering.report_renderer import FiguresLoop, Surroundings
from service.query.rendering.row_renderer import SelectedField, Shape, UnsupportedOperationError
from service.query.usage.report import CostRequest, Coverage, read_records
from service.turn import TURN_S, clock, next_turn

_PIECE: Final = 50
_REPORT: Final = frozenset({"__typename", "rows", "totals", "coverage", "truncated"})


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """One root field: its response key and nodes, the request that it makes, and the loops of its rows and totals."""

    key: str
    nodes: Sequence[FieldNode]
    shape: Shape
    tree: Tree
    loops: Mapping[str, FiguresLoop]

    def request(self, arguments: Arguments, given: Mapping[str, Any]) -> CostRequest:
        """Raises what the resolver would raise."""
        values = arguments.converted("costs", given)
        return to_request(self.tree, values.pop("filter", None), **values)

    async def answer(self, context: Context, make: Callable[[], CostRequest]) -> dict[str, Any]:
        """The report as JSON values. Raises UnsupportedValueError where the schema might refuse one."""
        request = make()
        found = await read_records(await usage_reader(context), request)
        around = Surroundings.of(found, request.tags)
        data: dict[str, Any] = {}
        for entry in self.shape.entries:
            match entry.field:
                case "rows":
                    data[entry.key] = await _in_turns(self.loops[entry.key], found.rows, around)
                case "totals":
                    data[entry.key] = self.loops[entry.key].answer(found.totals, around)
                case "coverage":
                    data[entry.key] = _coverage(entry, found.coverage)
                case "truncated":
                    data[entry.key] = found.truncated
                case _:
                    data[entry.key] = self.shape.type
        return data


async def _in_turns(loop: FiguresLoop, rows: Sequence[asyncpg.Record], around: Surroundings) -> list[dict[str, Any]]:
    """The rows as JSON values, in pieces, with turns for other requests between them: there may be ten thousand."""
    answered, until = list[dict[str, Any]](), clock() + TURN_S
    for at in range(0, len(rows), _PIECE):
        answered += loop.answer(rows[at : at + _PIECE], around)
        if clock() > until:
            until = await next_turn()
    return answered


def report(key: str, nodes: Sequence[FieldNode], shape: Shape, tree: Tree, scope: Scope) -> Report:
    """What the root field asks for. UnsupportedOperationError where the compiled form does not reach."""
    if not {entry.field for entry in shape.entries} <= _REPORT:
        raise UnsupportedOperationError
    figures = [(entry.key, entry.nested) for entry in shape.entries if entry.field in ("rows", "totals")]
    loops = {name: FiguresLoop(nested, scope) for name, nested in figures if nested is not None}
    return Report(key, nodes, shape, tree, loops)


def _coverage(entry: SelectedField, coverage: Coverage) -> dict[str, Any]:
    assert entry.nested is not None
    values = {
        "__typename": entry.nested.type,
        "from": moment_texts([coverage.start])[0] if coverage.start else None,
        "to": moment_texts([coverage.end])[0],
        "source": coverage.source.name,
    }
    return {part.key: values[part.field] for part in entry.nested.entries}
