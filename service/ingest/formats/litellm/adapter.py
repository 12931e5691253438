"""LiteLLM's `generic_api` callback: StandardLoggingPayload -> reports and rejections.

Read from litellm/integrations/generic_api and litellm/types/utils.py, and run with litellm 1.106: entries may be null,
nulls may come as the string `None`, money is a noisy float, times are epoch seconds. Prompts and answers are always in
it, those of failures even where message logging is turned off: what is not read here is left out.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Raw

from policies import Attributes, ErrorReport, Json, Report
from policies.admission.content import content_within
from policies.redaction.echoes.debug_texts import besides_the_error
from policies.redaction.echoes.identifiers import address_parts
from service.ingest.formats.content import (
    UnreadableContentError,
    count_dropped,
    decode_value,
    remember_content,
    remember_values,
)
from service.ingest.formats.figures import Object, Value, any_length_text, storable, text_of
from service.ingest.formats.left_out import FieldError, warn_of
from service.ingest.formats.litellm.bills import bill_of
from service.ingest.formats.litellm.costs import read_amount
from service.ingest.formats.litellm.fields import (
    CONTENT,
    CONTENT_METADATA,
    DEBUG,
    NOT_KEPT,
    PERSONS,
    PRIVATE_PARAMETERS,
)
from service.ingest.formats.litellm.models import asked_model, served_model
from service.ingest.formats.litellm.operations import RETRIEVE_RESPONSE, operation_of
from service.ingest.formats.litellm.owner import read_owner
from service.ingest.formats.litellm.payload import Payload
from service.ingest.formats.litellm.response import Response
from service.ingest.formats.litellm.routing import read_routing
from service.ingest.formats.litellm.tokens import read_tokens, usages_of
from service.ingest.formats.litellm.units import read_units
from service.ingest.formats.native.fields import ID_CHARACTERS_MAX, INTEGER_MAX
from service.ingest.formats.rejections import RowError
from service.ingest.formats.scalars import is_time_of_error
from service.ingest.formats.split import Rejection, Row

_MILLISECOND: Final = timedelta(milliseconds=1)
_TAGS_MAX: Final = 64
_TAG_ON: Final = "true"
_TOLD_TWICE: Final = "User-Agent"
"""LiteLLM tags a call with its client's name, and again with its name and version."""
_LEGACY: Final = (
    "this is LiteLLM's legacy form, whose values are all text: remove `generic_api_use_v1` from its settings"
)
_COUNTED: Final = NOT_KEPT | CONTENT
# Answers of these are long, and say nothing that is wanted.
_PLAIN: Final = frozenset(("chat", "text_completion", "embeddings", "responses", "generate_content"))


def litellm_reader(_: bytes) -> Callable[[Row], Report | Rejection]:
    """What reads the rows of a body."""
    return read_entry


def read_entry(row: Row) -> Report | Rejection:
    """One StandardLoggingPayload as JSON text; never raises."""
    try:
        return report_of(Payload.of(row))
    except RowError as error:
        return Rejection(str(error), error.code)


def report_of(payload: Payload) -> Report:
    """The payload as the report of a call. Raises RowError."""
    return _PayloadReader(payload).report()


