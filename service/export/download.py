"""`GET /v1/exports/{id}`: a file, for the key that asked for it, and for admins.

What is absent, foreign, unfinished or expired is answered alike: an id tells nothing to whoever guesses it. The
entity tag is the file's digest: who has the file need not fetch it again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final

from aiohttp import hdrs, web

from service.access.authenticate import UnauthenticatedError
from service.api.exports.types import decode_export_id, encode_export_id
from service.content_coding import Coding, Compressor, chosen, compressor
from service.entity_tags import entity_tag, is_known
from service.errors import ServiceError
from service.export.folder import ExportFolder
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.http import refusal
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord, ExportState, get_export
from service.storage.errors import DatabaseUnavailableError

PATH: Final = "/v1/exports/{id}"
_CHUNK_BYTES: Final = 2**17
_OF_UNCHANGED: Final = ("ETag", "Vary", "Cache-Control")
"""Headers of a 304 (RFC 9110, section 15.4.5)."""
_TYPES: Final = {"NDJSON": "application/x-ndjson", "CSV": "text/csv; charset=utf-8; header=present"}


class Download:
    """Answers downloads in one process."""

    def __init__(self, runtime: Runtime, folder: ExportFolder) -> None:
        self._runtime = runtime
        self._folder = folder

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file, or 404; 401 without a key that lives."""
        try:
            record = await self._reached(request)
        except (UnauthenticatedError, ServiceError) as error:
            return refusal(error)
        file = None if record is None else await self._opened(record)
        if record is None or file is None:
            raise web.HTTPNotFound
        return await _sent(request, record, file)

    async def _reached(self, request: web.Request) -> ExportRecord | None:
        """The export of the path, if the request's key may have it now."""
        try:
            principal = await self._runtime.authenticator.authenticate(request.headers.get("Authorization"))
            id_ = decode_export_id(request.match_info["id"])
            if id_ is None:
                return None
            # PostgreSQL itself shows a key that is bound to accounts the exports of these alone.
            async with self._runtime.database.reading(principal.accounts) as connection:
                record = await get_export(connection, id_)
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error
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
    coding = chosen(request.headers.get(hdrs.ACCEPT_ENCODING))
    headers = _headers(record, coding)
    with file:
        if is_known(request.headers.get(hdrs.IF_NONE_MATCH), headers["ETag"]):
            return web.Response(status=304, headers={name: headers[name] for name in _OF_UNCHANGED})
        response = web.StreamResponse(headers=headers)
        if coding is None:
            response.content_length = record.bytes
        await response.prepare(request)
        read = _reading(file, coding)
        with contextlib.suppress(ConnectionError):  # whoever hangs up has had enough
            while part := await asyncio.to_thread(read):
                await response.write(part)
            await response.write_eof()
    return response


def _reading(file: BinaryIO, coding: Coding | None) -> Callable[[], bytes]:
    """What returns the next part to send, and at the end nothing."""
    if coding is None:
        return partial(file.read, _CHUNK_BYTES)
    parts = _compressed_parts(file, compressor(coding))
    return lambda: next(parts, b"")


def _compressed_parts(file: BinaryIO, made: Compressor) -> Iterator[bytes]:
    while data := file.read(_CHUNK_BYTES):
        if part := made.compress(data):
            yield part
    yield made.flush()


def _headers(record: ExportRecord, coding: Coding | None) -> dict[str, str]:
    assert record.sha256 is not None, "what is ready has a digest"
    form = record.request.get("format", "NDJSON")
    name = f"calledger-{record.kind.value.lower()}-{encode_export_id(record.id)}.{form.lower()}"
    encoding = {} if coding is None else {"Content-Encoding": coding}
    return {
        **encoding,
        "ETag": entity_tag(record.sha256.removeprefix("sha256:"), coding),
        "Vary": "Accept-Encoding",
        "Content-Type": _TYPES[form],
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
