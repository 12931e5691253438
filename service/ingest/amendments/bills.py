"""Work that is billed under one id of its source, whoever asks for it and whatever time each of its reports gives.

Gateways say of a batch at each poll when it was made, and some work that time out anew; and a poll by another team, or
by an administrator without one, is a report of another account. The first report that is admitted claims the bill: its
account and its time hold for all later ones, which so are the same call again. A claim is committed before its call is
stored, so that of two writers one waits for the other, and a call that was cut off in between is stored where its claim
says by whoever reports the bill next.

Keys that are bound to accounts claim for themselves: one that writes to a single account can only settle the time that
a bill has in that account, and what it claims is not asked for by a key that writes to others.

A bill has up to three claims: of the account, by whom the key reports for; of the time, by the account; and that the
former led to the latter. Whichever of them is deleted, the others and the stored call give it back at the next poll.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
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
_GROUPS_MAX: Final = 16


class _Claim(NamedTuple):
    """Where a bill is stored, or is to be."""

    account_id: int
    tier: int
    started_at: datetime


_Bill: TypeAlias = tuple[str, str]
"""The source of a bill, and its id there."""
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
            reports = [call.report for call in bills]
            agreed = await self._agreed(reports, own, resolution, self._commit_claims)
            await self._commit_claims(_led(reports, agreed, _reporter(resolution.bound)))
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
        """Bills without a claim, and the calls that were stored of them: before there were claims, or under one that
        somebody has deleted.

        What a key claimed for its account alone is that account's, and not asked for by other keys.
        """
        rows = [
            row
            for near in _near_in_time(bills)
            for row in await self._pool.fetch(
                STORED_BILLS,
                [report.source_id for report in near],
                [SOURCE_NUMBERS[report.source] for report in near],
                resolution.bound,
                near[0].started_at - _EARLIER_MAX,
                near[-1].started_at + _LATER_MAX,
            )
        ]
        found = {(SOURCE_NAMES[row["source"]], row["source_id"]): _Claim(*row[2:]) for row in reversed(rows)}
        held = await self._claimed(found, lambda claim: str(claim.account_id))
        led = await self._claimed(found, lambda claim: _leading(_reporter(resolution.bound), claim))
        return [
            (report, claim)
            for report in bills
            if (claim := found.get(name := (report.source, report.source_id))) is not None
            and (name not in held or name in led)
            and claim.account_id not in self._accounts.erased
        ]

    async def _claimed(self, found: Mapping[_Bill, _Claim], reporter: Callable[[_Claim], str]) -> set[_Bill]:
        """Those of the bills that have a claim of this reporter."""
        keys = {bill_key_hex(reporter(claim), *bill): bill for bill, claim in found.items()}
        return {keys[row["key"].hex] for row in await self._pool.fetch(CLAIMED_BILLS, list(keys))} if keys else set()

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


def _near_in_time(bills: Iterable[Report]) -> Iterator[list[Report]]:
    """The bills in order of time, in few groups that no more than the time apart that is looked through around each:
    what lies between them is not read.
    """
    groups: list[list[Report]] = []
    for bill in sorted(bills, key=lambda bill: bill.started_at):
        near = groups and bill.started_at - groups[-1][-1].started_at <= _EARLIER_MAX + _LATER_MAX
        if near or len(groups) == _GROUPS_MAX:
            groups[-1].append(bill)
        else:
            groups.append([bill])
    yield from groups


def _led(bills: Iterable[Report], claims: Iterable[_Claim | None], reporter: str | None) -> list[tuple[str, _Claim]]:
    """What is claimed besides by a key that may write to more than one account."""
    return [
        (bill_key_hex(_leading(reporter, claim), bill.source, bill.source_id), claim)
        for bill, claim in zip(bills, claims, strict=True)
        if claim is not None and reporter is not None
    ]


def _leading(reporter: str | None, claim: _Claim) -> str:
    return f"{reporter} in {claim.account_id}"


def _reporter(bound: tuple[int, ...] | None) -> str | None:
    """Who claims: a key that may write to all accounts, or to these; None when there is one account only."""
    if bound is None:
        return "all"
    return ",".join(map(str, sorted(bound))) if len(bound) > 1 else None
