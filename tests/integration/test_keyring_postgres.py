"""The keyring in a PostgreSQL of its own: the same promises as the one in a directory, for several hosts."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from conftest import Server, running_server

from service.keyring import (
    SECRETS,
    AccountKeyName,
    HoldKeyName,
    KekError,
    KeyCounts,
    KeyDamagedError,
    KeyDestroyedError,
    KeyLostError,
    Keyring,
    KeyringDamagedError,
    KeyringError,
    KeyringForeignError,
    KeyringMissingError,
    KeyringSameClusterError,
    KeyringUnavailableError,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)
from service.keyring.stores.postgres import PostgresStore, address_of_url, describe_address
from service.keyring.stores.postgres_listener import TRUST_S, NotificationListener
from service.storage.embedded import processes

SPAWN = multiprocessing.get_context("spawn")
DAYS = [PeriodKeyName(1, "personal", f"2026-11-{day:02}") for day in range(1, 29)]
DAY, NEXT_DAY = DAYS[:2]


class Environment:
    """A database for a keyring, and its key-encryption key. `away` and `back` are an outage of the server."""

    def __init__(self, server: Server, address: str, folder: Path) -> None:
        self.address = address
        self.kek = folder / "kek"
        create_kek_file(self.kek)
        self._server = server
        self._database = address.split("@/")[1].split("?")[0]
        self._opened: list[Keyring] = []

    @property
    def urls(self) -> tuple[str, str]:
        return f"postgres:{self.address}", f"file:{self.kek}"

    async def open(self, *, create: bool = False, apart_from: str | None = None) -> Keyring:
        keyring = await open_keyring(*self.urls, create=create, apart_from=apart_from)
        self._opened.append(keyring)
        return keyring

    async def close(self) -> None:
        for keyring in self._opened:
            await keyring.close()

    async def execute(self, statement: str, *values: object) -> None:
        connection = await asyncpg.connect(self.address)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    async def fetchval(self, statement: str, *values: object) -> Any:
        connection = await asyncpg.connect(self.address)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    async def away(self) -> None:
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._database}'"
        await asyncio.to_thread(self._server.execute, f"ALTER DATABASE {self._database} ALLOW_CONNECTIONS false", end)

    async def back(self) -> None:
        await asyncio.to_thread(self._server.execute, f"ALTER DATABASE {self._database} ALLOW_CONNECTIONS true")


@pytest.fixture
async def env(any_server: Server, tmp_path: Path) -> AsyncIterator[Environment]:
    with any_server.database() as address:
        env = Environment(any_server, address, tmp_path)
        yield env
        await env.close()


@pytest.fixture
async def keyring(env: Environment) -> Keyring:
    return await env.open(create=True)


@pytest.fixture(scope="module")
def another_server() -> Iterator[Server]:
    with running_server(processes.bundled_programs()) as server:
        yield server


async def until(condition: Any) -> None:
    """Wait for what another connection has to hear first; ends the test after a while."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.02)


