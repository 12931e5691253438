"""Keys that are destroyed in a directory: gone from it, from memory and from every copy that it knows."""

import asyncio
import shutil
from pathlib import Path

import pytest
from keyring_folder import DAY, NEXT_DAY, Disk, Environment

from service.keyring import (
    AccountKeyName,
    KeyCounts,
    KeyDamagedError,
    KeyDestroyedError,
    KeyLostError,
    Keyring,
    KeyringUnavailableError,
    PeriodKeyName,
)
from service.keyring.stores.file_layout import Layout
from service.keyring.stores.pack_file import SLOT_BYTES


class TestDestruction:
    async def test_never_again(self, env: Environment, keyring: Keyring) -> None:
        """A destroyed key is gone from memory and disk, and is never made again, also after a restart."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        await keyring.key(AccountKeyName(42), mint=True)

        destroyed = await keyring.destroy([DAY]), await keyring.destroy([AccountKeyName(42)])

        assert destroyed == (1, 1)
        assert not env.file(DAY).exists()
        assert not env.file(42).exists()
        for ring in (keyring, await env.open()):
            for mint in (True, False):
                with pytest.raises(KeyDestroyedError):
                    await ring.key(PeriodKeyName(*DAY), mint=mint)
                with pytest.raises(KeyDestroyedError):
                    await ring.key(AccountKeyName(42), mint=mint)

    async def test_neighbours_live(self, keyring: Keyring) -> None:
        """Destroying one day leaves the next, and the same day of another tier."""
        kept = [NEXT_DAY, DAY._replace(tier=2)]
        keys = [await keyring.key(PeriodKeyName(*name), mint=True) for name in (*kept, DAY)]

        await keyring.destroy([DAY])

        assert [await keyring.key(PeriodKeyName(*name), mint=False) for name in kept] == keys[:2]

    async def test_idempotent(self, env: Environment, keyring: Keyring) -> None:
        """Destroying twice destroys once and writes one tombstone."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)

        counts = [await keyring.destroy([DAY, DAY]) for _ in range(3)]

        assert counts == [1, 0, 0]
        assert len((env.root / "tombstones").read_text().splitlines()) == 1

    async def test_barred(self, keyring: Keyring) -> None:
        """Destroying a key that was never made bars it: a late report cannot bring the day back."""
        assert await keyring.destroy([DAY]) == 0

        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*DAY), mint=True)
        assert (await keyring.counts()).periods == {}

    async def test_lost_is_not_destroyed(self, env: Environment, keyring: Keyring) -> None:
        """A key whose file went away without us is lost, also while it is still in memory."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        env.file(DAY).unlink()

        for _ in range(2):
            with pytest.raises(KeyLostError):
                await keyring.key(PeriodKeyName(*DAY), mint=False)

    async def test_other_keyring_notices(self, env: Environment, keyring: Keyring) -> None:
        """A key in the memory of one keyring is not served once another one on the same directory destroyed it."""
        other = await env.open()
        for ring in (keyring, other):
            await ring.key(PeriodKeyName(*DAY), mint=True)
            await ring.key(AccountKeyName(42), mint=True)

        await other.destroy([DAY])
        await other.destroy([AccountKeyName(42)])

        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*DAY), mint=True)
        with pytest.raises(KeyDestroyedError):
            await keyring.key(AccountKeyName(42), mint=False)

    async def test_old_copy(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """An old copy of the keyring, restored, is cleaned by the tombstones that were kept elsewhere."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        await keyring.key(AccountKeyName(42), mint=True)
        shutil.copytree(env.root, tmp_path / "copy")
        await keyring.destroy([DAY, NEXT_DAY])
        await keyring.destroy([AccountKeyName(42)])
        tombstones = await keyring.tombstones()
        shutil.rmtree(env.root)
        shutil.copytree(tmp_path / "copy", env.root)

        restored = await env.open()
        came_back = await restored.replay(tombstones)

        assert tombstones == ["period/1/personal/2026-11-22", "period/1/personal/2026-11-23", "account/42"]
        assert came_back == 2
        assert await restored.tombstones() == tombstones
        assert not env.file(DAY).exists()
        for name in (DAY, NEXT_DAY):
            with pytest.raises(KeyDestroyedError):
                await restored.key(PeriodKeyName(*name), mint=True)

    async def test_old_copy_under_a_running_service(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A copy restored under a running process does not bring a key back, and replaying writes it down again."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        shutil.copytree(env.root, tmp_path / "copy")
        await keyring.destroy([DAY])
        shutil.rmtree(env.root)
        shutil.copytree(tmp_path / "copy", env.root)

        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*DAY), mint=False)
        assert await keyring.replay(["period/1/personal/2026-11-22"]) == 1
        with pytest.raises(KeyDestroyedError):
            await (await env.open()).key(PeriodKeyName(*DAY), mint=True)

    async def test_replay_garbage(self, keyring: Keyring) -> None:
        """Tombstones that are no key's names destroy nothing, not even the good ones beside them."""
        await keyring.key(AccountKeyName(1), mint=True)

        with pytest.raises(ValueError, match="no key is named"):
            await keyring.replay(["account/1", "secret/signer"])

        assert await keyring.tombstones() == []

    async def test_torn_tombstone(self, env: Environment, keyring: Keyring) -> None:
        """A tombstone cut off by a crash counts for nothing, and the next one takes its place."""
        key = await keyring.key(AccountKeyName(1), mint=True)
        with (env.root / "tombstones").open("ab") as file:
            file.write(b"destroyed account/1")  # perhaps of account/17
        restarted = await env.open()

        assert await restarted.key(AccountKeyName(1), mint=False) == key
        await restarted.destroy([AccountKeyName(17)])
        assert await keyring.key(AccountKeyName(1), mint=False) == key
        assert await (await env.open()).tombstones() == ["account/17"]

    async def test_counts(self, env: Environment, keyring: Keyring) -> None:
        """Live and destroyed keys are counted by tier and class, and live periods listed in order."""
        for name in (NEXT_DAY, DAY, DAY._replace(tier=2), DAY._replace(data_class="operational")):
            await keyring.key(PeriodKeyName(*name), mint=True)
        for number in (1, 2, 3):
            await keyring.key(AccountKeyName(number), mint=True)
        await keyring.destroy([DAY])
        await keyring.destroy([AccountKeyName(2)])
        (env.file(NEXT_DAY).pack.parent / "2026-11.bak").touch(mode=0o600)

        counts = await keyring.counts()

        assert counts.periods == {
            (1, "operational"): KeyCounts(1, 0),
            (1, "personal"): KeyCounts(1, 1),
            (2, "personal"): KeyCounts(1, 0),
        }
        assert counts.accounts == KeyCounts(2, 1)
        assert await keyring.periods() == [DAY._replace(data_class="operational"), NEXT_DAY, DAY._replace(tier=2)]

    async def test_forget(self, env: Environment, keyring: Keyring) -> None:
        """A forgotten key is read from disk again; the others stay in memory."""
        for number in (1, 2):
            await keyring.key(AccountKeyName(number), mint=True)
            env.file(number).write_bytes(b"damaged")

        keyring.forget(accounts=[1])

        with pytest.raises(KeyDamagedError):
            await keyring.key(AccountKeyName(1), mint=False)
        assert len(await keyring.key(AccountKeyName(2), mint=False)) == 32

    async def test_overwritten(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A destroyed key's bytes are zeros on the disk: in its pack, and in a pack that went with its last key."""
        for number in (1, 2):
            await keyring.key(AccountKeyName(number), mint=True)
        one, two = env.file(1).read_bytes(), env.file(2).read_bytes()
        second_name = tmp_path / "second"
        second_name.hardlink_to(env.file(1).pack)

        await keyring.destroy([AccountKeyName(1)])
        assert one[:69] not in second_name.read_bytes()
        assert env.file(2).read_bytes() == two

        await keyring.destroy([AccountKeyName(2)])
        assert not env.file(2).pack.exists()
        assert not second_name.read_bytes().strip(b"\0")
        everywhere = b"".join(path.read_bytes() for path in env.root.rglob("*") if path.is_file())
        assert not any(entry[at : at + 16] in everywhere for entry in (one, two) for at in range(9, 53))

    async def test_a_pack_that_cannot_be_read_keeps_no_other(self, env: Environment, keyring: Keyring) -> None:
        """A keyring opens beside a pack with a destroyed key that cannot be overwritten: that key stays destroyed."""
        key = await keyring.key(AccountKeyName(42), mint=True)
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        await keyring.destroy([DAY])
        env.file(DAY).pack.mkdir()

        again = await env.open()

        assert await again.key(AccountKeyName(42), mint=False) == key
        with pytest.raises(KeyDestroyedError):
            await again.key(PeriodKeyName(*DAY), mint=True)

    async def test_a_file_that_cannot_be_removed_keeps_no_other(self, env: Environment, keyring: Keyring) -> None:
        """Of several keys to be destroyed, one whose own file cannot be removed leaves none of the others."""
        await keyring.key(AccountKeyName(42), mint=True)
        await asyncio.to_thread(Path(Layout(env.root).key_path(DAY)).mkdir, parents=True)

        with pytest.raises(KeyringUnavailableError):
            await keyring.replay([str(DAY), "account/42"])

        assert not env.file(42).exists()

    async def test_refused_by_the_disk(
        self, env: Environment, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A destruction that the disk fails is an error, destroys the keys of other packs, and is done again whole.

        After a failed fsync(2) zeros are read back, and the key may be on the disk.
        """
        names = [AccountKeyName(number) for number in (1, 2, 5000)]
        for name in names:
            await keyring.key(name, mint=True)
        disk = Disk(env.file(1).pack, monkeypatch)

        with pytest.raises(KeyringUnavailableError):
            await keyring.destroy([names[0], names[2]])
        assert (env.file(5000).exists(), disk.synced) == (False, [])

        assert await keyring.destroy([names[0]]) == 0
        assert disk.synced == [bytes(SLOT_BYTES)]

    async def test_exposed_pack(self, env: Environment, keyring: Keyring) -> None:
        """A pack that others can read is used for nothing, and its keys can be destroyed."""
        for number in (1, 2):
            await keyring.key(AccountKeyName(number), mint=True)
        env.file(1).pack.chmod(0o644)

        assert await keyring.destroy([AccountKeyName(1)]) == 1

        assert not env.file(1).exists()
        assert await (await env.open()).tombstones() == ["account/1"]

    async def test_unreadable_pack(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A pack that cannot be read at all does not keep the keys of another one alive."""
        for number in (1, 5000):
            await keyring.key(AccountKeyName(number), mint=True)
        env.file(1).pack.rename(tmp_path / "elsewhere")
        env.file(1).pack.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(KeyringUnavailableError):
            await keyring.destroy([AccountKeyName(1), AccountKeyName(5000)])

        assert not env.file(5000).exists()
        assert await keyring.tombstones() == ["account/1", "account/5000"]
