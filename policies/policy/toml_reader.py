"""Reads a TOML document strictly: every key is read once, or the document is refused.

tomllib gives no positions, so a line is found by looking for the table's header and the key; a position that cannot
be found is left out of the message.
"""

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import Final, NoReturn, TypeVar, cast

from policies.errors import PolicyDocumentError

CHARACTERS_MAX: Final = 1 << 18

_Choice = TypeVar("_Choice", bound=StrEnum)
_Value = TypeVar("_Value")
_KINDS: Final[Mapping[type, str]] = {
    str: "a string",
    int: "a whole number",
    bool: "`true` or `false`",
    list: "a list of strings",
    dict: "a table",
}


class Lines:
    """Where keys stand in the text of a document. It is looked for when somebody asks: only a refusal does."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _found(self) -> dict[tuple[str, ...], int]:
        found: dict[tuple[str, ...], int] = {}
        table: tuple[str, ...] = ()
        for number, line in enumerate(self._text.splitlines(), start=1):
            stripped = line.strip()
            if stripped.startswith("["):
                table = _path(stripped) or table
                found.setdefault(table, number)
            elif "=" in stripped and not stripped.startswith("#"):
                found.setdefault(table + _path(stripped.partition("=")[0] + "= 0"), number)
        return found

    def of(self, path: tuple[str, ...]) -> int | None:
        """The 1-based line of a key, or of the table around it."""
        while path and path not in self._found:
            path = path[:-1]
        return self._found.get(path)


def _path(line: str) -> tuple[str, ...]:
    try:
        table: object = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    path: list[str] = []
    while isinstance(table, dict) and len(inner := cast("dict[str, object]", table)) == 1:
        key, table = next(iter(inner.items()))
        path.append(key)
    return tuple(path)


class TomlTable:
    """One table of a document: take what is known, then `done()` refuses what is left."""

    def __init__(self, values: dict[str, object], path: tuple[str, ...], lines: Lines) -> None:
        self.path = path
        self.lines = lines
        self._left = dict(values)
        self._known: list[str] = []

    @classmethod
    def of_text(cls, text: str) -> "TomlTable":
        """The root table of a document. `PolicyDocumentError` when it is no TOML or too long."""
        if len(text) > CHARACTERS_MAX:
            raise PolicyDocumentError(f"the document is longer than {CHARACTERS_MAX} characters")
        try:
            values = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            # str() of it says what and where: `Invalid value (at line 3, column 5)`.
            raise PolicyDocumentError(f"this is not TOML: {str(error)[:200].lower()}") from None
        return cls(values, (), Lines(text))

    def fail(self, reason: str, *, key: str | None = None, advice: str = "") -> NoReturn:
        """Refuse the document because of this table, or of one key of it."""
        path = self.path if key is None else (*self.path, key)
        raise PolicyDocumentError(reason, where=location(path), line=self.lines.of(path), advice=advice)

    def remaining(self) -> list[str]:
        """Keys that were not read yet, in the order of the document."""
        return list(self._left)

    def has(self, key: str) -> bool:
        """Whether the key is there (and untaken)."""
        self._known.append(key)
        return key in self._left

    def text(self, key: str, *, advice: str = "", length_max: int = 1000) -> str:
        """A string that must be there."""
        value = self._typed(key, str, advice)
        if not value.strip() or len(value) > length_max:
            self.fail(f"must have 1 to {length_max} characters", key=key, advice=advice)
        return value

    def choice(self, key: str, choices: type[_Choice]) -> _Choice:
        """A word that must be one of the enum's values."""
        value = self._typed(key, str, f"write one of {words(choices)}")
        return self._chosen(key, value, choices)

    def choices(self, key: str, choices: type[_Choice]) -> frozenset[_Choice]:
        """A list of the enum's values; empty when the key is not there."""
        return frozenset(self._chosen(key, value, choices) for value in self.texts(key))

    def texts(self, key: str) -> list[str]:
        """A list of different strings; empty when the key is not there."""
        if not self.has(key):
            return []
        values = cast("list[object]", self._typed(key, list, ""))
        texts = [value for value in values if isinstance(value, str)]
        if len(texts) != len(values):
            self.fail("must be a list of strings", key=key)
        if len(set(texts)) != len(texts):
            self.fail("names something twice", key=key, advice="leave one of them")
        return texts

    def integer(self, key: str, *, low: int, high: int, advice: str = "") -> int:
        """A whole number that must be there, from `low` to `high`."""
        value = self._typed(key, int, advice or f"write a whole number from {low} to {high}")
        if not low <= value <= high:
            self.fail(f"`{value}` is out of bounds", key=key, advice=advice or f"write {low} to {high}")
        return value

    def number(self, key: str) -> int | float:
        """A finite number that must be there."""
        value = self._left.get(key)
        if isinstance(value, float):
            self._known.append(key)
            del self._left[key]
            # NaN is unequal to itself, and infinity bounds nothing.
            if value != value or abs(value) == float("inf"):
                self.fail("must be finite", key=key, advice="write a number")
            return value
        return self._typed(key, int, "write a number")

    def flag(self, key: str, *, default: bool) -> bool:
        """`true` or `false`; `default` when the key is not there."""
        return self._typed(key, bool, "") if self.has(key) else default

    def table(self, key: str, *, advice: str = "") -> "TomlTable":
        """A table that must be there."""
        values = cast("dict[str, object]", self._typed(key, dict, advice))
        return TomlTable(values, (*self.path, key), self.lines)

    def done(self) -> None:
        """Refuse keys that were not read."""
        for key in self._left:
            near = get_close_matches(key, self._known, n=1)
            advice = f"did you mean `{near[0]}`?" if near else f"known here: {words(sorted(set(self._known)))}"
            self.fail("is not a key that this version knows", key=key, advice=advice)

    def _typed(self, key: str, kind: type[_Value], advice: str) -> _Value:
        self._known.append(key)
        if key not in self._left:
            self.fail(f"`{key}` is missing", advice=advice)
        value = self._left.pop(key)
        # In Python true is an int; in TOML it is not.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fail(f"must be {_KINDS[kind]}", key=key, advice=advice)
        return value

    def _chosen(self, key: str, value: str, choices: type[_Choice]) -> _Choice:
        try:
            return choices(value)
        except ValueError:
            self.fail(f"`{value[:100]}` is not known", key=key, advice=f"write one of {words(choices)}")


def words(names: Iterable[str]) -> str:
    """`a`, `b` and so on, for messages."""
    return ", ".join(f"`{name}`" for name in names)


def location(path: tuple[str, ...]) -> str:
    """`[fields]` `Call.model`: table and key, as the document writes them."""
    if not path:
        return ""
    *tables, key = path
    return f"[{'.'.join(tables)}] `{key}`" if tables else f"`{key}`"
