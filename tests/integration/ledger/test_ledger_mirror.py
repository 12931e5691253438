"""The mirror outside the database: caught up, replayed after a restore, and never silently contradicted."""

import base64
import fcntl
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ledgers import DATABASE_ID, forget, new_keyring, open_ledger

from policies.evidence import LedgerKind, Signer, read_checkpoint, read_leaf
from service.ledger import Checkpoints, Ledger, LedgerMirrorError, LedgerPublisher, Selection, reconcile
from service.ledger import mirror as mirrors
from service.ledger.mirror import Mirror, MirroredEntry, newest_mirror
from service.runtime import runtime as runtime_module
from service.runtime.runtime import open_runtime
from service.settings import load_settings

ORIGIN = f"calledger/{DATABASE_ID}"


@pytest.fixture
async def ledger(database_url: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url, tmp_path) as opened:
        yield opened


async def leaves(ledger: Ledger) -> list[bytes]:
    return [entry.leaf async for entry in ledger.every(Selection())]


async def fill(ledger: Ledger, count: int, *, actor: str = "cli") -> None:
    for number in range(count):
        await ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor=actor)


async def test_the_mirror_holds_what_the_database_holds(ledger: Ledger, tmp_path: Path) -> None:
    """Leaves and checkpoints byte for byte, in files of mode 0600, and no note: those must stay erasable."""
    await ledger.append(LedgerKind.HOLD_PLACED, {"hold": "hold_1"}, actor="cli", note="secret words of a person")
    await fill(ledger, 4)
    issued = await Checkpoints(ledger).sign()
    mirror = await reconcile(ledger, tmp_path / "ledger")

    files = [path for path in (tmp_path / "ledger").rglob("*") if path.is_file()]
    assert [entry.leaf for entry in mirror.entries()] == await leaves(ledger)
    assert mirror.checkpoints() == [issued]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert (tmp_path / "ledger").stat().st_mode & 0o777 == 0o700
    assert not any(b"secret words" in path.read_bytes() for path in files)


async def test_a_service_that_stops_mirrors_its_last_entries(database_url: str, tmp_path: Path) -> None:
    """An entry that was committed just before the service ends is mirrored by then: a restore would not know it."""
    async with open_runtime(load_settings(data=tmp_path, database_url=database_url), serving=True) as runtime:
        await runtime.ledger.append(LedgerKind.EXPORTED, {"rows": 7}, actor="cli")
        size = await runtime.ledger.size()

    assert newest_mirror(tmp_path / "ledger").size() == size


