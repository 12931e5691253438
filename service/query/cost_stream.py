"""A report on costs without a limit on rows, for files."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

import asyncpg

from service.query.model.errors import QueryTimeoutError
from service.query.model.parameters import Params
from service.query.usage.report import CostRecords, reading_of, records_of, statement_of
from service.query.usage.report_request import CostRequest
from service.query.usage.report_sql import complete_tag_sums
from service.query.usage.source import UsageReader
from service.query.usage.union_sql import UsageRead
from service.storage.connection import Connection

_TIMEOUT: Final = "SET LOCAL statement_timeout = '120s'"
"""A report that is written to a file may take longer to begin than one that somebody waits for."""


async def stream_records(reader: UsageReader, request: CostRequest, size: int) -> AsyncIterator[CostRecords]:
    """All rows of one request, without totals, `size` at a time and as of one moment; `first` limits nothing.

    The rows wait in a cursor of the database. Raises as `read_records` does, before the first rows.
    """
    request = replace(request, total_figures=None, cursors=False, before=False, counted=False, fill=False)
    for tag_sums in (True, False):
        reading, params = await reading_of(reader, request, tag_sums=tag_sums), Params()
        if not reading.plan.segments:
            return
        sql = statement_of(reader, request, reading, params, None).sql(reading, params)
        async with reader.database.reading(reader.scope.accounts, key_id=reader.scope.key_id) as connection:
            try:
                async with connection.transaction(readonly=True, isolation="repeatable_read"):
                    await connection.execute(_TIMEOUT)
                    if not await _is_complete(connection, reading):
                        continue
                    cursor = await connection.cursor(sql, *params.values)
                    while rows := await cursor.fetch(size):
                        yield await records_of(reader, request, reading, rows)
            except asyncpg.QueryCanceledError:
                raise QueryTimeoutError from None
        return


async def _is_complete(connection: Connection, reading: UsageRead) -> bool:
    """Whether what is read has every call, in the snapshot of the transaction; single calls always have."""
    if reading.tag is None:
        return True
    params = Params()
    whole = complete_tag_sums(reading, params)
    return bool(await connection.fetchval(whole, *params.values))
