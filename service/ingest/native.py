"""The native format of `POST /v1/calls`: bytes -> reports and rejections.

A row is decoded by a schema in one step. Only when that fails does a second look find out what was wrong, so that a
good row costs little. Of two equal keys in one object the last one counts, as for most JSON readers.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from policies.report import AmountPart, ErrorReport, Json, Report
from service.ingest.content import UnreadableContentError, count_dropped, decode_value, remember_content
from service.ingest.moments import MomentError, moment_of_text
from service.ingest.money import MoneyError, money_of_json, plain_money_of_json
from service.ingest.native_attributes import AttributeFields, read_attributes, take_parts
from service.ingest.rejections import RowError, reject, wrong_json
from service.ingest.rows import Rejection, repair_surrogates, split_rows

INTEGER_MAX: Final = 2**31 - 1
TEXT_CHARACTERS_MAX: Final = 1024
ID_CHARACTERS_MAX: Final = 512
_DEFAULT_CURRENCY: Final = "USD"
_NUL_ESCAPE: Final = b"\\u0000"
_LOST: Final = "\ufffd"
# How JSON may write NUL and U+FFFD, with which a row is not taken unless it is looked at.
_ODD_ESCAPES: Final = (_NUL_ESCAPE, b"\\uf", b"\\uF")

_Required: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
_Text: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] | None
_Count: TypeAlias = Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | None
_Milliseconds: TypeAlias = (
    Annotated[int, Meta(ge=0, le=INTEGER_MAX)] | Annotated[float, Meta(ge=0, le=INTEGER_MAX)] | None
)
_CURRENCY: Final = r"^(?:[A-Z]{3,16})?\Z"
_CURRENCY_FORM: Final = re.compile(_CURRENCY)
_Currency: TypeAlias = Annotated[str, Meta(pattern=_CURRENCY)] | None
_TagValue: TypeAlias = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] | int | float | bool | None

_CONTENT_NAMES: Final = """
    messages message prompt prompts input inputs output outputs completion completions response request choices content
    text system instructions tools tool_calls tool_choice functions function_call arguments documents query body
