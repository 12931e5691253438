"""A keyring in a PostgreSQL of its own, and what a test does to it."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
from conftest import Server

from service.keyring import (
    Keyring,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)

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


async def until(condition: Any) -> None:
    """Wait for what another connection has to hear first; ends the test after a while."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.02)
