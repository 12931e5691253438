"""Echoes: what of an error text the report's own content says too.

Both are compared by their letters and digits (`comparing`). A run counts from the information of 15 Latin letters or 6
Han characters on; a string of the content that is shorter counts as a whole, from 7 Latin letters or 3 Han characters.
Identifiers of the request are no content (`identifiers`).
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import compress, islice
from typing import Final

from policies.redaction.echoes.beginnings import beginnings
from policies.redaction.echoes.blocks import BLOCK_BYTES, candidates, pieces
from policies.redaction.echoes.comparing import (
    END,
    LETTER,
    SEPARATOR,
    Comparison,
    compared,
    compared_all,
    is_edge,
    opened,
    opened_readings,
    pictured,
    weight,
)
from policies.redaction.echoes.identifiers import (
    IDENTIFIERS_MAX,
    as_sentence,
    in_words,
    is_call_id,
    is_model,
    made_ids,
    occurrences,
    without,
)
from policies.redaction.echoes.persons import Persons
from policies.redaction.normalization import decode, encode

RUN_LETTERS: Final = 15
"""Latin letters of the shortest run that is an echo: with the blanks between its words, about 18 characters."""

FULL_TEXT_LETTERS: Final = 7
"""Latin letters of the shortest string that is an echo as a whole."""

_RUN_WEIGHT: Final = RUN_LETTERS * LETTER
_FULL_TEXT_WEIGHT: Final = FULL_TEXT_LETTERS * LETTER
_RUN_BYTES: Final = RUN_LETTERS  # no character says more a byte than a Latin letter does
_REACH_BYTES: Final = BLOCK_BYTES + BLOCK_BYTES // 2
_FULL_TEXT_CHARS_MAX: Final = 256
_FEW_CANDIDATES: Final = 64
_FEW_STRINGS: Final = 64
_CHECKED_WINDOWS: Final = 64
_IDENTIFIER_CHARS_MIN: Final = 3  # the parameter `n` is a letter of any prompt, and would part its run
_GROWTH_MAX: Final = 4  # bytes per character: what UTF-8 takes at most
_MARK: Final = b"[redacted:content-echo]"
_NO_PERSONS: Final = Persons(())

Spans = list[tuple[int, int]]


class ContentIndex:
    """What a report says elsewhere; costs nothing until an error text is held against it.

    `strings` are its content, `identifiers` the names that are none. `persons` are looked for by `person_spans`.
    Time and memory are linear in the content and in the text: a run of 15 bytes holds one whole block of 8 that starts
    at a multiple of 8, so the content is walked block by block, and only what the text holds too is looked at closer.
    """

    __slots__ = ("_data", "_identifiers", "_pictures", "_shorts", "_strings", "_words", "persons")

    def __init__(self, strings: Iterable[str], identifiers: Iterable[str] = (), persons: Persons = _NO_PERSONS) -> None:
        self._strings = tuple(strings)
        self._identifiers = tuple(dict.fromkeys(identifiers))[:IDENTIFIERS_MAX]
        self._data: bytes | None = None
        self._shorts: Collection[bytes] | None = None
        self._pictures: tuple[bytes, Collection[bytes]] | None = None
        self._words: str | None = None
        self.persons = persons

    @property
    def is_empty(self) -> bool:
        """Whether there is no content to be echoed."""
        return not self._strings

    def spans(self, text: str) -> Spans:
        """Byte spans (UTF-8) of `text` that echo the content; in order, joined."""
        if not self._strings or not text:
            return []
        found: Spans = []
        for reading in opened_readings(text):
            comparison = Comparison(reading)
            if len(comparison.data) > _GROWTH_MAX * len(reading.text):
                # Nothing but signs that stand for whole phrases: to compare it would take too long.
                return [(0, len(encode(text)))]
            found += self._echoes(text, comparison, self._content, self._short_texts)
            if not reading.text.isascii() and weight(pictured(reading.text)) >= _FULL_TEXT_WEIGHT:
                found += self._echoes(
                    text, Comparison(reading, pictured), lambda: self._pictured()[0], lambda: self._pictured()[1]
                )
            found += beginnings(text, reading, self._content())
        if not found:
            return []
        exempt = self._exempt(text)
        if exempt:
            found = [part for span in found for part in _outside(text, span, exempt)]
        return list(_byte_spans(text, _joined(found)))

    def person_spans(self, text: str) -> Spans:
        """Byte spans (UTF-8) of `text` that name a person of the report; in order, joined."""
        return self.persons.byte_spans(text)

    def masked_label(self, text: str) -> str:
        """The name of something with a mark in place of each echo; one that has the form of a name says nothing more.

        Unless it is a sentence that the content says too.
        """
        if not self._strings or (is_model(text) and not self._is_sentence(text)):
            return text
        data, last = encode(text), 0
        parts: list[bytes] = []
        for start, end in self.spans(text):
            parts += (data[last:start], _MARK)
            last = end
        return decode(b"".join((*parts, data[last:])))

    def _echoes(
        self, text: str, comparison: Comparison, content: Callable[[], bytes], shorts: Callable[[], Collection[bytes]]
    ) -> Iterator[tuple[int, int]]:
        """Character spans of the text that one reading of it shows to be echoes."""
        data = comparison.data
        if len(data) >= _RUN_BYTES:
            for span in _run_spans(data, content()):
                yield comparison.origin(*span)
        for span in _full_text_spans(data, shorts()):
            start, end = comparison.origin(*span)
            if _stands_alone(text, start, end):
                yield start, end

    # What the text is held against -----------------------------------------------------------------------------------

    def _content(self) -> bytes:
        """All strings as they are compared, in one; with their escapes opened too."""
        if self._data is None:
            joined = SEPARATOR.join([text.replace(SEPARATOR, "") for text in self._strings])
            forms = [compared_all(joined)]
            further = opened(joined)
            if further is not None:
                forms.append(compared_all(further))
            self._data = _padded(END.join(forms))
        return self._data

    def _short_texts(self) -> Collection[bytes]:
        """Strings that are an echo as a whole."""
        if self._shorts is None:
            self._shorts = frozenset(_short_strings(self._strings))
        return self._shorts

    def _pictured(self) -> tuple[bytes, Collection[bytes]]:
        """The pictures of all strings, in one, and those of short strings."""
        if self._pictures is None:
            strings = [pictured(opened(text) or text) for text in self._strings]
            shorts = [
                data for data in strings if len(data) < _FULL_TEXT_CHARS_MAX and weight(data) >= _FULL_TEXT_WEIGHT
            ]
            self._pictures = _padded(END.join(strings)), frozenset(shorts)
        return self._pictures

    # Identifiers -----------------------------------------------------------------------------------------------------

    def _exempt(self, text: str) -> Spans:
        """Character spans of `text` that are identifiers; in order, joined."""
        found = list(made_ids(text))
        for identifier in self._identifiers:
            if len(identifier) >= _IDENTIFIER_CHARS_MIN and identifier in text and not self._is_sentence(identifier):
                found.extend(occurrences(text, identifier))
        return _joined(found)

    def _is_sentence(self, identifier: str) -> bool:
        sentence = as_sentence(identifier)
        if sentence:
            if self._words is None:
                self._words = in_words(self._strings)
            if sentence in self._words:
                return True
        # Of a tool call's id the letters are looked for, since nothing parts its words.
        return is_call_id(identifier) and compared(identifier.rpartition("_")[2]) in self._content()


def _padded(data: bytes) -> bytes:
    """`data` in whole blocks, none of which ends with it."""
    return data + END * (BLOCK_BYTES - len(data) % BLOCK_BYTES)


def _run_spans(data: bytes, content: bytes) -> Iterator[tuple[int, int]]:
    """Spans of a compared text that are runs of the content, and say enough."""
    positions = candidates(data, content)
    echoed = _echoed(data, content, islice(positions, _FEW_CANDIDATES))
    rest = list(positions)
    if rest:
        echoed |= _echoed_of_many(data, content, rest)
    for start, end in _runs(data, echoed):
        if data.isascii():
            yield start, end
        else:
            yield from _telling(data, *_full_characters(data, start, end), content)


def _full_text_spans(data: bytes, shorts: Collection[bytes]) -> Iterator[tuple[int, int]]:
    """Spans of a compared text that are short strings of the content."""
    for short in _present(data, shorts):
        at = data.find(short)
        while at >= 0:
            yield at, at + len(short)
            at = data.find(short, at + len(short))


def _echoed(data: bytes, content: bytes, positions: Iterable[int]) -> set[bytes]:
    """The windows of the text that the content holds around its blocks at `positions`.

    A block is looked at closer only when it goes on to one side of it as the text does: of the 7 bytes that a run adds,
    4 are there.
    """
    seen: set[bytes] = set()
    for at in positions:
        if content[at : at + _REACH_BYTES] in data or _before(content, at) in data:
            seen.update(_around(content, at))
    return {window for window in seen if window in data}


def _echoed_of_many(data: bytes, content: bytes, positions: list[int]) -> set[bytes]:
    """As `_echoed`, with all reaches and windows of the text in sets."""
    reaches = {data[at : at + _REACH_BYTES] for at in range(len(data) - _REACH_BYTES + 1)}
    positions = [
        at for at in positions if content[at : at + _REACH_BYTES] in reaches or _before(content, at) in reaches
    ]
    windows = {data[at : at + _RUN_BYTES] for at in range(len(data) - _RUN_BYTES + 1)}
    echoed: set[bytes] = set()
    for some in pieces(positions):
        for shift in range(BLOCK_BYTES):
            around = [content[at - shift : at - shift + _RUN_BYTES] for at in some if at >= shift]
            echoed |= windows.intersection(around)
    return echoed


def _before(content: bytes, at: int) -> bytes:
    return content[max(0, at + BLOCK_BYTES - _REACH_BYTES) : at + BLOCK_BYTES]


def _around(content: bytes, at: int) -> list[bytes]:
    """The windows of `content` that hold its block at `at` whole."""
    first = max(0, at + BLOCK_BYTES - _RUN_BYTES)
    return [content[start : start + _RUN_BYTES] for start in range(first, at + 1)]


def _runs(data: bytes, echoed: set[bytes]) -> Iterator[tuple[int, int]]:
    """Spans of `data` that its echoed windows cover, joined."""
    if not echoed:
        return
    start = end = -1
    for at in _positions_of_windows(data, echoed):
        if at > end:
            if end > start:
                yield start, end
            start = at
        end = at + _RUN_BYTES
    if end > start:
        yield start, end


def _positions_of_windows(data: bytes, echoed: set[bytes]) -> Iterator[int]:
    for positions in pieces(range(len(data) - _RUN_BYTES + 1)):
        windows = [data[at : at + _RUN_BYTES] for at in positions]
        yield from compress(positions, map(echoed.__contains__, windows))


def _full_characters(data: bytes, start: int, end: int) -> tuple[int, int]:
    """`start:end` without the parts of characters at its sides."""
    while start < end and _goes_on(data[start]):
        start += 1
    while end > start and end < len(data) and _goes_on(data[end]):
        end -= 1
    return start, end


def _goes_on(byte: int) -> bool:
    return byte & 0xC0 == 0x80


def _telling(data: bytes, start: int, end: int, content: bytes) -> Iterator[tuple[int, int]]:
    """The parts of a run that say enough in one piece of the content; a long one is taken as it is."""
    windows: set[tuple[int, int]] = set()
    for window in _shortest(data, start, end):
        windows.add(window)
        if len(windows) > _CHECKED_WINDOWS:
            yield start, end
            return
    for low, high in sorted(windows):
        if content.find(data[low:high]) >= 0:
            yield low, high


def _shortest(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Stretches that say enough, and no more than that: the shortest one to and from each character."""
    edges = [start]
    weights: list[int] = []
    first = total = 0
    while edges[-1] < end:
        last = len(weights)
        edges.append(_next_character(data, edges[-1]))
        weights.append(more := weight(data[edges[-2] : edges[-1]]))
        total += more
        while total >= _RUN_WEIGHT:
            yield edges[first], edges[last + 1]
            total -= weights[first]
            first += 1
        if first:
            yield edges[first - 1], edges[last + 1]


