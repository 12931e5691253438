"""Pages of a source to the one way in: the same reader, policy, gate and writer as reports over HTTP.

After each page its cursor is saved. A page is saved only when everything in it is stored or refused for good, so that
what is broken off anywhere goes on behind what is on disk, and at worst reports some rows twice: duplicates.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from policies import Report, Source
from service.access.principal import Principal
from service.imports.counts import ImportCounts
from service.imports.sources.pages import RowPage, RowSource
from service.ingest.formats.opened import Reader
from service.ingest.formats.split import Rejection
from service.ingest.pipeline.long_rows import LongRows
from service.ingest.pipeline.writer import Writer, as_read, in_parts
from service.ingest.refusal_log import RefusalLog
from service.ingest.refusals import Refusal
from service.logs import get_logger
from service.storage.errors import DatabaseUnavailableError

log = get_logger()

_PART_ROWS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Way:
    """The way in, for rows of one format: who reports them, as what, and what reads them."""

    writer: Writer
    refusals: RefusalLog
    long_rows: LongRows
    principal: Principal
    source: Source
    read: Reader


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
    async with aclosing(source.pages(after)) as pages, _ahead(pages) as taken:
        async for page in taken:
            await _store(page, way, counts)
            await save(page.cursor, len(page.rows))
            progress(counts)
    return counts


async def _store(page: RowPage, way: Way, counts: ImportCounts) -> None:
    refused: Counter[Refusal] = Counter()
    async for part in in_parts(page.rows, way.read, _PART_ROWS, long_rows=way.long_rows):
        refused += await _store_part(part, way, counts)
    log.info("a page was imported", source=way.source, rows=len(page.rows), refused=refused.total())
    if refused:
        await way.refusals.refuse_rows(way.source, way.principal, refused, of=len(page.rows))


async def _store_part(part: list[Report | Rejection], way: Way, counts: ImportCounts) -> Counter[Refusal]:
    results = await way.writer.submit(part, as_read, way.principal, source=way.source, wait_for_room=True)
    refused = Counter(result.code for result in results if result.code is not None)
    if refused[Refusal.NOT_STORED]:
        raise DatabaseUnavailableError
    counts.add(part, results)
    return refused


@asynccontextmanager
async def _ahead(pages: AsyncIterator[RowPage]) -> AsyncIterator[AsyncIterator[RowPage]]:
    """The pages, each fetched while the one before it is stored."""
    task: asyncio.Task[RowPage | None] | None = None

    async def next_page() -> RowPage | None:
        """The next page; None at the end."""
        return await anext(pages, None)

    async def fetched() -> AsyncIterator[RowPage]:
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
