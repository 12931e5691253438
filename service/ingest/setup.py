"""Puts ingest into an application."""

from collections.abc import Callable

from aiohttp import web

from policies import Admission
from policies.redaction import Redactor
from service.ingest.http import routes
from service.ingest.pipeline.writer import Writer
from service.ingest.preparation.prepared import Rules
from service.ingest.prices.price_file import load_prices
from service.ingest.refusal_log import RefusalLog
from service.log_redaction import shared_redactor
from service.runtime.runtime import Runtime
from service.storage.control.policies import AppliedPolicy

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
    return Writer(
        database=runtime.database,
        accounts=runtime.accounts,
        partitions=runtime.partitions,
        keyring=runtime.keyring,
        rules=rules_in_force(lambda: runtime.applied),
        prices=load_prices(runtime.settings.prices),
        queue_rows=runtime.settings.queue_rows,
        batch_rows=runtime.settings.batch_rows,
    )


def rules_in_force(applied: Callable[[], AppliedPolicy]) -> Callable[[], Rules]:
    """Answers the rules of the policy in force; they are built once for each policy that is applied."""
    built: list[tuple[AppliedPolicy, Rules]] = []

    def rules() -> Rules:
        """The rules of the policy in force now; built anew only when that policy changes."""
        now = applied()
        if not built or built[0][0] is not now:
            national_ids = now.policy.national_ids
            engine = Redactor(national_ids=national_ids) if national_ids else shared_redactor()
            built[:] = [(now, Rules(now.policy, Admission(now.policy, engine)))]
        return built[0][1]

    return rules
