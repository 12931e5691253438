"""What JSON writers put into JSON that readers refuse: halves of surrogate pairs, and numbers that are none.

Python's json writes `NaN`, `Infinity` and `-Infinity`, and any text may hold half a pair. Neither may cost a call.
"""

import re
from typing import Final

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_HEX: Final = rb"[0-9a-fA-F]{2}"
_HIGH: Final = rb"\\u[dD][89abAB]" + _HEX
_LOW: Final = rb"\\u[dD][c-fC-F]" + _HEX
_LONE: Final = re.compile(_HIGH + rb"(?!" + _LOW + rb")|(?<!" + _HIGH + rb")" + _LOW)
# An escaped backslash is set aside while escapes are looked for, lest it be taken for the start of the next escape.
_ESCAPED_BACKSLASH: Final = b"\\\\"
_ASIDE: Final = b"\xff\xff"

_NOT_FINITE: Final = re.compile(rb"\b(?:Infinity|NaN)\b")
# A string without its end goes to the end of the text: each quote is met once.
_STRING: Final = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))', re.DOTALL)
_POSITION: Final = b"\xff"
_BEYOND_ALL: Final = b"1e999"
"""Valid JSON, and out of bounds for every field that holds a number."""


def repaired(text: bytes) -> bytes:
    """The same JSON with U+FFFD for halves of surrogate pairs and a number out of all bounds for what is not finite."""
    return repair_numbers(repair_surrogates(text))


def repair_surrogates(text: bytes) -> bytes:
    """The same JSON with U+FFFD for halves of surrogate pairs, which JSON can write and UTF-8 cannot."""
    if b"\\u" not in text or _ASIDE[:1] in text or not _SURROGATE.search(text):
        return text
    return _LONE.sub(rb"\\ufffd", text.replace(_ESCAPED_BACKSLASH, _ASIDE)).replace(_ASIDE, _ESCAPED_BACKSLASH)


def repair_numbers(text: bytes) -> bytes:
    """The same JSON with `1e999` or `-1e999` for `NaN`, `Infinity` and `-Infinity`; strings stay as they are."""
    if not (b"NaN" in text or b"Infinity" in text) or _POSITION in text or not _NOT_FINITE.search(text):
        return text
    pieces = _STRING.split(text)
    pieces[::2] = _NOT_FINITE.sub(_BEYOND_ALL, _POSITION.join(pieces[::2])).split(_POSITION)
    return b"".join(pieces)
