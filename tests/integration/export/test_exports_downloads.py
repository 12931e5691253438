"""Files of exports on their way: in parts, by links, listed, cancelled, and asked for by schedules."""

import asyncio
import gzip
import io
import json
import logging
import urllib.request
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from evidence import Answer, Auditor, exports_folder
from http_server import Served, serve
from rows import SeededLedger, StoredCall, open_seeded

from policies.policy.model import Role
from service.api.exports import links
from service.api.exports.types import decode_export_id
from service.content_coding import CompressionSlots
from service.export import download, jobs
from service.export.folder import ExportFolder
from service.export.jobs import ExportWriter
from service.export.schedules import MISSED_MAX, ask_for_due
from service.export.sources import operation
from service.ledger import LedgerKind

LIST = "query($after: String) { exports(first: 2, after: $after) { totalCount nodes { id state kind format rows bytes \
totalRows url schedule periodStart } pageInfo { hasNextPage endCursor } } }"
CANCEL = "mutation($id: ID!) { cancelExport(id: $id) { export { id state url failure } } }"
CREATE = "mutation($in: CreateExportInput!) { createExport(input: $in) { export { id state } } }"
SIGNED = "query($id: ID!) { export(id: $id) { signedUrl } }"
SCHEDULE = "mutation($in: CreateExportScheduleInput!) { createExportSchedule(input: $in) { schedule { id kind every \
timeZone periodStart dueAt failure format } } }"
SCHEDULES = "{ exportSchedules(first: 5) { totalCount nodes { id dueAt failure periodStart } } }"


@dataclass(slots=True)
class ServedLedger:
    """A served ledger with calls of two accounts."""

    seeded: SeededLedger
    served: Served

    async def reader(self, role: Role = Role.VIEWER, *accounts: str) -> Auditor:
        numbers = (await self.seeded.accounts.ensure(accounts)).values() if accounts else ()
        return Auditor(self.served, await self.served.key(role, *numbers))

    async def fetch(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Without a key."""
        url = self.served.url.removesuffix("/graphql") + path
        names = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.served.session.request(method, url, headers=names) as response:
            return Answer(response.status, response.headers, await response.read())

    async def writer(self) -> ExportWriter:
        """One that does nothing by itself."""
        writer = ExportWriter(self.served.runtime, ExportFolder(self.served.runtime.settings.data / "exports"))
        await writer._live()
        return writer


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[ServedLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await _fill(seeded)
        async with serve(seeded) as served:
            yield ServedLedger(seeded, served)


@pytest.fixture
async def unwatched(database_url: str, tmp_path: Path) -> AsyncIterator[ServedLedger]:
    """The queue of exports is the test's own."""
    async with open_seeded(database_url, tmp_path) as seeded:
        await _fill(seeded)
        async with serve(seeded, exports=False) as served:
            yield ServedLedger(seeded, served)


async def _fill(seeded: SeededLedger) -> None:
    start = await seeded.now() - timedelta(days=3)
    await seeded.put(
        StoredCall(start + timedelta(seconds=n), account="acme" if n % 2 else "globex", source_id=f"s{n}")
        for n in range(300)
    )


async def test_a_download_goes_on_where_it_was_cut_off(ledger: ServedLedger) -> None:
    """RFC 9110: 206 with the bytes that are asked for, 416 past the end, all of it for another file's tag."""
    one = await ledger.reader()
    export, body = await one.exported(fields=["id"])
    path, key, size = export["url"], {"Authorization": f"Bearer {one.key}"}, len(body)
    whole = await ledger.fetch(path, **key)
    tag = whole.headers["ETag"]
    assert (whole.status, whole.headers["Accept-Ranges"], tag) == (200, "bytes", f'"{sha256(body).hexdigest()}"')

    for asked, expected in (
        ("bytes=100-", body[100:]), ("bytes=0-0", body[:1]), ("bytes=-7", body[-7:]), (f"bytes={size - 1}-", body[-1:]),
        (f"bytes=5-{size * 9}", body[5:]), ("BYTES=1-2", body[1:3]),
    ):  # fmt: skip
        part = await ledger.fetch(path, Range=asked, If_Range=tag, **key)
        assert (part.status, part.body) == (206, expected), asked
        start = body.rindex(expected) if asked.startswith("bytes=-") else int(asked[6:].split("-")[0])
        assert part.headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{size}"
    for asked in (f"bytes={size}-", "bytes=-0"):
        refused = await ledger.fetch(path, Range=asked, **key)
        assert (refused.status, refused.headers["Content-Range"], refused.body) == (416, f"bytes */{size}", b"")
    for headers in (
        {"Range": "bytes=10-", "If_Range": '"another"'}, {"Range": "bytes=10-", "If_Range": f"W/{tag}"},
        {"Range": "bytes=9-3"}, {"Range": "bytes=0-1,5-6"}, {"Range": "lines=1-2"}, {"Range": "bytes=-"},
        {"Range": "bytes=" + "9" * 5000 + "-"},
    ):  # fmt: skip
        answer = await ledger.fetch(path, **headers, **key)
        assert (answer.status, answer.body) == (200, body), headers
    assert (await ledger.fetch(path, If_None_Match=tag, **key)).status == 304
    head = await ledger.fetch(path, "HEAD", **key)
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(size), b"")


