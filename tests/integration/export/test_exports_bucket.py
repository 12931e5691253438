"""Files of exports in an S3-compatible store: the same as in a folder, for every service that shares the bucket."""

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pairing import settled
from running import RunningService
from s3_server import BUCKET, S3Server, running_s3

from service.errors import OperatorError
from service.export.bucket import ExportBucket
from service.storage import bucket as objects

EXPORT = "mutation($in: CreateExportInput!) { createExport(input: $in) { export { id } } }"
STATE = "query($id: ID!) { export(id: $id) { state failure } }"
CANCEL = "mutation($id: ID!) { cancelExport(id: $id) { export { state } } }"


@pytest.fixture(scope="module")
def store() -> Iterator[S3Server]:
    with running_s3() as store:
        yield store


@pytest.fixture
def bucket(store: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExportBucket:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    return ExportBucket(f"s3:{BUCKET}/some/place", uuid4(), tmp_path / "exports")


def test_a_file_is_there_whole_or_not_at_all(bucket: ExportBucket, store: S3Server) -> None:
    """What was not kept is nowhere; what was kept is read from any byte on, and only in its size; others' are left."""
    id_, other, data = uuid4(), uuid4(), os.urandom(3 * 2**20 + 17)
    with bucket.draft(other) as draft:
        draft.write(data)
    assert bucket.names() == []
    with bucket.draft(id_) as draft:
        draft.write(data[:1000])
        draft.write(data[1000:])
        draft.keep()
        assert (draft.size, draft.sha256) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
    assert bucket.names() == [id_.hex]
    assert bucket.open(id_, len(data) + 1) is None
    assert bucket.open(other, 1) is None
    with bucket.open(id_, len(data)) as file:
        assert b"".join(iter(lambda: file.read(2**17), b"")) == data
        file.seek(2_000_000)
        assert file.read(10) == data[2_000_000:2_000_010]

    store.client.put_object(Bucket=BUCKET, Key="some/place/of another", Body=b"theirs")
    store.client.put_object(Bucket=BUCKET, Key=f"{bucket._bucket.prefix}notes.txt", Body=b"none of ours")
    bucket.sweep([*bucket.names(), "notes.txt"][:1], [id_])
    assert bucket.names() == [id_.hex]
    bucket.sweep(bucket.names(), [])
    assert bucket.names() == []
    assert len([name for name in store.names() if name.startswith("some/place/")]) == 2
    bucket.remove(id_)


def test_an_upload_that_was_broken_off_does_not_stay(
    bucket: ExportBucket, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of a file whose process was killed are removed a day after; others' are left, and so is what is new."""
    ours, theirs = f"{bucket._bucket.prefix}{uuid4().hex}", f"some/place/{uuid4()}/{uuid4().hex}"
    for key in (ours, theirs):
        begun = store.client.create_multipart_upload(Bucket=BUCKET, Key=key)
        store.client.upload_part(
            Bucket=BUCKET, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=os.urandom(5 * 2**20)
        )
    with monkeypatch.context() as patched:  # the store says of every upload that it was begun in 2010
        patched.setattr(objects, "_BROKEN_OFF", timedelta(days=36_500))
        bucket.sweep([], [])
    assert store.uploads() >= {ours, theirs}
    for _ in range(2):
        bucket.sweep([], [])
        assert ours not in store.uploads()
        assert theirs in store.uploads()


def test_what_the_store_refuses_is_as_of_a_disk(store: S3Server, tmp_path: Path, monkeypatch) -> None:
    """A bucket that is not there is an OSError, which is logged and answered as one of a full disk; its name is told
    from a wrong one at the start.
    """
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    absent = ExportBucket("s3:no-such-bucket", uuid4(), tmp_path)
    with pytest.raises(OSError, match="the store of exports"):
        absent.names()
    with absent.draft(uuid4()) as draft, pytest.raises(OSError, match="the store of exports"):
        draft.write(b"x")
        draft.keep()
    for wrong in ("s3:", "s3:Bucket", "s3:b/../c//", "s3:bucket/" + "x" * 300, "s3:bucket/../../other?x=1"):
        with pytest.raises(OperatorError, match="is no bucket"):
            ExportBucket(wrong, uuid4(), tmp_path)


def test_an_export_is_written_to_the_bucket_and_fetched(store: S3Server, tmp_path: Path) -> None:
    """A service that keeps its exports in a bucket gives them out whole and in part, and removes what was cancelled."""
    environment = {**store.environment, "CALLEDGER_EXPORTS": f"s3:{BUCKET}/prod"}
    service = RunningService(tmp_path / "data", environment=environment)
    try:
        admin, moment = service.admin_key, datetime.now(UTC).isoformat()
        call = {"account": "acme", "model": "m", "status": "succeeded", "started_at": moment}
        service.report(admin, *({**call, "id": f"e{number}"} for number in range(50)))
        made = service.ask(admin, EXPORT, **{"in": {"kind": "CALLS", "format": "NDJSON"}})
        id_ = made["data"]["createExport"]["export"]["id"]
        settled(lambda: service.ask(admin, STATE, id=id_)["data"]["export"]["state"], "READY", times=1)
        status, headers, whole = service.request("GET", f"/v1/exports/{id_}", key=admin)
        assert (status, whole.count(b"\n")) == (200, 50)
        assert hashlib.sha256(whole).hexdigest() in headers["ETag"]
        status, headers, part = service.request(
            "GET", f"/v1/exports/{id_}", key=admin, headers={"Range": "bytes=100-199"}
        )
        assert (status, part) == (206, whole[100:200])
        names = [name for name in store.names() if name.startswith("prod/")]
        assert len(names) == 1
        assert not [path for path in (service.data / "exports").iterdir() if path.is_file()]

        assert "errors" not in service.ask(admin, CANCEL, id=id_)
        assert service.request("GET", f"/v1/exports/{id_}", key=admin)[0] == 404
        service.ask(admin, EXPORT, **{"in": {"kind": "CALLS", "format": "CSV"}})  # who writes it tidies up before
        settled(
            lambda: {name.rpartition("/")[2] for name in store.names()} & {names[0].rpartition("/")[2]}, set(), times=1
        )
    finally:
        service.stop()
