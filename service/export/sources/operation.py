"""What an export asks: an operation of the schema, let pass once, whose rows are then read to their end.

The gate refuses whatever it would refuse of anybody, and the compiled operation says where rows lie, what of them is
shown and how; only its pages are larger here (docs/decisions/0012).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from service.api.compiled.fallbacks import FallbackError
from service.api.compiled.plan import CompiledConnection, Root
from service.api.compiled.report import CompiledReport
from service.api.execution.context import Context
from service.api.execution.limits import Bucket
from service.api.exports.kinds import ExportShape, Fields, operation_of
from service.api.schema import build_schema
from service.errors import RequestError
from service.query.cost_stream import stream_records
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.page import Page, PageRequest
from service.query.records.walk import Walk
from service.query.rendering.column_renderer import ColumnLoop, only_written
from service.query.rendering.report_renderer import ReportLookups
from service.query.rendering.row_renderer import ANSWERS, TABLED, RowLoop, Rows, UnsupportedValueError
from service.query.usage.report_request import CostRequest

PAGE: Final = 700
"""Rows that are read and turned into bytes at a time: some milliseconds of the event loop's."""
_MAX_COST: Final = 1_000_000
_NOT_COMPILED: Final = "the role does not see in clear what cannot be null in the schema: choose `fields` without it"
_NO_ANSWER: Final = "a row holds a value that GraphQL cannot answer: choose `fields` without it"


class ExportRefusedError(RequestError):
    """the export cannot be answered as it was asked"""


@dataclass(frozen=True, slots=True)
class Batch:
    """So many rows in order: dicts, or for files of columns the values of each column. `end`: the cursor of the last
    row, where rows have one.
    """

    rows: Sequence[Any]
    count: int
    end: str | None = None


@dataclass(frozen=True, slots=True)
class AdmittedOperation:
    """An operation that was let pass for one scope. `total`: how many rows it has now, where that is known."""

    context: Context
    root: Root
    request: Any
    fields: Fields
    total: int | None

    def batches(self, check: Callable[[], None], *, columns: bool, after: str | None = None) -> AsyncIterator[Batch]:
        """All rows, a page at a time; `check` is called before each page, and may raise. `after`: go on behind there.

        Raises ExportRefusedError for a value that the schema cannot answer, and what the reader raises.
        """
        if isinstance(self.root, CompiledReport):
            return self._figures(self.root, self.request, check, columns=columns)
        return self._rows(self.root, self.request._replace(after=after), check, columns=columns)

    async def _rows(
        self, root: CompiledConnection, request: PageRequest, check: Callable[[], None], *, columns: bool
    ) -> AsyncIterator[Batch]:
        context = self.context
        [shape] = [entry.nested for entry in root.shape.entries if entry.field == "nodes" and entry.nested]
        selection = root.page_selection.selection
        form, loop = (TABLED, ColumnLoop) if columns else (ANSWERS, RowLoop)
        rows = Rows(root.table, selection, [shape], context.scope, form, loop)
        texts = columns and only_written(root.table, selection)
        selected = replace(root.page_selection, total=False, has_next=True, texts=texts)

        walk = Walk(PAGE, request.after)

        async def read() -> Page:
            """One page, if it may still be read."""
            check()
            return await context.reader.walk(context.scope, root.table, request, selected, walk)

        upcoming = asyncio.create_task(read())
        try:
            while True:
                page, cursor, ended = await upcoming, walk.after, walk.ended
                if not ended:
                    # The database finds the next page while this one is turned into bytes.
                    upcoming = asyncio.create_task(read())
                try:
                    [made] = await rows.answer(context.reader, context.scope, page.rows, page.account)
                except UnsupportedValueError:
                    raise ExportRefusedError(_NO_ANSWER) from None
                yield Batch(made, len(page.rows), cursor)
                if ended:
                    return
        finally:
            upcoming.cancel()
            with suppress(asyncio.CancelledError, Exception):  # what was read ahead is wanted by nobody
                await upcoming

    async def _figures(
        self, root: CompiledReport, request: CostRequest, check: Callable[[], None], *, columns: bool
    ) -> AsyncIterator[Batch]:
        reader, [loop] = await self.context.reader.usage(self.context.scope), root.loops.values()
        async for found in stream_records(reader, request, PAGE):
            check()
            try:
                made = loop.answer(found.rows, ReportLookups.of(found, request.tags))
            except UnsupportedValueError:
                raise ExportRefusedError(_NO_ANSWER) from None
            yield Batch(_columns(made, self.fields) if columns else made, len(made))


def _columns(rows: Sequence[Mapping[str, Any]], fields: Fields) -> list[Sequence[Any]]:
    """The values of each column of rows of figures."""
    return [
        values
        for name, parts in fields
        for values in (
            [[None if row[name] is None else row[name][part] for row in rows] for part in parts]
            if parts
            else [[row[name] for row in rows]]
        )
    ]


async def admitted(
    reader: Reader,
    shape: ExportShape,
    fields: Fields,
    variables: Mapping[str, Any],
    scope: Scope,
    *,
    total: bool = False,
) -> AdmittedOperation:
    """Have the operation of these fields let pass for `scope`. Its first row is asked for as anybody would ask.

    Raises ExportRefusedError with GraphQL's words.
    """
    operation = operation_of(shape, fields)
    asked: dict[str, Any] = {**variables, "first": 1} | ({"total": total} if shape.paged else {})
    context = Context(scope, reader, Bucket(0), _MAX_COST)
    schema = build_schema()
    assert schema.compiled is not None
    result = await schema.execute(operation, variable_values=asked, context_value=context)
    if result.errors or result.data is None:
        raise ExportRefusedError("; ".join(error.message for error in result.errors or []))
    try:
        root, request = schema.compiled.asked(operation, asked, context)
    except FallbackError:
        raise ExportRefusedError(_NOT_COMPILED) from None
    return AdmittedOperation(
        context, root, request, fields, result.data[shape.root].get("totalCount") if total else None
    )
