"""Checks that sealed values open: every key can be unwrapped, and sealed details open under the keys of their row.

A sealed value is bound to its row by associated data: it does not open in another row, or when its key was replaced.
`calledger fsck --deep` opens all of them; otherwise one is opened for each account, tier and day.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final

import asyncpg

from policies.admission.segments import SegmentsError, unpack_segments
from policies.envelope import Context, DataKey, OpenError, data_key, open_sealed
from policies.policy.model import DataClass, Store
from service.keyring import (
    AccountKeyName,
    KeyDestroyedError,
    KeyGoneError,
    KeyringUnavailableError,
    PeriodKeyName,
)
from service.retention.context import RetentionContext

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
    opener, wrong, opened = _RowKeys(context), list[str](), 0
    there = await context.owner.fetchval(_COUNT)
    async for rows in _chunks(context.owner, _ALL if deep else _SOME):
        for row in rows:
            key = await opener.key(row)
            if key is not None:
                opened += 1
                if not _opens(row, key):
                    wrong.append(f"what is sealed of error `{row['id']}` does not open: it, or its key, is another")
        await asyncio.sleep(0)  # yields to the loop between chunks
    text = f"{opened} of {there} sealed records opened"
    return wrong, text if deep else f"{text}; `calledger fsck --deep` opens all"


class _RowKeys:
    """Data keys by tier, day and account, each fetched once."""

    def __init__(self, context: RetentionContext) -> None:
        self._keyring = context.keyring
        self._keys: dict[tuple[int, str, int], DataKey | None] = {}

    async def key(self, row: asyncpg.Record) -> DataKey | None:
        """The data key of a row; None when there is none. The checks of keys say whether that is right."""
        name = (row["tier"], f"{row['occurred_at']:%Y-%m-%d}", row["account_id"])
        if name not in self._keys:
            tier, period, account = name
            try:
                period_key = await self._keyring.key(PeriodKeyName(tier, DataClass.PERSONAL.value, period), mint=False)
                account_key = await self._keyring.key(AccountKeyName(account), mint=False)
                self._keys[name] = data_key(period_key, account_key)
            except (KeyGoneError, KeyringUnavailableError):
                self._keys[name] = None
        return self._keys[name]


def _opens(row: asyncpg.Record, key: DataKey) -> bool:
    period = f"{row['occurred_at']:%Y-%m-%d}"
    where = Context(row["account_id"], Store.CALL_ERROR.value, row["id"].bytes, period, DataClass.PERSONAL.value)
    try:
        unpack_segments(open_sealed(row["sealed"], data_key=key, context=where))
    except (OpenError, SegmentsError):
        return False
    return True


async def _chunks(owner: asyncpg.Pool, statement: str) -> AsyncIterator[list[asyncpg.Record]]:
    async with owner.acquire() as connection, connection.transaction(readonly=True):
        cursor = await connection.cursor(statement)
        while rows := await cursor.fetch(_AT_ONCE):
            yield rows
