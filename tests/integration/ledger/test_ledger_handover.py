"""The ledger handed to another signer: followed by auditors and by services that run, killed anywhere, and restored."""

import asyncio
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from dying import die_at
from ledgers import DATABASE_ID, forget, new_keyring, open_ledger

from policies import evidence
from policies.evidence import LedgerKind, Signer, read_checkpoint, read_key, verify
from service.keyring import KeyringUnavailableError
from service.ledger import (
    Checkpoints,
    Ledger,
    LedgerMirrorError,
    LedgerPublisher,
    LedgerSignerError,
    bundle_lines,
    check,
    hand_over,
)
from service.ledger.mirror import Mirror, MirroredEntry

VERIFIER = Path(evidence.__file__).with_name("verify.py")
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
async def publisher(any_database_url: str, tmp_path: Path) -> AsyncIterator[LedgerPublisher]:
    """Of a ledger with two entries and a checkpoint by its first signer."""
    async with open_ledger(any_database_url, tmp_path) as ledger:
        await fill(ledger, 2)
        await Checkpoints(ledger).sign()
        yield await LedgerPublisher.start(ledger, tmp_path)


async def fill(ledger: Ledger, count: int) -> None:
    for number in range(count):
        await ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli")


async def another(publisher: LedgerPublisher, folder: Path) -> Ledger:
    """The same ledger as another process has it: with a memory of its own for what the keyring holds."""
    return Ledger(publisher.ledger.database, await new_keyring(folder), DATABASE_ID)


async def bundle(ledger: Ledger) -> list[bytes]:
    return [line async for line in bundle_lines(ledger, actor="cli")]


async def test_an_auditor_follows_from_the_old_key_and_starts_from_the_new(
    publisher: LedgerPublisher, tmp_path: Path
) -> None:
    """One bundle over two handovers: either verifier says `verified` with the first key, the last, and the one between,
    and proves that it continues a checkpoint that the first signer signed."""
    kept = (await publisher.checkpoints.latest()).note
    first = await hand_over(publisher, actor="cli")
    second = await hand_over(publisher, actor="cli")
    (tmp_path / "kept").write_text(kept)
    lines = await bundle(publisher.ledger)
    (tmp_path / "bundle").write_bytes(b"".join(lines))

    assert (first.new, first.finished, second.old) == (second.old, False, first.new)
    for key in (first.old, first.new, second.new):
        found = verify(lines, key=str(key), since=kept.encode())
        assert (found.key_checked, found.key) == (True, second.new)
        alone = [sys.executable, VERIFIER, tmp_path / "bundle", "--key", str(key), "--since", tmp_path / "kept"]
        done = await asyncio.to_thread(subprocess.run, alone, capture_output=True, text=True, cwd=tmp_path)
        said = done.stdout
        assert said.startswith("verified: signed by the key you gave\nnothing was changed or removed")
    assert (await check(publisher.ledger)).problems == ()


async def test_old_signs_new_and_then_is_gone(publisher: LedgerPublisher) -> None:
    """The entry's checkpoint has both signatures; the keyring has the new seed alone, the mirror the entry."""
    keyring = publisher.ledger.keyring
    [before] = await keyring.signers()
    done = await hand_over(publisher, actor="cli")
    note = read_checkpoint((await publisher.checkpoints.at(done.index + 1)).note.encode())

    assert note.signed_by(done.old)
    assert note.signed_by(done.new)
    seeds = await keyring.signers()
    assert before not in seeds
    assert {Signer(done.new.name, seed).key for seed in seeds} == {done.new}
    assert (await publisher.ledger.newest(LedgerKind.SIGNER_ROTATED))[0] == done.index
    assert publisher._mirror.size() == done.index + 1


async def test_processes_that_run_sign_with_the_new_key(publisher: LedgerPublisher, tmp_path: Path) -> None:
    """One that has the old signer in its memory signs with the new one at once, and after a second handover too."""
    running = Checkpoints(await another(publisher, tmp_path))
    assert (await running.signer()).key == (await publisher.checkpoints.signer()).key
    for _ in range(2):
        done = await hand_over(publisher, actor="cli")
        await fill(publisher.ledger, 1)
        assert read_key((await running.sign()).public_key) == done.new
    # One that makes a successor and goes no further is no reason to doubt the signer.
    await publisher.ledger.keyring.new_successor()
    assert (await running.signer()).key == done.new


