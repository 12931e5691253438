"""How texts are compared: by their letters and digits alone, with case, width and escapes folded, and by what they say.

Blanks, line breaks, signs and invisible characters tell no two texts apart, and neither does the way in which they are
escaped. What is compared is UTF-8, in which a character takes the more bytes the more it says.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import chain, repeat
from typing import Final, TypeAlias

from policies.redaction.echoes.invisible import FILLERS

LETTER: Final = 4
"""The information of a Latin letter or a digit, in the unit of `weight`."""

LAYERS_MAX: Final = 3
"""Layers of escapes that are opened."""

_CHARACTERS_MAX: Final = 8192
"""Characters that are remembered with what they are: those of a language are few."""

SEPARATOR: Final = "\x00"
"""Stands between texts that are compared in one go; no text may hold it."""

END: Final = b"\xff"
"""Stands between their compared forms: no UTF-8 has it."""

LOWER: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", b"abcdefghijklmnopqrstuvwxyz")
SIGNS: Final = bytes(byte for byte in range(0x80) if not chr(byte).isalnum())
_SEPARATED: Final = LOWER.replace(SEPARATOR.encode(), END, 1)
_SIGNS_BUT_SEPARATORS: Final = SIGNS.replace(SEPARATOR.encode(), b"")
_FOREIGN_SIGNS: Final = re.compile(rf"(?:[^\w\x00-\x7f]|[{FILLERS}])+")
# What mail writes in hexadecimal (RFC 2045): the signs of names, letters beyond ASCII, and ends of lines within a word.
# Any other `=42` is more likely a number, and so is `status_code=403`, with which many a gateway begins its errors: a
# word of its own with nothing behind it that could go on an address.
_STATUS_NAMES: Final = "|".join(rf"(?<=(?<![\w.+-]){name}=40)" for name in ("status_code", "statusCode", "status"))
_HTTP_STATUS: Final = rf"(?:{_STATUS_NAMES})[0-9](?=[,;:)\]}}'\"]|\.?(?:[ \t\r\n]|\Z))"
_QUOTED_PRINTABLE: Final = (
    rf"=(?:(?:2[BDEF]|3[AD]|40(?!{_HTTP_STATUS})|5F)(?=\w)|[CD][0-9A-F]=[89AB][0-9A-F]"
    r"|E[0-9A-F](?:=[89AB][0-9A-F]){2}|\r?\n(?=\w))"
)
_QUOTED: Final = re.compile(rf"{_QUOTED_PRINTABLE}|(?:=[2-9A-F][0-9A-F]){{3}}")
# Repeats are bounded: a text of nothing but backslashes is walked once, not once a backslash.
_ESCAPES: Final = re.compile(
    r"(?:\\{1,8}u[0-9A-Fa-f]{4})+|(?:\\{1,8}u\{[0-9A-Fa-f]{1,6}\})+|(?:\\{1,8}U[0-9A-Fa-f]{8})+"
    r"|(?:\\{1,8}x[0-9A-Fa-f]{2})+|(?:\\{1,8}[0-3][0-7]{2})+|\\{1,8}[nrtbfv\"'/]"
    r"|(?:%[0-9A-Fa-f]{2})+|(?:%u[0-9A-Fa-f]{4})+|(?:=[2-9A-F][0-9A-F]){3,}"
    r"|&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,8});"
    r"|\x1b\[[0-9;]{0,16}[A-Za-z]|</?[A-Za-z][A-Za-z0-9]{0,15}(?: [^<>]{0,64})?/?>"
    rf"|{_QUOTED_PRINTABLE}"
)
_TAG: Final = re.compile("</?[A-Za-z]")
_UNITS: Final = re.compile(r"[0-9A-Fa-f]+")
_PICTURES: Final = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
_KATAKANA: Final = re.compile("[\u30a1-\u30f6\u30fd\u30fe]")
_TO_HIRAGANA: Final = {code: code - 0x60 for code in (*range(0x30A1, 0x30F7), 0x30FD, 0x30FE)}
WITHOUT_BLANKS: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]"
)
"""A letter of a script that puts no blanks between words."""

_SURROGATES: Final = re.compile("[\ud800-\udfff]")
# First code point above each script's range, and the information of one of its letters. Scripts without vowels, or
# with a sign a syllable or a word, say more a letter.
_SCRIPTS: Final = (
    (0x0370, LETTER),  # Latin
    (0x0590, 5),  # Greek, Cyrillic, Armenian
    (0x1000, 6),  # Hebrew, Arabic, the scripts of India, Thai, Lao, Tibetan
    (0x1100, 5),  # Georgian, Burmese
    (0x1200, LETTER),  # single letters of Hangul
    (0x1E00, 6),  # Ethiopic, Khmer, Mongolian
    (0x2600, LETTER),  # Latin with many accents, Greek of old
    (0x2C00, 8),  # pictures
    (0x2E80, LETTER),
    (0x3040, 10),  # parts of Han characters
    (0x3130, 7),  # hiragana, katakana, bopomofo
    (0x3190, LETTER),
    (0xA000, 10),  # Han
    (0xAC00, 6),
    (0xD7B0, 9),  # Hangul by the syllable
    (0xF900, 6),
    (0xFB00, 10),
    (0x1F000, 6),
    (0x20000, 8),  # pictures
    (0x110000, 10),
)


class _Weights(dict[str, int]):
    def __missing__(self, char: str) -> int:
        code = ord(char)
        self[char] = found = next(each for limit, each in _SCRIPTS if code < limit)
        return found


_WEIGHTS: Final = _Weights()


def compared(text: str) -> bytes:
    """The letters and digits of `text` (NFKC, case folded) as UTF-8, nothing between them."""
    if not text.isascii():
        text = _FOREIGN_SIGNS.sub("", in_hiragana(unicodedata.normalize("NFKC", text).casefold()))
    return text.encode().translate(LOWER, SIGNS)


def compared_all(texts: str) -> bytes:
    """As `compared`, of texts with a separator between them: with `END` between their compared forms."""
    if not texts.isascii():
        texts = _FOREIGN_SIGNS.sub("", in_hiragana(unicodedata.normalize("NFKC", texts).casefold()))
    return texts.encode().translate(_SEPARATED, _SIGNS_BUT_SEPARATORS)


def pictured(text: str) -> bytes:
    """The pictures of `text` as UTF-8, nothing between them: what `compared` leaves out, and may say a lot."""
    return "".join(_PICTURES.findall(text)).encode()


def in_hiragana(text: str) -> str:
    """`text` (NFKC) with katakana as the hiragana of the same sounds, letter for letter."""
    return text.translate(_TO_HIRAGANA) if _KATAKANA.search(text) else text


def weight(data: bytes) -> int:
    """How much compared text says: 4 a Latin letter or digit, 5 to 9 a letter of other scripts, 10 a Han character."""
    if data.isascii():
        return LETTER * len(data)
    return sum(map(_WEIGHTS.__getitem__, data.decode()))


def escapes_may_be(text: str) -> bool:
    """Whether there may be something to open in `text`."""
    return (
        "\\" in text
        or "%" in text
        or "&" in text
        or "\x1b" in text
        or ("=" in text and _QUOTED.search(text) is not None)
        or ("<" in text and _TAG.search(text) is not None)
    )


def opened(text: str) -> str | None:
    """`text` with one layer of backslash, percent and entity escapes opened; None when there is none."""
    if not escapes_may_be(text):
        return None
    found, number = _ESCAPES.subn(_open, text)
    return found if number else None


@lru_cache(maxsize=1024)
def _opened_escape(escape: str) -> str:
    if escape[0] == "&":
        return _sound(html.unescape(escape))
    if escape[0] in "\x1b<":
        return " "  # how a terminal or a browser shows it
    if escape[0] in "%=" and escape[1] != "u":
        return bytes.fromhex(escape.replace(escape[0], "")).decode("utf-8", "replace")
    return _opened_backslashes(escape.replace("\\", "").replace("%", ""))


def _opened_backslashes(digits: str) -> str:
    """What `digits` stand for, without the backslashes: `u00e9u00e8`, `U0001f600`, `u{e9}`, `xc3xa9`, `303251`."""
    if digits[:2] == "u{" or (digits[0] == "U" and len(digits) > 1):
        return _sound("".join([chr(min(int(code, 16), 0x10FFFF)) for code in _UNITS.findall(digits)]))
    if digits[0] == "u" and len(digits) > 1:
        units = bytes.fromhex(digits.replace("u", ""))
        return units.decode("utf-16-be", "replace")
    if digits[0].isdigit():
        return _decoded(bytes([int(digits[at : at + 3], 8) for at in range(0, len(digits), 3)]))
    if digits[0] == "x" and len(digits) > 1:
        return _decoded(bytes.fromhex(digits.replace("x", "")))
    return "\n" if digits in ("n", "r") else " "


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _open(match: re.Match[str]) -> str:
    return _opened_escape(match[0])


def _sound(text: str) -> str:
    return _SURROGATES.sub("\ufffd", text)


_Escape: TypeAlias = tuple[int, int, int]


class UnescapedText:
    """One way to read a text: as it is, or with escapes opened; `origin` leads back to the text."""

    __slots__ = ("_escapes", "_underlying", "text")

    def __init__(self, text: str, underlying: "UnescapedText | None" = None) -> None:
        self.text = text
        self._underlying = underlying
        self._escapes: list[_Escape] | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the text that these characters of this reading stand for."""
        if self._underlying is None:
            return start, end
        if self._escapes is None:
            self._escapes = list(_escapes(self._underlying.text))
        return self._underlying.origin(*_before_opening(self._escapes, start, end))

    def escape_ends(self) -> Iterator[int]:
        """Where in `text` a stretch of the escapes ends that were opened for it, and no letter follows."""
        source = "" if self._underlying is None else self._underlying.text
        shift = 0
        for match in _ESCAPES.finditer(source):
            end = match.end()
            shift += end - match.start() - len(_opened_escape(match[0]))
            if end == len(source) or not source[end].isalnum():
                yield end - shift


