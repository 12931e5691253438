"""Figures of a row whose values are JSON, or, where the row comes from CSV, the same as text."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Final

import msgspec
from msgspec import Raw

from policies.admission.report import AmountSource, Report
from service.ingest.formats.content import count_dropped, remember_content, remember_values
from service.ingest.formats.figures import NOTHING as NO_TEXT
from service.ingest.formats.figures import FigureReader, Object, Value, decode, storable, text_of
from service.ingest.formats.left_out import FieldError, warn_of
from service.ingest.formats.native.fields import ID_CHARACTERS_MAX, INTEGER_MAX, TEXT_CHARACTERS_MAX
from service.ingest.formats.rejections import MOMENT_FORM, RowError
from service.ingest.formats.scalars import (
    MoneyError,
    moment_of_epoch,
    moment_of_milliseconds,
    moment_of_printed,
    money_of_decimal,
    money_of_number,
    money_of_printed,
)
from service.ingest.refusals import Refusal
from service.rfc3339 import MomentError

_ZERO: Final = Decimal(0)
_NO_OBJECT: Final[Object] = {}
NOTHING: Final = Raw(b"")
"""A field that is not there."""
_NOTHING_RAW: Final = frozenset((b"", b"null", b'""', b"{}", b"[]", b'"{}"', b'"[]"', b'"null"'))
_NOTHING_BYTES_MAX: Final = 6
_DIGITS_MAX: Final = 12
_TRUE: Final = frozenset(("true", "1", "t", "yes"))
_FALSE: Final = frozenset(("false", "0", "f", "no"))
_MILLISECOND: Final = timedelta(milliseconds=1)
_TAG_ON: Final = "true"
TAGS_MAX: Final = 64
# Seconds since 1970 have ten digits until 2286, milliseconds thirteen, and so on: more than these are finer.
_FINER: Final = ((10**17, 10**9), (10**14, 10**6), (10**11, 1000))


class Cells(FigureReader):
    """What is read of one row. What is left out is noted by the name that the gateway has for it."""

    def id_of(self, name: str, value: Value) -> str:
        """What the call is found by. RowError where it is missing or cannot be stored."""
        text = text_of(value, ID_CHARACTERS_MAX)
        if text is None:
            form = f"`{name}` is required: a text of 1 to {ID_CHARACTERS_MAX} characters"
            raise RowError(form, code=Refusal.FIELD_MISSING if value in (None, "") else Refusal.FIELD_INVALID)
        return storable(name, text)

    def start(self, name: str, value: Value) -> datetime:
        """When the call began. RowError where it is missing or is no time."""
        if value is None or value == "":
            raise RowError(f"`{name}` is required: {MOMENT_FORM}", code=Refusal.FIELD_MISSING)
        moment = self.moment(name, value)
        if moment is None:
            raise RowError(f"`{name}` must be {MOMENT_FORM}")
        return moment

    def moment(self, name: str, value: Value) -> datetime | None:
        """A time as text, or as seconds since 1970, or as thousandths of them and finer; None for nothing or for what
        is none.
        """
        if value is None or value == "":
            return None
        try:
            if isinstance(value, str) and not value.isdecimal():
                return moment_of_printed(value)
            if type(value) is int and value >= 0:
                return moment_of_milliseconds(value * 1000 // _divisor(value))
            if isinstance(value, bool | list | dict) or len(str(value)) > 2 * _DIGITS_MAX:
                raise MomentError
            seconds = Decimal(value)
            return moment_of_epoch(f"{seconds / _divisor(seconds):f}")
        except (MomentError, ArithmeticError):
            self.note(name, "is no time")
            return None

    def integer(self, name: str, value: Value) -> int | None:
        """A count; None for nothing, or for what is no count and is noted."""
        if type(value) is int and 0 <= value <= INTEGER_MAX:
            return value
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= _DIGITS_MAX:
            value = int(value)
        return None if value is None else self.count(name, value)

    def milliseconds(self, name: str, value: Value, *, scale: int = 1) -> int | None:
        """A duration, `scale` of whose units are a millisecond's inverse: 1000 for seconds. Rounded half even."""
        if type(value) is int and scale == 1 and 0 <= value <= INTEGER_MAX:
            return value
        amount = self.amount(name, value)
        if amount is None:
            return None
        duration = amount * scale
        if not 0 <= duration <= INTEGER_MAX:
            self.note(name, "is no duration")
            return None
        return round(duration)

    def amount(self, name: str, value: Value) -> Decimal | None:
        """A decimal number; None for nothing, or for what is none and is noted."""
        if value is None:
            return None
        try:
            if type(value) is Decimal:  # first: a decimal is long compared with a text
                return money_of_decimal(value)
            if isinstance(value, str):
                return money_of_printed(value) if value else None
            if type(value) is int:
                return money_of_number(str(value))
        except MoneyError as error:
            self.note(name, str(error))
            return None
        self.note(name, "is no number")
        return None

    def flag(self, name: str, value: Value) -> bool | None:
        """A boolean, also as word or digit; None for nothing, or for what is none and is noted."""
        if value is None or isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, (str, int)) else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        if value != "":
            self.note(name, "must be true or false")
        return None

    def label(self, name: str, value: Value) -> str | None:
        """A name; None for nothing, or for what is none and is noted."""
        if value is None or (type(value) is str and len(value) <= TEXT_CHARACTERS_MAX and value not in NO_TEXT):
            return value
        return None if value == "" else self.noted_text(name, value)

    def nested(self, name: str, value: Value) -> Object:
        """An object, or one as JSON text, as tables and files hold it; an empty one for nothing, or for what is none
        and is noted.
        """
        if isinstance(value, dict):
            return value
        if value is None or value == "":
            return _NO_OBJECT
        if isinstance(value, str) and value.lstrip()[:1] == "{":
            try:
                inner = decode(value.encode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError):
                inner = None
            if isinstance(inner, dict):
                return inner
        if value != "null":
            self.note(name, "must be an object")
        return _NO_OBJECT

    def cost(
        self,
        report: Report,
        name: str,
        value: Value,
        *,
        source: AmountSource,
        zero_is_known: bool,
        currency: str = "USD",
    ) -> None:
        """Give the report its amount. A zero is none where the gateway writes it for a price that it does not know."""
        amount = self.amount(name, value)
        if amount is None:
            report.amount_unknown = "UNREADABLE" if name in self.unreadable else None
        elif amount < 0:
            self.note(name, "is negative")
            report.amount_unknown = "NEGATIVE"
        elif amount or zero_is_known:
            report.amount, report.currency, report.amount_source = amount, currency, source

    def check_parts(self, report: Report) -> None:
        """Leave out parts of tokens that exceed the whole, which is what is billed."""
        cached = (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0)
        if cached and cached > (report.input_tokens or 0):
            self.note("cache tokens", "are more than the input that they are part of")
            report.cache_read_tokens = report.cache_write_tokens = None
        if report.reasoning_tokens and report.reasoning_tokens > (report.output_tokens or 0):
            self.note("reasoning tokens", "are more than the output that they are part of")
            report.reasoning_tokens = None

    def tags(self, name: str, value: Value) -> dict[str, str]:
        """Tags of an object, or of a list of words; which keys are kept is the policy's affair."""
        if not value and (value is None or value == "" or value == {} or value == []):
            return {}
        if isinstance(value, str) and value.lstrip()[:1] == "[":
            try:
                value = decode(value.encode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError):
                self.note(name, "must be a list")
                return {}
        if isinstance(value, list):
            words = [text for entry in value if (text := text_of(entry))]
            return {word.partition(":")[0]: word.partition(":")[2] or _TAG_ON for word in words[:TAGS_MAX]}
        found: dict[str, str] = {}
        for key, entry in (value if type(value) is dict else self.nested(name, value)).items():
            text = str(entry).lower() if isinstance(entry, bool) else text_of(entry)
            if text is not None and key and len(found) < TAGS_MAX:
                found[key] = text
        return found


