"""Confirmations of what is personal: check sums, ranges, and what an address or a number must not be."""

import ipaddress
import re

from stdnum import bitcoin, iban, luhn

from policies.redaction.validators.harmless import holds_digit, is_harmless_there

Span = tuple[int, int]
NOT_DIGIT = bytes(set(range(256)) - set(b"0123456789"))


def card_span(data: bytes, start: int, end: int) -> Span | None:
    """Keep 12 to 19 digits that are a payment card's: the prefix of an issuer (ISO/IEC 7812), the Luhn check digit."""
    digits = data[start:end].translate(None, NOT_DIGIT).decode()
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


def iban_span(data: bytes, start: int, end: int) -> Span | None:
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
    stops: list[int] = []
    rest = 0
    for stop, char in enumerate(text[4:], 5):
        if char in " -":
            continue
        value = int(char, 36)
        rest = (rest * (10 if value < 10 else 100) + value) % 97
        if (rest * 1_000_000 + head) % 97 == 1:
            stops.append(stop)
    return stops


# A version is distinguished from an address by the word or the comparison before it, or by what is said of it.
_VERSION_BEFORE = re.compile(
    rb"(?i)(?:\b(?:version|ver|release|build|chrome|safari|firefox|edg|v|sdk|driver|runtime|firmware|assembly|plugin"
    rb"|sec|section|versionchanged|versionadded|since|rfc \d{1,5})[ :=/\"']{1,4}|\xc2\xa7 ?|(?:[<>=~!]=|\^|~>) ?)\Z"
)
_VERSION_AFTER = re.compile(
    rb"(?i)[\"'`)]{0,2} (?:(?:is|was) (?:installed|too old|outdated|deprecated|released)"
    rb"|or (?:later|newer|higher|above|greater)|and (?:later|newer|above)|has been released)\b"
)
# Further before, what was said last decides; `got` and its like belong to what was asked for.
_VERSION_OR_ADDRESS = re.compile(
    rb"(?i)\b(?:(?P<version>version|release|(?:up|down)grad|require|minimum|supported|installed|incompatible|sdk|driver|runtime"
    rb"|package|library|plugin|[a-z]+(?:==|>=))|ip|addr|host|peer|remote|dial|connect|listen|bind|server|origin|source|proxy"
    rb"|node|dns|cidr|subnet|block|bann|allow|den(?:y|ied)|range|route|ping|client ip|https?:)"
)
_FOUND = re.compile(rb"(?i)\b(?:got|found|have|installed|using|running|from|to|is|,|and) ?\Z")
_VERSION_REACH_BYTES = 64


def _is_version_there(data: bytes, start: int) -> bool:
    """Whether the word before `start` says that a version follows."""
    return _VERSION_BEFORE.search(data, max(0, start - 24), start) is not None


def _is_version(data: bytes, start: int, end: int, first: int) -> bool:
    """Whether four numbers are a version, by what is said around them; `first` is the first of them."""
    if _is_version_there(data, start) or _VERSION_AFTER.match(data, end):
        return True
    low = max(0, start - _VERSION_REACH_BYTES)
    if first > _VERSION_FIRST_MAX or not _FOUND.search(data, low, start):
        return False
    last = None
    for last in _VERSION_OR_ADDRESS.finditer(data, max(low, data.rfind(b"\n", low, start)), start):  # noqa: B007
        pass
    return (last["version"] is not None) if last else _GOT.search(data, low, start) is not None and first < _GOT_BELOW


_GOT = re.compile(rb"(?i)\b(?:got|found|installed) \Z")
_VERSION_FIRST_MAX = 30
_GOT_BELOW = 8  # with nothing else said, only what few addresses begin with


def ipv4_span(data: bytes, start: int, end: int) -> Span | None:
    """Keep an address or network that names a machine: no loopback, no `0.0.0.0`, no version number."""
    numbers = list(map(int, data[start:end].partition(b"/")[0].split(b".")))
    if max(numbers) > 255 or numbers[0] == 127 or not any(numbers):
        return None  # no address, the machine itself, or any address
    if data[end : end + 1] == b"." and data[end + 1 : end + 2].isdigit():
        return None  # the number of an object (ITU-T X.660) goes on
    return None if _is_version(data, start, end, numbers[0]) else (start, end)


def host_ip_span(data: bytes, start: int, end: int) -> Span | None:
    """Keep an address within a host's name (`ip-10-0-0-1`) whose four numbers are at most 255."""
    return (start, end) if max(map(int, data[start:end].split(b"-"))) <= 255 else None


def ipv6_span(data: bytes, start: int, end: int) -> Span | None:
    """RFC 4291 text form, with an optional zone and prefix length."""
    text = data[start:end].decode("ascii", "replace")
    address, _, _ = text.partition("/")
    bare = address.partition("%")[0].rstrip(":") if not address.endswith("::") else address
    try:
        ipaddress.IPv6Address(bare)
    except ValueError:
        return None
    if (len(bare) < 3 or bare == "::1") and "/" not in text:
        return None  # any address, or the machine itself
    if not any(char.isdigit() for char in text) and bare.count(":") < 4:
        return None  # a path in C++ or Rust
    return start, end if address.partition("%")[0] == bare else start + len(bare)


