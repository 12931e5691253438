"""Bodies over HTTP: how long, how packed and how many at a time they may be."""

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator

import pytest
from gateway import MAX_BODY_BYTES, Gateway, error_of, gateway_to
from ingesting import body, call, eventually


async def test_a_long_answer_is_whole(gateway: Gateway) -> None:
    """An answer of megabytes is sent in pieces: its length is said before, and each row is in it once."""
    status, answer, headers = await gateway.post(b"[" + b",".join([b"{}"] * 30_000) + b"]")

    assert (status, headers["Content-Type"], answer["rejected"]) == (200, "application/json", 30_000)
    assert int(headers["Content-Length"]) > 2**21
    assert [result["index"] for result in answer["results"]] == list(range(30_000))


async def test_gzip_body_is_taken(gateway: Gateway) -> None:
    """A gzip body is decoded here, whichever of its two names the encoding has."""
    for name, encoding in (("a", "gzip"), ("b", "x-gzip"), ("c", "GZIP")):
        status, answer, _ = await gateway.post(gzip.compress(body(call(name))), Content_Encoding=encoding)
        assert (status, answer["accepted"]) == (200, 1)


async def test_the_answer_to_a_large_body_says_what_to_set(gateway: Gateway) -> None:
    """Whoever reads it knows what to set on which side so that nothing is lost again."""
    _, answer, _ = await gateway.post(io.BytesIO(b" " * (MAX_BODY_BYTES + 1)))

    assert "`DEFAULT_BATCH_SIZE`" in answer["error"]["message"]
    assert "`CALLEDGER_MAX_BODY_BYTES`" in answer["error"]["message"]


async def test_large_bodies_are_413(gateway: Gateway) -> None:
    """Above the cap a body is refused: announced, in chunks, or hidden in gzip."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 2**16 + 1):
            yield b" " * 2**16

    too_large = b" " * (MAX_BODY_BYTES + 1)

    assert error_of(await gateway.post(io.BytesIO(too_large))) == (413, "body_too_large")
    assert error_of(await gateway.post(chunks())) == (413, "body_too_large")
    assert error_of(await gateway.post(gzip.compress(too_large), Content_Encoding="gzip")) == (413, "body_too_large")


async def test_gzip_bombs_are_413_long_before_their_end(gateway: Gateway) -> None:
    """A small body that becomes a large one is refused by its ratio, even below the cap for size."""
    bomb = gzip.compress(b"[" + b" " * (MAX_BODY_BYTES - 2) + b"]")

    assert len(bomb) < 10_000
    assert error_of(await gateway.post(bomb, Content_Encoding="gzip")) == (413, "body_too_large")


async def test_small_bodies_may_compress_well(gateway: Gateway) -> None:
    """Up to a mebibyte the ratio does not matter: honest batches repeat themselves."""
    rows = gzip.compress(body(call("a")) + b" " * 900_000)

    assert (await gateway.post(rows, Content_Encoding="gzip"))[0] == 200


async def test_many_gzip_members_are_400(gateway: Gateway) -> None:
    """Concatenated members, whose decoding can be made quadratic, are refused at the second."""
    members = gzip.compress(body(call("a"))) + gzip.compress(b"") * 50_000

    assert error_of(await gateway.post(members, Content_Encoding="gzip")) == (400, "body_unreadable")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"plain",
        gzip.compress(b"[]")[:-1],
        gzip.compress(b"[]")[:5],
        gzip.compress(b"[]") + b"\0",
        zlib.compress(b"[]"),
    ],
    ids=["empty", "plain", "end missing", "cut short", "trailing byte", "zlib"],
)
async def test_broken_gzip_is_400(gateway: Gateway, content: bytes) -> None:
    """What claims to be gzip and is not cannot be read."""
    assert error_of(await gateway.post(content, Content_Encoding="gzip")) == (400, "body_unreadable")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip,identity", "x"])
async def test_other_encodings_are_415(gateway: Gateway, encoding: str) -> None:
    """One encoding is understood."""
    answer = await gateway.post(body(call("a")), Content_Encoding=encoding)

    assert error_of(answer) == (415, "encoding_not_supported")


async def test_full_queue_is_503_with_retry_after(gateway: Gateway) -> None:
    """While the database stands still and the queue is full, gateways are told to come back."""
    ingest = gateway.ingest
    await gateway.post(body(call("warm")))
    async with gateway_to(ingest, queue_rows=1, batch_rows=1) as narrow:
        async with ingest.database.owner.acquire() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE call IN SHARE MODE")
            first = asyncio.create_task(narrow.post(body(call("first"))))
            await eventually(lambda: narrow.writer.waiting_rows)
            refused = await narrow.post(body(call("second")))
        assert error_of(refused) == (503, "queue_full")
        assert int(refused[2]["Retry-After"]) > 0
        assert (await first)[1]["accepted"] == 1
        assert (await narrow.post(body(call("second"))))[0] == 200
