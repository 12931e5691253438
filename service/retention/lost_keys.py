"""Which lost keys stored details were sealed with: keys that are gone, or that were replaced by a new one.

A key that is made in the place of a lost one does not open what that one sealed. So the keyring alone cannot say: the
ledger's `KEY_LOST` entries are the record, and a key that they name counts as lost for as long as something of that
time is stored, and does not open: a key that was put back opens it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import asyncpg

from policies import DataClass
from policies.evidence import read_leaf
from policies.retention import period_bounds
from service.keyring import AccountKeyName, PeriodKeyName, parse_name
from service.ledger import is_final
from service.retention.context import RetentionContext
from service.retention.sealed_rows import RowKeys, opens

_LEAVES: Final = "SELECT leaf FROM ledger_entry WHERE calledger_leaf_kind(leaf) = 'KEY_LOST' ORDER BY index"
_SEALED: Final = """
    SELECT tier, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, account_id, min(occurred_at) AS first
    FROM call_error WHERE sealed IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_ACCOUNTS: Final = """
    SELECT lost.id FROM unnest($1::integer[], $2::timestamptz[]) AS lost (id, moment)
    WHERE EXISTS (
        SELECT 1 FROM call_error
        WHERE account_id = lost.id AND occurred_at <= lost.moment AND sealed IS NOT NULL
    ) LIMIT $3
"""
_PERIODS: Final = """
    SELECT lost.tier, lost.class, lost.period
    FROM unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        AS lost (tier, class, period, start, until)
    WHERE EXISTS (
        SELECT 1 FROM call_error
        WHERE tier = lost.tier AND occurred_at >= lost.start AND occurred_at < lost.until AND sealed IS NOT NULL
    ) LIMIT $6
"""
# Citus evaluates no such condition row by row: there, details of the names are read and grouped.
_ACCOUNTS_IN_ALL: Final = """
    SELECT lost.id FROM call_error JOIN unnest($1::integer[], $2::timestamptz[]) AS lost (id, moment)
        ON account_id = lost.id AND occurred_at <= lost.moment
    WHERE sealed IS NOT NULL GROUP BY 1 LIMIT $3
"""
_PERIODS_IN_ALL: Final = """
    SELECT lost.tier, lost.class, lost.period
    FROM call_error JOIN unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        AS lost (tier, class, period, start, until)
        ON call_error.tier = lost.tier AND occurred_at >= lost.start AND occurred_at < lost.until
    WHERE sealed IS NOT NULL GROUP BY 1, 2, 3 LIMIT $6
"""

_OF_ACCOUNT: Final = """
    SELECT id, account_id, tier, occurred_at, sealed FROM call_error
    WHERE account_id = $1 AND occurred_at <= $2 AND sealed IS NOT NULL ORDER BY occurred_at LIMIT $3
"""
"""The oldest sealed details of an account until a moment."""
_OF_PERIOD: Final = """
    SELECT id, account_id, tier, occurred_at, sealed FROM call_error
    WHERE tier = $1 AND occurred_at >= $4 AND occurred_at < $5 AND occurred_at <= $2 AND sealed IS NOT NULL
    ORDER BY occurred_at LIMIT $3
"""
"""The oldest sealed details of a tier's day until a moment."""
_OPENED_MAX: Final = 200
_LOOKED_AT: Final = 50
"""Names that are looked through at once for those whose key was put back."""


async def given_up_keys(context: RetentionContext) -> dict[str, datetime]:
    """The `replaced_keys` that are not there again: whose key is gone, or opens nothing of that time."""
    live = {str(name) for name in await context.keyring.names()}
    keys, replaced = RowKeys(context.keyring), await replaced_keys(context.owner)
    return {
        name: moment
        for name, moment in replaced.items()
        if name not in live or not await _opens_again(context, keys, name, moment)
    }


