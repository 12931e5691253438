"""Other ways to write the name of a person: without its accents, with other signs in it or none, within a longer word,
or in base64 or hexadecimal.

A name that says little is also found by chance, and is not looked for in these: `LEAST`, `_SURE` and `_LONG` say
how much.
"""

import re
import unicodedata
from base64 import b64encode
from collections.abc import Collection, Iterable, Iterator
from typing import Final, NamedTuple

from policies.redaction.echoes.comparing import LETTER, LOWER, SIGNS, aligned, compared, is_edge, weight

LEAST: Final = 5 * LETTER
"""What a name has to say in order to be looked for in other spellings: five Latin letters."""

_SURE: Final = 8 * LETTER
"""From here on no sign has to be where the name has one."""
_LONG: Final = 12 * LETTER
"""From here on no word has to end where the name does, unless it is one plain word: `u-mallory2` is another user."""

_LETTERS_MAX: Final = 1024
_GAP_MAX: Final = 3
_REFUSED_MAX: Final = 1024
# Halves of characters, too: they are no UTF-8.
_MARKS: Final = re.compile("[\u0300-\u036f\ud800-\udfff]")
_PLAIN: Final = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th"})  # noqa: RUF001
_DIGRAPHS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_STANDARD: Final = str.maketrans("-_", "+/")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/=]")


def letters(text: str) -> bytes:
    """The letters and digits of `text` without accents, case, width and signs, as UTF-8."""
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold())).translate(_PLAIN)
    return compared(text)


def letters_of_plain(text: str) -> str:
    """As `letters`, of ASCII."""
    return text.encode().translate(LOWER, SIGNS).decode()


class _Code(NamedTuple):
    """A name within base64 or hexadecimal: the part of the code that is its own, and how many characters before and
    behind it are partly its own.
    """

    text: str
    before: int = 0
    behind: int = 0


class Spelling:
    """One name, as it is looked for in other spellings."""

    __slots__ = ("_bounds", "_joins", "_loose", "codes", "data", "needles")

    def __init__(self, name: str, codes: tuple[_Code, ...] = ()) -> None:
        self.data = letters(name)
        self.codes = codes
        self._bounds = set(_gaps(name, len(self.data)))
        sure = weight(self.data) >= _SURE
        is_mixed = not self.data.isalpha() and not self.data.isdigit()
        self._joins = weight(self.data) >= _LONG and (bool(self._bounds) or (self.data.isascii() and is_mixed))
        self._loose = sure and not self.data.isdigit()
        self.needles = (self.data.decode(), *dict.fromkeys([letters_of_plain(code.text) for code in codes]))

    def spans(self, text: str, places: tuple[list[int], list[int]], data: bytes) -> Iterator[tuple[int, int]]:
        """Where `text` has it, whose letters are `data`, and where these are: `places`."""
        refused, at, size = 0, data.find(self.data), len(self.data)
        while at >= 0:
            start, end = places[0][at], places[1][at + size - 1]
            if refused > _REFUSED_MAX:
                yield start, len(text)  # nobody writes so: it is not looked through any further
                return
            if self._ends(text, start, end) and self._fits(places, at):
                yield start, end
                at = data.find(self.data, at + size)
            else:
                refused += 1
                at = data.find(self.data, at + 1)

    def _ends(self, text: str, start: int, end: int) -> bool:
        return (start == 0 or self._ends_between(text[start - 1], text[start])) and (
            end == len(text) or self._ends_between(text[end], text[end - 1])
        )

    def _ends_between(self, outer: str, inner: str) -> bool:
        return is_edge(outer, inner) or (self._joins and not (outer.isdigit() and inner.isdigit()))

    def _fits(self, places: tuple[list[int], list[int]], at: int) -> bool:
        """Whether the signs within stand where the name may have some, and are few."""
        starts, ends = places
        for number in range(at, at + len(self.data) - 1):
            gap = starts[number + 1] - ends[number]
            if gap > 0 and (gap > _GAP_MAX or not (self._loose or number + 1 - at in self._bounds)):
                return False
        return True


def spellings_of(name: str, folded: str) -> tuple[Spelling, ...]:
    """How `name` may be spelled, that compares as `folded` does; nothing for one that says too little."""
    data = letters(folded)
    if len(data) > _LETTERS_MAX or weight(data) < LEAST:
        return ()
    spelling = Spelling(folded, tuple(_codes(dict.fromkeys((name.strip(), name.strip().lower(), folded)))))
    german = folded.translate(_DIGRAPHS)
    return (spelling,) if german == folded else (spelling, Spelling(german))


def spelled(text: str, spellings: Collection[Spelling]) -> list[tuple[int, int]]:
    """Where `text` has one of them, in characters; in no order."""
    found: list[tuple[int, int]] = []
    data = letters(text)
    present = [spelling for spelling in spellings if spelling.data in data]
    if present:
        places = aligned(text, letters, len(data))
        for spelling in present:
            found += spelling.spans(text, places, data)
    standard = text.translate(_STANDARD)
    for code in [code for spelling in spellings for code in spelling.codes]:
        found += _coded(standard, code)
    return found


def _coded(text: str, code: _Code) -> Iterator[tuple[int, int]]:
    at = text.find(code.text)
    while at >= 0:
        start, end = at, at + len(code.text)
        if code.before and start and _BASE64.match(text, start - 1):
            start -= 1
        while code.behind and end < min(at + len(code.text) + code.behind, len(text)) and _BASE64.match(text, end):
            end += 1
        yield start, end
        at = text.find(code.text, at + len(code.text))


def _codes(names: Iterable[str]) -> Iterator[_Code]:
    """`names` in hexadecimal, and in base64 behind any number of bytes."""
    for name in names:
        data = name.encode("utf-8", "replace")
        yield _Code(data.hex())
        yield _Code(data.hex().upper())
        for shift in range(3):
            # What it shares with what is before and behind it tells it not: the characters between are its own.
            first, last = (8 * shift + 5) // 6, 8 * (shift + len(data)) // 6
            text = b64encode(bytes(shift) + data).decode()
            yield _Code(text[first:last], min(shift, 1), 3)


def _gaps(name: str, size: int) -> Iterator[int]:
    starts, ends = aligned(name, letters, size)
    for number, (end, start) in enumerate(zip(ends, starts[1:], strict=False), 1):
        if start > end:
            yield number
