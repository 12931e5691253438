"""`GET /v1/exports/{id}`: a file, for the key that asked for it, for admins, and by a link that one of them made.

What is absent, foreign, unfinished or expired is answered alike: an id tells nothing to whoever guesses it. A download
that was cut off goes on where it ended (RFC 9110, section 14): `Range`, with `If-Range` for the same file alone. The
entity tag is the file's digest: who has the file need not fetch it again.
"""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import BinaryIO, Final
from uuid import UUID

from aiohttp import hdrs, web

from service.access.authenticate import UnauthenticatedError
from service.access.principal import Principal
from service.api.exports.links import PARAMETER, open_link
from service.api.exports.requests import ExportRequest
from service.api.exports.types import decode_export_id, encode_export_id
from service.content_coding import Coding, CompressionSlots, Compressor, chosen, compressor
from service.entity_tags import entity_tag, is_known
from service.errors import ServiceError
from service.export.requester import requester_of
from service.export.store import ExportStore
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.http import refusal
from service.logs import get_logger
from service.query.records.ordering import Cursors
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord, ExportState, StoredExportKind, get_export
from service.storage.errors import DatabaseUnavailableError

log = get_logger()
PATH: Final = "/v1/exports/{id}"
_CHUNK_BYTES: Final = 2**17
_OF_UNCHANGED: Final = ("ETag", "Vary", "Cache-Control")
"""Headers of a 304 (RFC 9110, section 15.4.5)."""
_COMPRESSED_AT_ONCE: Final = 8
_COMPRESSED_OF_ONE: Final = 2
"""Compressing takes a processor for as long as the client takes the file."""
_COMPRESSED: Final = frozenset({"parquet", "csv.gz", "ndjson.gz"})
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

    def __init__(self, runtime: Runtime, store: ExportStore) -> None:
        self._runtime = runtime
        self._store = store
        self._compressing = CompressionSlots(_COMPRESSED_AT_ONCE, of_one=_COMPRESSED_OF_ONE)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file or a part of it, or 404; 401 without a key that lives."""
        try:
            record = await self._reached(request)
        except (UnauthenticatedError, ServiceError) as error:
            return refusal(request, error)
        file = None if record is None else await self._opened(record)
        if record is None or file is None:
            raise web.HTTPNotFound
        coding = _coding(request, record)
        with file, self._compressing.slot(record.requested_by) if coding else nullcontext() as free:
            return await _sent(request, record, file, coding if free else None)

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
        accounts = record.accounts if maker.bound else None
        principal = await requester_of(self._runtime, maker.key_id, maker.role, accounts)
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
            file = await asyncio.to_thread(self._store.open, record.id, record.bytes)
        except OSError as error:
            log.error("the file of an export cannot be read", reason=error.strerror)
            return None
        if file is None:
            log.error("the file of an export is not here: services on several machines share CALLEDGER_EXPORTS")
        return file


def _coding(request: web.Request, record: ExportRecord) -> Coding | None:
    """How the whole of a file is compressed on its way, if there is a place for that.

    A part that is asked for is of the file as it is, and so is what a link gives: a browser goes on with a download
    that it broke off, and says how long it will take.
    """
    plain = request.headers.get(hdrs.RANGE) is not None or PARAMETER in request.query or _suffix(record) in _COMPRESSED
    return None if plain else chosen(request.headers.get(hdrs.ACCEPT_ENCODING))


async def _sent(
    request: web.Request, record: ExportRecord, file: BinaryIO, coding: Coding | None
) -> web.StreamResponse:
    """The file, part by part: however long it is, and however slowly it is taken, little of it is in memory."""
    size, suffix, asked_for = record.bytes or 0, _suffix(record), request.headers.get(hdrs.RANGE)
    headers = _headers(record, suffix, coding)
    if is_known(request.headers.get(hdrs.IF_NONE_MATCH), headers["ETag"]):
        return web.Response(status=304, headers={name: headers[name] for name in _OF_UNCHANGED})
    asked = _range_of(asked_for or "", request.headers.get(hdrs.IF_RANGE, headers["ETag"]) == headers["ETag"], size)
    if asked is None:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{size}", "Cache-Control": "no-store"})
    partial = asked != range(size)
    if partial:
        headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    if coding is None:
        response.content_length = len(asked)
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    parts = _parts(file, asked) if coding is None else _compressed(_parts(file, asked), compressor(coding))
    with contextlib.suppress(ConnectionError):  # whoever hangs up has had enough
        while part := await asyncio.to_thread(next, parts, b""):
            await response.write(part)
        await response.write_eof()
    return response


def _parts(file: BinaryIO, asked: range) -> Iterator[bytes]:
    """The bytes of a range of the file, some at a time."""
    file.seek(asked.start)
    left = len(asked)
    while left and (part := file.read(min(_CHUNK_BYTES, left))):
        left -= len(part)
        yield part


def _compressed(parts: Iterator[bytes], made: Compressor) -> Iterator[bytes]:
    for part in parts:
        if data := made.compress(part):
            yield data
    yield made.flush()


def _range_of(header: str, same: bool, size: int) -> range | None:
    """The bytes that are asked for: all of them without a `Range`, or one that is of several parts, or of another file.

    None when there are no such bytes (416).
    """
    found = _RANGE.fullmatch(header)
    if found is None or found[0] == "bytes=-" or not same:
        return range(size)
    first, last = found[1], found[2]
    if not first:
        asked = range(max(0, size - int(last)), size)
    else:
        asked = range(int(first), min(int(last) + 1, size) if last else size)
        if last and int(last) < int(first):
            return range(size)  # no valid range: as if there were none
    return asked or None


def _suffix(record: ExportRecord) -> str:
    if record.kind is StoredExportKind.EVIDENCE:
        return "ndjson"
    return ExportRequest.of(record.kind.value, record.request).suffix


def _headers(record: ExportRecord, suffix: str, coding: Coding | None) -> dict[str, str]:
    assert record.sha256 is not None, "what is ready has a digest"
    name = f"calledger-{record.kind.value.lower()}-{encode_export_id(record.id)}.{suffix}"
    encoding = {} if coding is None else {"Content-Encoding": coding}
    return {
        **encoding,
        "ETag": entity_tag(record.sha256.removeprefix("sha256:"), coding),
        "Vary": "Accept-Encoding",
        "Accept-Ranges": "bytes",
        "Content-Type": _TYPES[suffix],
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
