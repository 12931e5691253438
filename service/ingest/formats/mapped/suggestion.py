"""A column map to begin with, guessed from the names of a file's columns and its first rows. A person looks it over."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from service.ingest.formats.mapped.column_map import KINDS
from service.ingest.formats.native.fields import CONTENT_FIELDS

_NAMES: Final[Mapping[str, str]] = {
    "id": "id request_id requestid call_id generation_id log_id uuid transaction_id message_id event_id",
    "started_at": (
        "started_at start_time starttime timestamp time created_at createdat created date datetime request_time "
        "requested_at occurred_at start ts event_time"
    ),
    "ended_at": "ended_at end_time endtime finished_at completed_at response_time_at end",
    "model": "model model_name modelname requested_model request_model model_id ai_model model_requested",
    "served_model": "served_model response_model model_used used_model model_permaslug",
    "account": "account account_id customer customer_id tenant tenant_id client organization_name workspace project",
    "api_key": "api_key key_name api_key_name token_name key apikey api_key_alias virtual_key_name",
    "user": "user user_id username user_name end_user enduser email external_user",
    "provider": "provider provider_name vendor ai_provider custom_llm_provider platform",
    "operation": "operation endpoint_type request_type call_type operation_name",
    "status": "status state result success status_code http_status response_status outcome is_success",
    "input_tokens": "input_tokens prompt_tokens tokens_prompt tokens_in input tokens_input in_tokens",
    "output_tokens": (
        "output_tokens completion_tokens tokens_completion tokens_out output tokens_output out_tokens "
        "completion_token_count"
    ),
    "cache_read_tokens": "cache_read_tokens cached_tokens tokens_cached cache_tokens cache_read cached_input_tokens",
    "cache_write_tokens": "cache_write_tokens cache_creation_tokens cache_write cache_creation_input_tokens",
    "reasoning_tokens": "reasoning_tokens tokens_reasoning thinking_tokens",
    "amount": "amount cost total_cost cost_usd spend price cost_total charge charged usage_cost cost_total_usd",
    "currency": "currency cost_currency currency_code",
    "latency_ms": "latency_ms latency duration_ms duration elapsed_ms response_time response_time_ms total_time",
    "time_to_first_token_ms": "time_to_first_token_ms ttft ttft_ms time_to_first_token first_token_ms",
    "streamed": "streamed stream is_stream streaming",
    "trace_id": "trace_id traceid",
    "parent_span_id": "parent_span_id parentspanid parent_id parent_observation_id",
    "session_id": "session_id sessionid conversation_id thread_id",
    "team": "team team_name",
}
_ERRORS: Final[Mapping[str, str]] = {
    "type": "error_type error_class exception",
    "code": "error_code",
    "message": "error error_message message_error failure_reason status_message",
}
_EPOCH: Final = re.compile(r"([0-9]{9,10}(?:\.[0-9]{1,9})?)|([0-9]{12,13})|([0-9]{15,16})|([0-9]{18,19})", re.ASCII)
_EPOCHS: Final = ("epoch", "epoch_ms", "epoch_us", "epoch_ns")
_OFFSET: Final = re.compile(r"(?:[zZ]|[+-][0-9]{2}:?[0-9]{0,2})\Z", re.ASCII)
_WRITTEN: Final = (
    *("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M"),
    *("%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%a, %d %b %Y %H:%M:%S %z", "%d %b %Y %H:%M:%S"),
)
_COMMA: Final = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{3}){0,5},[0-9]{1,20}|-?[0-9]{1,20},[0-9]{1,20}", re.ASCII)
_GOOD: Final = frozenset(("ok", "success", "succeeded", "successful", "true", "1", "200", "201", "done", "completed"))
_BAD: Final = frozenset(("error", "failed", "failure", "false", "0", "timeout", "cancelled", "rejected"))
_WORDS_MAX: Final = 12
_APART: Final = re.compile(r"[^0-9a-z]+")
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def suggested_map(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """A column map as TOML text for columns of these names, of which `rows` are the first."""
    taken: dict[str, str] = {}
    call = {field: column for field, said in _NAMES.items() if (column := _column(said, names, taken))}
    error = {field: column for field, said in _ERRORS.items() if (column := _column(said, names, taken))}
    samples = {name: [row[name] for row in rows if row.get(name)] for name in names}
    lines = ["# A guess from the names of the columns: look each line over.", ""]
    lines += _file_lines(call, samples)
    lines.append("[call]")
    if "id" not in call:
        lines.append('id = { of = ["*"] }  # no column looks like an id: one is made of the whole row')
    for field in ("started_at", "model"):
        if field not in call:
            lines.append(f'# {field} = "..."  # required')
    lines += [f"{field} = {_entry(field, column, samples[column])}" for field, column in call.items()]
    if "amount" in call and "currency" not in call:
        lines.append('currency = { value = "USD" }')
    if error:
        lines += ["", "[error]", *(f"{field} = {_quoted(column)}" for field, column in error.items())]
    left = [name for name in names if name not in taken]
    if left:
        content = [name for name in left if _plain(name) in CONTENT_FIELDS]
        lines += ["", "# Not kept: " + ", ".join(_quoted(name) for name in left)]
        if content:
            lines.append("# Content, in which echoes in the text of errors are looked for: " + ", ".join(content))
    return "\n".join(lines) + "\n"


def _column(said: str, names: Sequence[str], taken: dict[str, str]) -> str | None:
    """The first column that has one of the names, and is no other field's."""
    for wanted in said.split():
        for name in names:
            if name and name not in taken and _plain(name) == wanted:
                taken[name] = wanted
                return name
    return None


