"""A provider of models that answers by the two APIs that SDKs expect, with the same tokens each time."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

OPENAI_USAGE = {
    "prompt_tokens": 120,
    "completion_tokens": 30,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 80},
    "completion_tokens_details": {"reasoning_tokens": 10},
}
ANTHROPIC_USAGE = {
    "input_tokens": 40,
    "output_tokens": 25,
    "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 20,
}
MODEL = "gpt-4o-2024-11-20"
OVER_LIMIT = "over-limit"


class _Provider(BaseHTTPRequestHandler):
    answer = ""

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what is written."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] == OVER_LIMIT:
            words = f"Rate limit reached for {self.answer} in organization org-none"
            self._send(429, {"error": {"message": words, "type": "rate_limit_error", "code": "rate_limit_exceeded"}})
        elif asked.get("stream"):
            self._stream()
        elif self.path.endswith("/embeddings"):
            vector = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
            usage = {"prompt_tokens": 8, "total_tokens": 8}
            self._send(200, {"object": "list", "data": vector, "model": asked["model"], "usage": usage})
        elif self.path.endswith("/messages"):
            content = [{"type": "text", "text": self.answer}]
            message = {"id": "msg_01", "type": "message", "role": "assistant", "content": content}
            ends = {"stop_reason": "end_turn", "stop_sequence": None, "usage": ANTHROPIC_USAGE}
            self._send(200, {**message, **ends, "model": "claude-sonnet-4-5-20250929"})
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": self.answer}, "finish_reason": "stop"}
            self._send(200, {**_head("chat.completion"), "choices": [choice], "usage": OPENAI_USAGE})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        delta = {"index": 0, "delta": {"role": "assistant", "content": self.answer}, "finish_reason": None}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        for choices, usage in (([delta], None), ([end], None), ([], OPENAI_USAGE)):
            chunk = {**_head("chat.completion.chunk"), "choices": choices, "usage": usage}
            self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_795_341_600, "model": MODEL}


@contextmanager
def provider(answer: str) -> Iterator[str]:
    """The provider's URL; its answers, and its errors, say `answer`."""
    handler = type("Provider", (_Provider,), {"answer": answer})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
