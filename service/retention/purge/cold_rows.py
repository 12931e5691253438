"""How many calls files have of a time, and the oldest of them: what the retention report counts beside stored rows."""

from collections.abc import Sequence
from datetime import datetime

from policies.policy.model import Store
from policies.retention import Partition
from service.retention.cold.thaw import tier_of
from service.retention.context import RetentionContext
from service.retention.purge.detached import DetachedRows
from service.storage.cold.catalogue import ColdFile, cold_files, overlapping
from service.storage.cold.tier import ColdRead
from service.storage.connection import Connection


class ColdSurvey:
    """Counts rows of files, of some accounts (None: of all). Raises ColdFileError for a file that cannot be read."""

    def __init__(self, context: RetentionContext, files: Sequence[ColdFile], accounts: Sequence[int] | None) -> None:
        self._context = context
        self._files = [file for file in files if file.frozen]
        self.accounts = None if accounts is None else list(accounts)

    @classmethod
    async def read(
        cls, context: RetentionContext, connection: Connection, accounts: Sequence[int] | None
    ) -> "ColdSurvey":
        """The files as they are now."""
        return cls(context, await cold_files(connection), accounts)

    async def rows(self, store: Store, tier: int, start: datetime, end: datetime) -> DetachedRows:
        """What there is of a store's rows between two moments."""
        count, oldest = 0, list[datetime]()
        for file in overlapping(self._files, tier, start, end) if store is Store.CALL else ():
            accounts = None if self.accounts is None else tuple(self.accounts)
            wanted = ColdRead(file, accounts, max(start, file.start), min(end, file.end))
            found, first = await tier_of(self._context).survey(wanted)
            count += found
            oldest += [] if first is None else [first]
        return DetachedRows(count, min(oldest, default=None))

    async def beside(self, stored: DetachedRows, part: Partition) -> DetachedRows:
        """What is stored of a partition, and what is in its file."""
        found = await self.rows(part.store, part.tier, part.start, part.end)
        oldest = [one.oldest for one in (stored, found) if one.oldest is not None]
        return DetachedRows(stored.rows + found.rows, min(oldest, default=None))
