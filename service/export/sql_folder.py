"""A folder of Parquet files for analysts: what a role would be answered, in step with the policy.

    access.json               whose view it is, under which policy, and of each file its rows, digest and `until`
    open.sql                  views over the files for DuckDB
    calls/2026-11-29.parquet  and errors/: a file per UTC day that has rows
    costs/all.parquet         sums by UTC day

What a file holds is read as of `until`, the moment at which the folder is to be written again: what will be past its
window by then is not in it, nor a pseudonym that will not be readable. A file in which that may change is removed
before anything new is written, and all are when the policy, the role or an erasure changes what may be seen. So
whatever fails leaves less data, never more.
"""

import asyncio
import hashlib
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from typing import Any, BinaryIO, Final

import orjson

from policies.policy.model import DataClass, Policy, Store, View
from policies.retention import cutoff, readable_cutoff
from service.api.exports.kinds import SHAPES, ExportGrouping, chosen_fields, shape_of
from service.api.exports.requests import ExportRequest
from service.errors import RequestError
from service.export.entries import ledger_taken
from service.export.files.columns import Layout, Values, flat
from service.export.files.parquet import columns_said
from service.export.sources.source import open_source
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.query.scan.ranges import DatabaseClock
from service.runtime.runtime import Runtime
from service.storage.control.erasures import erasures_so_far

FORMAT: Final = "calledger-sql/1"
TABLES: Final[Mapping[str, str]] = {"calls": "CALLS", "errors": "ERRORS", "costs": "COSTS"}
"""The kind of export of each table."""
DAY: Final = timedelta(days=1)
_STATE: Final = "access.json"
_SCRIPT: Final = "open.sql"
_ALL: Final = "all"
_MODE: Final = 0o640


class SqlFolderError(RequestError):
    """the folder is none that `calledger sql-access` wrote"""


@dataclass(frozen=True, slots=True)
class Access:
    """Whose view a folder is. `names`: its accounts (none: every account); `days`: how far back at most; `again`: how
    many of the newest days are read again each time; `every`: when it is written again at the latest.
    """

    scope: Scope
    names: tuple[str, ...]
    days: int
    again: int
    every: timedelta


@dataclass(slots=True)
class _State:
    """What `access.json` says. `seen`: what decides whether files may stay, besides time."""

    seen: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])

    @classmethod
    def of(cls, folder: Path) -> "_State | None":
        """None where the folder is new or empty. Raises SqlFolderError for somebody else's folder."""
        try:
            said = orjson.loads((folder / _STATE).read_bytes())
            if said["format"] != FORMAT:
                raise SqlFolderError
            return cls(said["seen"], said["files"])
        except FileNotFoundError:
            if folder.exists() and any(folder.iterdir()):
                raise SqlFolderError(f"`{folder}` is no folder of `calledger sql-access`, and not empty") from None
            return None
        except (ValueError, KeyError, TypeError):
            raise SqlFolderError(f"`{folder / _STATE}` cannot be read: remove the folder, and write it anew") from None

    def save(self, folder: Path) -> None:
        """Write it in one step."""
        _put(folder / _STATE, orjson.dumps({"format": FORMAT, "seen": self.seen, "files": self.files}))


def end_folder(folder: Path) -> None:
    """Remove the files of a folder, and what says what they are. Raises SqlFolderError for somebody else's folder."""
    if _State.of(folder) is None:
        raise SqlFolderError(f"there is nothing of `calledger sql-access` in `{folder}`")
    _clear(folder)
    for name in (_SCRIPT, _STATE):
        (folder / name).unlink(missing_ok=True)


