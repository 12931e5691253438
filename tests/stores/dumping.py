"""PostgreSQL's own backups of a test's database."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from conftest import Server


async def pg(server: Server, program: str, url: str, *arguments: str | Path) -> None:
    """Run one of PostgreSQL's programs on a database."""
    superuser = server.url(urlsplit(url).path.lstrip("/"), user="postgres")
    done = await asyncio.create_subprocess_exec(
        server.programs / program, "-d", superuser, *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await done.communicate()
    assert done.returncode == 0, errors.decode()
