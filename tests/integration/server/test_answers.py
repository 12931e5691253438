"""What every answer has, on every path: the request's id, headers for pages of other origins, and compression."""

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from running import RunningService, bare_command

from service.content_coding import CODINGS, COMPRESSED_MIN_BYTES, chosen
from service.settings import load_settings

try:
    from compression import zstd
except ImportError:
    from backports import zstd

ORIGIN = "https://app.example.com"
OTHER = "https://evil.example"
PLAIN = re.compile(r"[0-9a-f]{24}")
CALLS = "{ calls(first: 200) { nodes { id model account startedAt } } }"
# Every public path with what it is asked by, and with what it answers to somebody without a key.
PATHS = {
    "/": ("GET", 200), "/healthz": ("GET", 200), "/readyz": ("GET", 200), "/metrics": ("GET", 200),
    "/v1/checkpoint": ("GET", 200), "/schema.graphql": ("GET", 200), "/graphql": ("POST", 401),
    "/v1/calls": ("POST", 401), "/v1/litellm": ("POST", 401), "/v1/exports/exp_x": ("GET", 401),
    "/v1/attestations/att_x": ("GET", 401),
    "/nowhere": ("GET", 404),
}  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    environment = {"CALLEDGER_CORS_ORIGINS": f"{ORIGIN}, http://localhost:5173"}
    service = RunningService(tmp_path_factory.mktemp("answers") / "data", environment=environment)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    call = {"model": "gpt-4o", "status": "succeeded", "account": "acme", "started_at": moment}
    service.report(service.admin_key, *({**call, "id": f"c{number}"} for number in range(700)))
    yield service
    service.stop()


def ask(service: RunningService, path: str, *, key: str | None = None, **headers: str) -> tuple[int, Any, bytes]:
    """One request of a path of `PATHS`."""
    method = PATHS[path][0]
    body = json.dumps({"query": CALLS}).encode() if method == "POST" else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return service.request(method, path, key=key, body=body, headers=named)


def lines(service: RunningService, request_id: str) -> list[dict[str, Any]]:
    """The lines of a request, once it has been logged."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        events = [json.loads(line) for line in service.log.read_text().splitlines()]
        found = [event for event in events if event.get("request_id") == request_id]
        if any(event["event"] == "request" for event in found):
            return found
        time.sleep(0.01)
    raise AssertionError("the request is in no line of the log")


# request ids


@pytest.mark.parametrize("path", PATHS)
def test_a_request_has_its_id_everywhere(service: RunningService, path: str) -> None:
    """The client's id is in the answer, in its errors and in its line of the log; one of ours where it sent none."""
    given = f"checkout.{path.strip('/').replace('/', '-')}_1"
    status, headers, body = ask(service, path, X_Request_Id=given)
    assert (status, headers["X-Request-Id"]) == (PATHS[path][1], given)
    assert [line["status"] for line in lines(service, given) if line["event"] == "request"] == [status]
    answered = json.loads(body) if ("json" in headers["Content-Type"] and status != 200) or path == "/graphql" else {}
    if path == "/graphql":
        assert answered["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED", "requestId": given}
    elif status >= 400:
        assert answered["error"]["request_id"] == given
    made = ask(service, path)[1]["X-Request-Id"]
    assert PLAIN.fullmatch(made)
    assert lines(service, made)


@pytest.mark.parametrize(
    "given",
    ["", "two words", "a" * 129, "tab\there", "semi;colon", "jane@example.com", "slash/es", "sk-proj-" + "a1B2c3D4" * 6,
     "ghp_" + "A1b2C3d4E5" * 3 + "f6G7h8", "🙂"],
)  # fmt: skip
def test_what_may_not_be_repeated_is_not(service: RunningService, given: str) -> None:
    """An id that is too long, no plain text, an address or a credential is replaced, and in no answer and no log."""
    headers = {"X-Request-Id": given.encode().decode("latin-1")}
    _, answered, body = service.request("GET", "/nowhere", headers=headers)
    made = answered["X-Request-Id"]
    assert PLAIN.fullmatch(made)
    assert json.loads(body)["error"]["request_id"] == made
    assert lines(service, made)
    assert not given or f'"{given}"' not in service.log.read_text()


@pytest.mark.parametrize(
    "given", ["4bf92f3577b34da6a3ce929d0e0e4736", "550e8400-e29b-41d4-a716-446655440000", "a" * 128, "7", "A.b_c-9"]
)
def test_usual_ids_are_kept(service: RunningService, given: str) -> None:
    """Trace ids, UUIDs and short names are answered as they came."""
    assert service.request("GET", "/healthz", headers={"X-Request-Id": given})[1]["X-Request-Id"] == given


