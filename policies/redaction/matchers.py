"""Walks over the whole text, for what one hit of a pattern cannot delimit. Each gives the byte spans to hide."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from policies.redaction.assignments import assigned
from policies.redaction.scan_state import ScanState
from policies.redaction.validators.checks import CHECKS
from policies.redaction.validators.harmless import is_harmless, is_harmless_there, looks_generated
from policies.redaction.validators.patterns import Pattern
from policies.redaction.validators.randomness import bits_per_char

Finder = Callable[[Pattern, ScanState], Iterator[tuple[int, int]]]

_NEIGHBOUR = re.compile(rb"[.:~%][A-Za-z0-9_\-+=]{4,512}")
_TIES = b".:~%"
_TIED = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+="
_HEX_PIECE = re.compile(rb"[0-9a-f]{12,64}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_PART_MIN_BYTES = _LONG_MIN_BYTES = 20
_SHORT_BYTES = range(16, _LONG_MIN_BYTES)


def generated(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """Long tokens that look made by chance, with the pieces that a dot or colon ties to them."""
    done, data = 0, reading.data
    for start, end in reading.spans(pattern):
        if (
            start < done
            or not _is_long(data, start, end)
            or (reading.is_taken(start, end) and not _is_tied(data, start, end))
        ):
            continue
        for low, high in _generated_parts(data[start:end]):
            low, high = start + low, start + high  # noqa: PLW2901
            if low >= done and not is_harmless_there(data, low):
                widened = _widened(data, low, high)
                done = widened[1]
                yield widened


def _is_long(data: bytes, start: int, end: int) -> bool:
    return end - start - data.count(b"=", start, end) >= _LONG_MIN_BYTES


@lru_cache(maxsize=2048)
def _generated_parts(token: bytes) -> tuple[tuple[int, int], ...]:
    """What of a token looks made by chance: all of it, or some of the parts that slashes make of it."""
    parts = token.split(b"/") if b"/" in token else []
    if looks_generated(token) and not any(map(is_harmless, parts)):
        return () if is_harmless(token) else ((0, len(token)),)
    start = 0
    found: list[tuple[int, int]] = []
    for part in parts:
        if len(part) >= _PART_MIN_BYTES and looks_generated(part) and not is_harmless(part):
            found.append((start, start + len(part)))
        start += len(part) + 1
    return tuple(found)


def _widened(data: bytes, start: int, end: int) -> tuple[int, int]:
    after = _NEIGHBOUR.match(data, end)
    while after and bits_per_char(after.group()[1:]) >= 4.3:
        end = after.end()
        after = _NEIGHBOUR.match(data, end)
    before = _piece_before(data, start)
    if before and (bits_per_char(before) >= 4.6 or _HEX_PIECE.fullmatch(before)):
        start -= len(before) + 1
    return start, end


def _is_tied(data: bytes, start: int, end: int) -> bool:
    return _NEIGHBOUR.match(data, end) is not None or _piece_before(data, start) != b""


def _piece_before(data: bytes, start: int) -> bytes:
    """The 4 to 64 characters that a tie binds to the token at `start`; nothing when there are fewer."""
    if not start or data[start - 1] not in _TIES:
        return b""
    before = data[max(0, start - 65) : start - 1]
    piece = before[len(before.rstrip(_TIED)) :]
    return piece if len(piece) >= 4 else b""


_PEM_BODY = re.compile(rb"(?:[A-Za-z0-9+/=\s:,\"'-]++|\\[nrtu\"]|\[redacted:[a-z0-9-]+\])*+")
_PEM_KEY = re.compile(rb"[A-Za-z0-9+/]{10}")
_PEM_END = re.compile(rb"-{2,5} ?END [A-Z0-9 ]{0,40}-{2,5}")


def pem(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """Private keys in PEM armour (RFC 7468, RFC 4716), to the end mark or as far as they read as one."""
    done, data = 0, reading.data
    ends = [match.end() for match in _PEM_END.finditer(data)]
    ends.reverse()
    for match in pattern.matches(data):
        start, body = match[0]
        if start < done:
            continue
        while ends and ends[-1] < body:
            ends.pop()
        # the next end mark reads like a body too: beyond it a text of many keys would be read once for each
        stop = _PEM_BODY.match(data, body, ends[-1] if ends else len(data))
        reach = stop.end() if stop else body
        done = ends[-1] if ends and ends[-1] <= reach + 64 else reach
        if _PEM_KEY.search(data, body, done) is not None:
            yield start, done


_NAMED = re.compile(rb"[A-Za-z0-9_\])][\"']?[=:][\"']?\Z")


def short(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """Tokens of 16 to 19 characters that look made by chance, alone, in a path, or behind a name."""
    check, data = CHECKS["short"], reading.data
    for first, last in reading.spans(pattern):
        start = first
        for part in data[first:last].split(b"/"):
            end = start + len(part)
            if (
                end - start in _SHORT_BYTES
                and part.isalnum()
                and _stands_alone(data, start, end)
                and not reading.is_taken(start, end)
                and check(data, start, end)
            ):
                yield start, end
            start = end + 1


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    before, after = data[max(0, start - 1) : start], data[end : end + 1]
    if before != b"=" and after != b"/":
        return True
    return before in (b"", b"/") or _NAMED.search(data, max(0, start - 4), start) is not None


def _encoded(_: Pattern, __: ScanState) -> Iterator[tuple[int, int]]:
    """Walked by the scanner itself, which holds the rules that the opened text is shown to."""
    return iter(())


def group(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """Whichever group of the pattern took part in the match."""
    for match in pattern.matches(reading.data):
        yield max(match[1:])


def groups(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """Every group of the pattern that took part in the match."""
    for match in pattern.matches(reading.data):
        yield from [span for span in match[1:] if span[1] > span[0]]


def _checked(name: str) -> Finder:
    """Whichever group took part in the match, as a check confirms it."""

    def find(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
        """Yield the ranges that the pattern matches and the check confirms, without those that are taken."""
        check = CHECKS[name]
        for match in pattern.matches(reading.data):
            start, end = max(match[1:])
            if not reading.is_taken(start, end) and (span := check(reading.data, start, end)) is not None:
                yield span

    return find


_SLASHES = re.compile(rb"(?i).:(?:/|\\/|%2f){2}")
_AUTHORITY = re.compile(rb"[^\s/\"'<>]{1,800}+")
_USER = re.compile(rb"(?:[\w.\-]{1,64}\\{1,2}(?=[^\\]{2}))?[^\s/?#\"'`<>@\\:\[\]]{0,200}+")
_USER_ALONE_BYTES_MIN = 16  # a shorter one without a password is a name, as in `git@host`


def userinfo(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """User and password between the slashes of a URL and the last `@` before its host's end."""
    data, done = reading.data, 0
    for start, _ in pattern.spans(data, 0):
        slashes = _SLASHES.match(data, start)
        at = slashes.end() if slashes else start
        authority = _AUTHORITY.match(data, at)
        if authority is None or at < done:
            continue
        # a socket's name may stand in place of the host: `user:password@/database?host=/run`
        end = _userinfo_end(authority[0], hostless=data[authority.end() : authority.end() + 1] == b"/")
        if end and _is_userinfo(authority[0][:end]):
            done = at + end
            yield at, done


