"""The ledger's copy outside the database: files to which lines are only appended.

- `DATA/ledger/1/entries-000000000000.ndjson`: `{"index":0,"leaf":"<base64>"}`, ten thousand entries per file
- `DATA/ledger/1/checkpoints.ndjson`: `{"note":"<signed note>","public_key":"<vkey>","size":128, ...}`

The number is the origin's: 2 and so on after a restored database diverged from its mirror. Notes are not mirrored,
because they have to be erasable. A last line that a crash cut short is removed before the next is written.
"""

import base64
import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from policies.evidence import EvidenceError, moment, read_base64
from policies.evidence.verify import canonical, read_canonical
from service.disk import sync
from service.ledger.errors import LedgerMirrorError
from service.ledger.signed_checkpoint import SignedCheckpoint

SEGMENT_ENTRIES: Final = 10_000
_CHECKPOINTS: Final = "checkpoints.ndjson"
_TAIL_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class MirroredEntry:
    """An entry as it is mirrored."""

    index: int
    leaf: bytes


class Mirror:
    """The directory of one origin. Its methods block; several processes may use it at once.

    `missing`: how many entries the database had, and the mirror had not, when it was opened; they were written anew.
    """

    def __init__(self, root: Path, number: int) -> None:
        self.number = number
        self._root = root
        self.folder = root / str(number)
        self.missing = 0

    def size(self) -> int:
        """How many entries are mirrored. Raises LedgerMirrorError when the last cannot be read."""
        segments = self._segments()
        if not segments:
            return 0
        line = _last_line(segments[-1])
        if line is None:
            return _first_index(segments[-1])
        return _parse_entry(line, segments[-1]).index + 1

    def checkpoint(self) -> SignedCheckpoint | None:
        """The newest checkpoint that is mirrored; None without one."""
        path = self.folder / _CHECKPOINTS
        line = _last_line(path) if path.exists() else None
        return None if line is None else _parse_checkpoint(line, path)

    def entries(self, start: int = 0) -> Iterator[MirroredEntry]:
        """All entries from `start` on. Raises LedgerMirrorError when one is missing or cannot be read."""
        expected = start
        for path in self._segments():
            if _first_index(path) + SEGMENT_ENTRIES <= start:
                continue
            for line in _lines(path):
                entry = _parse_entry(line, path)
                if entry.index < start:
                    continue
                if entry.index != expected:
                    raise _damaged(path, f"entry {expected} is missing")
                expected += 1
                yield entry

    def checkpoints(self) -> list[SignedCheckpoint]:
        """All checkpoints, in order."""
        path = self.folder / _CHECKPOINTS
        return [_parse_checkpoint(line, path) for line in _lines(path)] if path.exists() else []

    def write(self, entries: Sequence[MirroredEntry], checkpoints: Sequence[SignedCheckpoint]) -> None:
        """Append what is not mirrored yet and wait until it is on disk; entries first, because checkpoints
        cover them.
        """
        with self._locked():
            size, last = self.size(), self.checkpoint()
            new = [entry for entry in entries if entry.index >= size]
            if new and new[0].index != size:
                raise _damaged(self.folder, f"entry {size} is missing")
            for start in sorted({entry.index // SEGMENT_ENTRIES for entry in new}):
                part = [entry for entry in new if entry.index // SEGMENT_ENTRIES == start]
                path = self.folder / f"entries-{start * SEGMENT_ENTRIES:012d}.ndjson"
                _append(path, (_entry_line(entry) for entry in part))
            later = [issued for issued in checkpoints if last is None or issued.size > last.size]
            if later:
                _append(self.folder / _CHECKPOINTS, (_checkpoint_line(issued) for issued in later))

    def _segments(self) -> list[Path]:
        return sorted(self.folder.glob("entries-*.ndjson"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the mirror against other processes and threads."""
        try:
            # Two calls, because `mode` applies to the last part of a path only.
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerMirrorError(
                f"the mirror of the ledger, `{self._root}`, cannot be written: {error.strerror}"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise LedgerMirrorError(
                f"the mirror of the ledger, `{self._root}`, cannot be written: {error.strerror}"
            ) from None
        finally:
            os.close(descriptor)


def newest_mirror(root: Path) -> Mirror:
    """The mirror of the last origin; of the first when there is none yet."""
    numbers = [int(path.name) for path in root.glob("[0-9]*") if path.name.isdigit()]
    return Mirror(root, max(numbers, default=1))


def _append(path: Path, lines: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        complete = _complete_bytes(file)
        file.truncate(complete)
        file.seek(complete)
        file.writelines(lines)
        file.flush()
        os.fsync(descriptor)
    sync(path.parent)


def _complete_bytes(file: BinaryIO) -> int:
    """The number of bytes up to the end of the last complete line."""
    return _after_newline(file, file.seek(0, os.SEEK_END))


def _after_newline(file: BinaryIO, end: int) -> int:
    """The offset after the last newline before byte `end`, searched backwards; 0 when there is none."""
    while end:
        start = max(0, end - _TAIL_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _last_line(path: Path) -> bytes | None:
    with path.open("rb") as file:
        complete = _complete_bytes(file)
        if not complete:
            return None
        start = _after_newline(file, complete - 1)
        file.seek(start)
        return file.read(complete - 1 - start)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def _entry_line(entry: MirroredEntry) -> bytes:
    return canonical({"index": entry.index, "leaf": base64.b64encode(entry.leaf).decode()}) + b"\n"


def _parse_entry(line: bytes, path: Path) -> MirroredEntry:
    try:
        fields = read_canonical(line, "a line")
        return MirroredEntry(int(fields["index"]), read_base64(fields["leaf"], "a leaf"))
    except (EvidenceError, KeyError, TypeError, ValueError):
        raise _damaged(path, "a line is not one that was written") from None


def _checkpoint_line(issued: SignedCheckpoint) -> bytes:
    document = {
        "issued_at": moment(issued.issued_at),
        "note": issued.note,
        "public_key": issued.public_key,
        "size": issued.size,
    }
    return canonical(document) + b"\n"


def _parse_checkpoint(line: bytes, path: Path) -> SignedCheckpoint:
    try:
        fields = read_canonical(line, "a line")
        return SignedCheckpoint(
            int(fields["size"]),
            datetime.fromisoformat(fields["issued_at"]),
            str(fields["note"]),
            str(fields["public_key"]),
        )
    except (EvidenceError, KeyError, TypeError, ValueError):
        raise _damaged(path, "a line is not one that was written") from None


def _first_index(path: Path) -> int:
    digits = path.stem.removeprefix("entries-")
    if not digits.isdigit():
        raise _damaged(path, "it has a strange name")
    return int(digits)


def _damaged(path: Path, reason: str) -> LedgerMirrorError:
    return LedgerMirrorError(
        f"the mirror of the ledger is damaged: `{path}`: {reason}. Keep a copy of the folder for whoever asks, restore "
        "it from its backup or move it away, and start again: without it, a new mirror is written from the database"
    )
