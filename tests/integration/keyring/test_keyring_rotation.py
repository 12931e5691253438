"""Rotating what wraps the keys: killed anywhere it goes on, and services that run meanwhile follow."""

import asyncio
import json
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from conftest import Server
from dying import die_at
from keks import KINDS, kek_home

from service.keyring import (
    SECRETS,
    AccountKeyName,
    HoldKeyName,
    KekError,
    KeyDestroyedError,
    KeyLostError,
    Keyring,
    KeyringDamagedError,
    KeyringUnavailableError,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)

SPAWN = multiprocessing.get_context("spawn")
DAYS = [PeriodKeyName(1, "personal", f"2026-11-{day:02}") for day in range(1, 8)]
HOLD = UUID(int=5)
WRAPPED = 6
"""What the key-encryption key wraps itself: three secrets, the key of the hold, and those of the two packs."""


class Case:
    """A keyring with keys of every kind under an old key-encryption key, and a new one."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.paths = folder / "old", folder / "new"
        for path in self.paths:
            create_kek_file(path)
        self.old, self.new = (f"file:{path}" for path in self.paths)
        self._opened: list[Keyring] = []

    async def open(self, kek: str, *, create: bool = False) -> Keyring:
        keyring = await open_keyring(self.url, kek, create=create)
        self._opened.append(keyring)
        return keyring

    async def close(self) -> None:
        for keyring in self._opened:
            await keyring.close()


@pytest.fixture(params=["file", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file:{tmp_path / 'ring'}"
        return
    server: Server = request.getfixturevalue("embedded_18")
    with server.database() as address:
        yield f"postgres:{address}"


@pytest.fixture
async def case(url: str, tmp_path: Path) -> AsyncIterator[Case]:
    case = Case(url, tmp_path)
    yield case
    await case.close()


async def fill(keyring: Keyring) -> dict[str, bytes]:
    """Keys of every kind, by name."""
    for day in DAYS:
        await keyring.key(PeriodKeyName(*day), mint=True)
    for account in (1, 2, 258):
        await keyring.key(AccountKeyName(account), mint=True)
    await keyring.key(HoldKeyName(HOLD), mint=True)
    return await everything(keyring)


async def everything(keyring: Keyring) -> dict[str, bytes]:
    keys = {str(day): await keyring.key(PeriodKeyName(*day), mint=False) for day in DAYS}
    keys |= {f"account/{number}": await keyring.key(AccountKeyName(number), mint=False) for number in (1, 2, 258)}
    keys |= {name: await keyring.secret(name) for name in SECRETS}
    return keys | {"hold": await keyring.key(HoldKeyName(HOLD), mint=False)}


async def test_rotates(case: Case) -> None:
    """After a rotation every key is the same, and the old key-encryption key is needed for nothing."""
    keyring = await case.open(case.old, create=True)
    before = await fill(keyring)
    steps: list[tuple[int, int]] = []

    rotation = await keyring.rotate(case.new, on_step=lambda *step: steps.append(step))
    case.paths[0].unlink()

    assert await everything(await case.open(case.new)) == before
    assert rotation.rewrapped == WRAPPED
    assert (rotation.wrapped_by, steps[-1][0]) == (f"key in `{case.paths[1]}`", steps[-1][1])


async def test_old_kek_afterwards(case: Case) -> None:
    """A start with the old key-encryption key after a rotation is refused, and says which one to set."""
    await (await case.open(case.old, create=True)).rotate(case.new)

    with pytest.raises(KekError, match="set CALLEDGER_KEK") as caught:
        await case.open(case.old)
    assert case.new in str(caught.value)

    case.paths[0].unlink()
    with pytest.raises(KekError, match="set CALLEDGER_KEK"):
        await case.open(case.old)


async def test_running_services_follow(case: Case) -> None:
    """A service that runs on while its keyring is rotated reads what was rewrapped, and makes keys under the new."""
    keyring = await case.open(case.old, create=True)
    before = await fill(keyring)
    other = await case.open(case.old)

    await other.rotate(case.new)
    keyring.forget()

    assert await everything(keyring) == before
    made = await keyring.key(AccountKeyName(99), mint=True)
    case.paths[0].unlink()
    assert await (await case.open(case.new)).key(AccountKeyName(99), mint=False) == made


async def test_minted_meanwhile(case: Case) -> None:
    """Keys that are made while a rotation runs are not left under the old key-encryption key."""
    keyring = await case.open(case.old, create=True)
    await fill(keyring)
    other = await case.open(case.old)

    async def mint() -> list[bytes]:
        return [await other.key(AccountKeyName(number), mint=True) for number in range(1000, 1040)]

    made, _ = await asyncio.gather(mint(), keyring.rotate(case.new))
    case.paths[0].unlink()
    later = await case.open(case.new)

    assert [await later.key(AccountKeyName(number), mint=False) for number in range(1000, 1040)] == made


async def test_the_signers_successor(case: Case) -> None:
    """It waits beside the signer, takes its place when it is told to, and both are wrapped anew with all else."""
    keyring = await case.open(case.old, create=True)
    [signer] = await keyring.signers()
    with pytest.raises(KeyLostError):
        await keyring.promote_successor()
    given_up, successor = await keyring.new_successor(), await keyring.new_successor()
    assert len({signer, given_up, successor}) == 3
    assert await keyring.signers() == await (await case.open(case.old)).signers() == (signer, successor)
    assert await keyring.secret("signer") == signer

    await keyring.promote_successor()
    assert await keyring.secret("signer") == successor
    await keyring.rotate(case.new)
    case.paths[0].unlink()
    assert await (await case.open(case.new)).signers() == (successor, successor)


async def test_a_successor_meanwhile(case: Case) -> None:
    """One that is made and promoted while the keyring is wrapped anew is not left under the old key-encryption key."""
    keyring = await case.open(case.old, create=True)
    await fill(keyring)
    other = await case.open(case.old)

    async def succeed() -> bytes:
        for _ in range(10):
            successor = await other.new_successor()
            await other.promote_successor()
        return successor

    successor, _ = await asyncio.gather(succeed(), keyring.rotate(case.new))
    case.paths[0].unlink()
    assert await (await case.open(case.new)).signers() == (successor, successor)


async def test_destroyed_meanwhile(case: Case) -> None:
    """A key that is destroyed while a rotation runs does not come back by being rewrapped."""
    keyring = await case.open(case.old, create=True)
    await fill(keyring)
    other = await case.open(case.old)

    await asyncio.gather(keyring.rotate(case.new), *(other.destroy([day]) for day in DAYS))
    later = await case.open(case.new)

    assert await later.periods() == []
    for day in DAYS:
        with pytest.raises(KeyDestroyedError):
            await later.key(PeriodKeyName(*day), mint=True)


async def test_unfit_target(case: Case, tmp_path: Path) -> None:
    """A key-encryption key that is absent or unfit changes nothing."""
    keyring = await case.open(case.old, create=True)
    before = await fill(keyring)
    (tmp_path / "weak").write_bytes(b"short")
    (tmp_path / "weak").chmod(0o600)

    for target in (f"file:{tmp_path / 'none'}", f"file:{tmp_path / 'weak'}", "x:y"):
        with pytest.raises(KekError):
            await keyring.rotate(target)

    case.paths[1].unlink()
    assert await everything(await case.open(case.old)) == before


async def test_same_again(case: Case) -> None:
    """Rotating to the key-encryption key that is in force wraps everything anew, once more."""
    keyring = await case.open(case.old, create=True)
    before = await fill(keyring)

    rotation = await keyring.rotate(case.old)

    assert rotation.rewrapped == WRAPPED
    assert await everything(await case.open(case.old)) == before


async def test_damaged_key_stays(tmp_path: Path) -> None:
    """A key that nothing unwraps stops the old key-encryption key from being given up, and is named."""
    case = Case(f"file:{tmp_path / 'ring'}", tmp_path)
    keyring = await case.open(case.old, create=True)
    await fill(keyring)
    (path,) = (tmp_path / "ring" / "pack-keys" / "accounts" / "0").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))

    with pytest.raises(KeyringDamagedError, match="`pack/accounts/0/"):
        await keyring.rotate(case.new)
    assert "not finished" in (await case.open(case.new)).describe()

    path.write_bytes(content)
    await (await case.open(case.new)).rotate(case.new)
    case.paths[0].unlink()
    assert len(await (await case.open(case.new)).key(AccountKeyName(1), mint=False)) == 32


async def test_led_astray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write to the keyring's home cannot make a service wrap keys by a key-encryption key of his own.

    Neither by naming it, nor with the vouchers of a rotation that really was; it is not even asked.
    """
    case = Case(f"file:{tmp_path / 'ring'}", tmp_path)
    path = tmp_path / "ring" / "keyring.json"
    with kek_home("vault", tmp_path, monkeypatch) as home:
        keyring = await case.open(case.old, create=True)
        key = await keyring.key(AccountKeyName(1), mint=True)
        honest = json.loads(path.read_text())
        await (await case.open(case.old)).rotate(case.new)
        rotated = json.loads(path.read_text())
        vouched = rotated["keks"][0]["vouchers"]
        other = await open_keyring(f"file:{tmp_path / 'theirs'}", home.new(), create=True)
        theirs = json.loads((tmp_path / "theirs" / "keyring.json").read_text())["keks"][0]
        home.stop()  # asking it would be KeyringUnavailableError with another reason

        for evil in (theirs, theirs | {"vouchers": vouched}):
            path.write_text(json.dumps(honest | {"keks": [evil, *honest["keks"]]}))
            for ring in (keyring, await case.open(case.old)):
                ring.forget()
                with pytest.raises(KeyringUnavailableError, match="vouch"):
                    await ring.key(AccountKeyName(5000), mint=True)
        home.start()
        await other.close()
    path.write_text(json.dumps(rotated))
    assert await (await case.open(case.new)).key(AccountKeyName(1), mint=False) == key


