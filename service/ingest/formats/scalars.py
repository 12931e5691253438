"""Moments and amounts in reports.

A moment comes as strict RFC 3339 text or as epoch seconds, and leaves as aware UTC, floored to milliseconds. Money
comes as decimal text, and leaves as an exact decimal of at most twelve places, never through a binary float.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Final

import msgspec
from msgspec import Raw

from service import rfc3339
from service.rfc3339 import MomentError

ERROR_DELAY_MAX: Final = timedelta(hours=24)
"""How long after its start a call may fail."""
# What most gateways write, which `datetime` reads as it stands in a third of the time.
_MILLISECONDS: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}(?:Z|\+00:00)", re.ASCII
)
_LOOSE: Final = re.compile(r"[-0-9]{10}([Tt ])[:.0-9]{8,29}(.*)", re.ASCII)
_PRINTED: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?![0-9])", re.ASCII)
# The usual one: what is behind its first group says nothing.
_PRINTED_UTC: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3})[0-9]{0,3}(?:Z|\+00:00)?",
    re.ASCII,
)
_PRINTED_CHARACTERS_MAX: Final = 48
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,40}))?([eE][+-]?[0-9]{1,2})?", re.ASCII)
_LATEST_SECONDS: Final = 253_402_214_400  # 9999-12-31: as far as a datetime reaches


def moment_of_text(text: str) -> datetime:
    """RFC 3339 with an offset. More digits than milliseconds are cut off, never rounded up. MomentError."""
    if not _MILLISECONDS.fullmatch(text):
        return _since_1970(rfc3339.parse(text).floored(3))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError from None
    if moment < _EPOCH:  # as `_since_1970`, without a call for every row
        raise MomentError
    return moment


def moment_of_loose_text(text: str) -> datetime:
    """As `moment_of_text`; a space for the `T` and a missing offset, which means UTC, are taken too."""
    match = _LOOSE.fullmatch(text)
    if match is None:
        raise MomentError
    return moment_of_text(f"{text[:10]}T{text[11:]}{'' if match[2] else 'Z'}")


def moment_of_printed(text: str) -> datetime:
    """A time as databases and programs write it: ISO 8601 with date and time to the second, a `T` or a space between,
    any fraction, and an offset, without which it is UTC. Floored to milliseconds. MomentError.
    """
    usual = _PRINTED_UTC.fullmatch(text)
    if usual is None and (not _PRINTED.match(text) or len(text) > _PRINTED_CHARACTERS_MAX):
        raise MomentError
    try:
        moment = datetime.fromisoformat(f"{usual[1]}+00:00" if usual else text)
        if not usual:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise MomentError from None
    if moment < _EPOCH:
        raise MomentError
    micros = moment.microsecond
    return moment if not micros % 1000 else moment.replace(microsecond=micros - micros % 1000)


def is_time_of_error(moment: datetime, started_at: datetime) -> bool:
    """Whether a call that started then may have failed at that moment."""
    return started_at <= moment <= started_at + ERROR_DELAY_MAX


def moment_of_epoch(text: str) -> datetime:
    """Seconds since 1970 as decimal text, floored to milliseconds. MomentError."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise MomentError
    seconds, fraction, exponent = match.groups()
    if exponent is not None:
        if (moved := Decimal(text)) >= _LATEST_SECONDS:
            raise MomentError
        return _EPOCH + timedelta(milliseconds=int((moved * 1000).to_integral_value(ROUND_FLOOR)))
    if (whole := int(seconds)) >= _LATEST_SECONDS:
        raise MomentError
    micros = int(fraction[:3].ljust(3, "0")) * 1000 if fraction else 0
    return _EPOCH + timedelta(0, whole, micros)


def moment_of_decimal(seconds: Decimal) -> datetime:
    """As `moment_of_epoch`, for a number that was read already."""
    if not 0 <= seconds < _LATEST_SECONDS:
        raise MomentError
    return _EPOCH + timedelta(0, 0, 0, int(_WIDE.multiply(seconds, _THOUSAND)))


def moment_of_milliseconds(count: int) -> datetime:
    """So many milliseconds, zero or more, after 1970. MomentError."""
    if count >= _LATEST_SECONDS * 1000:
        raise MomentError
    return _EPOCH + timedelta(0, 0, 0, count)


def _since_1970(moment: datetime) -> datetime:
    if moment < _EPOCH:
        raise MomentError
    return moment


