"""Where the rows of a query can lie: one leg a tier, and an account where there are few.

This is the one place where the account scope is applied to lists. A leg never leaves the scope: what a filter says of
accounts only narrows it. Row-level security is the second wall.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, cast

from policies.policy.fields import ERROR_RECORD
from policies.policy.model import Action, DataClass, Policy, Store
from policies.retention import cutoff, readable_cutoff
from service.query.filters.decomposition import Question
from service.query.filters.to_sql import accounts_matching
from service.query.model.catalog import ERRORS, Table
from service.query.model.errors import BadInputError
from service.query.model.predicate import Compare, Span, operands
from service.query.model.scope import Scope
from service.storage.control.accounts import Accounts
from service.storage.ids import CallKey, IdError, decode_call_id, decode_error_id

LEGS_MAX: Final = 8
TICK: Final = timedelta(microseconds=1)
FAR_FUTURE: Final = datetime(9999, 1, 1, tzinfo=UTC)
FAR_PAST: Final = datetime(1, 1, 2, tzinfo=UTC)


class Leg(NamedTuple):
    """Rows of one tier, not older than `cutoff`; of `accounts` (None: every account).

    `policy` and `now`: by what, and for which moment, the cut-off was worked out.
    """

    tier: int
    accounts: tuple[int, ...] | None
    cutoff: datetime
    now: datetime
    policy: Policy

    @property
    def account(self) -> int | None:
        """The one account whose rows these are; None: several, or any."""
        return self.accounts[0] if self.accounts is not None and len(self.accounts) == 1 else None

    @property
    def readable(self) -> datetime:
        """The oldest time whose hashed values are still shown. Few lists ask for one."""
        return readable_cutoff(self.policy, self.tier, DataClass.PERSONAL, Store.CALL, self.now)


async def names_in_scope(accounts: Accounts, scope: Scope, asked: Question) -> Mapping[str, int]:
    """Accounts by name that the scope may know of. What is not known of those that are named is looked up first."""
    if scope.accounts is not None:
        await accounts.look_up(numbers=scope.accounts)
    else:
        await accounts.look_up(names=_named(asked), numbers=_numbered(asked))
    return accounts.numbers(scope.accounts)


def all_known(accounts: Accounts, scope: Scope, asked: Question) -> bool:
    """Whether nothing in the scope can have been made elsewhere meanwhile. Names outside of it are not looked up."""
    if scope.accounts is not None:
        return len(accounts.numbers(scope.accounts)) == len(set(scope.accounts))
    return accounts.names().keys() >= _numbered(asked) and accounts.numbers(None).keys() >= _named(asked)


def _named(asked: Question) -> set[str]:
    return {name for part in asked.accounts if part.operator in ("eq", "in") for name in _values(part)}


def _numbered(asked: Question) -> set[int]:
    return {call.account_id for part in asked.ids for call in _calls_of(part)}


def _calls_of(part: Compare) -> Iterator[CallKey]:
    return (_call_of(text) for text in _values(part))


def accounts_asked(scope: Scope, names: Mapping[str, int], asked: Question) -> tuple[int, ...] | None:
    """Numbers of the accounts that can have matches; None: any account at all."""
    matching = [accounts_matching(names, part) for part in asked.accounts]
    matching += [{call.account_id for call in _calls_of(part)} for part in asked.ids]
    if scope.accounts is not None:
        matching.append(set(scope.accounts))
    return tuple(sorted(matching[0].intersection(*matching[1:]))) if matching else None


def span_of(table: Table, asked: Question) -> Span:
    """The time range that is asked for."""
    start, end = FAR_PAST, FAR_FUTURE
    for part in asked.times:
        lower, upper = _range(part)
        start, end = max(start, lower), min(end, upper)
    for part in asked.ids:
        moments = [_moment(table, text) for text in _values(part)]
        start = max(start, min(moments, default=FAR_FUTURE))
        end = min(end, max(moments, default=FAR_PAST) + TICK)
    return Span(start, end)


def _range(compare: Compare) -> tuple[datetime, datetime]:
    moment = max(FAR_PAST, min(cast("datetime", compare.value), FAR_FUTURE))
    match compare.operator:
        case "lt":
            return FAR_PAST, moment
        case "lte":
            return FAR_PAST, moment + TICK
        case "gt":
            return moment + TICK, FAR_FUTURE
        case "gte":
            return moment, FAR_FUTURE
        case "eq":
            return moment, moment + TICK
        case _:
            raise BadInputError("moments have no such comparison")


def _values(compare: Compare) -> tuple[str, ...]:
    return cast("tuple[str, ...]", operands(compare))


def _moment(table: Table, text: str) -> datetime:
    try:
        return decode_error_id(text).occurred_at if table is ERRORS else decode_call_id(text).started_at
    except (IdError, OverflowError):
        raise BadInputError(f"`{text[:60]}` is not an id of {'an error' if table is ERRORS else 'a call'}") from None


def _call_of(text: str) -> CallKey:
    try:
        return decode_error_id(text).call if text.startswith("err_") else decode_call_id(text)
    except (IdError, OverflowError):
        raise BadInputError(f"`{text[:60]}` is not an id that this ledger gave out") from None


def tiers_of(accounts: Accounts, asked: tuple[int, ...] | None) -> list[tuple[int, tuple[int, ...] | None]]:
    """Tier and accounts of each leg: one a tier and account while they are few, so that each is read in the order of
    its index; else one a tier.
    """
    if asked is not None and len(asked) <= LEGS_MAX:
        pairs = [(tier, (number,)) for number in asked for tier in accounts.tiers((number,))]
        if len(pairs) <= LEGS_MAX:
            return [*pairs]
    return [(tier, asked) for tier in accounts.tiers(asked)]


def legs_of(scope: Scope, accounts: Accounts, asked: tuple[int, ...] | None, store: Store, now: datetime) -> list[Leg]:
    """The legs of accounts as `tiers_of` has them."""
    return [leg_of(scope, tier, numbers, store, now) for tier, numbers in tiers_of(accounts, asked)]


def leg_of(scope: Scope, tier: int, numbers: tuple[int, ...] | None, store: Store, now: datetime) -> Leg:
    if store is Store.CALL_ERROR and scope.policy.action(ERROR_RECORD[0]) is Action.DROP:
        # What an earlier policy kept is served no more; it goes with its partition.
        return Leg(tier, numbers, FAR_FUTURE, now, scope.policy)
    return Leg(tier, numbers, cutoff(scope.policy, tier, store, now), now, scope.policy)


def leg_of_call(scope: Scope, accounts: Accounts, key: CallKey, store: Store, now: datetime) -> Leg | None:
    """The leg of one call, or None when the scope does not reach it."""
    if scope.accounts is not None and key.account_id not in scope.accounts:
        return None
    if key.account_id not in accounts.names():
        return None
    return leg_of(scope, accounts.tier(key.account_id, key.started_at), (key.account_id,), store, now)


def earliest(legs: Iterable[Leg]) -> datetime:
    return min([leg.cutoff for leg in legs], default=FAR_FUTURE)


def by_account(legs: Iterable[Leg]) -> bool:
    """Whether each leg is one account's, so that its rows come out of the index in order."""
    return None not in [leg.account for leg in legs]
