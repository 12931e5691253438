"""A list that is about to be read: whose rows, where they lie, and what they must satisfy."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from service.query.filters.to_sql import Branch, UserTokens, Where
from service.query.model.catalog import CALLS, Table
from service.query.model.parameters import Params
from service.query.model.predicate import Predicate, TimeRange, fields_of
from service.query.model.scope import Scope
from service.query.scan import statements
from service.query.scan.cold import ColdRows
from service.query.scan.ranges import Density, ScanRange
from service.storage.statements.unsummed import UnsummedDays


class ListRead(NamedTuple):
    """A list, ready to be read: where its rows lie, and what they must satisfy there.

    `account_ids`: the accounts that can have matches (None: any); `erased`: ids of the accounts whose erasure has
    begun, in the scope or not. `predicate` does not repeat what the scan ranges and the time range say. `density`: None
    where the time range is no wider than a page. `cold`: the files in which some of its rows may lie; `unsummed`: which
    tables of sums lacked days a moment ago (None: not known).
    """

    table: Table
    scope: Scope
    account_ids: tuple[int, ...] | None
    scan_ranges: Sequence[ScanRange]
    time_range: TimeRange
    predicate: Predicate
    names: Mapping[str, int]
    users: Mapping[str, UserTokens]
    now: datetime
    binding: bytes
    density: Density | None
    erased: Collection[int] = ()
    cold: ColdRows | None = None
    unsummed: UnsummedDays | None = None

    @property
    def only(self) -> list[statements.Condition]:
        """What a list leaves out unless it is asked for: a correction is no call."""
        if self.table is not CALLS or "isCorrection" in fields_of(self.predicate):
            return []
        return [_no_correction]

    def condition(self, params: Params) -> statements.Condition:
        """The filter, for one scan range."""

        def render(scan_range: ScanRange) -> str:
            """The filter as SQL for the rows of one scan range."""
            tag_keys = scan_range.policy.tag_keys
            branch = Branch(scan_range.tier, lambda: scan_range.readable, self.names, self.users, tag_keys)
            return Where(self.table.filters, params, branch).render(self.predicate)

        return render


def _no_correction(_: ScanRange) -> str:
    return "correction_of IS NULL"
