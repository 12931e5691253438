"""Where `calledger export` writes: standard output, or a file that can be gone on with.

    FILE.part        what is written so far
    FILE.part.json   how much of it is whole rows, where the next one is, and what was asked for

FILE has its name when it is complete; FILE.manifest.json says what it is.
"""

import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from policies import Role, view_table
from service.api.exports.requests import ExportRequest
from service.commands.common import progress
from service.errors import RequestError
from service.export.entries import ledger_taken
from service.export.sources.source import Source, encoder_for, manifest_of, open_source
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.runtime.runtime import Runtime

_SAVE_S: Final = 2.0
_CHUNK_BYTES: Final = 2**20


def admin_scope(runtime: Runtime) -> Scope:
    """The scope of an operator at the shell: every account, every field."""
    policy = runtime.applied.policy
    return Scope("cli", Role.ADMIN, None, policy, view_table(policy, Role.ADMIN))


async def write_stdout(runtime: Runtime, request: ExportRequest) -> None:
    """Write the rows of a request to standard output."""
    out = sys.stdout.buffer
    await _write(runtime, request, out.write, None, _Begun())
    out.flush()


async def write_file(runtime: Runtime, request: ExportRequest, path: Path, *, resume: bool) -> int:
    """Write the rows of a request to a file, and what it is beside it; how many rows it has.

    `resume`: go on with what there is of it. Raises RequestError when there is something else in its place.
    """
    part, begun = _part(path, request, resume=resume)
    with part.file as file:

        def save(rows: int, cursor: str | None) -> None:
            """Remember how far the file is, where it can be gone on with."""
            if cursor is not None and time.monotonic() >= part.due:
                file.flush()
                part.save(request, rows, cursor)

        said, rows = await _write(runtime, request, part.write, save, begun)
        file.flush()
        os.fsync(file.fileno())
    counts = {"rows": rows, "bytes": part.bytes, "sha256": f"sha256:{part.hash.hexdigest()}", "file": path.name}
    manifest = orjson.dumps(said | counts, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    path.with_name(path.name + ".manifest.json").write_bytes(manifest + b"\n")
    part.path.replace(path)
    part.state.unlink(missing_ok=True)
    return rows


@dataclass(frozen=True, slots=True)
class _Begun:
    """How far a file is that is gone on with."""

    rows: int = 0
    size: int = 0
    after: str | None = None


class _Part:
    """A file that is being written."""

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.state = _names(path)
        self.file: BinaryIO = self.path.open("r+b" if size else "wb")
        self.hash = hashlib.sha256()
        self.bytes = 0
        self.due = time.monotonic() + _SAVE_S
        while self.bytes < size:
            data = self.file.read(min(_CHUNK_BYTES, size - self.bytes))
            self.hash.update(data)
            self.bytes += len(data)
        self.file.truncate(size)

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self.file.write(data)
        self.hash.update(data)
        self.bytes += len(data)

    def save(self, request: ExportRequest, rows: int, cursor: str) -> None:
        """Remember that so many rows are written whole."""
        said = {"asked": _asked(request), "rows": rows, "bytes": self.bytes, "cursor": cursor}
        draft = self.state.with_name(self.state.name + "~")
        draft.write_bytes(orjson.dumps(said))
        draft.replace(self.state)
        self.due = time.monotonic() + _SAVE_S


def _names(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + ".part"), path.with_name(path.name + ".part.json")


def _asked(request: ExportRequest) -> dict[str, Any]:
    return orjson.loads(orjson.dumps({"kind": request.kind, **request.stored}))


def _part(path: Path, request: ExportRequest, *, resume: bool) -> tuple[_Part, _Begun]:
    part, state = _names(path)
    if path.exists():
        raise RequestError(f"`{path}` is there already: choose another name, or remove it")
    if not resume:
        if part.exists():
            raise RequestError(f"`{part}` is there already: go on with it by --resume, or remove it")
        return _Part(path, 0), _Begun()
    try:
        said = orjson.loads(state.read_bytes())
        begun = _Begun(said["rows"], said["bytes"], said["cursor"])
        same, whole = said["asked"] == _asked(request), part.stat().st_size >= begun.size
    except (OSError, ValueError, KeyError, TypeError):
        raise RequestError(f"there is nothing to go on with beside `{path}`: leave --resume out") from None
    if not same:
        raise RequestError(f"`{part}` was begun with other options: give the same ones, or remove it")
    if not whole:
        raise RequestError(f"`{part}` is shorter than it was: remove it, and begin anew")
    return _Part(path, begun.size), begun


async def _write(
    runtime: Runtime,
    request: ExportRequest,
    write: Callable[[bytes], object],
    save: Callable[[int, str | None], None] | None,
    begun: _Begun,
) -> tuple[dict[str, Any], int]:
    """Write what comes behind what there is already; manifest and rows in all. `save`: called after each part.

    The ledger has how many rows there are before the first one leaves, and in the end, where it were others.
    """
    scope = admin_scope(runtime)
    reader = await Reader.open(runtime.database, runtime.accounts, runtime.keyring)
    source = await open_source(reader, scope, request, total=True, after=begun.after)
    said = manifest_of(request, scope, runtime.applied.digest, await reader.clock.now())
    kind, form, filter_ = request.kind, request.format, request.filter
    entry, announced, rows = None, 0, begun.rows
    with progress() as bar:
        task = bar.add_task(f"exporting {kind.lower()}", total=source.total, completed=rows)
        async for data, number, cursor in _encoded(source, request, said, begun=begun.after is not None):
            if entry is None and number is not None:
                announced = number if source.total is None else source.total
                entry = await ledger_taken(runtime, kind, form, filter_, announced)
            write(data)
            rows += number or 0
            if save is not None:
                save(rows, cursor)
            bar.update(task, completed=rows, total=source.total)
    if entry is None:
        entry = await ledger_taken(runtime, kind, form, filter_, announced)
    if rows != announced:  # calls were reported meanwhile
        await ledger_taken(runtime, kind, form, filter_, rows, instead_of=entry)
    return said, rows


async def _encoded(
    source: Source, request: ExportRequest, said: dict[str, Any], *, begun: bool
) -> AsyncIterator[tuple[bytes, int | None, str | None]]:
    """Parts of the file, each with its rows (None: it has none to count) and the cursor behind them."""
    encoder = encoder_for(request, source.layout, said)
    try:
        head = await encoder.begin()
        if not begun:
            yield head, None, None
        async with aclosing(source.batches) as batches:  # pyright: ignore[reportArgumentType] - generators, all of them
            async for batch in batches:
                yield await encoder.rows(batch.rows), batch.count, batch.end
        yield await encoder.end(), None, None
    finally:
        await encoder.close()