def test_every_error_of_an_operation_has_the_id(service: RunningService) -> None:
    """Refused before or while it runs, on the compiled path and on the ordinary one: each error names the request."""
    key = service.admin_key
    wrong = ["{ nothing }", "{ calls(first: 0) { nodes { id } } }", "{", '{ call(id: "x") { id } node(id: "") { id } }']
    wrong.append('{ a: calls(after: "x") { nodes { id } } b: calls(after: "y") { nodes { id } } viewer { role } }')
    seen = 0
    for query in wrong * 2:
        body = json.dumps({"query": query}).encode()
        _, headers, answered = service.request("POST", "/graphql", key=key, body=body)
        for error in json.loads(answered).get("errors", []):
            assert error["extensions"]["requestId"] == headers["X-Request-Id"], query
            seen += 1
    assert seen >= 10


# other origins


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:5173"])
def test_a_named_origin_may_read_every_answer(service: RunningService, path: str, origin: str) -> None:
    """Errors too, with the headers that a frontend needs; credentials of the browser are never allowed."""
    _, headers, _ = ask(service, path, Origin=origin)
    assert headers["Access-Control-Allow-Origin"] == origin
    assert {"X-Request-Id", "ETag", "Retry-After", "RateLimit"} <= set(
        headers["Access-Control-Expose-Headers"].split(", ")
    )
    assert "Origin" in headers["Vary"].split(", ")
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "origin", [OTHER, "null", ORIGIN.upper(), ORIGIN + ":443", ORIGIN + "/", "http://app.example.com",
               ORIGIN + ".evil.example", "https://evil.example/" + ORIGIN, f"{ORIGIN}, {OTHER}", "*", ""],
)  # fmt: skip
def test_any_other_origin_may_not(service: RunningService, path: str, origin: str) -> None:
    """Whatever resembles an allowed origin is another one; and no cache gives its answer to an allowed page."""
    _, headers, _ = ask(service, path, Origin=origin)
    assert not [name for name in headers if name.lower().startswith("access-control-")]
    assert "Origin" in headers["Vary"].split(", ")


@pytest.mark.parametrize("path", [*PATHS, "/v1/traces"])
def test_a_preflight_is_answered_and_kept(service: RunningService, path: str) -> None:
    """On every path, without a key, for two hours."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    status, headers, body = service.request("OPTIONS", path, headers={"Origin": ORIGIN, **asked})
    assert (status, body) == (204, b"")
    assert headers["Access-Control-Allow-Origin"] == ORIGIN
    assert headers["Access-Control-Max-Age"] == "7200"
    assert {"GET", "POST"} <= set(headers["Access-Control-Allow-Methods"].split(", "))
    allowed = {name.lower() for name in headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type", "if-none-match", "x-request-id", "last-event-id", "range"} <= allowed
    status, headers, body = service.request("OPTIONS", path, headers={"Origin": OTHER, **asked})
    assert (status, json.loads(body)["error"]["code"]) == (403, "origin_not_allowed")
    assert "Access-Control-Allow-Origin" not in headers


def test_without_the_settings_there_is_none_of_it(tmp_path: Path) -> None:
    """No page of another origin reads anything, OPTIONS is a method like any other that is not allowed, and there is no
    page at `/graphql`.
    """
    service = RunningService(tmp_path / "data", environment={"CALLEDGER_GRAPHIQL": "false"})
    try:
        status, headers, _ = service.request("GET", "/graphql", headers={"Accept": "text/html,*/*"})
        assert (status, "html" in headers["Content-Type"]) == (401, False)
        assert service.request("GET", "/graphiql/page.js")[0] == 404
        asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        status, headers, _ = service.request("OPTIONS", "/graphql", headers=asked)
        assert status == 405
        assert not [name for name in headers if name.lower().startswith("access-control-") or name == "Vary"]
    finally:
        service.stop()


@pytest.mark.parametrize(
    "wrong", ["*", "https://*.example.com", "null", "app.example.com", "https://app.example.com/", "https://a.example/x",
              "https://app.example.com:443", "http://app.example.com:80", "HTTPS://app.example.com", "ftp://a.example",
              "https://App.example.com", "https://a.example:65536", "https://a.example:0", "https://a.example?x",
              "https://münchen.example", "https://-a.example", "https://", f"{ORIGIN} https://b.example/", "file://"],
)  # fmt: skip
def test_what_is_no_origin_is_refused_at_the_start(tmp_path: Path, wrong: str) -> None:
    """With the setting's name, what is wrong and what to write."""
    done = bare_command("serve", "--data", str(tmp_path / "data"), environment={"CALLEDGER_CORS_ORIGINS": wrong})
    assert done.returncode != 0
    assert "`CALLEDGER_CORS_ORIGINS` is wrong" in done.stderr
    assert "is no origin: write scheme, host and port" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_password_in_an_origin_is_not_repeated(tmp_path: Path) -> None:
    """An address with a user and a password is refused without them."""
    wrong = "https://jane:hunter2secret@app.example.com"
    done = bare_command("serve", "--data", str(tmp_path / "data"), environment={"CALLEDGER_CORS_ORIGINS": wrong})
    assert "hunter2" not in done.stderr + done.stdout
    assert done.returncode != 0


