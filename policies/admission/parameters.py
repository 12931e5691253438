"""Request parameters of a failed call x the policy's allow-list -> what may be sealed of them.

Values are walked along allowed paths only. What is not on such a path is dropped, counted, and its strings are handed
to the redactor as content: an error message that echoes a dropped prompt must lose it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from math import isfinite
from typing import Final

import re2

from policies.admission.content import gather
from policies.admission.report import Json
from policies.admission.segments import Parameter, ParameterAction, Segment, Segments
from policies.policy.model import ParameterRule, ParameterType
from policies.redaction.echoes.identifiers import is_enum_value, is_name

ELEMENTS_MAX: Final = 64
"""Elements of one list that are kept (or described); the rest is counted."""
VALUES_MAX: Final = 200_000
"""Values that are walked at most in the parameters of one call."""
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function", "model"})
_ELEMENT: Final = "[]"
_NUMERIC: Final = frozenset({ParameterType.INTEGER, ParameterType.NUMBER})
_LONG_NUMBER_DIGITS: Final = 9
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)

Redact = Callable[[str], Segments]
"""Text -> segments; what it raises ends the admission of all details."""


@dataclass(slots=True)
class _Node:
    rule: ParameterRule | None = None
    children: "dict[str, _Node]" = field(default_factory=dict[str, "_Node"])


@dataclass(slots=True)
class Sorted:
    """Parameters sorted by the allow-list: `found` values by rule, and how many others there were.

    `strings` are the content in those others, `identifiers` the names in them and of them.
    """

    found: list[tuple[ParameterRule, Json]]
    strings: list[str]
    identifiers: list[str]
    dropped: int


class ParameterList:
    """The allow-list of one policy, compiled to a tree of path steps."""

    def __init__(self, rules: Mapping[str, ParameterRule]) -> None:
        self._root = _Node()
        self.names = tuple({step for path in rules for step in path.replace(_ELEMENT, "").split(".")})
        """The names that allowed paths are made of."""
        self._patterns = {rule.path: re2.compile(rule.pattern) for rule in rules.values() if rule.pattern is not None}
        for path, rule in rules.items():
            node = self._root
            for step in path.replace(_ELEMENT, f".{_ELEMENT}").split("."):
                node = node.children.setdefault(step, _Node())
            node.rule = rule

    def sort(self, parameters: Mapping[str, Json]) -> Sorted:
        """Tell what is listed from what is not. `ContentSizeError` when there is more than can be walked."""
        result = Sorted([], [], [name for name in parameters if is_name(name)], 0)
        unlisted: list[tuple[str, Json]] = []
        pending: list[tuple[_Node, str, Json]] = [(self._root, "", dict(parameters))]
        while pending:
            node, name, value = pending.pop()
            if node.rule is not None:
                result.found.append((node.rule, value))
                if node.rule.type is ParameterType.ENUM and isinstance(value, str) and is_enum_value(value):
                    result.identifiers.append(value)
                # What is not kept as it is, is content like all the rest.
                elif node.rule.shape or not self._fits(node.rule, value):
                    unlisted.append((name, value))
                continue
            kept, dropped = _steps(node, name, value)
            pending.extend(reversed(kept))
            unlisted.extend(dropped)
            result.dropped += len(dropped)
        gathered = gather(unlisted, values_max=VALUES_MAX)
        result.strings = gathered.strings
        result.identifiers += gathered.identifiers
        return result

    def admit(self, found: list[tuple[ParameterRule, Json]], redact: Redact) -> dict[str, Parameter]:
        """What may be sealed, by path. A value that breaks its type or bound is named, and not kept."""
        values: dict[str, list[Json]] = {}
        rules: dict[str, ParameterRule] = {}
        for rule, value in found:
            if value is not None:
                values.setdefault(rule.path, []).append(value)
                rules[rule.path] = rule
        return {path: self._parameter(rules[path], values[path], redact) for path in sorted(values)}

    def _parameter(self, rule: ParameterRule, values: list[Json], redact: Redact) -> Parameter:
        listed = _ELEMENT in rule.path
        if rule.shape:
            shapes = [shape(value) for value in values[:ELEMENTS_MAX]]
            return Parameter(ParameterAction.SHAPED, (_json(shapes if listed else shapes[0]),))
        if not all(self._fits(rule, value) for value in values):
            return Parameter(ParameterAction.DROPPED)
        parts: list[Segment] = ["["] if listed else []
        for index, value in enumerate(values[:ELEMENTS_MAX]):
            parts += [","] if index else []
            parts += _text_parts(value, redact) if rule.type is ParameterType.TEXT else [_json(_plain(value))]
            if rule.type in _NUMERIC and not _is_plain_number(value, redact):
                return Parameter(ParameterAction.DROPPED)
        parts += ["]"] if listed else []
        return Parameter(_action(parts), _joined(parts))

    def _fits(self, rule: ParameterRule, value: Json) -> bool:
        match rule.type:
            case ParameterType.BOOLEAN:
                return isinstance(value, bool)
            case ParameterType.INTEGER:
                return isinstance(value, int) and not isinstance(value, bool) and _within(rule, value)
            case ParameterType.NUMBER:
                # Decimal: some decoders keep a number's own digits.
                return isinstance(value, int | float | Decimal) and not isinstance(value, bool) and _within(rule, value)
            case ParameterType.ENUM:
                return isinstance(value, str) and value in rule.values
            case ParameterType.TEXT:
                return isinstance(value, str) and self._fits_text(rule, value)
            case None:
                return False

    def _fits_text(self, rule: ParameterRule, value: str) -> bool:
        if len(value) > (rule.max_length or 0):
            return False
        pattern = self._patterns.get(rule.path)
        return pattern is None or pattern.fullmatch(value.encode("utf-8", "replace").decode()) is not None


def shape(value: Json) -> Json:
    """How many, whose and how long, never what: `{"count": 2, "roles": ["system", "user"], "chars": [20, 412]}`."""
    if isinstance(value, list):
        first = value[:ELEMENTS_MAX]
        roles: list[Json] = [_role(item) for item in first]
        chars: list[Json] = [_characters(item) for item in first]
        return {"chars": chars, "count": len(value), "roles": roles}
    return {"chars": _characters(value), "count": 1}


def _steps(node: _Node, name: str, value: Json) -> tuple[list[tuple[_Node, str, Json]], list[tuple[str, Json]]]:
    """The values one level down, each with its name: those under an allowed path, and the others."""
    element = node.children.get(_ELEMENT)
    if isinstance(value, dict):
        # `[]` is a step, never a key that a client can send.
        kept = [
            (node.children[key], key, item) for key, item in value.items() if key in node.children and key != _ELEMENT
        ]
        dropped: list[tuple[str, Json]] = [
            (name, {key: item}) for key, item in value.items() if key not in node.children or key == _ELEMENT
        ]
        return kept, dropped
    if isinstance(value, list) and element is not None:
        return [(element, name, item) for item in value], []
    return [], [] if value is None else [(name, value)]


def _within(rule: ParameterRule, value: float | Decimal) -> bool:
    # Written so that NaN, which compares with nothing, is out of bounds.
    return rule.minimum is not None and rule.maximum is not None and rule.minimum <= value <= rule.maximum


def _is_plain_number(value: Json, redact: Redact) -> bool:
    # A card or a telephone number is a number too.
    text = str(value)
    return len(text) < _LONG_NUMBER_DIGITS or all(isinstance(part, str) for part in redact(text))


def _plain(value: Json) -> Json:
    return float(value) if isinstance(value, Decimal) else value


def _text_parts(value: Json, redact: Redact) -> list[Segment]:
    parts: list[Segment] = ['"']
    for part in redact(str(value)):
        if isinstance(part, str):
            parts.append(_escaped(part))
        else:
            rule, text = part
            parts.append((rule, None if text is None else _escaped(text)))
    return [*parts, '"']


def _action(parts: list[Segment]) -> ParameterAction:
    hidden = [part for part in parts if not isinstance(part, str)]
    if any(text is not None for _, text in hidden):
        return ParameterAction.SEALED
    return ParameterAction.MASKED if hidden else ParameterAction.KEPT


def _joined(parts: list[Segment]) -> Segments:
    joined: list[Segment] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, str) and isinstance(last, str):
            joined[-1] = last + part
        else:
            joined.append(part)
    return tuple(joined)


def _role(item: Json) -> str:
    role = item.get("role") if isinstance(item, dict) else None
    return role if isinstance(role, str) and role in _ROLES else "other"


def _characters(item: Json) -> int:
    inner: Json = item
    if isinstance(item, dict):
        inner = [value for key, value in item.items() if key != "role"]
    total = 0
    pending = [inner]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            total += len(value)
        elif isinstance(value, dict):
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return total


def _json(value: Json) -> str:
    # What most parameters are, as the encoder writes it too, for a tenth of its price.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return repr(value)
    return _ENCODER.encode(value)


def _escaped(text: str) -> str:
    return _ENCODER.encode(text)[1:-1]
