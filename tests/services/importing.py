"""Imports in a test: rows that were brought in, and the command that brings them."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import forked
from running import database_url, surroundings

_CHECKPOINT = "SELECT rows FROM import_checkpoint"


def fetch(data: Path, statement: str, *values: Any) -> list[Any]:
    """The rows of a statement on the database of a running service."""

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(database_url(data))
        try:
            return await connection.fetch(statement, *values)
        finally:
            await connection.close()

    return asyncio.run(ask())


def killed_import(data: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> int:
    """Run an import, and kill it as a power cut would once a page of it is saved; how many rows were saved."""
    with Path(os.devnull).open("ab") as log:
        given = ["import", *arguments, "--data", str(data)]
        process = forked.start(given, environment=surroundings(environment, given), log=log)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            saved = fetch(data, _CHECKPOINT)
            if saved and saved[0]["rows"]:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
    finally:
        process.kill()
        code = process.wait(60)
        process.stdout.close()
    assert code == -signal.SIGKILL, f"it ended before it could be killed: {code}"
    saved = fetch(data, _CHECKPOINT)
    assert saved, "it had reached its end"
    return saved[0]["rows"]
