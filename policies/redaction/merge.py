"""Spans to segments: overlaps joined, the stricter kind wins, marks already there are left alone."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from policies.redaction.model import Hidden, Kind, Segments
from policies.redaction.views import decode

MARK = re.compile(rb"\[redacted:([a-z0-9][a-z0-9-]{1,47})\]")
# Stands for each byte of a mark while a text is scanned: no rule looks for it, and it ends no value.
NEUTRAL = b"\x7f"
# What is gone for good outranks what may be kept; among equals the more particular rule names the span.
_STRICTNESS = {Kind.personal: 0, Kind.content: 1, Kind.provider: 1, Kind.secret: 1}


class Span(NamedTuple):
    """Bytes `start:end` of a text are taken out by `rule`; the lower rank is the more particular rule."""

    start: int
    end: int
    rule: str
    kind: Kind
    rank: int
    guess: bool = False


def joined(spans: Iterable[Span]) -> list[Span]:
    """`spans` in order without overlaps: what overlaps becomes one, under the strictest kind's most particular rule."""
    merged: list[Span] = []
    for span in sorted(spans, key=_order):
        if merged and span.start < merged[-1].end:
            merged[-1] = _union(merged[-1], span)
        else:
            merged.append(span)
    return merged


def _order(span: Span) -> tuple[int, int]:
    return span[0], -span[1]


def _union(a: Span, b: Span) -> Span:
    """One span for two that overlap, `a` being the earlier or the longer one."""
    if b.guess and b.end <= a.end:
        return a
    if a.guess and (b.start, b.end) == (a.start, a.end):
        return b
    lead = a if _weight(a) <= _weight(b) else b
    return Span(a.start, max(a.end, b.end), lead.rule, lead.kind, lead.rank, lead.guess)


def _weight(span: Span) -> tuple[int, bool, int]:
    return -_STRICTNESS[span.kind], span.guess, span.rank


def neutral(data: bytes, known: frozenset[bytes]) -> bytes:
    """`data` with the marks of `known` rules made unreadable at the same length, so that no rule sees words in them."""
    if b"[redacted:" not in data:
        return data
    return MARK.sub(lambda match: NEUTRAL * len(match[0]) if match[1] in known else match[0], data)


def outside_marks(spans: Sequence[Span], data: bytes, known: frozenset[bytes]) -> Sequence[Span]:
    """`spans` (joined) without the marks of `known` rules that stand in `data`: a mark is never taken out again.

    A mark of a rule that nobody knows is text like any other, for whoever wrote the text may have forged it.
    """
    if not spans or b"[redacted:" not in data:
        return spans
    marks = [match.span() for match in MARK.finditer(data) if match[1] in known]
    kept: list[Span] = []
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


def _with_substance(span: Span, start: int, end: int, data: bytes) -> list[Span]:
    """The part of a span beside a mark, unless only punctuation is left of it."""
    if not any(byte > 0x7F or chr(byte).isalnum() for byte in data[start:end]):
        return []
    return [Span(start, end, span.rule, span.kind, span.rank, span.guess)]


class Piece(NamedTuple):
    """A stretch of the original text: in clear, or hidden."""

    data: bytes
    hidden: Hidden | None = None

    @property
    def shown(self) -> bytes:
        """What stands for this piece in the masked text."""
        return self.data if self.hidden is None else self.hidden.mark.encode()


def split(pieces: Sequence[Piece], spans: Sequence[Span]) -> list[Piece]:
    """`pieces` after hiding `spans` (joined, in bytes of the masked text)."""
    result: list[Piece] = []
    at = 0
    queue = list(reversed(spans))
    for piece in pieces:
        shown = piece.shown
        stop = at + len(shown)
        inside: list[Span] = []
        while queue and queue[-1].start < stop:
            inside.append(queue[-1])
            if queue[-1].end > stop:
                break
            queue.pop()
        if piece.hidden is not None:
            result.append(_sterner(piece, inside))
        else:
            result.extend(_cut(piece.data, at, inside))
        at = stop
    return result


def _sterner(piece: Piece, spans: Sequence[Span]) -> Piece:
    """A personal span that turns out to stand inside a secret one is gone for good too."""
    hidden = piece.hidden
    if hidden is None or hidden.text is None or all(span.kind is Kind.personal for span in spans):
        return piece
    return Piece(piece.data, Hidden(hidden.rule, Kind.secret))


def _cut(data: bytes, offset: int, spans: Sequence[Span]) -> list[Piece]:
    pieces: list[Piece] = []
    at = 0
    for span in spans:
        start, end = max(0, span.start - offset), min(len(data), span.end - offset)
        if start > at:
            pieces.append(Piece(data[at:start]))
        pieces.extend(_hidden(data[start:end], span))
        at = end
    if at < len(data):
        pieces.append(Piece(data[at:]))
    return pieces


def _hidden(data: bytes, span: Span) -> list[Piece]:
    if not data:
        return []
    if span.kind is Kind.personal:
        return [Piece(data, Hidden(span.rule, span.kind, decode(data)))]
    return [Piece(data, _gone(span.rule, span.kind))]


@lru_cache(maxsize=1024)
def _gone(rule: str, kind: Kind) -> Hidden:
    return Hidden(rule, kind)


def segments(pieces: Iterable[Piece]) -> Segments:
    """Pieces as the segments of a Redaction, neighbouring clear ones joined."""
    result: list[str | Hidden] = []
    clear: list[bytes] = []
    for piece in pieces:
        if piece.hidden is None:
            clear.append(piece.data)
            continue
        if clear:
            result.append(decode(b"".join(clear)))
            clear = []
        result.append(piece.hidden)
    if clear:
        result.append(decode(b"".join(clear)))
    return tuple(result)
