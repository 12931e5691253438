"""The files of calls as one process reads them: in a thread of its own, some rows at a time.

Rows of files are handed to a statement as JSON, and PostgreSQL filters, masks and orders them as it does stored ones
(`calledger_cold`): what may be seen is decided in one place. A file that cannot be read is an error of the request, is
counted, and is never taken for an empty one.
"""

import asyncio
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import asyncpg
from prometheus_client import Counter

from service.logs import get_logger
from service.offload import OffloadThread
from service.storage.cold.catalogue import ColdFile, cold_files
from service.storage.cold.columns import CallsAt
from service.storage.cold.errors import ColdFileError, PyarrowMissingError, TooManyRowsError, reason_of
from service.storage.cold.fetching import Fetching
from service.storage.cold.files import ColdFiles, FileState
from service.storage.connection import Queryable

if TYPE_CHECKING:  # it loads pyarrow
    from pyarrow import Table

    from service.storage.cold.parquet import CallFile, FoundKeys

log = get_logger()

UNREADABLE: Final = Counter("calledger_cold_unreadable", "Times that a file of the cold tier could not be read")
LOOKED_AT_MAX: Final = 1_000_000
"""Rows whose keys are known at a time, which takes 60 MB: a window with more is read in shorter ones."""
_OPEN_MAX: Final = 32
_LET_GO_S: Final = 60.0
_ANSWERS_MAX: Final = 10_000
_Made = TypeVar("_Made")


class GivenRows(NamedTuple):
    """Rows of files for a statement: the ids of the files, and the rows as a JSON array of objects."""

    files: tuple[int, ...]
    rows: str


class ColdRead(NamedTuple):
    """The rows of a file that are asked for: of these accounts (None: all), between two moments; only `calls` and their
    corrections where they are given.
    """

    file: ColdFile
    accounts: tuple[int, ...] | None
    start: datetime
    end: datetime
    calls: CallsAt | None = None


class FoundRows(NamedTuple):
    """Where rows of some files lie, by their time."""

    reads: Sequence[ColdRead]
    keys: "FoundKeys"