class TestKeys:
    async def test_minted_once(self, env: Environment, keyring: Keyring) -> None:
        """A key that was made is the same for ever after, on this host and on another."""
        key = await keyring.key(PeriodKeyName(*DAY), mint=True)
        account = await keyring.key(AccountKeyName(42), mint=True)
        hold = uuid4()
        held = await keyring.key(HoldKeyName(hold), mint=True)
        other = await env.open()

        assert len({key, account, held}) == 3
        assert await keyring.key(PeriodKeyName(*DAY), mint=True) == key
        assert await other.key(PeriodKeyName(*DAY), mint=False) == key
        assert await other.key(AccountKeyName(42), mint=True) == account
        assert await other.key(HoldKeyName(hold), mint=False) == held
        assert [await other.secret(name) for name in SECRETS] == [await keyring.secret(name) for name in SECRETS]

    async def test_not_minted_unasked(self, keyring: Keyring) -> None:
        """Asking without leave to make a key makes none: it is lost."""
        with pytest.raises(KeyLostError):
            await keyring.key(PeriodKeyName(*DAY), mint=False)

        assert await keyring.periods() == []

    async def test_hosts_race(self, env: Environment) -> None:
        """Hosts that create the keyring and make the same keys at once agree on every key."""
        hosts = await asyncio.gather(*(env.open(create=True) for _ in range(5)))

        made = await asyncio.gather(
            *(asyncio.gather(*(host.key(PeriodKeyName(*day), mint=True) for day in DAYS)) for host in hosts)
        )

        assert len({host.id for host in hosts}) == 1
        assert all(keys == made[0] for keys in made)
        assert len(set(made[0])) == len(DAYS)

    async def test_mint_against_destroy(self, env: Environment, keyring: Keyring) -> None:
        """While one host makes keys and another destroys them, no key outlives its tombstone."""
        other = await env.open()

        async def make(day: PeriodKeyName) -> None:
            for _ in range(3):
                try:
                    await keyring.key(PeriodKeyName(*day), mint=True)
                except (KeyDestroyedError, KeyLostError):
                    continue

        await asyncio.gather(*(make(day) for day in DAYS), *(other.destroy([day]) for day in DAYS))

        assert await keyring.periods() == []
        for day in DAYS:
            with pytest.raises(KeyDestroyedError):
                await other.key(PeriodKeyName(*day), mint=True)

    async def test_no_key_in_clear(self, env: Environment, keyring: Keyring) -> None:
        """No key lies unwrapped anywhere in the schema."""
        keys = [await keyring.key(AccountKeyName(1), mint=True), *[await keyring.secret(name) for name in SECRETS]]
        stored = b"".join(await env.fetchval("SELECT array_agg(content) FROM calledger_keyring.entry"))

        assert not any(key[at : at + 8] in stored for key in keys for at in range(25))


