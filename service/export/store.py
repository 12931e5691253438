"""Where the files of exports are: in DATA/exports, in a folder that services share, or in a bucket."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID

from service.export.bucket import ExportBucket
from service.export.folder import NAME, ExportFolder
from service.settings import Settings


class ExportDraft(Protocol):
    """A file that is being written."""

    @property
    def sha256(self) -> str:
        """Digest of what was written so far: `sha256:` and 64 hexadecimal digits."""
        ...

    def write(self, data: bytes) -> None:
        """Append `data`."""
        ...

    @property
    def size(self) -> int:
        """Size of what was written so far, in bytes."""
        ...

    def keep(self) -> None:
        """Make it a complete file, which others see."""
        ...


class ExportStore(Protocol):
    """Complete files by the ids of their exports. Every method raises OSError, and waits for a disk or a network."""

    def draft(self, id_: UUID) -> AbstractContextManager[ExportDraft]:
        """A new file; what was not kept is gone after the block."""
        ...

    def open(self, id_: UUID, size: int) -> BinaryIO | None:
        """The complete file of `size` bytes, to be read; None when it is absent or has another size."""
        ...

    def remove(self, id_: UUID) -> None:
        """Remove the export's file. It does not matter whether there is one."""
        ...

    def names(self) -> list[str]:
        """The files that are there."""
        ...

    def sweep(self, names: Collection[str], kept: Collection[UUID]) -> None:
        """Remove those of `names` that belong to none of `kept`. Ask for the names first, and then what is kept."""
        ...


def open_store(settings: Settings, ledger: UUID) -> ExportStore:
    """The store that the settings name, for the ledger with this id.

    Raises OperatorError when it cannot be one. What is in it is ours: a shared folder has one of its own for each
    ledger, so that none removes another's files.
    """
    if settings.exports is None:
        return ExportFolder(settings.data / NAME)
    if settings.exports.startswith("s3:"):
        return ExportBucket(settings.exports, ledger, settings.data / NAME)
    return ExportFolder(Path(settings.exports) / str(ledger))
