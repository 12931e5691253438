"""The change feed under kills: service and database end at random moments under load, and a consumer goes on.

`make soak-feed` does the same for as long as one likes: `CALLEDGER_TEST_SOAK_S=3600`.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from reporting import Reporter, postmaster
from running import RunningService
from standardwebhooks import Webhook
from webhook_service import ALLOWED, CREATE, DELIVERIES, WEBHOOKS

ROOT = Path(__file__).resolve().parents[3]
CONSUMER = ROOT / "examples" / "feed_consumer.py"
SOAK_S = float(os.environ.get("CALLEDGER_TEST_SOAK_S", "0"))
PAUSE_S = 0.05 if SOAK_S else 0.3
"""Between the reports of a gateway: what is recorded is sent within seconds, not minutes, and a consumer that is killed
all the time is not hours behind at the end.
"""
COMPLETE_S = max(SOAK_S, 60)
"""For the webhook, and ten times as long for the consumer, to come to the end."""


class Consumer(threading.Thread):
    """Runs `examples/feed_consumer.py` on and on; each run goes on where the last one was, however that ended."""

    def __init__(self, service: RunningService, copy: Path, seed: int) -> None:
        super().__init__(daemon=True)
        self.service, self.copy, self.runs = service, copy, 0
        self.stopped = threading.Event()
        self._random = random.Random(seed)

    def command(self, *options: str) -> list[str]:
        return [sys.executable, str(CONSUMER), self.service.url, str(self.copy), *options]

    def run(self) -> None:
        while not self.stopped.is_set():
            environment = {**os.environ, "CALLEDGER_KEY": self.service.admin_key}
            running = subprocess.Popen(
                self.command("--follow"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.stopped.wait(self._random.uniform(0.5, 5))
            running.kill()
            running.wait()
            self.runs += 1

    def catch_up(self, *options: str) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "CALLEDGER_KEY": self.service.admin_key}
        return subprocess.run(
            self.command(*options),
            env=environment,
            capture_output=True,
            text=True,
            timeout=10 * COMPLETE_S,
            check=False,
        )


class Hook:
    """A receiver of a webhook that notes what it was sent, and now and then fails, or hangs up without a word; when
    nothing is killed any more, it is well.
    """

    def __init__(self, seed: int) -> None:
        self.id, self.secret, self.is_well = "", "", False
        self.sent: dict[str, list[tuple[str, str]]] = {}
        self.again, self.problems = 0, list[str]()
        hook, chance = self, random.Random(seed)

        class Handler(BaseHTTPRequestHandler):
            failed = False

            def do_POST(self) -> None:
                hook.take(self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                Handler.failed = not (hook.is_well or Handler.failed) and chance.random() < 0.1  # never twice in a row
                if Handler.failed:
                    if chance.random() < 0.5:
                        self.close_connection = True
                        return
                    self.send_response(500)
                else:
                    self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is said of each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def make(self, service: RunningService) -> None:
        """Have all that is recorded from now on sent here."""
        asked = {"url": self.url, "events": ["CALLS_RECORDED"], "fields": ["id"]}
        made = service.ask(service.admin_key, CREATE, **{"in": asked})["data"]["createWebhook"]
        self.id, self.secret = made["webhook"]["id"], made["secret"]

    def take(self, headers: Message, body: bytes) -> None:
        """Note a request: its signature must be good, and what comes twice under an id the same."""
        data = Webhook(self.secret).verify(body, {name.lower(): value for name, value in headers.items()})["data"]
        sent, id_ = [(one["kind"], one["call"]["id"]) for one in data["changes"]], headers["webhook-id"]
        self.again += id_ in self.sent
        if self.sent.setdefault(id_, sent) != sent:
            self.problems.append(f"{id_} came with something else")

    def complete(self, count: int, service: RunningService) -> list[tuple[str, str]]:
        """Every change, in the order of the first attempts, once there are so many; in time, or it is said why not."""
        ends = time.monotonic() + COMPLETE_S
        while (came := sum(map(len, list(self.sent.values())))) < count:
            if time.monotonic() > ends:
                pytest.fail("\n".join([f"{came} changes of {count} came to the webhook", *self.state(service)]))
            time.sleep(0.1)
        self._server.shutdown()
        self._server.server_close()
        return [change for changes in self.sent.values() for change in changes]

    def state(self, service: RunningService) -> list[str]:
        """The webhook, its newest deliveries, and the end of the service's log."""
        asked = [service.ask(service.admin_key, WEBHOOKS), service.ask(service.admin_key, DELIVERIES, id=self.id)]
        return [*map(json.dumps, asked), *service.log.read_text().splitlines()[-60:]]


