"""Faults of calls in files keep nothing else: late reports, unreadable and missing files, changed listings."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from cold_ledgers import IDS, NOTHING, NOW, QUERIES, ColdLedger, old_call, opened, paged
from ingesting import call

from policies import canonical, digest
from policies.policy.model import Action, Store
from service.ingest.refusals import Refusal
from service.ingest.results import Status
from service.query.scan import cold as cold_scan
from service.retention.audit.incremental.states import States
from service.retention.cold import thaw as thawing
from service.retention.cold.check import check_cold
from service.retention.cold.freeze import freeze
from service.retention.cold.thaw import sweep, thaw
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.retention.withdrawal import remove_withdrawn
from service.storage.cold import tier
from service.storage.cold.catalogue import AGE_MIN, take_lock
from service.storage.cold.errors import ColdFileError
from service.storage.cold.files import ColdFolder

pytestmark = pytest.mark.plain("calls in files of the cold tier")


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[ColdLedger]:
    async with opened(database_url, tmp_path) as ledger:
        yield ledger


async def test_files_that_are_done_with_are_removed(ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished file, and one whose rows came back, go with the next sweep; listed files stay, and so does one that
    this database knows nothing of: fsck names it.
    """
    await ledger.freeze()
    first, *others = await ledger.files()
    kept, left = (ledger.folder / f"call_t1_20200101-00.parquet{suffix}" for suffix in ("", ".part"))
    for path in (kept, left, copy := ledger.folder / "copy"):
        path.write_bytes((ledger.folder / first.name).read_bytes())
    await thaw(ledger.retention, first, actor="cli")
    copy.rename(ledger.folder / first.name)  # as a crash after the commit leaves it
    assert await sweep(ledger.retention) == []
    monkeypatch.setattr(thawing, "ORPHANED_S", -1.0)
    assert await sweep(ledger.retention) == sorted([left.name, first.name])
    assert {path.name for path in ledger.folder.iterdir()} == {kept.name, *(file.name for file in others)}
    assert kept.name in (await ledger.kept.findings())["cold tier"]


