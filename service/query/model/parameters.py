"""Bound parameters of one statement."""

from collections.abc import Hashable

NUL = "\x00"


class Params:
    """Collects values and names them `$1::type`, the same value and type once; `apart`: each by itself, so that the
    statement is the same whatever its values are.
    """

    def __init__(self, *, apart: bool = False) -> None:
        self.values: list[object] = []
        self._apart = apart
        self._names: dict[tuple[str, type, Hashable], str] = {}

    def bind(self, value: Hashable, type_: str) -> str:
        """The placeholder for `value`; `type_` is the name of an SQL type, one of ours."""
        # 1 == True == Decimal(1) for a dict: the type of the value is part of the name.
        key = (type_, type(value), value)
        name = None if self._apart else self._names.get(key)
        if name is None:
            self.values.append(value)
            name = self._names[key] = f"${len(self.values)}::{type_}"
        return name


def storable(text: str) -> bool:
    """Whether PostgreSQL can hold `text` at all. What it cannot hold equals nothing that is stored."""
    return NUL not in text and (text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text))