def received(copy: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(copy) as database:
        return database.execute("SELECT kind, call_id FROM change ORDER BY number").fetchall()


@pytest.mark.embedded("ends it")
def test_a_consumer_misses_and_doubles_nothing_under_kills(tmp_path: Path) -> None:
    """Each acknowledged call is in the copy once, and the ledger's checksums are those of the copy. A webhook is sent
    the same, in the same order; what comes again has the id that it had.
    """
    seed = int(os.environ.get("CALLEDGER_TEST_SEED", time.time_ns() % 2**32))
    chance = random.Random(seed)
    print(f"CALLEDGER_TEST_SEED={seed}")
    service, hook = RunningService(tmp_path / "data", environment=ALLOWED), Hook(seed)
    try:
        hook.make(service)
        key = service.new_key("ingest")
        reporters = [Reporter(service, key, f"r{number}", PAUSE_S) for number in range(3)]
        consumer = Consumer(service, tmp_path / "copy.sqlite", seed)
        for thread in (*reporters, consumer):
            thread.start()
        kills, of_database, ends = 0, 0, time.monotonic() + SOAK_S
        while kills < 6 or time.monotonic() < ends:
            time.sleep(chance.uniform(0.3, 3))
            # A service whose PostgreSQL has ended six times within ten minutes ends too, and says so.
            if chance.random() < 0.5 and of_database < 5:
                os.kill(postmaster(service), signal.SIGKILL)
                of_database += 1
            else:
                service.kill()
                service.start()
                of_database = 0
            kills += 1
            await_service(service)
        for reporter in reporters:
            reporter.stopped.set()
        consumer.stopped.set()
        hook.is_well = True
        for thread in (*reporters, consumer):
            thread.join(60)
        problems = [problem for reporter in reporters for problem in reporter.problems]
        time.sleep(2)
        done = consumer.catch_up("--compare")
        changes = received(consumer.copy)
        told = hook.complete(len(changes), service)
        total = service.ask(service.admin_key, "{ calls(first: 1) { totalCount } }")["data"]["calls"]["totalCount"]
    finally:
        service.stop()

    acknowledged = sum(len(reporter.acknowledged) for reporter in reporters)
    print(f"{kills} kills, {consumer.runs} runs of the consumer, {acknowledged} acknowledged, {len(changes)} changes")
    print(f"{len(hook.sent)} batches to the webhook, {hook.again} of them again")
    assert problems == hook.problems == []
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, []), done.stdout + done.stderr
    assert {kind for kind, _ in changes} == {"CALL"}
    assert len(changes) == len(set(changes)) == total >= acknowledged > 0
    assert told == changes


def await_service(service: RunningService) -> None:
    """Return once the service is ready again; a minute at most."""
    said: object = None
    for _ in range(600):
        try:
            said = service.request("GET", "/readyz")
            if said[0] == 200:
                return
        except OSError as error:
            said = error
        time.sleep(0.1)
    log = service.log.read_text().splitlines()[-40:]
    pytest.fail("\n".join([f"the service did not come back: {said!r}, {service.process.poll()}", *log]))
