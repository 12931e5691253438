"""Setting and removing budgets: the table and the ledger's entry in one transaction."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from service.errors import RequestError
from service.ledger import Ledger, LedgerKind
from service.storage.control.budgets import BudgetOf, BudgetRecord, remove_budget, set_budget
from service.storage.database import Database
from service.webhooks.ledger_facts import budget_facts

THRESHOLDS: Final = (50, 80, 100)
_THRESHOLDS_MAX: Final = 10
_PERCENT_MAX: Final = 1_000
_AMOUNT_MAX: Final = Decimal(10) ** 15
_PLACES_MAX: Final = 12


class Budgets:
    """The budgets of one ledger."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger

    async def set(
        self, of: BudgetOf, amount: Decimal | None, thresholds: Sequence[int], actor: str
    ) -> BudgetRecord | None:
        """Set a budget, in place of one of the same, or remove it (`amount` None); None when there is none then.

        Raises RequestError.
        """
        percents = sorted(set(thresholds))
        if amount is not None:
            _check_amount(amount)
        if not 0 < len(percents) <= _THRESHOLDS_MAX or not all(0 < one <= _PERCENT_MAX for one in percents):
            raise RequestError(f"`thresholds` are 1 to {_THRESHOLDS_MAX} percents from 1 to {_PERCENT_MAX}")
        async with self._database.owner.acquire() as connection, connection.transaction():
            if amount is not None:
                record = await set_budget(connection, of, amount, percents, actor)
            else:
                record = await remove_budget(connection, of)
            if record is not None:
                facts = budget_facts(record) if amount is not None else {**budget_facts(record), "amount": None}
                await self._ledger.append(LedgerKind.BUDGET_SET, facts, actor=actor, connection=connection)
        return None if amount is None else record


def _check_amount(amount: Decimal) -> None:
    exponent = amount.as_tuple().exponent
    if (
        not amount.is_finite()
        or not 0 < amount <= _AMOUNT_MAX
        or (isinstance(exponent, int) and exponent < -_PLACES_MAX)
    ):
        raise RequestError("the `amount` of a budget is above 0, at most 10^15, with twelve places at most")
