"""A keyring that an earlier version made, with a file for each key: it is packed, wherever that is interrupted."""

import asyncio
import json
import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from conftest import Server
from keyring_folder import die_packing, slot_of

from service.keyring import (
    AccountKeyName,
    HoldKeyName,
    KeyDestroyedError,
    Keyring,
    KeyringDamagedError,
    KeyringError,
    KeyringNewerError,
    KeyringUnavailableError,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)
from service.keyring.deferred import DeferredKeyring
from service.keyring.fallback_secrets import FallbackSecrets
from service.keyring.keyring import KeyCache
from service.keyring.metadata import Metadata
from service.keyring.rotation import pack
from service.keyring.stores.file import FileStore, Tombstones
from service.keyring.stores.file_layout import Layout
from service.keyring.wrapping import Wrapping

SPAWN = multiprocessing.get_context("spawn")
NAMES = [
    *(PeriodKeyName(1, "personal", f"2026-11-{day:02}") for day in (1, 2, 30)),
    PeriodKeyName(1, "personal", "2026-11"),
    *(AccountKeyName(number) for number in (1, 2, 258, 5000)),
]
HOLD = HoldKeyName(UUID(int=5))


class Ring:
    """A keyring in a directory, and its key-encryption key."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "ring"
        create_kek_file(folder / "kek")
        self.urls = f"file:{self.root}", f"file:{folder / 'kek'}"

    async def open(self) -> Keyring:
        return await open_keyring(*self.urls, create=False)

    def set_format(self, number: int) -> None:
        path = self.root / "keyring.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": number}))

    def loose(self) -> list[Path]:
        return [path for kind in ("accounts", "periods") for path in (self.root / kind).rglob("*") if path.is_file()]


@pytest.fixture
async def ring(tmp_path: Path) -> Ring:
    """A keyring as an earlier version left it."""
    ring = Ring(tmp_path)
    await open_keyring(*ring.urls, create=True)
    ring.set_format(2)
    return ring


async def keys_of(keyring: Keyring, *, mint: bool = False) -> list[bytes]:
    return [await keyring.key(name, mint=mint) for name in (*NAMES, HOLD)]


async def test_packed(ring: Ring) -> None:
    """Packed, every key is the same, none has a file of its own, and packing again finds nothing."""
    keys = await keys_of(await ring.open(), mint=True)
    assert len(ring.loose()) == len(NAMES)
    keyring = await ring.open()
    await keyring.destroy([NAMES[1]])
    assert len(ring.loose()) == len(NAMES) - 1
    del keys[1]

    assert [await keyring.pack(), await keyring.pack()] == [len(NAMES) - 1, 0]

    assert not (ring.root / "accounts").exists()
    assert not (ring.root / "periods").exists()
    kept = [name for name in (*NAMES, HOLD) if name != NAMES[1]]
    for opened in (keyring, await ring.open()):
        assert [await opened.key(name, mint=False) for name in kept] == keys
        assert {str(name) for name in await opened.names()} == {str(name) for name in kept}
        with pytest.raises(KeyDestroyedError):
            await opened.key(NAMES[1], mint=True)


async def test_running_services_follow(ring: Ring) -> None:
    """A service that runs while keys are packed goes on with those it has, and puts new ones into packs."""
    running, other = await ring.open(), await ring.open()
    keys = await keys_of(running, mint=True)

    await other.pack()

    assert await keys_of(running) == keys
    running.forget()
    assert await keys_of(running) == keys
    new = await running.key(AccountKeyName(7), mint=True)
    assert slot_of(ring.root, AccountKeyName(7)).exists()
    assert await other.key(AccountKeyName(7), mint=False) == new
    await running.destroy([NAMES[-1]])
    with pytest.raises(KeyDestroyedError):
        await other.key(NAMES[-1], mint=True)


async def test_a_damaged_key_stays(ring: Ring) -> None:
    """A key that nothing unwraps is named and stays where it is; the others are packed."""
    await keys_of(await ring.open(), mint=True)
    path = ring.root / "accounts" / "01" / "1"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(KeyringDamagedError, match="1 keys could not be unwrapped and are not packed: `account/1`"):
        await (await ring.open()).pack()

    assert ring.loose() == [path]


async def test_a_copy_elsewhere(ring: Ring) -> None:
    """A copy of a key in a folder where nobody looks for it is no key, and packing ends beside it."""
    keyring = await ring.open()
    await keys_of(keyring, mint=True)
    copy = ring.root / "accounts" / "ff" / "1"
    copy.parent.mkdir(mode=0o700)
    copy.write_bytes((ring.root / "accounts" / "01" / "1").read_bytes())
    stray = copy.with_name("3")
    stray.write_bytes(copy.read_bytes())

    async with asyncio.timeout(60):
        assert await keyring.pack() == len(NAMES)

    assert AccountKeyName(3) not in await keyring.names()


async def test_rotated_in_the_middle(ring: Ring, tmp_path: Path) -> None:
    """A key that is packed, and has its own file still, stops no rotation; packing goes on afterwards."""
    keyring = await ring.open()
    keys = await keys_of(keyring, mint=True)
    left = {path: path.read_bytes() for path in ring.loose()[:2]}
    await keyring.pack()
    for path, content in left.items():
        path.parent.mkdir(mode=0o700, parents=True)
        path.write_bytes(content)
        path.chmod(0o600)
    create_kek_file(tmp_path / "new")

    await keyring.rotate(f"file:{tmp_path / 'new'}")

    (tmp_path / "kek").unlink()
    rotated = await open_keyring(ring.urls[0], f"file:{tmp_path / 'new'}", create=False)
    await rotated.pack()
    assert not ring.loose()
    assert await keys_of(rotated) == keys


class RotatedFirst(FileStore):
    """A keyring whose metadata somebody else replaces each time before us."""

    async def replace_metadata(self, metadata: Metadata, *, expected: Metadata) -> bool:
        await super().replace_metadata(replace(expected, keks=(*expected.keks, expected.current)), expected=expected)
        return await super().replace_metadata(metadata, expected=expected)


async def test_a_rotation_was_first(ring: Ring) -> None:
    """Where a rotation changes the metadata first, nothing is packed now, and packing does not go round for ever."""
    await keys_of(await ring.open(), mint=True)
    layout = Layout(ring.root)
    store = RotatedFirst(layout, Tombstones(layout.tombstones_path))

    async with asyncio.timeout(60):
        with pytest.raises(KeyringError, match="rotated by somebody else now"):
            await pack(store, Wrapping(store, await store.metadata(), ring.urls[1], KeyCache()))

    assert len(ring.loose()) == len(NAMES)


async def test_while_it_is_rotated(ring: Ring, tmp_path: Path) -> None:
    """Packing beside a rotation ends, whichever comes first; what it leaves is packed by the next call."""
    keyring, other = await ring.open(), await ring.open()
    keys = await keys_of(keyring, mint=True)
    create_kek_file(tmp_path / "new")

    async with asyncio.timeout(60):
        await asyncio.gather(keyring.pack(), other.rotate(f"file:{tmp_path / 'new'}"), return_exceptions=True)

    await other.rotate(f"file:{tmp_path / 'new'}")
    await other.pack()
    assert not ring.loose()
    assert await keys_of(other) == keys


@pytest.mark.parametrize(
    ("where", "nth"),
    [
        ("rename", 1),  # before the metadata are replaced
        ("link", 1),  # before the first pack key is there
        ("pwrite", 2),  # before the first key is in its pack
        ("pwrite", 3),  # when it is, and its own file is not yet overwritten
        ("pwrite", 8),
        ("unlink", 3),
        ("rmdir", 1),
    ],
)
async def test_killed(ring: Ring, where: str, nth: int) -> None:
    """Killed anywhere, every key is the same, a destruction leaves nothing of its key, and the next call ends it."""
    keys = await keys_of(await ring.open(), mint=True)
    process = SPAWN.Process(target=die_packing, args=(ring.urls, where, nth))
    process.start()
    await asyncio.to_thread(process.join, 30)
    assert process.exitcode == -signal.SIGKILL

    keyring = await ring.open()
    assert await keys_of(keyring) == keys
    assert {str(name) for name in await keyring.names()} == {str(name) for name in (*NAMES, HOLD)}
    assert await keyring.destroy([NAMES[0]]) == 1
    assert not slot_of(ring.root, NAMES[0]).exists()
    assert not (ring.root / "periods" / "1" / "personal" / "2026-11-01").exists()
    await keyring.pack()
    assert not ring.loose()
    assert [await (await ring.open()).key(name, mint=False) for name in NAMES[1:]] == keys[1:-1]


async def test_in_postgresql(embedded_18: Server, tmp_path: Path) -> None:
    """In a PostgreSQL as well, keys that were wrapped one by one are wrapped by pack keys, and stay the same."""
    create_kek_file(tmp_path / "kek")
    with embedded_18.database() as address:
        urls = f"postgres:{address}", f"file:{tmp_path / 'kek'}"
        keyring = await open_keyring(*urls, create=True)
        connection = await asyncpg.connect(address)
        await connection.execute(
            "UPDATE calledger_keyring.keyring SET metadata = replace(metadata, '\"format\": 3', '\"format\": 2')"
        )
        earlier = await open_keyring(*urls, create=False)
        keys = await keys_of(earlier, mint=True)

        assert [await keyring.pack(), await keyring.pack()] == [len(NAMES), 0]

        opened = await open_keyring(*urls, create=False)
        assert [await keys_of(ring) for ring in (earlier, opened)] == [keys, keys]
        assert len(await opened.names()) == len(NAMES) + 1
        by_format = "SELECT get_byte(content, 0), count(*) FROM calledger_keyring.entry GROUP BY 1 ORDER BY 1"
        # Three secrets, a hold's key and those of three packs; and the keys in these.
        assert [tuple(row) for row in await connection.fetch(by_format)] == [(1, 7), (2, len(NAMES))]
        for each in (keyring, earlier, opened):
            await each.close()
        await connection.close()


async def test_a_newer_format(ring: Ring, tmp_path: Path) -> None:
    """A keyring of a later version is refused at the start, also where everything else could be served without it."""
    running = await ring.open()
    await running.key(NAMES[0], mint=True)
    ring.set_format(4)

    with pytest.raises(KeyringNewerError, match="format 4 of a newer calledger"):
        await ring.open()
    with pytest.raises(KeyringNewerError):
        await running.check()
    with pytest.raises(KeyringUnavailableError, match="newer calledger"):
        await running.key(NAMES[1], mint=True)
    fallback = FallbackSecrets(tmp_path / "standby", UUID(int=1))
    fallback.write({"pepper": bytes(32), "cursor": bytes(32)})
    with pytest.raises(KeyringNewerError):
        await DeferredKeyring(ring.open, fallback, UUID(int=1)).start()
