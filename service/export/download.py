"""`GET /v1/exports/{id}`: a file, for the key that asked for it, for admins, and by a link that one of them made.

What is absent, foreign, unfinished or expired is answered alike: an id tells nothing to whoever guesses it. A download
that was cut off goes on where it ended (RFC 9110, section 14): `Range`, with `If-Range` for the same file alone.
"""

import asyncio
import contextlib
import re
from typing import BinaryIO, Final
from uuid import UUID

from aiohttp import web

from service.access.authenticate import UnauthenticatedError
from service.access.principal import Principal
from service.api.exports.links import PARAMETER, open_link
from service.api.exports.requests import ExportRequest
from service.api.exports.types import decode_export_id, encode_export_id
from service.errors import ServiceError
from service.export.asker import asker_of
from service.export.folder import ExportFolder
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.http import refusal
from service.query.records.ordering import Cursors
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord, ExportState, StoredExportKind, get_export
from service.storage.errors import DatabaseUnavailableError

PATH: Final = "/v1/exports/{id}"
_CHUNK_BYTES: Final = 2**17
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII | re.IGNORECASE)
_TYPES: Final = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8; header=present",
    "parquet": "application/vnd.apache.parquet",
    "ndjson.gz": "application/gzip",
    "csv.gz": "application/gzip",
}


class Download:
    """Answers downloads in one process."""

    def __init__(self, runtime: Runtime, folder: ExportFolder) -> None:
        self._runtime = runtime
        self._folder = folder

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file or a part of it, or 404; 401 without a key that lives."""
        try:
            record = await self._reached(request)
        except (UnauthenticatedError, ServiceError) as error:
            return refusal(error)
        file = None if record is None else await self._opened(record)
        if record is None or file is None:
            raise web.HTTPNotFound
        with file:
            return await _sent(request, record, file)

    async def _reached(self, request: web.Request) -> ExportRecord | None:
        """The export of the path, if the request's key or link may have it now."""
        id_ = decode_export_id(request.match_info["id"])
        link = request.query.get(PARAMETER)
        try:
            if link is not None:
                return None if id_ is None else await self._linked(id_, link)
            principal = await self._runtime.authenticator.authenticate(request.headers.get("Authorization"))
            return None if id_ is None else await self._readable(id_, principal)
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error

    async def _linked(self, id_: UUID, link: str) -> ExportRecord | None:
        """The export, if the link is one to its file, and the key that made it may have it now."""
        async with self._runtime.database.reading(None) as connection:
            record = await get_export(connection, id_)
        cursors = Cursors(await self._runtime.keyring.secret("cursor"))
        maker = None if record is None or record.sha256 is None else open_link(cursors, id_, record.sha256, link)
        if record is None or maker is None:
            return None
        principal = await asker_of(self._runtime, maker.key_id, maker.role, record.accounts if maker.bound else None)
        return None if principal is None else await self._readable(id_, principal)

    async def _readable(self, id_: UUID, principal: Principal) -> ExportRecord | None:
        # PostgreSQL itself shows a key that is bound to accounts the exports of these alone.
        async with self._runtime.database.reading(principal.accounts) as connection:
            record = await get_export(connection, id_)
        if record is None or record.state is not ExportState.READY:
            return None
        return record if record.may_be_read_by(principal, self._runtime.applied.policy) else None

    async def _opened(self, record: ExportRecord) -> BinaryIO | None:
        assert record.bytes is not None, "what is ready has a size"
        try:
            return await asyncio.to_thread(self._folder.open, record.id, record.bytes)
        except OSError:
            return None


async def _sent(request: web.Request, record: ExportRecord, file: BinaryIO) -> web.StreamResponse:
    """The file, part by part: however long it is, and however slowly it is taken, little of it is in memory."""
    size, headers = record.bytes or 0, _headers(record)
    if headers["ETag"] in (tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")):
        return web.Response(status=304, headers=headers)
    asked = _range_of(request, headers["ETag"], size)
    if asked is None:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}", "Cache-Control": "no-store"})
    partial = asked != range(size)
    if partial:
        headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    response.content_length = left = len(asked)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    with contextlib.suppress(ConnectionError):  # whoever hangs up has had enough
        await asyncio.to_thread(file.seek, asked.start)
        while left and (part := await asyncio.to_thread(file.read, min(_CHUNK_BYTES, left))):
            left -= len(part)
            await response.write(part)
        await response.write_eof()
    return response


def _range_of(request: web.Request, tag: str, size: int) -> range | None:
    """The bytes that are asked for: all of them without a `Range`, or one that is of several parts or of another file.

    None when there are no such bytes (416).
    """
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or found[0] == "bytes=-" or request.headers.get("If-Range", tag) != tag:
        return range(size)
    first, last = found[1], found[2]
    if not first:
        asked = range(max(0, size - int(last)), size)
    else:
        asked = range(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return range(size)  # no valid range: as if there were none
    return asked or None


def _headers(record: ExportRecord) -> dict[str, str]:
    evidence = record.kind is StoredExportKind.EVIDENCE
    suffix = "ndjson" if evidence else ExportRequest.of(record.kind.value, record.request).suffix
    name = f"calledger-{record.kind.value.lower()}-{encode_export_id(record.id)}.{suffix}"
    return {
        "Content-Type": _TYPES[suffix],
        "Content-Disposition": f'attachment; filename="{name}"',
        "Accept-Ranges": "bytes",
        "ETag": f'"{(record.sha256 or "").removeprefix("sha256:")}"',
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