def derived_id(*values: object) -> str:
    """An id for a row that has none, of what tells it from others: the same row has the same one again."""
    return f"row-{hashlib.sha256(repr(values).encode('utf-8', 'surrogatepass')).hexdigest()}"


def elapsed_ms(start: datetime, end: datetime | None) -> int | None:
    """Milliseconds from start to end; None when there is no end, or it is before the start."""
    if end is None or end < start:
        return None
    return min((end - start) // _MILLISECOND, INTEGER_MAX)


def is_nothing(raw: Raw) -> bool:
    """Whether a field that is counted by name says nothing."""
    return len(raw) <= _NOTHING_BYTES_MAX and bytes(raw) in _NOTHING_RAW


def _divisor(number: Decimal | int) -> int:
    """What makes seconds of a time since 1970, by its size."""
    return next((divisor for least, divisor in _FINER if number >= least), 1)


@lru_cache
def _values_of(names: tuple[str, ...]) -> "Callable[[msgspec.Struct], Sequence[Raw]]":
    """What finds these fields: most rows have few of many."""
    return attrgetter(*names) if len(names) > 1 else lambda fields: [getattr(fields, name) for name in names]


def drop(
    cells: Cells,
    report: Report,
    fields: msgspec.Struct,
    content: tuple[str, ...],
    others: Mapping[str, Raw],
    quoting: Iterable[tuple[str, object]] = (),
) -> None:
    """Count what is left out, say why a field is, and remember what the text of an error may repeat: the fields named
    by `content`, values of `quoting`, which may hold some under other names, and fields that are not known.
    """
    if cells.unreadable:
        warn_of(report, [FieldError(why, name) for name, why in cells.unreadable.items()])
    contents = [
        (name, raw)
        for name, raw in zip(content, _values_of(content)(fields), strict=True)
        if raw is not NOTHING and (len(raw) > _NOTHING_BYTES_MAX or not is_nothing(raw))
    ]
    for name, _ in contents:
        report.dropped[name] = 1
    unknown = [(name, raw) for name, raw in others.items() if not is_nothing(raw)] if others else []
    if unknown:
        count_dropped(report, "unknown", len(unknown))
    if report.error is not None:
        remember_content(report, contents)
        remember_content(report, unknown, known=False)
        remember_values(report, [(name, value) for name, value in quoting if value], known=False)


def first_text(values: Object, *names: str) -> str | None:
    """The first of these entries that is a name."""
    for name in names:
        text = text_of(values.get(name))
        if text is not None:
            return text
    return None
