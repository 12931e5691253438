"""What a report itself names as a person's: looked for in the other texts of that report, and personal there too."""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import lru_cache
from typing import Final, TypeAlias

from policies.redaction.echoes.comparing import (
    UnescapedText,
    clusters,
    escapes_may_be,
    holds_marks,
    in_hiragana,
    is_edge,
    opened_readings,
)
from policies.redaction.echoes.invisible import INVISIBLE, all_visible, visible, with_plain_dashes
from policies.redaction.echoes.spellings import Spelling, letters, letters_of_plain, spelled, spellings_of
from policies.redaction.normalization import encode

PERSON_RULE: Final = "reported-person"
"""The rule that a span is taken out by because its report says that it is a person's."""

VALUES_MAX: Final = 64
"""Values of one report that are looked for."""

_MARK: Final = f"[redacted:{PERSON_RULE}]"
# Such a value is also a word or a figure. It is a person's where somebody names it as one: `user=1`, `'a'`, `budget:1`,
# `user 1`.
_SHORT: Final = re.compile(r"[a-z0-9]{1,2}|[0-9]{3}", re.ASCII)
_OPENING: Final = frozenset("=:\"'`([{</#@|\u201c\u2018\u00ab")
_NAMING: Final = "(?:user|customer|client|member|employee|person|subject|owner|id|named?|benutzer|nutzer|kunde)"
_TITLE: Final = re.compile(rf"{_NAMING}[ \t]{{1,3}}\Z")
_TITLE_OR_KEY: Final = re.compile(rf"{_NAMING}[ \t:=]{{1,3}}\Z")
_TITLE_CHARS: Final = 16
# What a repr or JSON puts before these, once or more often, and where a line is wrapped, also after breaks of lines
# were made blanks. Repeats are bounded.
_ESCAPING: Final = re.compile(r"\\{1,16}(?=[\"'/\\])|(?<=[^\s])\r?\n[ \t]{0,16}(?=[^\s])|(?<=\w[-_@])[ ]{1,16}(?=\w)")
# The last of these, by a sign that few texts have: the others are recognised by what a place in a text holds.
_WRAPPED: Final = re.compile(r"[-_@](?<=\w[-_@]) {1,16}(?=\w)")
_APOSTROPHES: Final[dict[int, str]] = dict.fromkeys(
    (0x00B4, 0x02B9, 0x02BC, 0x02BD, 0x2018, 0x2019, 0x201B, 0x2032, 0xA78C), "'"
)
# In Turkish `I` and `İ` are two letters, and each has its small one.
_TURKISH: Final[dict[int, str | None]] = {0x0131: "i", 0x0307: None}
_PARTS: Final = re.compile(r"[\W_]+")
_COMMON_NAMES: Final = """
    admin administrator agent all anonymous any api app application backend base batch bot chat ci client cron
    customer debug default demo dev developer development eval example false frontend gateway gpt guest id internal
    job key live llm local localhost main master member model monitor name nil no none not null openai operator org
    other owner person playground prod production proxy public qa root sandbox server service set shared stage staging
    subject superuser support svc sys system task team temp test tester testing tests tmp true uat undefined unknown
    user username users web worker
"""
COMMON_WORDS: Final = frozenset(_COMMON_NAMES.split())
"""Words that are no person's, though many callers fill the user's id with them: `default_user_id`, `prod`, `admin`."""

_GLUE: Final = frozenset(" \t\r\n\u3000+")


