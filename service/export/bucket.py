"""The files of exports in a bucket of an S3-compatible store: `s3:BUCKET` or `s3:BUCKET/PREFIX`.

    PREFIX/<id of the ledger>/<id in hex>    a complete file

A file that is being written has no name anywhere until then.
"""

import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast
from uuid import UUID

from service.export.counted_file import CountedFile
from service.storage.bucket import ObjectBucket

_NAME: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


class ObjectDraft(CountedFile):
    """A file that is being written: in a file without a name, and an object after `keep`."""

    def __init__(self, folder: Path, keep: Callable[[BinaryIO], None]) -> None:
        super().__init__(cast("BinaryIO", tempfile.TemporaryFile(dir=folder)))  # noqa: SIM115 - see `close`
        self._keep = keep

    def keep(self) -> None:
        """Make it an object. Raises OSError."""
        self._file.seek(0)
        self._keep(self._file)

    def close(self) -> None:
        """Let go of the file, which leaves nothing."""
        self._file.close()


class ExportBucket:
    """The exports of one ledger in a bucket. `drafts`: a folder for what is being written."""

    def __init__(self, url: str, ledger: UUID, drafts: Path) -> None:
        self._drafts = drafts
        self._bucket = ObjectBucket(url, str(ledger), setting="CALLEDGER_EXPORTS", whose="exports")

    @contextmanager
    def draft(self, id_: UUID) -> Iterator[ObjectDraft]:
        """A new file."""
        self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = ObjectDraft(self._drafts, lambda file: self._bucket.put(id_.hex, file))
        try:
            yield draft
        finally:
            draft.close()

    def open(self, id_: UUID, size: int) -> BinaryIO | None:
        """The complete file of `size` bytes, to be read; None when it is absent or has another size."""
        return self._bucket.open(id_.hex, size)

    def remove(self, id_: UUID) -> None:
        """Remove the export's file. It does not matter whether there is one."""
        self._bucket.remove(id_.hex)

    def names(self) -> list[str]:
        """Every file of ours that is there."""
        return [one.name for one in self._bucket.objects() if _NAME.fullmatch(one.name)]

    def sweep(self, names: Collection[str], kept: Collection[UUID]) -> None:
        """Remove those of `names` that belong to none of `kept`. Ask for the names first, and then what is kept."""
        for name in set(names) - {id_.hex for id_ in kept}:
            self.remove(UUID(hex=name))
        self._bucket.end_uploads()
