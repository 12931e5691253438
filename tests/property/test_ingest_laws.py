"""Laws of the adapters: whatever is sent, the answer is reports and rejections, or a BodyError, and nothing else."""

import json

from hypothesis import strategies as st

from service.ingest.litellm import read_litellm
from service.ingest.native import read_native

ADAPTERS = st.sampled_from([read_native, read_litellm])
NATIVE = {
    "id": "req-8f2",
    "started_at": "2026-11-22T10:00:00.123Z",
    "account": "acme",
    "api_key": "prod-web",
    "user": "u-17",
    "model": "gpt-4o",
    "status": "failed",
    "streamed": True,
    "input_tokens": 1200,
    "cache_read_tokens": 800,
    "output_tokens": 5,
    "amount": "0.0031",
    "amount_parts": [{"name": "input", "amount": 0.1}],
    "currency": "USD",
    "latency_ms": 812,
    "tags": {"team": "search"},
    "messages": [{"role": "user", "content": "a canary of some length"}],
    "error": {"type": "RateLimitError", "code": "429", "message": "m", "parameters": {"temperature": 0.2}},
}
LITELLM = {
    "id": "chatcmpl-1",
    "litellm_call_id": "c1",
    "call_type": "acompletion",
    "stream": True,
    "response_cost": 0.00022500000000000002,
    "cost_breakdown": {"input_cost": 0.1, "total_cost": 0.2},
    "status": "failure",
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "startTime": 1795341600.25,
    "endTime": 1795341601.5,
    "completionStartTime": 1795341600.5,
    "model": "gpt-4o",
    "model_group": "",
    "metadata": {"user_api_key_hash": "h", "usage_object": {"prompt_tokens_details": {"cached_tokens": 5}}},
    "request_tags": ["a:b"],
    "messages": [{"role": "user", "content": "a canary of some length"}],
    "response": {"a": 1},
    "error_information": {"error_code": "None", "error_class": "E", "error_message": "m"},
    "model_parameters": {"temperature": 0.5},
    "hidden_params": {"usage_object": None},
}
SEEDS = [json.dumps(NATIVE).encode(), json.dumps(LITELLM).encode()]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "None", "\0", "\ud83d", "1e999", "-1", 2**31, 2**64, 10**400, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
BROKEN_TEXT = [b"\\ud800", b"\\u0000", b"\xff", b"\xed\xa0\x80"]
SPLICES = st.sampled_from([*BROKEN_TEXT, b"", b"null", b"1e999999999999999999", b"NaN", b"{", b"]", b'"', b"\n", b"-"])
