"""Moments in reports: strict RFC 3339 text or epoch seconds in, aware UTC floored to milliseconds out."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from service.storage.control.accounts import EPOCH

# Hours end at 23, as RFC 3339 has it: `datetime.fromisoformat` takes 24 as the next day's hour 0 from Python 3.14 on.
_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}"
_FRACTION: Final = r"(?:\.([0-9]{1,20}))?"
_OFFSET: Final = r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
_FORM: Final = re.compile(f"({_DAY})[Tt]({_CLOCK}){_FRACTION}{_OFFSET}", re.ASCII)
# What most gateways write, and `datetime` reads as it stands.
_MILLISECONDS: Final = re.compile(rf"{_DAY}T{_CLOCK}\.[0-9]{{3}}(?:Z|\+00:00)", re.ASCII)
_LOOSE: Final = re.compile(f"({_DAY})[Tt ]({_CLOCK}){_FRACTION}{_OFFSET}?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_LATEST_SECONDS: Final = 253_402_214_400  # 9999-12-31: as far as a datetime reaches


class MomentError(ValueError):
    """not a time in the form that is asked for"""


def moment_of_text(text: str) -> datetime:
    """RFC 3339 with an offset. More digits than milliseconds are cut off, never rounded up. MomentError."""
    if not _MILLISECONDS.fullmatch(text):
        return _moment(_FORM.fullmatch(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError from None
    if moment < EPOCH:
        raise MomentError
    return moment


def moment_of_loose_text(text: str) -> datetime:
    """As `moment_of_text`; a space for the `T` and a missing offset, which means UTC, are taken too."""
    return _moment(_LOOSE.fullmatch(text))


def moment_of_epoch(text: str) -> datetime:
    """Seconds since 1970 as decimal text, floored to milliseconds. MomentError."""
    if not _NUMBER.fullmatch(text):
        raise MomentError
    seconds = Decimal(text)
    if seconds >= _LATEST_SECONDS:
        raise MomentError
    return EPOCH + timedelta(milliseconds=int((seconds * 1000).to_integral_value(ROUND_FLOOR)))


def _moment(match: re.Match[str] | None) -> datetime:
    if match is None:
        raise MomentError
    day, clock, fraction, offset = match.groups()
    offset = offset if offset and offset not in "Zz" else "+00:00"
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:3]:0<3}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise MomentError from None
    if moment < EPOCH:
        raise MomentError
    return moment
