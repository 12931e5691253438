"""`GET /v1/exports/{id}`: a file, for the key that asked for it, and for admins.

What is absent, foreign, unfinished or expired is answered alike: an id tells nothing to whoever guesses it.
"""

import asyncio
import contextlib
from typing import BinaryIO, Final

from aiohttp import web

from service.access.authenticate import UnauthenticatedError
from service.api.exports.types import decode_export_id, encode_export_id
from service.errors import ServiceError
from service.export.folder import ExportFolder
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.http import refusal
from service.runtime.runtime import Runtime
from service.storage.control.exports import ExportRecord, ExportState, get_export
from service.storage.errors import DatabaseUnavailableError

PATH: Final = "/v1/exports/{id}"
_CHUNK_BYTES: Final = 2**17
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
    response = web.StreamResponse(headers=_headers(record))
    response.content_length = record.bytes
    with file:
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):  # whoever hangs up has had enough
            while part := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                await response.write(part)
            await response.write_eof()
    return response


def _headers(record: ExportRecord) -> dict[str, str]:
    form = record.request.get("format", "NDJSON")
    name = f"calledger-{record.kind.value.lower()}-{encode_export_id(record.id)}.{form.lower()}"
    return {
        "Content-Type": _TYPES[form],
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
