"""The folder for the files of a test run: in memory, where there is room.

Nearly all tests make a database or a whole cluster, and what that costs is the making of some hundred files.
"""

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 4 * 2**30


def has_room(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and shutil.disk_usage(folder).free >= MEMORY_BYTES_MIN


IN_MEMORY = has_room(MEMORY)
# Short, since the way to a socket may have about 100 characters: TMPDIR and pytest's folders are longer.
SHORT_FOLDER = MEMORY if IN_MEMORY else Path("/tmp")