async def test_nothing_is_signed_by_the_old_key_after_the_entry(publisher: LedgerPublisher, tmp_path: Path) -> None:
    """Processes that sign and record evidence as fast as they can while it is handed over: every checkpoint behind an
    entry is the new signer's, every one before it the old one's."""
    others = [await another(publisher, tmp_path) for _ in range(3)]

    async def busy(ledger: Ledger) -> None:
        for _ in range(8):
            await fill(ledger, 1)
            await Checkpoints(ledger).sign()

    async def handing() -> None:
        for _ in range(3):
            await hand_over(publisher, actor="cli")

    await asyncio.gather(handing(), *map(busy, others))
    found = await check(publisher.ledger)
    assert (found.problems, found.checkpoints >= 6) == ((), True)


async def test_two_at_once_come_one_after_the_other(publisher: LedgerPublisher, tmp_path: Path) -> None:
    """Both hand over, and whoever comes second has the first one's signer as its old one."""
    other = await LedgerPublisher.start(await another(publisher, tmp_path), tmp_path)
    one, two = sorted(
        await asyncio.gather(hand_over(publisher, actor="cli"), hand_over(other, actor="cli")),
        key=lambda done: done.index,
    )
    assert one.new == two.old
    assert (await publisher.checkpoints.signer()).key == two.new


def die_handing_over(url: str, folder: Path, where: str, nth: int) -> None:
    """Hand over, and die by SIGKILL at the nth call of `where`."""
    owner = {"rename": Path, "fsync": os, "pwrite": os}.get(where, asyncpg.Connection)

    async def run() -> None:
        async with open_ledger(url, folder) as ledger:
            publisher = await LedgerPublisher.start(ledger, folder)
            die_at(owner, where, nth)
            await hand_over(publisher, actor="cli")

    asyncio.run(run())


# Which call of each: lock, BEGIN, entry, checkpoint, COMMIT, unlock; the successor's file, the signer's.
POINTS = [
    *(("execute", nth, nth == 6) for nth in range(1, 7)),
    *(("rename", nth, nth == 2) for nth in (1, 2)),
    *(("pwrite", nth, nth == 2) for nth in (1, 2)),  # what was in the file before is overwritten
    *(("fsync", nth, nth > 2) for nth in (1, 2, 3, 5, 7)),  # two for each file in the keyring, two in the mirror
]


@pytest.mark.parametrize(("where", "nth", "handed"), POINTS)
async def test_killed_anywhere_somebody_signs(
    database_url: str, tmp_path: Path, where: str, nth: int, handed: bool
) -> None:
    """Before the commit the old key signs, behind it the new one; the next call goes on, and an auditor of the first
    signer's can follow."""
    async with open_ledger(database_url, tmp_path) as ledger:
        await fill(ledger, 1)
        publisher = await LedgerPublisher.start(ledger, tmp_path)
        # From a first handover on, both files are there and are replaced.
        first = await hand_over(publisher, actor="cli")
        child = SPAWN.Process(target=die_handing_over, args=(database_url, tmp_path, where, nth))
        child.start()
        await asyncio.to_thread(child.join)
        assert child.exitcode == -signal.SIGKILL

        await fill(ledger, 1)
        signed = read_key((await Checkpoints(await another(publisher, tmp_path)).sign()).public_key)
        assert (signed != first.new) == handed
        again = await hand_over(await LedgerPublisher.start(await another(publisher, tmp_path), tmp_path), actor="cli")
        assert signed in (again.old, again.new)
        assert verify(await bundle(ledger), key=str(first.old)).key == again.new
        assert (await check(ledger)).problems == ()


async def test_a_call_that_was_cut_short_is_finished(publisher: LedgerPublisher) -> None:
    """The entry is there and the successor still waits: it is put in its place, and no other is made."""
    successor = await publisher.ledger.keyring.new_successor()
    index = await publisher.checkpoints.rotate_signer(successor, actor="cli")
    assert (await publisher.checkpoints.signer()).key == Signer(await publisher.checkpoints.origin(), successor).key

    done = await hand_over(publisher, actor="cli")
    assert (done.index, done.finished) == (index, True)
    assert await publisher.ledger.keyring.signers() == (successor, successor)


async def test_a_keyring_that_is_away_changes_nothing(publisher: LedgerPublisher, tmp_path: Path) -> None:
    """Where it cannot be read, nothing is appended, and the old key signs when it is back."""
    ring, away = tmp_path / "keyring" / "secrets", tmp_path / "away"
    key = (await publisher.checkpoints.signer()).key
    ring.rename(away)
    ring.write_text("not a folder")
    with pytest.raises(KeyringUnavailableError):
        await hand_over(publisher, actor="cli")
    ring.unlink()
    away.rename(ring)

    assert await publisher.ledger.newest(LedgerKind.SIGNER_ROTATED) is None
    assert (await publisher.checkpoints.signer()).key == key


