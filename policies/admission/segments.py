"""What is sealed of an error: text cut into segments, so that one blob has two readings.

A segment is clear text, or `(rule, text)`: a span that `rule` found, its text kept under seal or None when it is gone
for good. The masked view joins them with `[redacted:rule]`, the revealed view with the text.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, cast

from policies.errors import PolicyError
from policies.policy.model import ParameterRule

Segment = str | tuple[str, str | None]
Segments = tuple[Segment, ...]

_RULE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


class SegmentsError(PolicyError):
    """the sealed details are not in the form that this version writes"""


class ParameterAction(StrEnum):
    """What the policy did to a request parameter."""

    KEPT = "KEPT"
    MASKED = "MASKED"
    SHAPED = "SHAPED"
    SEALED = "SEALED"
    DROPPED = "DROPPED"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A request parameter. The joined text of `value` is canonical JSON; None when nothing of it was kept."""

    action: ParameterAction
    value: Segments | None = None


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """All that is sealed of one failed call. `message` is None when the policy keeps no message."""

    message: Segments | None = None
    parameters: Mapping[str, Parameter] = field(default_factory=dict[str, Parameter])


def masked(segments: Iterable[Segment]) -> str:
    """The text with `[redacted:rule]` for every span that a rule found."""
    return "".join(part if isinstance(part, str) else f"[redacted:{part[0]}]" for part in segments)


def revealed(segments: Iterable[Segment]) -> str:
    """The text with what is kept under seal; `[redacted:rule]` where it is gone for good."""
    return "".join(
        part if isinstance(part, str) else f"[redacted:{part[0]}]" if part[1] is None else part[1] for part in segments
    )


def stripped(segments: Iterable[Segment]) -> Segments:
    """The same segments with every kept span dropped: nothing is left to reveal."""
    return tuple(part if isinstance(part, str) else (part[0], None) for part in segments)


def listed(details: ErrorDetails, allowed: Mapping[str, ParameterRule]) -> ErrorDetails:
    """The details without parameters that an allow-list no longer has; of one that it has by its shape only, no value
    of before."""
    kept: dict[str, Parameter] = {}
    for path, parameter in details.parameters.items():
        rule = allowed.get(path)
        if rule is not None:
            outgrown = rule.shape and parameter.action is not ParameterAction.SHAPED
            kept[path] = Parameter(ParameterAction.DROPPED) if outgrown else parameter
    return details if kept == details.parameters else replace(details, parameters=kept)


def rules(segments: Iterable[Segment]) -> dict[str, int]:
    """How often each rule fired."""
    return dict(Counter(part[0] for part in segments if not isinstance(part, str)))


def pack_segments(details: ErrorDetails) -> bytes:
    """Compact JSON, the same bytes for equal details. A lone surrogate, which UTF-8 cannot hold, becomes `?`."""
    value: dict[str, object] = {}
    if details.message is not None:
        value["message"] = _checked(details.message)
    if details.parameters:
        value["parameters"] = {name: _parameter_value(parameter) for name, parameter in details.parameters.items()}
    return _ENCODER.encode(value).encode("utf-8", "replace")


def unpack_segments(packed: bytes) -> ErrorDetails:
    """The details in `packed`; `SegmentsError` for anything that `pack_segments` does not write."""
    try:
        value = _object(json.loads(packed.decode()))
    except (ValueError, RecursionError):
        raise SegmentsError from None
    if not value.keys() <= {"message", "parameters"}:
        raise SegmentsError
    message = _segments(value["message"]) if "message" in value else None
    parameters = _object(value.get("parameters", {}))
    return ErrorDetails(message, {name: _parameter(entry) for name, entry in parameters.items()})


def _checked(segments: Segments) -> Segments:
    for part in segments:
        if not isinstance(part, str) and not _RULE.fullmatch(part[0]):
            raise SegmentsError("a rule is named by up to 64 of `a-z 0-9 _ . -`")
    return segments


def _parameter_value(parameter: Parameter) -> dict[str, object]:
    if parameter.value is None:
        return {"action": parameter.action}
    return {"action": parameter.action, "value": _checked(parameter.value)}


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise SegmentsError
    return cast("dict[str, object]", value)


def _parameter(entry: object) -> Parameter:
    value = _object(entry)
    if not value.keys() <= {"action", "value"}:
        raise SegmentsError
    try:
        action = ParameterAction(str(value.get("action")))
    except ValueError:
        raise SegmentsError from None
    return Parameter(action, _segments(value["value"]) if "value" in value else None)


def _segments(parts: object) -> Segments:
    if not isinstance(parts, list):
        raise SegmentsError
    return tuple(_segment(part) for part in cast("list[object]", parts))


def _segment(part: object) -> Segment:
    match part:
        case str():
            return part
        case [str(rule), None | str() as text] if _RULE.fullmatch(rule):
            return rule, text
        case _:
            raise SegmentsError
