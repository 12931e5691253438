"""Confirmations of a pattern's hit: checksums, ranges, context. Each gives the span to hide, or None."""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from stdnum import iban, luhn
from stdnum.exceptions import ValidationError

from policies.redaction.national import NATIONAL
from policies.redaction.randomness import bits_per_char, has_entropy

Span = tuple[int, int]
Check = Callable[[bytes, int, int], Span | None]

_DIGITS = frozenset(b"0123456789")
_NOT_DIGIT = bytes(set(range(256)) - set(b"0123456789"))
_CONTEXT_BYTES = 48
_MAX_GENERATED_CHARS = 4096

# Words that say that what follows them is an identifier, a hash or a version, and not a credential.
_HARMLESS_WORDS = frozenset(
    b"""request req trace traceparent span parent correlation response resp message msg event job task batch run
    thread operation invocation conversation chat completion call tool tool_call toolcall commit rev revision
    tree blob build release sha sha1 sha256 sha384 sha512 sha-256 sha-512 md5 digest hash checksum etag
    fingerprint integrity uuid guid ray cf-ray image layer container pod node instance file upload document
    object block version deployment checkpoint model engine id ids no requestid request_id request-id traceid
    spanid trace-context x-cloud-trace-context""".split()
)
_GLUE = b"\"'`(<[ :=#/@-_."
_LINKS = (b"is", b"was", b"with", b"number", b"name", b"and")
_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_HARMLESS_START = re.compile(
    rb"(?:req(?:uest)?|toolu|tooluse|call|fc|chatcmpl|cmpl|msg|resp|run|step|thread|asst|batch|gen|fp|ft|ftjob|file|vs|evt|item"
    rb"|trace|span|modr|embd|img|rs|srvtoolu|mcpl|mcpr|ws|ig|ci|cu|upload|ckpt|snapshot|sha\d{1,3}|md5|rpt|run|job|task"
    rb"|session_id|conv|eval|evalrun|model|deployment|projects|locations|publishers|endpoints|traceparent)[-_:]"
    rb"|1-[0-9a-f]{8}-[0-9a-f]{24}$"
)
_UUID = re.compile(rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PARTED = re.compile(rb"[-_]")
_HEX = re.compile(rb"(?:0x)?[0-9A-Fa-f]+")


def _holds_digit(token: bytes) -> bool:
    return not _DIGITS.isdisjoint(token)


def _last_word(text: bytes) -> tuple[bytes, bytes]:
    """The last word of `text` in lower case, and what stands before it."""
    text = text.rstrip(_GLUE)
    rest = text.rstrip(_WORD_BYTES)
    return text[len(rest) :].lower(), rest


@lru_cache(maxsize=4096)
def _says_id(text: bytes) -> bool:
    word, rest = _last_word(text)
    if word in _LINKS:
        text = rest
        word, _ = _last_word(rest)
    return (
        word in _HARMLESS_WORDS
        or word.endswith((b"_id", b"-id", b"_hash", b"_sha"))
        or text.rstrip(_GLUE).endswith((b"Id", b"ID"))
        or (word.endswith(b"id") and word[:-2] in _HARMLESS_WORDS)
        or word.rstrip(b"s") in _HARMLESS_WORDS
        or word.rpartition(b"_")[2] in _HARMLESS_WORDS
        or word.rpartition(b"-")[2] in _HARMLESS_WORDS
    )


def is_harmless_there(data: bytes, start: int) -> bool:
    """Whether the word before `start` says that an identifier or a hash follows."""
    return _says_id(data[max(0, start - _CONTEXT_BYTES) : start])


def is_harmless(token: bytes) -> bool:
    """Whether `token` says by its own form that it is an identifier: `req_...`, `chatcmpl-...`, a UUID."""
    return _HARMLESS_START.match(token) is not None or _UUID.fullmatch(token) is not None


@lru_cache(maxsize=2048)
def looks_generated(token: bytes) -> bool:
    """Whether a bare token of 20 or more characters was made by chance rather than written."""
    if len(token) > _MAX_GENERATED_CHARS:
        token = token[:_MAX_GENERATED_CHARS]
    if _HEX.fullmatch(token):
        return len(token) >= 32 and not token.isdigit() and has_entropy(token, 2.5)
    if not has_entropy(token, 3.0):
        return False
    if any(len(part) >= 24 and _HEX.fullmatch(part) and not part.isdigit() for part in _PARTED.split(token)):
        return True
    bits = bits_per_char(token)
    if token.translate(None, b"-_+/=").isalpha():
        mixed = token.lower() != token and token.upper() != token
        return bits >= (4.9 if mixed and len(token) >= 32 else 5.3)
    return bits >= (4.55 if len(token) >= 30 else 4.75)


@lru_cache(maxsize=2048)
def looks_credential(value: bytes) -> bool:
    """Whether a value that stands where a credential would is one, and not a word or a number about it."""
    if len(value) < 6 or (value.isalpha() and len(value) < 16):
        return False
    if value.isdigit():
        return len(value) >= 14
    if _HEX.fullmatch(value):
        return len(value) >= 12
    if not has_entropy(value, 1.5):
        return False
    if _holds_digit(value):
        return bits_per_char(value) >= (3.9 if len(value) < 24 else 3.4)
    return len(value) >= 12 and bits_per_char(value) >= 4.5


def _generated(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end]
    return (start, end) if not is_harmless(token) and looks_generated(token) else None


def _credential(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end]
    if _UUID.fullmatch(token):
        return start, end
    return (start, end) if not is_harmless(token) and looks_credential(token) else None


def _service(data: bytes, start: int, end: int) -> Span | None:
    """Beside a service's name little is asked of a value: letters and digits, and no word that makes it an id."""
    token = data[start:end]
    if is_harmless_there(data, start) or token.isalpha() or token.isdigit():
        return None
    if _UUID.fullmatch(token) or token.isalnum():
        return start, end
    if is_harmless(token):
        return None
    if 2 * len(token.translate(None, _NOT_DIGIT)) >= len(token):
        return start, end
    return (start, end) if looks_credential(token) and bits_per_char(token) >= _MIXED_BITS else None


def _short(data: bytes, start: int, end: int) -> Span | None:
    """A token of 16 to 19 characters is taken for generated only when it could hardly be anything else."""
    token = data[start:end]
    kinds = (token.lower() != token) + (token.upper() != token) + _holds_digit(token)
    if kinds < 3 or token.isalpha() or bits_per_char(token) < _SHORT_BITS:
        return None
    return None if is_harmless(token) or is_harmless_there(data, start) else (start, end)


def _digit_or_filler(data: bytes, start: int, end: int) -> Span | None:
    """A key, or one whose writer put the same letter for all of it."""
    return (start, end) if len(set(data[start + 4 : end])) == 1 else _has_digit(data, start, end)


_MIXED_BITS = 4.2
_SHORT_BITS = 4.9


def _has_digit(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end]
    return (start, end) if _holds_digit(token) else None


def _card(data: bytes, start: int, end: int) -> Span | None:
    digits = data[start:end].translate(None, _NOT_DIGIT).decode()
    if not 12 <= len(digits) <= 19 or digits[0] not in "123456" or len(set(digits)) < 2:
        return None
    return (start, end) if _is_card_number(digits) and luhn.is_valid(digits) else None


_CARD_STARTS = re.compile(
    r"4|5[0-8]|6[0-9]|3[0-9]|2[2-7]|2131|1800|2014|2149|22|1946"
)  # ISO/IEC 7812 major industries 3 to 6, Mir and the two-series of Mastercard, the old JCB and enRoute ranges


def _is_card_number(digits: str) -> bool:
    if not _CARD_STARTS.match(digits) and digits[0] != "2":
        return False
    # a time in milliseconds or microseconds begins with 1 and is no card; only JCB's 1800 range does
    return digits[0] != "1" or digits.startswith(("1800", "1946"))


def _iban(data: bytes, start: int, end: int) -> Span | None:
    """ISO 13616: the longest prefix that holds, for a bank's number may be followed by a word in capitals."""
    text, _, _ = data[start:end].decode("ascii", "replace").partition("\ufffd")
    if len(text) < _IBAN_CHARS_MIN:
        return None
    for stop in reversed(_mod_97_stops(text)):
        if iban.is_valid(text[:stop], check_country=False):
            return start, start + stop
    return None


_IBAN_CHARS_MIN = 15


def _mod_97_stops(text: str) -> list[int]:
    """Where the prefixes of `text` end whose check digits hold (ISO 7064, Mod 97-10), whatever their country."""
    head = int("".join([str(int(char, 36)) for char in text[:4]]))
    stops, rest = [], 0
    for stop, char in enumerate(text[4:], 5):
        if char in " -":
            continue
        value = int(char, 36)
        rest = (rest * (10 if value < 10 else 100) + value) % 97
        if (rest * 1_000_000 + head) % 97 == 1:
            stops.append(stop)
    return stops


_VERSION_WORDS = (b"version", b"ver", b"release", b"build", b"chrome", b"safari", b"firefox", b"edg", b"v")
_VERSION_GLUE = b" :=/\"'"


def _is_version_there(data: bytes, start: int) -> bool:
    """Whether the word before `start` says that a version follows."""
    before = data[max(0, start - 16) : start].lower().removesuffix(b"\n")
    word = before.rstrip(_VERSION_GLUE)
    return len(before) - len(word) <= 3 and word.endswith(_VERSION_WORDS)


def _ipv4(data: bytes, start: int, end: int) -> Span | None:
    numbers = data[start:end].partition(b"/")[0].split(b".")
    if max(map(int, numbers)) > 255 or _is_version_there(data, start):
        return None
    return start, end


def _ipv6(data: bytes, start: int, end: int) -> Span | None:
    """RFC 4291 text form, with an optional zone and prefix length."""
    text = data[start:end].decode("ascii", "replace")
    address, _, _ = text.partition("/")
    bare = address.partition("%")[0].rstrip(":") if not address.endswith("::") else address
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        return None
    if len(bare) < 3 and "/" not in text:
        return None
    if not any(char.isdigit() for char in text) and bare.count(":") < 4:
        return None  # a path in C++ or Rust
    return start, end if address.partition("%")[0] == bare else start + len(bare)


def _mac(data: bytes, start: int, end: int) -> Span | None:
    text = data[start:end]
    return (start, end) if text.translate(None, _NOT_HEX) != b"0" * 12 else None


_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))


