"""A user's plain id, hashed to the tokens that it has in a time range. It goes no further than this module."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import product

from policies import pseudonym
from policies.policy.model import DataClass, Policy, PseudonymPeriod
from policies.retention import Width, bounds
from service.keyring import AccountKeyName, PeriodKeyName
from service.keyring.errors import KeyGoneError
from service.keyring.protocol import Keyring
from service.query.filters.to_sql import UserTokens
from service.query.model.errors import BadInputError
from service.query.model.predicate import TimeRange
from service.query.scan.ranges import ScanRange

_TOKENS_MAX = 5_000


async def tokens_of(
    keyring: Keyring,
    policy: Policy,
    user: str,
    scan_ranges: Sequence[ScanRange],
    accounts: Collection[int],
    time_range: TimeRange,
    now: datetime,
) -> UserTokens:
    """The tokens of `user` in every account, tier and period that the scan ranges and the time range reach."""
    oldest = min((scan_range.readable for scan_range in scan_ranges), default=now)
    periods = list(
        _periods(policy, max(time_range.start or oldest, oldest), min(time_range.end or now, now + timedelta(days=2)))
    )
    tiers = sorted({scan_range.tier for scan_range in scan_ranges})
    reached = [accounts if scan_range.accounts is None else scan_range.accounts for scan_range in scan_ranges]
    most = max((len(ids) for ids in reached), default=0)
    account_ids = sorted({account_id for ids in reached for account_id in ids}) if most <= _TOKENS_MAX else ()
    if len(periods) * len(tiers) * max(most, len(account_ids)) > _TOKENS_MAX:
        raise BadInputError("a filter by a user's plain id reaches too far: name accounts or a shorter time range")
    found: dict[int, list[tuple[datetime, datetime, tuple[int, ...], tuple[int, ...]]]] = {tier: [] for tier in tiers}
    for tier, (label, start, end) in product(tiers, periods):
        tokens = await _tokens(keyring, tier, label, user, account_ids)
        found[tier].append((start, end, tuple(tokens), tuple(tokens.values())))
    return UserTokens({tier: tuple(entries) for tier, entries in found.items()})


async def _tokens(keyring: Keyring, tier: int, period: str, user: str, accounts: Iterable[int]) -> dict[int, int]:
    """Token by account. A key that is gone or was never made has no tokens."""
    try:
        period_key = await keyring.key(PeriodKeyName(tier, DataClass.PERSONAL, period), mint=False)
    except KeyGoneError:
        return {}
    tokens: dict[int, int] = {}
    for account in accounts:
        try:
            account_key = await keyring.key(AccountKeyName(account), mint=False)
        except KeyGoneError:
            continue
        tokens[account] = pseudonym.token(key=pseudonym.pseudonym_key(period_key, account_key), user=user)
    return tokens


def _periods(policy: Policy, start: datetime, end: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    width = Width.DAY if policy.pseudonym_period is PseudonymPeriod.DAY else Width.MONTH
    while start < end:
        first, after = bounds(width, start)
        yield period_label(policy, first), first, after
        start = after


def period_label(policy: Policy, moment: date) -> str:
    """The pseudonym period of a moment or day in UTC: `2026-11-22` or `2026-11`."""
    return moment.strftime("%Y-%m-%d" if policy.pseudonym_period is PseudonymPeriod.DAY else "%Y-%m")
