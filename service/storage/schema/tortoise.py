"""How Tortoise reaches the control tables and finds the migrations."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.transactions import in_transaction

from service.storage.connection import Connection

APP = "calledger"


def tortoise_config(url: str, *, role: str | None = None, max_connections: int = 4) -> dict[str, Any]:
    """Tortoise's configuration for the database at `url`, acting as `role` when one is given.

    The address is parsed here because Tortoise's own parser knows no socket directories.
    """
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    credentials: dict[str, Any] = {
        "host": query.get("host", [parts.hostname])[0],
        "port": parts.port or int(query.get("port", ["5432"])[0]),
        "user": unquote(parts.username) if parts.username else query.get("user", [None])[0],
        "password": unquote(parts.password) if parts.password else query.get("password", [None])[0],
        "database": unquote(parts.path.lstrip("/")) or query.get("dbname", [None])[0],
        "minsize": 0,
        "maxsize": max_connections,
    }
    if role is not None:
        credentials["server_settings"] = {"role": role}
    return {
        "connections": {"default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}},
        "apps": {
            APP: {
                "models": ["service.storage.schema.models"],
                "migrations": "migrations",
                "default_connection": "default",
            }
        },
        "use_tz": True,
        "timezone": "UTC",
    }


@asynccontextmanager
async def control_transaction() -> AsyncIterator[tuple[BaseDBAsyncClient, Connection]]:
    """A transaction on the control tables: what the models take as `using_db`, and the connection under it."""
    async with in_transaction() as transaction:
        connection: Connection = transaction._connection
        yield transaction, connection