def _ssn(data: bytes, start: int, end: int) -> Span | None:
    """United States: area not 000, 666 or 9xx, group not 00, serial not 0000 (SSA, POMS RM 10201.035)."""
    digits = data[start:end].translate(None, _NOT_DIGIT)
    if b"." in data[start:end] and _is_version_there(data, start):
        return None
    wrong = digits[:3] in (b"000", b"666") or digits[:1] == b"9" or digits[3:5] == b"00" or digits[5:] == b"0000"
    return None if wrong or len(digits) != 9 else (start, end)


def _phone(data: bytes, start: int, end: int) -> Span | None:
    """ITU-T E.164 allows 15 digits; a date, a time or a decimal number is none."""
    text = data[start:end]
    digits = text.translate(None, _NOT_DIGIT)
    if not 6 <= len(digits) <= 16 or len(set(digits)) < 2:
        return None
    if digits == text and is_harmless_there(data, start):
        return None
    return None if _DATE.match(text.lstrip(b"(+")) else (start, end)


_DATE = re.compile(rb"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?:\D|$)")


_SHARED_HOMES = frozenset(
    b"runner root app user users ubuntu ec2-user node work vsts shared public default site jovyan admin".split()
)


def _person(data: bytes, start: int, end: int) -> Span | None:
    return None if data[start:end].lower() in _SHARED_HOMES else (start, end)


