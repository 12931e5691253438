"""A person x the sealed details of somebody else's error -> the same details without that person.

Where an error names somebody, and its report did not say that it is somebody, the name is clear text under the seal. An
erasure takes it out: the rest of the message stays, for whom it is about or for nobody.
"""

import json
from dataclasses import replace
from typing import Final

from policies.admission.segments import (
    ErrorDetails,
    Parameter,
    ParameterAction,
    Segment,
    Segments,
    masked,
    revealed,
)
from policies.redaction import PERSON_RULE, Persons

Span = tuple[int, int]

_GONE: Final = "[]"  # stands where nothing is left to be looked through
_MARK: Final[Segment] = (PERSON_RULE, None)


def without_named(details: ErrorDetails, persons: Persons) -> tuple[ErrorDetails, int]:
    """`details` without `persons`, and how often they were named; the very same details when they were not.

    A word that is many people's id (`admin`, `1`) counts where somebody names it as one. A span under seal that names
    them goes as a whole; so does a parameter whose value would be no JSON without them.
    """
    message, found = _cut(details.message or (), persons)
    changed: dict[str, Parameter] = {}
    for name, parameter in details.parameters.items():
        value, count = _cut(parameter.value or (), persons)
        if count:
            changed[name] = _parameter(value)
            found += count
    if not found:
        return details, 0
    return replace(
        details,
        message=None if details.message is None else message,
        parameters={**details.parameters, **changed},
    ), found


def _parameter(value: Segments) -> Parameter:
    for text in (masked(value), revealed(value)):
        try:
            json.loads(text)
        except ValueError:
            return Parameter(ParameterAction.DROPPED)
    sealed = any(not isinstance(part, str) and part[1] is not None for part in value)
    return Parameter(ParameterAction.SEALED if sealed else ParameterAction.MASKED, value)


def _cut(segments: Segments, persons: Persons) -> tuple[Segments, int]:
    texts = [part if isinstance(part, str) else _GONE if part[1] is None else part[1] for part in segments]
    spans = persons.label_spans("".join(texts))
    if not spans:
        return segments, 0
    kept: list[Segment] = []
    start = 0
    for part, text in zip(segments, texts, strict=True):
        end = start + len(text)
        inside = [(max(one, start) - start, min(two, end) - start) for one, two in spans if one < end and two > start]
        if not inside:
            kept.append(part)
        elif isinstance(part, str):
            kept += _clear_parts(part, inside)
        else:
            kept.append((part[0], None))
        start = end
    return tuple(kept), len(spans)


def _clear_parts(text: str, spans: list[Span]) -> list[Segment]:
    parts: list[Segment] = []
    last = 0
    for start, end in spans:
        parts += [text[last:start], _MARK]
        last = end
    return [part for part in (*parts, text[last:]) if part]