class Comparison:
    """What `form` leaves of a reading, and where each part of it stands: worked out when it is first asked for."""

    __slots__ = ("_edges", "_form", "_reading", "data")

    def __init__(self, reading: UnescapedText, form: Callable[[str], bytes] = compared) -> None:
        self.data = form(reading.text)
        self._form = form
        self._reading = reading
        self._edges: tuple[list[int], list[int]] | None = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The characters of the text that `data[start:end]` stands for, rounded outwards."""
        if self._edges is None:
            self._edges = aligned(self._reading.text, self._form, len(self.data))
        starts, ends = self._edges
        return self._reading.origin(starts[start], ends[end - 1])


def opened_readings(text: str) -> Iterator[UnescapedText]:
    """`text` as it is, then with one layer of escapes opened after the other."""
    reading = UnescapedText(text)
    yield reading
    for _ in range(LAYERS_MAX):
        further = opened(reading.text)
        if further is None:
            return
        reading = UnescapedText(further, reading)
        yield reading


def holds_marks(text: str) -> bool:
    """Whether a character of `text` belongs to the one before it."""
    return any(map(_joins, text))


def clusters(text: str) -> Iterator[tuple[int, int]]:
    """Each character of `text` with the marks that belong to it."""
    return _clusters(text) if holds_marks(text) else zip(range(len(text)), range(1, len(text) + 1), strict=True)


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for at in range(1, len(text)):
        char = text[at]
        if char.isascii() or not _joins(char):
            yield start, at
            start = at
    if text:
        yield start, len(text)


def is_edge(outer: str, inner: str) -> bool:
    """Whether a word ends between two characters; scripts that put no blanks between words end anywhere."""
    return not (outer.isalnum() and inner.isalnum()) or WITHOUT_BLANKS.match(inner) is not None


@lru_cache(maxsize=_CHARACTERS_MAX)
def _joins(char: str) -> bool:
    return unicodedata.combining(char) != 0 or "\u1160" <= char <= "\u11ff" or char in "\uff9e\uff9f"


@lru_cache(maxsize=_CHARACTERS_MAX)
def _size_of(form: Callable[[str], bytes], char: str) -> int:
    """How many bytes one character is compared by."""
    return len(form(char))


def aligned(text: str, form: Callable[[str], bytes], size: int) -> tuple[list[int], list[int]]:
    """For each of the `size` bytes that `text` is compared by, where its character begins and ends."""
    if text.isascii():
        starts = [at for at, char in enumerate(text) if char.isalnum()]
        return starts, [at + 1 for at in starts]
    starts: list[int] = []
    ends: list[int] = []
    if not holds_marks(text):
        starts += chain.from_iterable(map(repeat, range(len(text)), map(_size_of, repeat(form), text)))
        ends += [at + 1 for at in starts]
    else:
        for start, end in clusters(text):
            length = len(form(text[start:end]))
            starts += [start] * length
            ends += [end] * length
    if len(starts) == size:
        return starts, ends
    # Composed otherwise as a whole than in parts: the position is unknown, so all of it counts.
    return [0] * size, [len(text)] * size


def _escapes(text: str) -> Iterator[_Escape]:
    """Where the escapes of `text` begin and end, and how long each is when it is opened."""
    for match in _ESCAPES.finditer(text):
        yield *match.span(), len(_opened_escape(match[0]))


def _before_opening(escapes: Iterable[_Escape], start: int, end: int) -> tuple[int, int]:
    """The span of a text with these escapes that `start:end` of its opened form stands for, rounded outwards; `start`
    is before `end`.
    """
    low = high = -1
    shift = 0  # how much longer the text is than its opened form, up to the escape that is looked at
    for first, last, size in escapes:
        at = first - shift
        if low < 0 and start < at + size:
            low = min(start + shift, first)
        if end <= at + size:
            high = last if end > at else end + shift
            break
        shift += last - first - size
    return (start + shift if low < 0 else low), (end + shift if high < 0 else high)
