"""The source of costs and facets: the accounts, the time range and the stores that a report reads."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from policies.policy import views
from policies.policy.model import Store
from service.access.authenticate import ForbiddenError
from service.keyring.protocol import Keyring
from service.query.buckets.time_buckets import TimeBucket
from service.query.filters.decomposition import decompose
from service.query.filters.to_sql import UserTokens
from service.query.model.catalog import CALLS
from service.query.model.predicate import Predicate, TimeRange, fields_of, plain_users
from service.query.model.scope import Scope
from service.query.records.ordering import Cursors
from service.query.scan.account_filter import matching_account_ids, names_in_scope
from service.query.scan.cold import ColdRows
from service.query.scan.ranges import scan_ranges_of, time_range_of
from service.query.scan.tag_tables import SINCE, TagSums, key_of
from service.query.scan.user_tokens import tokens_of
from service.query.usage.plan import EPOCH, RetentionWindows, TierPeriod, plan_usage
from service.query.usage.union_sql import UsageRead, rollups_answer
from service.storage.control.accounts import Accounts
from service.storage.database import Database
from service.storage.statements.unsummed import UnsummedDays


@dataclass(frozen=True, slots=True)
class UsageReader:
    """Reads usage for one reader at one moment by the database's clock. `keyring`: for filters by a plain user id;
    `cursors` seal where a report goes on; `cold`: the files in which some calls may lie; `unsummed`: which tables of
    sums lacked days a moment ago (None: not known).
    """

    database: Database
    accounts: Accounts
    scope: Scope
    now: datetime
    cursors: Cursors
    keyring: Keyring | None = None
    cold: ColdRows | None = None
    unsummed: UnsummedDays | None = None

    def refuse_unseen(self, fields: Iterable[str]) -> None:
        """Raise ForbiddenError for the first of `Type.field` that this role may not group, order or facet by."""
        for field in fields:
            if not views.filterable(self.scope.policy, self.scope.role, field):
                raise ForbiddenError(f"this key may not group or order by `{field}`")

    async def reading(
        self,
        predicate: Predicate,
        *,
        rollups: bool = True,
        users: bool = False,
        bucket: TimeBucket | None = None,
        zone: str = "UTC",
        calls_at_most: timedelta | None = None,
        corrections_moved: bool = False,
        by_tag: Sequence[str] | None = None,
        files: bool = True,
    ) -> UsageRead:
        """Where the usage that matches lies. `rollups`: what is grouped by is in them; `users`: it is grouped by
        pseudonyms, and begins where they can be read; `by_tag`: sums by tag may answer, if it is grouped by these tags
        (None: they may not); `files`: single calls that are in files are given; for the rest see `plan_usage`.

        The account scope is applied here, by the same functions as for lists. Raises OutOfRetentionError when the
        filter needs what is gone.
        """
        self._refuse_filter(predicate)
        decomposed = decompose(CALLS, predicate)
        names = await names_in_scope(self.accounts, self.scope, decomposed)
        account_ids = matching_account_ids(self.scope, names, decomposed)
        time_range, rest = time_range_of(CALLS, decomposed), decomposed.rest
        windows = RetentionWindows(
            self.scope.policy,
            [TierPeriod(*entry) for entry in self.accounts.tier_spans(account_ids)],
            self.now,
            users=users or decomposed.by_user,
            files_until=EPOCH if self.cold is None else self.cold.until(self.now),
        )
        tag = None if by_tag is None else await self._tag_sums(rest, by_tag)
        plan = plan_usage(
            time_range,
            windows,
            rollups=tag is not None or (rollups and rollups_answer(rest)),
            bucket=bucket,
            zone=zone,
            calls_at_most=calls_at_most,
            tagged_since=tag and tag.since,
        )
        tokens = await self._users(rest, account_ids, names.values(), TimeRange(plan.start, plan.end))
        given = None
        if self.cold is not None and files:
            given = await self.cold.single_calls(windows.calls_of(plan.segments), account_ids)
        unsummed = self.database.engine.leaves_days_unsummed
        return UsageRead(
            plan, windows, self.scope.policy, account_ids, names, rest, tokens, corrections_moved, tag, given, unsummed
        )

    async def _tag_sums(self, predicate: Predicate, grouped: Sequence[str]) -> TagSums | None:
        """The sums by the one tag that is asked about, if there are any."""
        key = key_of(predicate, grouped)
        if key is None or key not in self.scope.policy.summed_tags:
            return None
        async with self.database.reading(self.scope.accounts, key_id=self.scope.key_id) as connection:
            since = await connection.fetchval(SINCE, key)
        return None if since is None else TagSums(key, since)

    def _refuse_filter(self, predicate: Predicate) -> None:
        governed = (CALLS.filters[field].governed_by for field in fields_of(predicate) if field in CALLS.filters)
        for field in sorted({field for fields in governed for field in fields}):
            if not views.filterable(self.scope.policy, self.scope.role, field):
                raise ForbiddenError(f"this key may not filter by `{field}`")
        if any(plain_users(predicate)) and not views.may_filter_by_plain_user(self.scope.policy, self.scope.role):
            raise ForbiddenError("this key may not filter by a user's plain id")

    async def _users(
        self,
        predicate: Predicate,
        account_ids: tuple[int, ...] | None,
        known_ids: Collection[int],
        time_range: TimeRange,
    ) -> dict[str, UserTokens]:
        users = set(plain_users(predicate))
        if not users:
            return {}
        assert self.keyring is not None, "a filter by a plain user id needs the keyring"
        scan_ranges = scan_ranges_of(self.scope, self.accounts, account_ids, Store.CALL, self.now)
        return {
            user: await tokens_of(self.keyring, self.scope.policy, user, scan_ranges, known_ids, time_range, self.now)
            for user in users
        }