async def test_a_compressed_file_goes_on_too(ledger: ServedLedger) -> None:
    """What is kept is the compressed file: its parts are of it, and put together they are it."""
    one = await ledger.reader()
    export, body = await one.exported(form="CSV", compression="GZIP")
    asked = {"Authorization": f"Bearer {one.key}", "Accept_Encoding": "gzip"}
    first = await ledger.fetch(export["url"], Range="bytes=0-99", **asked)
    tag = first.headers["ETag"]
    rest = await ledger.fetch(export["url"], Range="bytes=100-", If_Range=tag, **asked)
    assert (first.status, rest.status, "Content-Encoding" in rest.headers) == (206, 206, False)
    assert first.body + rest.body == body
    assert gzip.decompress(body).count(b"\r\n") == 301


class Ranged(io.RawIOBase):
    """A file behind HTTP, of which only what is read is fetched, as DuckDB and Arrow do it."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._headers, self._at = url, {"Authorization": f"Bearer {key}"}, 0
        self.fetched = 0
        with urllib.request.urlopen(urllib.request.Request(url, headers=self._headers, method="HEAD")) as answer:
            self.size = int(answer.headers["Content-Length"])
            assert answer.headers["Accept-Ranges"] == "bytes"

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = {"Range": f"bytes={self._at}-{self._at + len(buffer) - 1}"}
        if not len(buffer) or self._at >= self.size:
            return 0
        with urllib.request.urlopen(urllib.request.Request(self._url, headers=self._headers | wanted)) as answer:
            data = answer.read()
            assert answer.status == 206
        buffer[: len(data)] = data
        self._at += len(data)
        self.fetched += len(data)
        return len(data)


async def test_parquet_is_read_in_place(ledger: ServedLedger) -> None:
    """One column of a file is fetched by its ranges, without the others."""
    now = await ledger.seeded.now()
    noise = [sha256(str(number).encode()).hexdigest() for number in range(4000)]
    await ledger.seeded.put(StoredCall(now, source_id=f"n{at}", trace_id=text) for at, text in enumerate(noise))
    one = await ledger.reader()
    export, body = await one.exported(form="PARQUET")

    def read() -> tuple[list[str], int]:
        file = Ranged(ledger.served.url.removesuffix("/graphql") + export["url"], one.key)
        return pq.read_table(file, columns=["sourceId"], pre_buffer=False)["sourceId"].to_pylist(), file.fetched

    ids, fetched = await asyncio.to_thread(read)
    assert {*ids} == {f"s{number}" for number in range(300)} | {f"n{number}" for number in range(4000)}
    assert fetched < len(body) / 2


@pytest.mark.parametrize(("at_once", "of_one", "encoding"), [(1, 1, "gzip"), (1, 0, None), (0, 1, None)])
async def test_files_are_compressed_as_far_as_there_is_a_place(
    database_url: str, tmp_path: Path, monkeypatch: Any, at_once: int, of_one: int, encoding: str | None
) -> None:
    """A file that cannot be compressed, because enough of the same key or of all are, is sent as it is, and whole."""
    monkeypatch.setattr(download, "_COMPRESSED_AT_ONCE", at_once)
    monkeypatch.setattr(download, "_COMPRESSED_OF_ONE", of_one)
    async with open_seeded(database_url, tmp_path) as seeded:
        await _fill(seeded)
        async with serve(seeded) as served:
            ledger = ServedLedger(seeded, served)
            one = await ledger.reader()
            export, body = await one.exported(fields=["id"])
            for _ in range(3):  # a place is given back
                answer = await ledger.fetch(export["url"], Authorization=f"Bearer {one.key}", Accept_Encoding="gzip")
                assert answer.headers.get("Content-Encoding") == encoding
                assert (answer.status, answer.body) == (200, body), "decoded by the client"


def test_places_for_compressing_are_given_back() -> None:
    """Two of one name and three together, whatever happens while they are taken."""
    places = CompressionSlots(3, of_one=2)
    with ExitStack() as taken:
        found = [taken.enter_context(places.slot(name)) for name in "aaab"]
        assert found == [True, True, False, True]
        with places.slot("c") as free:
            assert not free
        with pytest.raises(ConnectionError), places.slot("a"):
            raise ConnectionError
    assert not places._taken


async def test_a_link_needs_no_header_and_is_for_one_file(
    ledger: ServedLedger, caplog: pytest.LogCaptureFixture
) -> None:
    """It gives its file, in parts too, and no other; nobody can make or change one; nothing of it is logged."""
    one = await ledger.reader()
    (first, body), (other, _) = await one.exported(fields=["id"]), await one.exported(fields=["sourceId"])
    with caplog.at_level(logging.DEBUG):
        link = (await one.ask(SIGNED, id=first["id"]))["export"]["signedUrl"]
        answer = await ledger.fetch(link)
        assert (answer.status, answer.body) == (200, body)
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert (await ledger.fetch(link, Range="bytes=3-", Accept_Encoding="gzip")).body == body[3:]
        assert "Content-Encoding" not in (await ledger.fetch(link, Accept_Encoding="gzip")).headers
    path, text = link.split("?link=")
    assert text not in caplog.text
    assert (await ledger.fetch(f"{other['url']}?link={text}")).status == 404
    for forged in (text[:-1], text + "A", text[:-2] + ("AA" if text[-2:] != "AA" else "BB"), "", "x", "%00", "é"):
        assert (await ledger.fetch(f"{path}?link={forged}")).status == 404, forged
    assert (await ledger.fetch(path)).status == 401


async def test_a_link_ends_with_its_time_its_key_and_its_file(
    ledger: ServedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an hour, after the key was revoked, bound or expired, and after the file was cancelled it gives nothing."""
    one, admin = await ledger.reader(), await ledger.reader(Role.ADMIN)
    export, body = await one.exported(fields=["id"])
    link = (await one.ask(SIGNED, id=export["id"]))["export"]["signedUrl"]
    with monkeypatch.context() as patched:
        patched.setattr(links, "LINK_LIFETIME", timedelta(seconds=-1))
        ended = (await one.ask(SIGNED, id=export["id"]))["export"]["signedUrl"]
    assert (await ledger.fetch(ended)).status == 404
    owner, prefix = ledger.served.runtime.database.owner, one.key.split("_")[1]
    for change, back in (
        ("accounts = '[1]'", "accounts = NULL"), ("expires_at = now()", "expires_at = NULL"),
        ("revoked_at = now()", "revoked_at = NULL"),
    ):  # fmt: skip
        await owner.execute(f"UPDATE api_key SET {change} WHERE prefix = $1", prefix)
        assert (await ledger.fetch(link)).status == 404, change
        await owner.execute(f"UPDATE api_key SET {back} WHERE prefix = $1", prefix)
        assert (await ledger.fetch(link)).body == body
    of_admin = (await admin.ask(SIGNED, id=export["id"]))["export"]["signedUrl"]
    assert (await ledger.fetch(of_admin)).body == body
    await ledger.served.runtime.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": prefix}, actor="cli")
    assert (await ledger.fetch(link)).status == 404
    await admin.ask(CANCEL, id=export["id"])
    assert (await ledger.fetch(of_admin)).status == 404


