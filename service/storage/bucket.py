"""Objects in a bucket of an S3-compatible store, below a prefix: `s3:BUCKET` or `s3:BUCKET/PREFIX`.

Address and credentials are looked up as in every AWS program (`AWS_ENDPOINT_URL_S3`, `AWS_REGION`, ...). An object is
there with its last byte or not at all. Whatever the store answers amiss is an OSError here, as of a disk; it says what
kind of trouble it was, and nothing that the store or its client has said, where addresses and keys may be.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, BinaryIO, Final, NamedTuple, cast

from service.errors import OperatorError

_URL: Final = re.compile(r"s3:([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9!_.*'()-]{1,200}){0,8})/?", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_CONNECT_S: Final = 5
_READ_S: Final = 15
_READ_BYTES: Final = 2**20
_READ_TRIES: Final = 3
"""How often a part is asked for whose bytes break off: a client's own attempts end with the first byte."""
_BROKEN_OFF: Final = timedelta(days=1)
"""An upload that was begun longer ago has been broken off: none takes as long."""


class StoredObject(NamedTuple):
    """An object: its name below the prefix, its size in bytes and for how many seconds it has been there."""

    name: str
    size: int
    age_s: float


class ObjectBucket:
    """The objects below a prefix. Every method raises OSError, and waits for a network."""

    def __init__(self, url: str, folder: str, *, setting: str, whose: str) -> None:
        """`folder`: what is ours below the prefix of `url`. `setting` names the variable that has `url`, and `whose`
        what the objects are. Raises OperatorError.
        """
        found = _URL.fullmatch(url)
        if found is None:
            raise OperatorError(f"`{setting}`: `{url[:100]}` is no bucket: write `s3:BUCKET` or `s3:BUCKET/PREFIX`")
        self._bucket, self._whose = found[1], whose
        self.prefix = f"{found[2].strip('/')}/{folder}/".lstrip("/")
        session, config, errors = (_module(name, setting) for name in _MODULES)
        self._refusal, self._trouble = errors.ClientError, errors.BotoCoreError
        options = config.Config(
            connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": 3, "mode": "standard"}
        )
        try:
            self._client = session.Session().client("s3", config=options)
        except (errors.BotoCoreError, ValueError) as error:  # it quotes the address, in which a password may be
            raise OperatorError(
                f"`{setting}`: {type(error).__name__}: look at `AWS_ENDPOINT_URL_S3`, `AWS_PROFILE` and AWS's files"
            ) from None

    def put(self, name: str, file: BinaryIO) -> None:
        """Make an object of what is left to be read of `file`."""
        with self._faults():
            self._client.upload_fileobj(file, self._bucket, self.prefix + name)

    def open(self, name: str, size: int | None = None, *, ahead: int = _READ_BYTES) -> BinaryIO | None:
        """The object, to be read so many bytes at a time; None when it is absent or of another size than `size`."""
        key = self.prefix + name
        found: dict[str, Any] = {}
        with self._faults(), self._absence():
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        known = found.get("ContentLength")
        if known is None or size not in (None, known):
            return None
        if not found.get("ETag"):
            raise OSError(
                None, f"the store of {self._whose}: an answer without an ETag, by which objects are told apart"
            )
        return cast("BinaryIO", _ObjectReader(self._part, key, found["ETag"], known, ahead))

    def remove(self, name: str) -> None:
        """Remove an object. It does not matter whether there is one."""
        with self._faults():
            self._client.delete_object(Bucket=self._bucket, Key=self.prefix + name)

    def objects(self) -> list[StoredObject]:
        """Every object below the prefix."""
        now = datetime.now(UTC)
        with self._faults():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self.prefix)
            return [
                StoredObject(
                    entry["Key"].removeprefix(self.prefix), entry["Size"], (now - entry["LastModified"]).total_seconds()
                )
                for page in pages
                for entry in page.get("Contents", ())
            ]

    def end_uploads(self) -> None:
        """End the uploads in parts that have been broken off: the parts of one whose process was killed stand in the
        bucket for ever otherwise, and are no object that has a name.
        """
        before = datetime.now(UTC) - _BROKEN_OFF
        with self._faults():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self.prefix
            )
            begun = [upload for page in pages for upload in page.get("Uploads", ())]
        for upload in begun:
            if upload["Initiated"] < before:
                with self._faults(), self._absence():
                    self._client.abort_multipart_upload(
                        Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                    )

    def _part(self, key: str, tag: str, first: int, last: int) -> bytes:
        """Bytes of the object that was opened, all of them, and of no other that took its place."""
        asked = {"Bucket": self._bucket, "Key": key, "IfMatch": tag, "Range": f"bytes={first}-{last}"}
        with self._faults():
            for tries_left in reversed(range(_READ_TRIES)):
                answer = self._client.get_object(**asked)
                try:
                    data = answer["Body"].read()
                except self._trouble:
                    if not tries_left:
                        raise
                    continue
                if answer.get("ETag") != tag or len(data) != last + 1 - first:
                    break
                return data
        raise OSError(None, f"the store of {self._whose}: another object, or a part of one")

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
            code = error.response.get("Error", {}).get("Code", "") if isinstance(error, self._refusal) else ""
            shown = f" {code}" if _CODE.fullmatch(str(code)) else ""
            raise OSError(None, f"the store of {self._whose}: {type(error).__name__}{shown}") from None


class _ObjectReader:
    """An object as a file that is read from some place on."""

    def __init__(
        self, part: Callable[[str, str, int, int], bytes], key: str, tag: str, size: int, read_ahead: int
    ) -> None:
        self._part, self._key, self._tag, self._size, self._read_ahead = part, key, tag, size, read_ahead
        self._at, self._ahead = 0, memoryview(b"")

    def __enter__(self) -> "_ObjectReader":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open between two reads."""

    def seek(self, at: int) -> None:
        """Go on from the byte `at`."""
        self._at, self._ahead = at, memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next bytes, `size` at most; none at the end. Raises OSError."""
        if not self._ahead and self._at < self._size:
            last = min(self._at + self._read_ahead, self._size) - 1
            self._ahead = memoryview(self._part(self._key, self._tag, self._at, last))
        part, self._ahead = self._ahead[:size], self._ahead[size:]
        self._at += len(part)
        return bytes(part)


_MODULES: Final = ("boto3.session", "botocore.config", "botocore.exceptions")


def _module(name: str, setting: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time, and has no types
    try:
        return import_module(name)
    except ImportError:
        raise OperatorError(
            f"`{setting}=s3:...` needs a package that is not installed: pip install 'calledger[s3]'"
        ) from None
