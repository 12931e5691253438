"""PostgreSQL's own backups of a test's database."""

import asyncio
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from conftest import PASSWORD, Server


async def pg(server: Server, program: str, url: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs on a database."""
    parts = urlsplit(url)
    where = ["-h", parse_qs(parts.query)["host"][0], "-p", "5432", "-U", "postgres", "-d", parts.path.lstrip("/")]
    done = await asyncio.create_subprocess_exec(
        server.programs / program,
        *where,
        *arguments,
        env={**os.environ, "PGPASSWORD": PASSWORD},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await done.communicate()
    assert done.returncode == 0, errors.decode()