class _PayloadReader:
    """One payload while it becomes a report."""

    def __init__(self, payload: Payload) -> None:
        if payload.is_text("metadata") or payload.is_text("modelParameters"):
            raise RowError(_LEGACY)
        self._payload = payload

    def report(self) -> Report:
        """The payload as the report of a call, before admission."""
        payload = self._payload
        operation = operation_of(payload.text("call_type"))
        response = Response.of(None if operation in _PLAIN else payload.left.get("response"))
        provider = payload.text("custom_llm_provider")
        report = Report(
            source="litellm",
            source_id=self._id(),
            started_at=self._started_at(),
            model=asked_model(payload, provider, response),
            failed=self._failed(),
            served_model=served_model(payload, provider),
            provider=provider,
            operation=operation,
            tags=self._tags(),
        )
        usages = usages_of(payload)
        read_owner(payload, report)
        read_tokens(payload, report, usages)
        self._read_times(report)
        self._read_error(report)
        self._read_money(report, response)
        report.attributes = read_routing(payload, report)
        if units := read_units(payload, report, usages, response):
            report.attributes = report.attributes or Attributes()
            report.attributes.units = units
        self._drop(report)
        self._remember_names(report)
        return report

    # What the report is made of --------------------------------------------------------------------------------------

    def _id(self) -> str:
        # Providers reuse `id`; LiteLLM's own id is the call's.
        text = self._payload.text("litellm_call_id", ID_CHARACTERS_MAX) or self._payload.text("id", ID_CHARACTERS_MAX)
        if text is None:
            raise RowError(f"`litellm_call_id` is required: a string of 1 to {ID_CHARACTERS_MAX} characters")
        return storable("litellm_call_id", text)

    def _started_at(self) -> datetime:
        started_at = self._payload.moment("startTime")
        if started_at is None:
            form = "epoch seconds, or a time such as `2026-11-22T10:00:00.123Z`"
            given = "startTime" in self._payload.unreadable
            raise RowError(f"`startTime` must be {form}" if given else f"`startTime` is required: {form}")
        return started_at

    def _failed(self) -> bool:
        status = self._payload.value("status")
        if status not in ("success", "failure"):
            raise RowError("`status` must be `success` or `failure`")
        return status == "failure"

    def _tags(self) -> dict[str, str]:
        """`key:value` is a tag; a plain word is a tag that is `true`. Which keys are kept is the policy's affair."""
        tags: dict[str, str] = {}
        listed = self._payload.value("request_tags")
        entries = listed if isinstance(listed, list) else []
        unread = listed is not None and listed is not entries and listed not in ("", "None")
        for entry in entries[:_TAGS_MAX]:
            key, _, value = (text_of(entry) or "").partition(":")
            key, value = key.strip(), value.strip() or _TAG_ON
            unread |= not key or (tags.setdefault(key, value) != value and key != _TOLD_TWICE)
        if unread or len(entries) > _TAGS_MAX:
            self._payload.note("request_tags", f"holds what is no tag, one tag twice, or more than {_TAGS_MAX}")
        tags.pop("", None)
        return tags

    def _read_times(self, report: Report) -> None:
        # `response_time` is left alone: for streams it is the time to the first token.
        payload = self._payload
        ended_at = payload.moment("endTime")
        report.latency_ms = _milliseconds(report.started_at, ended_at)
        if ended_at is not None and report.latency_ms is None:
            payload.note("endTime", "is before `startTime`")
        report.streamed = payload.flag("stream")
        if report.streamed is None:  # of a failed call it is only among the parameters
            asked = payload.parameters.get("stream")
            report.streamed = asked if isinstance(asked, bool) else None
        if report.streamed:
            first_at = payload.moment("completionStartTime")
            # Of a call that failed before its first token both are the same.
            if not (report.failed and first_at == ended_at):
                report.time_to_first_token_ms = _milliseconds(report.started_at, first_at)
                if first_at is not None and report.time_to_first_token_ms is None:
                    payload.note("completionStartTime", "is before `startTime`")

    def _read_money(self, report: Report, response: Response) -> None:
        """The amount; of work that is billed by the provider's id, the bill in place of the poll that brought it."""
        bill = bill_of(self._payload, report, response)
        if bill is not None:
            report.source_id, report.started_at = storable("id", bill.id), bill.started_at
            report.operation, report.latency_ms, report.billed_once = bill.operation, None, True
        read_amount(self._payload, report)
        if bill is None and report.operation == RETRIEVE_RESPONSE and report.amount:
            # Read again, an answer says once more what it cost when it was made.
            self._payload.note("response_cost", "was counted when the answer was made")
            report.amount, report.amount_parts = Decimal(0), None

    def _read_error(self, report: Report) -> None:
        if not report.failed:
            return
        payload = self._payload
        details = payload.object("error_information")
        report.provider = report.provider or text_of(details.get("llm_provider"))
        ended_at = payload.moment("endTime")
        in_time = ended_at is not None and is_time_of_error(ended_at, report.started_at)
        report.error = ErrorReport(
            type=text_of(details.get("error_class")) or "unknown",
            code=text_of(details.get("error_code")) or text_of(details.get("normalized_error")),
            message=any_length_text(details.get("error_message")) or any_length_text(payload.value("error_str")),
            parameters=self._error_parameters(),
            occurred_at=ended_at if in_time else None,
        )

    def _error_parameters(self) -> dict[str, Json]:
        raw = self._payload.raw_parameters
        try:
            value = decode_value(raw) if isinstance(raw, Raw) else None
        except UnreadableContentError:
            value = None
        if not isinstance(value, dict):
            return {}
        return {name: entry for name, entry in value.items() if name not in PRIVATE_PARAMETERS}

    def _drop(self, report: Report) -> None:
        """Count what is left out; remember content of a failed call until its echoes are found."""
        payload = self._payload
        left = list(payload.left.items())
        for name, _ in left:
            if name in _COUNTED:
                report.dropped[name] = 1
            else:
                count_dropped(report, "unknown")
        quoting = [(name, value) for name in CONTENT_METADATA if (value := payload.metadata.get(name))]
        for name, _ in quoting:
            count_dropped(report, f"metadata.{name}")
        if payload.unreadable:
            warn_of(report, [FieldError(why, name) for name, why in payload.unreadable.items()])
        if report.error is not None:
            self._remember(report, report.error, left, quoting)

    def _remember(
        self,
        report: Report,
        error: ErrorReport,
        left: Iterable[tuple[str, Raw]],
        quoting: Iterable[tuple[str, object]],
    ) -> None:
        """Remember what the error's text may echo. `left`: fields that are left out, `quoting`: parts of `metadata`."""
        payload = self._payload
        remember_values(report, self._debug_texts(error.message), known=False)
        values = [*quoting, *((name, payload.parameters.get(name)) for name in PRIVATE_PARAMETERS if name != "user")]
        remember_values(report, [*values, *content_within(payload.object("error_information"))])
        metadata = [
            (name, value)
            for name, value in payload.metadata.items()
            if value is not None and not _is_fact_of_metadata(name)
        ]
        remember_values(report, [*metadata, *payload.hidden.items()], known=False)
        remember_content(report, [(name, raw) for name, raw in left if name in CONTENT])
        others = [
            (name, raw)
            for name, raw in left
            if name not in CONTENT and (name not in NOT_KEPT or name == "standard_built_in_tools_params")
        ]
        remember_content(report, others, known=False)

    def _debug_texts(self, message: str | None) -> Iterator[tuple[str, str]]:
        """What is written for debugging of a failed call, and may quote its prompt or its answer."""
        payload = self._payload
        for name, value in payload.object("error_information").items():
            if name in DEBUG:
                yield from besides_the_error(value, message, of_error=name == "traceback")
        for name in DEBUG & payload.left.keys():
            yield from besides_the_error(payload.value(name), message, of_error=False)
        for name in DEBUG & payload.metadata.keys():
            yield from besides_the_error(payload.metadata[name], message, of_error=False)

    def _remember_names(self, report: Report) -> None:
        """Remember all ids of persons that the error's text and labels may repeat, and names that it may keep."""
        payload = self._payload
        named = (
            payload.value("end_user"),
            *[payload.metadata.get(name) for name in PERSONS],
            payload.parameters.get("user"),
            *(_person_of_budget(payload.object("error_information")) if report.failed else ()),
        )
        others = [text for value in named if value is not None and (text := text_of(value)) and text != report.user]
        if others:
            report.persons = tuple(dict.fromkeys([*report.persons, *others]))
        if report.error is not None:
            address = payload.text("api_base") or text_of(payload.hidden.get("api_base"))
            names = (payload.text("model"), payload.text("model_id"))
            report.identifiers += (*filter(None, names), *(address_parts(address) if address else ()))


def _person_of_budget(details: Object) -> list[Value]:
    """Whose budget is spent, where that is a person's."""
    if details.get("error_budget_entity_type") in ("user", "end_user", "customer"):
        return [details.get("error_budget_entity_id")]
    return []


def _is_fact_of_metadata(name: str) -> bool:
    """Whether it says whose the key is, or is looked through already."""
    return name.startswith("user_api_key") or name in CONTENT_METADATA


def _milliseconds(start: datetime, end: datetime | None) -> int | None:
    if end is None or end < start:
        return None
    return min((end - start) // _MILLISECOND, INTEGER_MAX)