def mac_span(data: bytes, start: int, end: int) -> Span | None:
    """Keep a MAC address that is not all zeros."""
    text = data[start:end]
    return (start, end) if text.translate(None, _NOT_HEX) != b"0" * 12 else None


_NOT_HEX = bytes(set(range(256)) - set(b"0123456789abcdefABCDEF"))


def ssn_span(data: bytes, start: int, end: int) -> Span | None:
    """United States: area not 000, 666 or 9xx, group not 00, serial not 0000 (SSA, POMS RM 10201.035)."""
    digits = data[start:end].translate(None, NOT_DIGIT)
    if b"." in data[start:end] and _is_version_there(data, start):
        return None
    wrong = digits[:3] in (b"000", b"666") or digits[:1] == b"9" or digits[3:5] == b"00" or digits[5:] == b"0000"
    return None if wrong or len(digits) != 9 else (start, end)


def phone_span(data: bytes, start: int, end: int) -> Span | None:
    """ITU-T E.164 allows 15 digits; a date, a time or a decimal number is none."""
    text = data[start:end]
    digits = text.translate(None, NOT_DIGIT)
    if not 6 <= len(digits) <= 16 or len(set(digits)) < 2:
        return None
    if digits == text and is_harmless_there(data, start):
        return None
    if _DATE.match(text.lstrip(b"(+")) or (_PAIRS.fullmatch(text) and _is_row_of_pairs(data, start, end)):
        return None
    return start, end


_PAIRS = re.compile(rb"\d{2}(?: \d{2}){3,4}")


def _is_row_of_pairs(data: bytes, start: int, end: int) -> bool:
    """Whether more numbers stand in the row: then it is no telephone number of pairs."""
    return data[end : end + 2].strip(b" ,").isdigit() or data[max(0, start - 2) : start].strip(b" ,").isdigit()


def wallet_span(data: bytes, start: int, end: int) -> Span | None:
    """Bitcoin's addresses hold a check sum; one of 64 hexadecimal trace ids looks like one and does not."""
    token = data[start:end]
    if token.startswith((b"1", b"3")):
        return (start, end) if bitcoin.is_valid(token.decode()) else None
    return (start, end) if holds_digit(token) else None


def document_span(data: bytes, start: int, end: int) -> Span | None:
    """A licence's number: mostly digits, or in capitals with some, and no year."""
    words = data[start:end].split(b" ")
    while len(words) > 1 and not holds_digit(words[-1]):
        words.pop()
    token = b" ".join(words)
    end = start + len(token)
    digits = len(token.translate(None, NOT_DIGIT))
    written = token.upper() == token or digits * 2 >= len(token)
    return (start, end) if written and digits >= 4 and len(token) >= 6 else None


def project_span(data: bytes, start: int, end: int) -> Span | None:
    """Google's project ids: several words, or a word with digits."""
    token = data[start:end]
    return (start, end) if (b"-" in token or holds_digit(token)) and not _NO_PROJECT.match(token) else None


_NO_PROJECT = re.compile(
    rb"(?:your|not|no|is|must|can|cannot|was|my-project|example|default|invalid|missing|unknown)(?:-|\Z)"
)


_ABOUT_ACCOUNTS = frozenset(
    b"""api app bad bot blocked channel chat code connection denied error exceeded expired failed forbidden found id
    invalid limit many message missing no not required server timeout token too unauthorized unknown was
    webhook""".split()
)


def account_span(data: bytes, start: int, end: int) -> Span | None:
    """Keep the name of an account unless its words are an error's: `chat_not_found`."""
    words = data[start:end].lower().replace(b".", b"_").split(b"_")
    return None if not _ABOUT_ACCOUNTS.isdisjoint(words) else (start, end)


_BEFORE_APOSTROPHE = re.compile(rb"(?<![A-Za-z0-9])([A-Za-z]{2,30}+)'\Z")


def email_span(data: bytes, start: int, end: int) -> Span | None:
    """A path or a query before an encoded address is none of it; a name like O'Brien is."""
    name = data[start - 1 : start] == b"'" and _BEFORE_APOSTROPHE.search(data, max(0, start - 32), start)
    if name and data[name.end() : name.end() + 1].isalpha():
        start = name.start(1)
    local = data[start:end].rpartition(b"@")[0]
    cut = max(local.rfind(b"/"), local.rfind(b"="), local.rfind(b"?"), local.rfind(b"&")) + 1
    return (start + cut, end) if cut < len(local) else (start, end)


_DATE = re.compile(rb"(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:0?[1-9]|[12]\d|3[01])(?:\D|$)")


_SHARED_HOMES = frozenset(
    b"runner root app user users ubuntu ec2-user node work vsts shared public default site jovyan admin".split()
)


def person_span(data: bytes, start: int, end: int) -> Span | None:
    """Keep a home folder's name unless it is one that many machines share, such as `root`."""
    return None if data[start:end].lower() in _SHARED_HOMES else (start, end)