async def test_one_s_exports_are_listed_newest_first(ledger: ServedLedger) -> None:
    """Page by page, a key's own alone; admins of every account see all; another key's are not there to be seen."""
    one, other, admin = await ledger.reader(), await ledger.reader(), await ledger.reader(Role.ADMIN)
    ids = [(await one.exported(fields=["id"], form=form))[0]["id"] for form in ("NDJSON", "CSV", "PARQUET")]
    await other.exported(fields=["id"])
    first = (await one.ask(LIST))["exports"]
    second = (await one.ask(LIST, after=first["pageInfo"]["endCursor"]))["exports"]

    assert [node["id"] for node in first["nodes"] + second["nodes"]] == ids[::-1]
    assert first["nodes"][0] | {"url": None, "bytes": None} == {
        "id": ids[2], "state": "READY", "kind": "CALLS", "format": "PARQUET", "rows": "300", "bytes": None,
        "totalRows": None, "url": None, "schedule": None, "periodStart": None,
    }  # fmt: skip
    assert (first["totalCount"], second["pageInfo"]["hasNextPage"]) == (3, False)
    assert (await admin.ask(LIST))["exports"]["totalCount"] == 4
    assert await other.code(LIST, after=first["pageInfo"]["endCursor"]) == "BAD_USER_INPUT"
    partner = await ledger.reader(Role.PARTNER, "acme")
    assert (await partner.ask(LIST))["exports"]["nodes"] == []


