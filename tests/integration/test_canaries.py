"""Content and secrets leave no trace: not in the database, the WAL, the logs, or any answer."""

import base64
import gzip
import json
import secrets
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from running import RunningService

STARTED_AT = datetime.now(UTC).isoformat(timespec="milliseconds")
NEIGHBOUR = {"id": "the-neighbour-is-there", "started_at": STARTED_AT, "model": "m", "status": "succeeded"}

WORDS = ("harbour", "walnut", "meadow", "lantern", "thistle", "copper", "orchard", "pebble", "saddle", "velvet")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("canaries") / "data")
    running.report(running.admin_key, NEIGHBOUR)
    yield running
    running.stop()


@pytest.fixture
def canary() -> str:
    """Text that occurs nowhere else, long enough to be an echo."""
    return f"marzipan{secrets.token_hex(10)}"


def traces(service: RunningService, canary: str) -> list[str]:
    """The forms in which the canary lies anywhere on disk."""
    everything = service.everything_on_disk()
    forms = {
        "plain": canary.encode(),
        "hex": canary.encode().hex().encode(),
        "utf-16": canary.encode("utf-16-le"),
        "reversed": canary[::-1].encode(),
        **{f"base64 at {shift}": base64.b64encode(b"\0" * shift + canary.encode())[4:-4] for shift in range(3)},
    }
    assert b"the-neighbour-is-there" in everything, "the calls themselves must be on disk"
    return [name for name, form in forms.items() if form in everything]


def native(canary: str, number: int = 0) -> dict:
    text = f"please write about {canary} in two sentences"
    return {
        "id": f"the-neighbour-is-there-{canary[-8:]}-{number}",
        "started_at": STARTED_AT,
        "model": "gpt-4o",
        "status": "failed",
        "messages": [{"role": "user", "content": text}],
        "prompt": text,
        "response": {"choices": [{"message": {"content": text}}]},
        "metadata": {"note": text},
        canary: text,
        "error": {
            "type": "BadRequestError",
            "code": "400",
            "message": f"Invalid request: 'messages[0].content' was: {text}",
            "parameters": {
                "temperature": 0.5,
                "messages": [{"role": "user", "content": text}],
                "tools": [{"type": "function", "function": {"name": "f", "arguments": json.dumps({"q": text})}}],
                "stop": [text],
                canary: text,
                "max_tokens": text,
            },
            "traceback": text,
        },
    }


def litellm(canary: str, number: int = 0) -> dict:
    text = f"please write about {canary} in two sentences"
    return {
        "id": f"the-neighbour-is-there-{canary[-8:]}-{number}",
        "litellm_call_id": f"the-neighbour-is-there-{canary[-8:]}-{number}",
        "status": "failure",
        "model": "gpt-4o",
        "startTime": 1795352519.631752,
        "endTime": 1795352519.832438,
        "messages": [{"role": "user", "content": text}],
        "response": text,
        "error_str": f"litellm.BadRequestError: {text}",
        "error_information": {
            "error_class": "BadRequestError",
            "error_code": "400",
            "error_message": f"litellm.BadRequestError: OpenAIException - you said: {json.dumps(text)}",
            "traceback": text,
        },
        "model_parameters": {"temperature": 0.1, "tools": [{"function": {"description": text}}], "stop": text},
        "guardrail_information": [{"guardrail_request": text, "match_details": text}],
        "metadata": {
            "requester_metadata": {"note": text},
            "prompt_management_metadata": {"prompt_variables": {"a": text}},
            "mcp_tool_call_metadata": {"arguments": {"a": text}, "result": text},
        },
        "requester_ip_address": "203.0.113.7",
        f"x_{canary}": text,
    }


def test_content_of_native_reports_leaves_no_trace(service: RunningService, canary: str) -> None:
    """Prompts, answers, parameters, unknown fields and their names: none is on disk, and none in the answer."""
    answer = service.report(service.admin_key, native(canary))

    assert answer["accepted"] == 1
    assert canary not in json.dumps(answer)
    assert traces(service, canary) == []


def test_content_of_litellm_reports_leaves_no_trace(service: RunningService, canary: str) -> None:
    """Every place in which LiteLLM's payload carries content is left out."""
    answer = service.report(service.admin_key, litellm(canary), path="/v1/litellm")

    assert answer["accepted"] == 1
    assert canary not in json.dumps(answer)
    assert traces(service, canary) == []


