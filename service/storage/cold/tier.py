"""The files of calls as one process reads them: in a thread of its own, some rows at a time.

Rows of files are handed to a statement as JSON, and PostgreSQL filters, masks and orders them as it does stored ones
(`calledger_cold`): what may be seen is decided in one place. A file that cannot be read is an error of the request, is
counted, and is never taken for an empty one.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from prometheus_client import Counter

from service.logs import get_logger
from service.offload import OffloadThread
from service.storage.cold.catalogue import ColdFile
from service.storage.cold.columns import CallsAt
from service.storage.cold.errors import ColdFileError, PyarrowMissingError, TooManyRowsError

if TYPE_CHECKING:  # it loads pyarrow
    from service.storage.cold.parquet import CallFile, FoundKeys

log = get_logger()

UNREADABLE: Final = Counter("calledger_cold_unreadable", "Times that a file of the cold tier could not be read")
LOOKED_AT_MAX: Final = 4_000_000
"""Rows that are looked at for one part of a list, which take 80 MB for that long; for single calls, any number."""
_OPEN_MAX: Final = 32
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
    """The folder of files, as one process reads it. `close` it after use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._aside = OffloadThread()
        self._files: OrderedDict[str, CallFile] = OrderedDict()

    async def find(self, reads: Sequence[ColdRead], *, newest_first: bool = False) -> FoundRows:
        """Where these rows lie.

        Raises ColdFileError, and TooManyRowsError where too much would have to be looked at: of single calls never, for
        they are found one group of rows after the other.
        """

        def look() -> FoundRows:
            """Read the keys of each file."""
            from service.storage.cold.parquet import FoundKeys

            files = [self._opened(one.file) for one in reads]
            near = [
                file.rows_near(one.accounts, one.start, one.end)
                for file, one in zip(files, reads, strict=True)
                if one.calls is None
            ]
            if sum(near) > LOOKED_AT_MAX:
                raise TooManyRowsError
            tables = [
                file.keys(one.accounts, one.start, one.end, one.calls) for file, one in zip(files, reads, strict=True)
            ]
            return FoundRows(reads, FoundKeys(tables, newest_first=newest_first))

        return await self._run(look, [one.file for one in reads])

    async def give(self, found: FoundRows, first: int, last: int, columns: Collection[str] | None) -> GivenRows:
        """The rows from the `first` to before the `last` that were found, with these columns (None: all).

        Raises ColdFileError.
        """

        def read() -> GivenRows:
            """Read the rows of each file."""
            rows: list[bytes] = []
            for number, one in enumerate(found.reads):
                keys = found.keys.of_file(number, first, last)
                if keys.num_rows:
                    rows += self._opened(one.file).records(keys, columns)
            return GivenRows(tuple(sorted({one.file.id for one in found.reads})), as_array(rows))

        return await self._run(read, [one.file for one in found.reads])

    async def has_account(self, file: ColdFile, account: int) -> bool:
        """Whether any row of the file is of the account. Raises ColdFileError."""
        return await self._run(lambda: self._opened(file).has_account(account), [file])

    async def survey(self, read: ColdRead) -> tuple[int, datetime | None]:
        """How many such rows a file has, and the oldest of them. Raises ColdFileError."""
        file, accounts, start, end, _ = read
        return await self._run(lambda: self._opened(file).survey(accounts, start, end), [file])

    async def batches(self, file: ColdFile, rows: int) -> AsyncIterator[str]:
        """All rows of a file with all columns, so many at a time, as JSON arrays. Raises ColdFileError."""
        batches = await self._run(lambda: self._opened(file).every_record(rows), [file])
        while (batch := await self._run(lambda: next(batches, None), [file])) is not None:
            yield as_array(batch)

    async def forget(self, file: ColdFile) -> None:
        """Remove a file whose rows have come back or were purged; nothing happens if it is gone."""

        def remove() -> None:
            """Close it in the thread that reads, and so not while it is read."""
            self._close(file.name)
            with suppress(FileNotFoundError):
                (self.folder / file.name).unlink()

        await self._run(remove, [file])

    def close(self) -> None:
        """End the thread."""
        self._aside.close()

    async def _run(self, work: Callable[[], _Made], files: Iterable[ColdFile]) -> _Made:
        try:
            return await self._aside.run(lambda _: work(), None)
        except TooManyRowsError:
            raise
        except Exception as error:  # pyarrow has many, and what is in a damaged file may be anything
            UNREADABLE.inc()
            names = sorted({file.name for file in files})
            log.error("a file of the cold tier cannot be read", files=names[:3], error=type(error).__name__)
            days = ", ".join(sorted({f"{file.start:%Y-%m-%d}" for file in files})[:3])
            raise ColdFileError(
                f"calls of the partition of {days} are in a file that cannot be read here: nothing is answered of its "
                "time; `calledger cold status` names it"
            ) from error

    def _opened(self, file: ColdFile) -> "CallFile":
        """The open file, in the thread that reads."""
        if find_spec("pyarrow") is None:
            raise PyarrowMissingError
        from service.storage.cold.parquet import CallFile

        known = self._files.get(file.name)
        if known is None:
            path = self.folder / file.name
            known = CallFile(path)
            if (path.stat().st_size, known.rows) != (file.bytes, file.rows):
                raise ColdFileError(f"`{file.name}` is not the file that was written")
            self._files[file.name] = known
            if len(self._files) > _OPEN_MAX:
                self._close(next(iter(self._files)))
        self._files.move_to_end(file.name)
        return known

    def _close(self, name: str) -> None:
        known = self._files.pop(name, None)
        if known is not None:
            known.close()


def as_array(rows: Iterable[bytes]) -> str:
    """JSON objects as the text of one array."""
    return f"[{b','.join(rows).decode()}]"
