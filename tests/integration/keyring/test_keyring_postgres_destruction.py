"""Keys that are destroyed in a PostgreSQL of their own, by one process of several."""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from conftest import Server
from keyring_database import DAY, DAYS, NEXT_DAY, Environment, until

from service.keyring import (
    AccountKeyName,
    HoldKeyName,
    KeyCounts,
    KeyDestroyedError,
    Keyring,
    PeriodKeyName,
    open_keyring,
)

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
async def env(any_server: Server, tmp_path: Path) -> AsyncIterator[Environment]:
    with any_server.database() as address:
        env = Environment(any_server, address, tmp_path)
        yield env
        await env.close()


@pytest.fixture
async def keyring(env: Environment) -> Keyring:
    return await env.open(create=True)


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
