"""Puts ingest into an application, or beside a command."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from aiohttp import web

from service.ingest.http import routes
from service.ingest.pipeline.writer import Writer
from service.ingest.preparation.batch_context import rules_in_force
from service.ingest.prices.price_sources import load_prices
from service.ingest.refusal_log import RefusalLog
from service.runtime.runtime import Runtime

_WRITER = web.AppKey("calledger_writer", Writer)
_REFUSALS = web.AppKey("calledger_refusals", RefusalLog)


def setup(app: web.Application, runtime: Runtime) -> None:
    """Mount the routes, and start a writer with the application. `close_writer` ends it, after the last request."""
    writer = writer_of(runtime)
    refusals = RefusalLog(runtime.database.writer)
    app[_WRITER], app[_REFUSALS] = writer, refusals
    limit = runtime.settings.max_body_bytes
    app.add_routes(routes(writer, runtime.authenticator, refusals, max_body_bytes=limit))

    async def start(_: web.Application) -> None:
        """Start the writers once the application starts."""
        await writer.start()
        await refusals.start()

    app.on_startup.append(start)


async def close_writer(app: web.Application) -> None:
    """Store what waits, and end the writer."""
    try:
        await app[_WRITER].close()
    finally:
        await app[_REFUSALS].close()


def writer_of(runtime: Runtime) -> Writer:
    """A writer on the runtime, not yet started: for the service, and for commands that bring calls in."""
    rules = rules_in_force(runtime)
    # Compiling them takes more than half a second, in which nobody is answered: so it is done before the first call.
    rules()
    return Writer(
        database=runtime.database,
        accounts=runtime.accounts,
        partitions=runtime.partitions,
        keyring=runtime.keyring,
        rules=rules,
        prices=load_prices(runtime.settings),
        queue_rows=runtime.settings.queue_rows,
        batch_rows=runtime.settings.batch_rows,
        on_stored=runtime.recorded.set,
    )


@asynccontextmanager
async def ingesting(runtime: Runtime) -> AsyncGenerator[tuple[Writer, RefusalLog], None]:
    """A writer and a log of refusals for a command; at the end what waits is stored."""
    writer, refusals = writer_of(runtime), RefusalLog(runtime.database.writer)
    await writer.start()
    await refusals.start()
    try:
        yield writer, refusals
    finally:
        try:
            await writer.close()
        finally:
            await refusals.close()
