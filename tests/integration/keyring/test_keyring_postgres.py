"""The keyring in a PostgreSQL of its own: the same promises as the one in a directory, for several hosts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from conftest import Server, running_server
from keyring_database import DAY, DAYS, Environment, until

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
