"""`GET /v1/attestations/{id}`: a statement of retention with its proofs, as `calledger attest FILE` writes it.

For keys that may ask `attestation`, and by a link that one of them made. What is absent or foreign is answered alike.
The proofs are made while the file is sent, so its length is not known before; where that fails, or its client takes
nothing of it for a while, the answer breaks off, and `calledger verify` says so of the file.
"""

import asyncio
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from aiohttp import hdrs, web

from policies.policy.views import may_ask
from service.access.authenticate import UnauthenticatedError
from service.access.principal import Principal
from service.api.exports.attestations import decode_attestation_id, encode_attestation_id
from service.api.exports.links import PARAMETER, open_link
from service.errors import ServiceError
from service.export.requester import requester_of
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.http import refusal
from service.ledger import SignedCheckpoint
from service.logs import get_logger
from service.query.records.ordering import Cursors
from service.retention.audit.attestation.proofs import attestation_lines, covering_checkpoint
from service.runtime.runtime import Runtime
from service.storage.control.attestations import AttestationRecord, get_attestation, statement_of
from service.storage.errors import DatabaseUnavailableError

log = get_logger()
PATH: Final = "/v1/attestations/{id}"
_AT_ONCE: Final = 2
"""Statements that are sent at a time: each is in memory while it is."""
TAKEN_WITHIN_S: Final = 60.0
"""Who takes no part of a file for so long gets no more of it: others wait for the place."""
_PART_BYTES: Final = 2**16


class AlteredError(ServiceError):
    """the statement that is stored is not the one that the ledger has: it was altered; `calledger fsck` says more"""


class StatementDownload:
    """Answers downloads of statements in one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The file, or 404; 401 without a key that lives, 503 where it cannot be given as the ledger has it."""
        try:
            record = await self._reached(request)
            if record is None or record.ledger_index is None:
                raise web.HTTPNotFound
            async with self._free:
                issued, statement = await self._stored(record, record.ledger_index)
                return await _sent(request, self._runtime, record, issued, statement)
        except (UnauthenticatedError, ServiceError) as error:
            return refusal(request, error)

    async def _reached(self, request: web.Request) -> AttestationRecord | None:
        """The statement of the path, if the request's key or link may have it now."""
        id_ = decode_attestation_id(request.match_info["id"])
        link = request.query.get(PARAMETER)
        try:
            if link is not None:
                return None if id_ is None else await self._linked(id_, link)
            principal = await self._runtime.authenticator.authenticate(request.headers.get("Authorization"))
            return await self._readable(id_, principal)
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error

    async def _linked(self, id_: UUID, link: str) -> AttestationRecord | None:
        """The statement, if the link is one to its file, and the key that made it may have it now."""
        async with self._runtime.database.reading(None) as connection:
            record = await get_attestation(connection, id_)
        cursors = Cursors(await self._runtime.keyring.secret("cursor"))
        maker = None if record is None or record.digest is None else open_link(cursors, id_, record.digest, link)
        if maker is None or maker.bound:
            return None
        principal = await requester_of(self._runtime, maker.key_id, maker.role, None)
        return None if principal is None else await self._readable(id_, principal)

    async def _readable(self, id_: UUID | None, principal: Principal) -> AttestationRecord | None:
        asked = may_ask(self._runtime.applied.policy, principal.role, "attestation")
        if id_ is None or principal.accounts is not None or not asked:
            return None
        async with self._runtime.database.reading(None) as connection:
            return await get_attestation(connection, id_)

    async def _stored(self, record: AttestationRecord, index: int) -> tuple[SignedCheckpoint, Mapping[str, Any]]:
        """A checkpoint that covers the statement, and what it says. Raises AlteredError when it is not what the ledger
        has.
        """
        try:
            issued = await covering_checkpoint(self._runtime.ledger, index)
            async with self._runtime.database.reading(None) as connection:
                stored = await statement_of(connection, record.id)
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error
        statement = None if stored is None else await asyncio.to_thread(_read, stored, record.digest)
        if statement is None:
            log.error("a stored statement of retention is not as the ledger has it", run=str(record.id))
            raise AlteredError
        return issued, statement


def _read(stored: bytes, digest: str | None) -> Mapping[str, Any] | None:
    """The statement of this digest; None when it is another."""
    return json.loads(stored) if f"sha256:{sha256(stored).hexdigest()}" == digest else None


async def _sent(
    request: web.Request,
    runtime: Runtime,
    record: AttestationRecord,
    issued: SignedCheckpoint,
    statement: Mapping[str, Any],
) -> web.StreamResponse:
    assert record.ledger_index is not None, "a statement that was made has an entry"
    response = web.StreamResponse(headers=_headers(record))
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    try:
        async for lines in attestation_lines(runtime.ledger, issued, statement, record.ledger_index):
            for start in range(0, len(lines), _PART_BYTES):
                async with asyncio.timeout(TAKEN_WITHIN_S):
                    await response.write(lines[start : start + _PART_BYTES])
        async with asyncio.timeout(TAKEN_WITHIN_S):
            await response.write_eof()
    except Exception as error:  # whatever it is, an orderly end would make of half a file a whole one
        if request.transport is not None and not request.transport.is_closing():
            log.warning("a statement of retention was not sent to its end", reason=type(error).__name__)
            request.transport.abort()
    return response


def _headers(record: AttestationRecord) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Content-Disposition": f'attachment; filename="calledger-statement-{encode_attestation_id(record.id)}.json"',
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
