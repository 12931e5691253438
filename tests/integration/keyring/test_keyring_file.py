"""The keyring in a directory: its keys, its start-up cases, and what an attacker with the disk can do."""

import asyncio
import json
import os
from uuid import UUID, uuid4

import pytest
from keyring_folder import DAY, NEXT_DAY, Disk, Environment

from service.errors import OperatorError
from service.keyring import (
    SECRETS,
    AccountKeyName,
    KekError,
    KeyLostError,
    Keyring,
    KeyringDamagedError,
    KeyringError,
    KeyringExposedError,
    KeyringForeignError,
    KeyringMissingError,
    KeyringUnavailableError,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)
from service.keyring.kek.file import LocalKek
from service.keyring.keyring import KeyCache
from service.keyring.stores.file import open_file_store
from service.keyring.wrapping import Wrapping


class ForTwo(LocalKek):
    """A key-encryption key that answers only two who ask at the same time."""

    def __init__(self) -> None:
        super().__init__(bytes(32), "a key for two")
        self._two = asyncio.Barrier(2)

    async def wrap(self, key: bytes, *, context: bytes) -> bytes:
        await self._two.wait()
        return await super().wrap(key, context=context)


class TestKeys:
    async def test_minted_once(self, env: Environment, keyring: Keyring) -> None:
        """A key that was made is the same for ever after, in this process and after a restart."""
        key = await keyring.key(PeriodKeyName(*DAY), mint=True)
        account = await keyring.key(AccountKeyName(42), mint=True)

        again = await env.open()

        assert len(key) == len(account) == 32
        assert await keyring.key(PeriodKeyName(*DAY), mint=True) == key
        assert await again.key(PeriodKeyName(*DAY), mint=False) == key
        assert await again.key(AccountKeyName(42), mint=False) == account

    async def test_all_differ(self, keyring: Keyring) -> None:
        """Each tier, class, day and account has a key of its own."""
        keys = [await keyring.key(PeriodKeyName(*name), mint=True) for name in (DAY, NEXT_DAY, DAY._replace(tier=2))]
        keys.append(await keyring.key(PeriodKeyName(1, "operational", "2026-11-22"), mint=True))
        keys += [await keyring.key(AccountKeyName(number), mint=True) for number in (1, 257)]
        keys += [await keyring.secret(name) for name in SECRETS]

        assert len(set(keys)) == 9

    async def test_not_minted_unasked(self, env: Environment, keyring: Keyring) -> None:
        """Asking without leave to make a key makes none: it is lost."""
        with pytest.raises(KeyLostError):
            await keyring.key(PeriodKeyName(*DAY), mint=False)
        with pytest.raises(KeyLostError):
            await keyring.key(AccountKeyName(42), mint=False)

        assert not env.file(DAY).exists()
        assert not env.file(42).exists()

    async def test_many_at_once(self, keyring: Keyring) -> None:
        """Tasks that want the same new key at once all get the same one."""
        keys = await asyncio.gather(*(keyring.key(PeriodKeyName(*DAY), mint=True) for _ in range(50)))

        assert len(set(keys)) == 1

    async def test_one_gives_up(self, keyring: Keyring) -> None:
        """A task that is cancelled while it waits for a key does not take it from the others."""
        first = asyncio.create_task(keyring.key(PeriodKeyName(*DAY), mint=True))
        second = asyncio.create_task(keyring.key(PeriodKeyName(*DAY), mint=True))
        await asyncio.sleep(0)
        first.cancel()

        assert len(await second) == 32

    async def test_packs(self, env: Environment, keyring: Keyring) -> None:
        """The keys of 1,024 accounts are one file, and so are those of a tier's month, its own among them."""
        for number in (1, 1023, 1024):
            await keyring.key(AccountKeyName(number), mint=True)
        for name in (DAY, NEXT_DAY, DAY._replace(period="2026-11"), DAY._replace(period="2026-12-01")):
            await keyring.key(PeriodKeyName(*name), mint=True)

        packs = env.root / "packs"
        files = sorted(str(path.relative_to(packs)) for path in packs.rglob("*") if path.is_file())
        months = ["periods/1/personal/2026-11", "periods/1/personal/2026-12"]
        assert files == ["accounts/0", "accounts/1", *months]
        assert len(await keyring.names()) == 7
        assert {str(name) for name in await keyring.names()} >= {"account/1023", "period/1/personal/2026-11"}

    async def test_refused_by_the_disk(
        self, env: Environment, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A key that the disk did not take is used by nobody, although it could be read until the next power cut."""
        first = await keyring.key(AccountKeyName(1), mint=True)
        other = await env.open()
        Disk(env.file(1).pack, monkeypatch)

        with pytest.raises(KeyringUnavailableError):
            await keyring.key(AccountKeyName(2), mint=True)

        with pytest.raises(KeyLostError):
            await other.key(AccountKeyName(2), mint=False)
        assert await other.key(AccountKeyName(1), mint=False) == first
        made = await keyring.key(AccountKeyName(2), mint=True)
        assert await other.key(AccountKeyName(2), mint=False) == made

    async def test_in_its_folder_first(
        self, env: Environment, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A new pack has no key before its name is on the disk: whoever adds the next one does not see to that."""
        folder, fsync = env.file(1).pack.parent, os.fsync
        packs: list[list[bytes]] = []

        def look(descriptor: int) -> None:
            if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
                packs.append([path.read_bytes() for path in folder.iterdir()])
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", look)
        await keyring.key(AccountKeyName(1), mint=True)

        assert packs == [[b""]]

    async def test_pack_key_gone_beside_memory(self, env: Environment, keyring: Keyring) -> None:
        """A new key is wrapped by no pack key that is only in memory: nobody could open it afterwards."""
        await keyring.key(AccountKeyName(1), mint=True)
        (pack_key,) = (env.root / "pack-keys" / "accounts" / "0").iterdir()
        pack_key.unlink()

        made = await keyring.key(AccountKeyName(2), mint=True)

        assert await (await env.open()).key(AccountKeyName(2), mint=False) == made

    @pytest.mark.usefixtures("keyring")
    async def test_no_pack_waits_for_another(self, env: Environment) -> None:
        """What wraps pack keys may be far away: it is asked for those of several packs at once, and once for each."""
        store = await open_file_store(env.root)
        wrapping = Wrapping(store, await store.metadata(), f"file:{env.kek}", KeyCache())
        await wrapping.verify()
        wrapping.adopt(wrapping.metadata.current, ForTwo())

        async with asyncio.timeout(60):
            await asyncio.gather(*(wrapping.wrap_key(AccountKeyName(number), bytes(32)) for number in (1, 2, 5000)))

    async def test_private(self, env: Environment, keyring: Keyring) -> None:
        """Every directory is 0700 and every file 0600, whatever the umask."""
        before = os.umask(0)
        try:
            await keyring.key(PeriodKeyName(*DAY), mint=True)
            await keyring.key(AccountKeyName(42), mint=True)
            await keyring.bind(uuid4())
            await keyring.destroy([NEXT_DAY])
        finally:
            os.umask(before)

        modes = {path.is_dir(): set() for path in (env.root, env.kek)}
        for path in (env.root, env.kek, *env.root.rglob("*")):
            modes[path.is_dir()].add(path.stat().st_mode & 0o777)
        assert modes == {True: {0o700}, False: {0o600}}

    async def test_no_key_in_clear(self, env: Environment, keyring: Keyring) -> None:
        """No key lies unwrapped anywhere in the keyring."""
        keys = [await keyring.key(PeriodKeyName(*DAY), mint=True), await keyring.key(AccountKeyName(42), mint=True)]
        keys += [await keyring.secret(name) for name in SECRETS]

        contents = b"".join(path.read_bytes() for path in env.root.rglob("*") if path.is_file())
        assert not any(key[at : at + 8] in contents for key in keys for at in range(25))

    @pytest.mark.parametrize(
        "name",
        [
            (-1, "personal", "2026-11-22"),
            (1, "../../x", "2026-11-22"),
            (1, "personal", "../../../x"),
            (1, "personal", "2026-11-22/.."),
            (1, "", "2026-11-22"),
        ],
    )
    async def test_no_way_out(self, env: Environment, keyring: Keyring, name: tuple[int, str, str]) -> None:
        """A name that would lead out of the directory makes and destroys nothing."""
        before = sorted(env.root.parent.rglob("*"))

        with pytest.raises(ValueError, match="no key is named"):
            await keyring.key(PeriodKeyName(*name), mint=True)
        with pytest.raises(ValueError, match="no key is named"):
            await keyring.destroy([PeriodKeyName(*name)])

        assert sorted(env.root.parent.rglob("*")) == before

    async def test_secrets(self, env: Environment, keyring: Keyring) -> None:
        """The named secrets exist from the start and stay; no other is ever made."""
        made = [await keyring.secret(name) for name in SECRETS]
        again = await env.open()

        assert [await again.secret(name) for name in SECRETS] == made
        with pytest.raises(ValueError, match="`sugar`"):
            await keyring.secret("sugar")


class TestStart:
    async def test_missing(self, env: Environment) -> None:
        """A keyring that is not there is refused, and none is made."""
        with pytest.raises(KeyringMissingError, match="a ring"):
            await env.open()

        assert not env.root.exists()

    async def test_created_once(self, env: Environment) -> None:
        """Leave to create does not make a second keyring over the first."""
        first = await env.open(create=True)
        second = await env.open(create=True)

        assert first.id == second.id

    async def test_created_by_many(self, env: Environment) -> None:
        """Of many that create at once, one does, and all open that one."""
        keyrings = await asyncio.gather(*(env.open(create=True) for _ in range(8)))

        assert len({keyring.id for keyring in keyrings}) == 1
        assert len({await keyring.secret("signer") for keyring in keyrings}) == 1

    async def test_foreign(self, env: Environment, keyring: Keyring) -> None:
        """Once bound to a database, the keyring refuses every other, also after a restart."""
        mine, other = uuid4(), uuid4()
        await keyring.bind(mine)
        await keyring.bind(mine)
        again = await env.open()

        await again.bind(mine)
        with pytest.raises(KeyringForeignError, match=str(mine)):
            await again.bind(other)

    async def test_bound_by_two(self, env: Environment, keyring: Keyring) -> None:
        """Two databases that bind at once do not both succeed."""
        again = await env.open()

        outcomes = await asyncio.gather(keyring.bind(uuid4()), again.bind(uuid4()), return_exceptions=True)

        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["KeyringForeignError", "NoneType"]

    @pytest.mark.usefixtures("keyring")
    async def test_wrong_kek(self, env: Environment) -> None:
        """Another key-encryption key is refused at the start, not at the first sealed value."""
        env.kek.unlink()
        create_kek_file(env.kek)

        with pytest.raises(KekError, match="does not open"):
            await env.open()

    async def test_creation_cut_short(self, env: Environment) -> None:
        """What a crash left of an unfinished creation is taken over: the keyring works and keeps no remains."""
        await env.open(create=True)
        (env.root / "keyring.json").unlink()
        (env.root / ".new-0123456789abcdef").write_bytes(b"half")

        keyring = await env.open(create=True)

        assert len(await keyring.secret("pepper")) == 32
        assert not list(env.root.glob(".new-*"))

    @pytest.mark.parametrize("trace", ["key", "account", "bound", "tombstone"])
    async def test_metadata_gone(self, env: Environment, keyring: Keyring, trace: str) -> None:
        """A used keyring whose metadata is gone is not made anew over its keys."""
        if trace == "key":
            await keyring.key(PeriodKeyName(*DAY), mint=True)
        elif trace == "account":
            await keyring.key(AccountKeyName(1), mint=True)
        elif trace == "bound":
            await keyring.bind(uuid4())
        else:
            await keyring.destroy([AccountKeyName(1)])
        (env.root / "keyring.json").unlink()

        with pytest.raises(KeyringDamagedError, match="backup"):
            await env.open(create=True)

    @pytest.mark.usefixtures("keyring")
    @pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[]", b'{"format": 2}', b"\xff", b"[" * 60_000])
    async def test_metadata_garbage(self, env: Environment, content: bytes) -> None:
        """Unreadable metadata is the operator's error, said as such."""
        (env.root / "keyring.json").write_bytes(content)

        with pytest.raises(KeyringDamagedError):
            await env.open()

    @pytest.mark.usefixtures("keyring")
    async def test_other_id(self, env: Environment) -> None:
        """A keyring whose id was changed does not open: its wrapping is bound to it."""
        path = env.root / "keyring.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"id": str(UUID(int=1))}))

        with pytest.raises(KekError):
            await env.open()

    @pytest.mark.usefixtures("keyring")
    async def test_tombstones_gone(self, env: Environment) -> None:
        """A keyring without its list of destroyed keys does not start: it could make one again."""
        (env.root / "tombstones").unlink()

        with pytest.raises(KeyringDamagedError, match="tombstones"):
            await env.open()

    @pytest.mark.parametrize(
        "line", [b"x\n", b"destroyed account/1\n", b"spared account/1 2026-11-22T00:00:00Z\n", b"\n"]
    )
    @pytest.mark.usefixtures("keyring")
    async def test_tombstones_garbage(self, env: Environment, line: bytes) -> None:
        """A line that is no tombstone stops the start: a destroyed key might hide behind it."""
        (env.root / "tombstones").write_bytes(line + b"\n")

        with pytest.raises(KeyringDamagedError):
            await env.open()

    @pytest.mark.usefixtures("keyring")
    @pytest.mark.parametrize(
        ("name", "mode"),
        [
            ("", 0o750),
            ("", 0o701),
            ("keyring.json", 0o640),
            ("keyring.json", 0o604),
            ("tombstones", 0o620),
            ("tombstones", 0o602),
        ],
    )
    async def test_exposed(self, env: Environment, name: str, mode: int) -> None:
        """A keyring that others can read, or whose tombstones others can change, is refused with what to do."""
        (env.root / name).chmod(mode)

        with pytest.raises(KeyringExposedError, match="chmod"):
            await env.open()

    async def test_exposed_key(self, env: Environment, keyring: Keyring) -> None:
        """A key file that others can read is not used; that costs what it seals, not the service."""
        await keyring.key(AccountKeyName(1), mint=True)
        keyring.forget()
        env.file(1).pack.chmod(0o644)

        with pytest.raises(KeyringUnavailableError, match="chmod 600"):
            await keyring.key(AccountKeyName(1), mint=False)

    async def test_filled_directory(self, env: Environment) -> None:
        """A directory that holds other things and is open to others is neither used nor changed."""
        env.root.mkdir(mode=0o755)
        (env.root / "mine").touch()

        with pytest.raises(KeyringExposedError):
            await env.open(create=True)

        assert env.root.stat().st_mode & 0o777 == 0o755

    async def test_empty_directory(self, env: Environment) -> None:
        """An empty directory, such as a fresh volume, is taken and closed to others."""
        env.root.mkdir(mode=0o755)

        await env.open(create=True)

        assert env.root.stat().st_mode & 0o777 == 0o700

    @pytest.mark.parametrize("url", ["", "file:", "ring", "postgres:", "http://x/y"])
    async def test_unknown_url(self, env: Environment, url: str) -> None:
        """An address that is no keyring's is the operator's error."""
        with pytest.raises(KeyringError, match="file:DIR"):
            await open_keyring(url, f"file:{env.kek}", create=True)

    async def test_errors_are_the_operators(self) -> None:
        """Every start-up case is an operator's error."""
        assert all(
            issubclass(error, OperatorError)
            for error in (KeyringMissingError, KeyringForeignError, KeyringDamagedError, KeyringExposedError, KekError)
        )
