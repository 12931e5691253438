"""Retention as it is asked for: the report, holds, purges, erasures and accounts.

A key that is bound to accounts learns of those alone: holds and erasures of others, and purges, which serve all
accounts at once, are not for it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import strawberry

from policies.policy import views
from service.api.execution.context import Context, Info, reading
from service.api.execution.record_pages import RecordOrder, name_behind, newest_first, read_scoped_page
from service.api.retention.types import (
    Account,
    ClassRetention,
    Erasure,
    Hold,
    PurgeRun,
    class_node,
    erasure_node,
    hold_node,
    purge_node,
)
from service.api.types.calls import Node
from service.api.types.connections import After, Connection, First, Slicing
from service.api.types.declarations import UNSET, argument, described
from service.api.types.directives import Cost, paged
from service.api.types.public_ids import decode_account_id, decode_id, encode_account_id
from service.api.types.scalars import BigInt, Digest
from service.query.model.errors import BadInputError, ForbiddenError
from service.query.model.parameters import storable
from service.query.records.account_list import account_id, accounts_of, count_accounts, count_calls, page_accounts
from service.retention.audit import report
from service.retention.context import RetentionContext
from service.retention.erasure import erasure_record as erasures
from service.retention.holds import holds
from service.retention.purge_runs import Runs
from service.storage.control.policies import applied_policy

_BY_NAME: Final = RecordOrder(lambda row: (row["name"],), name_behind)
AccountName = Annotated[str, argument("The account's name, as calls have it.")]
Active = Annotated[bool | None, argument("Only those in force, or only the others.")]
Accounts = Annotated[
    list[str] | None, argument("Rows of these accounts alone; all that the key reaches when not given.")
]


def retention_context(context: Context) -> RetentionContext:
    """What retention works with in this process."""
    retention: RetentionContext = context.services["retention"]
    return retention


@strawberry.type
class RetentionReport:
    """What is kept, for how long, and whether anything older is here now."""

    as_of: datetime = described("Moment of the answer by the database's clock.")
    classes: list[ClassRetention] = described("One entry per class, store and tier.")
    next_purge_at: datetime | None = described("When something is due next.")
    keyring_backup_days: int = described(
        "Days until a destroyed key has left the keyring's backups, as the operator declares."
    )
    missing: list[str] = described("Protections that are missing here, in words.")
    detached: list[str] = described(
        "Partitions that are still on the disk, outside their store: a detach that is pending, or a drop "
        "that is. Their rows count as hidden, and as overdue past their deadline."
    )

    @strawberry.field
    async def policy_digest(self) -> Digest:
        """Digest of the policy in force."""
        applied = await applied_policy()
        return Digest(applied.digest if applied else "")

    @strawberry.field(directives=[Cost(weight=10)])
    async def holds(self, info: Info) -> list[Hold]:
        """Holds in force; empty for who may not ask `holds`."""
        context = info.context
        if not views.may_ask(context.scope.policy, context.scope.role, "holds"):
            return []
        async with reading(context) as connection:
            found = await holds.page_holds(connection, 200, active=True, accounts=context.scope.accounts)
        return [hold_node(hold, await context.reader.accounts.name(hold.account_id)) for hold in found]

    @strawberry.field(directives=[Cost(weight=5)])
    async def last_purge(self, info: Info) -> PurgeRun | None:
        """The newest purge; null for who may not ask `purgeRuns`."""
        context, retention = info.context, retention_context(info.context)
        if context.scope.accounts is not None or not views.may_ask(
            context.scope.policy, context.scope.role, "purgeRuns"
        ):
            return None
        async with reading(context) as connection:
            newest = await Runs(connection).newest()
        return None if newest is None else purge_node(retention, newest)


@strawberry.type
class RetentionQuery:
    """Root fields of retention; part of `Query`."""

    @strawberry.field(directives=[Cost(weight=100)])
    async def retention(self, info: Info, accounts: Accounts = UNSET) -> RetentionReport | None:
        """What is kept, for how long, and whether anything older is here now."""
        context, retention = info.context, retention_context(info.context)
        ids = await _ids_in_scope(context, accounts)
        async with reading(context) as connection:
            found = await report.report(retention, ids, connection=connection)
        return RetentionReport(
            as_of=found.as_of,
            classes=[class_node(one) for one in found.classes],
            next_purge_at=found.next_purge_at,
            keyring_backup_days=retention.keyring_backup_days,
            missing=list(found.missing),
            detached=list(found.detached),
        )

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def purge_runs(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[PurgeRun] | None:
        """Purges, newest first."""
        refuse_bound(info.context, "purgeRuns")
        retention = retention_context(info.context)
        page = await read_scoped_page(
            info,
            ("purgeRuns", None),
            Slicing.of(first, after),
            newest_first("planned_at"),
            lambda connection, size, behind: Runs(connection).page(size, behind),
            lambda connection: Runs(connection).count(),
        )
        return page.connection([purge_node(retention, run) for run in page.rows])

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def holds(
        self, info: Info, active: Active = UNSET, first: First = UNSET, after: After = UNSET
    ) -> Connection[Hold] | None:
        """Legal holds, lifted ones included."""
        context, accounts = info.context, info.context.scope.accounts
        only_active = None if active is UNSET else active
        page = await read_scoped_page(
            info,
            (f"holds {only_active}", accounts),
            Slicing.of(first, after),
            newest_first("placed_at"),
            lambda connection, size, behind: holds.page_holds(
                connection, size, after=behind, active=only_active, accounts=accounts
            ),
            lambda connection: holds.count_holds(connection, active=only_active, accounts=accounts),
        )
        names = context.reader.accounts
        return page.connection([hold_node(hold, await names.name(hold.account_id)) for hold in page.rows])

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def erasures(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Erasure] | None:
        """Requests to erase one person or one account."""
        context, accounts = info.context, info.context.scope.accounts
        page = await read_scoped_page(
            info,
            ("erasures", accounts),
            Slicing.of(first, after),
            newest_first("requested_at"),
            lambda connection, size, behind: erasures.page_erasures(connection, size, behind, accounts),
            lambda connection: erasures.count_erasures(connection, accounts),
        )
        names = context.reader.accounts
        return page.connection([erasure_node(one, await names.name(one.account_id)) for one in page.rows])

    @strawberry.field(directives=[*paged(), Cost(weight=10)])
    async def accounts(self, info: Info, first: First = UNSET, after: After = UNSET) -> Connection[Account] | None:
        """Accounts with their tier."""
        context, scope = info.context, info.context.scope.accounts
        page = await read_scoped_page(
            info,
            ("accounts", scope),
            Slicing.of(first, after),
            _BY_NAME,
            lambda connection, size, behind: page_accounts(connection, size, behind=behind, accounts=scope),
            lambda connection: count_accounts(connection, scope),
        )
        async with reading(context) as connection:
            counts = await count_calls(connection, [row["id"] for row in page.rows])
        await context.reader.accounts.load(row["id"] for row in page.rows)
        now = await context.reader.clock.now()
        return page.connection([_account(context, row, counts.get(row["id"], 0), now) for row in page.rows])

    @strawberry.field(directives=[Cost(weight=5)])
    async def account(self, info: Info, name: AccountName) -> Account | None:
        """One account by its name; null when it is unknown, erased or out of scope. May be asked by who may ask
        `accounts`.
        """
        async with reading(info.context) as connection:
            found = await account_id(connection, name) if storable(name) else None
        return None if found is None else await account_node(info.context, found)


async def account_node(context: Context, number: int) -> Account | None:
    """One account by its number; None when it is unknown, erased or out of scope, or the role may not ask."""
    if not _reaches(context, number) or not views.may_ask(context.scope.policy, context.scope.role, "accounts"):
        return None
    async with reading(context) as connection:
        rows = await accounts_of(connection, [number])
        counts = await count_calls(connection, [number]) if rows else {}
    await context.reader.accounts.load(row["id"] for row in rows)
    now = await context.reader.clock.now()
    return next((_account(context, row, counts.get(number, 0), now) for row in rows), None)


def _account(context: Context, row: Any, calls: int, now: datetime) -> Account:  # noqa: ANN401 - a record
    number = context.reader.accounts.tier(row["id"], now)
    tier = context.scope.policy.tier_number(number)
    return Account(
        id=encode_account_id(row["id"]),
        name=row["name"],
        tier=tier.name if tier else str(number),
        created_at=row["created_at"],
        calls=BigInt(calls),
    )


async def retention_node(context: Context, id_: str) -> Node | None:
    """An account, hold, purge or erasure by its id; None when there is none, or the role may not ask for its kind."""
    if (number := decode_account_id(id_)) is not None:
        return await account_node(context, number)
    retention, scope = retention_context(context), context.scope
    if (hold_id := decode_id("hold", id_)) and views.may_ask(scope.policy, scope.role, "holds"):
        async with reading(context) as connection:
            hold = await holds.get_hold(connection, hold_id)
        if hold is not None and _reaches(context, hold.account_id):
            return hold_node(hold, await context.reader.accounts.name(hold.account_id))
    if (erasure_id := decode_id("erasure", id_)) and views.may_ask(scope.policy, scope.role, "erasures"):
        async with reading(context) as connection:
            erasure = await erasures.get_erasure(connection, erasure_id)
        if erasure is not None and _reaches(context, erasure.account_id):
            return erasure_node(erasure, await context.reader.accounts.name(erasure.account_id))
    if (run_id := decode_id("purge", id_)) and views.may_ask(scope.policy, scope.role, "purgeRuns"):
        if scope.accounts is not None:
            return None
        async with reading(context) as connection:
            run = await Runs(connection).get(run_id)
        return None if run is None else purge_node(retention, run)
    return None


def refuse_bound(context: Context, field: str) -> None:
    """ForbiddenError for a key that is bound to accounts: a purge serves all of them at once."""
    if context.scope.accounts is not None:
        raise ForbiddenError(f"`{field}` is about every account, and the key is bound to some")


async def account_in_scope(context: Context, name: str) -> int:
    """The account's id; BadInputError for one that is unknown or out of the key's scope, in the same words."""
    async with reading(context) as connection:
        found = await account_id(connection, name)
    if found is None or not _reaches(context, found):
        raise BadInputError(f"there is no account `{name}`")
    return found


async def _ids_in_scope(context: Context, names: Any) -> Sequence[int] | None:  # noqa: ANN401 - an argument as given
    if names in (None, UNSET):
        return context.scope.accounts
    return [await account_in_scope(context, name) for name in names]


def _reaches(context: Context, account: int) -> bool:
    return context.scope.accounts is None or account in context.scope.accounts
