"""What a file system is asked for so that files outlive a power cut."""

import os
from pathlib import Path


def sync(path: Path) -> None:
    """Wait until a file's bytes are on disk, or a folder's entries: a new name, another or none. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