@pytest.mark.parametrize(
    "right", ["https://app.example.com", "http://localhost:5173", "http://127.0.0.1:8790", "http://[::1]:3000",
              "https://xn--mnchen-3ya.example", "https://a_b.example:8443"],
)  # fmt: skip
def test_what_browsers_send_is_taken(right: str) -> None:
    """Names, addresses, ports, by commas or blanks."""
    assert load_settings(cors_origins=f" {right},\n{ORIGIN} ").origins == (right, ORIGIN)


# compression


def decoded(headers: Mapping[str, str], body: bytes) -> bytes:
    match headers.get("Content-Encoding"):
        case "gzip":
            return gzip.decompress(body)
        case "zstd":
            return zstd.decompress(body)
        case None:
            return body
    raise AssertionError(headers["Content-Encoding"])


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd"), ("gzip;q=1.0, zstd;q=0.5", "gzip"),
     ("*", "zstd"), ("*, zstd;q=0", "gzip"), ("GZIP", "gzip"), ("gzip;q=0", None), ("deflate, br", None),
     ("identity", None), ("gzip;q=0.5, identity", None), ("gzip;q=nonsense", None), ("gzip;q=2", None), ("", None),
     ("zstd;q=0.001", "zstd"), ("gzip;q=0.5;x=y", None), (",,;q=1,", None), (",".join(["x"] * 500) + ",gzip", None)],
)  # fmt: skip
def test_the_coding_is_the_one_that_the_client_likes_best(
    service: RunningService, accepted: str, coding: str | None
) -> None:
    """By `Accept-Encoding` with its q-values; the answer is the same once it is decoded."""
    plain = ask(service, "/graphql", key=service.admin_key)[2]
    status, headers, body = ask(service, "/graphql", key=service.admin_key, Accept_Encoding=accepted)
    assert (status, headers.get("Content-Encoding")) == (200, coding)
    assert int(headers["Content-Length"]) == len(body)
    data = json.loads(decoded(headers, body))["data"]
    assert data == json.loads(plain)["data"]
    assert len(plain) > 10 * COMPRESSED_MIN_BYTES
    if coding is not None:
        assert len(body) < len(plain) / 3
        assert "Accept-Encoding" in headers["Vary"]


def test_a_body_for_a_thread_is_compressed_too(service: RunningService) -> None:
    """A long answer of ingest, which is compressed beside the event loop; a short one stays as it is."""
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    calls = [{"id": f"c{number}", "model": "m", "status": "succeeded", "started_at": moment} for number in range(3000)]
    body, headers = json.dumps(calls).encode(), {"Accept-Encoding": "gzip", "Content-Type": "application/json"}
    status, answered, answer = service.request("POST", "/v1/calls", key=service.admin_key, body=body, headers=headers)
    assert (status, answered["Content-Encoding"]) == (200, "gzip")
    assert len(json.loads(gzip.decompress(answer))["results"]) == 3000
    assert "Content-Encoding" not in ask(service, "/healthz", Accept_Encoding="gzip")[1]
    assert "Content-Encoding" not in ask(service, "/graphql", Accept_Encoding="gzip")[1], "a short error"


def test_what_holds_a_secret_is_not_compressed(service: RunningService) -> None:
    """Keys and tokens are answered as they are, whatever else is in the answer, and proxies are told to leave it so."""
    token = 'createSessionToken(input: {accounts: ["acme"], role: VIEWER}) { token }'
    made = "createApiKey(input: {role: VIEWER}) { key apiKey { id } }"
    turned = "rotateApiKey(input: {id: %s}) { key apiKey { id } }"
    id_ = service.ask(service.admin_key, f"mutation {{ {made} }}")["data"]["createApiKey"]["apiKey"]["id"]
    for field in (token, made, turned % json.dumps(id_)):
        padded = f"mutation {{ {field} " + "".join(f"{'a' * 60}{number}: __typename " for number in range(25)) + "}"
        body = json.dumps({"query": padded}).encode()
        headers = {"Accept-Encoding": "gzip, zstd", "Content-Type": "application/json"}
        _, answered, answer = service.request("POST", "/graphql", key=service.admin_key, body=body, headers=headers)
        assert "errors" not in json.loads(answer), answer
        assert len(answer) > COMPRESSED_MIN_BYTES
        assert "Content-Encoding" not in answered
        assert answered["Cache-Control"] == "no-store, no-transform"


