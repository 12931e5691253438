"""The native format of `POST /v1/calls`: bytes -> reports and rejections.

A row is decoded by a schema in one step. Only when that fails does a second look find out what was wrong, so that a
good row costs little. Of two equal keys in one object the last one counts, as for most JSON readers.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, cast

import msgspec
from msgspec import UNSET, Raw, UnsetType

from policies.admission.content import person_texts
from policies.admission.report import AmountPart, Report
from service.ingest.formats.content import (
    UnreadableContentError,
    count_dropped,
    decode_value,
    remember_content,
)
from service.ingest.formats.left_out import FieldError, decode_rest, warn_of
from service.ingest.formats.native.attributes import read_attributes, take_parts
from service.ingest.formats.native.error import read_error
from service.ingest.formats.native.fields import CONTENT_FIELDS, CURRENCY, Facts, OnlyFacts, Part
from service.ingest.formats.native.tags import leave_odd_tags_out
from service.ingest.formats.rejections import MOMENT_FORM, RowError, wrong_json
from service.ingest.formats.row_repair import repaired
from service.ingest.formats.scalars import (
    MoneyError,
    moment_of_text,
    money_of_json,
    plain_money_of_json,
)
from service.ingest.formats.split import Rejection, Row
from service.ingest.refusals import Refusal
from service.rfc3339 import MomentError

_DEFAULT_CURRENCY: Final = "USD"
_NUL_ESCAPE: Final = b"\\u0000"
_LOST: Final = "\ufffd"
_LOOKED_THROUGH_BYTES_MAX: Final = 2**22
# How JSON may write NUL and U+FFFD, with which a row is not taken unless it is looked at.
_ODD_ESCAPES: Final = (_NUL_ESCAPE, b"\\uf", b"\\uF")

_WHOLE_NUMBER: Final = re.compile(rb"-?[0-9]{1,40}")
_CURRENCY_FORM: Final = re.compile(CURRENCY)
_KNOWN: Final = frozenset(Facts.__struct_fields__)

_NEEDED: Final = frozenset({"id", "started_at", "model", "status", "account", "corrects"})
"""What a call is found by, and whose it is: where one of these is at fault, the row is rejected."""
_RAW: Final = frozenset({"amount", "error"})

_PLAIN: Final = msgspec.json.Decoder(OnlyFacts)
_LENIENT: Final = msgspec.json.Decoder(Facts)
_NO_OTHERS: Final[Mapping[str, Raw]] = {}
_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])


def native_reader(body: bytes) -> Callable[[Row], Report | Rejection]:
    """What reads the rows of `body`."""
    return read_row if len(body) > _LOOKED_THROUGH_BYTES_MAX or _may_be_odd(body) else _read_plain_row


def _may_be_odd(body: bytes) -> bool:
    """Whether there may be a NUL or U+FFFD in it. A single byte is looked for ten times as fast as several."""
    if b"\\" in body and any(escape in body for escape in _ODD_ESCAPES):
        return True
    return b"\xef" in body and _LOST.encode() in body


def read_row(row: Row) -> Report | Rejection:
    """One row, as JSON text; never raises."""
    try:
        try:
            facts, others, faults = _plain_facts(row), _NO_OTHERS, list[FieldError]()
        except (ValueError, RecursionError):
            row = bytes(row)
            facts, others, faults = _second_look(row)
        user = facts.user
        if _NUL_ESCAPE in bytes(row):
            faults += _without_nul(facts)
        _refuse_lost_characters(facts)
        report = _report_without_faults(facts, faults)
    except RowError as error:
        return Rejection(str(error), error.code)
    if user is not None and facts.user is None:
        report.persons += tuple(person_texts(user))
    if others:
        _drop(report, others)
    warn_of(report, faults)
    for fault in faults:
        if "amount" in fault.fields:
            report.amount_unknown = "NEGATIVE" if fault.negative else "UNREADABLE"
    return report


def _read_plain_row(row: Row) -> Report | Rejection:
    """As `read_row`, for rows of a body in which there is neither NUL nor U+FFFD."""
    try:
        return _report(_plain_facts(row))
    except (ValueError, RecursionError, RowError):
        return read_row(row)


def _plain_facts(row: Row) -> Facts:
    """The facts of a row that is as it should be; a ValueError does not say what is wrong with it."""
    facts = _PLAIN.decode(row)
    facts.currency = _currency(facts.currency)
    return facts


@lru_cache(maxsize=256)
def _currency(text: str | None) -> str | None:
    """A currency in upper case, in which it is kept; ValueError for what is none."""
    if text is not None and _CURRENCY_FORM.search(text) is None:
        raise ValueError
    return text and text.upper()


def _second_look(row: bytes) -> tuple[Facts, Mapping[str, Raw], list[FieldError]]:
    """Facts, other fields, and what was left out of the facts, of a row that is not quite as it should be."""
    row = repaired(row)
    try:
        fields = _FIELDS.decode(row)
    except (ValueError, RecursionError) as error:
        raise wrong_json(row, error) from None
    known = {name: raw for name, raw in fields.items() if name in _KNOWN}
    if _WHOLE_NUMBER.fullmatch(user := bytes(known.get("user", b""))):
        known["user"] = Raw(b'"%b"' % user)  # as new-api and One API number their users
    odd = leave_odd_tags_out(known)
    facts, faults = decode_rest(_LENIENT, known, needed=_NEEDED)
    faults += odd
    facts.currency = _currency(facts.currency)
    others = {name: raw for name, raw in fields.items() if name not in _KNOWN}
    if any("user" in fault.fields for fault in faults):
        others["user"] = fields["user"]
    return facts, others, faults


def _report_without_faults(facts: Facts, faults: list[FieldError]) -> Report:
    """The report of `facts`, less what of them cannot be read, which is added to `faults`."""
    while True:
        wrong = next((fault for fault in faults if "amount" in fault.fields), None)
        if wrong is not None and facts.corrects:
            raise RowError(f"{wrong}; a correction needs its amount", "amount", Refusal.CORRECTION_INVALID)
        try:
            return _report(facts)
        except FieldError as fault:
            faults.append(fault.without_frames())
            fault.fields = frozenset(name for name in fault.fields if getattr(facts, name) not in (None, UNSET))
            _clear(facts, fault.fields)


def _clear(facts: Facts, names: Iterable[str]) -> None:
    for name in names:
        setattr(facts, name, UNSET if name in _RAW else None)


def _report(facts: Facts) -> Report:
    started_at = _moment("started_at", facts.started_at)
    _check_tokens(facts)
    amount = _amount(facts)
    latency_ms, first_token_ms = facts.latency_ms, facts.time_to_first_token_ms
    # By position, in the order of Report's fields: one is made for every row, and names would cost half as much again.
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
        latency_ms if isinstance(latency_ms, int) else _rounded(latency_ms),
        first_token_ms if isinstance(first_token_ms, int) else _rounded(first_token_ms),
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
        read_error(report, facts.error)
    return report


def _has_attributes(facts: Facts) -> bool:
    return (
        facts.trace_id is not None
        or facts.parent_span_id is not None
        or facts.session_id is not None
        or facts.attempt is not None
        or facts.cache_hit is not None
        or facts.deployment is not None
        or facts.team is not None
        or facts.team_id is not None
        or facts.organization_id is not None
        or facts.organization is not None
        or facts.normalized_error is not None
        or facts.provider_request_id is not None
        or facts.units is not None
    )


def _rounded(number: float | None) -> int | None:
    return None if number is None else round(number)


def _check_tokens(facts: Facts) -> None:
    """FieldError when parts of the tokens exceed the whole: input includes cache, output includes reasoning.

    The total is what is billed, so the parts are left out.
    """
    if facts.input_tokens is not None:
        cached = (facts.cache_read_tokens or 0) + (facts.cache_write_tokens or 0)
        if cached > facts.input_tokens:
            raise FieldError(
                f"`input_tokens` is less than cache reads and writes together (`{cached}`)",
                "cache_read_tokens",
                "cache_write_tokens",
            )
    if facts.output_tokens is not None and (facts.reasoning_tokens or 0) > facts.output_tokens:
        raise FieldError("`output_tokens` is less than `reasoning_tokens`", "reasoning_tokens")


def _moment(field: str, text: str) -> datetime:
    try:
        return moment_of_text(text)
    except MomentError:
        raise RowError(f"`{field}` must be {MOMENT_FORM}", field) from None


def _money(field: str, raw: Raw | UnsetType) -> Decimal | None:
    """An amount as string or number, exactly; None for null. FieldError."""
    if raw is UNSET:
        return None
    try:
        return money_of_json(raw)
    except MoneyError as error:
        raise FieldError(f"`{field}` {error}", field.partition("[")[0]) from None


def _amount(facts: Facts) -> Decimal | None:
    if facts.amount is UNSET:
        return None
    amount = plain_money_of_json(facts.amount)
    if amount is not None:
        return amount
    amount = _money("amount", facts.amount)
    if amount is not None and amount < 0 and not facts.corrects:
        message = "`amount` is negative: only a call with `corrects` may take money back"
        raise FieldError(message, "amount", negative=True)
    return amount


def _part(index: int, part: Part) -> AmountPart:
    where = f"amount_parts[{index}]"
    meter = part.meter or part.name
    amount = _money(f"{where}.amount", part.amount)
    if not isinstance(meter, str) or amount is None:
        raise FieldError(f"`{where}` needs `name` and `amount`", "amount_parts")
    if "\x00" in meter:
        raise FieldError(f"`{where}.name` holds a NUL character", "amount_parts")
    quantity, unit_price = _money(f"{where}.quantity", part.quantity), _money(f"{where}.unit_price", part.unit_price)
    return AmountPart(meter, amount, quantity, unit_price)


def _tags(tags: dict[str, str | int | float | bool | None]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else _tag(value)
        for key, value in tags.items()
        if value is not None and value != ""
    }


def _tag(value: str | int | float | bool) -> str:
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def _drop(report: Report, others: Mapping[str, Raw]) -> None:
    """Count the fields that are no facts of a call, and look into them for what the error's text may echo."""
    if (user := others.get("user")) is not None:  # none that can be stored: what it names is a person all the same
        with suppress(UnreadableContentError):
            report.persons += tuple(person_texts(decode_value(user)))
        others = {name: raw for name, raw in others.items() if name != "user"}
    for name in others:
        count_dropped(report, name if name in CONTENT_FIELDS else "unknown")
    remember_content(report, [(name, raw) for name, raw in others.items() if name in CONTENT_FIELDS])
    remember_content(report, [(name, raw) for name, raw in others.items() if name not in CONTENT_FIELDS], known=False)


