"""Rows of `logs` -> reports and rejections.

Read from new-api's model/log.go, service/log_info_generate.go, text_quota.go and task_billing.go, and One API's
model/log.go. A row is written when its call has ended, in whole seconds. What is not read here is left out.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from policies import Attributes, ErrorReport, Report
from service.ingest.formats.content import count_dropped, remember_values
from service.ingest.formats.figures import Value, any_length_text, storable, text_of
from service.ingest.formats.left_out import FieldError, warn_of
from service.ingest.formats.native.attributes import ATTEMPT_MAX
from service.ingest.formats.native.fields import INTEGER_MAX
from service.ingest.formats.newapi.costs import read_money
from service.ingest.formats.newapi.log_row import LogRow, LogSettings
from service.ingest.formats.newapi.names import (
    CONSUME,
    CONTENT,
    ERROR,
    NOT_KEPT,
    PLAIN_OTHERS,
    READ,
    READ_OTHERS,
    REFUND,
    SKIPPED,
    operation_of,
)
from service.ingest.formats.newapi.tokens import read_tokens
from service.ingest.formats.rejections import RowError
from service.ingest.formats.scalars import moment_of_epoch, moment_of_milliseconds
from service.ingest.formats.split import Rejection, Row
from service.ingest.refusals import Refusal
from service.rfc3339 import MomentError

_NO_MODEL: Final = "unknown"
_NOTHING: Final = Attributes()
_TOLD_APART_BY: Final = (
    *("type", "created_at", "token_name", "model_name", "quota", "prompt_tokens", "completion_tokens", "use_time"),
    *("elapsed_time", "content", "occurrence"),
)
"""What tells rows apart that come without an id: all that every user's page shows."""
_DIGEST_CHARACTERS: Final = 20


def read_log_row(row: Row, *, settings: LogSettings) -> Report | Rejection:
    """One row as JSON text; never raises. What is no call comes as a rejection without a code."""
    try:
        read = LogRow.of(row, settings)
        type_ = read.integer("type")
        if type_ is None:
            raise RowError("`type` is required: the number of the row's type", code=Refusal.FIELD_MISSING)
        if type_ in SKIPPED[settings.source]:
            return Rejection(f"{SKIPPED[settings.source][type_]}, and no call", None)
        if type_ not in (CONSUME, ERROR, REFUND):
            raise RowError(f"`type` is `{type_}`, which is not known")
        return _report(read, type_)
    except RowError as error:
        return Rejection(str(error), error.code)


def _report(row: LogRow, type_: int) -> Report:
    ended_at, quota = _ended_at(row), row.quota()
    if type_ == REFUND:
        quota = -quota
    report = Report(
        source=row.settings.source,
        source_id=_source_id(row),
        started_at=ended_at,
        model=row.text("model_name") or _NO_MODEL,
        failed=type_ == ERROR,
        account=row.text(row.settings.account_by) if row.settings.account_by else None,
        api_key=row.text("token_name") or row.text("token_id"),
        user=row.text("username") or row.text("user_id"),
    )
    if type_ != ERROR and _is_adjustment(row, quota):
        report.corrects = _task(row)
        if report.corrects is None:
            raise RowError("the refund names no request (`other.task_id`)", code=Refusal.CORRECTION_INVALID)
    else:
        _read_call(row, report, ended_at)
    read_money(row, report, quota)
    _drop(row, report)
    return report


def _read_call(row: LogRow, report: Report, ended_at: datetime) -> None:
    """What a call has and a correction has not."""
    report.latency_ms = _latency(row)
    report.started_at = ended_at - timedelta(milliseconds=report.latency_ms or 0)
    report.streamed = row.flag("is_stream")
    read_tokens(row, report)
    report.served_model = text_of(row.other.get("upstream_model_name"))
    report.operation = operation_of(row.other.get("request_path"))
    report.attributes = _attributes(row)
    report.time_to_first_token_ms = _first_token(row) if report.streamed else None
    if report.failed:
        report.error = ErrorReport(
            type=text_of(row.other.get("error_type")) or "unknown",
            code=text_of(row.other.get("status_code")) or text_of(row.other.get("error_code")),
            message=any_length_text(row.fields.get(CONTENT)),
            occurred_at=ended_at,
        )


