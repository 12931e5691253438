"""What the expressions of the table of fields (`model/fields.py`) call.

A value that the schema could not answer (null where there is none, an Int beyond 32 bits) raises UnsupportedValueError,
and graphql-core decides what becomes of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache, partial
from math import isfinite
from typing import Any, Final, NoReturn, cast

import orjson

from policies import pseudonym
from policies.policy.model import Policy
from service.query.filters.to_sql import fingerprint_text
from service.query.scan.user_tokens import period_label
from service.storage.ids import encode_error_id
from service.storage.sources import AMOUNT_SOURCE_NAMES, AMOUNT_UNKNOWN_NAMES, SOURCE_NAMES

INT_MAX: Final = 2**31 - 1
COUNT_MAX: Final = 2**53 - 1
INT_MIN: Final = -(2**31)
_LABELS_MAX: Final = 64
# A user has many calls of one period.
_outward: Final = lru_cache(maxsize=4096)(pseudonym.outward)
_date_of: Final = lru_cache(maxsize=_LABELS_MAX)(date.fromisoformat)
_WITH_MICROSECONDS: Final = len("2026-11-22T10:00:00.123456Z")


class UnsupportedValueError(Exception):
    """The value is not one that a compiled operation may answer."""


def unsupported() -> NoReturn:
    """Raise UnsupportedValueError, within an expression."""
    raise UnsupportedValueError


def text(value: object) -> str | None:
    """JSON text or null, and nothing that would have to be made into text first."""
    if value is None or isinstance(value, str):
        return value
    raise UnsupportedValueError


def some_text(value: object) -> str:
    """The text itself. Raises UnsupportedValueError for null and for other types."""
    return value if isinstance(value, str) else unsupported()


def int32(value: Any) -> int:  # noqa: ANN401 - whatever the database holds
    """The integer itself. Raises UnsupportedValueError outside of 32 bits."""
    return value if INT_MIN <= value <= INT_MAX else unsupported()


def count(value: Any) -> int:  # noqa: ANN401 - whatever the database holds
    """The count itself. Raises UnsupportedValueError for more than JSON numbers hold exactly."""
    return value if 0 <= value <= COUNT_MAX else unsupported()


def real(value: float | None) -> float | None:
    """The number itself, or null. Raises UnsupportedValueError for infinities and NaN."""
    return value if value is None or isfinite(value) else unsupported()


def decimal(value: str | None) -> str | None:
    """The amount as the scalar answers it: plain notation without needless zeros."""
    if value is None:
        return None
    plain = format(Decimal(value), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def added(amount: str, more: Decimal) -> str | None:
    """The sum of an amount and what is added to it, as the scalar answers it."""
    return decimal(str(Decimal(amount) + more))


def moment_texts(moments: Sequence[datetime]) -> list[str]:
    """RFC 3339 in UTC with milliseconds, as the scalar answers it. orjson writes all of them at once."""
    if not moments:
        return []
    texts = orjson.dumps(moments, option=orjson.OPT_UTC_Z).decode("ascii")[2:-2].split('","')
    # With microseconds, or without a fraction when there are none.
    return [f"{text[:23]}Z" if len(text) == _WITH_MICROSECONDS else f"{text[:19]}.000Z" for text in texts]


def moments(values: Sequence[datetime | str | None]) -> Sequence[str | None]:
    """Many moments of a column; texts that the database made are answers already."""
    there = [value for value in values if value is not None]
    if not there or isinstance(there[0], str):
        return cast("Sequence[str | None]", values)
    texts = iter(moment_texts(cast("list[datetime]", there)))
    return [None if value is None else next(texts) for value in values]


def moment(value: datetime | None) -> str | None:
    """One moment, as `moment_texts` answers many."""
    return None if value is None else moment_texts([value])[0]


def as_it_is(value: Any) -> Any:  # noqa: ANN401 - whatever the database holds
    """The value, unchanged."""
    return value


def source_name(value: object) -> object:
    """A source by its number; text that stands in its place as it is."""
    return SOURCE_NAMES.get(value, "unknown") if isinstance(value, int) else value


def source(value: object) -> str:
    """The name of a source by its number. Raises UnsupportedValueError when there is none."""
    return some_text(source_name(value))


def sources(values: Sequence[object]) -> Sequence[str]:
    """The names of a column's values, as `source` has each. Raises UnsupportedValueError when there is no name."""
    known = {value: source(value) for value in {*values}}
    return [*map(known.__getitem__, values)]


def user_of(policy: Policy) -> Callable[[int | None, Any], str | None]:
    """The pseudonym of a row's token, under the policy's period."""
    label_of = lru_cache(maxsize=_LABELS_MAX)(partial(period_label, policy))

    def user(token: int | None, started_at: datetime) -> str | None:
        """The outward pseudonym of `token` in the period of `started_at`; null without a token."""
        return None if token is None else _outward(token, label_of(started_at.date()))

    return user


def users_of(policy: Policy) -> Callable[[Sequence[int | None], Sequence[datetime | str]], Sequence[str | None]]:
    """The pseudonyms of a column of tokens, as `user_of` has each. A moment may be a text, RFC 3339 in UTC."""
    label_of = lru_cache(maxsize=_LABELS_MAX)(partial(period_label, policy))

    def users(tokens: Sequence[int | None], moments: Sequence[datetime | str]) -> Sequence[str | None]:
        """One pseudonym a row; null without a token."""
        days = [_date_of(at[:10]) if isinstance(at, str) else at.date() for at in moments]
        keys = [*zip(tokens, map(label_of, days), strict=True)]
        some = [(token, label) for token, label in {*keys} if token is not None]
        known = dict(zip(some, pseudonym.outward_all(some), strict=True))
        return [None if token is None else known[token, label] for token, label in keys]

    return users


FUNCTIONS: Final[Mapping[str, Any]] = {
    "text": text,
    "some_text": some_text,
    "int32": int32,
    "real": real,
    "decimal": decimal,
    "added": added,
    "source": source,
    "moment": moment,
    "loads": orjson.loads,
    "encode_error_id": encode_error_id,
    "fingerprint_text": fingerprint_text,
    "amount_sources": AMOUNT_SOURCE_NAMES,
    "amount_reasons": AMOUNT_UNKNOWN_NAMES,
}
"""What an expression may call where its value is the answer."""

UNCHECKED: Final[Mapping[str, Any]] = {
    **FUNCTIONS,
    **dict.fromkeys(("text", "some_text", "int32", "real", "decimal"), as_it_is),
    "source": source_name,
}
"""The same where graphql-core looks at the value before it is the answer."""
