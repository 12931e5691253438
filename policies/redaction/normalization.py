"""Other readings of the same bytes: compatibility forms folded, one layer of escapes opened.

A view keeps a map back, so that what is found in it is hidden in the original.
"""

import base64
import binascii
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator

Piece = tuple[int, int, int]  # bytes of a view, and the span of the original that they stand for

_INVISIBLE = (
    "\u00ad\u0300-\u036f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0"
)
# Beyond the first plane a class of single characters is walked one by one, so ranges are looked for, and `_fold`
# leaves what does not fold: mathematical letters, letters in squares and circles; tags and selectors are invisible.
_ASTRAL = "\U0001d400-\U0001d7ff\U0001f100-\U0001f16f\U000e0000-\U000e007f\U000e0100-\U000e01ef"
_FOLDING_RANGES = ((0xA0, 0x2100), (0x2100, 0x2500), (0x3000, 0x3400), (0xFB00, 0xFB07), (0xFE10, 0x10000),
                   (0x1D400, 0x1D800), (0x1F100, 0x1F170))  # fmt: skip


def _foldings() -> dict[str, str]:
    """Characters whose NFKC form is ASCII (full-width letters, mathematical alphabets), and digits, by that form."""
    folded: dict[str, str] = {}
    for first, last in _FOLDING_RANGES:
        for code in range(first, last):
            char = chr(code)
            form = unicodedata.normalize("NFKC", char)
            if form != char and form.isascii() and form.strip():
                folded[char] = form
    digits = {chr(code): unicodedata.decimal(chr(code), None) for code in range(0x660, 0xFF00)}
    folded.update({char: str(digit) for char, digit in digits.items() if digit is not None})
    folded.update(
        {"\u00a0": " ", "\u3000": " ", "\u2007": " ", "\u202f": " ", "\u3002": ".", "\u2010": "-", "\u2011": "-"}
    )
    return folded


class _Sizes(dict[str, int]):
    """Bytes of a character in UTF-8, counted once."""

    def __missing__(self, char: str) -> int:
        self[char] = size = len(encode(char))
        return size


_FOLDED = _foldings()
_TO_FOLD = re.compile(
    "[" + _INVISIBLE + "".join([re.escape(char) for char in _FOLDED if char < "\uffff"]) + _ASTRAL + "]"
)
_UTF8_BYTES = _Sizes()

# What a terminal shows in colour; the letter at its end would make the token after it another one.
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")
# What is left between letters where UTF-16 was read as bytes.
_WIDE = re.compile(r"(?<=[!-~])\x00(?=[!-~]\x00)|(?<=\x00[!-~])\x00(?=[!-~])")
_TO_FOLD_OF_ASCII = re.compile(f"{_COLOUR.pattern}|{_WIDE.pattern}")
# Cyrillic and Greek letters that look like Latin ones, among Latin letters and digits: `sk-\u043er-v1-...`.
# In a word of their own script they stay, for rules look for such words.
_LATIN = dict(
    zip(
        "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455\u04cf\u0501\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405"
        "\u03bf\u03c1\u03b1\u03bd\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7",
        "aBekmHopcTyxijsldABEKMHOPCTYXIJSopavABEZHIKMNOPTYX",
        strict=True,
    )
)
_TO_LATIN = str.maketrans(_LATIN)
_LOOKS_LATIN = re.compile("[" + "".join(_LATIN) + "]")
_OWN_SCRIPT = "\u0370-\u03ff\u0400-\u052f"
_TO_FOLD_MORE = re.compile(
    f"{_TO_FOLD.pattern}|{_TO_FOLD_OF_ASCII.pattern}"
    f"|(?:(?<=[A-Za-z0-9_-])|(?<![{_OWN_SCRIPT}])(?=[{''.join(_LATIN)}]{{1,8}}[A-Za-z0-9_-]))"
    f"[{''.join(_LATIN)}]{{1,8}}+(?![{_OWN_SCRIPT}])"
)

