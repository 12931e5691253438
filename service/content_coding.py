"""Content codings of answers (RFC 9110, section 12.5.3): gzip, and zstd (RFC 8878) where it is asked for."""

import sys
import zlib
from typing import Final, Literal, Protocol

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor
else:
    from backports.zstd import ZstdCompressor

Coding = Literal["gzip", "zstd"]
CODINGS: Final[tuple[Coding, ...]] = ("zstd", "gzip")
"""In our order: zstd makes less of JSON than gzip does, in a third of the time."""
_GZIP_LEVEL: Final = 4
_ZSTD_LEVEL: Final = 3
_PARTS_MAX: Final = 50


class Compressor(Protocol):
    """Takes data in parts; the parts that it returns, together with those of `flush`, are the compressed data."""

    def compress(self, data: bytes, /) -> bytes:
        """Take some more; what is ready by now."""
        ...

    def flush(self) -> bytes:
        """The end."""
        ...


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