class ColdTier:
    """The files, as one process reads them. `close` it after use."""

    def __init__(self, files: ColdFiles) -> None:
        self.files = files
        self._aside = OffloadThread()
        self._fetching = Fetching()
        self._has_account: dict[tuple[str, int], bool] = {}
        self._open: OrderedDict[str, tuple[FileState, CallFile]] = OrderedDict()

    async def find(
        self, reads: Sequence[ColdRead], *, newest_first: bool = False, most: int | None = None
    ) -> FoundRows:
        """Where these rows lie. Raises ColdFileError, and TooManyRowsError for more than `most` (None: than a part of a
        list may have; of single calls there are never too many).
        """
        tables, left = list["Table"](), LOOKED_AT_MAX if most is None else most
        for file, accounts, start, end, calls in reads:
            few = sys.maxsize if calls is not None else left
            looked_for = (accounts, start, end, calls, few)
            tables.append(await self._run(file, lambda opened, looked_for=looked_for: opened.keys(*looked_for)))
            left -= tables[-1].num_rows

        def order(tables: "Sequence[Table]") -> FoundRows:
            """Put the rows of all files into one order."""
            from service.storage.cold.parquet import FoundKeys

            return FoundRows(reads, FoundKeys(tables, newest_first=newest_first))

        return await self._aside.run(order, tables)

    async def give(self, found: FoundRows, first: int, last: int, columns: Collection[str] | None) -> GivenRows:
        """The rows from the `first` to before the `last` that were found, with these columns (None: all).

        Raises ColdFileError.
        """
        rows: list[bytes] = []
        for number, one in enumerate(found.reads):
            keys = await self._aside.run(lambda number: found.keys.of_file(number, first, last), number)
            if keys.num_rows:
                rows += await self._run(one.file, lambda opened, keys=keys: [*opened.records(keys, columns)])
        files = tuple(sorted({one.file.id for one in found.reads}))
        return await self._aside.run(lambda rows: GivenRows(files, as_array(rows)), rows)

    async def has_account(self, file: ColdFile, account: int) -> bool:
        """Whether any row of the file is of the account. Raises ColdFileError.

        Rounds of maintenance ask it again and again of files that may have to be fetched; what was written stays.
        """
        asked = (file.sha256, account)
        known = self._has_account.get(asked)
        if known is None:
            known = await self._run(file, lambda opened: opened.has_account(account))
            if len(self._has_account) >= _ANSWERS_MAX:
                self._has_account.clear()
            self._has_account[asked] = known
        return known

    async def survey(self, read: ColdRead) -> tuple[int, datetime | None]:
        """How many such rows a file has, and the oldest of them. Raises ColdFileError."""
        file, accounts, start, end, _ = read
        return await self._run(file, lambda opened: opened.survey(accounts, start, end))

    async def parts(self, read: ColdRead, columns: Collection[str]) -> AsyncIterator[GivenRows]:
        """All rows that are asked for, with these columns, some thousand at a time. Raises ColdFileError."""
        file, accounts, start, end, _ = read
        for group in await self._run(file, lambda opened: opened.groups_near(accounts, start, end)):
            looked_for = (group, accounts, start, end, columns)
            if rows := await self._run(file, lambda opened, looked_for=looked_for: opened.of_group(*looked_for)):
                yield GivenRows((file.id,), as_array(rows))

    async def batches(self, file: ColdFile, rows: int) -> AsyncIterator[str]:
        """All rows of a file with all columns, so many at a time, as JSON arrays. Raises ColdFileError, also where they
        are not as many as the file is listed with.
        """
        left = file.rows
        with self.files.in_use(file):
            batches = await self._run(file, lambda opened: opened.every_record(rows))
            while (batch := await self._run(file, lambda _: next(batches, None))) is not None:
                left -= len(batch)
                yield as_array(batch)
        if left:
            raise ColdFileError(f"`{file.name}` has other rows than it is listed with")

    async def forget(self, file: ColdFile) -> None:
        """Remove a file whose rows have come back or were purged; nothing happens if it is gone.

        Raises ColdFileError.
        """
        # It is closed in the thread that reads, and so not while it is read.
        await self._aside.run(self._close, file.name)
        try:
            await asyncio.to_thread(self.files.remove, file.name)
        except OSError as error:
            raise ColdFileError(f"`{file.name}` is done with, and cannot be removed: {reason_of(error)}") from error

    async def retain(self, names: Collection[str]) -> None:
        """Close all other files, and remove what this host has of them. Raises OSError."""

        def remove() -> None:
            """In the thread that reads."""
            for name in self._open.keys() - names:
                self._close(name)
            self.files.retain(names)

        await self._aside.run(lambda _: remove(), None)

    def close(self) -> None:
        """End the threads."""
        self._fetching.close()
        self._aside.close()

    async def _run(self, file: ColdFile, work: "Callable[[CallFile], _Made]") -> _Made:
        """What `work` makes of an open file, in the thread that reads, when the file is on this host."""
        try:
            with self.files.in_use(file):
                if self.files.lacks(file):
                    await self._fetching.wait_for(file, lambda: self.files.fetch(file))
                return await self._aside.run(lambda file: work(self._opened(file)), file)
        except TooManyRowsError:
            raise
        except Exception as error:  # pyarrow has many, and what is in a damaged file may be anything
            UNREADABLE.inc()
            log.error("a file of the cold tier cannot be read", file=file.name, error=type(error).__name__)
            raise ColdFileError(
                f"calls of the partition of {file.start:%Y-%m-%d} are in a file that cannot be read here: nothing is "
                "answered of its time; `calledger cold status` names it"
            ) from error

    def _opened(self, file: ColdFile) -> "CallFile":
        """The open file, in the thread that reads."""
        if find_spec("pyarrow") is None:
            raise PyarrowMissingError
        from service.storage.cold.parquet import CallFile

        path, state = self.files.opened(file)
        known = self._open.get(file.name)
        if known is None or known[0] != state:
            self._close(file.name)
            self._close_gone()
            known = self._open[file.name] = state, CallFile(path)
            if len(self._open) > _OPEN_MAX:
                self._close(next(iter(self._open)))
        if known[1].rows != file.rows:
            raise ColdFileError(f"`{file.name}` has other rows than it is listed with")
        self._open.move_to_end(file.name)
        return known[1]

    def _close_gone(self) -> None:
        """Close the copies that had to go for others: the disk has their room while they are open."""
        for name in [name for name, (_, opened) in self._open.items() if not opened.path.exists()]:
            self._close(name)

    def _close(self, name: str) -> None:
        known = self._open.pop(name, None)
        if known is not None:
            known[1].close()


async def let_go_for_ever(cold: ColdTier, source: Queryable, every_s: float = _LET_GO_S) -> None:
    """Once a minute close the files that are not listed any more, and remove what this host has of them, until
    cancelled: another host has brought their rows back, or erased some of them.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            await cold.retain({file.name for file in await cold_files(source)})
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("files that are done with are kept for a minute more", error=type(error).__name__)


def as_array(rows: Iterable[bytes]) -> str:
    """JSON objects as the text of one array."""
    return f"[{b','.join(rows).decode()}]"