async def test_a_file_is_kept_only_while_it_is_listed(
    ledger: ColdLedger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is taken from the list before it is complete is not left behind, and nobody takes it from there while
    it is being sent, nor when that was cancelled.
    """

    def elsewhere(statement: str) -> None:
        """Execute what another process does meanwhile."""

        async def execute() -> None:
            connection = await asyncpg.connect(database_url)
            try:
                await connection.execute(statement)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, execute()).result()

    def taken(step: str) -> None:
        if step == "file listed":
            elsewhere("DELETE FROM cold_file")

    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING, on_step=taken)
    assert await ledger.files() == [] and list(ledger.folder.iterdir()) == []

    begun, go_on, keep = threading.Event(), threading.Event(), ColdFolder.keep

    def slow(folder: ColdFolder, name: str) -> None:
        begun.set()
        go_on.wait(60)
        keep(folder, name)

    monkeypatch.setattr(ColdFolder, "keep", slow)
    freezing = asyncio.create_task(freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING))
    await asyncio.to_thread(begun.wait, 60)
    freezing.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    with pytest.raises(asyncpg.LockNotAvailableError):
        await asyncio.to_thread(elsewhere, "SELECT FROM cold_file FOR UPDATE NOWAIT")
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await freezing
    assert [path.name for path in ledger.folder.iterdir()] == [file.name for file in await ledger.files()]


async def test_a_copy_that_is_lost_keeps_nothing(ledger: ColdLedger) -> None:
    """Where a copy is missing that does not answer yet, lists answer from the table, and the next round begins anew."""
    ids = await paged(ledger, 200)
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    await ledger.reader.clock.refresh()
    lost = (await ledger.files())[0]
    (ledger.folder / lost.name).unlink()
    assert lost.name in (await ledger.kept.findings())["cold tier"]
    assert await paged(ledger, 50) == ids
    await freeze(ledger.retention, AGE_MIN, actor="cli", lease=NOTHING)
    assert lost.name not in {file.name for file in await ledger.files()}
    await ledger.freeze()
    assert await ledger.stored() == 1 and await paged(ledger, 50) == ids


async def test_a_late_report_waits_for_no_move(ledger: ColdLedger) -> None:
    """While rows move, late calls of a batch are to be sent again, and the fresh ones beside them are stored."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    late = old_call(0, started_at=file.start.isoformat(), id="late")
    async with ledger.kept.ingest.database.owner.acquire() as connection, connection.transaction():
        await take_lock(connection)
        async with asyncio.timeout(60):
            outcomes = await ledger.kept.report(late, call("fresh", account="acme"))
    assert [one.status for one in outcomes] == [Status.REJECTED, Status.ACCEPTED]
    assert "are being moved" in str(outcomes[0].reason) and outcomes[0].code is Refusal.NOT_STORED
    assert [one.status for one in await ledger.kept.report(late)] == [Status.ACCEPTED]


async def test_single_calls_are_found_however_many_there_are(
    ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of files at a time is no bound for lists, which read shorter windows, late reports, look-ups by id
    and the feed.
    """
    ids, feed = await paged(ledger, 200), QUERIES[8]
    changes = await ledger.data(feed)
    await ledger.freeze()
    monkeypatch.setattr(tier, "LOOKED_AT_MAX", 30)
    assert await paged(ledger, 50) == ids
    ascending = "{ calls(first: 200, orderBy: [{field: STARTED_AT, direction: ASC}]) { nodes { id } } }"
    assert [node["id"] for node in (await ledger.data(ascending))["calls"]["nodes"]] == ids[::-1]
    monkeypatch.setattr(tier, "LOOKED_AT_MAX", 1)
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Call { id } } }"
    assert [node["id"] for node in (await ledger.data(query, ids=ids[-90:]))["nodes"]] == ids[-90:]
    assert await ledger.data(feed) == changes
    again = await ledger.kept.report(*(old_call(number) for number in range(40)), call("fresh", account="acme"))
    assert [one.status for one in again] == [Status.DUPLICATE] * 40 + [Status.ACCEPTED]


async def test_files_are_read_over_the_share_of_a_key(ledger: ColdLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that reads files as often as it may waits for its own, and is refused when its list of files is old."""
    await ledger.freeze()
    share = ledger.reader.database.share_of("testkey2")
    taken = 0
    while not share.locked():
        await share.acquire()
        taken += 1
    since = (NOW - timedelta(days=9)).isoformat()
    young = f'{{ calls(first: 5, filter: {{startedAt: {{gte: "{since}"}}}}) {{ nodes {{ id }} }} }}'
    assert (await ledger.data(young))["calls"]["nodes"]
    waiting = asyncio.create_task(ledger.ask(IDS))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    for _ in range(taken):
        share.release()
    assert (await waiting).errors is None
    monkeypatch.setattr(cold_scan, "KNOWN_S", -1.0)
    result = await ledger.ask(IDS)
    assert result.errors is not None and result.errors[0].extensions["code"] == "TIMEOUT"


async def test_an_unreadable_file_is_an_error_and_no_empty_answer(ledger: ColdLedger) -> None:
    """Lists of the time of a damaged file fail and say so, others answer, and nothing is stored twice."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    path = ledger.folder / file.name
    path.write_bytes(path.read_bytes()[:-9])
    result = await ledger.ask(IDS)
    assert result.errors is not None and result.errors[0].extensions["code"] == "UNAVAILABLE"
    assert "cannot be read" in result.errors[0].message and file.name not in result.errors[0].message
    young = await ledger.data(
        f'{{ calls(filter: {{startedAt: {{gte: "{file.end.isoformat()}"}}}}, first: 200) {{ nodes {{ id }} }} }}'
    )
    assert young["calls"]["nodes"]
    late = old_call(0, started_at=file.start.isoformat(), id="late")
    outcomes = await ledger.kept.report(late, call("new", account="acme"))
    assert [one.status for one in outcomes][1] is Status.ACCEPTED
    assert outcomes[0].status not in (Status.ACCEPTED, Status.DUPLICATE)
    findings = await ledger.kept.findings()
    assert file.name in findings["cold tier"]


async def test_a_listing_that_somebody_changed_is_found(ledger: ColdLedger) -> None:
    """fsck names a partition whose file is not listed any more, or not as it was, and rests on no earlier run there."""
    await ledger.freeze()
    owner, (file, *_) = ledger.retention.owner, await ledger.files()
    catalogue = await ledger.retention.partitions.catalogue([Store.CALL])
    (part,) = [part for part in catalogue.partitions if part.name == file.partition]
    before = (await States.read(owner, 1)).of(part)
    assert (await check_cold(ledger.retention, NOW))[0] == []
    changes = (
        ("UPDATE cold_file SET rows = rows + 1", "UPDATE cold_file SET rows = rows - 1"),
        ("UPDATE cold_file SET end_at = end_at + '1 day'", "UPDATE cold_file SET end_at = end_at - '1 day'::interval"),
        ("UPDATE cold_file SET frozen_at = NULL", "UPDATE cold_file SET frozen_at = now()"),
        ("DELETE FROM cold_file", "SELECT 1"),
    )
    for change, back in changes:
        await owner.execute(change)
        wrong, _ = await check_cold(ledger.retention, NOW)
        assert any(file.partition in text for text in wrong), change
        assert "rows" in change or (await States.read(owner, 1)).of(part) != before
        await owner.execute(back)


async def test_a_listing_leads_to_no_other_file(ledger: ColdLedger, tmp_path: Path) -> None:
    """A name that somebody wrote into the list is neither read nor removed outside of the folder."""
    await ledger.freeze()
    outside = tmp_path / "outside"
    outside.write_bytes((ledger.folder / (await ledger.files())[0].name).read_bytes())
    await ledger.retention.owner.execute(
        "UPDATE cold_file SET name = '../outside', frozen_at = NULL WHERE id = $1", (await ledger.files())[0].id
    )
    file, pipe = sorted(await ledger.files(), key=lambda one: one.name)[:2]
    (ledger.folder / pipe.name).unlink()
    os.mkfifo(ledger.folder / pipe.name)  # nor does one who reads wait for a pipe
    found = (await ledger.kept.findings())["cold tier"]
    assert "no name" in found and pipe.name in found
    with pytest.raises(ColdFileError):
        await thaw(ledger.retention, file, actor="cli")
    await ledger.retention.owner.execute("UPDATE cold_file SET frozen_at = now()")
    await ledger.reader.clock.refresh()
    assert (await ledger.ask(IDS)).errors is not None and outside.exists()


@pytest.mark.parametrize("kind", ErasureKind)
async def test_an_unreadable_file_keeps_no_erasure_from_the_rest(ledger: ColdLedger, kind: ErasureKind) -> None:
    """With a file unreadable, what can be reached is erased; the erasure ends when the file is back, and not before."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    path = ledger.folder / file.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    user = "u-1" if kind is ErasureKind.USER else None
    erasure = await request_erasure(ledger.retention, kind=kind, account="acme", user=user, reason="asked", actor="cli")
    assert erasure.state == "REQUESTED" and "ERASURE_RESULT" not in await ledger.kept.kinds()
    if kind is ErasureKind.USER:
        reached = "SELECT count(*) FROM call WHERE trace_id = 'trace-101' AND user_token IS NULL"
    else:
        reached = "SELECT count(*) FROM account WHERE name LIKE 'erased:%' AND id NOT IN (SELECT account_id FROM call)"
    assert await ledger.kept.value(reached) == 1
    findings = await ledger.kept.findings()
    assert findings.keys() - {"deadlines"} == {"cold tier"}, findings
    with pytest.raises(ColdFileError):
        await carry_out_erasures(ledger.retention)
    path.write_bytes(whole)
    await carry_out_erasures(ledger.retention)
    assert await ledger.kept.value("SELECT count(*) FROM erasure WHERE finished_at IS NULL") == 0
    assert (await ledger.kept.findings()).keys() <= {"deadlines"}
    path.write_bytes(whole)  # of an account that is erased, as a backup would bring it back
    put_back = (
        "INSERT INTO cold_file (tier, start_at, end_at, partition, name, rows, bytes, sha256, fingerprint, copied_at, "
        "frozen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, decode($8, 'hex'), '', now(), now())"
    )
    await ledger.retention.owner.execute(put_back, *file[1:9])
    assert (file.name in (await ledger.kept.findings()).get("erasures", "")) is (kind is ErasureKind.ACCOUNT)


async def test_an_unreadable_file_keeps_no_field_from_the_rest(ledger: ColdLedger) -> None:
    """A withdrawn field goes from all calls that can be reached, and is done when the file is back."""
    await ledger.freeze()
    file = (await ledger.files())[0]
    path = ledger.folder / file.name
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    kept = ledger.retention.policy()
    dropped = replace(kept.fields["Call.latencyMs"], action=Action.DROP)
    apply = "INSERT INTO policy_version (name, digest, document, applied_at, applied_by) VALUES ($1, $2, $3, $4, 'cli')"
    for policy, days in ((kept, 300), (replace(kept, fields={**kept.fields, "Call.latencyMs": dropped}), 4)):
        await ledger.retention.owner.execute(
            apply,
            *(policy.name, digest(policy), canonical(policy).decode(), NOW - timedelta(days=days)),
        )
        ledger.kept.ingest.use_policy(policy)
    with pytest.raises(ColdFileError):
        await remove_withdrawn(ledger.retention)
    left = "SELECT count(*) FROM call WHERE latency_ms IS NOT NULL"
    assert await ledger.kept.value(left) == 0 and await ledger.stored() == 121 - file.rows
    assert "FIELD_REMOVED" not in await ledger.kept.kinds()
    path.write_bytes(whole)
    await remove_withdrawn(ledger.retention)
    assert await ledger.kept.value(left) == 0 and await ledger.stored() == 121
    assert "FIELD_REMOVED" in await ledger.kept.kinds()
