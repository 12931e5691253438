"""A file of an export with its size and SHA-256, which are computed while it is written."""

import hashlib
from typing import BinaryIO


class CountedFile:
    """A file with the size and the SHA-256 of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Digest of what was written so far: `sha256:` and 64 hexadecimal digits."""
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: bytes) -> None:
        """Append `data`, and count it in size and digest. Raises OSError."""
        self._file.write(data)
        self._hash.update(data)
        self.size += len(data)
