"""Structured text walked by key: JSON, Python's repr, query strings, headers, environment files, XML, source code.

No document is parsed as a whole, for an error message is rarely one: each key is found where it stands,
its value is delimited by the syntax that it stands in, and key and value are judged together.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from policies.redaction.key_names import Trust, trust
from policies.redaction.scan_state import ScanState
from policies.redaction.spans import NEUTRAL
from policies.redaction.validators.harmless import is_harmless, is_harmless_there, looks_credential, looks_generated
from policies.redaction.validators.patterns import Pattern

_KEY_BYTES = 64
_VALUE_BYTES = 8192
_QUOTES = b"\"'`"
_OBJECT_STARTS = (b'{"', b"{'", b"{ ", b"{\n", b"{\\")

# No group here is possessive: CPython 3.11.2 does not give back what a failed try of such a group has read.
# What stands between a key and its value: brackets, a YAML block, anchor or tag, a wrapper of Rust or PHP, a prefix.
_OPENING = re.compile(
    rb"(?:[ \t]{0,8}[(\[]){0,2}(?:[|>][+-]?[0-9]?[ \t]{0,8}\r?\n)?[ \t\r\n]*"
    rb"(?:(?:&[\w-]{1,40}|!{1,2}[a-z]{1,16})[ \t]{1,8})?"
    rb"(?:(?:Some|Ok|Just|Secret\w{0,12}|[Ss]tr(?:ing)?)\((?:[0-9]{1,6}\)[ \t]{0,4}|(?=[\"'`\\])))?"
    rb"(?:[bBuUfFrR@$]{1,2}(?=[\"'`]))?"
)
_ESCAPED_QUOTE = re.compile(rb"\\+[\"'`]")
# A bare value is judged by its beginning, so that a refusal costs little however long the run is.
_BARE_JUDGED_BYTES = 128
# All that a refusal of a bare value rests on: two keys in the same surroundings are refused alike.
_AROUND_BYTES = 192
_BEYOND_BYTES = 16
_BARE = re.compile(rb"[^\s\"'`,;&<>\x00-\x1f]+")
_BARE_CERTAIN = re.compile(rb"[^\s\"'`,;\x00-\x1f]+")
# A password goes on behind a comma or a semicolon, unless the next field begins there.
_BARE_ON = re.compile(rb"[,;](?![\w .\-]{1,32}[=:])[^\s\"'`,;\x00-\x1f]{1,128}")
_LINE = re.compile(rb"[^\r\n\"'`]{1,8192}")
_TOKEN = re.compile(rb"[^\s\"'`]{1,8192}")
_SCHEME = re.compile(
    rb"(?i)(?:bearer|basic|digest|token|apikey|api-key|negotiate|ntlm|hoba|mutual|key|aws4-hmac-sha256|sso-key|oauth)"
    rb"[\s:=]+"
)
_STRINGS = re.compile(rb"\"(?:[^\"\\]|\\.){1,2048}\"|'(?:[^'\\]|\\.){1,2048}'|[^\s\"',:{}\[\]()]{6,2048}")

_QUERY_NAME = re.compile(rb"[A-Za-z0-9_.%\-]{1,64}")
_NAME_CHARS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$"
_HEADER_OPENING = re.compile(rb"[\s\\]{0,16}[\"'`]?(?:[bB](?=[\"'`]))?[\"'`]?")
# All of the value is taken out.
_TAKEN = re.compile(rb"[ \t]{0,16}[\"'`]?\x7f++(?:[\s\"'`<>}]|\Z)")
_CHALLENGE = re.compile(rb"(?i)(?:realm|error|charset|scope|resource_metadata)=")
_PROSE_AFTER = re.compile(rb"[.,:;!?)]? +[A-Za-z(]")

_REFERENCE = re.compile(
    rb"(?i)\$\{?[a-z_][\w.:-]*\}?|\$\([^)]*\)|\$\$?\{.*|\{\{.*|\{(?P<braced>[^{}\"']{0,64})\}(?:[/:]\{[^{}\"']{0,64}\}){0,4}|<[^<>]*>|&lt;.*"
    rb"|%\(?[a-z_]*\)?[sd]|%[a-z_]+%|os\.(?:environ|getenv).*|(?:process\.)?env[.(\[].*|getenv.*"
    rb"|secrets\.[a-z_.]+|var\.[a-z_.]+|local\.[a-z_.]+|data\.[a-z_.]+|!ref.*|self\.[a-z_.]+"
    rb"|(?:config|settings|options|args|params|request|req|this|cls|ctx)[.\[(].*|(?P<call>[a-z_][\w.]*)\(.*|arn:.*|projects/.*"
)
_FILLER = re.compile(
    rb"(?i)[x*.\-_#\xe2\x80\xa2\xa6?0 ]*|\.{2,}.*|\*{3,}\S{0,6}"
    rb"|[\[<]?redacted[\]>]?|\[?filtered\]?|\(?hidden\)?|masked|\*+|your[_-][a-z_-]+"
)
_WORDS = re.compile(rb"[A-Za-z]++(?:['-][A-Za-z]++)*[.,:;!?)]*+")
_ABOUT = frozenset(
    b"""a an and any are as at auth authentication authorization available bad bearer been being blank but by bytes
    can cannot check contains correct could default denied deprecated did does doesn't empty enabled disabled
    error expected expired exceeded failed failure false field for format found from given has have header here
    if in incorrect incomplete insufficient invalid is isn't it key limit length length_error malformed match
    max may min mismatch missing must nil no none not null of on only or oauth oauth2 option optional out passed
    password permission please provided rate required rejected revoked secret set should str string than that
    the this to token too true type undefined unauthorized unexpected unknown unset unsupported used user valid
    value verify was were when with without wrong yes your you bool int integer float number object array dict
    list boolean text any data json yaml bytes uuid date datetime basic digest file env environment
    field_required invalid_token no_token jwt api apikey cookie session changed reset updated created deleted
    authentication_error invalid_api_key invalid_request_error incorrect_api_key missing_api_key unauthorised
    forbidden authenticated expire expiring rotate rotated whitespace""".split()
)

_ELSEWHERE = """
    неверен неверный неверная неверно не нет истёк истек отсутствует обязателен пуст пустой недействителен указан
    недействительный неправильный требуется ошибка falsch falsches fehlt ungültig ungültiger abgelaufen leer nicht
    erforderlich fehlerhaft invalide incorrecte requis requise manquant manquante expiré expirée vide absent
    incorrecta incorrecto inválida inválido requerida requerido vacía vacío caducada vencida falta obrigatória
    errata mancante scaduta