def die_rotating(url: str, old: str, new: str, where: str, nth: int) -> None:
    """Rotate, and die by SIGKILL at the nth call of `where` that belongs to it."""
    owner = os if where in ("rename", "link", "fsync", "pwrite", "unlink") else asyncpg.Connection

    async def run() -> None:
        keyring = await open_keyring(url, old, create=False)
        die_at(Path if where == "rename" else owner, where, nth)
        await keyring.rotate(new)

    asyncio.run(run())


POINTS = [
    *(("file", "rename", nth) for nth in (1, 2, 5, 7, 8)),  # metadata, each entry, metadata
    *(("file", "fsync", nth) for nth in (1, 2, 4, 10, 16)),
    *(("file", "pwrite", nth) for nth in (1, 2, 7)),  # the old entry is overwritten
    *(("postgres", "fetchval", nth) for nth in (1, 2, 3, 8, 16, 24)),
    *(("postgres", "execute", nth) for nth in (1, 2, 3)),
]


@pytest.mark.parametrize(("home", "where", "nth"), POINTS)
async def test_killed(home: str, where: str, nth: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Killed at any point, the keyring opens whole with either key-encryption key, and running it again finishes."""
    if home == "file":
        await _killed(f"file:{tmp_path / 'ring'}", where, nth, tmp_path)
    else:
        server: Server = request.getfixturevalue("embedded_18")
        with server.database() as address:
            await _killed(f"postgres:{address}", where, nth, tmp_path)


async def _killed(url: str, where: str, nth: int, folder: Path) -> None:
    case = Case(url, folder)
    try:
        before = await fill(await case.open(case.old, create=True))
        process = SPAWN.Process(target=die_rotating, args=(url, case.old, case.new, where, nth))
        process.start()
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode == -signal.SIGKILL

        usable = 0
        for kek in (case.old, case.new):
            try:
                assert await everything(await case.open(kek)) == before
                usable += 1
            except KekError:
                continue
        assert usable >= 1
        try:
            again = await case.open(case.old)
        except KekError:  # it came so far that the old one is not taken any more
            again = await case.open(case.new)
        await again.rotate(case.new)
        case.paths[0].unlink()
        assert await everything(await case.open(case.new)) == before
    finally:
        await case.close()


@pytest.mark.parametrize("kind", KINDS[1:])
async def test_every_kind(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys move from a file to every other kind and back, and the one left behind may be away for good."""
    case = Case(f"file:{tmp_path / 'ring'}", tmp_path)
    with kek_home(kind, tmp_path, monkeypatch) as home:
        keyring = await case.open(case.old, create=True)
        before = await fill(keyring)

        elsewhere = home.new()
        await keyring.rotate(elsewhere)
        case.paths[0].unlink()
        moved = await case.open(elsewhere)
        assert await everything(moved) == before
        await moved.rotate(elsewhere)
        await moved.rotate(case.new)
        home.stop()

        assert await everything(await case.open(case.new)) == before
        home.start()


async def test_away_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new key's home goes away in the middle, nothing is lost; the rotation goes on when it is back."""
    case = Case(f"file:{tmp_path / 'ring'}", tmp_path)
    with kek_home("vault", tmp_path, monkeypatch) as home:
        keyring = await case.open(case.old, create=True)
        before = await fill(keyring)
        for number in range(10, 20):
            await keyring.key(HoldKeyName(UUID(int=number)), mint=True)
        target = home.new()

        with pytest.raises(KeyringUnavailableError):
            await keyring.rotate(target, on_step=lambda looked, _: home.stop() if looked == 8 else None)

        home.start()
        again = await case.open(case.old)
        assert await everything(again) == before
        await again.rotate(target)
        case.paths[0].unlink()
        assert await everything(await case.open(target)) == before
