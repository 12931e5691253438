"""Work that is billed under one id of its source, whoever asks for it and whatever time each of its reports gives.

Gateways say of a batch at each poll when it was made, and some work that time out anew; and a poll by another team, or
by an administrator without one, is a report of another account. The first report that is admitted claims the bill: its
account and its time hold for all later ones, which so are the same call again. A claim is committed before its call is
stored, so that of two writers one waits for the other, and a call that was cut off in between is stored where its claim
says by whoever reports the bill next.

Keys that are bound to accounts claim for themselves: one that writes to a single account can only settle the time that
a bill has in that account, and what it claims is not asked for by a key that writes to others.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

import asyncpg

from policies import Report
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.preparation.preparation import AccountResolution, Prepared
from service.storage.control.accounts import DEFAULT_ACCOUNT, Accounts
from service.storage.errors import DatabaseUnavailableError
from service.storage.ids import bill_key_hex
from service.storage.sources import SOURCE_NAMES, SOURCE_NUMBERS
from service.storage.statements.bills import CLAIM_BILLS, CLAIMED_BILLS, STORED_BILLS

# A poll that says nothing of when its work began is taken for that day's.
_EARLIER_MAX: Final = timedelta(days=62)
_LATER_MAX: Final = timedelta(days=2)


class _Claim(NamedTuple):
    """Where a bill is stored, or is to be."""

    account_id: int
    tier: int
    started_at: datetime


_OwnClaims: TypeAlias = Sequence[tuple[str, _Claim | None]]
_LookUp: TypeAlias = Callable[[_OwnClaims], Awaitable[dict[str, _Claim]]]


class Bills:
    """Claims bills, and looks for the claims of others."""

    def __init__(self, pool: asyncpg.Pool, accounts: Accounts) -> None:
        self._pool = pool
        self._accounts = accounts

    async def settle(self, reports: Iterable[Report], resolution: AccountResolution) -> None:
        """Give each report that bills account and time of the bill's claim, as far as there is one already.

        Raises DatabaseUnavailableError.
        """
        bills = [report for report in reports if report.billed_once]
        if not bills:
            return
        try:
            await resolution.load()
            own = [await self._own(report, resolution) for report in bills]
            agreed = await self._agreed(bills, own, resolution, self._read_claims)
            unclaimed = [report for report, mine, claim in zip(bills, own, agreed, strict=True) if claim is mine]
            for report, claim in zip(bills, agreed, strict=True):
                if claim is not None:
                    await self._move(report, claim, resolution)
            for report, claim in (await self._stored(unclaimed, resolution)) if unclaimed else ():
                await self._move(report, claim, resolution)
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error

    async def claim(self, calls: Iterable[Prepared], resolution: AccountResolution) -> list[Prepared]:
        """Claim the bills among calls that are about to be stored. Of those that others have claimed before, elsewhere,
        the reports are given that account and time; they are returned, to be prepared anew. Raises
        DatabaseUnavailableError.
        """
        bills = [call for call in calls if call.report.billed_once and call.correction is None]
        if not bills:
            return []
        own = [_Claim(call.account_id, call.tier, call.started_at) for call in bills]
        try:
            agreed = await self._agreed([call.report for call in bills], own, resolution, self._commit_claims)
            moved: list[Prepared] = []
            for call, mine, claim in zip(bills, own, agreed, strict=True):
                if claim is not None and (claim.account_id, claim.started_at) != (mine.account_id, mine.started_at):
                    await self._move(call.report, claim, resolution)
                    moved.append(call)
        except DATABASE_FAULTS as error:
            raise DatabaseUnavailableError from error
        return moved

    async def _own(self, report: Report, resolution: AccountResolution) -> _Claim | None:
        """What the report itself says; None for an account that is new, or not the key's."""
        resolution.drop_unused(report)
        account = resolution.account_of(report)
        if account is None:
            account = await self._accounts.find(report.account or DEFAULT_ACCOUNT)
        return _Claim(account, 0, report.started_at) if isinstance(account, int) else None

    async def _agreed(
        self, bills: Sequence[Report], own: Sequence[_Claim | None], resolution: AccountResolution, look_up: _LookUp
    ) -> list[_Claim | None]:
        """Where each bill is stored: the account among those of the key first, then the time in that account."""
        claims = list(own)
        reporter = _reporter(resolution.bound)
        reporters = [reporter] * len(bills)
        for _ in ("account", "time"):
            keys = [
                "" if reporter is None else bill_key_hex(reporter, report.source, report.source_id)
                for reporter, report in zip(reporters, bills, strict=True)
            ]
            found = await look_up([(key, claim) for key, claim in zip(keys, claims, strict=True) if key])
            claims = [found.get(key, claim) for key, claim in zip(keys, claims, strict=True)]
            reporters = [None if claim is None else str(claim.account_id) for claim in claims]
        return claims

    async def _stored(self, bills: Sequence[Report], resolution: AccountResolution) -> list[tuple[Report, _Claim]]:
        """Bills without a claim, and the calls that were stored of them before there were claims.

        What a key claimed for its account alone is that account's, and not asked for by other keys.
        """
        moments = [report.started_at for report in bills]
        rows = await self._pool.fetch(
            STORED_BILLS,
            [report.source_id for report in bills],
            [SOURCE_NUMBERS[report.source] for report in bills],
            resolution.bound,
            min(moments) - _EARLIER_MAX,
            max(moments) + _LATER_MAX,
        )
        found = {(row["source"], row["source_id"]): row for row in rows}
        keys = {
            bill_key_hex(str(row["account_id"]), SOURCE_NAMES[row["source"]], row["source_id"]): name
            for name, row in found.items()
        }
        for row in await self._pool.fetch(CLAIMED_BILLS, list(keys)) if keys else ():
            del found[keys[row["key"].hex]]
        return [
            (report, _Claim(row["account_id"], row["tier"], row["started_at"]))
            for report in bills
            if (row := found.get((SOURCE_NUMBERS[report.source], report.source_id))) is not None
            and row["account_id"] not in self._accounts.erased
        ]

    async def _read_claims(self, own_claims: _OwnClaims) -> dict[str, _Claim]:
        rows = await self._pool.fetch(CLAIMED_BILLS, [key for key, _ in own_claims]) if own_claims else []
        # Of an account whose erasure has begun nothing is stored anew.
        return {
            row["key"].hex: _Claim(row["account_id"], row["tier"], row["started_at"])
            for row in rows
            if row["account_id"] not in self._accounts.erased
        }

    async def _commit_claims(self, own_claims: _OwnClaims) -> dict[str, _Claim]:
        ours = [(key, *claim) for key, claim in own_claims if claim is not None]
        if ours:
            await self._pool.execute(CLAIM_BILLS, *(list(column) for column in zip(*ours, strict=True)))
        return await self._read_claims(own_claims)

    async def _move(self, report: Report, claim: _Claim, resolution: AccountResolution) -> None:
        report.started_at = claim.started_at
        if resolution.account_of(report) != claim.account_id:
            report.account = await self._accounts.name(claim.account_id)


def _reporter(bound: tuple[int, ...] | None) -> str | None:
    """Who claims: a key that may write to all accounts, or to these; None when there is one account only."""
    if bound is None:
        return "all"
    return ",".join(map(str, sorted(bound))) if len(bound) > 1 else None
