"""How the schema is declared: fields, arguments and values of enums, each with its description."""

from typing import Any, Final

import strawberry

from service.api.types.directives import Cost

UNSET: Final[Any] = strawberry.UNSET
"""What an argument or an input's field is that was not given; as a default it makes them optional."""


def described(description: str, name: str | None = None, *, weight: int | None = None, **options: Any) -> Any:  # noqa: ANN401
    """A field of a type or of an input; `weight` is what one costs, `options` as for `strawberry.field`."""
    directives = [Cost(weight=weight)] if weight else []
    return strawberry.field(description=description, name=name, directives=directives, **options)


def selected(description: str, name: str | None = None, **options: Any) -> Any:  # noqa: ANN401
    """A field that stays None in the object unless an operation selects it; `options` as for `described`."""
    return described(description, name, default=None, **options)


def optional(description: str, name: str | None = None) -> Any:  # noqa: ANN401
    """A field of an input that need not be given."""
    return described(description, name, default=UNSET)


def argument(description: str, name: str | None = None) -> Any:  # noqa: ANN401
    """An argument, in `Annotated`."""
    return strawberry.argument(description=description, name=name)


def value(name: str, description: str) -> Any:  # noqa: ANN401
    """A value of an enum."""
    return strawberry.enum_value(name, description=description)


def given(value: Any) -> Any:  # noqa: ANN401
    """The argument, or None where it was not given."""
    return None if value is UNSET else value
