"""A gateway with a router: the real LiteLLM, falling back, polling a batch, and meeting a model without a price.

Run by LiteLLM's own Python, not collected as a test. The provider is a server of this program's own.

    python litellm_router.py ENDPOINT KEY
"""

import asyncio
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import litellm
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

CREATED = int(time.time()) - 3600
USAGE = {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500}
BATCH = {
    "id": "batch_conformance", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-in",
    "completion_window": "24h", "status": "completed", "output_file_id": "file-out", "created_at": CREATED,
    "request_counts": {"total": 2, "completed": 2, "failed": 0},
}  # fmt: skip
ANSWER = {
    "id": "chatcmpl-batch", "object": "chat.completion", "created": CREATED, "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    "usage": USAGE,
}  # fmt: skip
LINES = "\n".join(
    json.dumps(
        {"id": f"r{one}", "custom_id": f"c{one}", "response": {"status_code": 200, "body": ANSWER}, "error": None}
    )
    for one in range(2)
)


class Provider(BaseHTTPRequestHandler):
    """Answers as OpenAI does, with a failure for every chat."""

    def do_GET(self) -> None:
        self._answer(200, LINES if "/files/" in self.path else json.dumps(BATCH))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(500, json.dumps({"error": {"message": "down", "type": "server_error"}}), {"x-request-id": "req_7"})

    def _answer(self, status: int, body: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


async def main(endpoint: str, key: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    provider = {"api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "sk-none", "max_retries": 0}
    reporter = GenericAPILogger(endpoint=endpoint, headers={"Authorization": f"Bearer {key}"}, max_retries=4)
    litellm.callbacks = [reporter]
    router = litellm.Router(
        model_list=[
            {"model_name": "primary", "litellm_params": {"model": "openai/gpt-4o", **provider}},
            {"model_name": "backup", "litellm_params": {"model": "openai/gpt-4o-mini", "mock_response": "well"}},
        ],
        fallbacks=[{"primary": ["backup"]}],
        num_retries=1,
        retry_after=0,
    )
    messages = [{"role": "user", "content": "a question of some length"}]
    await router.acompletion(model="primary", messages=messages)
    await litellm.acompletion(model="openai/a-model-without-a-price", messages=messages, mock_response="well")
    for _ in range(2):
        await litellm.aretrieve_batch(batch_id="batch_conformance", custom_llm_provider="openai", **provider)
    # What is logged in the background is on its way when nothing more arrives.
    waiting = -1
    for _ in range(100):
        await asyncio.sleep(0.5)
        if waiting == len(reporter.log_queue):
            break
        waiting = len(reporter.log_queue)
    await reporter.flush_queue()


asyncio.run(main(*sys.argv[1:]))
