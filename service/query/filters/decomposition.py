"""A filter decomposed: its conditions on time, on accounts and on ids, the rest, and a text of all of it.

A filter is decomposed once, and every step between it and a statement reads the parts. A compiled operation decomposes
its filter before it knows the variables' values, and later only puts those in.
"""

from typing import Final, NamedTuple

from service.query.filters.to_sql import check_amounts
from service.query.model.catalog import Table
from service.query.model.predicate import (
    EVERYTHING,
    And,
    Compare,
    Predicate,
    canonical,
    conjuncts,
    fields_of,
    plain_users,
)

_NARROWING: Final = frozenset(("eq", "in", "contains", "startsWith"))


class DecomposedFilter(NamedTuple):
    """The parts of a filter. Every one of `times`, `accounts` and `ids` must hold, and `rest` as well.

    `accounts` are the comparisons that narrow the accounts, `ids` those of the calls' own ids (which `rest` holds too),
    `rest` is what scan ranges and the time range do not cover. `users`: plain user ids that the filter names;
    `by_user`: the filter looks at users, by plain id or by pseudonym. `text` is equal for equal filters.
    """

    times: tuple[Compare, ...]
    accounts: tuple[Compare, ...]
    ids: tuple[Compare, ...]
    rest: Predicate
    users: frozenset[str]
    text: str
    by_user: bool = False


def decompose(table: Table, predicate: Predicate) -> DecomposedFilter:
    """Decompose a predicate. Raises BadInputError when it compares amounts without one currency."""
    check_amounts(predicate)
    times: list[Compare] = []
    accounts: list[Compare] = []
    ids: list[Compare] = []
    rest: list[Predicate] = []
    for part in conjuncts(predicate):
        if not isinstance(part, Compare):
            rest.append(part)
        elif part.field == table.time_field and part.operator != "ne":
            times.append(part)
        elif part.field == "account" and part.operator in _NARROWING:
            # The scan ranges hold this condition. A second copy in the statement would hide from PostgreSQL how few
            # rows there are, and have every page planned anew.
            accounts.append(part)
        else:
            rest.append(part)
            if part.field == "id":
                ids.append(part)
    users = frozenset(plain_users(predicate))
    left = And(tuple(rest)) if rest else EVERYTHING
    text, by_user = canonical(predicate), "user" in fields_of(left)
    return DecomposedFilter(tuple(times), tuple(accounts), tuple(ids), left, users, text, by_user)
