"""Moments as text by RFC 3339, section 5.6: one strict parser for reports, arguments and options."""

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

# `datetime.fromisoformat` takes hour 24 as the next day's hour 0 from Python 3.14 on: hours end at 23 here.
_FORM: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]((?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,20}))?"
    r"([Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])",
    re.ASCII,
)


class MomentError(ValueError):
    """not a time in the form that is asked for"""


class Moment(NamedTuple):
    """`second`: the whole second, in UTC. `fraction`: the digits behind the point, as they were given."""

    second: datetime
    fraction: str

    def floored(self, digits: int) -> datetime:
        """The moment with at most `digits` (up to 6) of its fraction; further ones are cut off, never rounded up."""
        if not self.fraction:
            return self.second
        return self.second.replace(microsecond=int(self.fraction[:digits].ljust(6, "0")))


def parse(text: str) -> Moment:
    """Read a date, a time and an offset; the letters may be lower case. Raises MomentError."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise MomentError
    day, clock, fraction, offset = match.groups()
    try:
        second = datetime.fromisoformat(f"{day}T{clock}{offset.upper()}")
        return Moment(second if second.tzinfo is UTC else second.astimezone(UTC), fraction or "")
    except (ValueError, OverflowError):
        raise MomentError from None