PLACES: Final = 12
SIGNIFICANT_DIGITS: Final = 15
AMOUNT_LIMIT: Final = Decimal(10) ** 15
_TEXT: Final = msgspec.json.Decoder(str)
_TEXT_CHARACTERS_MAX: Final = 1200  # the exact expansion of a double has up to 1,077
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)
_THOUSAND: Final = Decimal(1000)
_SMALLEST_POWER: Final = 100
_QUANTUM: Final = _ONE.scaleb(-PLACES)
_FORM: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
# Also what `row_repair` puts in the place of such a number.
_NOT_FINITE: Final = re.compile(r"[+-]?(?:nan|inf|infinity|1e\+?999)", re.ASCII | re.IGNORECASE)
# What most gateways write: nothing to round, and too short to exceed a bound.
_PLAIN: Final = re.compile(rf"[0-9]{{1,{SIGNIFICANT_DIGITS}}}(?:\.[0-9]{{1,{PLACES}}})?", re.ASCII)
# The same as a JSON string, without the zeros at its end.
_PLAIN_JSON: Final = re.compile(rb'"(?:([0-9]{1,15}\.[0-9]{0,11}[1-9])0{0,99}|([0-9]{1,15})(?:\.0{1,99})?)"')
# Wider than any text that is read: only `quantize` rounds here.
_WIDE: Final = Context(prec=_TEXT_CHARACTERS_MAX + PLACES, rounding=ROUND_HALF_EVEN)
_FLOAT_NOISE: Final = Context(prec=SIGNIFICANT_DIGITS, rounding=ROUND_HALF_EVEN)


class MoneyError(ValueError):
    """The text is not an amount; the message completes the sentence `amount ...`."""


def money_of_text(text: str) -> Decimal:
    """The amount that a JSON string spells, exactly. MoneyError if it has more than twelve decimal places, or is no
    amount.
    """
    if _PLAIN.fullmatch(text):
        return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
    value = _decimal(text)
    if value.normalize(_WIDE).as_tuple().exponent < -PLACES:  # pyright: ignore[reportOperatorIssue] - finite, as _FORM says
        raise MoneyError(f"has more than {PLACES} decimal places, which cannot be kept exactly: round it yourself")
    return _fixed(value)


def money_of_printed(text: str) -> Decimal:
    """The amount in a text that a program wrote a number as: exactly, where it has no more than twelve decimal places,
    and else as `money_of_number` reads it, for then it is a binary float that was printed. MoneyError.
    """
    try:
        return money_of_text(text)
    except MoneyError:
        return money_of_number(text)


def plain_money_of_json(raw: bytes | Raw) -> Decimal | None:
    """What `money_of_text` makes of a JSON string that holds nothing but a plain amount; None for any other JSON."""
    match = _PLAIN_JSON.fullmatch(raw)
    return Decimal(match[match.lastindex or 0].decode("ascii")) if match else None


def money_of_json(raw: bytes | Raw) -> Decimal | None:
    """The amount that a JSON number or string spells; None for null. MoneyError for anything else."""
    text = bytes(raw).decode("ascii", "replace")
    if text == "null":
        return None
    if not text.startswith('"'):
        return money_of_number(text)
    try:
        return money_of_text(_TEXT.decode(raw) if "\\" in text else text[1:-1])
    except msgspec.DecodeError:
        raise MoneyError("is not a decimal number") from None


def money_of_number(text: str) -> Decimal:
    """The amount that a JSON number spells, rounded half even to 15 significant digits and twelve places.

    That removes the noise of binary floats (`0.00022500000000000002`) and nothing else.
    """
    if len(text) <= SIGNIFICANT_DIGITS and _PLAIN.fullmatch(text):
        return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)
    return _fixed(_FLOAT_NOISE.plus(_decimal(text)).quantize(_QUANTUM, context=_WIDE))


def money_of_decimal(value: Decimal) -> Decimal:
    """As `money_of_number`, for a number that was read already."""
    if not value:
        return _ZERO
    if value.is_finite() and -_SMALLEST_POWER < value.adjusted() < SIGNIFICANT_DIGITS:
        rounded = _WIDE.normalize(_WIDE.quantize(_FLOAT_NOISE.plus(value), _QUANTUM))
        # Nearly every amount is below ten: there is nothing more to see to, as in `without_zeros`.
        return rounded if rounded and rounded.adjusted() < 1 else _fixed(rounded)
    return money_of_number(str(value))


def _decimal(text: str) -> Decimal:
    # Decimal itself takes `NaN`, underscores and digits of other scripts.
    if len(text) > _TEXT_CHARACTERS_MAX or not _FORM.fullmatch(text):
        raise _not_money(text, "is not a decimal number")
    value = Decimal(text)
    if value.adjusted() >= SIGNIFICANT_DIGITS and value:
        raise _not_money(text, "must be below 10^15")
    return value


def _not_money(text: str, why: str) -> MoneyError:
    infinite = _NOT_FINITE.fullmatch(text) is not None
    return MoneyError("is not a finite number: `NaN` and `Infinity` are no amounts" if infinite else why)


def _fixed(value: Decimal) -> Decimal:
    """Without trailing zeros, exponent or negative zero, so that equal amounts are equal texts."""
    if abs(value) >= AMOUNT_LIMIT:
        raise MoneyError("must be below 10^15")
    return without_zeros(value, _WIDE) if value else _ZERO


def without_zeros(value: Decimal, context: Context) -> Decimal:
    """A finite number without zeros behind its point, and without a positive exponent."""
    value = value.normalize(context)
    # Below ten there is no zero before the point; the exponent is in a tuple of all digits, which takes long to make.
    if value.adjusted() < 1 or value.as_tuple().exponent <= 0:  # pyright: ignore[reportOperatorIssue] - finite
        return value
    return value.quantize(_ONE, context=context)
