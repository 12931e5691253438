"""Content codings of answers (RFC 9110, section 12.5.3): gzip, and zstd (RFC 8878) where it is asked for."""

import asyncio
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, Protocol

from aiohttp import hdrs, web

from service.entity_tags import entity_tag

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor
else:
    from backports.zstd import ZstdCompressor

Coding = Literal["gzip", "zstd"]
CODINGS: Final[tuple[Coding, ...]] = ("zstd", "gzip")
"""In our order: zstd makes less of JSON than gzip does, in a third of the time."""
COMPRESSED_MIN_BYTES: Final = 1_024
"""A smaller body fits into the packet that has to be sent anyway."""
INLINE_MAX_BYTES: Final = 32 * 2**10
"""A larger body is compressed in a thread: it would keep other requests waiting."""
_COMPRESSIBLE: Final = (
    *("application/json", "application/graphql-response+json", "application/x-ndjson"),
    *("text/plain", "text/html", "text/csv", "text/css", "text/javascript", "image/svg+xml"),
)
_GZIP_LEVEL: Final = 4
_ZSTD_LEVEL: Final = 3
_PARTS_MAX: Final = 50


class CompressionSlots:
    """Who may compress a long body at a time: so many together, and so many of one name."""

    def __init__(self, together: int, *, of_one: int) -> None:
        self._together = together
        self._of_one = of_one
        self._taken: Counter[str] = Counter()

    @contextmanager
    def slot(self, name: str) -> Iterator[bool]:
        """Whether there is a slot for `name`, which it then has during the block."""
        free = self._taken.total() < self._together and self._taken[name] < self._of_one
        self._taken[name] += free
        try:
            yield free
        finally:
            self._taken[name] -= free
            if not self._taken[name]:
                del self._taken[name]


class Compressor(Protocol):
    """Takes data in parts; the parts that it returns, together with those of `flush`, are the compressed data."""

    def compress(self, data: bytes, /) -> bytes:
        """Take some more; what is ready by now."""
        ...

    def flush(self) -> bytes:
        """The end of the compressed stream."""
        ...


async def compress(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Compress the body of an answer, if its client takes that and it is worth it.

    Not what says `Cache-Control: no-transform`: keys and tokens are never compressed, since lengths tell of contents.
    """
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or response.prepared:
        return
    assert isinstance(response, web.Response)
    headers = response.headers
    if response.content_type not in _COMPRESSIBLE or hdrs.CONTENT_ENCODING in headers or response.status == 206:
        return
    if "no-transform" in headers.get(hdrs.CACHE_CONTROL, ""):
        return
    before = headers.get(hdrs.VARY)
    headers[hdrs.VARY] = f"{before}, {hdrs.ACCEPT_ENCODING}" if before else hdrs.ACCEPT_ENCODING
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


def chosen(accept_encoding: str | None) -> Coding | None:
    """The coding that the client likes best, of ours; None to send it as it is.

    A coding without `q`, or with one above 0, is acceptable; `*` stands for those that are not named.
    """
    if not accept_encoding:
        return None
    qualities: dict[str, float] = {}
    for part in accept_encoding.split(",", _PARTS_MAX)[:_PARTS_MAX]:
        name, _, parameters = part.partition(";")
        qualities[name.strip().lower()] = _quality(parameters)
    others = qualities.get("*", 0.0)
    if "x-gzip" in qualities:
        qualities.setdefault("gzip", qualities["x-gzip"])
    best = max(CODINGS, key=lambda coding: qualities.get(coding, others))
    quality = qualities.get(best, others)
    return best if quality > 0 and quality >= qualities.get("identity", 0.0) else None


def compressor(coding: Coding) -> Compressor:
    """What makes one body of it."""
    if coding == "zstd":
        return ZstdCompressor(_ZSTD_LEVEL)
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)


def compressed(data: bytes, coding: Coding) -> bytes:
    """The whole body in one piece."""
    made = compressor(coding)
    return made.compress(data) + made.flush()


def _quality(parameters: str) -> float:
    """`q` of a coding, 1 where none is given; 0 for what is no number between 0 and 1."""
    name, _, value = parameters.strip().partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value)
    except ValueError:
        return 0.0
    return quality if name.strip().lower() == "q" and 0.0 <= quality <= 1.0 else 0.0
