"""One import from its beginning, or from where it was broken off, to its end."""

import hashlib
from collections.abc import Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

from policies import Role
from service.access.issuing import check_account
from service.access.principal import Principal
from service.imports.counts import ImportCounts
from service.imports.formats import ImportFormat, ImportOptions
from service.imports.importer import Way, bring_in
from service.imports.reading import is_worth_it
from service.imports.since import reader_since
from service.imports.sources.pages import RowSource
from service.imports.trial import tried
from service.ingest.pipeline.long_rows import LongRows
from service.ingest.preparation.batch_context import rules_in_force
from service.ingest.prices.price_sources import load_prices
from service.ingest.setup import ingesting
from service.runtime.runtime import Runtime
from service.storage.gateways.import_checkpoints import end_checkpoint, find_checkpoint, save_checkpoint

ACTOR: Final = "import"


async def import_rows(
    runtime: Runtime,
    form: ImportFormat,
    source: RowSource,
    options: ImportOptions,
    *,
    account: str | None,
    restart: bool,
    since: datetime | None = None,
    progress: Callable[[ImportCounts, int], None],
) -> ImportCounts:
    """Import the rows of `source` since a moment (None: all), as those of the account `account` (None: each of the
    account that it names).

    It goes on behind the checkpoint of an import that was broken off, unless `restart`. `progress` hears of every page,
    with how many rows were before this run. Raises as `bring_in` does.
    """
    owner = runtime.database.owner
    digest = hashlib.sha256(
        f"{form.source}\n{source.identity}\n{options!r}\n{account!r}{'' if since is None else since}".encode()
    ).digest()
    if account is not None:
        check_account(account)
    if restart:
        await end_checkpoint(owner, digest)
    cursor, before = await find_checkpoint(owner, digest) or (None, 0)
    rows = before

    async def save(reached: str, more: int) -> None:
        """Note how far it has come."""
        nonlocal rows
        rows += more
        await save_checkpoint(owner, digest, form.source, reached, rows)

    accounts = None if account is None else tuple((await runtime.accounts.ensure([account])).values())
    principal, long_rows = Principal(ACTOR, Role.INGEST, accounts), LongRows()
    try:
        async with ingesting(runtime) as (writer, refusals):
            read, elsewhere = reader_since(form.reader(options), since), form.is_dear and is_worth_it()
            way = Way(writer, refusals, long_rows, principal, form.source, read, elsewhere)
            counts = await bring_in(
                source, way, after=cursor, save=save, progress=lambda counts: progress(counts, before), before=before
            )
    finally:
        await long_rows.close()
    await end_checkpoint(owner, digest)
    return counts


async def try_rows(
    runtime: Runtime, form: ImportFormat, source: RowSource, options: ImportOptions, most: int
) -> list[dict[str, Any]]:
    """What would be stored of the first `most` rows, and what is dropped of them; nothing is written."""
    read, rules, prices = form.reader(options), rules_in_force(runtime)(), load_prices(runtime.settings)
    shown: list[dict[str, Any]] = []
    async with aclosing(source.pages(None)) as pages:
        async for page in pages:
            some = page.rows[: most - len(shown)]
            shown += [{"row": len(shown) + 1 + at, **tried(row, read, rules, prices)} for at, row in enumerate(some)]
            if len(shown) >= most:
                break
    return shown
