"""The load generator: a process of its own that keeps connections busy with requests made beforehand.

    python -m benchmarks.harness.load < plan        (a pickled Plan; the outcome is printed as JSON)

Raw sockets and one epoll: about 15 us a request, so that the servers are what is measured. HTTP/1.1 with keep-alive.
"""

import json
import pickle
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final
from urllib.parse import urlsplit

from benchmarks.harness.places import ROOT

_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Plan:
    """`requests` are sent in turn over `connections`: for `seconds`, or each once when that is None."""

    url: str
    requests: Sequence[bytes]
    connections: int
    seconds: float | None


@dataclass(slots=True)
class Outcome:
    """What came of it. Latencies in milliseconds; `failed`: answers without 200, or with GraphQL errors."""

    answered: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    received_bytes: int
    first_failure: str = ""

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds


def request(url: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """A POST as it goes over the wire; of JSON unless `headers` say otherwise."""
    lines = {"Host": urlsplit(url).netloc, "Content-Type": "application/json", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**lines, **(headers or {})}.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


class Running:
    """A load generator that was started and has begun; `outcome()` waits for its end."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.harness.load"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._process.stdin.write(pickle.dumps(plan))
        self._process.stdin.close()
        self._process.stdout.readline()  # it has read the plan and connected
        self.began = time.monotonic()

    def outcome(self) -> Outcome:
        text = self._process.stdout.read()
        if self._process.wait():
            raise RuntimeError("the load generator failed; its message is above")
        return Outcome(**json.loads(text))


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    sent_at: float = 0.0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    received: bytearray = field(default_factory=bytearray)
    blocked: bool = False
    expected: int = -1
    """Bytes of the whole answer; -1: its head is not there yet; -2: chunked."""


class _Generator:
    def __init__(self, plan: Plan) -> None:
        address = urlsplit(plan.url)
        self._poll = select.epoll()
        self._connections: dict[int, _Connection] = {}
        self._requests: Iterator[bytes] = iter(plan.requests) if plan.seconds is None else cycle(plan.requests)
        self._seconds = plan.seconds
        self._deadline = float("inf")
        self._latencies: list[float] = []
        self._failed, self._bytes, self._failure = 0, 0, ""
        for _ in range(plan.connections):
            opened = socket.create_connection((address.hostname, address.port), timeout=60)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            opened.setblocking(False)
            self._connections[opened.fileno()] = _Connection(opened)
            self._poll.register(opened.fileno(), select.EPOLLIN)

    def run(self) -> Outcome:
        begin = time.perf_counter()
        if self._seconds is not None:
            self._deadline = begin + self._seconds
        busy = {number for number, connection in self._connections.items() if self._send_next(connection)}
        while busy:
            for number, events in self._poll.poll(60):
                connection = self._connections[number]
                if events & select.EPOLLOUT:
                    self._write(connection)
                if events & ~select.EPOLLOUT and self._receive(connection) and not self._send_next(connection):
                    busy.discard(number)
        seconds = time.perf_counter() - begin
        ranks = sorted(self._latencies)
        p50, p99 = (ranks[int((len(ranks) - 1) * share)] * 1e3 for share in (0.5, 0.99))
        return Outcome(len(ranks), self._failed, seconds, p50, p99, self._bytes, self._failure)

    def _send_next(self, connection: _Connection) -> bool:
        now = time.perf_counter()
        wire = next(self._requests, None) if now < self._deadline else None
        if wire is None:
            return False
        connection.sent_at, connection.unsent, connection.expected = now, memoryview(wire), -1
        connection.received.clear()
        self._write(connection)
        return True

    def _write(self, connection: _Connection) -> None:
        try:
            while connection.unsent:
                connection.unsent = connection.unsent[connection.socket.send(connection.unsent) :]
        except BlockingIOError:
            connection.blocked = True
            self._poll.modify(connection.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
            return
        if connection.blocked:
            connection.blocked = False
            self._poll.modify(connection.socket.fileno(), select.EPOLLIN)

    def _receive(self, connection: _Connection) -> bool:
        """Whether the answer is whole."""
        chunk = connection.socket.recv(_CHUNK)
        if not chunk:
            raise SystemExit(f"the server closed the connection: {bytes(connection.received[:300])!r}")
        received = connection.received
        received += chunk
        if connection.expected == -1:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                return False
            connection.expected = _length(bytes(received[:end]).lower(), end)
        whole = (
            received.endswith(b"\r\n0\r\n\r\n") if connection.expected == -2 else len(received) >= connection.expected
        )
        if whole:
            self._note(connection)
        return whole

    def _note(self, connection: _Connection) -> None:
        received = connection.received
        self._latencies.append(time.perf_counter() - connection.sent_at)
        self._bytes += len(received)
        if not received.startswith(b"HTTP/1.1 200") or b'"errors":[{' in received:
            self._failed += 1
            self._failure = self._failure or bytes(received[:600]).decode("utf-8", "replace")


def _length(head: bytes, end: int) -> int:
    at = head.find(b"content-length:")
    if at < 0:
        return -2
    return end + 4 + int(head[at + 15 :].split(b"\r\n", 1)[0])


def main() -> None:
    plan: Plan = pickle.load(sys.stdin.buffer)
    generator = _Generator(plan)
    print("begun", flush=True)
    outcome = generator.run()
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}))


if __name__ == "__main__":
    main()