async def test_progress_is_seen_and_a_cancelled_export_stops(unwatched: ServedLedger, monkeypatch: Any) -> None:
    """While a file is written its rows and bytes grow, of about how many; cancelled, it stops, and nothing is left."""
    monkeypatch.setattr(operation, "PAGE", 20)
    monkeypatch.setattr(jobs, "PROGRESS_S", 0.0)
    monkeypatch.setattr(jobs, "CHUNK_BYTES", 1)
    one, writer = await unwatched.reader(), await unwatched.writer()
    created = (await one.ask(CREATE, **{"in": {"kind": "CALLS", "format": "CSV"}}))["createExport"]["export"]
    await writer._turn()
    seen = []
    while not seen or seen[-1] < 100:
        export = (await one.ask(LIST))["exports"]["nodes"][0]
        assert export["state"] in ("QUEUED", "RUNNING")
        if export["rows"] and export["bytes"]:
            assert export["totalRows"] == "300"
            seen.append(int(export["rows"]))
    assert seen == sorted(seen)
    ended = (await one.ask(CANCEL, id=created["id"]))["cancelExport"]["export"]
    assert (ended["state"], ended["failure"]) == ("CANCELLED", None)
    await asyncio.gather(*writer._jobs)
    assert list(exports_folder(unwatched.served).iterdir()) == []
    assert (await one.export(created["id"]))["state"] == "CANCELLED"
    assert await unwatched.served.runtime.ledger.newest(LedgerKind.EXPORTED) is None
    await writer._end()


