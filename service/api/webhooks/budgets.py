"""`budgets` with what is left of the day, and `setBudget`."""

import asyncio
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import strawberry
from graphql import GraphQLError

from service.access.authenticate import ForbiddenError
from service.api.execution.context import Context, Info, reading
from service.api.execution.errors import Code
from service.api.retention.queries import account_in_scope
from service.api.types.declarations import argument, described, given, optional
from service.api.types.directives import Cost
from service.api.types.public_ids import encode_id
from service.api.webhooks.spending import day_of, spent_on
from service.api.webhooks.types import budgets_of
from service.log_redaction import name_as_stored
from service.query.model.errors import BadInputError
from service.storage.control.budgets import BUDGETS_MAX, BudgetOf, BudgetRecord, list_budgets
from service.webhooks.budgets import THRESHOLDS

PREFIX: Final = "budget"
_NAME_CHARS_MAX: Final = 200


@strawberry.type
class BudgetTag:
    """The tag that a budget is of."""

    key: str = described("Its key.")
    value: str = described("Its value.")


@strawberry.type
class Budget:
    """What an account, or an API key or tag of it, is meant to spend in a day of UTC. Nothing is refused beyond it."""

    id: strawberry.ID = described("Opaque id, `budget_...`.")
    account: str = described("Whose calls it is about.")
    api_key: str | None = described("Of this key of the gateway; null: of all.")
    tag: BudgetTag | None = described("With this tag; null: with any tags.")
    currency: str = described("Amounts in this currency alone are counted.")
    amount: Decimal = described("How much of a day.")
    thresholds: list[int] = described("Percents of it at which SPEND_THRESHOLD is sent, ascending.")
    set_at: datetime = described("When it was set.")
    set_by: strawberry.ID = described("The id of the key that set it.")
    day: datetime = described("When the day began that `spent` is of.")
    spent: Decimal = described("What the calls of that day came to so far.")
    left: Decimal = described("What is left of it; below zero once it is overspent.")


@strawberry.input
class BudgetTagInput:
    """The tag that a budget is of."""

    key: str = described("Its key: one that the policy keeps.")
    value: str = described("Its value.")


@strawberry.input
class SetBudgetInput:
    """A budget to set, in place of one of the same account, key, tag and currency."""

    account: str = described("Whose calls it is about.")
    currency: str = described("ISO 4217, or a code that the source names.")
    amount: Decimal | None = described("How much of a day of UTC; null removes the budget.")
    api_key: str | None = optional("Of this key of the gateway alone.")
    tag: BudgetTagInput | None = optional("With this tag alone.")
    thresholds: list[int] | None = optional("Percents at which SPEND_THRESHOLD is sent; 50, 80 and 100 if not given.")


@strawberry.type
class SetBudgetPayload:
    """The budget that was set."""

    budget: Budget | None = described("As it is; null: it was removed, or there was none.")


@strawberry.type
class BudgetQuery:
    """The root field of budgets; part of `Query`."""

    @strawberry.field(directives=[Cost(weight=1_000)])
    async def budgets(self, info: Info) -> list[Budget] | None:
        """Budgets of the key's accounts with what is left of today, by account: at most 100. One whose calls the role
        may not ask for is left out.
        """
        context = info.context
        async with reading(context) as connection:
            found = await list_budgets(connection, context.scope.accounts, BUDGETS_MAX)
        nodes = [await _node_if_seen(info, one) for one in found]
        return [node for node in nodes if node is not None]


@strawberry.type
class BudgetMutation:
    """The root field that sets budgets; part of `Mutation`."""

    @strawberry.mutation(directives=[Cost(weight=200)])
    async def set_budget(
        self, info: Info, input: Annotated[SetBudgetInput, argument("The budget.")]
    ) -> SetBudgetPayload | None:
        """Set or remove what is meant to be spent in a day. It warns, by SPEND_THRESHOLD, and refuses nothing."""
        context = info.context
        if context.principal is not None and context.principal.session is not None:
            raise ForbiddenError("a session token sets no budgets: ask with the key itself")
        of = await _budget_of(context, input)
        thresholds = given(input.thresholds)
        record = await budgets_of(context).set(
            of, input.amount, THRESHOLDS if thresholds is None else thresholds, context.scope.key_id
        )
        return SetBudgetPayload(budget=None if record is None else await _node(info, record))


async def _budget_of(context: Context, input: SetBudgetInput) -> BudgetOf:
    account = await account_in_scope(context, input.account)
    tag = given(input.tag)
    names = {"currency": input.currency, "apiKey": given(input.api_key)}
    names |= {} if tag is None else {"tag.key": tag.key, "tag.value": tag.value}
    kept = await asyncio.to_thread(_names_as_stored, names)
    return BudgetOf(account, kept["currency"], kept["apiKey"], kept.get("tag.key"), kept.get("tag.value"))


def _names_as_stored(names: dict[str, str | None]) -> dict[str, Any]:
    """The names as calls are stored with them, so that they find these, and a credential is kept nowhere."""
    kept: dict[str, str | None] = {}
    for field, name in names.items():
        kept[field] = None if name is None else name_as_stored(name, max_chars=_NAME_CHARS_MAX)
        if name is not None and (not kept[field] or len(name) > _NAME_CHARS_MAX):
            raise BadInputError(f"`{field}` is no name that a call could have")
    return kept


async def _node_if_seen(info: Info, record: BudgetRecord) -> Budget | None:
    try:
        return await _node(info, record)
    except GraphQLError as error:
        if (error.extensions or {}).get("code") == Code.FORBIDDEN.value:
            return None
        raise


async def _node(info: Info, record: BudgetRecord) -> Budget:
    context, of = info.context, record.of
    day, account = day_of(await context.reader.clock.now()), await context.reader.accounts.name(of.account_id)
    spent = await spent_on(info.schema, context, of, account, day)
    return Budget(
        id=encode_id(PREFIX, record.id),
        account=account,
        api_key=of.api_key,
        tag=None if of.tag_key is None else BudgetTag(key=of.tag_key, value=of.tag_value or ""),
        currency=of.currency,
        amount=record.amount,
        thresholds=list(record.thresholds),
        set_at=record.set_at,
        set_by=strawberry.ID(record.set_by),
        day=day,
        spent=spent,
        left=record.amount - spent,
    )
