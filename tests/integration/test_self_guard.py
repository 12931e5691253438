"""The engine guards ourselves: whatever goes wrong, wherever a secret was put, no error and no log repeats it."""

import io
import json
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import structlog
from running import RunningService

from service.log_redaction import CHARS_MAX, WITHHELD, guarded, shared_redactor
from service.logs import configure_logs, get_logger

KEY = "sk-proj-Zq7canary0kP3mT9xW2vB5nJ8rL4hD6sF1gA"
MAIL = "canary.person@example.org"
CARD = "4111 1111 1111 1111"
SECRETS = (KEY, MAIL, CARD)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("guard") / "data", environment={"CALLEDGER_LOG_LEVEL": "debug"})
    yield service
    service.stop()


def clean(text: str | bytes) -> None:
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    for secret in SECRETS:
        assert secret not in text, text[:2000]
        assert quote(secret) not in text, text[:2000]


def graphql_mistakes(secret: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to make GraphQL speak of what was sent: query and variables."""
    text = json.dumps(secret)
    name = "x" + "".join(char if char.isalnum() else "_" for char in secret)
    yield secret, {}
    yield f"{{ {text} }}", {}
    yield f"{{ calls(filter: {{status: {{eq: {text}}}}}) {{ totalCount }} }}", {}
    yield f"{{ calls(first: {text}) {{ totalCount }} }}", {}
    yield f"{{ calls(after: {text}) {{ totalCount }} }}", {}
    yield f"{{ calls(filter: {{startedAt: {{gte: {text}}}}}) {{ totalCount }} }}", {}
    yield f"{{ calls(filter: {{amount: {{gt: {text}}}}}) {{ totalCount }} }}", {}
    yield f"{{ costs(timeZone: {text}) {{ truncated }} }}", {}
    yield f"{{ costs(groupByTags: [{text}]) {{ truncated }} }}", {}
    yield f"{{ policy(digest: {text}) {{ name }} }}", {}
    yield f"{{ calls(filter: {{user: {{pseudonym: [{text}]}}}}) {{ totalCount }} }}", {}
    yield f"{{ errors(filter: {{fingerprint: {{eq: {text}}}}}) {{ totalCount }} }}", {}
    yield f"{{ calls(filter: {{id: {{eq: {text}}}}}) {{ totalCount }} }}", {}
    yield f'mutation {{ revealError(input: {{errorId: {text}, reason: ""}}) {{ ledgerIndex }} }}', {}
    yield f'mutation {{ revealError(input: {{errorId: "x", reason: {text}, more: 1}}) {{ ledgerIndex }} }}', {}
    whole = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
    yield whole, {"f": secret}
    yield whole, {"f": {secret: 1}}
    yield whole, {"f": {"model": secret}}
    yield whole, {"f": {"model": {"eq": [secret]}}}
    yield whole, {"f": {"inputTokens": {"eq": secret}}}
    yield whole, {"f": {"status": {"in": [secret]}}}
    yield whole, {"f": {"user": {"id": secret, "isNull": True}}}
    yield "query($n: Int) { calls(first: $n) { totalCount } }", {"n": secret}
    yield "query($z: TimeZone) { costs(timeZone: $z) { truncated } }", {"z": secret}
    yield f"{{ {name} }}", {}
    yield f"{{ ...{name} }}", {}
    yield f"query(${name}: Int!) {{ viewer {{ role }} }}", {}
    yield f"{{ calls({name}: 1) {{ totalCount }} }}", {}


@pytest.mark.parametrize("secret", SECRETS)
def test_no_graphql_mistake_repeats_a_secret(service: RunningService, secret: str) -> None:
    """Syntax, unknown names, wrong values in the text and in variables: refused in words that hold nothing secret."""
    for query, variables in graphql_mistakes(secret):
        answer = service.ask(service.admin_key, query, **variables)
        errors = answer.get("errors")
        clean(json.dumps([error["message"] for error in errors or []], ensure_ascii=False))
        clean(json.dumps(answer, ensure_ascii=False))
    clean(service.log.read_bytes())


def requests(service: RunningService, secret: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Requests that fail, or succeed, with the secret in every place that a request has."""
    path = quote(secret)
    yield "GET", f"/{path}", {}
    yield "GET", f"/healthz?key={path}", {}
    yield "GET", f"/graphql?query={path}&api_key={path}", {"key": service.admin_key}
    yield "GET", f"/graphql?query={quote('{ viewer { role } }')}&token={path}", {"key": service.admin_key}
    yield "POST", f"/v1/calls?token={path}", {"body": b"[]", "key": secret}
    yield "POST", f"/v1/calls/{path}", {"body": b"[]"}
    yield "POST", "/v1/calls", {"body": b"[]", "headers": {"Authorization": f"Basic {secret}"}}
    yield "POST", "/graphql", {"body": secret.encode(), "key": service.admin_key}
    yield "POST", "/graphql", {"body": json.dumps(secret).encode(), "key": service.admin_key}
    yield "POST", "/graphql", {"body": json.dumps({"query": {secret: secret}}).encode(), "key": service.admin_key}
    body = {"query": "{ viewer { role } }", "operationName": secret}
    yield "POST", "/graphql", {"body": json.dumps(body).encode(), "key": service.admin_key}
    body = {"query": "{ viewer { role } }", "variables": secret, "extensions": {secret: 1}}
    yield "POST", "/graphql", {"body": json.dumps(body).encode(), "key": service.admin_key}
    for header in ("Content-Type", "Content-Encoding", "Accept", "User-Agent", "Referer", "X-Forwarded-For", "Cookie"):
        query = json.dumps({"query": "{ viewer { role } }"}).encode()
        yield "POST", "/graphql", {"body": query, "key": service.admin_key, "headers": {header: secret}}
        yield "POST", "/v1/calls", {"body": b"{", "key": service.admin_key, "headers": {header: secret}}
    yield "".join(char for char in secret if char.isalnum()), "/graphql", {}


@pytest.mark.parametrize("secret", SECRETS)
def test_no_request_leaves_a_secret_behind(service: RunningService, secret: str) -> None:
    """Paths, query strings, headers, methods and bodies: neither the answer nor the log has it."""
    for method, path, options in requests(service, secret):
        _, _, body = service.request(method, path, **options)
        clean(body)
    log = service.log.read_text()
    clean(log)
    assert '"route"' in log


def raw(service: RunningService, data: bytes) -> bytes:
    """What the service answers to bytes that need not be HTTP."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("secret", SECRETS)
def test_what_is_no_http_is_not_repeated_either(service: RunningService, secret: str) -> None:
    """The HTTP library has errors of its own, which quote."""
    text = secret.encode()
    for data in (
        text + b"\r\n\r\n",
        b"GET /" + text.replace(b" ", b"") + b" HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + text + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + text + b": \x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: " + text + b"\r\n\r\n",
        b"POST /v1/calls HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + text + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + text * 1000 + b"\r\n\r\n",
    ):
        clean(raw(service, data))
    clean(service.log.read_bytes())


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/litellm"])
@pytest.mark.parametrize("secret", SECRETS)
def test_no_rejected_row_is_quoted(service: RunningService, secret: str, path: str) -> None:
    """A row that is wrong in any one field is refused for a reason that does not hold what was in it."""
    good: dict[str, Any] = {
        "id": "r",
        "started_at": "2026-01-01T00:00:00Z",
        "model": "m",
        "status": "failed",
        "error": {"type": "E"},
        "startTime": 1.0,
        "endTime": 2.0,
    }
    names = [*good, "account", "currency", "streamed", "input_tokens", "amount", "latency_ms", "tags", "amount_parts"]
    names += ["prompt_tokens", "response_cost", "error_information", "metadata", "request_tags", "user", "corrects"]
    rows: list[Any] = [secret, [secret], {secret: secret}]
    for name in names:
        rows += [good | {name: value} for value in (secret, [secret], {secret: secret}, {"name": {"x": secret}})]
    body = json.dumps(rows).encode()
    status, _, answer = service.request("POST", path, key=service.admin_key, body=body)
    assert status == 200
    assert json.loads(answer)["rejected"] > 0
    clean(answer)
    for broken in (body[:-1], secret.encode(), b'{"id": "' + secret.encode() + b'"', b"\x1f\x8b" + secret.encode()):
        clean(service.request("POST", path, key=service.admin_key, body=broken)[2])
    clean(service.log.read_bytes())


def test_nothing_of_it_is_in_the_metrics(service: RunningService) -> None:
    """No label of a metric is a caller's text."""
    clean(service.metrics())


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    structlog.reset_defaults()
    configure_logs(level="info", form="json")
    yield stream
    structlog.reset_defaults()
    logging.getLogger().handlers = []


def test_a_careless_log_line_is_guarded(lines: io.StringIO) -> None:
    """A value under a name that nobody vouches for passes the redactor, whatever it is made of."""
    get_logger().warning("x", reason=f"at https://u:{KEY}@host/", found=[KEY, {"mail": MAIL}], row=(1, CARD), count=3)

    logged = json.loads(lines.getvalue())
    clean(lines.getvalue())
    assert logged["count"] == 3
    assert "[redacted:" in logged["reason"]


def test_the_guard_is_bounded_and_fails_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 500 characters, on one line; a failing engine lets nothing through."""
    assert guarded("") == ""
    assert guarded("the role `viewer` may not see `Call.apiKey`") == "the role `viewer` may not see `Call.apiKey`"
    assert len(guarded("a b " * 10_000)) <= CHARS_MAX
    assert "\n" not in guarded("a\nb")
    clean(guarded("x" * (CHARS_MAX - 10) + " " + KEY))

    def broken(*_: object, **__: object) -> object:
        raise MemoryError

    monkeypatch.setattr(type(shared_redactor()), "clean", broken)
    assert guarded("anything at all") == WITHHELD


def test_only_the_log_and_the_guard_speak_for_us() -> None:
    """Nothing in the service prints or logs but through `service.logs`; what commands print is the operator's own."""
    root = Path(__file__).parents[2] / "service"
    for path in root.rglob("*.py"):
        if root / "commands" in path.parents or path.name in ("logs.py", "cli.py", "__main__.py"):
            continue
        text = path.read_text()
        assert "import logging" not in text, path
        assert "print(" not in text.replace("fingerprint(", ""), path
