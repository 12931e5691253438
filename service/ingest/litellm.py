"""LiteLLM's `generic_api` callback: StandardLoggingPayload -> reports and rejections.

Read from litellm/integrations/generic_api and litellm/types/utils.py, and run with litellm 1.106: entries may be null,
nulls may come as the string `None`, money is a noisy float, times are epoch seconds. Prompts and answers are always in
it, those of failures even where message logging is turned off: what is not read here is left out.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw

from policies import AmountPart, ErrorReport, Json, Report
from policies.redaction.identifiers import address_parts
from service.ingest.content import (
    UnreadableContentError,
    count_dropped,
    decode_value,
    remember_content,
    remember_values,
)
from service.ingest.litellm_fields import (
    CONTENT,
    CONTENT_METADATA,
    METERS,
    NOT_KEPT,
    OPERATIONS,
    PERSONS,
    PRIVATE_PARAMETERS,
    READ,
)
from service.ingest.moments import MomentError, moment_of_epoch, moment_of_loose_text
from service.ingest.money import MoneyError, money_of_number, money_of_text
from service.ingest.native_fields import ID_CHARACTERS_MAX, INTEGER_MAX, TEXT_CHARACTERS_MAX
from service.ingest.rejections import RowError, wrong_json
from service.ingest.row_repair import repaired
from service.ingest.rows import Rejection, Row, split_rows

_CURRENCY: Final = "USD"
_MILLISECOND: Final = timedelta(milliseconds=1)
_ERROR_DELAY_MAX: Final = timedelta(hours=24)
_TAGS_MAX: Final = 64
_TAG_ON: Final = "true"
_LEGACY: Final = (
    "this is LiteLLM's legacy form, whose values are all text: remove `generic_api_use_v1` from its settings"
)

# Numbers with a point stay decimal text all the way.
_Value: TypeAlias = "bool | int | Decimal | str | list[_Value] | dict[str, _Value] | None"


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        raise ValueError from None


_VALUES: Final = msgspec.json.Decoder(float_hook=_exact)
_FIELDS: Final = msgspec.json.Decoder(dict[str, Raw])


def read_litellm(body: bytes) -> Iterator[Report | Rejection]:
    """A report or a rejection for each entry, in order. Raises BodyError when the body cannot be read."""
    return read_litellm_rows(split_rows(body), body)


def read_litellm_rows(rows: Iterable[Row], body: bytes) -> Iterator[Report | Rejection]:  # noqa: ARG001 - as all formats
    """As `read_litellm`, of the rows of `body`."""
    return map(read_entry, rows)


def read_entry(row: Row) -> Report | Rejection:
    """One StandardLoggingPayload as JSON text; never raises."""
    try:
        return _Entry(_fields(bytes(row))).report()
    except RowError as error:
        return Rejection(str(error), error.code)


def _fields(row: bytes) -> dict[str, Raw]:
    try:
        return _FIELDS.decode(row)
    except (ValueError, RecursionError):
        pass
    try:
        return _FIELDS.decode(repaired(row))
    except (ValueError, RecursionError) as error:
        raise wrong_json(row, error) from None


class _Entry:
    """One payload while it is read."""

    def __init__(self, fields: dict[str, Raw]) -> None:
        self._fields = fields
        if self._is_text("metadata") or self._is_text("modelParameters"):
            raise RowError(_LEGACY)
        self._metadata = self._object("metadata")
        self._hidden = self._object("hidden_params")
        self._parameters = self._object("model_parameters")

    def report(self) -> Report:
        started_at = self._moment("startTime")
        if started_at is None:
            raise RowError("`startTime` is required: epoch seconds, or a time such as `2026-11-22T10:00:00.123Z`")
        status = self._value("status")
        if status not in ("success", "failure"):
            raise RowError("`status` must be `success` or `failure`")
        model = _text(self._value("model"))
        report = Report(
            source="litellm",
            source_id=_storable("litellm_call_id", self._id()),
            started_at=started_at,
            model=_storable("model", _text(self._value("model_group")) or model),
            failed=status == "failure",
            served_model=_text(self._hidden.get("litellm_model_name")) or model,
            operation=self._operation(),
            streamed=self._flag("stream"),
            tags=self._tags(),
        )
        self._read_owner(report)
        self._read_tokens(report)
        self._read_amount(report)
        self._read_times(report)
        self._read_error(report)
        self._drop(report)
        self._remember_names(report)
        return report

    # Values ----------------------------------------------------------------------------------------------------------

    def _value(self, name: str) -> _Value:
        raw = self._fields.get(name)
        if raw is None:
            return None
        try:
            return _VALUES.decode(raw)
        except (ValueError, RecursionError):
            pass
        try:
            return _VALUES.decode(repaired(bytes(raw)))
        except (ValueError, RecursionError):
            raise RowError(f"`{name}` cannot be read") from None

    def _object(self, name: str) -> Mapping[str, _Value]:
        value = self._value(name)
        return value if isinstance(value, dict) else {}

    def _is_text(self, name: str) -> bool:
        return name in self._fields and bytes(self._fields[name]).startswith(b'"')

    def _flag(self, name: str) -> bool | None:
        value = self._value(name)
        return value if isinstance(value, bool) else None

    def _moment(self, name: str) -> datetime | None:
        value = self._value(name)
        try:
            if isinstance(value, str):
                return None if value in ("", "None") else moment_of_loose_text(value)
            if value is None or isinstance(value, (bool, list, dict)):
                return None
            return moment_of_epoch(str(value)) if value else None
        except MomentError:
            raise RowError(f"`{name}` must be epoch seconds, or a time such as `2026-11-22T10:00:00.123Z`") from None

    # What the report is made of --------------------------------------------------------------------------------------

    def _id(self) -> str | None:
        # Providers reuse `id`; LiteLLM's own id is the call's.
        return _text(self._value("litellm_call_id"), ID_CHARACTERS_MAX) or _text(self._value("id"), ID_CHARACTERS_MAX)

    def _operation(self) -> str | None:
        call_type = _text(self._value("call_type"))
        return OPERATIONS.get(call_type, call_type) if call_type else None

    def _tags(self) -> dict[str, str]:
        """`key:value` is a tag; a plain word is a tag that is `true`. Which keys are kept is the policy's affair."""
        tags: dict[str, str] = {}
        listed = self._value("request_tags")
        for entry in listed[:_TAGS_MAX] if isinstance(listed, list) else ():
            text = _text(entry)
            if text is not None:
                key, _, value = text.partition(":")
                tags.setdefault(key.strip(), value.strip() or _TAG_ON)
        tags.pop("", None)
        return tags

    def _read_owner(self, report: Report) -> None:
        data = self._metadata
        report.provider = _text(self._value("custom_llm_provider"))
        account = _whole_text(data.get("user_api_key_org_id")) or _whole_text(data.get("user_api_key_team_id"))
        report.account = account and _storable("user_api_key_org_id", account)
        report.api_key = _text(data.get("user_api_key_alias")) or _text(data.get("user_api_key_hash"))
        report.user = (
            _text(self._value("end_user"))
            or _text(data.get("user_api_key_end_user_id"))
            or _text(data.get("user_api_key_user_id"))
            or _text(self._parameters.get("user"))
        )

    def _read_tokens(self, report: Report) -> None:
        usage = self._usage()
        report.input_tokens = _count("prompt_tokens", self._value("prompt_tokens"), usage.get("prompt_tokens"))
        report.output_tokens = _count(
            "completion_tokens", self._value("completion_tokens"), usage.get("completion_tokens")
        )
        read = _inside(usage, "prompt_tokens_details", "cached_tokens")
        report.cache_read_tokens = _count("cached_tokens", read, usage.get("cache_read_input_tokens"))
        written = _inside(usage, "prompt_tokens_details", "cache_creation_tokens")
        report.cache_write_tokens = _count("cache_creation_tokens", written, usage.get("cache_creation_input_tokens"))
        reasoning = _inside(usage, "completion_tokens_details", "reasoning_tokens")
        report.reasoning_tokens = _count("reasoning_tokens", reasoning)
        # Some providers count the parts beside the whole: the whole is what is billed, so the parts give way.
        if (report.cache_read_tokens or 0) + (report.cache_write_tokens or 0) > (report.input_tokens or 0):
            report.cache_read_tokens = report.cache_write_tokens = None
        if (report.reasoning_tokens or 0) > (report.output_tokens or 0):
            report.reasoning_tokens = None

    def _usage(self) -> Mapping[str, _Value]:
        for usage in (self._metadata.get("usage_object"), self._hidden.get("usage_object"), self._value("usage")):
            if isinstance(usage, dict) and usage:
                return usage
        return {}

    def _read_amount(self, report: Report) -> None:
        costs = self._object("cost_breakdown")
        amount = _money("response_cost", self._value("response_cost"))
        if amount is None:
            amount = _money("cost", self._value("cost"))
        # A cost of nothing is right for an answer from LiteLLM's cache; else it is one that LiteLLM lost on its way.
        if not amount and self._value("cache_hit") is not True:
            amount = _money("cost_breakdown.total_cost", costs.get("total_cost")) or amount
        if amount is None:
            return
        if amount < 0:
            raise RowError("`response_cost` is negative")
        report.amount, report.currency, report.amount_source = amount, _CURRENCY, "REPORTED"
        report.amount_parts = [
            AmountPart(meter, sign * part)
            for name, meter, sign in METERS
            if (part := _money(f"cost_breakdown.{name}", costs.get(name)))
        ] or None

    def _read_times(self, report: Report) -> None:
        # `response_time` is left alone: for streams it is the time to the first token.
        report.latency_ms = _milliseconds(report.started_at, self._moment("endTime"))
        if report.streamed:
            report.time_to_first_token_ms = _milliseconds(report.started_at, self._moment("completionStartTime"))

    def _read_error(self, report: Report) -> None:
        if not report.failed:
            return
        details = self._object("error_information")
        report.provider = report.provider or _text(details.get("llm_provider"))
        ended_at = self._moment("endTime")
        in_time = ended_at is not None and report.started_at <= ended_at <= report.started_at + _ERROR_DELAY_MAX
        report.error = ErrorReport(
            type=_text(details.get("error_class")) or "unknown",
            code=_text(details.get("error_code")) or _text(details.get("normalized_error")),
            message=_whole_text(details.get("error_message")) or _whole_text(self._value("error_str")),
            parameters=self._error_parameters(),
            occurred_at=ended_at if in_time else None,
        )

    def _error_parameters(self) -> dict[str, Json]:
        raw = self._fields.get("model_parameters")
        try:
            value = None if raw is None else decode_value(raw)
        except UnreadableContentError:
            value = None
        if not isinstance(value, dict):
            return {}
        return {name: entry for name, entry in value.items() if name not in PRIVATE_PARAMETERS}

    def _drop(self, report: Report) -> None:
        """Count what is left out; remember content of a failed call until its echoes are found."""
        contents = []
        for name in self._fields.keys() - READ:
            raw = self._fields[name]
            if bytes(raw) == b"null":
                continue
            count_dropped(report, name if name in NOT_KEPT or name in CONTENT else "unknown")
            if name in CONTENT:
                contents.append((name, raw))
        values = []
        for name in CONTENT_METADATA:
            if value := self._metadata.get(name):
                count_dropped(report, f"metadata.{name}")
                values.append((name, value))
        if report.error is not None:
            values += [(name, self._parameters.get(name)) for name in PRIVATE_PARAMETERS if name != "user"]
            remember_values(report, values)
        remember_content(report, contents)

    def _remember_names(self, report: Report) -> None:
        """Remember all ids of persons that the error's text and labels may repeat, and names that it may keep."""
        named = (
            self._value("end_user"),
            *(self._metadata.get(name) for name in PERSONS),
            self._parameters.get("user"),
        )
        others = [text for value in named if (text := _text(value)) and text != report.user]
        report.persons = tuple(dict.fromkeys(others))
        if report.error is not None:
            address = _text(self._value("api_base")) or _text(self._hidden.get("api_base"))
            names = [_text(value) for value in (self._value("model"), self._value("model_id"))]
            report.identifiers += (*filter(None, names), *(address_parts(address) if address else ()))


