"""Spans to segments: overlaps joined, the stricter kind wins, marks already there are left alone."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from policies.redaction.model import Hidden, HiddenKind, Segments
from policies.redaction.normalization import NormalizedText, decode

MARK = re.compile(rb"\[redacted:([a-z0-9][a-z0-9-]{1,47})\]")
# Stands for each byte of a mark while a text is scanned: no rule looks for it, and it ends no value.
NEUTRAL = b"\x7f"
_PUNCTUATION = bytes(byte for byte in range(0x80) if not chr(byte).isalnum())


class Reason(NamedTuple):
    """Why bytes are taken out, and what stands in their place.

    The least of reasons outranks the others: what is gone for good before what may be kept, what is sure before a
    guess, then the more particular rule, which has the lower rank.
    """

    kept: bool
    guess: bool
    rank: int
    gone: Hidden
    mark: bytes

    @classmethod
    def of(cls, rule: str, kind: HiddenKind, rank: int, *, guess: bool = False) -> "Reason":
        """The reason that the rule with the id `rule` gives."""
        gone = Hidden(rule, kind)
        return cls(kind is HiddenKind.personal, guess, rank, gone, gone.mark.encode())


class Cut(NamedTuple):
    """Bytes `start:end` of a text are taken out."""

    start: int
    end: int
    reason: Reason


def joined(spans: Iterable[Cut]) -> list[Cut]:
    """`spans` in order without overlaps: what overlaps becomes one, for the reason that outranks the others."""
    merged: list[Cut] = []
    for span in sorted(spans, key=_order):
        if merged and span.start < merged[-1].end:
            merged[-1] = _union(merged[-1], span)
        else:
            merged.append(span)
    return merged


def _order(span: Cut) -> tuple[int, int]:
    return span[0], -span[1]


def _union(a: Cut, b: Cut) -> Cut:
    """One span for two that overlap, `a` being the earlier or the longer one."""
    if b.reason.guess and b.end <= a.end:
        return a
    if a.reason.guess and (b.start, b.end) == (a.start, a.end):
        return b
    lead = a if a.reason <= b.reason else b
    end = max(a.end, b.end)
    return a if lead is a and end == a.end else Cut(a.start, end, lead.reason)


def neutral(data: bytes, known: frozenset[bytes]) -> bytes:
    """`data` with the marks of `known` rules made unreadable at the same length, so that no rule sees words in them."""
    if b"[redacted:" not in data:
        return data
    return MARK.sub(lambda match: NEUTRAL * len(match[0]) if match[1] in known else match[0], data)


def outside_marks(spans: Sequence[Cut], data: bytes, known: frozenset[bytes]) -> Sequence[Cut]:
    """`spans` (joined) without the marks of `known` rules that stand in `data`: a mark is never taken out again.

    A mark of an unknown rule is text like any other, for the text's author may have forged it.
    """
    if not spans or b"[redacted:" not in data:
        return spans
    marks = [match.span() for match in MARK.finditer(data) if match[1] in known]
    kept: list[Cut] = []
    first = 0
    for span in spans:
        while first < len(marks) and marks[first][1] <= span.start:
            first += 1
        at, near = span.start, first
        while near < len(marks) and marks[near][0] < span.end:
            kept.extend(_with_substance(span, at, marks[near][0], data))
            at = marks[near][1]
            near += 1
        if at == span.start:
            kept.append(span)
        else:
            kept.extend(_with_substance(span, at, span.end, data))
    return kept


def _with_substance(span: Cut, start: int, end: int, data: bytes) -> list[Cut]:
    """The part of a span next to a mark, unless only punctuation is left of it."""
    part = Cut(start, end, span.reason)
    return [part] if has_substance(data, part) else []


def has_substance(data: bytes, span: Cut) -> bool:
    """Whether there is more than punctuation, and what is taken out already, in the span."""
    return data[span.start : span.end].translate(None, _PUNCTUATION) != b""


_REPEATED_BYTES_MIN = 6
_PLAIN_BYTES_MAX = 12
# Looking for one value reads the whole text; a text within the size cap may hold some thousand.
_REPEATED_WORK_BYTES = 16 << 20


def repeated(spans: Sequence[Cut], data: bytes) -> list[Cut]:
    """Where else in `data` the secrets of `spans` (joined) stand, as a whole word.

    A word of letters alone may be a password and still be a word everywhere else; only a long one is looked for.
    """
    found: list[Cut] = []
    budget = _REPEATED_WORK_BYTES
    for value, reason in {data[span.start : span.end]: span.reason for span in spans if _is_telling(span)}.items():
        if len(value) < _REPEATED_BYTES_MIN or (value.isalpha() and len(value) < _PLAIN_BYTES_MAX):
            continue
        budget -= len(data)
        if budget < 0:
            break
        found += _occurrences(value, reason, data)
    return found


def _is_telling(span: Cut) -> bool:
    return not span.reason.guess and not span.reason.kept and span.reason.gone.kind is HiddenKind.secret


def _occurrences(value: bytes, reason: Reason, data: bytes) -> Iterator[Cut]:
    at = data.find(value)
    while at >= 0:
        end = at + len(value)
        if not (data[at - 1 : at].isalnum() or data[end : end + 1].isalnum()):
            yield Cut(at, end, reason)
        at = data.find(value, end)


def without(data: bytes, spans: Iterable[Cut]) -> bytes:
    """`data` with `spans` made unreadable at the same length, like `neutral`."""
    shown = bytearray(data)
    for start, end, _ in spans:
        shown[start:end] = NEUTRAL * (end - start)
    return bytes(shown)


def masked(data: bytes, spans: Iterable[Cut]) -> NormalizedText:
    """`data` as rules read it once `spans` (joined) are taken out: as long as with a mark in place of each."""
    pieces: list[tuple[bytes, int, int]] = []
    at = 0
    for start, end, reason in spans:
        pieces += [(data[at:start], at, start), (NEUTRAL * len(reason.mark), start, end)]
        at = end
    pieces.append((data[at:], at, len(data)))
    return NormalizedText(
        b"".join([piece for piece, _, _ in pieces]), lambda: [(len(piece), low, high) for piece, low, high in pieces]
    )


def segments(data: bytes, spans: Iterable[Cut]) -> Segments:
    """`data` as the segments of a Redaction: what `spans` (joined) leave of it, and what is hidden."""
    result: list[str | Hidden] = []
    at = 0
    for start, end, reason in spans:
        if start > at:
            result.append(decode(data[at:start]))
        gone = reason.gone
        result.append(Hidden(gone.rule, gone.kind, decode(data[start:end])) if reason.kept else gone)
        at = end
    if at < len(data):
        result.append(decode(data[at:]))
    return tuple(result)
