"""The records of erasures."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from service.storage.connection import Queryable, record_of
from service.storage.database import uuid_of

_COLUMNS: Final = (
    "id, kind, account_id, tokens, requested_at, requested_by, finished_at, rows, blocked_by, unreadable_at, "
    "ledger_index, restricted_at"
)
_ONE: Final = f"SELECT {_COLUMNS} FROM erasure WHERE id = $1"  # noqa: S608 - names of our own
_PENDING: Final = f"""
    SELECT {_COLUMNS} FROM erasure
    WHERE finished_at IS NULL OR (kind = 'ACCOUNT' AND finished_at > clock_timestamp() - $1::interval)
    ORDER BY requested_at, id
"""  # noqa: S608
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM erasure
    WHERE ($1::timestamptz IS NULL OR (requested_at, id) < ($1, $2::uuid))
        AND ($4::integer[] IS NULL OR account_id = ANY ($4))
    ORDER BY requested_at DESC, id DESC LIMIT $3
"""  # noqa: S608
_COUNT: Final = "SELECT count(*) FROM erasure WHERE $1::integer[] IS NULL OR account_id = ANY ($1)"


class ErasureKind(StrEnum):
    """Whose data is erased."""

    USER = "USER"
    ACCOUNT = "ACCOUNT"


@dataclass(frozen=True, slots=True)
class StoredErasure:
    """An erasure as its row has it. `tokens`: (tier, period, token) of the person, until it is done.

    `unreadable_at`: from when on sealed or hashed values can be read in no backup either; None while that is not known.
    """

    id: UUID
    kind: ErasureKind
    account_id: int
    tokens: tuple[tuple[int, str, int], ...]
    requested_at: datetime
    requested_by: str
    finished_at: datetime | None
    rows: int
    blocked_by: tuple[UUID, ...]
    unreadable_at: datetime | None
    ledger_index: int | None
    restricted_at: datetime | None

    @property
    def state(self) -> str:
        """`REQUESTED`, `RESTRICTED` while a hold keeps copies, or `DONE`."""
        if self.finished_at is not None:
            return "DONE"
        return "REQUESTED" if self.restricted_at is None else "RESTRICTED"


async def get_erasure(source: Queryable, id_: UUID) -> StoredErasure | None:
    """One erasure, if `source` may see it: a reader's connection sees those of its accounts."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _erasure(row)


async def page_erasures(
    source: Queryable,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    accounts: Sequence[int] | None = None,
) -> list[StoredErasure]:
    """A page of at most `size` erasures, newest first, after the position `after`."""
    moment, id_ = after or (None, None)
    rows = await source.fetch(_PAGE, moment, id_, size, None if accounts is None else list(accounts))
    return [_erasure(row) for row in rows]


async def count_erasures(source: Queryable, accounts: Sequence[int] | None = None) -> int:
    """The number of erasures of these accounts (None: all) that `source` may see."""
    return await source.fetchval(_COUNT, None if accounts is None else list(accounts))


async def pending_erasures(source: Queryable, sweep: timedelta) -> list[StoredErasure]:
    """Erasures that are not done, and those of accounts that ended less than `sweep` ago."""
    return [_erasure(row) for row in await source.fetch(_PENDING, sweep)]


def _erasure(row: asyncpg.Record) -> StoredErasure:
    return record_of(
        StoredErasure,
        row,
        id=uuid_of(row["id"]),
        kind=ErasureKind(row["kind"]),
        tokens=tuple((tier, period, number) for tier, period, number in orjson.loads(row["tokens"] or "[]")),
        blocked_by=tuple(UUID(one) for one in orjson.loads(row["blocked_by"])),
    )
