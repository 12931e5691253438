"""Where the rows of the accounts that are asked for lie, remembered by who asks and for which.

A dashboard asks for the same accounts again and again. What is remembered holds until accounts and tiers are read anew,
and never more than a scope reaches: it is part of what is remembered by.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from service.query.filters.decomposition import Question
from service.query.model.predicate import Compare
from service.query.model.scope import Scope
from service.query.scan.ranges import accounts_asked, all_known, names_in_scope, tiers_of
from service.storage.control.accounts import Accounts

_PLACES_MAX: Final = 4096
_Key = tuple[tuple[int, ...] | None, tuple[Compare, ...]]


class CachedRanges(NamedTuple):
    """`names`: accounts that the scope may know of; `asked`: numbers of those that can have matches (None: any);
    `tiers`: tier and accounts of each scan range; `scope`: a text that says which accounts the scope reaches.
    """

    names: Mapping[str, int]
    asked: tuple[int, ...] | None
    tiers: Sequence[tuple[int, tuple[int, ...] | None]]
    scope: str


class RangeCache:
    """Finds places, for one process."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._known: dict[_Key, CachedRanges] = {}
        self._version: object = None

    def known(self, scope: Scope, asked: Question) -> CachedRanges | None:
        """The place of a question, if it is remembered. Of single calls none is: they are others each time."""
        if self._version is not self._accounts.version or len(self._known) >= _PLACES_MAX:
            self._version, self._known = self._accounts.version, {}
        return None if asked.ids else self._known.get((scope.accounts, asked.accounts))

    async def find(self, scope: Scope, asked: Question) -> CachedRanges:
        """The place of a question that is not `known`. Asks the database once when a new account is named."""
        place = await self._found(scope, asked)
        if not asked.ids and self._version is self._accounts.version and all_known(self._accounts, scope, asked):
            self._known[scope.accounts, asked.accounts] = place
        return place

    async def _found(self, scope: Scope, asked: Question) -> CachedRanges:
        names = await names_in_scope(self._accounts, scope, asked)
        numbers = accounts_asked(scope, names, asked)
        return CachedRanges(names, numbers, tiers_of(self._accounts, numbers), repr(scope.accounts))