"""
_ABOUT_ELSEWHERE = frozenset(_ELSEWHERE.encode().split())

# After `password=` without a blank, fewer words are about the value than the value: `secret` may be one.
_NO_VALUE = frozenset(
    b"""none null nil undefined true false required optional missing invalid empty unset disabled enabled str string
    bool boolean int integer float object type value field env environment incorrect expired not is must prompt
    ask""".split()
)


class Value(NamedTuple):
    """A value as it stands: its span, and whether quotes or a container bound it."""

    start: int
    end: int
    quoted: bool
    nested: bool = False


def assigned(pattern: Pattern, reading: ScanState) -> Iterator[tuple[int, int]]:
    """Spans of the values whose key (`pattern` ends at the value's first byte) says that they are credentials."""
    data = reading.data
    done = nested_until = 0
    nested_level = Trust.harmless
    refused: set[bytes] = set()
    inside = len(data) - _AROUND_BYTES
    for (_, at), key, glue in pattern.matches(data):
        if at <= done or at >= len(data):
            continue
        level = trust(_key_name(data, *key))
        if level is Trust.harmless or _TAKEN.match(data, at):
            continue
        around = data[at - _AROUND_BYTES : at + _AROUND_BYTES] if _AROUND_BYTES <= at < inside else b""
        if around in refused:
            continue
        if level is Trust.header:
            spans = list(_header(data, at))
            if around and not spans:
                refused.add(around)
        else:
            value = value_at(data, at, level)
            if value is None:
                continue
            if value.nested:
                if value.start < nested_until and level <= nested_level:
                    continue  # these strings were judged as part of a container around them, no less strictly
                nested_until, nested_level = value.end, level
                spans = _strings(data, value, level)
            else:
                spans = _judged(data, at, value, level, data[glue[0] : glue[1]])
                if around and not value.quoted and value.end + _BEYOND_BYTES < at + _AROUND_BYTES:
                    spans = list(spans)
                    if not spans:
                        refused.add(around)
        for start, end in spans:
            yield start, end
            done = max(done, end)


def _key_name(data: bytes, start: int, end: int) -> bytes:
    if not start or data[start - 1] not in _NAME_CHARS:
        return data[start:end]
    before = data[max(0, start - _KEY_BYTES) : start]
    return before[len(before.rstrip(_NAME_CHARS)) :] + data[start:end]


def _strings(data: bytes, value: Value, level: Trust) -> Iterator[tuple[int, int]]:
    """The strings inside of a container whose key names a credential."""
    for inner in _STRINGS.finditer(data, value.start, value.end):
        text = _unmarked(inner.group().strip(b"\"'"))
        if not _is_placeholder(text) and _accepts(text, level, quoted=True):
            yield inner.start(), inner.end()


def _judged(data: bytes, at: int, value: Value, level: Trust, glue: bytes) -> Iterator[tuple[int, int]]:
    text = _unmarked(data[value.start : value.end])
    if not text:
        return
    tight = b" " not in glue and b"=" in glue
    if _names(data, at, value, glue, text):
        return
    if (
        tight
        and level is Trust.certain
        and not value.quoted
        and text.lower() not in _NO_VALUE
        and text.isalpha()
        and len(text) > 3
    ):
        yield value.start, value.end
        return
    if value.quoted and level is Trust.certain and b"=" in glue and len(text.split()) > 2:
        yield value.start, value.end  # an assignment of several words; what a validator says stands after a colon
        return
    if _is_placeholder(text) or (not value.quoted and _is_prose(data, value, tight=tight)):
        return
    if not value.quoted and data[value.end : value.end + 1] in (b":", b"=") and trust(text) is not Trust.harmless:
        return  # the name of the next field, which a value of its own follows
    query = data[max(0, at - 1) : at] == b"=" and level is Trust.weak and _in_query(data, at)
    if _accepts(text, Trust.strong if query else level, quoted=value.quoted):
        if level is Trust.weak and not value.quoted and is_harmless_there(data, value.start):
            return
        value = _to_real_end(data, value, level)
        yield value.start, value.end


def _names(data: bytes, at: int, value: Value, glue: bytes, text: bytes) -> bool:
    """Whether a key without a sign after it is a word of a sentence, and what stands in quotes after it is a name.

    "Pass `stream=True`", "one of `api_key`, `base_url`", 'secret "openai-credentials" not found'.
    """
    if b"=" in glue or b":" in glue or not (value.quoted or glue.endswith((b'"', b"'", b"`"))):
        return False
    if b"," in glue:
        return _NAME.fullmatch(text) is not None
    if not glue.strip(b" \t\"'`\\)]}"):
        word = _last_name(data, at - len(glue))
        if word == b"pass":
            return True
        if word in _HELD_BY_NAME:
            return not looks_generated(text) and not (text.isalnum() and looks_credential(text))
    return False


_NAME = re.compile(rb"[A-Za-z]++(?:[_.-][A-Za-z0-9]{1,24})*(?:=.{0,64})?")
_HELD_BY_NAME = (b"secret", b"secrets", b"credential", b"credentials", b"key", b"token")


def _last_name(data: bytes, end: int) -> bytes:
    before = data[max(0, end - 24) : end].lower()
    return before[len(before.rstrip(_NAME_CHARS)) :]


def _unmarked(text: bytes) -> bytes:
    """`text` without marks, so that what stands beside one is judged by itself."""
    return text.replace(NEUTRAL, b"")


def _in_query(data: bytes, at: int) -> bool:
    before = data[max(0, at - _KEY_BYTES) : at - 1]
    sign = max(before.rfind(b"?"), before.rfind(b"&"))
    return sign >= 0 and _QUERY_NAME.fullmatch(before, sign + 1) is not None


def value_at(data: bytes, at: int, level: Trust) -> Value | None:
    """The value that begins at or just after `at`, delimited by its own syntax."""
    opening = _OPENING.match(data, at)
    start = opening.end() if opening else at
    closer = _container(data, start, opening.group() if opening else b"")
    if closer:
        limit = min(len(data), start + _VALUE_BYTES)
        stop = data.find(closer, start, limit)
        return Value(start, stop if stop >= 0 else limit, quoted=True, nested=True)
    escaped = _ESCAPED_QUOTE.match(data, start)
    if escaped:
        return _until(data, escaped.end(), escaped.group())
    if start >= len(data):
        return None
    if data[start] in _QUOTES:
        return _until(data, start + 1, data[start : start + 1])
    bare = (_BARE_CERTAIN if level is Trust.certain else _BARE).match(data, start, start + _BARE_JUDGED_BYTES)
    if bare is None:
        return None
    end = bare.end()
    if level is Trust.certain and data[at - 1 : at] == b"=":
        on = _BARE_ON.match(data, end)
        while on and end < start + _BARE_JUDGED_BYTES:
            end = on.end()
            on = _BARE_ON.match(data, end)
    return _trimmed(data, start, end)


def _container(data: bytes, start: int, opening: bytes) -> bytes:
    """What closes the list or the object that begins here; nothing when none does."""
    if b"[" in opening:
        return b"]"
    return b"}" if data[start : start + 2] in _OBJECT_STARTS else b""


def _to_real_end(data: bytes, value: Value, level: Trust) -> Value:
    """An accepted value to its real end."""
    if value.quoted or value.end - value.start < _BARE_JUDGED_BYTES - 8:
        return value
    bare = (_BARE_CERTAIN if level is Trust.certain else _BARE).match(data, value.start)
    return _trimmed(data, value.start, bare.end()) if bare else value


def _until(data: bytes, start: int, closer: bytes) -> Value:
    """A quoted value; one whose quote never closes ends with the line, for the text may have been cut there."""
    limit = min(len(data), start + _VALUE_BYTES)
    stop = data.find(closer, start, limit)
    while stop > start and len(closer) == 1 and data[stop - 1] == 0x5C and data[stop - 2 : stop] != b"\\\\":
        stop = data.find(closer, stop + 1, limit)
    if stop < 0:
        newline = data.find(b"\n", start, limit)
        stop = limit if newline < 0 else newline
    return Value(start, stop, quoted=True)


def _trimmed(data: bytes, start: int, end: int) -> Value:
    """A bare value without the punctuation and the unopened brackets that the text around it put there."""
    while end > start:
        last = data[end - 1 : end]
        if last in b".,:;!?\\" or (last in b")]}" and _unopened(data[start:end], last)):
            end -= 1
        else:
            break
    return Value(start, end, quoted=False)


def _unopened(text: bytes, closer: bytes) -> bool:
    opener = {b")": b"(", b"]": b"[", b"}": b"{"}[closer]
    return text.count(closer) > text.count(opener)


def _is_placeholder(text: bytes) -> bool:
    reference = _REFERENCE.fullmatch(text)
    if reference and looks_credential(reference["call"] or reference["braced"] or b""):
        reference = None  # brackets do not make it a function, nor ODBC's braces the name of one
    return reference is not None or _FILLER.fullmatch(text) is not None or _is_about(text)


def _is_about(text: bytes) -> bool:
    """Whether a word is what is said of a credential, and none itself."""
    lowered = text.lower()
    return lowered in _ABOUT or lowered in _ABOUT_ELSEWHERE


def _is_prose(data: bytes, value: Value, *, tight: bool) -> bool:
    """Whether a bare value is a word of a sentence: `password: authentication failed`, `key is missing`."""
    text = data[value.start : value.end]
    if not _WORDS.fullmatch(text):
        return False
    if text.lower() in _ABOUT:
        return True
    return not tight and _PROSE_AFTER.match(data, value.end) is not None


def _accepts(text: bytes, level: Trust, *, quoted: bool) -> bool:
    if b" " in text and _is_sentence(text):
        return False
    if level is Trust.certain:
        return len(text) >= 3
    if level is Trust.weak and is_harmless(text) and not _UUID_LIKE.fullmatch(text):
        return False
    if level is Trust.strong:
        return (len(text) >= (4 if quoted else 6) and not text.isdigit()) or len(text) >= 10
    return looks_credential(text) or _UUID_LIKE.fullmatch(text) is not None


_UUID_LIKE = re.compile(rb"[0-9A-Za-z]{8}-?(?:[0-9A-Za-z]{4}-?){3}[0-9A-Za-z]{10,14}")


def _is_sentence(text: bytes) -> bool:
    words = text.split()
    plain = [word for word in words if _WORDS.fullmatch(word)]
    about = sum([word.lower().strip(b".,:;!?") in _ABOUT for word in plain])
    return len(plain) * 10 >= len(words) * 6 and (about >= 2 or (about == 1 and len(words) == 2) or text.endswith(b"."))


def _header(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    """The credentials of a header's line, its scheme left in clear (RFC 9110, section 11.4; RFC 6265)."""
    opening = _HEADER_OPENING.match(data, at)
    start = opening.end() if opening else at
    scheme = _SCHEME.match(data, start)
    start = scheme.end() if scheme else start
    line = _LINE.match(data, start, start + _BARE_JUDGED_BYTES)
    if line is None:
        return
    value = _trimmed(data, start, start + len(line.group().rstrip()))
    text = _unmarked(data[value.start : value.end])
    first = text.split(None, 1)[0] if text.split() else b""
    if _is_placeholder(first) or _is_placeholder(text) or _is_sentence(text) or _CHALLENGE.match(text):
        return
    if scheme or b"=" not in text:
        stop = data.find(first, value.start, value.end) + len(first)
        value = Value(value.start, stop if stop >= len(first) else value.end, quoted=False)
    if len(first) >= 4 and not (_WORDS.fullmatch(first) and len(first) < 12):
        if value.end - start >= _BARE_JUDGED_BYTES - 8:
            value = _header_end(data, value, complete=not scheme and b"=" in text)
        yield value.start, value.end


def _header_end(data: bytes, value: Value, *, complete: bool) -> Value:
    """An accepted value of a header that is longer than what was judged: to the end of its line, or of its token."""
    line = (_LINE if complete else _TOKEN).match(data, value.start)
    return _trimmed(data, value.start, value.start + len(line.group().rstrip())) if line else value