class Persons:
    """The values of one report that its policy classes personal."""

    __slots__ = ("_firsts", "_names", "_spellings", "_unescaped", "_values")

    def __init__(self, values: Iterable[str | None]) -> None:
        found: dict[str, str] = {}
        for value in values:
            if value:
                found.setdefault(" ".join(fold(value).split()), value)
        found.pop("", None)
        self._names = found
        self._spellings: list[Spelling] | None = None
        self._values = tuple(found)[:VALUES_MAX]
        self._firsts = [value.partition(" ")[0] for value in self._values]
        self._unescaped = tuple([_ESCAPING.sub("", value) for value in self._values])

    def __bool__(self) -> bool:
        return bool(self._values)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where `text` names one, in characters; in order, joined."""
        return self._spans(text, _in_text)

    def byte_spans(self, text: str) -> list[tuple[int, int]]:
        """As `spans`, in bytes of UTF-8."""
        return [(len(encode(text[:start])), len(encode(text[:end]))) for start, end in self.spans(text)]

    def label_spans(self, text: str) -> list[tuple[int, int]]:
        """As `spans`, in the name of something else: a team called `prod` is no person's, although a user may be called
        `prod`.
        """
        return self._spans(text, _in_label)

    def masked(self, text: str) -> str:
        """`text` with a mark in place of each person that it names."""
        return _masked(text, self.spans(text))

    def masked_label(self, text: str) -> str:
        """As `masked`, for the name of something else."""
        return _masked(text, self.label_spans(text))

    def _spans(self, text: str, finder: "_Finder") -> list[tuple[int, int]]:
        if not self._values or not text:
            return []
        spellings = self._spelled()
        if is_plain(text) and not self._present(text.lower()) and not _may_be_in(text, spellings):
            return []
        found: list[tuple[int, int]] = []
        for reading in opened_readings(text):
            found += [reading.origin(*span) for span in spelled(reading.text, spellings)]
            found += [reading.origin(*span) for span in _named(reading.text, self._present, finder)]
            if _may_be_escaped(reading.text) and self._present_unescaped(fold(_ESCAPING.sub("", reading.text))):
                plain = _Unescaped(reading)
                spans = _named(plain.text, self._present_unescaped, finder, plain.breaks)
                found += [plain.origin(*span) for span in spans]
        return _joined(sorted(found))

    def _spelled(self) -> list[Spelling]:
        """The values in other spellings; made when they are first looked for."""
        if self._spellings is None:
            self._spellings = [one for value in self._values for one in spellings_of_person(self._names[value], value)]
        return self._spellings

    def _present(self, shown: str) -> list[str]:
        """The values whose first word is in a folded text."""
        return [value for value, first in zip(self._values, self._firsts, strict=True) if first in shown]

    def _present_unescaped(self, shown: str) -> list[str]:
        return [value for value in self._unescaped if value.partition(" ")[0] in shown]


@lru_cache(maxsize=1024)
def spellings_of_person(value: str, folded: str) -> tuple[Spelling, ...]:
    """Other spellings of a value that compares as `folded` does; none of a common word."""
    return () if _is_common(folded) else spellings_of(value, folded)


def plain_needles(value: str) -> tuple[str, tuple[str, ...]]:
    """What one of is in the letters and digits, in lower case, of every plain text that names `value`: its own letters,
    or those of a code.
    """
    folded = " ".join(fold(value).split())
    own = letters(folded).decode()
    codes = {needle for one in spellings_of_person(value, folded) for needle in one.needles}
    return own, tuple(codes - {own})


def _may_be_in(text: str, spellings: list[Spelling]) -> bool:
    shown = letters_of_plain(text) if spellings else ""
    return any(needle in shown for spelling in spellings for needle in spelling.needles)


def _named(
    text: str, present: Callable[[str], list[str]], finder: "_Finder", breaks: Collection[int] = ()
) -> Iterator[tuple[int, int]]:
    values = present(fold(text))
    if not values:
        return
    folded = _Folded(text, breaks)
    for value in values:
        for span in finder(folded, value):
            yield folded.origin(*span)


def _may_be_escaped(text: str) -> bool:
    """Whether there may be something in `text` that `_ESCAPING` removes."""
    return "\\" in text or "\n" in text or _WRAPPED.search(text) is not None


def is_plain(text: str) -> bool:
    """Whether to fold the text is to write it in lower case, and it holds neither an escape nor a wrapped word."""
    return (
        text.isascii()
        and text.isprintable()
        and not ("[" in text or "- " in text or "_ " in text or "@ " in text or escapes_may_be(text))
    )


def fold(text: str) -> str:
    """`text` without what tells no names apart: case, width, kinds of dashes and apostrophes, invisible characters."""
    if all_visible(text):
        return text.lower()
    text = unicodedata.normalize("NFKC", with_plain_dashes(visible(text)).translate(_APOSTROPHES))
    return in_hiragana(text.casefold().translate(_TURKISH))


_folded_character: Final = lru_cache(maxsize=8192)(fold)
"""Of single characters: in a text that holds a person each is folded by itself."""


class _Unescaped:
    """A reading without backslashes that escape a quote, a slash or a backslash, and without breaks of lines.

    `breaks` are the positions where something was left out.
    """

    __slots__ = ("_positions", "_reading", "_shifts", "breaks", "text")

    def __init__(self, reading: UnescapedText) -> None:
        self._reading = reading
        self._positions = [0]
        self._shifts = [0]
        parts: list[str] = []
        last = 0
        for match in _ESCAPING.finditer(reading.text):
            parts.append(reading.text[last : match.start()])
            last = match.end()
            self._shifts.append(self._shifts[-1] + last - match.start())
            self._positions.append(last - self._shifts[-1])
        self.text = "".join((*parts, reading.text[last:]))
        self.breaks = frozenset(self._positions)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the original text that these stand for."""
        return self._reading.origin(start + self._shift(start), end + self._shift(end - 1))

    def _shift(self, at: int) -> int:
        return self._shifts[bisect_right(self._positions, at) - 1]


