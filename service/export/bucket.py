"""The files of exports in a bucket of an S3-compatible store: `s3:BUCKET` or `s3:BUCKET/PREFIX`.

    PREFIX/<id of the ledger>/<id in hex>    a complete file: an object is there with its last byte or not at all

Address and credentials are looked up as in every AWS program (`AWS_ENDPOINT_URL_S3`, `AWS_REGION`, ...). A file that is
being written has no name anywhere until then. Whatever the store answers amiss is an OSError here, as of a disk.
"""

import re
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, cast
from uuid import UUID

from service.errors import OperatorError
from service.export.draft import CountedFile

_URL: Final = re.compile(r"s3:([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()-]{1,200}){0,8})/?", re.ASCII)
_NAME: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_CONNECT_S: Final = 5
_READ_S: Final = 30
_READ_BYTES: Final = 2**20
_BROKEN_OFF: Final = timedelta(days=1)
"""An upload that was begun longer ago has been broken off: none takes as long."""


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
        found = _URL.fullmatch(url)
        if found is None:
            shown = f"`CALLEDGER_EXPORTS`: `{url[:100]}`"
            raise OperatorError(f"{shown} is no bucket: write `s3:BUCKET` or `s3:BUCKET/PREFIX`")
        self._bucket, self._drafts = found[1], drafts
        self._prefix = f"{found[2].strip('/')}/{ledger}/".lstrip("/")
        session, config, errors = map(_module, ("boto3.session", "botocore.config", "botocore.exceptions"))
        self._refusal, self._trouble = errors.ClientError, errors.BotoCoreError
        options = config.Config(
            connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        self._client = session.Session().client("s3", config=options)

    @contextmanager
    def draft(self, id_: UUID) -> Iterator[ObjectDraft]:
        """A new file."""
        self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)

        def keep(file: BinaryIO) -> None:
            """Send all of it."""
            with self._faults():
                self._client.upload_fileobj(file, self._bucket, self._key(id_))

        draft = ObjectDraft(self._drafts, keep)
        try:
            yield draft
        finally:
            draft.close()

    def open(self, id_: UUID, size: int) -> BinaryIO | None:
        """The complete file of `size` bytes, to be read; None when it is absent or has another size."""
        key = self._key(id_)
        found: dict[str, Any] = {}
        with self._faults(), self._absence():
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        if found.get("ContentLength") != size:
            return None
        return cast("BinaryIO", _ObjectReader(self._part, key, found["ETag"], size))

    def remove(self, id_: UUID) -> None:
        """Remove the export's file. It does not matter whether there is one."""
        with self._faults():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(id_))

    def names(self) -> list[str]:
        """Every file of ours that is there."""
        with self._faults():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            found = [entry["Key"].removeprefix(self._prefix) for page in pages for entry in page.get("Contents", ())]
        return [name for name in found if _NAME.fullmatch(name)]

    def sweep(self, names: Collection[str], kept: Collection[UUID]) -> None:
        """Remove those of `names` that belong to none of `kept`. Ask for the names first, and then what is kept."""
        for name in set(names) - {id_.hex for id_ in kept}:
            self.remove(UUID(hex=name))
        self._end_uploads(datetime.now(UTC) - _BROKEN_OFF)

    def _end_uploads(self, before: datetime) -> None:
        """End the uploads in parts that were begun before then: the parts of one whose process was killed stand in the
        bucket for ever otherwise, and are no file that has a name.
        """
        with self._faults():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            )
            begun = [upload for page in pages for upload in page.get("Uploads", ())]
        for upload in begun:
            if upload["Initiated"] < before:
                with self._faults(), self._absence():
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )

    def _key(self, id_: UUID) -> str:
        return self._prefix + id_.hex

    def _part(self, key: str, tag: str, first: int, last: int) -> bytes:
        """Bytes of the object that was opened, and of no other that took its place."""
        with self._faults():
            asked = {"Bucket": self._bucket, "Key": key, "IfMatch": tag, "Range": f"bytes={first}-{last}"}
            return self._client.get_object(**asked)["Body"].read()

    @contextmanager
    def _absence(self) -> Iterator[None]:
        """What is asked for need not be there any more."""
        try:
            yield
        except self._refusal as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (self._refusal, self._trouble) as error:
            raise OSError(None, f"the store of exports: {type(error).__name__}") from error


class _ObjectReader:
    """An object as a file that is read from some place on."""

    def __init__(self, part: Callable[[str, str, int, int], bytes], key: str, tag: str, size: int) -> None:
        self._part, self._key, self._tag, self._size = part, key, tag, size
        self._at, self._ahead = 0, b""

    def __enter__(self) -> "_ObjectReader":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open between two reads."""

    def seek(self, at: int) -> None:
        """Go on from the byte `at`."""
        self._at, self._ahead = at, b""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at the end. Raises OSError."""
        if not self._ahead and self._at < self._size:
            last = min(self._at + _READ_BYTES, self._size) - 1
            self._ahead = self._part(self._key, self._tag, self._at, last)
        part, self._ahead = self._ahead[:size], self._ahead[size:]
        self._at += len(part)
        return part


def _module(name: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time, and has no types
    try:
        return import_module(name)
    except ImportError:
        raise OperatorError(
            "`CALLEDGER_EXPORTS=s3:...` needs a package that is not installed: pip install 'calledger[s3]'"
        ) from None