class TestDestruction:
    async def test_destroyed_for_good(self, env: Environment, keyring: Keyring) -> None:
        """A destroyed key is gone on every host, is never made again, and nothing of it is left in the table."""
        other = await env.open()
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        await other.key(PeriodKeyName(*DAY), mint=False)
        account = await keyring.key(AccountKeyName(7), mint=True)

        assert await keyring.destroy([DAY, NEXT_DAY]) == 1
        assert await keyring.destroy([DAY]) == 0

        async def noticed() -> bool:
            try:
                await other.key(PeriodKeyName(*DAY), mint=True)
            except KeyDestroyedError:
                return True
            return False

        await until(noticed)
        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*DAY), mint=True)
        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*NEXT_DAY), mint=True)
        assert await other.key(AccountKeyName(7), mint=False) == account
        assert await other.tombstones() == [str(DAY), str(NEXT_DAY)]
        assert await env.fetchval("SELECT count(*) FROM calledger_keyring.entry WHERE name = $1", str(DAY)) == 0

    async def test_counts(self, keyring: Keyring) -> None:
        """Counts tell live from destroyed keys, and leave out names that never had one."""
        for day in DAYS[:3]:
            await keyring.key(PeriodKeyName(*day), mint=True)
        await keyring.key(AccountKeyName(1), mint=True)
        await keyring.key(HoldKeyName(uuid4()), mint=True)
        await keyring.destroy([DAYS[0], DAYS[9]])
        await keyring.destroy([AccountKeyName(1)])

        counts = await keyring.counts()

        assert counts.periods == {(1, "personal"): KeyCounts(2, 1)}
        assert (counts.accounts, counts.holds) == (KeyCounts(0, 1), KeyCounts(1, 0))
        assert await keyring.periods() == DAYS[1:3]

    async def test_older_copy(self, env: Environment, keyring: Keyring) -> None:
        """What an older copy of the keyring brought back is destroyed again from the tombstones of elsewhere."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        content = await env.fetchval("SELECT content FROM calledger_keyring.entry WHERE name = $1", str(DAY))
        await keyring.destroy([DAY])
        await env.execute("DELETE FROM calledger_keyring.tombstone")
        await env.execute("INSERT INTO calledger_keyring.entry VALUES ($1, $2)", str(DAY), content)
        restored = await env.open()

        assert await restored.replay([str(DAY), f"hold/{uuid4()}"]) == 1

        with pytest.raises(KeyDestroyedError):
            await restored.key(PeriodKeyName(*DAY), mint=True)

    async def test_buried_entry(self, env: Environment, keyring: Keyring) -> None:
        """An entry that was brought back beside its tombstone is refused, and removed at the next start."""
        await keyring.key(PeriodKeyName(*DAY), mint=True)
        content = await env.fetchval("SELECT content FROM calledger_keyring.entry WHERE name = $1", str(DAY))
        await keyring.destroy([DAY])
        await env.execute("INSERT INTO calledger_keyring.entry VALUES ($1, $2)", str(DAY), content)

        with pytest.raises(KeyDestroyedError):
            await keyring.key(PeriodKeyName(*DAY), mint=True)
        assert await keyring.periods() == []
        await env.open()

        assert await env.fetchval("SELECT count(*) FROM calledger_keyring.entry WHERE name = $1", str(DAY)) == 0

    async def test_killed_while_destroying(self, env: Environment, keyring: Keyring) -> None:
        """A host that dies in the middle of a destruction has destroyed all of the keys or none."""
        for day in DAYS:
            await keyring.key(PeriodKeyName(*day), mint=True)
        process = SPAWN.Process(target=die_destroying, args=(env.urls,))
        process.start()
        await asyncio.to_thread(process.join, 30)
        assert process.exitcode == -signal.SIGKILL

        async def released() -> bool:
            return await keyring.destroy([DAY]) == 1

        await until(released)
        assert await keyring.tombstones() == [str(DAY)]
        assert await keyring.periods() == DAYS[1:]


def die_destroying(urls: tuple[str, str]) -> None:
    """Destroy every day, and die by SIGKILL when the entries are removed and nothing is committed."""

    async def run() -> None:
        keyring = await open_keyring(*urls, create=False)
        fetch = asyncpg.Connection.fetch

        async def die(self: asyncpg.Connection, query: str, *values: object) -> object:
            answer = await fetch(self, query, *values)
            if "DELETE" in query:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        asyncpg.Connection.fetch = die  # type: ignore[method-assign]
        await keyring.destroy(DAYS)

    asyncio.run(run())


class TestStart:
    async def test_missing(self, env: Environment) -> None:
        """A keyring that is not there is refused, and none is made."""
        with pytest.raises(KeyringMissingError):
            await env.open()

        assert await env.fetchval("SELECT to_regnamespace('calledger_keyring') IS NULL")

    async def test_foreign(self, env: Environment, keyring: Keyring) -> None:
        """Once bound to a database, the keyring refuses every other, on every host."""
        mine, other = uuid4(), uuid4()
        await keyring.bind(mine)
        again = await env.open()

        await again.bind(mine)
        with pytest.raises(KeyringForeignError, match=str(mine)):
            await again.bind(other)

    @pytest.mark.usefixtures("keyring")
    async def test_wrong_kek(self, env: Environment) -> None:
        """Another key-encryption key is refused at the start."""
        env.kek.unlink()
        create_kek_file(env.kek)

        with pytest.raises(KekError, match="does not open"):
            await env.open()

    @pytest.mark.usefixtures("keyring")
    @pytest.mark.parametrize("content", ["", "{}", "null", '{"format": 1}'])
    async def test_metadata_garbage(self, env: Environment, content: str) -> None:
        """Unreadable metadata is the operator's error."""
        await env.execute("UPDATE calledger_keyring.keyring SET metadata = $1", content)

        with pytest.raises(KeyringDamagedError):
            await env.open()

    @pytest.mark.usefixtures("keyring")
    async def test_metadata_gone(self, env: Environment) -> None:
        """A used keyring whose metadata is gone is not made anew over its keys."""
        await env.execute("DELETE FROM calledger_keyring.keyring")

        with pytest.raises(KeyringDamagedError, match="backup"):
            await env.open(create=True)

    async def test_swapped(self, env: Environment, keyring: Keyring) -> None:
        """An entry put in another's place, or altered, is refused, and never replaced by a new key."""
        for number in (1, 2):
            await keyring.key(AccountKeyName(number), mint=True)
        keyring.forget()
        take = (
            "UPDATE calledger_keyring.entry SET content = (SELECT content FROM calledger_keyring.entry WHERE name = $2)"
        )
        await env.execute(f"{take} WHERE name = $1", "account/1", "account/2")

        with pytest.raises(KeyDamagedError):
            await keyring.key(AccountKeyName(1), mint=True)

    async def test_same_cluster(self, env: Environment, any_server: Server) -> None:
        """A keyring in the PostgreSQL of the calls is refused, with the reason, and made neither."""
        with (
            any_server.database() as calls,
            pytest.raises(KeyringSameClusterError, match="write-ahead log"),
        ):
            await env.open(create=True, apart_from=calls)

        assert await env.fetchval("SELECT to_regnamespace('calledger_keyring') IS NULL")

    async def test_same_cluster_without_identifier(self, env: Environment, any_server: Server) -> None:
        """Where the server keeps its identifier to itself, the moment of its start gives it away."""
        with any_server.database() as calls:
            name = calls.split("@/")[1].split("?")[0]
            hidden = "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"
            superuser = await asyncpg.connect(any_server.url(name, user="postgres"))
            try:
                await superuser.execute(hidden)
            finally:
                await superuser.close()

            with pytest.raises(KeyringSameClusterError):
                await env.open(create=True, apart_from=calls)

    async def test_another_cluster(self, env: Environment, another_server: Server) -> None:
        """A keyring in another cluster is fine."""
        with another_server.database() as calls:
            keyring = await env.open(create=True, apart_from=calls)

            assert len(await keyring.key(AccountKeyName(1), mint=True)) == 32

    async def test_refused(self, env: Environment) -> None:
        """A wrong password is the operator's error, and is not repeated."""
        wrong = env.address.replace("only-for-tests", "wrong-secret")
        with pytest.raises(KeyringError, match="refuses") as caught:
            await open_keyring(wrong, f"file:{env.kek}", create=True)

        assert "wrong-secret" not in str(caught.value)


