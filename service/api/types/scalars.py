"""Scalars of the schema: strict in what they take, one form in what they give."""

import base64
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NewType
from zoneinfo import ZoneInfo, available_timezones

import strawberry
from strawberry.types.scalar import ScalarDefinition

from policies.evidence import EvidenceError, read_base64
from service import rfc3339
from service.query.rendering.functions import COUNT_MAX
from service.rfc3339 import MomentError

Base64 = NewType("Base64", bytes)
BigInt = NewType("BigInt", int)
Count = NewType("Count", int)
TimeZone = NewType("TimeZone", str)
Digest = NewType("Digest", str)

_DECIMAL = re.compile(r"-?\d{1,30}(?:\.\d{1,12})?", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_INTEGER_MAX = 2**63 - 1
_ZONES = frozenset(available_timezones())


def parse_moment(text: object) -> datetime:
    """A moment in UTC. ValueError for anything but RFC 3339 with an offset, to the microsecond."""
    try:
        if not isinstance(text, str):
            raise MomentError
        moment = rfc3339.parse(text)
    except MomentError:
        raise ValueError("a DateTime is RFC 3339 with an offset, such as `2026-11-22T10:00:00Z`") from None
    if len(moment.fraction) > 6 and moment.fraction[6:].strip("0"):
        raise ValueError("a DateTime is exact to the microsecond at most")
    return moment.floored(6)


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def parse_decimal(text: object) -> Decimal:
    """An exact decimal. A JSON float is refused, because it is no longer exact when it arrives."""
    if isinstance(text, bool) or not isinstance(text, str | int) or not _DECIMAL.fullmatch(str(text)):
        raise ValueError('a Decimal is a string such as "0.0031", with twelve places at most')
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("this is not a Decimal") from None


def decimal_text(value: Decimal | str) -> str:
    """Plain notation without needless zeros: `0.0031`, `12`."""
    text = format(Decimal(value), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_big_int(text: object) -> int:
    """An integer of 64 bits from JSON text or number. Raises ValueError."""
    if isinstance(text, bool) or not isinstance(text, str | int) or not _INTEGER.fullmatch(str(text)):
        raise ValueError("a BigInt is a whole number as a string")
    number = int(text)
    if abs(number) > _INTEGER_MAX:
        raise ValueError("a BigInt fits in 64 bits")
    return number


def counted(number: object) -> int:
    """A count as JSON numbers hold it in every language. Raises ValueError for anything else."""
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= COUNT_MAX:
        raise ValueError("a Count is a whole number from 0 to 2^53 - 1")
    return number


def big_int(number: int | None) -> BigInt | None:
    """A whole number that may be missing, as the schema types it."""
    return None if number is None else BigInt(number)


def parse_zone(text: object) -> str:
    """The name of an IANA time zone, unchanged. Raises ValueError for a name that is not known."""
    if not isinstance(text, str) or text not in _ZONES:
        raise ValueError("a TimeZone is an IANA name such as `Europe/Berlin`")
    ZoneInfo(text)
    return text


def parse_digest(text: object) -> str:
    """A SHA-256 digest as `sha256:` and 64 hexadecimal digits, unchanged. Raises ValueError."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise ValueError("a Digest is `sha256:` and 64 lower-case hex digits")
    return text


def parse_base64(text: object) -> bytes:
    """Bytes of RFC 4648, section 4, with padding; ValueError for any other text that would decode to the same."""
    try:
        return read_base64(text, "a Base64")
    except EvidenceError:
        raise ValueError("a Base64 is canonical RFC 4648 base64 with padding") from None


def base64_text(value: bytes) -> str:
    """Bytes in base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(value).decode()


SCALARS: dict[Any, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339 with an offset; answered in UTC with `Z` and milliseconds.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time.html",
        serialize=moment_text,
        parse_value=parse_moment,
    ),
    Decimal: strawberry.scalar(
        name="Decimal",
        description="Exact decimal as a string, up to twelve places.",
        specified_by_url="https://www.w3.org/TR/xmlschema-2/#decimal",
        serialize=decimal_text,
        parse_value=parse_decimal,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="64-bit integer as a string.",
        specified_by_url="https://www.w3.org/TR/xmlschema-2/#long",
        serialize=str,
        parse_value=parse_big_int,
    ),
    Count: strawberry.scalar(
        name="Count",
        description="How many there are: a JSON number from 0 to 2^53 - 1, which an Int of 32 bits could not hold.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc7493#section-2.2",
        serialize=counted,
        parse_value=counted,
    ),
    Base64: strawberry.scalar(
        name="Base64",
        description="Bytes, RFC 4648 base64 with padding, canonical.",
        specified_by_url="https://datatracker.ietf.org/doc/html/rfc4648#section-4",
        serialize=base64_text,
        parse_value=parse_base64,
    ),
    TimeZone: strawberry.scalar(
        name="TimeZone",
        description="IANA time zone name.",
        specified_by_url="https://www.iana.org/time-zones",
        serialize=str,
        parse_value=parse_zone,
    ),
    Digest: strawberry.scalar(
        name="Digest",
        description="SHA-256 as `sha256:` and 64 lower-case hex digits.",
        specified_by_url="https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests",
        serialize=str,
        parse_value=parse_digest,
    ),
}
