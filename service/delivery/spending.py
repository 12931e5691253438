"""`spend.threshold`: what was spent in a day of UTC has come to a threshold of a budget."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import asyncpg
from graphql import GraphQLError

from service.api.schema import build_schema
from service.api.types.public_ids import encode_id
from service.api.webhooks.budgets import PREFIX
from service.api.webhooks.spending import day_of, spent_on
from service.delivery.recipient import Recipient
from service.storage.control.budgets import BUDGETS_MAX, BudgetRecord, list_budgets
from service.storage.control.webhook_deliveries import add_delivery
from service.webhooks.events import WebhookEvent

_HUNDRED: Final = Decimal(100)


async def find_spending(owner: asyncpg.Pool, recipient: Recipient) -> None:
    """Note each threshold that today's calls have come to. It is sent once a day, by its budget and amount."""
    reader, scope = recipient.context.reader, recipient.context.scope
    day = day_of(await reader.clock.now())
    async with reader.connection(scope) as connection:
        budgets = await list_budgets(connection, scope.accounts, BUDGETS_MAX)
    for budget in budgets:
        account = await reader.accounts.name(budget.of.account_id)
        try:
            spent = await spent_on(build_schema(), recipient.context, budget.of, account, day)
        except GraphQLError:  # the role may not ask for it: then it is not sent either
            continue
        for percent in budget.thresholds:
            if spent * _HUNDRED >= budget.amount * percent:
                facts = _facts(budget, percent, spent) | {"day": day.date().isoformat()}
                subject = f"spend:{budget.id}:{day.date()}:{percent}:{budget.amount.normalize()}"
                await add_delivery(owner, recipient.webhook, WebhookEvent.SPEND_THRESHOLD, subject, facts)


def _facts(budget: BudgetRecord, percent: int, spent: Decimal) -> dict[str, Any]:
    return {
        "budget": encode_id(PREFIX, budget.id),
        "account": budget.of.account_id,
        "percent": percent,
        "spent": format(spent, "f"),
        "amount": format(budget.amount, "f"),
        "currency": budget.of.currency,
    }


async def spending_of(recipient: Recipient, facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event with the names that its budget has now."""
    reader, scope = recipient.context.reader, recipient.context.scope
    async with reader.connection(scope) as connection:
        budgets = await list_budgets(connection, [facts["account"]], BUDGETS_MAX)
    found = next((one.of for one in budgets if encode_id(PREFIX, one.id) == facts["budget"]), None)
    tag = None if found is None or found.tag_key is None else {"key": found.tag_key, "value": found.tag_value}
    names = {"account": await reader.accounts.name(facts["account"]), "apiKey": found and found.api_key, "tag": tag}
    return {**facts, **names}
