"""Budgets: what an account, or a key or tag of it, is meant to spend in a day of UTC."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import orjson

from service.errors import RequestError
from service.storage.connection import Connection, Queryable, one_row, record_of
from service.storage.database import uuid_of

BUDGETS_MAX: Final = 100
"""How many budgets one account may have."""
_COLUMNS: Final = "id, account_id, api_key, tag_key, tag_value, currency, amount, thresholds, set_by, set_at"
_SAME: Final = """
    account_id = $1 AND currency = $2 AND api_key IS NOT DISTINCT FROM $3::text
        AND tag_key IS NOT DISTINCT FROM $4::text AND tag_value IS NOT DISTINCT FROM $5::text
"""
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('calledger/budgets', 0))"
_OTHERS: Final = f"SELECT count(*) FROM budget WHERE account_id = $1 AND NOT ({_SAME})"  # noqa: S608 - names of our own
_SET: Final = f"""
    INSERT INTO budget (account_id, currency, api_key, tag_key, tag_value, id, amount, thresholds, set_by, set_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, clock_timestamp())
    ON CONFLICT (account_id, currency, api_key, tag_key, tag_value) DO UPDATE SET amount = excluded.amount,
        thresholds = excluded.thresholds, set_by = excluded.set_by, set_at = excluded.set_at
    RETURNING {_COLUMNS}
"""  # noqa: S608
_REMOVE: Final = f"DELETE FROM budget WHERE {_SAME} RETURNING {_COLUMNS}"  # noqa: S608
# A key that is bound to accounts is shown theirs; the condition is there beside row-level security.
_ALL: Final = f"""
    SELECT {_COLUMNS} FROM budget WHERE $1::integer[] IS NULL OR account_id = ANY ($1)
    ORDER BY account_id, api_key NULLS FIRST, tag_key NULLS FIRST, tag_value, currency LIMIT $2
"""  # noqa: S608
EVERY_BUDGET: Final = f"SELECT {_COLUMNS} FROM budget ORDER BY set_at, id"  # noqa: S608
"""All budgets, to be held against the ledger."""


class TooManyBudgetsError(RequestError):
    """the account has as many budgets as it may have: remove one first"""


@dataclass(frozen=True, slots=True)
class BudgetOf:
    """What a budget is of: an account in one currency, and there of all calls, of one API key, or of one tag."""

    account_id: int
    currency: str
    api_key: str | None = None
    tag_key: str | None = None
    tag_value: str | None = None


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """One budget. `thresholds`: percents of the amount at which webhooks are notified, ascending."""

    id: UUID
    of: BudgetOf
    amount: Decimal
    thresholds: tuple[int, ...]
    set_by: str
    set_at: datetime


async def set_budget(
    connection: Connection, of: BudgetOf, amount: Decimal, thresholds: Sequence[int], set_by: str
) -> BudgetRecord:
    """Set a budget, in place of one of the same, in a transaction of the owner's. Raises TooManyBudgetsError."""
    await connection.execute(_ONE_AT_A_TIME)
    if await connection.fetchval(_OTHERS, *_same(of)) >= BUDGETS_MAX:
        raise TooManyBudgetsError
    percents = orjson.dumps(sorted(thresholds)).decode()
    return budget_of(await one_row(connection, _SET, *_same(of), uuid4(), amount, percents, set_by))


async def remove_budget(connection: Connection, of: BudgetOf) -> BudgetRecord | None:
    """Remove a budget; None when there is none."""
    row = await connection.fetchrow(_REMOVE, *_same(of))
    return None if row is None else budget_of(row)


async def list_budgets(source: Queryable, accounts: Sequence[int] | None, size: int) -> list[BudgetRecord]:
    """Budgets of these accounts (None: of all) that `source` may see, at most so many."""
    return [budget_of(row) for row in await source.fetch(_ALL, None if accounts is None else list(accounts), size)]


def _same(of: BudgetOf) -> tuple[int, str, str | None, str | None, str | None]:
    return of.account_id, of.currency, of.api_key, of.tag_key, of.tag_value


def budget_of(row: asyncpg.Record) -> BudgetRecord:
    """The budget of a row of `EVERY_BUDGET`."""
    of = record_of(BudgetOf, row)
    thresholds = tuple(orjson.loads(row["thresholds"]))
    return record_of(
        BudgetRecord, row, id=uuid_of(row["id"]), of=of, amount=Decimal(row["amount"]), thresholds=thresholds
    )
