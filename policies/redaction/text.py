"""Free text that stays in clear: its character class and its length."""

import re

from policies.redaction.merge import MARK

_NOT_SHOWN = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]+"
)
_SPACES = re.compile(r"\s+")
_TOKEN_CHARS = 512
_MARK = re.compile(MARK.pattern.decode())
_MARK_CHARS = 60


def plain(text: str) -> str:
    """`text` on one line without control, bidirectional, zero-width and other invisible characters."""
    return _SPACES.sub(" ", _NOT_SHOWN.sub(lambda match: " " if match.group().isspace() else "", text)).strip()


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