"""
CONTENT_FIELDS: Final = frozenset(_CONTENT_NAMES.split())
"""Fields that hold prompts, answers and tool arguments: dropped, counted, never stored."""


class _Part(Struct):
    meter: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    name: Annotated[str, Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    quantity: Raw | UnsetType = UNSET
    unit_price: Raw | UnsetType = UNSET
    amount: Raw | UnsetType = UNSET


class _Error(Struct):
    type: _Text = None
    code: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)] | int | None = None
    message: str | None = None
    parameters: Raw | UnsetType = UNSET
    occurred_at: str | None = None


class _Facts(AttributeFields):
    id: _Required
    started_at: str
    model: _Required
    status: Literal["succeeded", "failed"]
    account: Annotated[str, Meta(max_length=200)] | None = None
    api_key: _Text = None
    user: _Text = None
    served_model: _Text = None
    provider: _Text = None
    operation: _Text = None
    streamed: bool | None = None
    input_tokens: _Count = None
    output_tokens: _Count = None
    cache_read_tokens: _Count = None
    cache_write_tokens: _Count = None
    reasoning_tokens: _Count = None
    amount: Raw | UnsetType = UNSET
    currency: _Currency = None
    amount_parts: Annotated[list[_Part], Meta(max_length=64)] | None = None
    corrects: _Text = None
    latency_ms: _Milliseconds = None
    time_to_first_token_ms: _Milliseconds = None
    tags: Annotated[dict[Annotated[str, Meta(min_length=1, max_length=200)], _TagValue], Meta(max_length=64)] | None = (
        None
    )
    error: Raw | UnsetType = UNSET


class _OnlyFacts(_Facts, forbid_unknown_fields=True, gc=False):
    # Without its pattern, which costs a third of a row's decoding: `_is_currency` remembers those few that there are.
    currency: Annotated[str, Meta(max_length=16)] | None = None


_KNOWN: Final = frozenset(_Facts.__struct_fields__)
_ERROR_FIELDS: Final = frozenset(_Error.__struct_fields__)

_PLAIN: Final = msgspec.json.Decoder(_OnlyFacts)
_LENIENT: Final = msgspec.json.Decoder(_Facts)
_ERROR: Final = msgspec.json.Decoder(_Error)
_NO_OTHERS: Final[Mapping[str, Raw]] = {}
_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])


def read_native(body: bytes) -> Iterator[Report | Rejection]:
    """A report or a rejection for each row, in order, read as they are asked for.

    Raises BodyError, at once, when the body as a whole cannot be read.
    """
    rows = split_rows(body)
    return map(read_row if _may_be_odd(body) else _read_plain_row, rows)


def _may_be_odd(body: bytes) -> bool:
    """Whether there may be a NUL or U+FFFD in it. A single byte is looked for ten times as fast as several."""
    if b"\\" in body and any(escape in body for escape in _ODD_ESCAPES):
        return True
    return b"\xef" in body and _LOST.encode() in body


def read_row(row: bytes | Raw) -> Report | Rejection:
    """One row, as JSON text; never raises."""
    try:
        try:
            facts, others = _plain_facts(row), _NO_OTHERS
        except (ValueError, RecursionError):
            row = bytes(row)
            facts, others = _second_look(row)
        if _NUL_ESCAPE in bytes(row):
            _refuse_nul(facts)
        _refuse_lost_characters(facts)
        report = _report(facts)
    except RowError as error:
        return Rejection(str(error))
    if others:
        _drop(report, others)
    return report


def _read_plain_row(row: bytes | Raw) -> Report | Rejection:
    """As `read_row`, for rows of a body in which there is neither NUL nor U+FFFD."""
    try:
        return _report(_plain_facts(row))
    except (ValueError, RecursionError, RowError):
        return read_row(row)


def _plain_facts(row: bytes | Raw) -> _Facts:
    """The facts of a row that is as it should be; a ValueError does not say what is wrong with it."""
    facts = _PLAIN.decode(row)
    if not _is_currency(facts.currency):
        raise ValueError
    return facts


@lru_cache(maxsize=256)
def _is_currency(text: str | None) -> bool:
    return text is None or _CURRENCY_FORM.search(text) is not None


def _second_look(row: bytes) -> tuple[_Facts, Mapping[str, Raw]]:
    """Facts and other fields of a row that has such, or halves of surrogate pairs; else the RowError that says why."""
    row = repair_surrogates(row)
    try:
        fields = _FIELDS.decode(row)
    except (ValueError, RecursionError) as error:
        raise wrong_json(row, error) from None
    try:
        facts = _LENIENT.decode(row)
    except (ValueError, RecursionError) as error:
        raise reject(fields, error) from None
    return facts, {name: raw for name, raw in fields.items() if name not in _KNOWN}


def _report(facts: _Facts) -> Report:
    started_at = _moment("started_at", facts.started_at)
    _check_tokens(facts)
    amount = _amount(facts)
    # By position, in the order of Report's fields: one is made for every row, and names would cost as much again.
    report = Report(
        "native",
        facts.id,
        started_at,
        facts.model,
        facts.status == "failed",
        facts.account or None,
        facts.api_key or None,
        facts.user or None,
        facts.served_model or None,
        facts.provider or None,
        facts.operation or None,
        facts.streamed,
        facts.input_tokens,
        facts.output_tokens,
        facts.cache_read_tokens,
        facts.cache_write_tokens,
        facts.reasoning_tokens,
        amount,
        facts.currency or (None if amount is None else _DEFAULT_CURRENCY),
        None if amount is None else "BILLED",
        None,
        facts.corrects or None,
        _whole(facts.latency_ms),
        _whole(facts.time_to_first_token_ms),
        _tags(facts.tags) if facts.tags else {},
        None,
        [],
        {},
    )
    if facts.amount_parts:
        take_parts(report, [_part(index, part) for index, part in enumerate(facts.amount_parts)])
    if _has_attributes(facts):
        read_attributes(report, facts)
    if facts.error is not UNSET:
        _read_error(report, facts.error)
    return report


def _has_attributes(facts: _Facts) -> bool:
    return (
        facts.trace_id is not None
        or facts.session_id is not None
        or facts.attempt is not None
        or facts.cache_hit is not None
        or facts.deployment is not None
        or facts.team is not None
        or facts.organization is not None
        or facts.normalized_error is not None
        or facts.provider_request_id is not None
        or facts.units is not None
    )


def _whole(number: float | None) -> int | None:
    return None if number is None else round(number)


def _check_tokens(facts: _Facts) -> None:
    """RowError when parts of the tokens exceed the whole: input includes cache, output includes reasoning."""
    if facts.input_tokens is not None:
        cached = (facts.cache_read_tokens or 0) + (facts.cache_write_tokens or 0)
        if cached > facts.input_tokens:
            raise RowError(
                f"`input_tokens` is less than cache reads and writes together (`{cached}`): it includes them"
            )
    if facts.output_tokens is not None and (facts.reasoning_tokens or 0) > facts.output_tokens:
        raise RowError("`output_tokens` is less than `reasoning_tokens`: it includes them")


def _moment(field: str, text: str) -> datetime:
    try:
        return moment_of_text(text)
    except MomentError:
        raise RowError(f"`{field}` must be a time such as `2026-11-22T10:00:00.123Z`, with its offset") from None


def _money(field: str, raw: Raw | UnsetType) -> Decimal | None:
    """An amount as string or number, exactly; None for null."""
    if raw is UNSET:
        return None
    try:
        return money_of_json(raw)
    except MoneyError as error:
        raise RowError(f"`{field}` {error}") from None


def _amount(facts: _Facts) -> Decimal | None:
    if facts.amount is UNSET:
        return None
    amount = plain_money_of_json(facts.amount)
    if amount is not None:
        return amount
    amount = _money("amount", facts.amount)
    if amount is not None and amount < 0 and not facts.corrects:
        raise RowError("`amount` is negative: only a call with `corrects` may take money back")
    return amount


def _part(index: int, part: _Part) -> AmountPart:
    where = f"amount_parts[{index}]"
    meter = part.meter or part.name
    amount = _money(f"{where}.amount", part.amount)
    if not isinstance(meter, str) or amount is None:
        raise RowError(f"`{where}` needs `name` and `amount`")
    if "\x00" in meter:
        raise RowError(f"`{where}.name` holds a NUL character")
    quantity, unit_price = _money(f"{where}.quantity", part.quantity), _money(f"{where}.unit_price", part.unit_price)
    return AmountPart(meter, amount, quantity, unit_price)


def _tags(tags: dict[str, str | int | float | bool | None]) -> dict[str, str]:
    return {key: _tag(value) for key, value in tags.items() if value is not None and value != ""}


def _tag(value: str | int | float | bool) -> str:
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_error(report: Report, raw: Raw) -> None:
    if bytes(raw) == b"null":
        return
    if not report.failed:
        count_dropped(report, "error")
        return
    try:
        error = _ERROR.decode(raw)
        unknown = len(_FIELDS.decode(raw).keys() - _ERROR_FIELDS)
    except (ValueError, RecursionError) as wrong:
        raise reject({}, wrong, inside="error") from None
    report.error = ErrorReport(
        type=error.type or "unknown",
        code=None if error.code in (None, "") else str(error.code),
        message=error.message or None,
        parameters=_parameters(report, error.parameters),
        occurred_at=None if error.occurred_at is None else _moment("error.occurred_at", error.occurred_at),
    )
    if unknown:
        count_dropped(report, "unknown", unknown)


def _parameters(report: Report, raw: Raw | UnsetType) -> dict[str, Json]:
    if raw is UNSET or bytes(raw) == b"null":
        return {}
    try:
        value = decode_value(raw)
    except UnreadableContentError:
        value = None
    if isinstance(value, dict):
        return value
    count_dropped(report, "error.parameters")
    return {}


def _drop(report: Report, others: Mapping[str, Raw]) -> None:
    """Count the fields that are no facts of a call, and look into those that hold content for echoes."""
    for name in others:
        count_dropped(report, name if name in CONTENT_FIELDS else "unknown")
    remember_content(report, [(name, raw) for name, raw in others.items() if name in CONTENT_FIELDS])


def _refuse_lost_characters(facts: _Facts) -> None:
    """Two calls or accounts must not become one because the same character stands for what was lost of each."""
    if _LOST not in facts.id and _LOST not in facts.model and (facts.account is None or _LOST not in facts.account):
        return
    name = "id" if _LOST in facts.id else "model" if _LOST in facts.model else "account"
    raise RowError(f"`{name}` holds U+FFFD: characters of it were lost on the way")


def _refuse_nul(facts: _Facts) -> None:
    """PostgreSQL stores no NUL characters. Content may hold them, and error text, which is sealed."""
    for name in _Facts.__struct_fields__:
        value = getattr(facts, name)
        texts = value.items() if isinstance(value, dict) else [(value,)]
        if any("\x00" in text for pair in texts for text in pair if isinstance(text, str)):
            raise RowError(f"`{name}` holds a NUL character")
