"""Pages of a source to the one way in: the same reader, policy, gate and writer as reports over HTTP.

A page is read and prepared while the one before it is committed, and after each page its cursor is saved: only when
everything in it is stored or refused for good, so that what is broken off anywhere goes on behind what is on disk, and
at worst reports some rows twice: duplicates.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias, TypeVar

from policies import Report, Source
from service.access.principal import Principal
from service.imports.counts import ImportCounts
from service.imports.reading import ReadingProcess
from service.imports.sources.pages import RowPage, RowSource
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection
from service.ingest.pipeline.long_rows import LongRows
from service.ingest.pipeline.writer import Writer, as_read, in_parts, is_long
from service.ingest.refusal_log import RefusalLog
from service.ingest.refusals import Refusal
from service.ingest.results import RowResult
from service.logs import get_logger
from service.storage.errors import DatabaseUnavailableError

log = get_logger()
_Page = TypeVar("_Page")

_PART_ROWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Way:
    """The way in, for rows of one format: who reports them, as what, and what reads them; `elsewhere`: in a process of
    its own, from the second page on.
    """

    writer: Writer
    refusals: RefusalLog
    long_rows: LongRows
    principal: Principal
    source: Source
    read: Reader
    elsewhere: bool = False


async def bring_in(
    source: RowSource,
    way: Way,
    *,
    after: str | None,
    save: Callable[[str, int], Awaitable[None]],
    progress: Callable[[ImportCounts], None] = lambda _: None,
    before: int = 0,
) -> ImportCounts:
    """Store what `source` has behind `after`. `save` gets the cursor of each page once it is stored, and its rows;
    `progress` hears of every page; `before` is how many rows there are in front of `after`.

    Raises SourceError when the source fails, and DatabaseUnavailableError: what was saved until then is stored.
    """
    counts = ImportCounts(before=before)
    async with (
        ReadingProcess(way.read) as process,
        _tasks() as tasks,
        aclosing(source.pages(after)) as pages,
        _ahead(pages) as taken,
        aclosing(_read(taken, way, process)) as read,
        _ahead(read) as read_ahead,
        aclosing(_submitted(read_ahead, way, tasks)) as submitted,
        _ahead(submitted) as under_way,
    ):
        async for page in under_way:
            await _settle(page, way, counts)
            tasks.difference_update(task for _, task in page.parts)
            await save(page.cursor, page.rows)
            progress(counts)
    return counts


_Task: TypeAlias = asyncio.Task[list[RowResult]]
_Part: TypeAlias = tuple[list[Report | Rejection], _Task]


class _Submitted(NamedTuple):
    """A page whose rows are on their way: those of each part, and what becomes of them."""

    cursor: str
    rows: int
    parts: list[_Part]


@asynccontextmanager
async def _tasks() -> AsyncIterator[set[_Task]]:
    """Tasks that end with what uses them."""
    tasks: set[_Task] = set()
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Read(NamedTuple):
    """A page whose rows were read: the reports and rejections of each part."""

    cursor: str
    rows: int
    parts: list[list[Report | Rejection]]


async def _read(pages: AsyncIterator[RowPage], way: Way, process: ReadingProcess) -> AsyncGenerator[_Read, None]:
    """Each page once it is read; by the process from the second one on, where that is worth it."""
    size, elsewhere = min(_PART_ROWS, way.writer.batch_rows), False
    async for page in pages:
        found = await process.reports(page.rows) if elsewhere and not any(map(is_long, page.rows)) else None
        if found is None:
            parts = in_parts(page.rows, way.read, size, long_rows=way.long_rows)
        else:
            parts = in_parts(found, as_read, size, long_rows=way.long_rows)
        yield _Read(page.cursor, len(page.rows), [part async for part in parts])
        elsewhere = way.elsewhere


async def _submitted(pages: AsyncIterator[_Read], way: Way, tasks: set[_Task]) -> AsyncGenerator[_Submitted, None]:
    """Each page once it is submitted, all parts in order: a row may correct one before it."""
    turn = asyncio.Lock()
    async for page in pages:
        parts: list[_Part] = []
        for part in page.parts:
            stored = way.writer.submit(part, as_read, way.principal, source=way.source, wait_for_room=True, turn=turn)
            parts.append((part, asyncio.create_task(stored)))
        tasks.update(task for _, task in parts)
        yield _Submitted(page.cursor, page.rows, parts)


async def _settle(page: _Submitted, way: Way, counts: ImportCounts) -> None:
    refused: Counter[Refusal] = Counter()
    for part, task in page.parts:
        results = await task
        of_part = Counter(result.code for result in results if result.code is not None)
        if of_part[Refusal.NOT_STORED]:
            raise DatabaseUnavailableError
        counts.add(part, results)
        refused += of_part
    log.info("a page was imported", source=way.source, rows=page.rows, refused=refused.total())
    if refused:
        await way.refusals.refuse_rows(way.source, way.principal, refused, of=page.rows)


@asynccontextmanager
async def _ahead(pages: AsyncIterator[_Page]) -> AsyncIterator[AsyncIterator[_Page]]:
    """The pages, each made while the one before it is used."""
    task: asyncio.Task[_Page | None] | None = None

    async def next_page() -> _Page | None:
        """The next page; None at the end."""
        return await anext(pages, None)

    async def fetched() -> AsyncIterator[_Page]:
        """Each page, once the next one is on its way."""
        nonlocal task
        task = asyncio.create_task(next_page())
        while (page := await task) is not None:
            task = asyncio.create_task(next_page())
            yield page

    try:
        yield fetched()
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
