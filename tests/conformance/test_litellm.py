"""The real LiteLLM reports to a running service, and what it billed is what can be read back."""

import json
import secrets
import subprocess
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path

import pytest
from environments import environment
from running import RunningService

ROOT = Path(__file__).parents[2]
GATEWAY = Path(__file__).with_name("litellm_gateway.py")
REQUIREMENT = "litellm==1.106.2"

CALLS = """
query ($first: Int) {
  calls(first: $first) {
    totalCount
    nodes {
      sourceId source model provider status streamed inputTokens outputTokens
      amount { amount currency source } errorType user apiKey account
      error { type message disclosure parameters { name value action } }
    }
  }
}
"""


@pytest.fixture(scope="module")
def litellm_python() -> Path:
    """LiteLLM in an environment of its own: its pins are not ours."""
    return environment("litellm", REQUIREMENT) / "bin" / "python"


@pytest.fixture(scope="module")
def reported(
    litellm_python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningService, str, list]]:
    """A service that seven calls of LiteLLM were reported to, the canary in them, and LiteLLM's own account of them."""
    service = RunningService(tmp_path_factory.mktemp("litellm") / "data")
    canary = "kanarie" + secrets.token_hex(12)
    try:
        done = subprocess.run(
            [litellm_python, GATEWAY, f"{service.url}/v1/litellm", service.new_key("ingest"), canary],
            check=False,
            env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin", "HOME": str(service.data.parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        yield service, canary, [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"litellm')]
    finally:
        service.stop()


def test_the_sample_of_the_docs_runs_as_it_stands(litellm_python: Path, tmp_path: Path) -> None:
    """The script that docs/reporting.md prints reports its one call; only the service's address is another here."""
    page = (ROOT / "docs" / "reporting.md").read_text()
    sample = page.split("## LiteLLM")[1].split("```python\n")[1].split("```")[0]
    service = RunningService(tmp_path / "data")
    try:
        done = subprocess.run(
            [litellm_python, "-c", sample.replace("http://127.0.0.1:8790", service.url)],
            check=False,
            env={
                "INGEST": service.new_key("ingest"),
                "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                "PATH": "/usr/bin:/bin",
                "HOME": str(tmp_path),
            },
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        calls = service.ask(service.admin_key, CALLS, first=5)["data"]["calls"]["nodes"]
        assert [(call["source"], call["model"], call["status"]) for call in calls] == [
            ("litellm", "gpt-4o", "SUCCEEDED")
        ]
    finally:
        service.stop()


def test_every_call_can_be_read_back_as_litellm_saw_it(reported) -> None:
    """Model, tokens, status and error type of successes, failures and a stream come back unchanged."""
    service, _, witnessed = reported
    answer = service.ask(service.admin_key, CALLS, first=50)
    calls = {node["sourceId"]: node for node in answer["data"]["calls"]["nodes"]}

    assert len(witnessed) == 7
    assert answer["data"]["calls"]["totalCount"] == 7
    for seen in witnessed:
        call = calls[seen["litellm_call_id"]]
        assert call["source"] == "litellm"
        assert call["model"] == seen["model"]
        assert call["provider"] == seen["custom_llm_provider"]
        assert call["status"] == {"success": "SUCCEEDED", "failure": "FAILED"}[seen["status"]]
        assert (call["inputTokens"], call["outputTokens"]) == (seen["prompt_tokens"], seen["completion_tokens"])
        assert (call["errorType"] or "") == (seen["error_class"] or "")
    assert [call["streamed"] for call in calls.values()].count(True) == 1


def test_cost_is_right_to_the_last_decimal(reported) -> None:
    """Each amount is LiteLLM's own figure without the noise of its binary float, and the total is their sum."""
    service, _, witnessed = reported
    calls = {
        node["sourceId"]: node for node in service.ask(service.admin_key, CALLS, first=50)["data"]["calls"]["nodes"]
    }
    exact = {
        seen["litellm_call_id"]: Context(15, ROUND_HALF_EVEN).create_decimal(seen["response_cost"])
        for seen in witnessed
    }

    for source_id, amount in exact.items():
        assert Decimal(calls[source_id]["amount"]["amount"]) == amount
        assert calls[source_id]["amount"]["currency"] == "USD"
        assert calls[source_id]["amount"]["source"] == "REPORTED"
    totals = service.ask(service.admin_key, "{ costs { totals { calls errors amount { amount } } } }")["data"]["costs"][
        "totals"
    ]
    assert sum(Decimal(total["amount"]["amount"]) for total in totals) == sum(exact.values())
    assert Decimal("0.000225") in exact.values()


def test_failures_bring_their_parameters_and_a_cleaned_message(reported) -> None:
    """What failed can be looked into: allowed parameters are there, and the echo of the prompt is not."""
    service, canary, _ = reported
    nodes = service.ask(service.admin_key, CALLS, first=50)["data"]["calls"]["nodes"]
    errors = [node["error"] for node in nodes if node["status"] == "FAILED"]

    assert {error["type"] for error in errors} >= {
        "RateLimitError",
        "ContextWindowExceededError",
        "InternalServerError",
    }
    assert all(error["message"] for error in errors)
    assert canary not in json.dumps(nodes)
    kept = {parameter["name"]: parameter["value"] for error in errors for parameter in error["parameters"]}
    assert kept["temperature"] == "0.25"
    assert kept["max_tokens"] == "64"


def test_neither_prompt_nor_answer_nor_key_is_anywhere_on_disk(reported) -> None:
    """Prompt, answer, the provider's key and the plain user carry one canary: no file has it, WAL and logs included."""
    service, canary, _ = reported
    everything = service.everything_on_disk()

    assert len(everything) > 1_000_000
    assert b"gpt-4.1-nano" in everything, "the calls themselves are on disk"
    assert canary.encode() not in everything
    assert canary.encode().hex().encode() not in everything


def test_reporting_the_same_batch_again_bills_nothing_twice(reported) -> None:
    """LiteLLM retries a batch whose answer it missed: the same calls are duplicates."""
    service, _, witnessed = reported
    totals = "{ costs { totals { calls amount { amount } } } }"
    before = service.ask(service.admin_key, totals)["data"]
    call = {
        "litellm_call_id": witnessed[0]["litellm_call_id"],
        "id": "x",
        "status": "success",
        "model": "gpt-4o",
        "startTime": "2026-11-22T10:00:00Z",
        "endTime": "2026-11-22T10:00:01Z",
        "response_cost": 0.5,
    }
    key = service.new_key("ingest", "other-account")
    first, again = (service.report(key, call, path="/v1/litellm") for _ in range(2))

    assert (first["accepted"], again["accepted"], again["duplicates"]) == (1, 0, 1)
    assert first["results"][0]["id"] == again["results"][0]["id"]
    viewer = service.new_key("viewer", "default")
    assert service.ask(viewer, totals)["data"] == before


ROUTER = Path(__file__).with_name("litellm_router.py")
ROUTED = """
{ calls(first: 50) { nodes { sourceId model servedModel operation status traceId attempt deployment normalizedError
  providerRequestId amount { amount source } amountUnknown amountParts { meter amount quantity unitPrice }
  units { name quantity } } } }
"""


@pytest.fixture(scope="module")
def routed(litellm_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict]]:
    """The calls of a router that fell back, of a model without a price, and of a batch that was polled twice."""
    service = RunningService(tmp_path_factory.mktemp("router") / "data")
    try:
        done = subprocess.run(
            [litellm_python, ROUTER, f"{service.url}/v1/litellm", service.new_key("ingest")],
            check=False,
            env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin", "HOME": str(service.data.parent)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        yield service.ask(service.admin_key, ROUTED)["data"]["calls"]["nodes"]
    finally:
        service.stop()


def test_a_fallback_is_joined_to_what_failed_before_it(routed) -> None:
    """Both failures and the answer have one trace; the answer names the model that gave it, and its attempt."""
    [answer] = [call for call in routed if call["model"] == "backup"]
    failures = [call for call in routed if call["traceId"] == answer["traceId"] and call is not answer]

    assert (answer["status"], answer["servedModel"], answer["attempt"]) == ("SUCCEEDED", "gpt-4o-mini", 2)
    assert [(call["model"], call["servedModel"], call["status"]) for call in failures] == [
        ("primary", "gpt-4o", "FAILED")
    ] * 2
    assert {call["providerRequestId"] for call in failures} == {"req_7"}
    assert {call["normalizedError"] for call in failures} == {"500_PROVIDER_INTERNAL_ERROR"}
    assert {call["amount"]["amount"] for call in failures} == {"0"}
    assert None not in {call["deployment"] for call in [answer, *failures]}


def test_a_batch_that_is_polled_twice_is_billed_once(routed) -> None:
    """One call by the provider's id, with the tokens' cost in parts that sum."""
    [bill] = [call for call in routed if call["operation"] == "batch"]

    assert (bill["sourceId"], bill["amount"]) == ("batch_conformance", {"amount": "0.00045", "source": "REPORTED"})
    assert sum(Decimal(part["amount"]) for part in bill["amountParts"]) == Decimal("0.00045")
    assert bill["units"] == [{"name": "requests", "quantity": "2"}]
    assert sum(Decimal(call["amount"]["amount"]) for call in routed if call["operation"] == "files") == 0


def test_a_model_without_a_price_has_no_amount(routed) -> None:
    """LiteLLM writes a cost of zero; here it is unknown, and says why."""
    [call] = [call for call in routed if call["model"] == "a-model-without-a-price"]

    assert (call["amount"], call["amountUnknown"]) == (None, "NOT_PRICED")
