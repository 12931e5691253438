"""Checks of keys: sealed rows and pseudonyms have theirs, held copies open, and erased accounts have none.

Each check returns what is wrong, and in words what was looked at.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from policies.policy.model import DataClass, PseudonymPeriod, Store
from policies.retention import readable_cutoff
from service.keyring import AccountKeyName, KeyDestroyedError, KeyGoneError, PeriodKeyName
from service.retention.cold.thaw import tier_of
from service.retention.context import RetentionContext
from service.retention.holds.escrow import unopenable
from service.retention.lost_keys import lost_keys
from service.storage.cold.catalogue import cold_files
from service.storage.cold.errors import ColdFileError

Result = tuple[list[str], str]

_COPIES_AT_ONCE: Final = 500
_SEALED_DAYS: Final = """
    SELECT tier, to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS period, array_agg(DISTINCT account_id)
    FROM call_error WHERE sealed IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
"""
_HASHED_PERIODS: Final = """
    SELECT tier, to_char(started_at AT TIME ZONE 'UTC', $3) AS period, array_agg(DISTINCT account_id)
    FROM call WHERE tier = $1 AND started_at >= $2 AND user_token IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
"""
_TIERS: Final = "SELECT DISTINCT tier FROM account_tier ORDER BY tier"
_HOLDS: Final = """
    SELECT hold.id, hold.rows, hold.lifted_at, hold.released_at, coalesce(copied.copies, 0) AS copies
    FROM hold LEFT JOIN (
        SELECT account_id, hold_id, sum(copies)::bigint AS copies FROM (
            SELECT account_id, hold_id, count(*) AS copies FROM call_held GROUP BY 1, 2
            UNION ALL SELECT account_id, hold_id, count(*) FROM call_error_held GROUP BY 1, 2
        ) AS of_both GROUP BY 1, 2
    ) AS copied ON copied.hold_id = hold.id AND copied.account_id = hold.account_id
    ORDER BY placed_at
"""
_COPIES_WITHOUT_HOLD: Final = """
    SELECT count(*) FROM (
        SELECT hold_id FROM call_held UNION ALL SELECT hold_id FROM call_error_held
    ) AS copy WHERE NOT EXISTS (SELECT 1 FROM hold WHERE hold.id = copy.hold_id AND hold.released_at IS NULL)
"""
_SEALED_COPIES: Final = """
    SELECT copy.hold_id, copy.account_id, copy.occurred_at, copy.id, copy.sealed, copy.record_key
    FROM call_error_held AS copy JOIN hold ON hold.id = copy.hold_id
    WHERE hold.lifted_at IS NULL AND copy.sealed IS NOT NULL
"""
"""The sealed copies of errors that holds in force keep."""
_ERASED: Final = """
    SELECT account_id, account_id IN (
        SELECT account_id FROM call UNION ALL SELECT account_id FROM call_error
        UNION ALL SELECT account_id FROM usage_delta UNION ALL SELECT account_id FROM usage_tag_delta
        UNION ALL SELECT account_id FROM usage_tag_half_hour UNION ALL SELECT account_id FROM usage_tag_day
        UNION ALL SELECT account_id FROM usage_quarter UNION ALL SELECT account_id FROM usage_half_hour
        UNION ALL SELECT account_id FROM usage_day
    ) AS rows
    FROM erasure WHERE kind = 'ACCOUNT' AND finished_at IS NOT NULL
"""


async def check_keys(context: RetentionContext, now: datetime) -> Result:
    """Every period and account that something is sealed or hashed for has a key, or one whose destruction is
    recorded.
    """
    owner, policy = context.owner, context.policy()
    wanted = [tuple(row) for row in await owner.fetch(_SEALED_DAYS)]
    sealed = len(wanted)
    form = "YYYY-MM" if policy.pseudonym_period is PseudonymPeriod.MONTH else "YYYY-MM-DD"
    for (tier,) in await owner.fetch(_TIERS):
        cut = readable_cutoff(policy, tier, DataClass.PERSONAL, Store.CALL, now)
        wanted += [tuple(row) for row in await owner.fetch(_HASHED_PERIODS, tier, cut, form)]
    # The rows are read first: a key that was made for a row exists before the row does.
    live = {str(name) for name in await context.keyring.periods()}
    on_record = set(await context.keyring.tombstones())
    names = [str(PeriodKeyName(tier, DataClass.PERSONAL.value, period)) for tier, period, _ in wanted]
    lost = sorted({name for name in names if name not in live and name not in on_record})
    lost += await _lost_accounts(context, {account for _, _, accounts in wanted for account in accounts})
    destroyed = sum(name in on_record for name in names[:sealed])
    missing = {name: f"{name} is neither there nor destroyed on record: restore the keyring" for name in lost}
    wrong = list((await lost_keys(context) | missing).values())
    return wrong, f"{sealed} seal what is stored, {destroyed} of them destroyed on record"


async def _lost_accounts(context: RetentionContext, accounts: set[int]) -> list[str]:
    lost = []
    for account in sorted(accounts):
        try:
            await context.keyring.key(AccountKeyName(account), mint=False)
        except KeyDestroyedError:
            continue
        except KeyGoneError:
            lost.append(str(AccountKeyName(account)))
    return lost


async def check_holds(context: RetentionContext, _: datetime) -> Result:
    """Every hold has all the copies that were made for it, each sealed one opens, and a lifted hold has none."""
    wrong, copies = [], 0
    holds = await context.owner.fetch(_HOLDS)
    for hold in holds:
        copies += hold["copies"]
        if hold["lifted_at"] is None and hold["copies"] != hold["rows"]:
            wrong.append(f"hold `{hold['id']}` has {hold['copies']} copies of {hold['rows']} that were made")
    orphans = await context.owner.fetchval(_COPIES_WITHOUT_HOLD)
    if orphans:
        wrong.append(f"{orphans} copies of no hold that is in force")
    wrong += [f"the copy of error `{id_}` does not open" for id_ in await _unopenable_copies(context)]
    return wrong, f"{len(holds)} on record, {copies} copies, all of them complete"


async def _unopenable_copies(context: RetentionContext) -> list[UUID]:
    wrong: list[UUID] = []
    async with context.owner.acquire() as connection, connection.transaction(readonly=True):
        async for row in connection.cursor(_SEALED_COPIES, prefetch=_COPIES_AT_ONCE):
            wrong += await unopenable(context.keyring, [row])
    return wrong


async def check_erasures(context: RetentionContext, _: datetime) -> Result:
    """An erased account has no rows, in files neither, and no key."""
    wrong = []
    erased = await context.owner.fetch(_ERASED)
    for row in erased:
        if row["rows"]:
            wrong.append(f"account {row['account_id']} was erased and has rows: run `calledger erase` again")
        try:
            await context.keyring.key(AccountKeyName(row["account_id"]), mint=False)
            wrong.append(f"account {row['account_id']} was erased and has a key")
        except KeyGoneError:
            continue
    wrong += await _left_in_files(context, sorted({row["account_id"] for row in erased}))
    return wrong, f"{len(erased)} accounts erased, with nothing left"


async def _left_in_files(context: RetentionContext, accounts: Sequence[int]) -> list[str]:
    """Files that have rows of erased accounts, or of which that cannot be known."""
    wrong: list[str] = []
    for file in await cold_files(context.owner) if accounts else ():
        try:
            left = [account for account in accounts if await tier_of(context).has_account(file, account)]
        except ColdFileError:
            wrong.append(f"`{file.name}` cannot be read: erased accounts may be left in it")
        else:
            wrong += [f"account {account} was erased and is in `{file.name}`" for account in left]
    return wrong
