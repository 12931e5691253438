"""Free text that stays in clear: its character class and its length."""

import re

from policies.redaction.spans import MARK

# Marks that change how the character before them looks; str.isprintable lets them pass.
_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), 0x034F, 0x115F, 0x1160, 0x3164)))
_SPACES = re.compile(r"\s+")
_TOKEN_CHARS = 512
_MARK = re.compile(MARK.pattern.decode())
_MARK_CHARS = 60


def plain(text: str) -> str:
    """`text` on one line without control, bidirectional, zero-width and other invisible characters."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    shown = [char if char.isprintable() and char not in _SELECTORS else " " if char.isspace() else "" for char in text]
    return _SPACES.sub(" ", "".join(shown)).strip()


def bounded(text: str, max_chars: int) -> str:
    """`text` cut to `max_chars`, before the token that the cut would split and never inside a mark.

    A token of more than 512 characters is split nonetheless.
    """
    if len(text) <= max_chars:
        return text
    cut = text[:max_chars]
    if not text[max_chars].isspace():
        start = max(0, max_chars - _TOKEN_CHARS)
        edge = max((cut.rfind(space, start) for space in " \n\t\r"), default=-1)
        cut = cut[:edge] if edge > 0 else cut
    opened = text.rfind("[redacted:", max(0, len(cut) - _MARK_CHARS), len(cut) + 1)
    mark = _MARK.match(text, opened) if opened >= 0 else None
    return cut[:opened] if mark and mark.end() > len(cut) else cut
