"""What was spent in a day of a budget, as `costs` answers it to the one who asks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from graphql import GraphQLError

from service.api.execution.buckets import Bucket
from service.api.execution.context import Context
from service.storage.control.budgets import BudgetOf

_MAX_COST: Final = 1_000_000
TOTALS: Final = "query ($filter: CallFilter) { costs(filter: $filter) { totals { amount { amount currency } } } }"


def day_of(moment: datetime) -> datetime:
    """Where the day of UTC begins that a moment is in."""
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def spent_on(schema: Any, context: Context, of: BudgetOf, account: str, day: datetime) -> Decimal:  # noqa: ANN401
    """The sum of a budget's calls of one day, in its currency. Raises GraphQLError for who may not ask it."""
    filter_: dict[str, Any] = {
        "account": {"eq": account},
        "currency": {"eq": of.currency},
        "startedAt": {"gte": day.isoformat(), "lt": (day + timedelta(days=1)).isoformat()},
    }
    if of.api_key is not None:
        filter_["apiKey"] = {"eq": of.api_key}
    if of.tag_key is not None:
        filter_["tags"] = [{"key": of.tag_key, "value": {"eq": of.tag_value}}]
    own = replace(context, bucket=Bucket(0), max_cost=_MAX_COST, sizes={}, http_headers={})
    result = await schema.execute(TOTALS, variable_values={"filter": filter_}, context_value=own)
    for error in result.errors or []:
        raise GraphQLError(error.message, extensions=error.extensions)
    amounts = [total["amount"] for total in result.data["costs"]["totals"]]
    return sum((Decimal(one["amount"]) for one in amounts if one is not None), Decimal(0))
