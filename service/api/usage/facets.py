"""Facets as the schema shows them, and the resolver."""

from typing import Annotated, Any

import strawberry

from service.api.calls.filters import to_predicate
from service.api.calls.resolvers import tree_of
from service.api.execution.context import Info
from service.api.types.declarations import argument, described
from service.api.types.filter_inputs import CallFilter
from service.api.types.scalars import BigInt
from service.query.usage.facets import FACETS, FIRST_DEFAULT, read_facets


def _values(description: str) -> Any:  # noqa: ANN401 - a dataclass field
    return strawberry.field(description=description, default_factory=list)


@strawberry.type
class FacetValue:
    """A value, and how many of the calls that the filter lets through have it."""

    value: str | None = described("Null: not reported.")
    count: BigInt = described("How many calls.")


@strawberry.type
class Facets:
    """Values for filter menus: the most calls first, then by code point. Error types, and everything under a filter
    that only single calls can answer, reach back 31 days unless the filter says from when.
    """

    models: list[FacetValue] = _values("Models that were asked for.")
    providers: list[FacetValue] = _values("Who runs the models.")
    accounts: list[FacetValue] = _values("Accounts.")
    api_keys: list[FacetValue] = _values("The gateway's names of the keys that were used.")
    error_types: list[FacetValue] = _values("Error types of failed calls.")
    statuses: list[FacetValue] = _values("How the calls ended: SUCCEEDED, FAILED.")
    currencies: list[FacetValue] = _values("Currencies of the amounts.")


FirstValues = Annotated[int | None, argument("Values per facet: 1 to 200, 20 when not given.")]
_PYTHON_NAMES = {"apiKeys": "api_keys", "errorTypes": "error_types"}


async def resolve_facets(info: Info, filter_: CallFilter | None, *, first: int | None = None) -> Facets:
    """The facets that are selected, for the one who asks."""
    context = info.context
    reader = await context.reader.usage(context.scope)
    asked = [name for name in tree_of(info) if name in FACETS]
    predicate = to_predicate(filter_)
    found = await read_facets(reader, predicate, asked, FIRST_DEFAULT if first is None else first)
    return Facets(
        **{
            _PYTHON_NAMES.get(name, name): [FacetValue(value=item.value, count=BigInt(item.count)) for item in values]
            for name, values in found.items()
        }
    )
