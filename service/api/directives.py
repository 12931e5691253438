"""Schema directives that tell a caller what a field costs; `cost.py` reads the same figures."""

import strawberry
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], name="cost", description="What one resolved field costs."
)
class Cost:
    weight: int = strawberry.directive_field(name="weight", default=1)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], name="listSize", description="How many entries a list is counted with."
)
class ListSize:
    assumed_size: int | None = strawberry.directive_field(name="assumedSize", default=None)
    slicing_arguments: list[str] | None = strawberry.directive_field(name="slicingArguments", default=None)


def paged() -> list[object]:
    """For a connection: fifty entries unless `first` or `last` says otherwise."""
    return [ListSize(assumed_size=50, slicing_arguments=["first", "last"])]
