"""The programs of `examples/`, as users run them."""

import base64
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from packages import installed
from running import RunningService
from webhook_service import ALLOWED, CREATE, ROTATE, TEST

from service.webhooks.signatures import SigningSecret, signed_headers

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("examples") / "data", environment=ALLOWED)
    yield running
    running.stop()


def call(id_: str, **facts: Any) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"id": id_, "started_at": now, "account": "acme", "model": "m", "status": "succeeded", **facts}


@contextmanager
def refusing_over(longest: timedelta, service: RunningService) -> Iterator[str]:
    """The address of a service that refuses a time over `longest`, as one does that has too many changes in it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked = json.loads(body)["variables"]
            if (
                "since" in asked
                and datetime.fromisoformat(asked["until"]) - datetime.fromisoformat(asked["since"]) > longest
            ):
                answer = json.dumps({"errors": [{"message": "no", "extensions": {"code": "BAD_USER_INPUT"}}]}).encode()
            else:
                key = self.headers["Authorization"].removeprefix("Bearer ")
                answer = service.request("POST", self.path, key=key, body=body)[2]
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing is said of each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def consume(url: str, key: str, copy: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, EXAMPLES / "feed_consumer.py", url, copy, *options],
        env={**os.environ, "CALLEDGER_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_feed_consumer_keeps_a_copy_that_compares(service: RunningService, tmp_path: Path) -> None:
    """Calls, a completion and a correction come once each, run after run, and the checksums are the ledger's; an hour
    with too many changes for one question is compared in parts.
    """
    copy, moment = tmp_path / "copy.sqlite", datetime.now(UTC).isoformat(timespec="milliseconds")
    first = call("a", started_at=moment)
    service.report(service.admin_key, first, call("b", amount="2", currency="USD"), call("theirs", account="other"))
    key = service.new_key("partner", "acme")
    done = until_changes(service, key, copy, 2)
    service.report(service.admin_key, {**first, "output_tokens": 5})
    service.report(service.admin_key, call("b-back", amount="-1", currency="USD", corrects="b"))
    done = until_changes(service, key, copy, 4)

    compared = consume(service.url, key, copy, "--compare")
    with refusing_over(timedelta(minutes=10), service) as url:
        in_parts = consume(url, key, copy, "--compare")

    assert (done.returncode, compared.returncode, compared.stdout) == (0, 0, "0 changes\n"), compared.stdout
    assert (in_parts.returncode, in_parts.stdout) == (0, "0 changes\n"), in_parts.stdout + in_parts.stderr
    with sqlite3.connect(copy) as database:
        kinds = [row[0] for row in database.execute("SELECT kind FROM change ORDER BY number")]
        calls = database.execute("SELECT count(*), count(corrects) FROM call").fetchone()
        database.execute("DELETE FROM change WHERE number = 2")
    assert sorted(kinds[:2]) == ["CALL", "CALL"]
    assert kinds[2:] == ["COMPLETION", "CORRECTION"]
    assert calls == (3, 1)
    assert consume(service.url, key, copy, "--compare").returncode == 1  # one is missing now


def test_the_cost_report_compares_two_times(service: RunningService) -> None:
    """Exact sums by model, of the last days and of those before, and the error's code where the key may not ask."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    spent = {"currency": "USD", "account": "reporting"}
    calls = [
        call("r1", started_at=(today - timedelta(days=1)).isoformat(), model="large", amount="0.1", **spent),
        call("r2", started_at=(today - timedelta(days=2)).isoformat(), model="large", amount="0.2", **spent),
        call("r3", started_at=(today - timedelta(days=3)).isoformat(), model="large", amount="5", **spent),
        call("r4", started_at=(today - timedelta(days=1)).isoformat(), model="small", amount="0.01", **spent),
        call("r5", started_at=today.isoformat(), model="large", amount="7", **spent),
    ]
    service.report(service.admin_key, *calls)
    done = cost_report(service, service.new_key("viewer", "reporting"))
    refused = cost_report(service, service.new_key("auditor"))

    assert (done.returncode, done.stdout) == (0, "large\t0.3\t5\tUSD\nsmall\t0.01\t0\tUSD\n"), done.stderr
    assert refused.returncode == 1
    assert refused.stderr.startswith("FORBIDDEN: ")


