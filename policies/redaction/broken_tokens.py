"""Tokens that a text shows in pieces: broken over lines, summed of literals, in groups, or as the numbers of bytes."""

import re
from collections.abc import Iterator

from policies.redaction.normalization import READABLE, NormalizedText
from policies.redaction.validators.patterns import Pattern

_SIGN = rb"[A-Za-z0-9_\-]"
_HEX = rb"[0-9A-Fa-f]{2}"
_APART = r"(?:[ \t.]|·)".encode()
# What may stand within a token and is none of it: a sum of literals, a line that goes on, a line's end.
_SUM = (
    rb"\\?[\"'][ \t]{0,4}(?:(?:[+.&]|\.\.|<>|\|\|)[ \t]{0,4}(?:\\?\r?\n[ \t]{0,32})?|\\?\r?\n[ \t]{1,32})\\?[\"']"
    rb"|\\\r?\n[ \t]{0,32}"
)
_END = rb"\r?\n|<w?br ?/?>(?:\r?\n)?"
# A line that begins with a word begins with another token.
_NO_WORD = rb"(?!(?:[A-Z]?[a-z]{1,24}|[A-Z]{1,24})(?:[_\-](?:[A-Z]?[a-z]{1,24}|[A-Z]{1,24})){0,8}+(?!%s))" % _SIGN
# Bytes as languages print them (`<Buffer 73 6b>`, `73:6b`, `0x73, 0x6b`, `[115 107]`), and a list of signs.
_HEX_BYTES = rb"%s(?:[ :]%s){15}|0x%s(?:, ?0x%s){15}" % ((_HEX,) * 4)
_DECIMAL_BYTES = rb"[0-9]{2,3}(?:,? [0-9]{2,3}){15}"
_SIGNS = rb"[\"']%s[\"'](?:, ?[\"']%s[\"']){15}" % (_SIGN, _SIGN)
_GROUPS_MIN = {1: 19, 2: 9, 3: 6, 4: 4, 5: 3, 6: 3, 7: 3, 8: 3}  # behind the first, by the signs in each


def _row(signs: int, most: bytes) -> bytes:
    group = b"%s{%d}" % (_SIGN, signs)
    return b"%s(?:%s%s){%d%s}" % (group, _APART, group, _GROUPS_MIN[signs], most)


# Whether there may be one; `_BROKEN` looks around at every sign, which takes as long as all rules.
_MAY_BREAK = Pattern(
    b"|".join(
        [
            rb"%s(?:%s|%s)%s" % (_SIGN, _SUM, _END, _SIGN),
            rb"(?:^|[^A-Za-z0-9_\-])(?:%s)" % b"|".join([_row(signs, b"") for signs in _GROUPS_MIN]),
            _HEX_BYTES,
            _DECIMAL_BYTES,
            _SIGNS,
        ]
    ).decode()
)
_BROKEN = re.compile(
    rb"(?P<gap>(?<=%(sign)s)(?:%(sum)s|(?:%(end)s)%(other)s)(?=%(sign)s))"
    rb"|(?<!%(sign)s)(?:(?P<hex>%(hex)s)|(?P<decimal>%(decimal)s)|(?P<row>%(rows)s))(?!%(sign)s)"
    rb"|(?P<signs>%(signs)s)"
    % {
        b"sign": _SIGN,
        b"sum": _SUM,
        b"end": _END,
        b"other": _NO_WORD,
        b"hex": _HEX_BYTES.replace(b"{15}", b"{15,4096}"),
        b"decimal": _DECIMAL_BYTES.replace(b"{15}", b"{15,4096}"),
        b"signs": _SIGNS.replace(b"{15}", b"{15,4096}"),
        b"rows": b"|".join(
            [_row(signs, b",128") + rb"(?:%s%s{1,%d})?" % (_APART, _SIGN, signs) for signs in _GROUPS_MIN]
        ),
    }
)
_HEX_BYTE = re.compile(rb"(?:0x)?([0-9A-Fa-f]{2})")
_DECIMAL_BYTE = re.compile(rb"([0-9]{2,3})")
_GROUP = re.compile(rb"([A-Za-z0-9_\-]+)")
_QUOTED_SIGN = re.compile(rb"[\"']([A-Za-z0-9_\-])[\"']")
_PARTS = {"hex": _HEX_BYTE, "decimal": _DECIMAL_BYTE, "row": _GROUP, "signs": _QUOTED_SIGN}
_BASES = {"hex": 16, "decimal": 10}

Part = tuple[bytes, int, int]  # what stands in the view, and the span of the original that it stands for


def rejoined(data: bytes) -> NormalizedText | None:
    """`data` with broken tokens whole and rows of bytes as the text that they are, or None when there are none."""
    if next(_MAY_BREAK.matches(data), None) is None:
        return None
    parts = list(_parts(data))
    if len(parts) == 1:
        return None
    return NormalizedText(
        b"".join([part for part, _, _ in parts]), lambda: [(len(part), low, high) for part, low, high in parts]
    )


def _parts(data: bytes) -> Iterator[Part]:
    last = 0
    for match in _BROKEN.finditer(data):
        parts = list(_joined(match))
        if not any(part.translate(None, READABLE) for part, _, _ in parts):
            yield data[last : match.start()], last, match.start()
            yield from parts
            last = match.end()
    yield data[last:], last, len(data)


def _joined(match: re.Match[bytes]) -> Iterator[Part]:
    """What a broken token is made of, piece by piece; of a mere gap nothing."""
    kind = match.lastgroup or ""
    base = _BASES.get(kind)
    if kind in _PARTS:
        for part in _PARTS[kind].finditer(match.string, *match.span()):
            yield bytes([min(int(part[1], base), 255)]) if base else part[1], *part.span()