def test_codings_are_chosen_within_bounds() -> None:
    """A header as long as the server takes is worked through in no time."""
    began = time.process_time()
    for _ in range(100):
        chosen(",".join(["gzip;q=0.1"] * 800))
    assert time.process_time() - began < 1
    assert set(CODINGS) == {"gzip", "zstd"}


# the page


def test_the_page_is_for_people(service: RunningService) -> None:
    """A browser that opens `/graphql` gets it, under a policy without `unsafe`; a query by GET is answered as ever."""
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    status, headers, body = service.request("GET", "/graphql", headers=browser)
    assert (status, headers["Content-Type"], b"<form" in body) == (200, "text/html; charset=utf-8", True)
    policy = headers["Content-Security-Policy"]
    assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy.split("; "))
    assert "unsafe" not in policy
    assert service.request("GET", "/graphql?query=%7B__typename%7D", headers=browser)[0] == 401
    assert service.request("POST", "/graphql", body=b"{}", headers=browser)[0] == 401
    assert service.request("GET", "/graphql", headers={"Accept": "application/json"})[0] == 401


def test_only_the_page_s_files_are_served(service: RunningService) -> None:
    """By their names, compressed as they are stored, and again only when they change; nothing else of the folder."""
    status, headers, body = service.request("GET", "/graphiql/graphiql.min.js")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert b"GraphiQL" in gzip.decompress(body)
    known = {"If-None-Match": headers["ETag"], "Accept-Encoding": "gzip, zstd"}
    assert service.request("GET", "/graphiql/graphiql.min.js", headers=known)[0] == 304
    for name in ("vendored.json", "index.html", "graphiql.min.js.gz", "..%2fexplorer.py", "%2e%2e/__init__.py", ""):
        assert service.request("GET", f"/graphiql/{name}")[0] == 404, name


# the schema


def test_the_schema_can_be_fetched(service: RunningService) -> None:
    """By everybody, as the repository has it; once again only when it has changed."""
    status, headers, body = service.request("GET", "/schema.graphql")
    assert (status, headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert body == (Path(__file__).parents[3] / "schema.graphql").read_bytes()
    tag = headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        status, again, body = service.request("GET", "/schema.graphql", headers={"If-None-Match": known})
        assert (status, again["ETag"], body) == (304, tag, b""), known
        assert again["Cache-Control"] == headers["Cache-Control"]
    for other in ('"other"', tag.strip('"'), "", f'"{"x" * 4000}"'):
        assert service.request("GET", "/schema.graphql", headers={"If-None-Match": other})[0] == 200, other
    for coding in ("gzip", "zstd"):
        asked = {"Accept-Encoding": coding}
        _, coded, compressed = service.request("GET", "/schema.graphql", headers=asked)
        assert coded["ETag"] != tag, "other bytes have another tag"
        assert decoded(coded, compressed) == service.request("GET", "/schema.graphql")[2]
        asked["If-None-Match"] = coded["ETag"]
        assert service.request("GET", "/schema.graphql", headers=asked)[0] == 304
        asked["If-None-Match"] = tag
        assert service.request("GET", "/schema.graphql", headers=asked)[0] == 200
    status, head, body = service.request("HEAD", "/schema.graphql")
    assert (status, head["ETag"], body) == (200, tag, b"")


def test_a_client_that_hangs_up_while_it_is_compressed_for_fails_nothing(service: RunningService) -> None:
    """The connection is gone when the answer is ready: the next request is answered, and nothing is logged as ours."""
    host, port = service.url.removeprefix("http://").split(":")
    body = json.dumps({"query": CALLS}).encode()
    head = (
        f"POST /graphql HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {service.admin_key}\r\n"
        f"Content-Type: application/json\r\nAccept-Encoding: gzip\r\nContent-Length: {len(body)}\r\n"
        "X-Request-Id: hung-up\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body)
    assert "data" in service.ask(service.admin_key, "{ viewer { role } }")
    assert [line["event"] for line in lines(service, "hung-up")] == ["request"]
