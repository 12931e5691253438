"""A predicate taken apart: what it says of time, of accounts and of calls by id, what is left, and a text of all of it.

Taken apart once, and then asked by every step between a filter and a statement. A compiled operation takes its filter
apart before it knows the values, and only puts those in.
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


class Question(NamedTuple):
    """What a list or a sum is asked. Every one of `times`, `accounts` and `ids` must hold, and `rest` as well.

    `accounts` are comparisons that say which accounts it can be, `ids` those of the calls' own ids (which `rest` holds
    too), `rest` is what scan ranges and spans do not say already. `users`: plain ids that the predicate names;
    `by_user`: it looks at users, by whatever name.
    """

    times: tuple[Compare, ...]
    accounts: tuple[Compare, ...]
    ids: tuple[Compare, ...]
    rest: Predicate
    users: frozenset[str]
    text: str
    by_user: bool = False


def question(table: Table, predicate: Predicate) -> Question:
    """Take a predicate apart. BadInputError when it compares amounts without one currency."""
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
            # Said by the scan ranges, and not once more: said twice, it hides from PostgreSQL how few rows there are,
            # and every page is planned anew.
            accounts.append(part)
        else:
            rest.append(part)
            if part.field == "id":
                ids.append(part)
    users = frozenset(plain_users(predicate))
    left = And(tuple(rest)) if rest else EVERYTHING
    text, by_user = canonical(predicate), "user" in fields_of(left)
    return Question(tuple(times), tuple(accounts), tuple(ids), left, users, text, by_user)
