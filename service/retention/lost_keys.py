"""Which keys are lost that stored details were sealed with: gone, or given up and made anew.

A key that is made in the place of a lost one does not open what that one sealed. So the keyring alone cannot tell: the
ledger's `KEY_LOST` entries are the record, and what they name is lost for as long as something of that time is stored.
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

_LEAVES: Final = "SELECT leaf FROM ledger_entry WHERE calledger_leaf_kind(leaf) = 'KEY_LOST' ORDER BY index"
_SEALED: Final = """
    SELECT tier, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, account_id, min(occurred_at) AS first
    FROM call_error WHERE sealed IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_ACCOUNTS: Final = """
    SELECT lost.id FROM unnest($1::integer[], $2::timestamptz[]) AS lost (id, moment)
    WHERE EXISTS (
        SELECT FROM call_error
        WHERE account_id = lost.id AND occurred_at <= lost.moment AND sealed IS NOT NULL
    ) LIMIT $3
"""
_PERIODS: Final = """
    SELECT lost.tier, lost.class, lost.period
    FROM unnest($1::integer[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
        AS lost (tier, class, period, start, until)
    WHERE EXISTS (
        SELECT FROM call_error
        WHERE tier = lost.tier AND occurred_at >= lost.start AND occurred_at < lost.until AND sealed IS NOT NULL
    ) LIMIT $6
"""


async def given_up(owner: asyncpg.Pool) -> dict[str, datetime]:
    """The names of keys in whose place another was made, and when it was written down last."""
    found: dict[str, datetime] = {}
    for row in await owner.fetch(_LEAVES):
        leaf = read_leaf(row["leaf"])
        if is_final(leaf.kind, leaf.facts):
            found |= dict.fromkeys(leaf.facts["keys"], leaf.recorded_at)
    return found


async def lost_keys(context: RetentionContext) -> dict[str, str]:
    """Names of lost keys that stored details were sealed with, and of each what became of it; in order.

    KeyringUnavailableError when the keyring is away.
    """
    # The rows first: a key that was made for a row is there before the row is.
    rows = await context.owner.fetch(_SEALED)
    live = {str(name) for name in await context.keyring.names()}
    buried = set(await context.keyring.tombstones())
    replaced = await given_up(context.owner)
    lost: dict[str, str] = {}
    for tier, day, account, first in rows:
        names = (str(PeriodKeyName(tier, DataClass.PERSONAL.value, day)), str(AccountKeyName(account)))
        if buried.isdisjoint(names):  # else nothing of the row is to open any more
            lost |= {name: said for name in names if (said := _fate(name, first, live, replaced)) is not None}
    return dict(sorted(lost.items()))


async def lost_on_record(context: RetentionContext, most: int) -> list[str]:
    """At most so many of the given up keys that something stored was sealed with, in words; no store is read whole."""
    buried = set(await context.keyring.tombstones())
    lost = {name: moment for name, moment in (await given_up(context.owner)).items() if name not in buried}
    names = {parse_name(name): moment for name, moment in lost.items()}
    accounts = {name.account: moment for name, moment in names.items() if isinstance(name, AccountKeyName)}
    rows = await context.owner.fetch(_ACCOUNTS, list(accounts), list(accounts.values()), most)
    found = [str(AccountKeyName(row["id"])) for row in rows]
    periods = [name for name in names if isinstance(name, PeriodKeyName)]
    bounds = [period_bounds(name.period) for name in periods]
    columns = [list(column) for column in zip(*periods, strict=True)] or [[], [], []]
    ends = [min(end, names[name]) for name, (_, end) in zip(periods, bounds, strict=True)]
    rows = await context.owner.fetch(_PERIODS, *columns, [start for start, _ in bounds], ends, most)
    found += [str(PeriodKeyName(*row)) for row in rows]
    return [_given_up(name, lost[name]) for name in sorted(found)[:most]]


def _given_up(name: str, moment: datetime) -> str:
    return f"{name} was lost by {moment:%Y-%m-%d %H:%M:%S} UTC, and what it sealed does not open any more"


def _fate(name: str, sealed_at: datetime, live: set[str], replaced: Mapping[str, datetime]) -> str | None:
    moment = replaced.get(name)
    if moment is not None and sealed_at <= moment:
        return _given_up(name, moment)
    return None if name in live else f"{name} is neither there nor destroyed on record: restore the keyring"
