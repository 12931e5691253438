"""Calls as OpenTelemetry spans, the way that OpenInference instruments a model's client; runs in Phoenix's environment.

Native call records as JSON lines on standard input, pages of spans as base64 lines of protobuf on standard output.
"""

import base64
import json
import os
import sys
from datetime import datetime
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

PAGE = 500


def _attributes(call: dict[str, Any]) -> dict[str, str | int]:
    return {
        "openinference.span.kind": "LLM",
        "llm.model_name": call["model"],
        "llm.provider": call["provider"],
        "llm.token_count.prompt": call["input_tokens"],
        "llm.token_count.completion": call["output_tokens"],
        "llm.token_count.total": call["input_tokens"] + call["output_tokens"],
        "user.id": call["user"],
        "metadata": json.dumps({"account": call["account"], "api_key": call["api_key"], "amount": call["amount"]}),
    }


def _fill(span: Span, call: dict[str, Any]) -> None:
    start = int(datetime.fromisoformat(call["started_at"]).timestamp() * 1e9)
    span.trace_id, span.span_id, span.name = os.urandom(16), os.urandom(8), "chat"
    span.start_time_unix_nano, span.end_time_unix_nano = start, start + call["latency_ms"] * 1_000_000
    failed = call["status"] == "failed"
    span.status.code = Status.STATUS_CODE_ERROR if failed else Status.STATUS_CODE_OK
    if failed:
        span.status.message = call["error"]["message"]
    for name, value in _attributes(call).items():
        attribute = span.attributes.add(key=name)
        if isinstance(value, int):
            attribute.value.int_value = value
        else:
            attribute.value.string_value = value


def main() -> None:
    calls = [json.loads(line) for line in sys.stdin]
    for at in range(0, len(calls), PAGE):
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for call in calls[at : at + PAGE]:
            _fill(spans.add(), call)
        print(base64.b64encode(request.SerializeToString()).decode())


if __name__ == "__main__":
    main()