def _ended_at(row: LogRow) -> datetime:
    value = row.fields.get("created_at")
    try:
        if type(value) is int and value >= 0:  # as in each database
            return moment_of_milliseconds(value * 1000)
        return moment_of_epoch(text_of(value) or "")
    except MomentError:
        given = value is not None and value != ""
        raise RowError(
            "`created_at` must be seconds since 1970",
            "created_at",
            Refusal.FIELD_INVALID if given else Refusal.FIELD_MISSING,
        ) from None


def _latency(row: LogRow) -> int | None:
    """Milliseconds; new-api has whole seconds, of which zero is as good as nothing known."""
    if "elapsed_time" in row.fields:
        return row.integer("elapsed_time")
    seconds = row.integer("use_time")
    return None if seconds is None else min(seconds * 1000, INTEGER_MAX)


def _first_token(row: LogRow) -> int | None:
    """Milliseconds to the first byte; below zero the gateway saw none."""
    value = row.money("other.frt", row.other.get("frt"))
    return round(value) if value is not None and 0 < value <= INTEGER_MAX else None


def _source_id(row: LogRow) -> str:
    """The row's id; of a user's own page, which has none that lasts, what tells rows apart."""
    if (task := _task(row)) is not None and row.other.get("is_task") is True:
        return task
    if (number := row.text("id")) is not None:
        return storable("id", f"log-{number}")
    facts = "\0".join(text_of(row.fields.get(name), 2**24) or "" for name in _TOLD_APART_BY)
    digest = hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]
    return storable("request_id", f"{row.text('request_id') or 'log'}-{digest}")


def _task(row: LogRow) -> str | None:
    task = text_of(row.other.get("task_id"))
    return None if task is None else storable("other.task_id", task)


def _is_adjustment(row: LogRow, quota: int) -> bool:
    """Whether the row changes what another one cost, and is no request of its own."""
    return quota < 0 or (_task(row) is not None and row.other.get("is_task") is not True)


def _attributes(row: LogRow) -> Attributes | None:
    channel = row.text("channel_id") or row.text("channel")
    searches = row.part("web_search_call_count") + row.part("file_search_call_count")
    attributes = Attributes(
        trace_id=row.text("request_id"),
        attempt=_attempt(row),
        deployment=f"channel-{channel}" if channel not in (None, "0") else None,
        team=row.text("group"),
        normalized_error=text_of(row.other.get("error_code")),
        provider_request_id=row.text("upstream_request_id"),
        units={"searches": Decimal(searches)} if searches else None,
    )
    return None if attributes == _NOTHING else attributes


def _attempt(row: LogRow) -> int | None:
    """How many channels were tried, the last one with this."""
    admin = row.other.get("admin_info")
    tried = admin.get("use_channel") if isinstance(admin, dict) else None
    return min(len(tried), ATTEMPT_MAX) if isinstance(tried, list) and tried else None


def _drop(row: LogRow, report: Report) -> None:
    """Count what is left out; of a failed call, remember what its text may echo, and whom it may name."""
    others: list[tuple[str, Value]] = []
    for name, value in [(name, value) for name, value in row.fields.items() if name not in READ]:
        if value is None or value in ("", 0, False):
            continue
        if name == CONTENT:
            if not report.failed:
                count_dropped(report, CONTENT)
        elif name in NOT_KEPT:
            count_dropped(report, name)
        else:
            count_dropped(report, "unknown")
            others.append((name, value))
    for name, value in _left_of_other(row):
        count_dropped(report, f"other.{name}" if name in PLAIN_OTHERS else "unknown")
        others.append((name, value))
    if report.error is not None:
        remember_values(report, others, known=False)
        if (address := row.text("ip")) is not None:
            report.persons += (address,)
    warn_of(report, [FieldError(why, name) for name, why in row.unreadable.items()])


def _left_of_other(row: LogRow) -> Iterator[tuple[str, Value]]:
    for name, value in [(name, value) for name, value in row.other.items() if name not in READ_OTHERS]:
        if value not in (None, "", 0, -1, False):
            yield name, value
