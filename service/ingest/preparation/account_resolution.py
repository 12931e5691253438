"""Whose call it is: the account that a report names, within what its key may write."""

from collections.abc import Iterable

from policies import Report
from service.access.principal import Principal
from service.ingest.formats.split import Rejection
from service.ingest.refusals import Refusal
from service.storage.control.accounts import DEFAULT_ACCOUNT, Accounts

# What these gateways report as the account is an id of their own, not a name that someone chose here: it does not
# contradict a key that is bound to one account.
_GATEWAY_IDS = frozenset({"litellm"})
NO_ACCOUNT = Rejection("`account` is required: the key is bound to several accounts", Refusal.FIELD_MISSING)
OTHER_ACCOUNT = Rejection("`account` is none of those that the key is bound to", Refusal.ACCOUNT_NOT_ALLOWED)


class AccountResolution:
    """The accounts of one principal; new ones come into being only for keys that are bound to none."""

    def __init__(self, accounts: Accounts, principal: Principal) -> None:
        self._accounts = accounts
        self._bound = principal.accounts
        self._numbers: dict[str, int] = {}

    @property
    def bound(self) -> tuple[int, ...] | None:
        """The accounts that may be written to; None: all."""
        return self._bound

    def drop_unused(self, report: Report) -> None:
        """Take the account from a report whose account is the key's own whatever it says: then nobody judges it."""
        if self._bound is None or len(self._bound) != 1 or report.source not in _GATEWAY_IDS:
            return
        if report.account not in self._numbers:
            report.account = None

    async def learn(self, reports: Iterable[Report] = ()) -> None:
        """Look up, or make, the accounts that `account_of` is asked for next. Admission has passed their names."""
        if self._bound is None:
            names = {report.account or DEFAULT_ACCOUNT for report in reports} - self._numbers.keys()
            if names:
                self._numbers |= await self._accounts.ensure(names)
        elif not self._numbers:
            self._numbers = {await self._accounts.name(number): number for number in self._bound}

    def account_of(self, report: Report) -> int | Rejection | None:
        """The account's number; None when it is still to be learned.

        A rejection never says whether an account of that name exists.
        """
        if self._bound is None:
            name = report.account or DEFAULT_ACCOUNT
            return self._numbers.get(name) or self._accounts.cached(name)
        if report.account in self._numbers:
            return self._numbers[report.account]
        if len(self._bound) == 1 and (report.account is None or report.source in _GATEWAY_IDS):
            return self._bound[0]
        return NO_ACCOUNT if report.account is None else OTHER_ACCOUNT
