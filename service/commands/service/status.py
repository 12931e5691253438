"""`calledger status`: what runs here, under which policy, with which protections."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import policies
from policies import Policy
from policies.evidence import LedgerKind
from service.commands.common import quiet_runtime, run, say, settings_for
from service.commands.options import Data, verb
from service.errors import CalledgerError, OperatorError, ServiceError
from service.ingest.prices.price_sources import load_prices
from service.keyring import KeyringUnavailableError
from service.retention.audit.start_check import differences_at_start
from service.retention.context import RetentionContext
from service.retention.lost_keys import lost_on_record
from service.retention.purge.detached import detached_partitions
from service.runtime.runtime import Runtime
from service.settings import Settings
from service.storage.citus.distribution import described
from service.storage.cold.catalogue import cold_files
from service.storage.cold.errors import reason_of
from service.storage.control.api_keys import count_keys
from service.storage.control.webhook_deliveries import backlog
from service.storage.errors import DatabaseError, is_unavailable
from service.storage.numbering import unnumbered
from service.storage.readiness import free_bytes
from service.storage.schema.installed import count_accounts, newest_purge, server_facts

_LOST_MAX: Final = 5
_CLOCK_TOLERANCE_HOURS: Final = 0.1
"""The difference up to which the clocks of two machines count as right."""

app = verb()


@app.command()
def status(data: Data = None) -> None:
    """Say what runs here: database, policy, keyring, windows, missing protections.

    Each line is one fact. `protection missing` names a protection that this database does not give, and what follows
    from that.

    \b
    Example: calledger status --data /var/lib/calledger
    """
    run(lambda: _status(data))


async def _status(data: Path | None) -> None:
    try:
        async with quiet_runtime(data) as runtime:
            for name, value in await _facts(runtime):
                say(f"{name:<18} {value}")
    except Exception as error:
        if isinstance(error, DatabaseError | ServiceError) or is_unavailable(error):
            for name, value in _facts_without_database(settings_for(data), error):
                say(f"{name:<18} {value}")
        raise


def _facts_without_database(settings: Settings, error: Exception) -> list[tuple[str, str]]:
    """The facts that are known while the database is unavailable, or cannot be written."""
    reason = str(error) if isinstance(error, CalledgerError) else type(error).__name__
    facts = [("data", str(settings.data))]
    if settings.data.exists():
        facts.append(("disk", f"{free_bytes(settings.data) // 2**20} MB free"))
    whose = "CALLEDGER_DATABASE_URL" if settings.database_url else "embedded"
    return [*facts, ("database", f"{whose}, cannot be used now: {reason}")]


async def _facts(runtime: Runtime) -> list[tuple[str, str]]:
    version, size = await server_facts(runtime.database.owner)
    applied = runtime.applied
    whose = "CALLEDGER_DATABASE_URL" if runtime.settings.database_url else "embedded"
    facts = [
        ("data", str(runtime.settings.data)),
        ("database", f"PostgreSQL {version}, {whose}, {size}"),
        *await _replica(runtime),
        *await _citus(runtime),
        ("keyring", runtime.keyring.describe()),
        *_unsealed(runtime),
        ("policy", f"{applied.policy.name}, version {applied.version}, {applied.digest}"),
        *_unnamed(applied.policy),
        ("applied", f"{applied.applied_at:%Y-%m-%d %H:%M:%SZ} by {applied.applied_by}"),
        ("prices", _prices(runtime)),
        ("feed", await _feed(runtime)),
        *await _cold(runtime),
        ("webhooks", await _webhooks(runtime)),
        ("accounts", str(await count_accounts())),
        ("keys", f"{await count_keys()} that are not revoked"),
    ]
    for tier in applied.policy.tiers.values():
        windows = ", ".join(f"{store} {days} days" for store, days in tier.store_days.items())
        facts.append(("tier", f"{tier.name}: {windows}"))
    facts.append(("last purge", await _last_purge()))
    context = runtime.retention
    for one in await detached_partitions(context, await context.partitions.catalogue(sized=False)):
        facts.append(("detached", f"{one.describe()}: its rows are on the disk and shown to nobody"))
    facts += await _lost(context)
    facts += [("differs", one) for one in await differences_at_start(context)]
    facts += [("protection missing", protection) for protection in runtime.database.missing_protections] or [
        ("protections", "all there")
    ]
    return facts


async def _replica(runtime: Runtime) -> list[tuple[str, str]]:
    """Whether the replica is one of this database, where there is one."""
    replica = runtime.database.replica
    return [] if replica is None else [("replica", await replica.describe())]


async def _citus(runtime: Runtime) -> list[tuple[str, str]]:
    """The cluster, where the ledger is on one. What a read finds of the walls on its workers is among protections."""
    async with runtime.database.owner.acquire() as connection:
        cluster = await described(connection)
    return [] if cluster is None else [("citus", cluster)]


def _unnamed(policy: Policy) -> list[tuple[str, str]]:
    """What a policy that an earlier version applied says nothing of."""
    missing = policies.unnamed(policy)
    if not missing:
        return []
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    names = ", ".join(f"`{name}`" for name in missing[:3])
    return [
        ("not named", f"{names}{more} came after this policy, and are shown to nobody: `calledger policy complete`")
    ]


async def _feed(runtime: Runtime) -> str:
    """How far the change feed is, what waits for its place, and when a statement held it against the calls."""
    waiting, age_s, position = await unnumbered(runtime.database.owner)
    behind = f", {waiting} waiting for {age_s:.1f} s" if waiting else ", nothing waiting"
    attested = await runtime.ledger.newest(LedgerKind.ATTESTED)
    checked = "never" if attested is None else since(attested[1].recorded_at, datetime.now(UTC))
    return f"{position} changes{behind}, checked by `calledger attest` {checked}"


async def _cold(runtime: Runtime) -> list[tuple[str, str]]:
    """How many calls are in files, and whether all of these are here."""
    files = await cold_files(runtime.database.owner)
    if not files and not runtime.settings.cold_days:
        return []
    cold = runtime.database.cold
    assert cold is not None, "a runtime has a cold tier"
    try:
        there = {one.name for one in await asyncio.to_thread(cold.files.names)}
    except OSError as error:
        here = f"CANNOT BE LISTED: {reason_of(error)}"
    else:
        missing = sum(file.name not in there for file in files)
        here = f"{missing} of them MISSING" if missing else "all there"
    rows, size = sum(file.rows for file in files), sum(file.bytes for file in files) // 2**20
    return [("cold tier", f"{rows} calls in {len(files)} files of {cold.files.where}, {size} MB, {here}")]


async def _webhooks(runtime: Runtime) -> str:
    """How many there are, and what waits to be delivered."""
    now = await backlog(runtime.database.owner)
    waiting = f"{now.pending} events waiting, one for {now.oldest_s:.0f} s" if now.pending else "nothing waiting"
    return f"{now.webhooks}, {now.disabled} of them disabled, {waiting}"


def _unsealed(runtime: Runtime) -> list[tuple[str, str]]:
    """What it costs that the keyring cannot be used."""
    if runtime.keyring.unavailable_reason is None:
        return []
    return [("being lost", "details and pseudonyms of the failed calls that are reported until the keyring is back")]


async def _lost(context: RetentionContext) -> list[tuple[str, str]]:
    """The first keys that the ledger has as lost, one per line; an unavailable keyring has its own line."""
    try:
        lost = await lost_on_record(context, _LOST_MAX + 1)
    except KeyringUnavailableError:
        return []
    more = [("key lost", "and others: `calledger keyring status`")] if len(lost) > _LOST_MAX else []
    return [("key lost", text) for text in lost[:_LOST_MAX]] + more


def _prices(runtime: Runtime) -> str:
    try:
        return ", then ".join(prices.version for prices in load_prices(runtime.settings).lists)
    except OperatorError as error:
        return f"not usable: {error}"


async def _last_purge() -> str:
    last = await newest_purge()
    if last is None:
        return "never"
    return f"{last.state.lower()}, {since(last.planned_at, datetime.now(UTC))}, {last.rows_dropped} rows" + (
        f": {last.failure}" if last.failure else ""
    )


def since(planned_at: datetime, now: datetime) -> str:
    """How long ago a time was; for a future time, that a clock was wrong."""
    hours = (now - planned_at).total_seconds() / 3600
    if hours < -_CLOCK_TOLERANCE_HOURS:
        return f"planned at {planned_at:%Y-%m-%d %H:%M}Z by a clock that was ahead"
    return f"{max(hours, 0.0):.1f} hours ago"
