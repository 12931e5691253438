"""Beginnings of the content that a gateway cut off: too short for a run, and recognised by where they end.

Gateways cut long messages, and what they quote with them. A beginning counts where dots or a word for it say that it is
cut, and in escapes wherever these end: nobody writes so but to quote.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from policies.redaction.echoes.comparing import END, WITHOUT_BLANKS, UnescapedText, compared, weight

BEGINNING_WEIGHT: Final = 30
"""What the shortest one says: 8 Latin letters, 6 Cyrillic ones, 4 syllables of Hangul, 3 Han characters."""

_CUTS_MAX: Final = 64
_REACH_CHARS: Final = 48
_LAST_WEIGHT: Final = 72  # what says more is a run
_CUT_OFF: Final = r"(?:\.\.|\u2026|[\[(<] ?(?:\.\.|\u2026|[Tt]runc|TRUNC|[Cc]ut|[Oo]mit|[Ss]nip|[Mm]ore))"
# The same behind its first sign, by which it is looked for in a third of the time.
_CUT: Final = re.compile(
    r"[.\u2026\[(<](?:(?<=\.)\.|(?<=\u2026)|(?<=[\[(<]) ?(?:\.\.|\u2026|[Tt]runc|TRUNC|[Cc]ut|[Oo]mit|[Ss]nip|[Mm]ore))"
)
# A part of an escape may stand before it.
_CUT_OF_OPENED: Final = re.compile(
    r"(?:%[0-9A-Fa-f]?+|\\{1,8}+(?:u[0-9A-Fa-f]{0,3}+|x[0-9A-Fa-f]?+)?+|\ufffd){0,3}+[ \t]{0,4}+"
    rf"(?:{_CUT_OFF}|[\"'`)\]}}>,;]|\Z)"
)
_WORD_START: Final = re.compile(rf"(?<![^\W_])[^\W_]|{WITHOUT_BLANKS.pattern}")
_ESCAPING: Final = re.compile(r"[\\%&]")


def beginnings(text: str, reading: UnescapedText, content: bytes) -> Iterator[tuple[int, int]]:
    """Character spans of `text` that are beginnings in `content`, as one reading of the text shows them."""
    read = reading.text
    opened = read is not text
    cuts = [match.start() for match in islice((_CUT_OF_OPENED if opened else _CUT).finditer(read), _CUTS_MAX)]
    for cut in (*cuts, *islice(reading.escape_ends(), _CUTS_MAX)):
        low = max(0, cut - _REACH_CHARS)
        end = low + len(read[low:cut].rstrip())
        start = _start_of(read, end, content)
        if start < 0:
            continue
        span = reading.origin(start, end)
        if not opened or _ESCAPING.search(text, *span):
            yield span


def _start_of(read: str, end: int, content: bytes) -> int:
    """Where the longest beginning that ends at `end` starts; -1 for none."""
    found = -1
    starts = [match.start() for match in _WORD_START.finditer(read, max(0, end - _REACH_CHARS), end)]
    for at in reversed(starts):
        data = compared(read[at:end])
        known_weight = weight(data)
        if known_weight > _LAST_WEIGHT:
            break
        if known_weight >= BEGINNING_WEIGHT and (content.startswith(data) or END + data in content):
            found = at
    return found
