"""The accounts that a filter names, and which of them can have matches. A filter only narrows a scope."""

from collections.abc import Iterator, Mapping
from typing import cast

from service.query.filters.decomposition import DecomposedFilter
from service.query.filters.to_sql import accounts_matching
from service.query.model.errors import BadInputError
from service.query.model.predicate import Compare, fields_of, operands
from service.query.model.scope import Scope
from service.storage.control.accounts import Accounts
from service.storage.ids import CallKey, IdError, decode_call_id, decode_error_id


async def names_in_scope(accounts: Accounts, scope: Scope, decomposed: DecomposedFilter) -> Mapping[str, int]:
    """Account ids by name, of those that the scope may know. The named are read; all, if the filter `_asks_all`."""
    if scope.accounts is not None:
        await accounts.look_up(account_ids=scope.accounts)
    elif _asks_all(decomposed):
        await accounts.load_all()
    else:
        await accounts.look_up(names=_account_names(decomposed), account_ids=_account_ids(decomposed))
    return accounts.ids(scope.accounts)


def all_loaded(accounts: Accounts, scope: Scope, decomposed: DecomposedFilter) -> bool:
    """Whether every account that the filter names is loaded, so that another process can have added none of them."""
    if scope.accounts is not None:
        return len(accounts.ids(scope.accounts)) == len(set(scope.accounts))
    return accounts.names().keys() >= _account_ids(decomposed) and accounts.ids(None).keys() >= _account_names(
        decomposed
    )


def _asks_all(decomposed: DecomposedFilter) -> bool:
    by_name = [part.operator in ("eq", "in") for part in decomposed.accounts]
    return not all(by_name) or "account" in fields_of(decomposed.rest) or (bool(decomposed.users) and not by_name)


def _account_names(decomposed: DecomposedFilter) -> set[str]:
    return {name for part in decomposed.accounts if part.operator in ("eq", "in") for name in _values(part)}


def _account_ids(decomposed: DecomposedFilter) -> set[int]:
    return {call.account_id for part in decomposed.ids for call in _calls_of(part)}


def _calls_of(part: Compare) -> Iterator[CallKey]:
    return (_call_of(text) for text in _values(part))


def matching_account_ids(
    scope: Scope, names: Mapping[str, int], decomposed: DecomposedFilter
) -> tuple[int, ...] | None:
    """Ids of the accounts that can have matches, ascending; None: any account can."""
    matching = [accounts_matching(names, part) for part in decomposed.accounts]
    matching += [{call.account_id for call in _calls_of(part)} for part in decomposed.ids]
    if scope.accounts is not None:
        matching.append(set(scope.accounts))
    return tuple(sorted(matching[0].intersection(*matching[1:]))) if matching else None


def _call_of(text: str) -> CallKey:
    try:
        return decode_error_id(text).call if text.startswith("err_") else decode_call_id(text)
    except (IdError, OverflowError):
        raise BadInputError(f"`{text[:60]}` is not an id that this ledger gave out") from None


def _values(compare: Compare) -> tuple[str, ...]:
    return cast("tuple[str, ...]", operands(compare))