async def test_what_waits_and_what_is_ready_can_be_cancelled(unwatched: ServedLedger) -> None:
    """One in the queue is never written; the file of one that is ready is gone at once; others' are not reached."""
    one, other, writer = await unwatched.reader(), await unwatched.reader(), await unwatched.writer()
    wanted = {"in": {"kind": "CALLS", "format": "CSV"}}
    ids = [(await one.ask(CREATE, **wanted))["createExport"]["export"]["id"] for _ in range(2)]
    assert (await one.ask(CANCEL, id=ids[0]))["cancelExport"]["export"]["state"] == "CANCELLED"
    await writer._turn()
    await asyncio.gather(*writer._jobs)
    assert (await one.export(ids[0]))["state"] == "CANCELLED"
    ready = await one.ended(ids[1])
    assert await other.code(CANCEL, id=ids[1]) == "BAD_USER_INPUT"
    assert ready["state"] == "READY"
    assert (await one.ask(CANCEL, id=ids[1]))["cancelExport"]["export"] == {
        "id": ids[1], "state": "EXPIRED", "url": None, "failure": None,
    }  # fmt: skip
    await writer.tidy()
    assert list(exports_folder(unwatched.served).iterdir()) == []
    assert (await one.ask(CANCEL, id=ids[1]))["cancelExport"]["export"]["state"] == "EXPIRED"
    await writer._end()


async def _scheduled(ledger: ServedLedger, one: Auditor, **wanted: Any) -> dict[str, Any]:
    export = {"kind": "CALLS", "format": "NDJSON", "fields": ["id", "startedAt"]} | wanted.pop("export", {})
    asked = {"every": "DAY", "timeZone": "Asia/Kolkata", "export": export} | wanted
    return (await one.ask(SCHEDULE, **{"in": asked}))["createExportSchedule"]["schedule"]


def _file(ledger: ServedLedger, id_: str) -> bytes:
    number = decode_export_id(id_)
    assert number is not None
    return (exports_folder(ledger.served) / number.hex).read_bytes()


async def _due(ledger: ServedLedger, **values: datetime) -> None:
    sets = ", ".join(f"{name} = ${place + 1}" for place, name in enumerate(values))
    await ledger.served.runtime.database.owner.execute(f"UPDATE export_schedule SET {sets}", *values.values())


async def test_a_schedule_asks_for_each_local_day_once(unwatched: ServedLedger) -> None:
    """By several processes at once, and after a crash between two of its steps: one export of the day, of its rows."""
    ledger, runtime = unwatched, unwatched.served.runtime
    one, writer = await ledger.reader(), await ledger.writer()
    schedule = await _scheduled(ledger, one)
    start = datetime.fromisoformat(schedule["periodStart"])
    assert (start.hour, start.minute) == (18, 30)  # midnight in Kolkata
    assert datetime.fromisoformat(schedule["dueAt"]) == start + timedelta(days=1, minutes=15)
    await ask_for_due(runtime)
    assert (await one.ask(LIST))["exports"]["totalCount"] == 0

    first = start - timedelta(days=4)
    await _due(ledger, period_start=first, due_at=first + timedelta(days=1, minutes=15))
    await asyncio.gather(*(ask_for_due(runtime) for _ in range(4)))
    assert (await one.ask(LIST))["exports"]["totalCount"] == 4
    await writer._turn()
    await asyncio.gather(*writer._jobs)
    rows, page = [], (await one.ask(LIST))["exports"]
    while page["nodes"]:
        for node in page["nodes"]:
            begin = datetime.fromisoformat(node["periodStart"])
            found = [json.loads(line) for line in _file(ledger, node["id"]).splitlines()]
            for row in found:
                assert begin <= datetime.fromisoformat(row["startedAt"]) < begin + timedelta(days=1)
            rows += found
            assert node["schedule"] == schedule["id"]
        page = (await one.ask(LIST, after=page["pageInfo"]["endCursor"]))["exports"]
    assert len({row["id"] for row in rows}) == len(rows) == 300
    await _due(ledger, period_start=first, due_at=first + timedelta(days=1, minutes=15))  # as if it were all forgotten
    await ask_for_due(runtime)
    assert (await one.ask(LIST))["exports"]["totalCount"] == 4
    [state] = (await one.ask(SCHEDULES))["exportSchedules"]["nodes"]
    assert (state["periodStart"], state["failure"]) == (schedule["periodStart"], None)
    await writer._end()