def _text(value: _Value, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
    """Text, or a number as text; None for null, for `None`, for other types, and for what is too long to be a name."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or value in ("", "None") or len(value) > characters_max:
        return None
    return value


def _whole_text(value: _Value) -> str | None:
    return value if isinstance(value, str) and value not in ("", "None") else None


def _storable(name: str, value: str | None) -> str:
    """What the call is found by: it must be there, and be stored as it came."""
    if value is None:
        raise RowError(f"`{name}` is required: a string of 1 to {ID_CHARACTERS_MAX} characters")
    if len(value) > ID_CHARACTERS_MAX or "\x00" in value or "\ufffd" in value:
        raise RowError(f"`{name}` is too long, holds a NUL character, or lost characters on the way (U+FFFD)")
    return value


def _inside(value: Mapping[str, _Value], outer: str, inner: str) -> _Value:
    nested = value.get(outer)
    return nested.get(inner) if isinstance(nested, dict) else None


def _count(name: str, *values: _Value) -> int | None:
    """The first of `values` that was reported, as a count. RowError when it is none."""
    value = next((value for value in values if value is not None and value != "None"), None)
    if value is None:
        return None
    whole = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, Decimal) and value.is_finite() and abs(value) <= INTEGER_MAX and value == int(value):
        value, whole = int(value), True
    if not whole or not isinstance(value, int) or not 0 <= value <= INTEGER_MAX:
        raise RowError(f"`{name}` must be an integer from 0 to {INTEGER_MAX}")
    return value


def _money(name: str, value: _Value) -> Decimal | None:
    if value is None or value in ("", "None"):
        return None
    try:
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            return money_of_number(str(value))
        return money_of_text(value) if isinstance(value, str) else None
    except MoneyError as error:
        raise RowError(f"`{name}` {error}") from None


def _milliseconds(start: datetime, end: datetime | None) -> int | None:
    if end is None or end < start:
        return None
    return min((end - start) // _MILLISECOND, INTEGER_MAX)