async def test_a_database_from_before_it_gets_the_entry_back_from_the_mirror(
    publisher: LedgerPublisher, tmp_path: Path
) -> None:
    """The restored database is completed, the new key signs, and the old one's auditor can follow."""
    done = await hand_over(publisher, actor="cli")
    await forget(publisher.ledger, 1)

    restarted = await LedgerPublisher.start(await another(publisher, tmp_path), tmp_path)
    assert (await restarted.checkpoints.signer()).key == done.new
    assert verify(await bundle(restarted.ledger), key=str(done.old)).key == done.new


async def test_a_database_from_before_it_without_its_mirror_is_not_signed(
    publisher: LedgerPublisher, tmp_path: Path
) -> None:
    """Nothing would lead an auditor from the old key to the new one: it is refused, and says what to restore. With the
    keyring of that time, which signs nothing while the database is not of that time, the old key signs on."""
    shutil.copytree(tmp_path / "keyring", tmp_path / "before" / "keyring")
    shutil.copy2(tmp_path / "kek", tmp_path / "before" / "kek")
    done = await hand_over(publisher, actor="cli")
    before = Checkpoints(await another(publisher, tmp_path / "before"))
    with pytest.raises(LedgerSignerError):  # an older keyring beside the database as it is
        await before.signer()
    await forget(publisher.ledger, 2)

    restarted = await LedgerPublisher.start(await another(publisher, tmp_path), tmp_path / "elsewhere")
    with pytest.raises(LedgerSignerError, match="restore its keyring or, beside an older database, its mirror"):
        await restarted.checkpoints.signer()
    assert (await before.signer()).key == done.old


async def test_an_altered_handover_is_found(publisher: LedgerPublisher) -> None:
    """Whoever can write to the database and has not the old key cannot name a signer of his own: the examination names
    the entry, and nobody signs."""
    old = (await publisher.checkpoints.signer()).key
    forger = Signer(old.name, bytes(range(32)))
    facts = {**forger.rotation(forger), "old": old.public.hex()}
    index = await publisher.ledger.append(LedgerKind.SIGNER_ROTATED, facts, actor="cli")

    [problem] = (await check(publisher.ledger)).problems
    assert problem == f"entry {index}: the ledger is handed to a signer that the old one did not name"
    with pytest.raises(LedgerSignerError):
        await publisher.checkpoints.sign()
    with pytest.raises(LedgerSignerError):
        await hand_over(publisher, actor="cli")


async def test_a_handover_by_a_stranger_is_found(publisher: LedgerPublisher) -> None:
    """An entry that a stranger signed for himself, and his checkpoint over it, are both named."""
    old = (await publisher.checkpoints.signer()).key
    stranger, friend = Signer(old.name, bytes(32)), Signer(old.name, bytes(range(32)))
    index = await publisher.ledger.append(LedgerKind.SIGNER_ROTATED, stranger.rotation(friend), actor="cli")
    async with publisher.ledger.database.owner.acquire() as connection:
        await publisher.checkpoints.issue(connection, index + 1, friend)

    assert (await check(publisher.ledger)).problems == (
        f"entry {index}: the ledger is handed over by another than its signer",
        f"the checkpoint of {index + 1} entries is not signed by the ledger's signer",
    )


async def test_a_mirror_with_a_forged_handover_is_not_replayed(publisher: LedgerPublisher, tmp_path: Path) -> None:
    """An entry in the mirror that names another signer without the old one's signature makes nobody trusted."""
    old = (await publisher.checkpoints.signer()).key
    forger = Signer(old.name, bytes(range(32)))
    facts = {**forger.rotation(forger), "old": old.public.hex()}
    index = await publisher.ledger.append(LedgerKind.SIGNER_ROTATED, facts, actor="cli")
    entry = await publisher.ledger.entry(index)
    issued = await publisher.checkpoints.latest()
    note = forger.checkpoint(index + 1, await publisher.ledger.root(index + 1))
    forged = type(issued)(index + 1, issued.issued_at, note, str(forger.key))
    Mirror(tmp_path / "ledger", 1).write([MirroredEntry(index, entry.leaf)], [forged])
    await forget(publisher.ledger, 1)

    with pytest.raises(LedgerMirrorError, match="altered"):
        await LedgerPublisher.start(publisher.ledger, tmp_path)
