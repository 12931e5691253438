"""What is done to every answer before it is sent: headers that all of them have, and compression."""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web

from service.content_coding import chosen, compressed
from service.entity_tags import entity_tag, is_known

HEADERS: Final = web.RequestKey("answer headers", Mapping)
"""What the answer to a request has besides its own headers."""
COMPRESSED_MIN_BYTES: Final = 1_024
"""A smaller body fits into the packet that has to be sent anyway."""
INLINE_MAX_BYTES: Final = 32 * 2**10
"""A larger body is compressed in a thread: it would keep other requests waiting."""
_COMPRESSIBLE: Final = (
    *("application/json", "application/graphql-response+json", "application/x-ndjson"),
    *("text/plain", "text/html", "text/csv", "text/css", "text/javascript", "image/svg+xml"),
)


class Request(web.Request):
    """A request whose answer gets its headers whoever sends it: handler, dispatcher or a stream that is begun early."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        added: Mapping[str, str] | None = self.get(HEADERS)
        if added is not None:
            vary = response.headers.get(hdrs.VARY)
            response.headers.update(added)
            if vary is not None and hdrs.VARY in added:
                response.headers[hdrs.VARY] = f"{vary}, {added[hdrs.VARY]}"
        await super()._prepare_hook(response)


async def compress(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Compress the body of an answer, if its client takes that and it is worth it.

    Not what says `Cache-Control: no-transform`: keys and tokens are never compressed, since lengths tell of contents.
    """
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or len(body) < COMPRESSED_MIN_BYTES or response.prepared:
        return
    assert isinstance(response, web.Response)
    headers = response.headers
    if response.content_type not in _COMPRESSIBLE or hdrs.CONTENT_ENCODING in headers or response.status == 206:
        return
    if "no-transform" in headers.get(hdrs.CACHE_CONTROL, ""):
        return
    headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    coding = chosen(request.headers.get(hdrs.ACCEPT_ENCODING))
    if coding is None:
        return
    if len(body) <= INLINE_MAX_BYTES:
        response.body = compressed(body, coding)
    else:
        response.body = await asyncio.to_thread(compressed, body, coding)
    headers[hdrs.CONTENT_ENCODING] = coding
    if hdrs.ETAG in headers:
        headers[hdrs.ETAG] = entity_tag(headers[hdrs.ETAG].strip('"'), coding)


def leave_out_known(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Answer 304 without a body, if the client has these bytes already (RFC 9110, section 13.1.2)."""
    if request.method not in ("GET", "HEAD") or response.status != 200 or response.prepared:
        return
    tag = response.headers.get(hdrs.ETAG)
    if tag is not None and is_known(request.headers.get(hdrs.IF_NONE_MATCH), tag):
        assert isinstance(response, web.Response), "what is streamed decides it before it begins"
        response.set_status(304)
        response.body = None