class TestAway:
    async def test_away_and_back(self, env: Environment, keyring: Keyring) -> None:
        """While the server is away no key is had and none is made; when it is back, all are as before."""
        key = await keyring.key(AccountKeyName(1), mint=True)
        keyring.forget()
        await env.away()

        for number in (1, 2):
            with pytest.raises(KeyringUnavailableError):
                await keyring.key(AccountKeyName(number), mint=True)
        with pytest.raises(KeyringUnavailableError):
            await keyring.destroy([AccountKeyName(1)])
        with pytest.raises(KeyringUnavailableError) as caught:
            await env.open()
        assert "only-for-tests" not in str(caught.value)

        await env.back()
        assert await keyring.key(AccountKeyName(1), mint=False) == key
        assert (await keyring.counts()).accounts == KeyCounts(1, 0)

    async def test_missed_word(self, env: Environment, keyring: Keyring) -> None:
        """What was destroyed while a host could not hear is gone from its memory once it hears again."""
        await keyring.key(AccountKeyName(1), mint=True)
        await env.away()
        await env.back()
        other = await env.open()
        await other.destroy([AccountKeyName(1)])

        async def noticed() -> bool:
            try:
                await keyring.key(AccountKeyName(1), mint=False)
            except KeyDestroyedError:
                return True
            return False

        await until(noticed)


def test_trust_ends() -> None:
    """A host that has not heard from the server for a while does not trust its memory."""
    now = [100.0]
    ear = NotificationListener("postgresql://nowhere", clock=lambda: now[0])
    assert not ear.is_listening()

    ear._heard_at = now[0]
    now[0] += TRUST_S - 1
    assert ear.is_listening()
    now[0] += 1
    assert not ear.is_listening()


def test_memory_is_not_trusted() -> None:
    """A keyring asks again for a key in memory when it cannot know whether it still exists."""
    store = PostgresStore("postgresql://nowhere", None, NotificationListener("postgresql://nowhere"))  # type: ignore[arg-type]

    assert not store.still_there(DAY)
    assert not store.still_there(HoldKeyName(uuid4()))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgres:postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgres:postgres://u@h/d", "postgres://u@h/d"),
        ("postgres://u@h/d", "postgres://u@h/d"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgres:", None),
        ("postgres:h/d", None),
        ("file:/x", None),
        ("mysql://h/d", None),
    ],
)
def test_address(url: str, address: str | None) -> None:
    """Both ways of naming a keyring in PostgreSQL are understood."""
    assert address_of_url(url) == address


def test_place_holds_no_password() -> None:
    """Where a keyring is, is said without user, password and options."""
    assert describe_address("postgresql://u:secret@db.example:5433/keys?password=secret") == "`db.example:5433/keys`"