def _next_character(data: bytes, at: int) -> int:
    at += 1
    while at < len(data) and _goes_on(data[at]):
        at += 1
    return at


def _short_strings(strings: Iterable[str]) -> Iterator[bytes]:
    """Strings that are too short to hold a run, and long enough to be recognised."""
    for text in set(strings):
        if len(text) > _FULL_TEXT_CHARS_MAX:
            continue
        data = compared(text)
        if weight(data) >= _FULL_TEXT_WEIGHT and (not data.isascii() or len(data) < _RUN_BYTES):
            yield data
        further = opened(text)
        if further is not None and weight(data := compared(further)) >= _FULL_TEXT_WEIGHT:
            yield data


def _present(data: bytes, shorts: Collection[bytes]) -> Iterator[bytes]:
    """Those of `shorts` that are in `data`."""
    if len(shorts) <= _FEW_STRINGS:
        yield from [short for short in shorts if short in data]
        return
    by_size: dict[int, set[bytes]] = {}
    for short in shorts:
        by_size.setdefault(len(short), set()).add(short)
    for size, some in by_size.items():
        yield from some.intersection([data[at : at + size] for at in range(len(data) - size + 1)])


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether it is words, and not parts of words, that stand at `start:end`."""
    return (start == 0 or is_edge(text[start - 1], text[start])) and (
        end == len(text) or is_edge(text[end], text[end - 1])
    )


def _outside(text: str, span: tuple[int, int], exempt: Spans) -> Spans:
    """What of an echo is no identifier: nothing, when that alone would not be an echo."""
    parts = without(span, exempt)
    if parts == [span]:
        return parts
    texts = [(part, compared(opened(text[slice(*part)]) or text[slice(*part)])) for part in parts]
    if sum(weight(data) for _, data in texts) < _RUN_WEIGHT:
        return []
    return [part for part, data in texts if data]


def _joined(spans: Spans) -> Spans:
    joined: Spans = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _byte_spans(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    last = at = 0
    for start, end in spans:
        low = at + len(encode(text[last:start]))
        at = low + len(encode(text[start:end]))
        last = end
        yield low, at
