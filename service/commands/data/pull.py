"""`calledger pull`: what `serve` does by itself, once, now."""

from typing import Annotated

import typer

from service.commands.common import in_runtime, say
from service.commands.options import Data, verb
from service.errors import RequestError, ServiceError
from service.imports.pull import Puller
from service.ingest.results import Status
from service.ingest.setup import ingesting
from service.runtime.runtime import Runtime
from service.storage.gateways.pull_sources import all_sources, lease_source

app = verb()


@app.command("pull")
def pull(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One source [default: all].")] = None,
    data: Data = None,
) -> None:
    """Read the sources of `calledger sources` once, now; a service that runs does so by itself.

    \b
    Example: calledger pull
    Example: calledger pull shop
    """
    in_runtime(data, lambda runtime: _pull(runtime, name))


async def _pull(runtime: Runtime, name: str | None) -> None:
    names = [source.name for source in await all_sources(runtime.database.owner)]
    if name is not None and name not in names:
        raise RequestError(f"there is no source `{name[:60]}`: `calledger sources list` shows them")
    failed = 0
    async with ingesting(runtime) as (writer, refusals):
        puller = Puller(runtime, writer, refusals)
        try:
            for one in [name] if name is not None else names:
                failed += not await _pull_one(runtime, puller, one)
        finally:
            await puller.close()
    if failed:
        raise ServiceError(f"{failed} of the sources could not be read: `calledger sources list` says why")


async def _pull_one(runtime: Runtime, puller: Puller, name: str) -> bool:
    source = await lease_source(runtime.database.owner, name)
    if source is None:
        say(f"{name}: another process reads it just now")
        return True
    counts = await puller.pull(source)
    if counts is None:
        return False
    new, known = counts.statuses[Status.ACCEPTED], counts.statuses[Status.DUPLICATE]
    say(f"{name}: {counts.rows:,} rows, {new:,} new, {known:,} known, {counts.refused.total():,} refused")
    return True
