"""The gate: what a report passes before it can be stored, as the policy in force has it.

This is one of the two places where the policy is enforced: nothing is stored but what admission returned.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final

from policies import Admitted, Report, UnchangedReport
from policies.admission.call import REJECTED_ACCOUNT, REJECTED_CURRENCY
from policies.admission.report import ErrorReport
from service.ingest.errors import DATABASE_FAULTS
from service.ingest.formats.split import Rejection
from service.ingest.preparation.batch_context import Rules
from service.ingest.preparation.preparation import AccountResolution, Preparation, Prepared
from service.ingest.prices.price_list import Prices
from service.ingest.refusals import Refusal
from service.keyring import Keyring
from service.offload import TURN_S, OffloadThread, clock, next_turn
from service.storage.control.accounts import Accounts
from service.storage.errors import DatabaseUnavailableError
from service.storage.ids import Identities

_CODES: Final = {REJECTED_ACCOUNT: Refusal.ACCOUNT_UNUSABLE, REJECTED_CURRENCY: Refusal.FIELD_INVALID}
_CHUNK_ROWS: Final = 200
"""Rows prepared before other requests get their turn."""
_LONG_ERROR_CHARS: Final = 2000
_FEW_STRINGS: Final = 32


class AdmissionGate:
    """Makes calls of reports. `rules` answers the policy in force at any moment, `now` the database's time.

    `open` it before, `close` it after use.
    """

    def __init__(
        self,
        *,
        accounts: Accounts,
        keyring: Keyring,
        rules: Callable[[], Rules],
        prices: Prices,
        now: Callable[[], Awaitable[datetime]],
    ) -> None:
        self._accounts = accounts
        self._keyring = keyring
        self._rules = rules
        self._prices = prices
        self._now = now
        self._identities: Identities  # from `open` on
        self._aside = OffloadThread()

    async def open(self) -> None:
        """Fetch the pepper."""
        self._identities = Identities(await self._keyring.secret("pepper"))

    def close(self) -> None:
        """End the thread."""
        self._aside.close()

    async def prepare(
        self, part: Sequence[Report | Rejection], resolution: AccountResolution
    ) -> list[Prepared | Rejection]:
        """The one gate: nothing passes into a batch but what admission returned for it."""
        rules = self._rules()
        preparation = await self._preparation(rules)
        await _load_accounts(resolution)
        outcomes: list[Prepared | Rejection | None] = []
        # Reports that pass unchanged, as nearly every one does, are prepared in one go, while they are in the CPU's
        # cache.
        for rows in _chunks(part):
            for row in rows:
                if isinstance(row, Rejection):
                    outcomes.append(row)
                    continue
                if resolution.is_of_one:
                    resolution.drop_unused(row)
                unchanged = self._unchanged(rules, row)
                account = None if unchanged is None else resolution.account_of(unchanged)
                if unchanged is None or not isinstance(account, int):
                    outcomes.append(None)
                    continue
                call = preparation.prepare_unchanged(unchanged, account)
                if call is None:
                    call = await preparation.prepare(unchanged, account, unchanged)
                if unchanged is not row and isinstance(call, Prepared):
                    call.report = row  # with tags that another policy may keep
                outcomes.append(call)
            await _yield_after(rows)
        await self._examine(rules, preparation, resolution, part, outcomes)
        return [outcome for outcome in outcomes if outcome is not None]

    async def _examine(
        self,
        rules: Rules,
        preparation: Preparation,
        resolution: AccountResolution,
        part: Sequence[Report | Rejection],
        outcomes: list[Prepared | Rejection | None],
    ) -> None:
        """Give the rows of `part` that have no outcome yet theirs: what must be looked at, or is of a new account."""
        others = [
            (position, row)
            for position, row in enumerate(part)
            if outcomes[position] is None and isinstance(row, Report)
        ]
        gated: list[tuple[int, Report, Admitted | UnchangedReport]] = []
        until = clock() + TURN_S
        for position, row in others:
            admitted = await self._admitted(rules, row)
            if isinstance(admitted, Rejection):
                outcomes[position] = admitted
            else:
                gated.append((position, row, admitted))
            if clock() > until:
                until = await next_turn()
        await _load_accounts(resolution, (report for _, report, _ in gated))
        for position, report, admitted in gated:
            account = resolution.account_of(report)
            refused = not isinstance(account, int)
            outcomes[position] = account if refused else await preparation.prepare(report, account, admitted)
            if clock() > until:
                until = await next_turn()

    def _unchanged(self, rules: Rules, report: Report) -> UnchangedReport | None:
        if report.amount is None:
            self._prices.estimate(report)
        return rules.admission.unchanged(report)

    async def _admitted(self, rules: Rules, report: Report) -> Admitted | UnchangedReport | Rejection:
        """As `_admit`, in the thread if it may take long."""
        if is_long_to_admit(report):
            return await self._aside.run(partial(self._admit, rules), report)
        return self._admit(rules, report)

    def _admit(self, rules: Rules, report: Report) -> Admitted | UnchangedReport | Rejection:
        unchanged = self._unchanged(rules, report)
        if unchanged is not None:
            return unchanged
        admitted = rules.admission.admit(report)
        return Rejection(admitted.rejected, _CODES[admitted.rejected]) if admitted.rejected else admitted

    async def _preparation(self, rules: Rules) -> Preparation:
        return Preparation(rules, self._accounts, self._keyring, self._identities, await self._now())

    async def readmit(self, calls: Sequence[Prepared]) -> None:
        """Calls that were admitted under a policy that is no longer in force are admitted again."""
        rules = self._rules()
        outdated = [call for call in calls if call.rules is not rules]
        if not outdated:
            return
        preparation = await self._preparation(rules)
        for call in outdated:
            admitted = await self._admitted(rules, call.report)
            refused = isinstance(admitted, Rejection)
            again = admitted if refused else await preparation.prepare(call.report, call.account_id, admitted)
            if isinstance(again, Rejection):
                call.outcome = again
            else:
                call.rules, call.error_at, call.record = rules, again.error_at, again.record
                call.correction = again.correction


async def _load_accounts(resolution: AccountResolution, reports: Iterable[Report] = ()) -> None:
    try:
        await resolution.load(reports)
    except DATABASE_FAULTS as error:
        raise DatabaseUnavailableError from error


def _chunks(rows: Sequence[Report | Rejection]) -> Iterator[Sequence[Report | Rejection]]:
    """The rows in chunks, each to be followed by `_yield_after`."""
    return (rows[at : at + _CHUNK_ROWS] for at in range(0, len(rows), _CHUNK_ROWS))


async def _yield_after(rows: Sequence[object]) -> None:
    """After a full chunk, let other requests have their turn."""
    if len(rows) == _CHUNK_ROWS:
        await asyncio.sleep(0)


def error_chars(error: ErrorReport) -> int:
    """How much text an error is, which is sealed and stored with its call."""
    chars = len(error.message or "")
    if error.parameters:
        chars += sum([len(value) for value in error.parameters.values() if isinstance(value, str)])
    return chars


def is_long_to_admit(report: Report) -> bool:
    """Whether admitting the report may take more than a turn: it has a long error text, or much to compare it with."""
    error = report.error
    if error is None:
        return False
    strings: Sequence[str] = report.content
    if len(strings) > _FEW_STRINGS or len(error.parameters) > _FEW_STRINGS:
        return True
    chars = len(error.message or "") + sum(map(len, chain(strings, report.identifiers)))
    for value in error.parameters.values():
        if isinstance(value, list | dict):
            return True
        chars += len(value) if isinstance(value, str) else 0
    return chars > _LONG_ERROR_CHARS
