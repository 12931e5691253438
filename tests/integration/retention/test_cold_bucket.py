"""Files of calls in an S3-compatible store: answers as from the database, and less than an answer never is one."""

import asyncio
import os
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from cold_ledgers import IDS, NOTHING, QUERIES, ColdLedger, old_call, opened, paged
from ingesting import call
from s3_server import BUCKET, S3Server, UnreliableWay, running_s3

from policies.evidence import LedgerKind
from policies.policy.model import Store
from service.errors import OperatorError
from service.ingest.results import Status
from service.ledger import Selection
from service.retention.cold import thaw as thawing
from service.retention.cold.freeze import freeze
from service.retention.cold.rewrite import keep_cold, waiting
from service.retention.cold.thaw import remove_done, sweep, thaw
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.purge.planning import plan_purge
from service.retention.purge_runs import PurgeState
from service.settings import Settings
from service.storage.bucket import ObjectBucket
from service.storage.cold import fetching
from service.storage.cold import files as cold_files_module
from service.storage.cold.catalogue import AGE_MIN
from service.storage.cold.errors import ColdFileError
from service.storage.cold.files import ColdBucket, ColdFolder, open_files
from service.storage.cold.tier import ColdRead, ColdTier

pytestmark = pytest.mark.plain("calls in files of the cold tier")

SECRET = "not-to-be-logged-4711"
ROOM = 2**30


@pytest.fixture(scope="module")
def store() -> Iterator[S3Server]:
    with running_s3() as store:
        yield store


@pytest.fixture
def way(store: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[UnreliableWay]:
    way = UnreliableWay(store)
    for name, value in (way.environment | {"AWS_SECRET_ACCESS_KEY": SECRET}).items():
        monkeypatch.setenv(name, value)
    yield way
    way.close()


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path, way: UnreliableWay) -> AsyncIterator[ColdLedger]:
    """A ledger whose files are in the bucket; `ledger.folder` has the copies."""
    async with opened(database_url, tmp_path) as ledger:
        ledger.folder = tmp_path / "cold" / "copies"
        url = f"s3:{BUCKET}/{uuid4()}"
        bucket = ObjectBucket(url, "ledger", setting="CALLEDGER_COLD", whose="calls")
        ledger.retention.database.cold.files = ColdBucket(bucket, url, ledger.folder, ROOM)
        yield ledger


def objects(ledger: ColdLedger, store: S3Server) -> dict[str, str]:
    """The keys of the objects of a ledger, by name."""
    prefix = files_of(ledger)._bucket.prefix
    return {key.removeprefix(prefix): key for key in store.names() if key.startswith(prefix)}


def files_of(ledger: ColdLedger) -> ColdBucket:
    return ledger.retention.database.cold.files


