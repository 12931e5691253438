"""Rows of every format that is read, complete and recent, and what may stand in the place of each of their values."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from gateway_rows import rows_of
from litellm_proxy import spent
from newapi import consumed, failed
from tracing import as_json, chat, export

from policies import Report
from service.imports.formats import FORMATS, ImportOptions
from service.ingest.formats.litellm.adapter import read_entry
from service.ingest.formats.mapped.reader import MappedReader
from service.ingest.formats.opened import Reader
from service.ingest.formats.otlp.adapter import read_json
from service.ingest.formats.split import Rejection

NOW: Final = datetime.now(UTC).replace(microsecond=123_000) - timedelta(hours=30)
MAP: Final = b"""
[call]
id = "Request"
started_at = "Time"
model = "Model"
status = { column = "State", succeeded = ["ok"], failed = ["error"] }
amount = "Cost"
currency = { value = "EUR" }
input_tokens = "In"
account = "Customer"
[error]
message = "Error"
"""
Row = dict[str, Any]
Spell = Callable[[Row, str], None]


@dataclass(frozen=True)
class Form:
    """What reads rows of a format, some that are complete, and what gives one an id of its own."""

    source: str
    read: Reader
    rows: tuple[Row, ...]
    spell: Spell

    def row(self, id_: str, number: int = 0) -> Row:
        """One of the rows, as a call of its own."""
        row = copy.deepcopy(self.rows[number])
        self.spell(row, id_)
        return row


def _field(*names: str) -> Spell:
    def spell(row: Row, id_: str) -> None:
        for name in names:
            if name in row:
                row[name] = id_

    return spell


def _digest(id_: str) -> int:
    return int.from_bytes(blake2b(id_.encode(), digest_size=7).digest()) + 1


def _number(row: Row, id_: str) -> None:
    row["id"] = _digest(id_)
    row["request_id"] = row["upstream_request_id"] = id_


def _span(row: Row, id_: str) -> None:
    row["spanId"] = f"{_digest(id_):016x}"


def _event(row: Row, id_: str) -> None:
    row["RequestBody"] = {"type": "encrypted", "data": id_}


def _samples(name: str) -> tuple[Row, ...]:
    """The calls of a sample, moved to today."""
    day, second = f"{NOW:%Y-%m-%d}", f"{int(NOW.timestamp()) // 100}"
    texts = [row.decode().replace("2026-11-20", day).replace("17951688", second) for row in rows_of(name)]
    read = FORMATS[name.split("_")[0].split(".")[0]].reader(ImportOptions())
    return tuple(json.loads(text) for text in texts if isinstance(read(text.encode()), Report))


def _spans() -> tuple[Row, ...]:
    body = json.loads(as_json(export(chat(at=NOW), chat(2, failed="over the limit", at=NOW))))
    return tuple(body["resourceSpans"][0]["scopeSpans"][0]["spans"])


def _read_span(row: bytes) -> Report | Rejection:
    """A span by itself, without the resource that exporters send around it."""
    return read_json(bytes(4) + row)


_STARTED: Final = NOW.isoformat(timespec="milliseconds")
_NATIVE: Final = {
    "id": "a", "started_at": _STARTED, "model": "gpt-4o", "status": "succeeded", "amount": "0.25", "currency": "USD",
    "input_tokens": 5, "output_tokens": 6, "latency_ms": 7, "user": "jane", "api_key": "web", "tags": {"team": "a"},
}  # fmt: skip
_FAILED: Final = _NATIVE | {
    "status": "failed", "error": {"type": "E", "message": "no", "parameters": {"temperature": 1}}
}  # fmt: skip
_CALLBACK: Final = {
    "id": "chatcmpl-1", "litellm_call_id": "a", "call_type": "acompletion", "status": "success", "model": "gpt-4o",
    "startTime": NOW.timestamp(), "endTime": NOW.timestamp() + 1, "response_cost": 0.25, "prompt_tokens": 5,
    "completion_tokens": 6, "custom_llm_provider": "openai", "request_tags": ["a:b"], "stream": True,
    "completionStartTime": NOW.timestamp() + 0.5, "cost_breakdown": {"input_cost": 0.1, "output_cost": 0.15},
    "metadata": {"user_api_key_alias": "web", "usage_object": {"prompt_tokens": 5}}, "end_user": "jane",
    "hidden_params": {"litellm_model_name": "openai/gpt-4o"}, "model_parameters": {"temperature": 1},
}  # fmt: skip
_CALLBACK_FAILED: Final = _CALLBACK | {
    "status": "failure", "error_str": "no", "error_information": {"error_class": "E", "error_message": "no"}
}  # fmt: skip
_SPENT: Final = spent("a", NOW, model_group="fast", end_user="jane", request_tags=["a:b"], team_id=None)
_SPENT_FAILED: Final = _SPENT | {
    "status": "failure", "metadata": {"status": "failure", "error_information": {"error_class": "E"}}
}  # fmt: skip
_CELLS: Final = {
    "Request": "a", "Time": _STARTED, "Model": "gpt-4o", "State": "ok", "Cost": "0.25", "In": "5", "Customer": "acme"
}  # fmt: skip


def _imported(name: str, rows: tuple[Row, ...], spell: Spell) -> Form:
    form = FORMATS[name]
    reader = ImportOptions(map=MappedReader(MAP, "map.toml") if "map" in form.options else None)
    return Form(form.source, form.reader(reader), rows, spell)


FORMS: Final[dict[str, Form]] = {
    "native": _imported("native", (_NATIVE, _FAILED), _field("id")),
    "litellm callback": Form("litellm", read_entry, (_CALLBACK, _CALLBACK_FAILED), _field("litellm_call_id")),
    "litellm": _imported("litellm", (_SPENT, _SPENT_FAILED), _field("litellm_call_id", "request_id")),
    "otlp": Form("otlp", _read_span, _spans(), _span),
    "new-api": _imported("new-api", (consumed(1), failed(2)), _number),
    "one-api": _imported("one-api", (consumed(1),), _number),
    "langfuse": _imported("langfuse", _samples("langfuse_blob.ndjson"), _field("id")),
    "openrouter": _imported(
        "openrouter", _samples("openrouter_activity.csv") + _samples("openrouter_generation.ndjson"),
        _field("generation_id", "id"),
    ),
    "helicone": _imported("helicone", _samples("helicone.jsonl"), _field("response_id", "request_id")),
    "cloudflare logpush": _imported("cloudflare", _samples("cloudflare_logpush.ndjson"), _event),
    "cloudflare": _imported("cloudflare", _samples("cloudflare_api.ndjson"), _field("id")),
    "portkey": _imported("portkey", _samples("portkey.jsonl"), _field("id")),
    "bifrost": _imported("bifrost", _samples("bifrost_logs.ndjson"), _field("id")),
    "agentgateway": _imported("agentgateway", _samples("agentgateway.ndjson"), _field("id")),
    "csv": _imported("csv", (_CELLS, _CELLS | {"State": "error", "Error": "no"}), _field("Request")),
    "ndjson": _imported("ndjson", (_CELLS,), _field("Request")),
}  # fmt: skip
"""By name every format of `calledger import` and of the reporting paths."""

ODD: Final[dict[str, str]] = {
    "nothing": "null", "true": "true", "minus one": "-1", "huge": "1e30", "beyond floats": "1e999", "NaN": "NaN",
    "infinity": "-Infinity", "no number": '"NaN"', "empty": '""', "list": "[[1], null]", "object": '{"a": {"b": 1}}',
    "long": json.dumps("x" * 5_000), "NUL": '"a\\u0000b"', "half a pair": '"\\ud800"', "lost": '"\\ufffd"',
    "comma": '"1,5"', "before 1970": '"1969-12-31T23:59:59Z"', "far future": '"9999-12-31T23:59:59.999Z"',
    "no date": '"2026-02-30T25:61:61Z"', "year 1": '"0001-01-01 00:00:00"', "late second": "253402300800",
    "negative second": "-62135596801", "many digits": "0." + "1" * 60, "as text": '"0.00022500000000000002"',
}  # fmt: skip
"""By kind, as JSON text."""

_HOLE: Final = "\u241a"


def spoilt(of: str) -> Iterator[bytes]:
    """Each value of each row of a format, also one level inside of objects, replaced by each odd one, as JSON text: a
    call of its own each, but where its id is what is spoilt.
    """
    form = FORMS[of]
    for number in range(len(form.rows)):
        for path in _paths(form.rows[number]):
            for kind, text in ODD.items():
                row = form.row(f"{of}-{'.'.join(path)}-{kind}-{number}", number)
                inner = row
                for step in path[:-1]:
                    inner = inner[step]
                inner[path[-1]] = _HOLE
                yield json.dumps(row).replace(json.dumps(_HOLE), text).encode()


def _paths(row: Row) -> Iterator[tuple[str, ...]]:
    for name, value in row.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, inner) for inner in value)
