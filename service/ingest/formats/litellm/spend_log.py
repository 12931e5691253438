"""LiteLLM's own table of calls, `LiteLLM_SpendLogs`: rows of its PostgreSQL, of CSV and JSON made of it, and of the
pages of `/spend/logs/v2` -> reports.

Read from LiteLLM 1.106's schema.prisma, and run: `get_logging_payload` makes a row of what the callback is given. A row
is read as the payload that the callback would have sent, so that a call that was reported and is imported is one call.
That takes `litellm_call_id`, which older tables lack: their `request_id` is the provider's id of the answer.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from policies import Report
from service.ingest.formats.figures import decode
from service.ingest.formats.litellm.adapter import read_entry, report_of
from service.ingest.formats.litellm.fields import READ
from service.ingest.formats.litellm.payload import NULL, Payload
from service.ingest.formats.row_schema import RowSchema
from service.ingest.formats.scalars import moment_of_printed
from service.ingest.formats.split import Rejection, Row
from service.rfc3339 import MomentError

_NOTHING: Final = Raw(b"")
_NO_JSON: Final = frozenset((b"", b"null", b'"{}"', b"{}", b'"[]"', b"[]", b'""'))
_NO_JSON_BYTES_MAX: Final = 4


class SpendLogFields(msgspec.Struct):
    """A row. What has the type `Raw` is content, or says nothing of a call beside the rest."""

    request_id: Any = None
    call_type: Any = None
    api_key: Any = None
    spend: Any = None
    total_tokens: Any = None
    prompt_tokens: Any = None
    completion_tokens: Any = None
    startTime: Any = None  # noqa: N815 - the table's name
    endTime: Any = None  # noqa: N815
    completionStartTime: Any = None  # noqa: N815
    model: Any = None
    model_id: Any = None
    model_group: Any = None
    custom_llm_provider: Any = None
    user: Any = None
    metadata: Any = None
    cache_hit: Any = None
    request_tags: Any = None
    team_id: Any = None
    organization_id: Any = None
    end_user: Any = None
    session_id: Any = None
    status: Any = None
    litellm_call_id: Any = None
    api_base: Any = None
    messages: Raw = _NOTHING
    response: Raw = _NOTHING
    proxy_server_request: Raw = _NOTHING
    requester_ip_address: Raw = _NOTHING
    cache_key: Raw = _NOTHING
    request_duration_ms: Raw = _NOTHING
    mcp_namespaced_tool_name: Raw = _NOTHING
    billing_agent_id: Raw = _NOTHING
    agent_id: Raw = _NOTHING
    created_at: Raw = _NOTHING
    updated_at: Raw = _NOTHING


_SCHEMA: Final = RowSchema(SpendLogFields)
_OF_TABLE: Final = b'"request_id"'
"""A name that the table has and the callback has not; within a text its quotes would be escaped."""
_COUNTED: Final = ("messages", "response", "proxy_server_request", "requester_ip_address")
_LIFTED: Final = ("error_information", "cost_breakdown", "model_map_information")
"""What the callback has beside its metadata, and the table in it."""
_BATCH: Final = ("batch_models", "batch_successful_requests")
_FLAGS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_MASTER_KEY: Final = "litellm_proxy_master_key"


def read_history(row: Row) -> Report | Rejection:
    """A row of the table, or a payload of the callback, as a file may hold either; never raises."""
    return read_spend_log(row) if _OF_TABLE in bytes(row) else read_entry(row)


def read_spend_log(row: Row) -> Report | Rejection:
    """One row; never raises."""
    return _SCHEMA.outcome(row, _report)


def _report(row: SpendLogFields, others: Mapping[str, Raw]) -> Report:
    return report_of(_payload(row, others))


def _payload(row: SpendLogFields, others: Mapping[str, Raw]) -> Payload:
    """The row as the callback's payload."""
    stored = _nested(row.metadata)
    metadata = _metadata(row, stored)
    started, ended = _time(row.startTime), _time(row.endTime)
    first = ended if row.completionStartTime == row.endTime else _time(row.completionStartTime)
    values: dict[str, Any] = {
        "id": row.request_id,
        "litellm_call_id": row.litellm_call_id or metadata.pop("litellm_call_id", None),
        # The callback's `trace_id` is what the table calls a session: one is made up where a client names none.
        "trace_id": row.session_id,
        "call_type": row.call_type,
        "response_cost": _number(row.spend),
        "prompt_tokens": _number(row.prompt_tokens),
        "completion_tokens": _number(row.completion_tokens),
        "startTime": started,
        "endTime": ended,
        "completionStartTime": first,
        # Of a call that was not streamed the first token has the time of the end.
        "stream": True if _is_between(started, first, ended) else None,
        "model": row.model,
        "model_id": row.model_id,
        "model_group": row.model_group,
        "custom_llm_provider": row.custom_llm_provider,
        "api_base": row.api_base,
        "cache_hit": _FLAGS.get(row.cache_hit.lower()) if isinstance(row.cache_hit, str) else row.cache_hit,
        "request_tags": _nested(row.request_tags),
        "end_user": row.end_user,
        "status": row.status or metadata.get("status") or "success",
        "hidden_params": {name: metadata.pop(name) for name in _BATCH if metadata.get(name) is not None},
    }
    values |= {name: metadata.pop(name, None) for name in _LIFTED}
    values["metadata"] = metadata
    left = {name: raw for name, raw in others.items() if name not in READ and raw != NULL}
    for name in _COUNTED:
        raw: Raw = getattr(row, name)
        if len(raw) > _NO_JSON_BYTES_MAX or bytes(raw) not in _NO_JSON:
            left[name] = raw
    if guardrails := metadata.pop("guardrail_information", None):
        left["guardrail_information"] = Raw(msgspec.json.encode(guardrails))
    payload = Payload({**others, **left, **values}, left)
    if stored and not isinstance(stored, dict):
        payload.note("metadata", "is no object, or is longer than is read: what it says is left out")
    return payload


def _metadata(row: SpendLogFields, stored: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """The metadata, with the owner from the columns: only they are certain to have it."""
    metadata = cast("dict[str, Any]", stored) if isinstance(stored, dict) else {}
    key = None if row.api_key == _MASTER_KEY else row.api_key
    for name, of_column in (
        ("user_api_key_hash", key),
        ("user_api_key_team_id", row.team_id),
        ("user_api_key_org_id", row.organization_id),
        ("user_api_key_user_id", row.user),
    ):
        if of_column and not metadata.get(name):
            metadata[name] = of_column
    return metadata


def _nested(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON that a column of text holds, or the column itself."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return decode(value.encode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            return value
    return value


def _number(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A number that is a text in CSV, where a binary float was printed."""
    if isinstance(value, str) and value:
        try:
            number = Decimal(value) if value.isascii() and "_" not in value else None
        except ArithmeticError:
            number = None
        return value if number is None or not number.is_finite() else number
    return value


def _time(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A time as PostgreSQL and CSV write it; what is none stays as it is."""
    try:
        return moment_of_printed(value) if isinstance(value, str) else value
    except MomentError:
        return value


def _is_between(started: object, first: object, ended: object) -> bool:
    if not (isinstance(started, datetime) and isinstance(first, datetime) and isinstance(ended, datetime)):
        return False
    return started < first < ended