# A run of backslashes is looked at from its beginning alone, and never twice, so that a text of nothing else is read
# in one pass.
_ESCAPE = re.compile(
    rb"(?<!\\)\\++(?:(u001[bB]\[[0-9;]{0,16}[A-Za-z]|x1[bB]\[[0-9;]{0,16}[A-Za-z]|(?:033|e)\[[0-9;]{0,16}[A-Za-z])"
    rb"|u{1,4}([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([nrtbf\"'/_\-])|(?:U000|u\{0{0,3})([0-9A-Fa-f]{5}|[0-9A-Fa-f]{2,6}(?=\}))\}?"
    rb"|([01][0-7]{2}))|%(?:([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4}))"
    rb"|&(?:#x([0-9A-Fa-f]{1,6});|#([0-9]{1,7});?|(quot|apos|amp|lt|gt|commat|colon|sol|lowbar|hyphen|dash|period|equals"
    rb"|plus|nbsp|shy|zwnj|zwj|ZeroWidthSpace);)"
    rb"|=(?:(2[BDEF]|3[AD]|5F)|\r?\n)(?=[A-Za-z0-9])"
    rb"|=([2-7][0-9A-F])(?:(?==[2-7][0-9A-F])|(?<==[2-7][0-9A-F]=[2-7][0-9A-F]))"
)
# The signs of keys and the ends of lines as mail writes them (RFC 2045); any other `=42` is more likely a number.
_QUOTED_PRINTABLE = re.compile(rb"=(?:(?:2[BDEF]|3[AD]|5F|\r?\n)[A-Za-z0-9]|[2-7][0-9A-F]=[2-7][0-9A-F])")
_SIMPLE = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b" ", b"f": b" ", b'"': b'"', b"'": b"'", b"/": b"/",
           b"_": b"_", b"-": b"-"}  # fmt: skip
_ENTITIES = {b"quot": b'"', b"apos": b"'", b"amp": b"&", b"lt": b"<", b"gt": b">", b"commat": b"@", b"colon": b":",
             b"sol": b"/", b"lowbar": b"_", b"hyphen": b"-", b"dash": b"-", b"period": b".", b"equals": b"=",
             b"plus": b"+", b"nbsp": b" ", b"shy": b"", b"zwnj": b"", b"zwj": b"", b"ZeroWidthSpace": b""}  # fmt: skip
_CODE_MAX = 0x10FFFF


Pieces = tuple[list[int], list[tuple[int, int]]]