class _Folded:
    """A folded text, and for each of its characters where it comes from."""

    __slots__ = ("_breaks", "_edges", "text")

    def __init__(self, text: str, breaks: Collection[int] = ()) -> None:
        self._edges: list[tuple[int, int]] | None = None
        self._breaks = breaks
        self.text = text.lower()
        if all_visible(text):
            return
        if INVISIBLE.search(text) is None and not holds_marks(text):
            characters = list(map(_folded_character, text))
            if all(len(character) == 1 for character in characters):  # as nearly every text
                self.text = "".join(characters)
                return
        positions = list(_visible(text))
        seen = "".join([text[at] for at in positions])
        parts: list[str] = []
        self._edges = []
        for start, end in clusters(seen):
            part = _folded_character(seen[start]) if end - start == 1 else fold(seen[start:end])
            parts.append(part)
            self._edges += [(positions[start], positions[end - 1] + 1)] * len(part)
        self.text = "".join(parts)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original text that `start:end` of the folded text stands for."""
        return (self._edges[start][0], self._edges[end - 1][1]) if self._edges else (start, end)

    def stands_alone(self, start: int, end: int) -> bool:
        """Whether words begin and end there: invisible characters may part them too."""
        return self._is_edge(start, 0) and self._is_edge(end, -1)

    def _is_edge(self, at: int, inner: int) -> bool:
        text = self.text
        if at in (0, len(text)):
            return True
        outside, inside = text[at - 1 - inner], text[at + inner]
        if is_edge(outside, inside) or (self._edges[at][0] if self._edges else at) in self._breaks:
            return True
        return self._edges is not None and self._edges[at - 1][1] < self._edges[at][0]


_Finder: TypeAlias = Callable[[_Folded, str], Iterator[tuple[int, int]]]


def _visible(text: str) -> Iterator[int]:
    last = 0
    for match in INVISIBLE.finditer(text):
        yield from range(last, match.start())
        last = match.end()
    yield from range(last, len(text))


def _in_text(folded: _Folded, value: str) -> Iterator[tuple[int, int]]:
    """Where a sentence names `value`."""
    short = _SHORT.fullmatch(value) is not None
    for start, end in _positions(folded, value):
        if not short or _is_named(folded.text, start, end):
            yield start, end


def _in_label(folded: _Folded, value: str) -> Iterator[tuple[int, int]]:
    """Where a name of something else names `value` for certain."""
    common = _is_common(value)
    for start, end in _positions(folded, value):
        if not common or _TITLE_OR_KEY.search(folded.text, max(0, start - _TITLE_CHARS), start):
            yield start, end


def _is_common(value: str) -> bool:
    return _SHORT.fullmatch(value) is not None or COMMON_WORDS.issuperset(filter(None, _PARTS.split(value)))


def _positions(folded: _Folded, value: str) -> Iterator[tuple[int, int]]:
    text = folded.text
    first, *others = value.split(" ")
    at = text.find(first)
    while at >= 0:
        end = _end_of(text, at + len(first), others)
        if end and folded.stands_alone(at, end):
            yield at, end
            at = text.find(first, end)
        else:
            at = text.find(first, at + 1)


def _end_of(text: str, end: int, others: list[str]) -> int:
    """Where the words that follow the first one end; 0 when it is something else that follows."""
    for word in others:
        begin = end
        while begin < len(text) and text[begin] in _GLUE:
            begin += 1
        if begin == end or not text.startswith(word, begin):
            return 0
        end = begin + len(word)
    return end


def _is_named(text: str, start: int, end: int) -> bool:
    if start == 0:
        return end == len(text)
    return text[start - 1] in _OPENING or _TITLE.search(text, max(0, start - _TITLE_CHARS), start) is not None


def _masked(text: str, spans: list[tuple[int, int]]) -> str:
    parts: list[str] = []
    last = 0
    for start, end in spans:
        parts += (text[last:start], _MARK)
        last = end
    return "".join((*parts, text[last:])) if parts else text


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