async def test_a_mirror_that_cannot_be_written_does_not_keep_a_service_from_stopping(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service waits some seconds for another process that holds the mirror's lock, and ends; the next start mirrors
    the entry.
    """
    monkeypatch.setattr(runtime_module, "_SETTLE_S", 0.2)
    settings = load_settings(data=tmp_path, database_url=database_url)
    async with open_runtime(settings, serving=True) as runtime:
        await runtime.publisher.mirror()
        await runtime.ledger.append(LedgerKind.EXPORTED, {"rows": 7}, actor="cli")
        size = await runtime.ledger.size()
        lock = (tmp_path / "ledger" / "lock").open("r+b")
        fcntl.flock(lock, fcntl.LOCK_EX)
    assert newest_mirror(tmp_path / "ledger").size() < size
    lock.close()

    async with open_runtime(settings):
        assert newest_mirror(tmp_path / "ledger").size() == size


async def test_a_mirror_that_is_behind_is_caught_up(ledger: Ledger, tmp_path: Path) -> None:
    """What was committed and not mirrored before a crash is mirrored at the next start, once."""
    await fill(ledger, 2)
    mirror = await reconcile(ledger, tmp_path / "ledger")
    await fill(ledger, 3)
    await Checkpoints(ledger).sign()
    await reconcile(ledger, tmp_path / "ledger")
    await reconcile(ledger, tmp_path / "ledger")

    assert [entry.leaf for entry in mirror.entries()] == await leaves(ledger)
    assert len(mirror.checkpoints()) == 1


async def test_a_restored_database_is_completed_from_the_mirror(ledger: Ledger, tmp_path: Path) -> None:
    """The entries come back byte for byte with their checkpoints, RESTORED says so, and the origin stays."""
    await fill(ledger, 4)
    await Checkpoints(ledger).sign()
    await fill(ledger, 3)
    await reconcile(ledger, tmp_path / "ledger")
    before = await leaves(ledger)
    root = await ledger.root(7)
    await forget(ledger, 2)

    await reconcile(ledger, tmp_path / "ledger")

    after = await leaves(ledger)
    restored = read_leaf(after[7])
    assert after[:7] == before
    assert await ledger.root(7) == root
    assert (restored.kind, restored.facts) == (LedgerKind.RESTORED, {"origin": ORIGIN, "from": 2, "to": 7})
    assert (await Checkpoints(ledger).at(4)) is not None
    assert await Checkpoints(ledger).origin() == ORIGIN


@pytest.mark.parametrize("size", [0, 3, 5])
async def test_every_older_state_is_completed(ledger: Ledger, tmp_path: Path, size: int) -> None:
    """Whether the backup is older than the newest mirrored checkpoint, between, or has no ledger at all."""
    await fill(ledger, 4)
    await Checkpoints(ledger).sign()
    await fill(ledger, 2)
    await reconcile(ledger, tmp_path / "ledger")
    before = await leaves(ledger)
    await forget(ledger, size)

    mirror = await reconcile(ledger, tmp_path / "ledger")

    assert (await leaves(ledger))[:6] == before
    assert [entry.leaf for entry in mirror.entries()] == await leaves(ledger)


@pytest.mark.parametrize("signed", [True, False], ids=["checkpoint", "no checkpoint"])
async def test_a_database_that_went_another_way_gets_a_new_origin(
    ledger: Ledger, tmp_path: Path, *, signed: bool
) -> None:
    """Neither history is thrown away: the new origin cites the old checkpoint, and the old mirror stays as it was."""
    await fill(ledger, 5)
    if signed:
        cited = read_checkpoint((await Checkpoints(ledger).sign()).note.encode())
    old = await reconcile(ledger, tmp_path / "ledger")
    mirrored = list(old.entries())
    await forget(ledger, 3)
    await fill(ledger, 4, actor="system")

    new = await reconcile(ledger, tmp_path / "ledger")
    again = await reconcile(ledger, tmp_path / "ledger")

    restored = await ledger.newest(LedgerKind.RESTORED)
    assert (old.number, new.number, again.number) == (1, 2, 2)
    assert list(old.entries()) == mirrored
    assert [entry.leaf for entry in new.entries()] == await leaves(ledger)
    assert restored[0] == 7
    assert restored[1].facts["origin"] == f"{ORIGIN}/2"
    assert restored[1].facts["old_origin"] == ORIGIN
    if signed:
        assert (restored[1].facts["old_size"], restored[1].facts["old_root"]) == (5, cited.root.hex())
    issued = await Checkpoints(ledger).sign()
    assert issued.note.startswith(f"{ORIGIN}/2\n8\n")


async def test_the_same_entries_in_another_order_are_another_way(ledger: Ledger, tmp_path: Path) -> None:
    """After the newest checkpoint each entry is compared by itself: an entry with other bytes is noticed."""
    await fill(ledger, 3)
    await Checkpoints(ledger).sign()
    await fill(ledger, 2)
    await reconcile(ledger, tmp_path / "ledger")
    await forget(ledger, 4)
    await fill(ledger, 1, actor="system")

    assert (await reconcile(ledger, tmp_path / "ledger")).number == 2


async def test_a_database_restored_from_before_the_new_origin_is_completed_too(ledger: Ledger, tmp_path: Path) -> None:
    """The newest mirror holds all that the database held under the new origin, from its first entry."""
    await fill(ledger, 3)
    await reconcile(ledger, tmp_path / "ledger")
    await forget(ledger, 2)
    await fill(ledger, 2, actor="system")
    await reconcile(ledger, tmp_path / "ledger")
    before = await leaves(ledger)
    await forget(ledger, 3)

    mirror = await reconcile(ledger, tmp_path / "ledger")

    assert mirror.number == 2
    assert (await leaves(ledger))[: len(before)] == before
    assert await Checkpoints(ledger).origin() == f"{ORIGIN}/2"


async def test_a_line_cut_by_a_crash_is_written_anew(ledger: Ledger, tmp_path: Path) -> None:
    """Half a line at the end is no entry: it is cut off, and the entry is written whole."""
    await fill(ledger, 3)
    mirror = await reconcile(ledger, tmp_path / "ledger")
    path = mirror.folder / "entries-000000000000.ndjson"
    whole = path.read_bytes()
    for cut in (1, 30, len(whole.splitlines(keepends=True)[-1]), len(whole)):
        path.write_bytes(whole[:-cut])
        await reconcile(ledger, tmp_path / "ledger")
        assert path.read_bytes() == whole


async def test_an_altered_mirror_does_not_get_into_the_database(ledger: Ledger, tmp_path: Path) -> None:
    """When the database was lost and the mirror contradicts its own checkpoint, nothing is replayed."""
    await fill(ledger, 4)
    await Checkpoints(ledger).sign()
    mirror = await reconcile(ledger, tmp_path / "ledger")
    path = mirror.folder / "entries-000000000000.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    said = json.loads(lines[2])
    said["leaf"] = base64.b64encode(base64.b64decode(said["leaf"]).replace(b'"rows":2', b'"rows":7')).decode()
    lines[2] = json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    await forget(ledger, 1)

    with pytest.raises(LedgerMirrorError, match="altered"):
        await reconcile(ledger, tmp_path / "ledger")
    assert await ledger.size() == 1


async def test_a_forged_mirror_does_not_get_into_the_database(ledger: Ledger, tmp_path: Path) -> None:
    """A mirror whose checkpoint somebody else signed is not replayed, however consistent it is."""
    await fill(ledger, 3)
    await reconcile(ledger, tmp_path / "ledger")
    forger = Signer(ORIGIN, bytes(32))
    root = await ledger.root(3)
    forged = Mirror(tmp_path / "ledger", 1)
    issued = await Checkpoints(ledger).sign()
    forged.write([], [type(issued)(3, issued.issued_at, forger.checkpoint(3, root), str(forger.key))])
    await forget(ledger, 1)

    with pytest.raises(LedgerMirrorError, match="altered"):
        await reconcile(ledger, tmp_path / "ledger")


@pytest.mark.parametrize("rubbish", [b"{}\n", b"\xff\xfe\n", b'{"index":9,"leaf":"AA=="}\n', b"[" * 9999 + b"\n"])
async def test_an_unreadable_mirror_says_where(ledger: Ledger, tmp_path: Path, rubbish: bytes) -> None:
    """A damaged line is named with its file, and what to do; nothing is guessed."""
    await fill(ledger, 2)
    mirror = await reconcile(ledger, tmp_path / "ledger")
    path = mirror.folder / "entries-000000000000.ndjson"
    path.write_bytes(rubbish + path.read_bytes() if b"index" in rubbish else path.read_bytes() + rubbish)
    await forget(ledger, 0)

    with pytest.raises(LedgerMirrorError, match="entries-000000000000"):
        await reconcile(ledger, tmp_path / "ledger")


async def test_without_its_mirror_the_ledger_writes_a_new_one(ledger: Ledger, tmp_path: Path) -> None:
    """A mirror that was moved away is written again from the database, as it was."""
    await fill(ledger, 3)
    await Checkpoints(ledger).sign()
    mirror = await reconcile(ledger, tmp_path / "ledger")
    before = {path.name: path.read_bytes() for path in mirror.folder.iterdir()}
    (tmp_path / "ledger").rename(tmp_path / "away")

    mirror = await reconcile(ledger, tmp_path / "ledger")

    assert {path.name: path.read_bytes() for path in mirror.folder.iterdir()} == before


async def test_segments_follow_one_another(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file is followed by the next, wherever a batch ends; reading and replaying cross their edges."""
    monkeypatch.setattr(mirrors, "SEGMENT_ENTRIES", 4)
    await fill(ledger, 3)
    await reconcile(ledger, tmp_path / "ledger")
    await fill(ledger, 7)
    mirror = await reconcile(ledger, tmp_path / "ledger")
    before = await leaves(ledger)
    await forget(ledger, 2)
    names = sorted(path.name for path in mirror.folder.iterdir())
    await reconcile(ledger, tmp_path / "ledger")

    assert names == [f"entries-{index:012d}.ndjson" for index in (0, 4, 8)]
    assert [entry.index for entry in mirror.entries(5)] == [5, 6, 7, 8, 9, 10]
    assert (await leaves(ledger))[:10] == before


async def test_an_entry_of_many_keys_is_mirrored_too(ledger: Ledger, tmp_path: Path) -> None:
    """A purge that names thousands of keys makes a line longer than any read of the file's end."""
    keys = [f"period/1/personal/{number:010d}" for number in range(20_000)]
    await ledger.append(LedgerKind.PURGE_INTENT, {"keys": keys}, actor="system")
    await reconcile(ledger, tmp_path / "ledger")
    await fill(ledger, 1)
    await forget(ledger, 1)
    mirror = await reconcile(ledger, tmp_path / "ledger")
    path = mirror.folder / "entries-000000000000.ndjson"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    await reconcile(ledger, tmp_path / "ledger")

    assert mirror.size() == 1
    assert path.read_bytes() == whole
    assert [entry.leaf for entry in mirror.entries()] == await leaves(ledger)


async def test_two_processes_mirror_each_entry_once(ledger: Ledger, tmp_path: Path) -> None:
    """A second publisher of the same mirror finds what the first wrote; a gap is refused."""
    await fill(ledger, 3)
    first = await LedgerPublisher.start(ledger, tmp_path)
    second = await LedgerPublisher.start(ledger, tmp_path)
    await fill(ledger, 2)
    await first.settle()
    await second.settle()
    mirror = Mirror(tmp_path / "ledger", 1)

    assert [entry.index for entry in mirror.entries()] == [0, 1, 2, 3, 4]
    with pytest.raises(LedgerMirrorError, match="entry 5 is missing"):
        mirror.write([MirroredEntry(7, b"{}")], [])


async def test_a_mirror_that_cannot_be_written_stops_the_start_and_not_the_work(ledger: Ledger, tmp_path: Path) -> None:
    """At start it is the operator's to mend; later it is logged and tried again, and entries are still appended."""
    (tmp_path / "ledger").write_text("a file where a folder should be")
    await fill(ledger, 1)
    with pytest.raises(LedgerMirrorError, match="cannot be written"):
        await LedgerPublisher.start(ledger, tmp_path)
    (tmp_path / "ledger").unlink()
    publisher = await LedgerPublisher.start(ledger, tmp_path)
    (tmp_path / "ledger").rename(tmp_path / "away")
    (tmp_path / "ledger").write_text("again")
    await fill(ledger, 1)
    await publisher.settle()

    assert await ledger.size() == 2


async def test_a_foreign_keyring_cannot_replay(ledger: Ledger, tmp_path: Path) -> None:
    """The mirror's checkpoint must be signed by this ledger's signer: another keyring's does not do."""
    await fill(ledger, 3)
    await Checkpoints(ledger).sign()
    await reconcile(ledger, tmp_path / "ledger")
    await forget(ledger, 1)
    (tmp_path / "other").mkdir()
    stranger = Ledger(ledger.database, await new_keyring(tmp_path / "other"), DATABASE_ID)

    with pytest.raises(LedgerMirrorError):
        await reconcile(stranger, tmp_path / "ledger")