async def write_folder(runtime: Runtime, folder: Path, access: Access) -> tuple[int, int]:
    """Bring the folder up to date; how many files were written, and with how many rows.

    Raises SqlFolderError, ForbiddenError where the role sees no field, and ExportRefusedError where it may not ask.
    """
    state, reader = _State.of(folder), await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    reader.clock = DatabaseClock(runtime.database, access.every)
    until = await reader.clock.now()
    seen = {
        "role": access.scope.role.value,
        "accounts": list(access.names) or None,
        "policy": runtime.applied.digest,
        "erasures": await erasures_so_far(runtime.database.owner),
    }
    if state is None or state.seen != seen:
        _clear(folder)
        state = _State(seen)
    _remove_stale(folder, state, access.scope.policy, until)
    state.save(folder)
    midnight = (until - access.every).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight - age * DAY for age in range(access.days, -1, -1)]
    views: list[str] = []
    files = rows = 0
    for table in TABLES:
        newest = days if table == "costs" else days[-access.again :]
        writer = _Table(runtime, reader, access, folder, table)
        made = await writer.write([day for day in days if day in newest or _path(table, day) not in state.files])
        rows += sum(one["rows"] for one in made.values())
        files += sum(1 for one in made.values() if "sha256" in one)
        state.files |= {name: said | {"until": until.isoformat()} for name, said in made.items()}
        state.save(folder)
        views.append(view_of(table, writer.layout))
    _put(folder / _SCRIPT, "\n".join(views).encode())
    return files, rows


def _path(table: str, day: datetime) -> str:
    """The file of a day. Sums are one file: they are few, and read in an order of their own."""
    return f"{table}/{_ALL if table == 'costs' else day.date().isoformat()}.parquet"


def _runs(days: Sequence[datetime]) -> Iterator[tuple[datetime, datetime]]:
    """Days that follow each other, as one: its start and its end."""
    start = before = days[0]
    for day in days[1:]:
        if day - before > DAY:
            yield start, before + DAY
            start = day
        before = day
    yield start, before + DAY


def _clear(folder: Path) -> None:
    for name in TABLES:
        rmtree(folder / name, ignore_errors=True)


def _remove_stale(folder: Path, state: _State, policy: Policy, until: datetime) -> None:
    """Remove each file in whose day a window has moved since it was written; make the folders that are not there."""
    for name in TABLES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, said in [*state.files.items()]:
        day, then = Path(name).stem, datetime.fromisoformat(said["until"])
        start = None if day == _ALL else datetime.fromisoformat(day).replace(tzinfo=UTC)
        ends = zip(_ends(policy, then), _ends(policy, until), strict=True)
        if start is None or any(before < start + DAY and after > start for before, after in ends):
            (folder / name).unlink(missing_ok=True)
            del state.files[name]


def _ends(policy: Policy, now: datetime) -> Iterator[datetime]:
    """The moments before which something is not shown any more."""
    for tier in policy.tiers.values():
        for store in Store:
            yield cutoff(policy, tier.number, store, now)
            yield readable_cutoff(policy, tier.number, DataClass.PERSONAL, store, now)


class _Table:
    """One table of the folder, as it is written now."""

    def __init__(self, runtime: Runtime, reader: Reader, access: Access, folder: Path, table: str) -> None:
        self._runtime, self._reader, self._access = runtime, reader, access
        self._folder, self._table = folder, table
        kind, grouping = TABLES[table], _grouping(access.scope) if table == "costs" else None
        self._shape = SHAPES[kind] if grouping is None else shape_of(kind, grouping)
        fields = chosen_fields(self._shape, None, access.scope)
        if grouping is None and self._shape.time_field not in dict(fields):
            raise SqlFolderError(f"the role `{access.scope.role}` does not see `{self._shape.time_field}`")
        self._request = ExportRequest(kind, "PARQUET", fields, None, grouping)
        self._drafts: dict[str, _Draft] = {}
        self.layout: Layout = ()

    async def write(self, days: Sequence[datetime]) -> dict[str, dict[str, Any]]:
        """Write the files of these days. The ledger has their rows before any of them has its name."""
        try:
            for start, end in _runs(days):
                await self._read(start, end)
            self._draft(_path(self._table, days[-1])).end()  # a view needs one
            rows, filter_ = sum(one.rows for one in self._drafts.values()), self._filter(days[0], days[-1] + DAY)
            kind, scope = self._request.kind, self._access.scope
            await ledger_taken(self._runtime, kind, "PARQUET", filter_, rows, scope=scope)
            for name in {_path(self._table, day) for day in days}:
                if name in self._drafts:
                    self._drafts[name].path.replace(self._folder / name)
                else:
                    (self._folder / name).unlink(missing_ok=True)
        finally:
            for one in self._drafts.values():
                one.close()
        nothing: dict[str, dict[str, Any]] = {_path(self._table, day): {"rows": 0} for day in days}
        return nothing | {name: one.said for name, one in self._drafts.items()}

    async def _read(self, start: datetime, end: datetime) -> None:
        """Read these days, oldest first, each into its file."""
        request = replace(self._request, filter=self._filter(start, end))
        source = await open_source(self._reader, self._access.scope, request)
        self.layout = source.layout
        names = [column.name for column in flat(source.layout)]
        async with aclosing(source.batches) as batches:  # pyright: ignore[reportArgumentType] - generators, all of them
            async for batch in batches:
                if self._table == "costs":
                    await asyncio.to_thread(self._draft(_path(self._table, start)).add, batch.rows, batch.count)
                    continue
                for day, columns in by_day(batch.rows, names.index(self._shape.time_field)):
                    await asyncio.to_thread(self._draft(_path(self._table, day)).add, columns, len(columns[0]))

    def _draft(self, name: str) -> "_Draft":
        """The draft of a file; one that was before it is ended, since days come in order."""
        if name not in self._drafts:
            for other in self._drafts.values():
                other.end()
            self._drafts[name] = _Draft(self._folder / f"{name}~", self.layout, self._runtime.applied.digest)
        return self._drafts[name]

    def _filter(self, start: datetime, end: datetime) -> dict[str, Any]:
        between = {"gte": start.isoformat(), "lt": end.isoformat()}
        accounts = {"account": {"in": list(self._access.names)}} if self._access.names else {}
        return {self._shape.time_field: between} | accounts