def _user_pair(data: bytes, start: int, end: int) -> Span | None:
    """`user:password` as a command line gives it, not a reference to variables or a placeholder."""
    pair = data[start:end]
    user, sign, password = pair.strip(b"\"'").partition(b":")
    if not sign or pair.startswith(b"<") or user.startswith(b"$") or password.startswith(b"$"):
        return None
    return start, end


def _account(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end].rstrip(b"-_")
    if token.isdigit():
        return start, start + len(token)
    if not _holds_digit(token):
        return None
    return (start, start + len(token)) if _UUID.fullmatch(token) or looks_credential(token) else None


def _fragment(data: bytes, start: int, end: int) -> Span | None:
    """Dots leave room for prose (`loading...done`), so a dotted fragment must have a key's beginning."""
    token = data[start:end]
    if b"..." not in token and b"\xe2\x80\xa6" not in token:
        return start, end
    return (start, end) if _KEY_START.match(token) else None


_KEY_START = re.compile(rb"[A-Za-z]{1,8}[-_]|[A-Z]{3,}[A-Z0-9]|AIza|eyJ|[A-Za-z]*\d[A-Za-z0-9]*[.\xe2]")


def _national(module: str) -> Check:
    validator = NATIONAL[module]

    def check(data: bytes, start: int, end: int) -> Span | None:
        try:
            validator(data[start:end].decode("ascii", "replace"))
        except ValidationError:
            return None
        return start, end

    return check


CHECKS: dict[str, Check] = {
    "generated": _generated,
    "credential": _credential,
    "service": _service,
    "short": _short,
    "digit": _has_digit,
    "digit-or-filler": _digit_or_filler,
    "card": _card,
    "iban": _iban,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "mac": _mac,
    "ssn": _ssn,
    "phone": _phone,
    "person": _person,
    "user-pair": _user_pair,
    "account": _account,
    "fragment": _fragment,
    **{module: _national(module) for module in NATIONAL},
}