def cost_report(service: RunningService, key: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, EXAMPLES / "cost_report.py", service.url, "--days", "2"],
        env={**os.environ, "CALLEDGER_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def until_changes(service: RunningService, key: str, copy: Path, count: int) -> "subprocess.CompletedProcess[str]":
    """Run the consumer until its copy has so many changes."""
    for _ in range(60):
        done = consume(service.url, key, copy)
        assert done.returncode == 0, done.stderr
        with sqlite3.connect(copy) as database:
            if database.execute("SELECT count(*) FROM change").fetchone()[0] >= count:
                return done
    raise AssertionError("the changes did not come")


PYTHON = (sys.executable, EXAMPLES / "webhook_receiver.py")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def running(*command: Any, secret: str) -> Iterator["subprocess.Popen[str]"]:
    """A program that listens, from its first line on, during the block."""
    environment = {**os.environ, "CALLEDGER_WEBHOOK_SECRET": secret}
    program = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("http://127.0.0.1:")
        yield program
    finally:
        program.kill()
        program.wait()
        if program.stdout is not None:
            program.stdout.close()


def made_webhook(service: RunningService, port: int, *events: str) -> tuple[str, str]:
    asked = {"url": f"http://127.0.0.1:{port}/", "events": events, "fields": ["sourceId"]}
    made = service.ask(service.admin_key, CREATE, **{"in": asked})["data"]["createWebhook"]
    return made["webhook"]["id"], made["secret"]


def forged(port: int, secret: str) -> list[int]:
    """What a receiver answers to an event of nobody, to one of long ago, and to one that was changed on its way."""
    moment = datetime.now(UTC)
    key, body = SigningSecret(base64.b64decode(secret.removeprefix("whsec_"))), b'{"type":"t","timestamp":"","data":{}}'
    good = signed_headers("msg_1", moment, body, [key])
    late = signed_headers("msg_1", moment - timedelta(minutes=6), body, [key])
    answers = []
    for headers, sent in (({}, body), (late, body), (good, body.replace(b"t", b"u"))):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", data=sent, headers=dict(headers))
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=30)
        with raised.value as error:
            answers.append(error.code)
    return answers


def events(table: Path, count: int) -> list[tuple[str, str, str]]:
    """The table of the Python receiver, once it has so many rows."""
    while True:
        with closing(sqlite3.connect(table)) as database:
            found = database.execute("SELECT id, type, data FROM event ORDER BY rowid").fetchall()
        if len(found) >= count:
            return found
        time.sleep(0.2)


def test_the_python_receiver_stores_each_event_once(service: RunningService, tmp_path: Path) -> None:
    """Signed events are in its table, also while a secret is replaced; what nobody signed is refused."""
    port, table = free_port(), tmp_path / "events.sqlite"
    hook, secret = made_webhook(service, port, "CALLS_RECORDED")
    with running(*PYTHON, table, "--port", str(port), secret=secret):
        service.report(service.admin_key, call("python"))
        [(_, kind, data)] = events(table, 1)
        assert kind == "calls.recorded"
        assert [one["call"] for one in json.loads(data)["changes"]] == [{"sourceId": "python"}]
        assert forged(port, secret) == [401, 401, 401]
        replay = "mutation($id: ID!) { replayWebhookDelivery(id: $id) { delivery { id } } }"
        rotated = {"in": {"id": hook}}
        service.ask(service.admin_key, ROTATE, **rotated)
        service.ask(service.admin_key, replay, id=events(table, 1)[0][0])
        service.ask(service.admin_key, TEST, id=hook)
        found = events(table, 2)
    assert [kind for _, kind, _ in found] == ["calls.recorded", "webhook.test"]


def test_the_typescript_receiver_prints_each_event_once(service: RunningService, tmp_path: Path) -> None:
    """Its types are sound, signed events are printed, what nobody signed is refused."""
    packages, folder = installed(), tmp_path / "receiver"
    shutil.copytree(EXAMPLES / "webhook-receiver", folder)
    (folder / "node_modules").symlink_to(packages)
    built = subprocess.run(
        [packages / ".bin" / "tsc", "-p", "."], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stdout
    port = free_port()
    hook, secret = made_webhook(service, port, "EXPORT_READY")
    with running("node", folder / "receiver.js", str(port), secret=f"whsec_b3RoZXI= {secret}") as program:
        service.ask(service.admin_key, TEST, id=hook)
        assert program.stdout is not None
        event = json.loads(program.stdout.readline())
        assert forged(port, secret) == [401, 401, 401]
    assert (event["type"], event["id"][:4], event["data"]) == ("webhook.test", "msg_", {})


@pytest.mark.parametrize("name", ["webhook_receiver.py", "webhook-receiver/receiver.ts"])
def test_the_page_shows_the_signature_as_the_programs_check_it(name: str) -> None:
    """docs/partners.md has the function `verified` of both, word by word."""
    page, program = (EXAMPLES.parent / "docs" / "partners.md").read_text(), (EXAMPLES / name).read_text()
    language = {"py": "python", "ts": "ts"}[name.rpartition(".")[2]]
    blocks = re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)
    shown = [block for block in blocks if "verified" in block]
    assert len(shown) == 1
    assert shown[0] in program
