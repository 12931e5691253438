"""Data directories with an embedded PostgreSQL, and what a test asks of it."""

import shutil
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import mkdtemp

import asyncpg
from folders import SHORT_FOLDER

from service.storage.embedded.supervisor import EmbeddedPostgres


@contextmanager
def short_folder(mode: int = 0o755) -> Iterator[Path]:
    """A folder with a path that leaves room for a socket, and that others may pass through unless `mode` says no."""
    folder = Path(mkdtemp(prefix="calledger-test-", dir=SHORT_FOLDER))
    folder.chmod(mode)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def copy(made: Path, data: Path) -> None:
    subprocess.run(["cp", "-a", made, data], check=True)


async def start_and_stop(data: Path) -> None:
    async with running(data):
        pass


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[tuple[EmbeddedPostgres, str]]:
    postgres = EmbeddedPostgres(data)
    url = await postgres.start()
    try:
        yield postgres, url
    finally:
        await postgres.stop()


async def ask(url: str, *statements: str) -> object:
    """The first value of the last statement."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


def server_pid(postgres: EmbeddedPostgres) -> int:
    pid = postgres.cluster.server_pid()
    assert pid is not None
    return pid


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