def _userinfo_end(authority: bytes, *, hostless: bool) -> int:
    """Where the sign stands that the host, unless it may be missing, begins after; 0 when there is none."""
    first = authority.find(b"@")
    if first >= 0:
        beyond = [index for sign in (b"?", b"#", b",") if (index := authority.find(sign, first)) >= 0]
        end = authority.rfind(b"@", 0, min(beyond, default=len(authority)))
        return end if end + 1 < len(authority) or hostless else 0
    end = authority.rfind(b"%40")
    return max(end, 0) if end + 3 < len(authority) else 0


def _is_userinfo(text: bytes) -> bool:
    lowered = text.lower()
    colon, coded = text.find(b":"), lowered.find(b"%3a")
    split = min([index for index in (colon, coded) if index >= 0], default=-1)
    user = text if split < 0 else text[:split]
    if _USER.fullmatch(user) is None:
        return False
    return len(user) >= _USER_ALONE_BYTES_MIN if split < 0 else len(text) > split + (1 if split == colon else 3)


_QUOTED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_\-.~+/!@#$%^*]{5,255}+={0,2}")
_OF_KEY = re.compile(rb"(?i)(?:key|token)[^\n]{0,48}\Z")


def quoted_after(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """What stands at the end of each match, when it is what a sentence says a key is."""
    check = CHECKS["quoted"]
    for _, at in pattern.spans(reading.data, 0):
        value = _QUOTED.match(reading.data, at)
        if value is None or reading.is_taken(at, value.end()):
            continue
        span = check(reading.data, at, value.end())
        if span is not None:
            yield span


def quoted_key_after(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """The same, when keys or tokens are what the sentence is about."""
    data = reading.data
    for start, end in quoted_after(pattern, reading):
        if _OF_KEY.search(data, max(0, start - 72), start):
            yield start, end


_WORD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_\-.~+/!@#$%^*]{4,255}={0,2}")


def quoted_within(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """The word of each match that is what a sentence says a key is. Patterns without groups: an automaton alone."""
    return _quoted_words(pattern, reading, at_end=False)


def quoted_last(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """The same, where it is the last word of the match."""
    return _quoted_words(pattern, reading, at_end=True)


def _quoted_words(pattern: Pattern, reading: ScanState, *, at_end: bool) -> Iterator[tuple[int, int]]:
    check, data = CHECKS["quoted"], reading.data
    for start, end in pattern.spans(data, 0):
        for word in _WORD.finditer(data, start, end):
            if reading.is_taken(*word.span()) or (at_end and word.end() != end):
                continue
            span = check(data, *word.span())
            if span is not None:
                yield span


ENCODED = "encoded"
FINDERS: dict[str, Finder] = {
    "assigned": assigned,
    "generated": generated,
    "pem": pem,
    "short": short,
    "group": group,
    "groups": groups,
    "quoted-after": quoted_after,
    "userinfo": userinfo,
    "quoted-key-after": quoted_key_after,
    "quoted-within": quoted_within,
    "quoted-last": quoted_last,
    "phone": _checked("phone"),
    "host-ip": _checked("host-ip"),
    "account": _checked("account-name"),
    ENCODED: _encoded,
}
