"""Parameter values: a JSON-like value walked by key first, its strings turned into segments.

The result has the shape of the value. Objects stay dicts (their keys masked like any text), arrays stay lists,
null, booleans and numbers stay as they are, and every string becomes a tuple of segments: `("clear", Hidden(...))`.
Under a key that names a credential every string and number is hidden, whatever it looks like.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from policies.redaction.errors import RedactionError
from policies.redaction.key_names import Trust, trust
from policies.redaction.model import Hidden, HiddenKind, Redaction, Segments, mask, reveal

JSONValue: TypeAlias = "str | int | float | bool | list[JSONValue] | dict[str, JSONValue] | None"
JSONSegments: TypeAlias = "Segments | int | float | bool | list[JSONSegments] | dict[str, JSONSegments] | None"

_DEPTH_MAX = 64
FIELD_RULE = "assigned-credential"
_LONG_NUMBER_DIGITS = 9


class _JsonWalk:
    def __init__(self, redact: Callable[[str], Redaction]) -> None:
        self._redact = redact
        self.counts: dict[str, int] = {}

    def value(self, value: JSONValue, level: Trust, depth: int) -> JSONSegments:
        """The segments of `value` and all that is in it. Raises RedactionError when it nests too deeply."""
        if depth > _DEPTH_MAX:
            raise RedactionError("the value is nested too deeply")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, dict):
            return {self._key(key): self.value(item, max(level, _level(key)), depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item, level, depth + 1) for item in value]
        if level >= Trust.strong:
            return self._hide(value)
        return self._scalar(value)

    def _hide(self, value: str | float) -> JSONSegments:
        if value == "":
            return ()
        self._count({FIELD_RULE: 1})
        return (Hidden(FIELD_RULE, HiddenKind.secret),)

    def _scalar(self, value: str | float) -> JSONSegments:
        if not isinstance(value, str):
            if len(str(value)) < _LONG_NUMBER_DIGITS:
                return value
            result = self._redact(str(value))
            self._count(result.counts)
            return result.segments if result.counts else value
        result = self._redact(value)
        self._count(result.counts)
        return result.segments

    def _key(self, key: object) -> str:
        result = self._redact(str(key))
        self._count(result.counts)
        return result.masked

    def _count(self, counts: Mapping[str, int]) -> None:
        for rule, number in counts.items():
            self.counts[rule] = self.counts.get(rule, 0) + number


def _level(key: object) -> Trust:
    return trust(str(key).encode("utf-8", "replace"))


def redact_value(value: JSONValue, redact: Callable[[str], Redaction]) -> tuple[JSONSegments, dict[str, int]]:
    """`value` with its strings as segments by `redact`, and the counts by rule. Raises RedactionError."""
    walk = _JsonWalk(redact)
    return walk.value(value, Trust.harmless, 0), walk.counts


def _joined(value: JSONSegments, join: Callable[[Segments], str]) -> JSONValue:
    if isinstance(value, tuple):
        return join(value)
    if isinstance(value, dict):
        return {key: _joined(item, join) for key, item in value.items()}
    if isinstance(value, list):
        return [_joined(item, join) for item in value]
    return value


def masked_value(value: JSONSegments) -> JSONValue:
    """`value` with its segments joined to masked text."""
    return _joined(value, mask)


def revealed_value(value: JSONSegments) -> JSONValue:
    """`value` with its segments joined to text in which personal spans are in place."""
    return _joined(value, reveal)
