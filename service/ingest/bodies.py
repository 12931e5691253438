"""The body of a request of reports, bounded before and after gzip."""

import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Final

from aiohttp import web

from service.ingest.errors import BodyError, BodyTooLargeError, EncodingError

RATIO_MAX: Final = 20
"""How much larger than what was sent a body may become, beyond `RATIO_FREE_BYTES`."""
RATIO_FREE_BYTES: Final = 2**20
_GZIP: Final = zlib.MAX_WBITS | 16
_STEP_BYTES: Final = 2**18


async def read_body(request: web.Request, *, max_bytes: int) -> bytes:
    """The plain bytes of the request's body.

    The server must hand over the body as it was sent (`auto_decompress=False`). Raises BodyTooLargeError above
    `max_bytes` before or after gzip, or when gzip blows it up more than 20 times; EncodingError for any other
    encoding; BodyError for broken gzip.
    """
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", ""):
        raise EncodingError
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLargeError(_too_large(max_bytes))
    chunks = request.content.iter_any()
    if encoding.endswith("gzip"):
        return await _gunzip(chunks, max_bytes)
    return await _plain(chunks, max_bytes)


async def _plain(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    body = BytesIO()  # its value is its buffer, where other buffers would be copied as a whole
    async for chunk in chunks:
        body.write(chunk)
        if body.tell() > max_bytes:
            raise BodyTooLargeError(_too_large(max_bytes))
    return body.getvalue()


async def _gunzip(chunks: AsyncIterator[bytes], max_bytes: int) -> bytes:
    gunzip = Gunzip(max_bytes)
    async for chunk in chunks:
        gunzip.feed(chunk)
    return gunzip.finish()


class Gunzip:
    """One member of gzip (RFC 1952), decoded as it comes, never further than its bounds.

    More members are refused: decoding many small ones costs time that grows with their square (CVE-2026-128131).
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._plain = BytesIO()
        self._decoder = zlib.decompressobj(_GZIP)

    def feed(self, chunk: bytes) -> None:
        """Decode what arrived. Raises BodyTooLargeError or BodyError as soon as it is certain."""
        self._received_bytes += len(chunk)
        if self._received_bytes > self._max_bytes:
            raise BodyTooLargeError(_too_large(self._max_bytes))
        while True:
            try:
                plain = self._decoder.decompress(chunk, _STEP_BYTES)
            except zlib.error:
                raise BodyError("the body is not valid gzip") from None
            self._plain.write(plain)
            self._check_size()
            if self._decoder.unused_data:
                raise BodyError("the body is more than one gzip member: compress it in one piece")
            chunk = self._decoder.unconsumed_tail
            # A full step may leave output behind although all input is used up.
            if not chunk and len(plain) < _STEP_BYTES:
                return

    def finish(self) -> bytes:
        """The decompressed body up to its end; BodyError when the end is missing."""
        if not self._decoder.eof:
            raise BodyError("the body is not valid gzip: its end is missing")
        return self._plain.getvalue()

    def _check_size(self) -> None:
        if self._plain.tell() > self._max_bytes:
            raise BodyTooLargeError(_too_large(self._max_bytes))
        if self._plain.tell() > max(RATIO_FREE_BYTES, RATIO_MAX * self._received_bytes):
            raise BodyTooLargeError(
                f"gzip makes the body more than {RATIO_MAX} times smaller: send fewer calls at a time"
            )


def _too_large(max_bytes: int) -> str:
    return (
        f"the body is larger than {max_bytes} bytes, and nothing of it was stored: send fewer calls at a time "
        "(LiteLLM: set `DEFAULT_BATCH_SIZE` lower in its environment), or set `CALLEDGER_MAX_BODY_BYTES` higher here"
    )