def held() -> list[str]:
    """Where the files lie that this process has open."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found.append(str(path.readlink()))
    return found


def forget_copies(ledger: ColdLedger) -> None:
    """As another host is, which has read nothing yet."""
    for path in ledger.folder.iterdir():
        path.unlink()


async def test_every_answer_is_as_it_was(ledger: ColdLedger, store: S3Server) -> None:
    """Lists, counts, sums and the feed answer from the bucket as they did; late reports are told; what comes back is
    gone from the bucket and from this host.
    """
    before = [await ledger.data(query) for query in QUERIES]
    await ledger.freeze()
    names = {file.name for file in await ledger.files()}
    assert objects(ledger, store).keys() == names and await ledger.stored() == 1
    for _ in range(2):
        for query, expected in zip(QUERIES, before, strict=True):
            assert await ledger.data(query) == expected, query
        forget_copies(ledger)
    again = await ledger.kept.report(*(old_call(number) for number in range(0, 40, 3)))
    assert {one.status for one in again} == {Status.DUPLICATE}
    assert (await ledger.kept.findings()).keys() <= {"deadlines"}
    for file in await ledger.files():
        await thaw(ledger.retention, file, actor="cli")
    assert objects(ledger, store) == {} and list(ledger.folder.iterdir()) == []
    await ledger.reader.clock.refresh()
    assert await ledger.data(QUERIES[0]) == before[0]


async def test_a_fault_that_passes_is_not_noticed(ledger: ColdLedger, way: UnreliableWay) -> None:
    """A part that breaks off once is asked for again, and so is what a busy store refuses."""
    ids = await paged(ledger, 200)
    await ledger.freeze()
    for fault in ("cut", "busy"):
        forget_copies(ledger)
        seen: set[str] = set()

        def once(method: str, range_: str, fault: str = fault, seen: set[str] = seen) -> str | None:
            if method != "GET" or not range_ or range_ in seen:
                return None
            seen.add(range_)
            return fault

        way.fault = once
        assert await paged(ledger, 50) == ids and seen


async def test_what_is_not_the_file_is_no_answer(
    ledger: ColdLedger, way: UnreliableWay, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A part that is cut off, another object than before and a store that has gone: an error, no copy is kept, no
    credential is told; when the store is back, so are the answers.
    """
    ids = await paged(ledger, 200)
    await ledger.freeze()
    # An object that fits into one part is the part that a store without ranges sends.
    monkeypatch.setattr(cold_files_module, "_FETCH_BYTES", 4096)
    monkeypatch.setattr(cold_files_module, "_PAUSE_S", 3600.0)
    for fault in ("cut", "short", "another", "ranges unknown", "closed"):
        forget_copies(ledger)
        way.fault = lambda method, _, fault=fault: fault if method == "GET" else None
        result = await ledger.ask(IDS)
        assert result.errors is not None and result.errors[0].extensions["code"] == "UNAVAILABLE", fault
        assert list(ledger.folder.iterdir()) == []
        asked = len(way.asked)
        assert (await ledger.ask(IDS)).errors is not None and len(way.asked) == asked  # it is not asked at once again
        told = "".join(traceback.format_exception(result.errors[0])) + "".join(capfd.readouterr())
        assert SECRET not in told and "127.0.0.1" not in told
        files_of(ledger)._silent_until = 0.0
    late, fresh = await ledger.kept.report(old_call(0), call("fresh", account="acme"))
    assert (late.status, fresh.status) == (Status.REJECTED, Status.ACCEPTED)
    assert "cold tier" in await ledger.kept.findings()
    way.fault = lambda _method, _range: None
    files_of(ledger)._silent_until = 0.0
    found = await paged(ledger, 50)
    assert len(found) == len(ids) + 1 and [one for one in found if one in ids] == ids


async def test_a_file_that_did_not_arrive_takes_no_row(ledger: ColdLedger, way: UnreliableWay, store: S3Server) -> None:
    """While an upload fails, or leaves another object than was sent, every row stays in the table, and the next rounds
    begin anew.
    """
    ids = await paged(ledger, 200)
    way.fault = lambda method, _: "closed" if method == "PUT" else None
    with pytest.raises(ColdFileError, match="cannot be written"):
        await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    way.fault = lambda _method, _range: None
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)  # forgets what did not arrive, and begins anew
    assert await ledger.stored() == 121 and objects(ledger, store)
    for key in objects(ledger, store).values():
        data = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        store.client.put_object(Bucket=BUCKET, Key=key, Body=data[:-1])
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    assert await ledger.stored() == 121 and await paged(ledger, 50) == ids
    await ledger.freeze()
    assert await ledger.stored() == 1 and await paged(ledger, 50) == ids
    assert objects(ledger, store).keys() == {file.name for file in await ledger.files()}


async def erase_person(ledger: ColdLedger) -> str:
    """Ask for the erasure of somebody who is in every file; its state."""
    asked = {"kind": ErasureKind.USER, "account": "acme", "user": "u-1", "reason": "asked", "actor": "cli"}
    return (await request_erasure(ledger.retention, **asked)).state


