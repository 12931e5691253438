"""Moving an account to another tier: from a future UTC midnight on, in the table and in the ledger.

Calls until then stay in their tier and keep its windows: the tier of a row is a function of account and time, so that a
report that is sent twice is the same row whenever it comes.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from policies.evidence import LedgerKind
from policies.policy.model import Policy, Tier
from policies.retention import tier_may_move_from
from service.retention.context import RetentionContext
from service.retention.errors import TierError
from service.storage.notifications import notify

_LOCK: Final = 0x63616C6C_0017
_AT: Final = """
    SELECT tier FROM account_tier WHERE account_id = $1 AND from_at <= $2 ORDER BY from_at DESC LIMIT 1
"""
_MOVE: Final = """
    INSERT INTO account_tier (account_id, tier, from_at) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, from_at) DO UPDATE SET tier = excluded.tier
"""
_IS_PLANNED: Final = "SELECT EXISTS (SELECT FROM account_tier WHERE account_id = $1 AND from_at > $2)"
"""Whether the account is to move after a moment: a move into the tier that it is in then may be another's undoing."""
_LATER: Final = "SELECT from_at FROM account_tier WHERE account_id = $1 AND from_at > $2 ORDER BY from_at LIMIT 1"


@dataclass(frozen=True, slots=True)
class Move:
    """A recorded move. `until`: when another move, planned before, takes effect."""

    account: str
    old: Tier | None
    new: Tier
    from_at: datetime
    until: datetime | None
    ledger_index: int | None


async def move_account(context: RetentionContext, account: str, tier: str, *, day: date | None, actor: str) -> Move:
    """Move `account` to `tier` from the beginning of `day` (UTC) on, or as soon as possible.

    TierError when there is no such account or tier, or the day comes too soon.
    """
    policy = context.policy()
    new, account_id = _tier(policy, tier), await context.accounts.find(account)
    if account_id is None:
        raise TierError(f"there is no account `{account}`: an account begins with its first call or key")
    now = await context.now()
    soonest = tier_may_move_from(now)
    from_at = soonest if day is None else datetime.combine(day, time.min, UTC)
    if from_at < soonest:
        raise TierError(
            f"a move takes effect on {soonest:%Y-%m-%d} at the soonest: calls of the days before may be here already, "
            "and their retries must find them"
        )
    async with context.owner.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        old = await connection.fetchval(_AT, account_id, from_at)
        if old == new.number and not await connection.fetchval(_IS_PLANNED, account_id, now):
            raise TierError(f"`{account}` is in the tier `{tier}` on {from_at:%Y-%m-%d} anyway: nothing moves")
        await connection.execute(_MOVE, account_id, new.number, from_at)
        until = await connection.fetchval(_LATER, account_id, from_at)
        facts = {"account": account_id, "from_tier": old, "to_tier": new.number, "from": from_at.isoformat()}
        index = await context.ledger.append(LedgerKind.TIER_CHANGED, facts, actor=actor, connection=connection)
    await context.accounts.load([account_id])
    await notify(context.owner, "accounts", str(account_id))
    return Move(account, policy.tier_number(old), new, from_at, until, index)


def _tier(policy: Policy, name: str) -> Tier:
    tier = policy.tiers.get(name)
    if tier is None:
        known = ", ".join(f"`{one}`" for one in policy.tiers)
        raise TierError(f"the policy has no tier `{name}`; it has {known}")
    return tier
