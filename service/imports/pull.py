"""Sources whose logs are pulled, again and again: from where each was read to, and a little before.

A source that vanishes, lies or changes its schema has its failure noted and is asked again later; what was read is
stored, and it goes on behind that. No error of a source ends the loop.
"""

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Final

from prometheus_client import Gauge

from policies import Role
from service.access.principal import Principal
from service.errors import CalledgerError, OperatorError
from service.imports.addresses import open_pullable
from service.imports.counts import ImportCounts
from service.imports.formats import FORMATS, ImportOptions
from service.imports.importer import Way, bring_in
from service.imports.sealing import open_address
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.pipeline.long_rows import LongRows
from service.ingest.pipeline.writer import Writer
from service.ingest.refusal_log import RefusalLog
from service.log_redaction import guarded
from service.logs import get_logger
from service.runtime.runtime import Runtime
from service.storage.gateways.pull_sources import (
    LEASE,
    LeaseLostError,
    PullSource,
    give_back,
    lease_source,
    prolong_source,
    save_failed,
    save_reached,
    save_read,
    sources_state,
)
from service.tasks import background

log = get_logger()

ACTOR: Final = "pull"
_AT_A_TIME: Final = 4
_LOOK_S: Final = 2.0
_KEEP_S: Final = LEASE.total_seconds() / 3
_RETRY_S: Final = 10.0
_FAILURE_CHARACTERS: Final = 300

FAILING = Gauge(
    "calledger_sources_failing", "Sources that could not be read the last time", multiprocess_mode="livemostrecent"
)
OLDEST = Gauge(
    "calledger_source_oldest_read_seconds",
    "Since the source was read to its end that waits for longest",
    multiprocess_mode="livemostrecent",
)


class Puller:
    """Pulls the sources of one ledger. `close` it after use."""

    def __init__(self, runtime: Runtime, writer: Writer, refusals: RefusalLog) -> None:
        self._runtime = runtime
        self._owner = runtime.database.owner
        self._writer = writer
        self._refusals = refusals
        self._long_rows = LongRows()

    async def close(self) -> None:
        """End the process that reads long rows."""
        await self._long_rows.close()

    async def pull_for_ever(self) -> None:
        """Pull each source when it is due, until cancelled; one that keeps us waiting does not keep the others."""
        await asyncio.gather(*(self._pull_due() for _ in range(_AT_A_TIME)))

    async def _pull_due(self) -> None:
        while True:
            try:
                failing, oldest_s = await sources_state(self._owner)
                FAILING.set(failing)
                OLDEST.set(oldest_s)
                source = await lease_source(self._owner)
                if source is not None:
                    await self.pull(source)
                    continue
            except DATABASE_FAULTS as error:
                log.warning("sources are not pulled for now", error=type(error).__name__)
                await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(_LOOK_S)

    async def pull(self, source: PullSource) -> ImportCounts | None:
        """Read a source that this process has the lease of to its end; None where it failed, which is noted."""
        held = _Held(source)
        try:
            counts = await self._bring_in(source, held)
        except CalledgerError as error:
            failure = guarded(" ".join(str(error).split())[:_FAILURE_CHARACTERS])
            log.warning("a source was not read to its end", source=source.name, reason=failure)
            await save_failed(self._owner, source, held.until, failure)
            return None
        except DATABASE_FAULTS:
            raise  # the lease ends by itself
        except Exception as error:  # whatever it is, the other sources must be read
            log.exception("a source was not read to its end", source=source.name)
            failure = f"something went wrong here ({type(error).__name__}): the service's log says more"
            await save_failed(self._owner, source, held.until, failure)
            return None
        except BaseException:
            # Ended in the middle: what was read is saved, and another process may go on at once.
            await asyncio.shield(give_back(self._owner, source, held.until))
            raise
        await save_read(self._owner, source, held.until, counts.newest, counts.refused.total())
        return counts

    async def _bring_in(self, source: PullSource, held: "_Held") -> ImportCounts:
        form = FORMATS.get(source.format)
        if form is None:
            raise OperatorError(f"`{source.format}` is not known to this version: update it, or remove the source")
        where = await open_address(self._runtime.keyring, source.id, source.sealed)
        opened = open_pullable(form, where.address, where.secret, where.user)
        accounts = None if source.account_id is None else (source.account_id,)
        principal = Principal(ACTOR, Role.INGEST, accounts)
        read = form.reader(options_of(source))
        way = Way(self._writer, self._refusals, self._long_rows, principal, form.source, read)

        async def save(cursor: str, rows: int) -> None:
            """Note how far it has come, and keep the lease."""
            async with held.turn:
                held.until = await save_reached(self._owner, source, held.until, cursor, rows)

        after = None if source.reached is None else opened.again_from(source.reached)
        async with background([self._keep(source, held)]):
            return await bring_in(opened, way, after=after, save=save)

    async def _keep(self, source: PullSource, held: "_Held") -> None:
        """Keep the source while it is read: a page may take long."""
        while True:
            await asyncio.sleep(_KEEP_S)
            async with held.turn:
                try:
                    held.until = await prolong_source(self._owner, source, held.until)
                except (LeaseLostError, *DATABASE_FAULTS):
                    return  # the next page finds out


class _Held:
    """Until when this process has a source."""

    def __init__(self, source: PullSource) -> None:
        assert source.leased_until is not None, "it was leased"
        self.until: datetime = source.leased_until
        self.turn = asyncio.Lock()


def options_of(source: PullSource) -> ImportOptions:
    """The options that a source was added with."""
    options = source.options
    quota = options.get("quota_per_unit")
    return ImportOptions(None if quota is None else Decimal(quota), options.get("currency"), options.get("account_by"))
