"""Where the rows of a query can lie: one leg a tier, and an account where there are few.

This is the one place where the account scope is applied to lists. A leg never leaves the scope: what a filter says of
accounts only narrows it. Row-level security is the second wall.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from policies.model import DataClass, Store
from policies.retention import cutoff, readable_cutoff
from service.query.errors import BadInputError
from service.query.fields import ERRORS, Table
from service.query.predicate import And, Compare, Predicate, Span, conjuncts
from service.query.scope import Scope
from service.query.where import accounts_matching
from service.storage.accounts import Accounts
from service.storage.ids import CallKey, IdError, decode_call_id, decode_error_id

LEGS_MAX: Final = 8
TICK: Final = timedelta(microseconds=1)
FAR_FUTURE: Final = datetime(9999, 1, 1, tzinfo=UTC)
FAR_PAST: Final = datetime(1, 1, 2, tzinfo=UTC)
_NARROWING: Final = ("eq", "in", "contains", "startsWith")


@dataclass(frozen=True, slots=True)
class Leg:
    """Rows of one tier, not older than `cutoff`; of `accounts` (None: every account)."""

    tier: int
    accounts: tuple[int, ...] | None
    cutoff: datetime
    readable: datetime


async def names_in_scope(accounts: Accounts, scope: Scope, predicate: Predicate) -> Mapping[str, int]:
    """Accounts by name that the scope may know of. Asks the database once when the predicate names a new one."""
    known = accounts.names()
    if not known or not _all_known(known, scope, predicate):
        await accounts.refresh()
    return accounts.numbers(scope.accounts)


def _all_known(known: Mapping[int, str], scope: Scope, predicate: Predicate) -> bool:
    """Whether nothing in the scope can have been made elsewhere meanwhile. Names outside of it are not looked up."""
    if scope.accounts is not None:
        return known.keys() >= set(scope.accounts)
    numbers = {call.account_id for call in _named_calls(predicate)}
    return known.keys() >= numbers and set(known.values()) >= set(_named_accounts(predicate))


def _named_calls(predicate: Predicate) -> Iterator[CallKey]:
    for part in conjuncts(predicate):
        if isinstance(part, Compare) and part.field == "id":
            yield from (_call_of(text) for text in _values(part))


def _named_accounts(predicate: Predicate) -> Iterator[str]:
    for part in conjuncts(predicate):
        if isinstance(part, Compare) and part.field == "account" and part.operator in ("eq", "in"):
            yield from part.value if isinstance(part.value, tuple) else (cast("str", part.value),)


def accounts_asked(scope: Scope, names: Mapping[str, int], predicate: Predicate) -> tuple[int, ...] | None:
    """Numbers of the accounts that can have matches; None: any account at all."""
    asked = None if scope.accounts is None else set(scope.accounts)
    for part in conjuncts(predicate):
        if not isinstance(part, Compare):
            continue
        if part.field == "id":
            found = {call.account_id for call in _named_calls(part)}
            asked = found if asked is None else asked & found
        elif _narrows(part):
            found = accounts_matching(names, part)
            asked = found if asked is None else asked & found
    return None if asked is None else tuple(sorted(asked))


def beyond_accounts(predicate: Predicate) -> Predicate:
    """What is left of a predicate once its rows are those of `accounts_asked`: legs say the rest of it already.

    Said twice, it hides from PostgreSQL how few rows there are, and every page is planned anew: twice the work.
    """
    return And(tuple(part for part in conjuncts(predicate) if not (isinstance(part, Compare) and _narrows(part))))


def _narrows(part: Compare) -> bool:
    return part.field == "account" and part.operator in _NARROWING


def span_of(table: Table, predicate: Predicate) -> tuple[Span, Predicate]:
    """The time range that the predicate asks for, and what is left of it."""
    start, end = FAR_PAST, FAR_FUTURE
    rest = []
    for part in conjuncts(predicate):
        if isinstance(part, Compare) and part.field == table.time_field and part.operator != "ne":
            lower, upper = _range(part)
            start, end = max(start, lower), min(end, upper)
        else:
            rest.append(part)
            if isinstance(part, Compare) and part.field == "id":
                moments = [_moment(table, text) for text in _values(part)]
                start = max(start, min(moments, default=FAR_FUTURE))
                end = min(end, max(moments, default=FAR_PAST) + TICK)
    return Span(start, end), And(tuple(rest))


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
    return cast("tuple[str, ...]", compare.value if isinstance(compare.value, tuple) else (compare.value,))


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


def legs_of(scope: Scope, accounts: Accounts, asked: tuple[int, ...] | None, store: Store, now: datetime) -> list[Leg]:
    """One leg a tier and account while they are few, so that each is read in the order of its index; else a tier."""
    if asked is not None:
        pairs = [(tier, (number,)) for number in asked for tier in accounts.tiers((number,))]
        if len(pairs) <= LEGS_MAX:
            return [_leg(scope, tier, numbers, store, now) for tier, numbers in pairs]
    return [_leg(scope, tier, asked, store, now) for tier in accounts.tiers(asked)]


def _leg(scope: Scope, tier: int, numbers: tuple[int, ...] | None, store: Store, now: datetime) -> Leg:
    return Leg(
        tier,
        numbers,
        cutoff(scope.policy, tier, store, now),
        readable_cutoff(scope.policy, tier, DataClass.PERSONAL, Store.CALL, now),
    )


def leg_of_call(scope: Scope, accounts: Accounts, key: CallKey, store: Store, now: datetime) -> Leg | None:
    """The leg of one call, or None when the scope does not reach it."""
    if scope.accounts is not None and key.account_id not in scope.accounts:
        return None
    if key.account_id not in accounts.names():
        return None
    return _leg(scope, accounts.tier(key.account_id, key.started_at), (key.account_id,), store, now)


def earliest(legs: Iterable[Leg]) -> datetime:
    return min((leg.cutoff for leg in legs), default=FAR_FUTURE)
