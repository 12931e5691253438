"""Facets as the schema shows them, and the resolver."""

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry

from service.api.calls.filters import to_predicate
from service.api.execution.context import Info
from service.api.execution.selection import tree_of
from service.api.types.declarations import argument, described
from service.api.types.directives import Cost
from service.api.types.filter_inputs import CallFilter
from service.api.types.scalars import BigInt
from service.query.usage.facets import FACETS, FIRST_DEFAULT, TAGS, facet_of_tag, read_facets
from service.query.usage.facets import FacetValue as Found


def _values(description: str, *, single: bool = False) -> Any:  # noqa: ANN401 - a dataclass field
    directives = [Cost(weight=30)] if single else []
    return strawberry.field(description=description, default_factory=list, directives=directives)


@strawberry.type
class FacetValue:
    """A value, and how many of the calls that the filter lets through have it."""

    value: str | None = described("Null: not reported.")
    count: BigInt = described("How many calls.")


@strawberry.type
class TagFacet:
    """The values of one tag."""

    key: str = described("The tag's key.")
    values: list[FacetValue] = described("Its values, of the calls that carry it.")


@strawberry.type
class Facets:
    """Values for filter menus: the most calls first, then by code point. What only single calls can answer, by the
    facet or by the filter, reaches back 31 days unless the filter says from when.
    """

    models: list[FacetValue] = _values("Models that were asked for.")
    providers: list[FacetValue] = _values("Who runs the models.")
    accounts: list[FacetValue] = _values("Accounts.")
    api_keys: list[FacetValue] = _values("The gateway's names of the keys that were used.")
    error_types: list[FacetValue] = _values("Error types of failed calls.", single=True)
    error_codes: list[FacetValue] = _values("Error codes of failed calls.", single=True)
    operations: list[FacetValue] = _values("What was asked of the models.", single=True)
    served_models: list[FacetValue] = _values("Models that answered.", single=True)
    tags: list[TagFacet] = _values("Tags that the policy lets be grouped by, as far as calls carry them.", single=True)
    statuses: list[FacetValue] = _values("How the calls ended: SUCCEEDED, FAILED.")
    currencies: list[FacetValue] = _values("Currencies of the amounts.")


FirstValues = Annotated[int | None, argument("Values per facet: 1 to 200, 20 when not given.")]
ExcludeOwnFilter = Annotated[
    bool | None,
    argument(
        "Each facet as if the filter said nothing of it: what else could be chosen there. What is combined with other "
        "fields by `or` or `not` stays."
    ),
]
_PYTHON_NAMES = {
    "apiKeys": "api_keys",
    "errorTypes": "error_types",
    "errorCodes": "error_codes",
    "servedModels": "served_models",
}


async def resolve_facets(
    info: Info, filter_: CallFilter | None, *, first: int | None = None, exclude_own_filter: bool | None = None
) -> Facets:
    """The facets that are selected, for the one who asks."""
    asked = [name for name in tree_of(info) if name in FACETS]
    found = await read_facets(
        await info.context.reader.usage(info.context.scope),
        to_predicate(filter_),
        asked,
        FIRST_DEFAULT if first is None else first,
        without_own=bool(exclude_own_filter),
    )
    facets = {_PYTHON_NAMES.get(name, name): _shown(found[name]) for name in asked if name != TAGS}
    keys = sorted(info.context.scope.policy.tag_dimensions) if TAGS in asked else ()
    tags = [TagFacet(key=key, values=_shown(values)) for key in keys if (values := found[facet_of_tag(key)])]
    return Facets(**facets, tags=tags)


def _shown(values: Sequence[Found]) -> list[FacetValue]:
    return [FacetValue(value=item.value, count=BigInt(item.count)) for item in values]
