"""Adding and removing sources: the table and the ledger's entry in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from service.imports.addresses import shown
from service.imports.sealing import SealedAddress, seal_address
from service.ledger import LedgerKind
from service.log_redaction import guarded
from service.runtime.runtime import Runtime
from service.storage.gateways import pull_sources
from service.storage.gateways.pull_sources import NewSource, source_facts

_ACTOR: Final = "cli"


@dataclass(frozen=True, slots=True)
class AskedSource:
    """A source to add: of the account `account` (None: each call of the account that it names), read every so often."""

    name: str
    format: str
    where: SealedAddress
    account: str | None
    options: Mapping[str, str]
    every_s: int


async def add_source(runtime: Runtime, asked: AskedSource) -> None:
    """Add a source. Raises RequestError where there is one of its name, or too many."""
    id_, account = uuid4(), None
    if asked.account is not None:
        account = (await runtime.accounts.ensure([asked.account]))[asked.account]
    sealed, address = await seal_address(runtime.keyring, id_, asked.where), guarded(shown(asked.where.address))
    new = NewSource(id_, asked.name, asked.format, address, account, asked.options, sealed, asked.every_s)
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        await pull_sources.add_source(connection, new)
        note = f"{asked.name}: {address}"
        kind, facts = LedgerKind.SOURCE_ADDED, source_facts(new)
        await runtime.ledger.append(kind, facts, actor=_ACTOR, note=note, connection=connection)


async def remove_source(runtime: Runtime, name: str) -> bool:
    """Remove a source with its secret; False where there is none of that name."""
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        id_ = await pull_sources.remove_source(connection, name)
        if id_ is not None:
            facts = {"source": str(id_)}
            await runtime.ledger.append(LedgerKind.SOURCE_REMOVED, facts, actor=_ACTOR, connection=connection)
    return id_ is not None