def _grouping(scope: Scope) -> ExportGrouping:
    """As costs are grouped by default, by what the role sees."""
    usual = ExportGrouping()
    seen = [name for name in usual.group_by if scope.views.get(f"CostKey.{name.lower()}") is View.SEE]
    return replace(usual, group_by=tuple(seen))


class _Draft:
    """One file in the making, by pyarrow in this process: it is a command's, and ends with it."""

    def __init__(self, path: Path, layout: Layout, policy: str) -> None:
        # Imported here: it takes 80 MB, and other commands do without.
        from service.export.files.parquet_process import ParquetFile

        self.path, self.rows = path, 0
        self._file, self._sha256 = _created(path), ""
        self._parquet = ParquetFile(self._file, columns_said(layout), {"policy": policy})

    @property
    def said(self) -> dict[str, Any]:
        """What `access.json` says of the file."""
        return {"rows": self.rows, "sha256": f"sha256:{self._sha256}"}

    def add(self, columns: Sequence[Values], count: int) -> None:
        """Write rows."""
        self.rows += count
        self._parquet.rows(columns)

    def end(self) -> None:
        """Write what stands after the rows, once."""
        if not self._file.closed:
            self._parquet.end()
            self._file.close()
            with self.path.open("rb") as file:
                self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()

    def close(self) -> None:
        """Let go of everything. A file that has got its name meanwhile stays."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def by_day(columns: Sequence[Values], time: int) -> Iterator[tuple[datetime, list[Values]]]:
    """Rows in the order of the column at `time`, RFC 3339 in UTC, by the day that it says."""
    moments, start = columns[time] if columns else (), 0
    while start < len(moments):
        day = moments[start][:10]
        end = bisect_left(moments, day + "~", start)  # behind every moment of the day
        yield datetime.fromisoformat(day).replace(tzinfo=UTC), [column[start:end] for column in columns]
        start = end


def view_of(table: str, layout: Layout) -> str:
    """A view of DuckDB over a table's files, whose columns need no quotes: `amount.currency` is `amount_currency`."""
    named = [(column.name, column.name.removeprefix("key.").replace(".", "_")) for column in flat(layout)]
    columns = ", ".join(f'"{name}" AS "{"amount" if to == "amount_amount" else to}"' for name, to in named)
    # Nothing of ours runs it: it is for whoever opens the folder.
    return (
        f"-- {table}, for DuckDB in this folder\n"
        f"CREATE OR REPLACE VIEW {table} AS\nSELECT {columns}\nFROM read_parquet('{table}/*.parquet');\n"
    )


def _created(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "wb")


def _put(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + "~")
    with _created(draft) as file:
        file.write(data)
    draft.replace(path)
