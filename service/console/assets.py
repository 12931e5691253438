"""The console's built files (`dist`), each with its type, its entity tag and its content codings.

What may be asked for is what stood there at the start, by exact name: no path of a client ever reaches the file system.
"""

import zlib
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import Final

from service.content_coding import COMPRESSED_MIN_BYTES, Coding, ZstdCompressor

HASHED: Final = "assets/"
"""The folder whose files have a digest of their contents in their names."""
INDEX: Final = "index.html"
_TYPES: Final = {
    "css": "text/css",
    "js": "text/javascript",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
    "woff2": "font/woff2",
}
_COMPRESSED: Final = {"css", "js", "json", "svg"}


class Asset:
    """One file. Its bytes never change while the process runs."""

    def __init__(self, file: Traversable) -> None:
        extension = file.name.rpartition(".")[2]
        self.content_type = _TYPES[extension]
        self.body = file.read_bytes()
        self.digest = sha256(self.body).hexdigest()
        self.compressible = extension in _COMPRESSED and len(self.body) >= COMPRESSED_MIN_BYTES

    def coded(self, coding: Coding) -> bytes:
        """The bytes in a content coding: as small as it gets, since it is done once and sent often."""
        return _packed(self.body, coding)


@lru_cache(maxsize=256)
def _packed(body: bytes, coding: Coding) -> bytes:
    made = ZstdCompressor(19) if coding == "zstd" else zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return made.compress(body) + made.flush()


def assets(folder: Traversable) -> Mapping[str, Asset]:
    """The files below `folder` by their names with `/`: those of a page, of types that we know."""
    return {name: Asset(file) for name, file in _files(folder, "") if name.rpartition(".")[2] in _TYPES}


def _files(folder: Traversable, before: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in folder.iterdir():
        name = before + entry.name
        found += _files(entry, name + "/") if entry.is_dir() else [(name, entry)]
    return found
