"""Schema directives that tell a caller what a field costs; `complexity.py` reads the same figures."""

import strawberry
from strawberry import UNSET
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], name="cost", description="What one resolved field costs."
)
class Cost:
    """What one resolved field adds to the cost of its operation."""

    weight: int = strawberry.field(name="weight", default=1, description="Weight of one resolved field.")


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION], name="listSize", description="How many entries a list is counted with."
)
class ListSize:
    """How many entries of a list an operation is charged for."""

    assumed_size: int | None = strawberry.field(
        name="assumedSize", default=UNSET, description="Page size assumed when no slicing argument is given."
    )
    slicing_arguments: list[str] | None = strawberry.field(
        name="slicingArguments", default=UNSET, description="Arguments that bound the page."
    )


def paged() -> list[object]:
    """For a connection: fifty entries unless `first` or `last` says otherwise."""
    return [ListSize(assumed_size=50, slicing_arguments=["first", "last"])]
