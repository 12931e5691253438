"""Several processes on one file keyring, and processes that die in the middle."""

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from dying import die_at
from keyring_folder import slot_of

from service.keyring import (
    AccountKeyName,
    KeyDestroyedError,
    KeyringError,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)

SPAWN = multiprocessing.get_context("spawn")
DAYS = [PeriodKeyName(1, "personal", f"2026-11-{day:02}") for day in range(1, 29)]


@pytest.fixture
def urls(tmp_path: Path) -> tuple[str, str]:
    create_kek_file(tmp_path / "kek")
    return f"file:{tmp_path / 'ring'}", f"file:{tmp_path / 'kek'}"


def mint_all(urls: tuple[str, str], answer: Connection) -> None:
    async def run() -> list[bytes]:
        keyring = await open_keyring(*urls, create=True)
        answer.send("ready")
        answer.recv()
        days = [await keyring.key(PeriodKeyName(*day), mint=True) for day in DAYS]
        return days + [await keyring.key(AccountKeyName(number), mint=True) for number in range(20)]

    answer.send(asyncio.run(run()))


def mint_or_destroy(urls: tuple[str, str], answer: Connection, destroys: bool) -> None:
    async def run() -> dict[str, bytes]:
        keyring = await open_keyring(*urls, create=False)
        answer.send("ready")
        answer.recv()
        keys: dict[str, bytes] = {}
        for day in DAYS:
            try:
                keys[str(day)] = (
                    bytes([await keyring.destroy([day])])
                    if destroys
                    else await keyring.key(PeriodKeyName(*day), mint=True)
                )
            except KeyDestroyedError:
                continue
        return keys

    answer.send(asyncio.run(run()))


def die_destroying(urls: tuple[str, str], system_call: str, nth: int) -> None:
    """Destroy every day, and die by SIGKILL at the nth `system_call` that belongs to it."""

    async def run() -> None:
        keyring = await open_keyring(*urls, create=False)
        die_at(os, system_call, nth)
        await keyring.destroy(DAYS)

    asyncio.run(run())


def gather(target: object, *arguments: tuple[object, ...]) -> list[object]:
    """Run `target` in one process a tuple of arguments, let all go at once, and collect what they answer."""
    processes = []
    for extra in arguments:
        here, there = SPAWN.Pipe()
        process = SPAWN.Process(target=target, args=(extra[0], there, *extra[1:]))
        process.start()
        processes.append((process, here))
    try:
        for _, here in processes:
            assert here.poll(30)
            assert here.recv() == "ready"
        for _, here in processes:
            here.send("go")
        answers = []
        for _, here in processes:
            assert here.poll(30)
            answers.append(here.recv())
        return answers
    finally:
        for process, _ in processes:
            process.join(10)


def test_two_mint(urls: tuple[str, str]) -> None:
    """Processes that create a keyring and make the same keys at once agree on every key."""
    first, *others = gather(mint_all, (urls,), (urls,), (urls,))

    assert len(set(first)) == len(DAYS) + 20
    assert all(other == first for other in others)


async def test_mint_against_destroy(urls: tuple[str, str], tmp_path: Path) -> None:
    """While one process makes keys and another destroys them, no key outlives its tombstone."""
    await open_keyring(*urls, create=True)

    await asyncio.to_thread(gather, mint_or_destroy, (urls, False), (urls, True))

    assert not [path for path in (tmp_path / "ring" / "packs").rglob("*") if path.is_file()]
    keyring = await open_keyring(*urls, create=False)
    for day in DAYS:
        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*day), mint=True)


@pytest.mark.parametrize(
    ("system_call", "nth"),
    [
        ("ftruncate", 1),  # before the tombstones are written
        ("pwrite", 1),
        ("fsync", 1),  # before they are known to be on disk
        ("pwrite", 2),  # before the first key is overwritten
        ("pwrite", 3),
        ("pwrite", len(DAYS) + 1),
        ("fsync", 2),  # when all are
        ("pwrite", len(DAYS) + 2),  # before the pack, empty by now, is overwritten
        ("fsync", 3),
        ("unlink", 1),
        ("fsync", 4),  # before the directory is
    ],
)
async def test_killed_while_destroying(urls: tuple[str, str], tmp_path: Path, system_call: str, nth: int) -> None:
    """However a destruction dies, a key is either whole or destroyed, and the next start finishes what was begun."""
    keyring = await open_keyring(*urls, create=True)
    keys = {day: await keyring.key(PeriodKeyName(*day), mint=True) for day in DAYS}

    process = SPAWN.Process(target=die_destroying, args=(urls, system_call, nth))
    process.start()
    await asyncio.to_thread(process.join, 30)
    assert process.exitcode == -signal.SIGKILL

    restarted = await open_keyring(*urls, create=False)
    tombstones = await restarted.tombstones()
    for day in DAYS:
        if str(day) in tombstones:
            assert not slot_of(tmp_path / "ring", day).exists()
            for ring in (keyring, restarted):
                with pytest.raises(KeyDestroyedError):
                    await ring.key(PeriodKeyName(*day), mint=True)
        else:
            assert await restarted.key(PeriodKeyName(*day), mint=False) == keys[day]
    await restarted.destroy(DAYS)
    assert await restarted.tombstones() == [str(day) for day in DAYS]
    assert not slot_of(tmp_path / "ring", DAYS[0]).pack.exists()


async def test_tombstone_before_overwriting(urls: tuple[str, str], tmp_path: Path) -> None:
    """A process that dies when it first overwrites a key has written down every key it was to destroy."""
    keyring = await open_keyring(*urls, create=True)
    for day in DAYS:
        await keyring.key(PeriodKeyName(*day), mint=True)

    process = SPAWN.Process(target=die_destroying, args=(urls, "pwrite", 2))
    process.start()
    await asyncio.to_thread(process.join, 30)

    lines = (tmp_path / "ring" / "tombstones").read_text().splitlines()
    assert [line.split()[1] for line in lines] == [str(day) for day in DAYS]
    assert all(slot_of(tmp_path / "ring", day).exists() for day in DAYS)


async def test_another_user(urls: tuple[str, str], tmp_path: Path) -> None:
    """A keyring of another user is refused, since files made in it now could not be read by its owner."""
    if os.geteuid() != 0:
        reason = "only root can give a directory to another user"
        print(reason)
        pytest.skip(reason)
    await open_keyring(*urls, create=True)
    os.chown(tmp_path / "ring", 12345, 12345)

    with pytest.raises(KeyringError, match="12345"):
        await open_keyring(*urls, create=False)