async def test_no_erasure_ends_before_the_files_are_gone(
    ledger: ColdLedger, way: UnreliableWay, store: S3Server
) -> None:
    """While the store removes nothing, the calls come back and are erased, and the erasure goes on; it ends with the
    objects that have the person.
    """
    await ledger.freeze()
    old = objects(ledger, store)
    way.fault = lambda method, _: "denied" if method == "DELETE" else None
    assert old and await erase_person(ledger) == "REQUESTED" and await ledger.stored() == 121
    with pytest.raises(ColdFileError, match="cannot be removed"):
        await carry_out_erasures(ledger.retention)
    unfinished = "SELECT count(*) FROM erasure WHERE finished_at IS NULL"
    assert objects(ledger, store) == old and await ledger.kept.value(unfinished) == 1
    way.fault = lambda _method, _range: None
    await carry_out_erasures(ledger.retention)
    assert objects(ledger, store) == {} and await ledger.kept.value(unfinished) == 0


def use_short_windows(ledger: ColdLedger) -> None:
    """Have a policy in force by which all that is in files is past its window."""
    policy = ledger.kept.ingest.applied.policy
    tier = policy.tiers["standard"]
    days = dict(tier.store_days) | {Store.CALL: 40, Store.CALL_ERROR: 30, Store.USAGE_QUARTER: 40}
    ledger.kept.ingest.use_policy(replace(policy, tiers={"standard": replace(tier, store_days=days)}))


