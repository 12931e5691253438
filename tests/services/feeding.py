"""Reading the change feed in tests: a reader beside an ingest service, and a consumer that goes on where it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from ingesting import Ingest

from policies.policy.model import Role
from policies.policy.views import view_table
from service.query.model.predicate import EVERYTHING, Predicate
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.records.changes import ChangesPage, ChangesRequest
from service.storage.numbering import number_changes

SELECTION: Mapping[str, Any] = {"id": {}, "sourceId": {}}


def scope_of(ingest: Ingest, *accounts: int) -> Scope:
    """The scope of a viewer of these accounts; without any, of all."""
    policy = ingest.applied.policy
    return Scope("testkey1", Role.VIEWER, accounts or None, policy, view_table(policy, Role.VIEWER))


async def number(ingest: Ingest) -> int:
    """Number what is committed, as a service does all the time."""
    connection = await asyncpg.connect(ingest.url)
    try:
        return await number_changes(connection)
    finally:
        await connection.close()


@dataclass
class Consumer:
    """Reads the feed page by page; `received` are kind and source id of each change, `after` is where it stands."""

    reader: Reader
    scope: Scope
    size: int = 7
    predicate: Predicate = EVERYTHING
    after: str | None = None
    received: list[tuple[str, str]] = field(default_factory=list)
    pages: list[ChangesPage] = field(default_factory=list)

    @classmethod
    async def of(cls, ingest: Ingest, *accounts: int, **options: Any) -> "Consumer":
        reader = await Reader.open(ingest.database, ingest.accounts, ingest.keyring)
        return cls(reader, scope_of(ingest, *accounts), **options)

    async def read(self) -> list[tuple[str, str]]:
        """Read on to the end of the feed; what was new."""
        before = len(self.received)
        while True:
            page = await self.reader.changes(
                self.scope, ChangesRequest(self.predicate, self.size, self.after), SELECTION
            )
            self.received += [(change.entry.kind.name, change.row["source_id"]) for change in page.changes]
            self.after = page.cursor(page.end)
            self.pages.append(page)
            if not page.has_next:
                return self.received[before:]


async def account_id(ingest: Ingest, name: str) -> int:
    found = await ingest.accounts.find(name)
    assert found is not None
    return found