def _refuse_lost_characters(facts: Facts) -> None:
    """Two calls or accounts must not become one because the same character stands for what was lost of each."""
    if _LOST not in facts.id and _LOST not in facts.model and (facts.account is None or _LOST not in facts.account):
        return
    name = "id" if _LOST in facts.id else "model" if _LOST in facts.model else "account"
    raise RowError(f"`{name}` holds U+FFFD: characters of it were lost on the way", name)


def _without_nul(facts: Facts) -> list[FieldError]:
    """Leave out what PostgreSQL cannot store. Content may hold NUL characters, and error text, which is sealed."""
    faults: list[FieldError] = []
    for name in Facts.__struct_fields__:
        value = getattr(facts, name)
        if isinstance(value, dict):
            entries = cast("dict[str, object]", value)
            kept = {key: entry for key, entry in entries.items() if not ("\x00" in key or _holds_nul(entry))}
            if len(kept) < len(entries):
                faults.append(FieldError(f"one of `{name}` holds a NUL character", name))
                setattr(facts, name, kept)
        elif _holds_nul(value):
            if name in _NEEDED:
                raise RowError(f"`{name}` holds a NUL character", name)
            faults.append(FieldError(f"`{name}` holds a NUL character", name))
            _clear(facts, faults[-1].fields)
    return faults


def _holds_nul(value: object) -> bool:
    return isinstance(value, str) and "\x00" in value
