"""Work that is billed under one id of its source, whoever asks for it and whatever time each of its reports gives.

Gateways say of a batch at each poll when it was made, and some work that time out anew; and a poll by another team, or
by an administrator without one, is a report of another account. A report that bills takes account and time of the call
that is stored under its id, so that it is found to be the same call, as far as its key may write to that account.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import asyncpg

from policies import Report
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.preparation.account_resolution import AccountResolution
from service.storage.control.accounts import DEFAULT_ACCOUNT, Accounts
from service.storage.errors import DatabaseAwayError
from service.storage.sources import SOURCE_NUMBERS
from service.storage.statements.write import BILLED_AT

_AGE_MAX: Final = timedelta(days=60)


class _BillLocation(NamedTuple):
    """Where a bill is stored, or is to be; `account` is None for one that is still to be made."""

    account: int | None
    name: str
    started_at: datetime


class Bills:
    """Looks for the calls that bills are stored as."""

    def __init__(self, pool: asyncpg.Pool, accounts: Accounts) -> None:
        self._pool = pool
        self._accounts = accounts

    async def settle(self, reports: Iterable[Report], addressees: AccountResolution) -> None:
        """Give each report that bills account and time of the call that has its id, or of the first among `reports`.

        Raises DatabaseAwayError.
        """
        bills = [report for report in reports if report.billed_once]
        if not bills:
            return
        try:
            asked = [(report, await self._asked(report, addressees)) for report in bills]
            known = await self._known(bills, addressees.bound)
        except DATABASE_FAULTS as error:
            raise DatabaseAwayError from error
        # An account that exists before one that is new, whose name may yet be refused.
        for report, place in sorted(asked, key=lambda one: one[1] is None or one[1].account is None):
            if place is None:
                continue
            there = known.setdefault(report.source_id, [place])
            kept = next((one for one in there if one.name == place.name), there[0])
            report.started_at = kept.started_at
            if kept.name != place.name:
                report.account = kept.name

    async def _asked(self, report: Report, addressees: AccountResolution) -> _BillLocation | None:
        """What the report itself says; None for an account that is not the key's, or not to be told."""
        await addressees.learn()
        addressees.drop_unused(report)
        account = addressees.account_of(report)
        if account is None:
            name = report.account or DEFAULT_ACCOUNT
            return _BillLocation(await self._accounts.find(name), name, report.started_at)
        if not isinstance(account, int):
            return None
        return _BillLocation(account, await self._accounts.name(account), report.started_at)

    async def _known(self, bills: Sequence[Report], bound: tuple[int, ...] | None) -> dict[str, list[_BillLocation]]:
        """Where bills are stored, by their ids, the earliest first."""
        rows = await self._pool.fetch(
            BILLED_AT,
            bound,
            min(report.started_at for report in bills) - _AGE_MAX,
            SOURCE_NUMBERS[bills[0].source],
            [report.source_id for report in bills],
        )
        known: dict[str, list[_BillLocation]] = {}
        for row in rows:
            account = row["account_id"]
            name = await self._accounts.name(account)
            if account not in self._accounts.erased:
                known.setdefault(row["source_id"], []).append(_BillLocation(account, name, row["started_at"]))
        return known