async def _opens_again(context: RetentionContext, keys: RowKeys, text: str, moment: datetime) -> bool:
    name = parse_name(text)
    if isinstance(name, AccountKeyName):
        rows = await context.owner.fetch(_OF_ACCOUNT, name.account, moment, _OPENED_MAX)
    elif isinstance(name, PeriodKeyName):
        start, end = period_bounds(name.period)
        rows = await context.owner.fetch(_OF_PERIOD, name.tier, moment, _OPENED_MAX, start, end)
    else:
        return False
    for row in rows:
        key = await keys.key(row)
        if key is None or not opens(row, key):
            return False
    return bool(rows)


async def replaced_keys(owner: asyncpg.Pool) -> dict[str, datetime]:
    """The names of keys in whose place another was made, and when that was recorded last."""
    found: dict[str, datetime] = {}
    for row in await owner.fetch(_LEAVES):
        leaf = read_leaf(row["leaf"])
        if is_final(leaf.kind, leaf.facts):
            found |= dict.fromkeys(leaf.facts["keys"], leaf.recorded_at)
    return found


async def lost_keys(context: RetentionContext) -> dict[str, str]:
    """The names of lost keys that stored details were sealed with, sorted, each with what became of it in words.

    Raises KeyringUnavailableError.
    """
    # The rows are read first: a key that was made for a row exists before the row does.
    rows = await context.owner.fetch(_SEALED)
    live = {str(name) for name in await context.keyring.names()}
    destroyed = set(await context.keyring.tombstones())
    replaced = await given_up_keys(context)
    lost: dict[str, str] = {}
    for tier, day, account, first in rows:
        names = (str(PeriodKeyName(tier, DataClass.PERSONAL.value, day)), str(AccountKeyName(account)))
        if destroyed.isdisjoint(names):  # otherwise the row's values are meant to be unreadable
            lost |= {name: loss for name in names if (loss := _describe_loss(name, first, live, replaced)) is not None}
    return dict(sorted(lost.items()))


async def lost_on_record(context: RetentionContext, limit: int) -> list[str]:
    """At most `limit` of the replaced keys that something stored was sealed with, in words; reads no store
    completely.
    """
    destroyed = set(await context.keyring.tombstones())
    lost = {name: moment for name, moment in (await replaced_keys(context.owner)).items() if name not in destroyed}
    if not lost:
        return []
    names = {parse_name(name): moment for name, moment in lost.items()}
    probes = context.database.engine.probes_by_account
    of_accounts, of_periods = (_ACCOUNTS, _PERIODS) if probes else (_ACCOUNTS_IN_ALL, _PERIODS_IN_ALL)
    accounts = {name.account: moment for name, moment in names.items() if isinstance(name, AccountKeyName)}
    rows = await context.owner.fetch(of_accounts, list(accounts), list(accounts.values()), _LOOKED_AT)
    found = [str(AccountKeyName(row["id"])) for row in rows]
    periods = [name for name in names if isinstance(name, PeriodKeyName)]
    bounds = [period_bounds(name.period) for name in periods]
    columns = [list(column) for column in zip(*periods, strict=True)] or [[], [], []]
    ends = [min(end, names[name]) for name, (_, end) in zip(periods, bounds, strict=True)]
    rows = await context.owner.fetch(of_periods, *columns, [start for start, _ in bounds], ends, _LOOKED_AT)
    found += [str(PeriodKeyName(*row)) for row in rows]
    live, keys = {str(name) for name in await context.keyring.names()}, RowKeys(context.keyring)
    gone = [
        name for name in sorted(found) if name not in live or not await _opens_again(context, keys, name, lost[name])
    ]
    return [_describe_replaced(name, lost[name]) for name in gone[:limit]]


def _describe_replaced(name: str, moment: datetime) -> str:
    return f"{name} was lost by {moment:%Y-%m-%d %H:%M:%S} UTC, and what it sealed does not open any more"


def _describe_loss(name: str, sealed_at: datetime, live: set[str], replaced: Mapping[str, datetime]) -> str | None:
    moment = replaced.get(name)
    if moment is not None and sealed_at <= moment:
        return _describe_replaced(name, moment)
    return None if name in live else f"{name} is neither there nor destroyed on record: restore the keyring"