def _plain(name: str) -> str:
    return _APART.sub("_", _HUMP.sub("_", name).lower()).strip("_")


def _file_lines(call: Mapping[str, str], samples: Mapping[str, Sequence[str]]) -> list[str]:
    numbers = [
        cell for field, column in call.items() if KINDS[field] in ("money", "duration") for cell in samples[column]
    ]
    lines: list[str] = []
    if any(_COMMA.fullmatch(cell.strip()) for cell in numbers):
        lines += ['decimal = ","', *(['thousands = "."'] if any("." in cell for cell in numbers) else [])]
    if "started_at" in call and any(not _has_offset(cell) for cell in samples[call["started_at"]]):
        lines.append('time_zone = "UTC"  # of times without an offset')
    return ["[file]", *lines, ""] if lines else []


def _has_offset(cell: str) -> bool:
    return cell.strip().isdecimal() or _OFFSET.search(cell.strip()[10:40]) is not None


def _entry(field: str, column: str, cells: Sequence[str]) -> str:
    kind = KINDS[field]
    if kind == "time" and (form := _time_format(cells)) != "iso":
        return f"{{ column = {_quoted(column)}, format = {_quoted(form)} }}"
    if kind == "status":
        words = list(dict.fromkeys(cell.strip() for cell in cells))[:_WORDS_MAX]
        good = [word for word in words if word.lower() in _GOOD] or ["success"]
        bad = [word for word in words if word.lower() in _BAD or (word.isdecimal() and int(word) >= 400)] or ["error"]
        return f"{{ column = {_quoted(column)}, succeeded = {_listed(good)}, failed = {_listed(bad)} }}"
    return _quoted(column)


def _time_format(cells: Sequence[str]) -> str:
    """The first form that all cells have; ISO 8601 where none is."""
    some = [cell.strip() for cell in cells[:20]]
    units = {match.lastindex for cell in some if (match := _EPOCH.fullmatch(cell))} if some else set[int | None]()
    if len(units) == 1 and all(_EPOCH.fullmatch(cell) for cell in some):
        return _EPOCHS[(units.pop() or 1) - 1]
    for form in _WRITTEN:
        if some and all(_reads(cell, form) for cell in some):
            return form
    return "iso"


def _reads(cell: str, form: str) -> bool:
    try:
        datetime.strptime(cell, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def _listed(words: Sequence[str]) -> str:
    return "[" + ", ".join(_quoted(word) for word in words) + "]"


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\U{ord(char):08X}" for char in escaped) + '"'
