"""What a token looks like, and what the word before it says: an id, a credential, or something made by chance."""

import re
from functools import lru_cache

from policies.redaction.validators.randomness import bits_per_char, has_entropy

_DIGITS = frozenset(b"0123456789")
CONTEXT_BYTES = 48
_MAX_GENERATED_CHARS = 4096

# Words that say that what follows them is an identifier, a hash or a version, and not a credential.
_HARMLESS_WORDS = frozenset(
    b"""request req trace traceparent span parent correlation response resp message msg event job task batch run
    thread operation invocation conversation chat completion call tool tool_call toolcall commit rev revision
    tree blob build release sha sha1 sha256 sha384 sha512 sha-256 sha-512 md5 digest hash checksum etag
    fingerprint integrity uuid guid ray cf-ray image layer container pod node instance file upload document
    object block version deployment checkpoint model engine id ids no requestid request_id request-id traceid
    spanid trace-context x-cloud-trace-context b3 voice x-amz-id-2 x-amz-cf-id if-none-match if-match
    idempotency-key idempotency cache""".split()
)
_GLUE = b"\"'`(<[ :=#/@-_."
_LINKS = (b"is", b"was", b"with", b"number", b"name", b"and", b"w")
_WORD_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
_HARMLESS_START = re.compile(
    rb"(?:req(?:uest)?|toolu|tooluse|call|fc|chatcmpl|cmpl|msg|resp|run|step|thread|asst|batch|msgbatch|batch_req|prompt|cache|semantic|ratelimit|lock|idem|gen|fp|ft|ftjob|file|vs|evt|item"
    rb"|trace|span|modr|embd|img|rs|srvtoolu|mcpl|mcpr|ws|ig|ci|cu|upload|ckpt|snapshot|sha\d{1,3}|md5|rpt|run|job|task"
    rb"|session_id|conv|eval|evalrun|model|deployment|projects|locations|publishers|endpoints|traceparent)[-_:]"
    rb"|[a-z]{2,16}:cache[-_:]|1-[0-9a-f]{8}-[0-9a-f]{24}$"
)
UUID = re.compile(rb"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PARTED = re.compile(rb"[-_]")
_HEX = re.compile(rb"(?:0x)?[0-9A-Fa-f]+")


# Five groups as of a UUID, with letters that no UUID has (those are judged before).
_UUID_SHAPED = re.compile(rb"[0-9A-Za-z]{8}-(?:[0-9A-Za-z]{4}-){3}[0-9A-Za-z]{12}")
_UUID_SHAPED_DIGITS_MIN = 5


def holds_digit(token: bytes) -> bool:
    """Whether one of the ten digits is in `token`."""
    return not _DIGITS.isdisjoint(token)


def _last_word(text: bytes) -> tuple[bytes, bytes]:
    """The last word of `text` in lower case, and what stands before it."""
    text = text.rstrip(_GLUE)
    rest = text.rstrip(_WORD_BYTES)
    return text[len(rest) :].lower(), rest


# Keys that are no credentials, by the word before: `idempotency key <uuid>`.
_OTHER_KEY_ELSEWHERE = (
    r"(?:(?:キャッシュ|パーティション|プライマリ|ソート|外部|主)キー|(?:primär|fremd|cache|partitions|sortier)-?schlüssel"
    r"|(?:первичный|внешний) ключ)[^\n]{0,32}\Z"
)
_OTHER_KEY = re.compile(
    rb"(?i)(?<![a-z])(?:idempotency|cache|caching|etag|partition|primary|foreign|sort|routing|sharding|shard|dedup\w*|lookup|row|unique"
    rb"|message|event|page|next|cursor|continuation|pagination|resume|sync)[ _\-]{0,2}(?:keys?|tokens?)\b[^\n]{0,32}\Z|"
    + _OTHER_KEY_ELSEWHERE.encode()
)


# One of them is in every text in which `_OTHER_KEY` is: to look for these takes a tenth of the time.
_KEYS = (b"key", b"token", "キー".encode(), "schlüssel".encode(), "ключ".encode())


def names_other_key(data: bytes, start: int) -> bool:
    """Whether the words before `start` name a key that is no credential."""
    first = max(0, start - CONTEXT_BYTES)
    # with the byte before, which tells whether the first word is a whole one
    return _ends_with_other_key(data[max(0, first - 1) : start], min(first, 1))


@lru_cache(maxsize=4096)
def _ends_with_other_key(text: bytes, first: int) -> bool:
    lowered = text.lower()
    return any(key in lowered for key in _KEYS) and _OTHER_KEY.search(text, first) is not None


@lru_cache(maxsize=4096)
def _says_id(text: bytes) -> bool:
    word, rest = _last_word(text)
    if word.endswith((b"key", b"keys", b"token")) and _OTHER_KEY.search(text):
        return True
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
    return _says_id(data[max(0, start - CONTEXT_BYTES) : start])


def is_harmless(token: bytes) -> bool:
    """Whether `token` says by its own form that it is an identifier: `req_...`, `chatcmpl-...`, a UUID."""
    return _HARMLESS_START.match(token) is not None or UUID.fullmatch(token) is not None


@lru_cache(maxsize=2048)
def looks_generated(token: bytes) -> bool:
    """Whether a bare token of 20 or more characters was made by chance rather than written."""
    if len(token) > _MAX_GENERATED_CHARS:
        token = token[:_MAX_GENERATED_CHARS]
    if _HEX.fullmatch(token):
        return len(token) >= 32 and not token.isdigit() and has_entropy(token, 2.5)
    if not has_entropy(token, 3.0):
        return False
    if _UUID_SHAPED.fullmatch(token):
        return sum(map(_DIGITS.__contains__, token)) >= _UUID_SHAPED_DIGITS_MIN
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
    if holds_digit(value):
        return bits_per_char(value) >= (3.9 if len(value) < 24 else 3.4)
    return len(value) >= 12 and bits_per_char(value) >= 4.5