async def test_what_was_missed_for_long_is_made_up_for_in_part(unwatched: ServedLedger) -> None:
    """Of many missed days the last ones are asked for, as far as the key has room, and the others are said."""
    ledger = unwatched
    one = await ledger.reader()
    schedule = await _scheduled(ledger, one)
    start = datetime.fromisoformat(schedule["periodStart"]) - timedelta(days=30)
    await _due(ledger, period_start=start, due_at=start + timedelta(days=1))
    for _ in range(3):
        await ask_for_due(ledger.served.runtime)
        await ledger.served.runtime.database.owner.execute("UPDATE export SET state = 'FAILED', ended_at = now()")
    assert (await one.ask(LIST))["exports"]["totalCount"] == MISSED_MAX
    failure = await ledger.served.runtime.database.owner.fetchval("SELECT failure FROM export_schedule")
    assert failure is None


async def test_a_month_begins_and_ends_by_the_local_clock(unwatched: ServedLedger) -> None:
    """Also where the clock was changed within it."""
    ledger = unwatched
    one = await ledger.reader()
    await _scheduled(
        ledger, one, every="MONTH", timeZone="Europe/Vienna", export={"kind": "COSTS", "fields": ["calls"]}
    )
    october = datetime(2026, 9, 30, 22, tzinfo=UTC)
    await _due(ledger, period_start=october, due_at=datetime(2026, 10, 31, 23, 15, tzinfo=UTC))
    await ask_for_due(ledger.served.runtime)
    owner = ledger.served.runtime.database.owner
    asked = json.loads(await owner.fetchval("SELECT request FROM export ORDER BY period_start LIMIT 1"))
    assert asked["filter"] == {"startedAt": {"gte": "2026-09-30T22:00:00+00:00", "lt": "2026-10-31T23:00:00+00:00"}}


async def test_a_schedule_ends_with_its_key(unwatched: ServedLedger) -> None:
    """A key that is revoked asks for nothing more; the schedule says why, and can be deleted by an admin."""
    ledger = unwatched
    one, admin = await ledger.reader(), await ledger.reader(Role.ADMIN)
    schedule = await _scheduled(ledger, one)
    await _due(ledger, due_at=datetime.now(UTC) - timedelta(seconds=1))
    await ledger.served.runtime.ledger.append(LedgerKind.API_KEY_REVOKED, {"key": one.key.split("_")[1]}, actor="cli")
    await ask_for_due(ledger.served.runtime)
    [node] = (await admin.ask(SCHEDULES))["exportSchedules"]["nodes"]
    assert (node["dueAt"], "ended" in node["failure"]) == (None, True)
    assert (await admin.ask(LIST))["exports"]["totalCount"] == 0
    delete = "mutation($id: ID!) { deleteExportSchedule(id: $id) { schedule { id } } }"
    assert await (await ledger.reader()).code(delete, id=schedule["id"]) == "BAD_USER_INPUT"
    await admin.ask(delete, id=schedule["id"])
    assert (await admin.ask(SCHEDULES))["exportSchedules"]["totalCount"] == 0


async def test_schedules_are_bounded_and_refused_like_exports(unwatched: ServedLedger) -> None:
    """What would be refused of an export is refused of a schedule; the time is the schedule's; a key has twenty."""
    ledger = unwatched
    one = await ledger.reader()
    for changed in (
        {"timeZone": "Mars/Olympus"},
        {"export": {"kind": "CALLS", "format": "CSV", "fields": ["nothing"]}},
        {"export": {"kind": "CALLS", "format": "CSV", "filter": {"startedAt": {"gte": "2026-01-01T00:00:00Z"}}}},
    ):
        asked = {"every": "DAY", "timeZone": "UTC", "export": {"kind": "CALLS", "format": "CSV"}} | changed
        assert await one.code(SCHEDULE, **{"in": asked}) == "BAD_USER_INPUT"
    for _ in range(20):
        await _scheduled(ledger, one)
    asked = {"every": "DAY", "timeZone": "UTC", "export": {"kind": "CALLS", "format": "CSV"}}
    assert "errors" in await one.answer(SCHEDULE, **{"in": asked})
