"""Confirmations of a pattern's hit. Each gives the span to hide, or None."""

import re
from collections.abc import Callable

from stdnum.exceptions import ValidationError

from policies.redaction.validators.harmless import (
    UUID,
    holds_digit,
    is_harmless,
    is_harmless_there,
    looks_credential,
    looks_generated,
    names_other_key,
)
from policies.redaction.validators.national import NATIONAL
from policies.redaction.validators.personal import (
    NOT_DIGIT,
    account_span,
    card_span,
    document_span,
    email_span,
    host_ip_span,
    iban_span,
    ipv4_span,
    ipv6_span,
    mac_span,
    person_span,
    phone_span,
    project_span,
    ssn_span,
    wallet_span,
)
from policies.redaction.validators.randomness import bits_per_char

Span = tuple[int, int]
Check = Callable[[bytes, int, int], Span | None]


def _generated(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end]
    return (start, end) if not is_harmless(token) and looks_generated(token) else None


def _credential(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end]
    if not UUID.fullmatch(token) and (is_harmless(token) or not looks_credential(token)):
        return None
    return None if names_other_key(data, start) else (start, end)


def _quoted(data: bytes, start: int, end: int) -> Span | None:
    """What a sentence says that a key is: anything with a digit that is no word, name of a model, path or number."""
    token = data[start:end].rstrip(b".,;:!?")
    end = start + len(token)
    if UUID.fullmatch(token):
        return None if names_other_key(data, start) else (start, end)
    if not holds_digit(token) or token.isdigit() or is_harmless(token) or _MODEL.match(token):
        return None
    if (
        _SNAKE.fullmatch(token)
        or _PATH.fullmatch(token)
        or data[end : end + 3] == b"://"
        or names_other_key(data, start)
    ):
        return None
    return start, end


_SNAKE = re.compile(rb"[a-z]++(?:[_.][a-z]++)+\d{0,2}")  # the name of a field
_PATH = re.compile(rb"[A-Za-z_]++(?:\.(?:[A-Za-z_]++|[0-9]{1,3}))+")  # where in a body a field is: `tools.0.type`
# A name of a model, a version or a date: what else a sentence about keys names.
_MODEL = re.compile(
    rb"(?i)(?:gpt|claude|gemini|llama|meta|mistral|mixtral|qwen|deepseek|grok|command|text|o[134]|dall|whisper|tts|v?\d{1,4}[.-]\d"
    rb"|http|sha|md5|u?int\d|b?float\d|iso-?8859|ipv\d|bcrypt|argon|pbkdf|scrypt|base64|utf|oauth|us-|eu-|ap-|azure/|openai/|anthropic/|vertex)[\w./:-]{0,80}+\Z"
)


def _service(data: bytes, start: int, end: int) -> Span | None:
    """Next to a service's name a value needs only letters and digits, and no word that makes it an id."""
    token = data[start:end]
    if is_harmless_there(data, start) or token.isalpha() or token.isdigit():
        return None
    if UUID.fullmatch(token) or token.isalnum():
        return start, end
    if is_harmless(token):
        return None
    if 2 * len(token.translate(None, NOT_DIGIT)) >= len(token):
        return start, end
    return (start, end) if looks_credential(token) and bits_per_char(token) >= _MIXED_BITS else None


def _short(data: bytes, start: int, end: int) -> Span | None:
    """A token of 16 to 19 characters is taken for generated only when it could hardly be anything else."""
    token = data[start:end]
    kinds = (token.lower() != token) + (token.upper() != token) + holds_digit(token)
    if kinds < 3 or token.isalpha() or bits_per_char(token) < _SHORT_BITS:
        return None
    return None if is_harmless(token) or is_harmless_there(data, start) else (start, end)


def _written(data: bytes, start: int, end: int) -> Span | None:
    """A key of a gateway that an operator wrote; neither one that is masked in part, nor an algorithm of SSH."""
    token = data[start:end]
    if data[start - 1 : start] == b"-":
        return None  # `eu-sk-01` is a place
    if data[end : end + 1] == b"*" or data[end : end + 3] in (b"...", b"\xe2\x80\xa6", b"\xe2\x80\xa2"):
        return None
    return None if token.startswith((b"sk-ssh", b"sk-ecdsa")) else _has_digit(data, start, end)


def _digit_or_filler(data: bytes, start: int, end: int) -> Span | None:
    """A key, or one whose writer put the same letter for all of it."""
    return (start, end) if len(set(data[start + 4 : end])) == 1 else _has_digit(data, start, end)


_MIXED_BITS = 4.2
_SHORT_BITS = 4.9


def _has_digit(data: bytes, start: int, end: int) -> Span | None:
    token = data[start:end]
    return (start, end) if holds_digit(token) else None


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
    if not holds_digit(token):
        return None
    return (start, start + len(token)) if UUID.fullmatch(token) or looks_credential(token) else None


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
        """Keep the range when its text is a valid number of that country."""
        try:
            validator(data[start:end].decode("ascii", "replace"))
        except ValidationError:
            return None
        return start, end

    return check


CHECKS: dict[str, Check] = {
    "generated": _generated,
    "credential": _credential,
    "quoted": _quoted,
    "service": _service,
    "short": _short,
    "written": _written,
    "digit": _has_digit,
    "digit-or-filler": _digit_or_filler,
    "card": card_span,
    "iban": iban_span,
    "ipv4": ipv4_span,
    "host-ip": host_ip_span,
    "ipv6": ipv6_span,
    "mac": mac_span,
    "ssn": ssn_span,
    "phone": phone_span,
    "wallet": wallet_span,
    "document": document_span,
    "project": project_span,
    "email": email_span,
    "person": person_span,
    "user-pair": _user_pair,
    "account": _account,
    "account-name": account_span,
    "fragment": _fragment,
    **{module: _national(module) for module in NATIONAL},
}
