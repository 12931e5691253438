"""Invisible characters: they make no two names different, and are removed from what is stored in clear."""

import re
from typing import Final

_NEAR: Final = (
    r"\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    r"\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\uf8ff\ufe00-\ufe0f\ufeff\uffa0"
    r"\ufff0-\uffff"
)
_FAR: Final = (
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U0010ffff"
)
# Of a terminal's colours signs and a letter are left, once the character before them is gone.
_COLOUR: Final = r"\x1b\[[0-9;]{0,16}[A-Za-z]|\[[0-9;]{1,16}m"
INVISIBLE: Final = re.compile(rf"{_COLOUR}|[{_NEAR}{_FAR}]")
"""One of them: controls that are no blanks, formats, selectors, tags, fillers, private use, halves of characters."""

# Characters of the first plane are looked up in a table, further ones compared with range after range.
_NEAR_ONE: Final = re.compile(f"[{_NEAR}]")
_FAR_ONE: Final = re.compile(f"[{_FAR}]")
_COLOURS: Final = re.compile(_COLOUR)
_ANY_FAR: Final = re.compile("[\U00010000-\U0010ffff]")

FILLERS: Final = "\u115f\u1160\u3164\uffa0"
"""Those among them that count as letters."""

_DASHES: Final = re.compile("[\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d]")


def with_plain_dashes(text: str) -> str:
    """`text` with every dash as the one that keyboards have."""
    return _DASHES.sub("-", text)


def all_visible(text: str) -> bool:
    """Whether there is none in `text`."""
    return text.isascii() and ((text.isprintable() and "[" not in text) or INVISIBLE.search(text) is None)


def visible(text: str) -> str:
    """`text` without them: what `INVISIBLE` would leave of it, in less time."""
    if "[" in text:
        text = _COLOURS.sub("", text)
    text = _NEAR_ONE.sub("", text)
    return text if _ANY_FAR.search(text) is None else _FAR_ONE.sub("", text)
