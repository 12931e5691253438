"""One row of `logs` while it is read: a JSON object by the names of its columns, or by those of the HTTP API.

A value may be text, as in CSV; `other` is JSON inside of text, or the object itself.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache
from sys import getsizeof
from typing import Final, Literal

from msgspec import Raw

from service.ingest.formats.figures import NOTHING, FigureReader, Object, Value, decode, text_of
from service.ingest.formats.native.fields import INTEGER_MAX, TEXT_CHARACTERS_MAX
from service.ingest.formats.rejections import RowError, wrong_json
from service.ingest.refusals import Refusal

QUOTA_PER_UNIT: Final = Decimal(500_000)
"""Quota that is one US dollar where the gateway's setting `QuotaPerUnit` was not changed."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,15}", re.ASCII)
_TRUE: Final = frozenset(("true", "t", "1"))
_FALSE: Final = frozenset(("false", "f", "0"))
_NUMBER_MAX: Final = 10**15
_REMEMBERED_BYTES: Final = 128
"""A ratio has few digits; a number in its place may be a whole row long, and must not stay in memory."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """Which gateway's rows these are, what of its quota is one unit of `currency`, and which column (`username`,
    `group` or `token_name`) names the account of a call; None: none does.
    """

    source: Literal["new-api", "one-api"]
    quota_per_unit: Decimal = QUOTA_PER_UNIT
    currency: str = "USD"
    account_by: str | None = None


class LogRow(FigureReader):
    """The fields of one row."""

    def __init__(self, fields: dict[str, Value], settings: LogSettings) -> None:
        super().__init__()
        self.fields = fields
        self.settings = settings

    @classmethod
    def of(cls, row: bytes | Raw, settings: LogSettings) -> "LogRow":
        """Raises RowError for what is no JSON object."""
        try:
            fields = decode(row)
        except (ValueError, RecursionError) as error:
            raise wrong_json(bytes(row), error) from None
        if not isinstance(fields, dict):
            raise RowError("the row must be a JSON object", code=Refusal.ROW_UNREADABLE)
        return cls(fields, settings)

    @cached_property
    def other(self) -> Object:
        """What the gateway keeps of a call beside its columns; empty for nothing, or for what is noted."""
        value = self.fields.get("other")
        if isinstance(value, str) and value not in NOTHING:
            try:
                value = decode(value.encode("utf-8", "surrogatepass"))
            except (ValueError, RecursionError):
                value = False
        if isinstance(value, dict):
            return value
        if value is not None and value not in NOTHING:
            self.note("other", "must be a JSON object")
        return {}

    def text(self, name: str) -> str | None:
        """The text, or number as text, of a column; None for nothing, and for what is too long and is noted."""
        value = self.fields.get(name)
        if type(value) is str and 0 < len(value) <= TEXT_CHARACTERS_MAX and value not in NOTHING:
            return value
        return None if value is None or value == "" else self.noted_text(name, value)

    def integer(self, name: str) -> int | None:
        """The count of a column, from 0 on; None for nothing, or for what is none and is noted."""
        value = self.fields.get(name)
        return value if type(value) is int and 0 <= value <= INTEGER_MAX else self.count(name, _number(value))

    def part(self, name: str) -> int:
        """The count of an entry of `other`; 0 for nothing, or for what is none and is noted."""
        value = self.other.get(name)
        return 0 if value is None else self.count(f"other.{name}", _number(value)) or 0

    def ratio(self, name: str) -> Decimal | None:
        """A price or a ratio in `other`; None for nothing, or for what is none and is noted."""
        value = self.other.get(name)
        if value is None:
            return None
        known = None
        if isinstance(value, int | Decimal) and getsizeof(value) <= _REMEMBERED_BYTES:
            known = _known_ratio(value)
        return self.money(f"other.{name}", value) if known is None else known

    def quota(self) -> int:
        """The quota, also below zero. RowError for what is no number: nobody could say what the call cost."""
        value = _number(self.fields.get("quota"))
        if value is None or value in NOTHING:
            return 0
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _NUMBER_MAX:
            return value
        raise RowError("`quota` must be a whole number")

    def flag(self, name: str) -> bool | None:
        """The boolean of a column, which databases also write as a number or a letter."""
        value = self.fields.get(name)
        if isinstance(value, bool) or value is None:
            return value
        text = (text_of(value) or "").lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if text:
            self.note(name, "must be true or false")
        return None


@lru_cache(maxsize=4096)
def _known_ratio(value: int | Decimal) -> Decimal | None:
    """The ratio that a number is, of which there are few; None for what is none, which its row will say."""
    return FigureReader().money("", value)


def _number(value: Value) -> Value:
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