def test_rejected_and_conflicting_rows_leave_no_trace(service: RunningService, canary: str) -> None:
    """A row that is not stored is not remembered either, and its reason does not quote content."""
    key = service.admin_key
    rows = [
        native(canary, 1) | {"status": "neither"},
        native(canary, 2) | {"started_at": "yesterday"},
        native(canary, 3) | {"messages": canary, "account": 5},
        native(canary, 4) | {"amount": "2", "currency": "USD"},
        native(canary, 4) | {"amount": "3", "currency": "USD"},
    ]
    answer = service.report(key, *rows)

    assert (answer["accepted"], answer["rejected"], answer["conflicts"]) == (1, 3, 1)
    assert canary not in json.dumps(answer)
    assert traces(service, canary) == []


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/litellm", "/v1/nothing", "/graphql", "/"])
@pytest.mark.parametrize("form", ["cut off", "not json", "gzip of garbage", "huge key", "wrong type"])
def test_unreadable_bodies_leave_no_trace(service: RunningService, canary: str, path: str, form: str) -> None:
    """A body that cannot be read is neither logged nor quoted back."""
    whole = json.dumps([native(canary)]).encode()
    body, headers = {
        "cut off": (whole[: len(whole) // 2], {}),
        "not json": (b"prompt: " + canary.encode(), {}),
        "gzip of garbage": (gzip.compress(canary.encode()), {"Content-Encoding": "gzip"}),
        "huge key": (json.dumps({canary * 2000: 1}).encode(), {}),
        "wrong type": (json.dumps(canary).encode(), {}),
    }[form]
    status, _, answer = service.request("POST", path, key=service.admin_key, body=body, headers=headers)

    assert status < 500
    assert canary.encode() not in answer
    assert b"Traceback" not in answer
    assert traces(service, canary) == []


def test_nothing_of_a_request_line_or_header_is_logged(service: RunningService, canary: str) -> None:
    """Paths, query strings, headers and wrong keys of clients are theirs to know."""
    quoted = urllib.parse.quote(canary)
    service.request("GET", f"/{quoted}?{quoted}={quoted}", key=canary, headers={"X-Note": canary, "User-Agent": canary})
    service.request("GET", f"/graphql?query={quoted}", key=service.admin_key, headers={"Referer": canary})
    service.request("PURGE", f"/v1/calls?{quoted}", key=f"cl_{canary}")

    assert traces(service, canary) == []


def test_graphql_mistakes_and_values_are_not_logged(service: RunningService, canary: str) -> None:
    """Query texts, variables and plain user ids do not reach the log or the disk."""
    key = service.admin_key
    service.ask(key, "{ calls(filter: {model: {eq: %s}}) { totalCount } }" % json.dumps(canary))
    service.ask(key, "query ($user: String!) { calls(filter: {user: {id: $user}}) { totalCount } }", user=canary)
    service.ask(key, "{ %s }" % canary)
    service.ask(key, "{ calls(after: %s) { totalCount } }" % json.dumps(canary))
    service.ask(key, "query ($first: Int) { calls(first: $first) { totalCount } }", first=canary)

    assert traces(service, canary) == []


def test_a_plain_user_id_is_stored_as_a_pseudonym_only(service: RunningService, canary: str) -> None:
    """The user comes back as a token that says nothing, and can be filtered by the plain id that it stands for."""
    key = service.new_key("ingest", "users")
    calls = [
        {
            "id": f"u{n}-{secrets.token_hex(4)}",
            "started_at": STARTED_AT,
            "model": "m",
            "status": "succeeded",
            "user": canary,
        }
        for n in range(2)
    ]
    assert service.report(key, *calls)["accepted"] == 2
    ask = "query ($user: String!) { calls(filter: {user: {id: $user}}) { nodes { user } } }"
    users = {node["user"] for node in service.ask(service.admin_key, ask, user=canary)["data"]["calls"]["nodes"]}

    assert len(users) == 1 and users.pop().startswith("usr_")
    assert service.ask(service.admin_key, ask, user=f"{canary}x")["data"]["calls"]["nodes"] == []
    assert traces(service, canary) == []


def test_the_message_of_an_error_is_nowhere_in_clear(service: RunningService) -> None:
    """Even what every reader may see of a message lies sealed: the disk does not have it, the answer does."""
    # Plain words, so that no rule takes them for anything.
    canary = f"marzipan from {secrets.choice(WORDS)} by {secrets.choice(WORDS)} and {secrets.choice(WORDS)}"
    text = f"the upstream said {canary} and closed the connection"
    call = {
        "id": f"c-{secrets.token_hex(4)}",
        "started_at": STARTED_AT,
        "model": "m",
        "status": "failed",
        "error": {"type": "UpstreamError", "message": text},
    }
    service.report(
        service.new_key("ingest", "sealed"),
        call,
        {**call, "id": "the-neighbour-is-there", "status": "succeeded", "error": None},
    )
    viewer = service.new_key("viewer", "sealed")
    answer = service.ask(viewer, "{ errors { nodes { message disclosure } } }")

    assert answer["data"]["errors"]["nodes"] == [{"message": text, "disclosure": "CLEAR"}]
    assert traces(service, canary) == []
