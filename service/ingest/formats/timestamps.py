"""Moments in reports: strict RFC 3339 text or epoch seconds in, aware UTC floored to milliseconds out."""

import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Final

from service import rfc3339
from service.rfc3339 import MomentError

ERROR_DELAY_MAX: Final = timedelta(hours=24)
"""How long after its start a call may fail."""
# What most gateways write, which `datetime` reads as it stands in a third of the time.
_MILLISECONDS: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}(?:Z|\+00:00)", re.ASCII
)
_LOOSE: Final = re.compile(r"[-0-9]{10}([Tt ])[:.0-9]{8,29}(.*)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER: Final = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_LATEST_SECONDS: Final = 253_402_214_400  # 9999-12-31: as far as a datetime reaches


def moment_of_text(text: str) -> datetime:
    """RFC 3339 with an offset. More digits than milliseconds are cut off, never rounded up. MomentError."""
    if not _MILLISECONDS.fullmatch(text):
        return _since_1970(rfc3339.parse(text).floored(3))
    try:
        return _since_1970(datetime.fromisoformat(text))
    except ValueError:
        raise MomentError from None


def moment_of_loose_text(text: str) -> datetime:
    """As `moment_of_text`; a space for the `T` and a missing offset, which means UTC, are taken too."""
    match = _LOOSE.fullmatch(text)
    if match is None:
        raise MomentError
    return moment_of_text(f"{text[:10]}T{text[11:]}{'' if match[2] else 'Z'}")


def is_time_of_error(moment: datetime, started_at: datetime) -> bool:
    """Whether a call that started then may have failed at that moment."""
    return started_at <= moment <= started_at + ERROR_DELAY_MAX


def moment_of_epoch(text: str) -> datetime:
    """Seconds since 1970 as decimal text, floored to milliseconds. MomentError."""
    if not _NUMBER.fullmatch(text):
        raise MomentError
    seconds = Decimal(text)
    if seconds >= _LATEST_SECONDS:
        raise MomentError
    return _EPOCH + timedelta(milliseconds=int((seconds * 1000).to_integral_value(ROUND_FLOOR)))


def _since_1970(moment: datetime) -> datetime:
    if moment < _EPOCH:
        raise MomentError
    return moment
