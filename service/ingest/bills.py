"""Work that is billed under one id of its source, whatever time each of its reports says that it began.

Gateways say of a batch at each poll when it was made, and some work that time out anew. A report that bills takes the
time of the call that is stored under its id, so that it is found to be the same call.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

import asyncpg

from policies import Report
from service.ingest.addressee import Addressees
from service.ingest.errors import DATABASE_FAULTS
from service.storage.accounts import DEFAULT_ACCOUNT, Accounts
from service.storage.errors import DatabaseAwayError
from service.storage.sources import SOURCE_NUMBERS
from service.storage.statements_write import BILLED_AT

_AGE_MAX: Final = timedelta(days=60)
_Key: TypeAlias = tuple[int | None, str]


class Bills:
    """Looks for the calls that bills are stored as."""

    def __init__(self, pool: asyncpg.Pool, accounts: Accounts) -> None:
        self._pool = pool
        self._accounts = accounts

    async def settle(self, reports: Iterable[Report], addressees: Addressees) -> None:
        """Give each report that bills the time of the call that has its id, or of the first among `reports`.

        Raises DatabaseAwayError.
        """
        bills = [report for report in reports if report.billed_once]
        if not bills:
            return
        try:
            keyed = [(await self._account(report, addressees), report) for report in bills]
            known = await self._known(keyed)
        except DATABASE_FAULTS as error:
            raise DatabaseAwayError from error
        for account, report in keyed:
            report.started_at = known.setdefault((account, report.source_id), report.started_at)

    async def _account(self, report: Report, addressees: Addressees) -> int | None:
        """The account's number; None for one that is new, or not the key's."""
        await addressees.learn()
        addressees.drop_unused(report)
        account = addressees.account_of(report)
        if account is None:
            return await self._accounts.find(report.account or DEFAULT_ACCOUNT)
        return account if isinstance(account, int) else None

    async def _known(self, bills: Iterable[tuple[int | None, Report]]) -> dict[_Key, datetime]:
        known: dict[_Key, datetime] = {}
        for account, first, reports in _by_account(bills):
            rows = await self._pool.fetch(
                BILLED_AT,
                account,
                self._accounts.tier(account, first),
                first - _AGE_MAX,
                SOURCE_NUMBERS[reports[0].source],
                [report.source_id for report in reports],
            )
            known |= {(account, row["source_id"]): row["started_at"] for row in rows}
        return known


def _by_account(bills: Iterable[tuple[int | None, Report]]) -> Iterable[tuple[int, datetime, list[Report]]]:
    """Accounts that there are, each with its oldest bill's time and its bills."""
    grouped: dict[int, list[Report]] = {}
    for account, report in bills:
        if account is not None:
            grouped.setdefault(account, []).append(report)
    return [(account, min(report.started_at for report in reports), reports) for account, reports in grouped.items()]
