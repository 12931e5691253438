"""Who maintains the ledger, and who hears of changes, when connections die without a word."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from service.storage import notifications
from service.storage.notifications import listen_for_ever, notify
from service.storage.shared.election import LOCK, work_while_elected
from service.tasks import background

ENDED = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND (classid::bigint << 32) | objid::bigint = $1
"""


class Candidate:
    """A process that may be elected, and whether it works now."""

    def __init__(self) -> None:
        self.works, self.stopped = asyncio.Event(), asyncio.Event()

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Work until it is ended."""
        return [self._work()]

    async def _work(self) -> None:
        self.works.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.works.clear()
            self.stopped.set()


async def test_one_works_and_the_next_takes_over(database_url: str) -> None:
    """Of three one works; when its session ends its work is ended, and one of all works again."""
    three = [Candidate() for _ in range(3)]
    running = [work_while_elected(database_url, one.work, look_s=0.05, heartbeat_s=0.3) for one in three]
    connection = await asyncpg.connect(database_url)
    async with asyncio.timeout(60), background(running):
        for _ in range(3):
            while not (working := [one for one in three if one.works.is_set()]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            assert len(working) == 1
            working[0].stopped.clear()
            await connection.execute(ENDED, LOCK)
            await working[0].stopped.wait()
    assert not any(one.works.is_set() for one in three)
    await connection.close()


async def test_who_is_silent_is_replaced(database_url: str) -> None:
    """PostgreSQL ends the session of one that gives no sign of life, as of a lost machine, and another works."""
    silent, other = Candidate(), Candidate()
    hangs = work_while_elected(database_url, silent.work, look_s=60, heartbeat_s=60, silent_s=0.3)
    async with asyncio.timeout(60), background([hangs]):
        await silent.works.wait()
        async with background([work_while_elected(database_url, other.work, look_s=0.05)]):
            await other.works.wait()


async def test_an_older_version_leaves_the_work(database_url: str) -> None:
    """Who may not work any more gives it up, and takes it again only when it may."""
    one, may = Candidate(), asyncio.Event()
    may.set()

    async def allowed(_: object) -> bool:
        """Whether this version knows all of the schema."""
        return may.is_set()

    work = work_while_elected(database_url, one.work, may=allowed, look_s=0.05, heartbeat_s=0.3)
    async with asyncio.timeout(60), background([work]):
        await one.works.wait()
        one.stopped.clear()
        may.clear()
        await one.stopped.wait()
        assert not one.works.is_set()
        may.set()
        await one.works.wait()


class SilentProxy:
    """A way to the database whose connections go silent without ending, as when a machine is lost; new ones pass."""

    def __init__(self) -> None:
        self.opened = 0
        self._silent = 0

    def silence(self) -> None:
        """Hand on nothing more of any connection that there is."""
        self._silent = self.opened

    async def carry(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand on what comes, while it passes."""
        try:
            while part := await reader.read(2**16):
                if number <= self._silent:
                    await asyncio.Event().wait()
                writer.write(part)
        finally:
            writer.transport.abort()

    @asynccontextmanager
    async def before(self, url: str) -> AsyncIterator[str]:
        """The address of the proxy before the database at `url`, during the block."""
        folder = parse_qs(urlsplit(url).query)["host"][0]
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            """Open the other end."""
            self.opened += 1
            number = self.opened
            to_reader, to_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
            ways = self.carry(number, reader, to_writer), self.carry(number, to_reader, writer)
            tasks.update(map(asyncio.create_task, ways))

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield (
                urlsplit(url)
                ._replace(netloc=f"{urlsplit(url).netloc.split('@')[0]}@127.0.0.1:{port}", query="")
                .geturl()
            )
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_silent_connection_is_noticed(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose connection goes silent finds out, and reacts to everything that it may have missed."""
    monkeypatch.setattr(notifications, "HEARTBEAT_S", 0.3)
    heard: asyncio.Queue[None] = asyncio.Queue()

    async def hear() -> None:
        """Note a reaction."""
        heard.put_nowait(None)

    proxy = SilentProxy()
    connection = await asyncpg.connect(database_url)
    async with (
        proxy.before(database_url) as url,
        asyncio.timeout(60),
        background([listen_for_ever(url, {"keys": hear})]),
    ):
        await heard.get()  # once at the begin
        proxy.silence()
        before = proxy.opened
        await notify(connection, "keys")
        await heard.get()
        assert proxy.opened > before
    await connection.close()
