"""Checks that sealed values open: every key can be unwrapped, and sealed details open under the keys of their row.

A sealed value is bound to its row by associated data: it does not open in another row, or when its key was replaced.
`calledger fsck --deep` opens all of them; otherwise one is opened for each account, tier and day.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import asyncpg

from service.keyring import (
    KeyDestroyedError,
    KeyGoneError,
    KeyringUnavailableError,
)
from service.retention.context import RetentionContext
from service.retention.sealed_rows import RowKeys, opens

Result = tuple[list[str], str]

_AT_ONCE: Final = 500
_COLUMNS: Final = "id, account_id, tier, occurred_at, sealed"
_ALL: Final = f"SELECT {_COLUMNS} FROM call_error WHERE sealed IS NOT NULL"  # noqa: S608 - our own
_SOME: Final = f"""
    SELECT DISTINCT ON (account_id, tier, date_trunc('day', occurred_at, 'UTC')) {_COLUMNS}
    FROM call_error WHERE sealed IS NOT NULL
"""  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM call_error WHERE sealed IS NOT NULL"


async def check_keyring(context: RetentionContext, _: datetime) -> Result:
    """Every key that exists can be unwrapped, as it is stored in the keyring now and not from memory."""
    context.keyring.forget()
    names, wrong = await context.keyring.names(), []
    for name in names:
        try:
            await context.keyring.key(name, mint=False)
        except KeyDestroyedError:
            continue  # destroyed since the names were read
        except (KeyGoneError, KeyringUnavailableError) as error:
            wrong.append(f"{name} does not open: {error}")
    return wrong, f"{len(names)} keys, each of them unwrapped"


async def check_sealed(context: RetentionContext, _: datetime, *, deep: bool = False) -> Result:
    """Sealed details open in their row; those whose key was destroyed on purpose are left out."""
    opener, wrong, opened = RowKeys(context.keyring), list[str](), 0
    there = await context.owner.fetchval(_COUNT)
    async for rows in _chunks(context.owner, _ALL if deep else _SOME):
        for row in rows:
            key = await opener.key(row)
            if key is not None:
                opened += 1
                if not opens(row, key):
                    wrong.append(f"what is sealed of error `{row['id']}` does not open: it, or its key, is another")
        await asyncio.sleep(0)  # yields to the loop between chunks
    text = f"{opened} of {there} sealed records opened"
    return wrong, text if deep else f"{text}; `calledger fsck --deep` opens all"


async def _chunks(owner: asyncpg.Pool, statement: str) -> AsyncIterator[list[asyncpg.Record]]:
    async with owner.acquire() as connection, connection.transaction(readonly=True):
        cursor = await connection.cursor(statement)
        while rows := await cursor.fetch(_AT_ONCE):
            yield rows