async def test_a_purge_says_which_files_are_left(
    ledger: ColdLedger, way: UnreliableWay, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store removes nothing, calls are purged all the same: the purge and the ledger say that files are left,
    and how many, and the maintenance removes them when it can.
    """
    await ledger.freeze()
    old = objects(ledger, store)
    use_short_windows(ledger)
    way.fault = lambda method, _: "denied" if method == "DELETE" else None

    (run,) = await ledger.kept.purge(plan_digest=(await plan_purge(ledger.retention)).digest())

    assert old and objects(ledger, store) == old and await ledger.files() == [] and await ledger.stored() == 1
    assert run.state is PurgeState.DONE and f"{len(old)} files" in (run.failure or "")
    entries = [one async for one in ledger.retention.ledger.every(Selection(kinds=(LedgerKind.PURGE_RESULT,)))]
    assert entries[-1].facts["files_left"] == len(old)
    monkeypatch.setattr(thawing, "ORPHANED_S", -1.0)
    with pytest.raises(ColdFileError, match="cannot be removed"):
        await keep_cold(ledger.retention)
    way.fault = lambda _method, _range: None
    await keep_cold(ledger.retention)
    assert objects(ledger, store) == {}


async def test_a_purge_counts_files_that_were_left_before(
    ledger: ColdLedger, way: UnreliableWay, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that came back and moved again have a file that could not be removed then: it is left as the last one is.
    Of those that are left, one that is still refused keeps no other.
    """
    await ledger.freeze()
    way.fault = lambda method, _: "denied" if method == "DELETE" else None
    for file in await ledger.files():
        with pytest.raises(ColdFileError):
            await thaw(ledger.retention, file, actor="cli")
    await ledger.freeze()
    there = objects(ledger, store)
    assert len(there) == 2 * len(await ledger.files()) > 2
    use_short_windows(ledger)

    (run,) = await ledger.kept.purge(plan_digest=(await plan_purge(ledger.retention)).digest())

    assert objects(ledger, store) == there and f"{len(there)} files" in (run.failure or "")
    monkeypatch.setattr(thawing, "ORPHANED_S", -1.0)
    for once in (sweep, remove_done):
        for key in there.values():
            store.client.put_object(Bucket=BUCKET, Key=key, Body=b"PAR1")
        refused = iter(["denied"])
        way.fault = lambda method, _, refused=refused: next(refused, None) if method == "DELETE" else None
        with pytest.raises(ColdFileError, match="cannot be removed"):
            await once(ledger.retention)
        assert len(objects(ledger, store)) == 1


async def test_a_store_that_stalls_holds_nobody_else(
    ledger: ColdLedger, way: UnreliableWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who needs its files waits, a few at a time and not for ever; files that are here answer meanwhile, and so does
    what arrives at last.
    """
    ids = await paged(ledger, 200)
    await ledger.freeze()
    forget_copies(ledger)
    here, away = await ledger.files()
    cold = ledger.retention.database.cold
    await cold.has_account(here, 1)
    monkeypatch.setattr(fetching, "WAITING_MAX", 1)
    monkeypatch.setattr(fetching, "WAIT_S", 3600.0)
    way.fault = lambda method, _: "stalled" if method == "GET" else None
    waiting = asyncio.create_task(paged(ledger, 200))
    await asyncio.to_thread(way.stalled.wait, 60)

    with pytest.raises(ColdFileError):
        await cold.survey(ColdRead(away, None, away.start, away.end))
    rows, _ = await cold.survey(ColdRead(here, None, here.start, here.end))
    assert rows == here.rows and not waiting.done()
    way.fault = lambda _method, _range: None
    way.goes_on.set()
    assert await waiting == ids

    forget_copies(ledger)
    way.goes_on.clear()
    way.fault = lambda method, _: "stalled" if method == "GET" else None
    monkeypatch.setattr(fetching, "WAIT_S", 0.05)
    late = await ledger.ask(IDS)
    assert late.errors is not None and late.errors[0].extensions["code"] == "UNAVAILABLE"


async def test_an_object_without_a_tag_is_a_clear_error(ledger: ColdLedger, way: UnreliableWay) -> None:
    """A store that does not say which object it gives out is not read from, and is told why."""
    await ledger.freeze()
    file, *_ = await ledger.files()
    way.fault = lambda _method, _range: "nameless"
    with pytest.raises(OSError, match="without an ETag"):
        await asyncio.to_thread(files_of(ledger)._bucket.open, file.name)


async def test_what_cannot_be_listed_keeps_no_file_from_being_written(ledger: ColdLedger, way: UnreliableWay) -> None:
    """A store that refuses to list what is there stops the removal of old files alone, which says so."""
    await ledger.freeze()
    assert await erase_person(ledger) == "DONE" and await waiting(ledger.retention)
    way.fault = lambda method, range_: "denied" if method == "GET" and not range_ else None
    with pytest.raises(ColdFileError, match="cannot be removed"):
        await keep_cold(ledger.retention)
    assert len(await ledger.files()) == 2


async def test_objects_that_somebody_changed_are_found_out(
    ledger: ColdLedger, store: S3Server, way: UnreliableWay
) -> None:
    """An edited object, one in the place of another, and an edited copy: neither answers, nor is fetched again at once;
    a good copy is made anew.
    """
    ids = await paged(ledger, 200)
    await ledger.freeze()
    first, second, *_ = objects(ledger, store).values()
    kept = {key: store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in (first, second)}
    edited = bytearray(kept[first])
    edited[len(edited) // 2] ^= 1
    for key, data in ((first, bytes(edited)), (first, kept[second]), (second, kept[first])):
        forget_copies(ledger)
        store.client.put_object(Bucket=BUCKET, Key=key, Body=data)
        result = await ledger.ask(IDS)
        assert result.errors is not None and result.errors[0].extensions["code"] == "UNAVAILABLE"
        way.asked.clear()
        assert (await ledger.ask(IDS)).errors is not None and "GET" not in way.asked
        assert key.rpartition("/")[2] in (await ledger.kept.findings())["cold tier"]
        store.client.put_object(Bucket=BUCKET, Key=key, Body=kept[key])
        files_of(ledger)._damaged_until.clear()
    assert await paged(ledger, 50) == ids
    for path in ledger.folder.iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert await paged(ledger, 50) == ids


async def test_copies_are_few_and_go_with_their_files(ledger: ColdLedger, store: S3Server, tmp_path: Path) -> None:
    """Copies take no more room than they may; what another host brings back leaves this one too, and so does a copy
    that a kill has left unfinished.
    """
    ids = await paged(ledger, 200)
    await ledger.freeze()
    listed = await ledger.files()
    files = files_of(ledger)
    files._copies_bytes = max(file.bytes for file in listed)
    forget_copies(ledger)
    assert len(listed) > 1 and await paged(ledger, 50) == ids
    assert sum(path.stat().st_size for path in ledger.folder.iterdir()) <= files._copies_bytes
    assert not [path for path in held() if path.startswith(str(ledger.folder)) and path.endswith("(deleted)")]
    files._copies_bytes = ROOM
    assert await paged(ledger, 50) == ids
    other = ColdTier(ColdBucket(files._bucket, "", tmp_path / "other", ROOM))
    for file in listed:
        await other.has_account(file, 1)
    assert len(list((tmp_path / "other").iterdir())) == len(listed)
    begun, left = (tmp_path / "other" / f"{listed[0].name}.{number}.part" for number in range(2))
    for path in (begun, left):
        path.write_bytes(b"PAR1")
    os.utime(left, (0, 0))
    await thaw(ledger.retention, listed[0], actor="cli")
    await other.retain({file.name for file in await ledger.files()})
    assert {path.name for path in (tmp_path / "other").iterdir()} == {begun.name, *(file.name for file in listed[1:])}
    other.close()


async def test_what_is_done_with_goes_from_among_thousands(
    ledger: ColdLedger, store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among more objects than a store lists at once, one whose rows came back goes with the next round; of the others
    each is kept and named, whatever it is called.
    """
    await ledger.freeze()
    first, *others = await ledger.files()
    key = objects(ledger, store)[first.name]
    data = store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    await thaw(ledger.retention, first, actor="cli")
    store.client.put_object(Bucket=BUCKET, Key=key, Body=data)  # as a store that was away at that moment has it
    store.fill(f"{files_of(ledger)._bucket.prefix}call_", 1_099)
    store.client.put_object(Bucket=BUCKET, Key=f"{files_of(ledger)._bucket.prefix}of/others.part", Body=b"x")
    monkeypatch.setattr(thawing, "ORPHANED_S", -1.0)
    assert len(await asyncio.to_thread(files_of(ledger).names)) == 1_101 + len(others)
    assert await sweep(ledger.retention) == [first.name]
    found = {one.name for one in await asyncio.to_thread(files_of(ledger).names)}
    assert found >= {file.name for file in others} and first.name not in found and len(found) == 1_100 + len(others)


def test_what_was_written_here_takes_no_more_room_than_it_may(way: UnreliableWay, tmp_path: Path) -> None:
    """Files that are sent leave copies within the bound."""
    files = open_files(Settings(data=tmp_path, cold=f"s3:{BUCKET}"), uuid4())
    assert isinstance(files, ColdBucket)
    files._copies_bytes = 1500
    for number in range(3):
        files.draft(f"call_t{number}").write_bytes(bytes(1000))
        files.keep(f"call_t{number}")
    copies = list(files._copies.folder.iterdir())
    assert sum(path.stat().st_size for path in copies) == 1000 and len(files.names()) == 3


def test_where_the_files_are_is_told_from_a_wrong_place(
    way: UnreliableWay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of its own in a shared one, and a bucket by its address; others are refused by the setting's name, and
    an address that is none is not repeated.
    """
    ledger = uuid4()
    shared = open_files(Settings(data=tmp_path, cold=str(tmp_path / "shared")), ledger)
    assert isinstance(shared, ColdFolder) and shared.folder == tmp_path / "shared" / str(ledger)
    assert isinstance(open_files(Settings(data=tmp_path, cold=f"s3:{BUCKET}"), ledger), ColdBucket)
    with pytest.raises(OperatorError, match="CALLEDGER_COLD"):
        open_files(Settings(data=tmp_path, cold="s3:Wrong"), ledger)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://one:{SECRET}@:99999")
    with pytest.raises(OperatorError, match="CALLEDGER_COLD") as raised:
        open_files(Settings(data=tmp_path, cold=f"s3:{BUCKET}"), ledger)
    assert SECRET not in "".join(traceback.format_exception(raised.value))