class NormalizedText:
    """Bytes to scan, and where each piece of them stands in the bytes they were made from.

    Piece i covers `data[starts[i]:starts[i + 1]]` and stands for `origins[i][0]:origins[i][1]`;
    a copied piece is as long as its origin, an opened escape is shorter.
    The pieces are laid out when they are first asked for: in most texts nothing is found.
    """

    __slots__ = ("_lay", "_pieces", "data")

    def __init__(self, data: bytes, lay: Callable[[], Iterable[Piece]] | None = None) -> None:
        self.data = data
        self._lay = lay
        self._pieces: Pieces | None = None if lay else ([], [])

    @property
    def starts(self) -> list[int]:
        """Where each piece begins in `data`, ascending."""
        return self._laid()[0]

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that `start:end` of this view stands for, rounded outwards."""
        starts, _ = self._laid()
        if not starts:
            return start, end
        first = bisect_right(starts, start) - 1
        last = bisect_right(starts, end - 1) - 1
        return self._edge(first, start, 0), self._edge(last, end, 1)

    def _edge(self, piece: int, offset: int, side: int) -> int:
        starts, origins = self._laid()
        low, high = origins[piece]
        begin = starts[piece]
        end = starts[piece + 1] if piece + 1 < len(starts) else len(self.data)
        return low + (offset - begin) if end - begin == high - low else (low, high)[side]

    def _laid(self) -> Pieces:
        if self._pieces is None:
            starts: list[int] = []
            origins: list[tuple[int, int]] = []
            at = 0
            for size, low, high in self._lay() if self._lay else ():
                if size:  # a removed character leaves a gap between two pieces
                    starts.append(at)
                    origins.append((low, high))
                    at += size
            self._pieces = starts, origins
        return self._pieces


def encode(text: str) -> bytes:
    """UTF-8 that also carries lone surrogates, so that every text makes the way there and back."""
    return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    """The inverse of `encode`."""
    return data.decode("utf-8", "surrogatepass")


def folded(text: str, errors: str = "surrogatepass") -> NormalizedText:
    """`text` with compatibility forms as ASCII and invisible characters gone (Unicode UAX #15, NFKC).

    `errors` says how what is no character was read, and so how it is written.
    """
    signs = "\x1b[" in text or "\x00" in text
    if text.isascii():
        return _recoloured(text, _TO_FOLD_OF_ASCII, errors) if signs else NormalizedText(text.encode())
    if signs or _LOOKS_LATIN.search(text) is not None:
        return _recoloured(text, _TO_FOLD_MORE, errors)
    return _recoloured(text, _TO_FOLD, errors)


def folded_again(data: bytes) -> NormalizedText | None:
    """The same for `data` in which escapes were opened, be it text or not; None when there is nothing to fold."""
    if data.isascii() and b"\x00" not in data:
        return None
    view = folded(data.decode("utf-8", "surrogateescape"), "surrogateescape")
    return view if view.starts else None


def _recoloured(text: str, what: re.Pattern[str], errors: str) -> NormalizedText:
    if what.search(text) is None:
        return NormalizedText(text.encode("utf-8", errors))
    return NormalizedText(what.sub(_fold, text).encode("utf-8", errors), lambda: _folded_pieces(text, what, errors))


def _fold(match: re.Match[str]) -> str:
    found = match[0]
    if found in _FOLDED:
        return _FOLDED[found]
    if found.startswith("\x1b"):
        return " "
    if found[0] in _LATIN:
        return found.translate(_TO_LATIN)
    return found if "\uffff" < found < "\U000e0000" else ""


def _folded_pieces(text: str, what: re.Pattern[str], errors: str) -> Iterator[Piece]:
    last = at = 0
    for match in what.finditer(text):
        start = match.start()
        if start > last:
            clear = len(text[last:start].encode("utf-8", errors))
            yield clear, at, at + clear
            at += clear
        last = match.end()
        found, form = match[0], encode(_fold(match))
        if found[0] in _LATIN:  # letter by letter, for a span may end between two of them
            for char in found:
                yield 1, at, at + _UTF8_BYTES[char]
                at += _UTF8_BYTES[char]
            continue
        size = len(encode(found))
        yield len(form), at, at + size
        at += size
    clear = len(text[last:].encode("utf-8", errors))
    yield clear, at, at + clear


def _opened_escape(match: re.Match[bytes]) -> bytes:
    colour, code, short, simple, wide, octal, percent, script, hexadecimal, decimal, entity, sign, letter = (
        match.groups()
    )
    if octal is not None:
        return bytes([int(octal, 8)])
    code = code or wide or script
    if code is not None and int(code, 16) > _CODE_MAX:
        return b"?"
    if code is not None:
        return encode(chr(int(code, 16)))
    if hexadecimal or decimal:
        number = int(hexadecimal, 16) if hexadecimal else int(decimal)
        return encode(chr(number)) if number <= _CODE_MAX else b"?"
    if colour is not None:
        return b" "
    if simple is not None:
        return _SIMPLE[simple]
    if entity is not None:
        return _ENTITIES[entity]
    number = short or percent or sign or letter
    if number is None:
        return b""  # a line that goes on
    return bytes([int(number, 16)])  # a part of a character in UTF-8, with its neighbours


def unescaped(data: bytes) -> NormalizedText | None:
    """`data` with one layer of backslash, percent, entity and mail's escapes opened; None when there is none."""
    if not (b"\\" in data or b"%" in data or b"&" in data or (b"=" in data and _QUOTED_PRINTABLE.search(data))):
        return None
    opened, number = _ESCAPE.subn(_opened_escape, data)
    return NormalizedText(opened, lambda: _unescaped_pieces(data)) if number else None


def _unescaped_pieces(data: bytes) -> Iterator[Piece]:
    last = 0
    for match in _ESCAPE.finditer(data):
        start, end = match.span()
        yield start - last, last, start
        yield len(_opened_escape(match)), start, end
        last = end
    yield len(data) - last, last, len(data)


def opened_base64(token: bytes) -> bytes | None:
    """What `token` says when it is base64 of readable text (RFC 4648, either alphabet), else None."""
    if token[:16:4].translate(None, _BEGINS_READABLE):
        return None  # nearly every token is refused here, at little cost
    plain = token.rstrip(b"=").translate(_URL_SAFE)
    plain = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        data = base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if data and not data.translate(None, READABLE) else None


_URL_SAFE = bytes.maketrans(b"-_", b"+/")
READABLE = bytes(range(0x20, 0x7F)) + b"\t\r\n"
# A sign of base64 that stands for the six high bits of a readable byte, as each fourth does (RFC 4648, section 4).
_BEGINS_READABLE = bytes({base64.b64encode(bytes([byte]))[0] for byte in READABLE})
