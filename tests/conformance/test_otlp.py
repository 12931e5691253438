"""Real applications with OpenTelemetry report to a running service: each call once, with its figures and no content."""

import base64
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from environments import environment
from model_provider import provider
from packages import installed
from running import RunningService

FOLDER = Path(__file__).with_name("otlp")
SCRIPTS = Path(__file__).with_name("otlp_js")
CALLS = """
query ($account: String!) {
  calls(first: 50, filter: {account: {eq: $account}}) {
    totalCount
    nodes {
      source model servedModel provider operation status streamed inputTokens outputTokens cacheReadTokens
      cacheWriteTokens reasoningTokens amount { amount source } amountParts { meter amount } errorType user apiKey
      sessionId tags { key value } error { message code parameters { name value } }
    }
  }
}
"""
CHAT, EMBEDDINGS = ("chat", "SUCCEEDED"), ("embeddings", "SUCCEEDED")
FAILED = ("chat", "FAILED")


@pytest.fixture(scope="module")
def python() -> list[str | Path]:
    """The applications in Python, with their packages in an environment of their own: their pins are not ours."""
    return [environment("otlp", "-r", FOLDER / "requirements.txt") / "bin" / "python", FOLDER / "application.py"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The applications in JavaScript, beside the packages that their lockfile names."""
    workshop = tmp_path_factory.mktemp("otlp_js")
    (workshop / "node_modules").symlink_to(installed(SCRIPTS))
    return ["node", shutil.copy(SCRIPTS / "application.mjs", workshop)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    service = RunningService(tmp_path_factory.mktemp("otlp") / "data")
    try:
        yield service
    finally:
        service.stop()


class Reported:
    """What one application reported, under an account of its own."""

    def __init__(self, service: RunningService, program: list[str | Path], kind: str) -> None:
        self.canary = "kanarie" + secrets.token_hex(12)
        spoken = f"the {self.canary} sings of moss and of copper in the valley"
        key = service.new_key("ingest", kind)
        basic = base64.b64encode(f"{key}:{key}".encode()).decode()
        with provider(spoken) as url:
            done = subprocess.run(
                [*program, kind, url, spoken],
                check=False,
                env={
                    "OTEL_EXPORTER_OTLP_ENDPOINT": service.url,
                    "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer {key}",
                    "OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,deployment.environment.name=staging",
                    # LiteLLM's two callbacks, and Langfuse's SDK.
                    "OTEL_EXPORTER": "otlp_http",
                    "OTEL_ENDPOINT": f"{service.url}/v1/traces",
                    "OTEL_HEADERS": f"Authorization=Basic {basic}",
                    "LANGFUSE_PUBLIC_KEY": key,
                    "LANGFUSE_SECRET_KEY": key,
                    "LANGFUSE_OTEL_HOST": service.url,
                    "LANGFUSE_HOST": service.url,
                    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                    "PATH": "/usr/bin:/bin",
                    "HOME": str(service.data.parent),
                },
                capture_output=True,
                text=True,
                timeout=120,
            )
        assert done.returncode == 0, done.stderr
        answer = service.ask(service.admin_key, CALLS, account=kind)["data"]["calls"]
        assert answer["totalCount"] == len(answer["nodes"])
        self.calls: list[dict[str, Any]] = sorted(answer["nodes"], key=lambda call: (call["status"], call["operation"]))

    def kinds(self) -> list[tuple[str, str]]:
        return sorted((call["operation"], call["status"]) for call in self.calls)

    def of(self, operation: str, status: str) -> list[dict[str, Any]]:
        return [call for call in self.calls if (call["operation"], call["status"]) == (operation, status)]

    def check_nothing_of_content(self, service: RunningService) -> None:
        for call in self.calls:
            for name, value in call.items():
                assert self.canary not in str(value), name
        assert self.canary.encode() not in service.everything_on_disk()


@pytest.mark.parametrize("kind", ["openllmetry-openai", "openinference-openai"])
def test_instrumentations_of_openai(service: RunningService, python: list[str | Path], kind: str) -> None:
    """Four calls, each once, whatever names the instrumentation has: a chat, a stream, embeddings, a failure."""
    reported = Reported(service, python, kind)

    assert reported.kinds() == sorted([CHAT, CHAT, EMBEDDINGS, FAILED])
    for call in reported.of(*CHAT):
        assert (call["source"], call["provider"], call["apiKey"]) == ("otlp", "openai", "shop")
        assert (call["model"], call["servedModel"]) == ("gpt-4o", "gpt-4o-2024-11-20")
        assert (call["inputTokens"], call["outputTokens"], call["cacheReadTokens"]) == (120, 30, 80)
        assert call["amount"]["source"] == "ESTIMATED"
    assert [call["streamed"] for call in reported.of(*CHAT)].count(True) == 1
    [embeddings] = reported.of(*EMBEDDINGS)
    assert (embeddings["model"], embeddings["inputTokens"]) == ("text-embedding-3-small", 8)
    [failed] = reported.of(*FAILED)
    assert failed["model"] == "over-limit"
    assert failed["errorType"].endswith("RateLimitError")
    assert "Rate limit reached" in failed["error"]["message"]
    assert {"name": "temperature", "value": "0.7"} in failed["error"]["parameters"]
    reported.check_nothing_of_content(service)


@pytest.mark.parametrize("kind", ["openllmetry-anthropic", "openinference-anthropic"])
def test_instrumentations_of_anthropic(service: RunningService, python: list[str | Path], kind: str) -> None:
    """Anthropic's own SDK traces each call as well: the two spans of one answer are one call, and its input includes
    the cache.
    """
    reported = Reported(service, python, kind)

    [call] = reported.of(*CHAT)
    assert (call["model"], call["servedModel"]) == ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929")
    figures = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "outputTokens")
    assert [call[name] for name in figures] == [120, 60, 20, 25]
    assert {call["model"] for call in reported.of(*FAILED)} == {"over-limit"}
    reported.check_nothing_of_content(service)


def test_langfuses_sdk(service: RunningService, python: list[str | Path]) -> None:
    """What is set up for Langfuse needs a new host and a key: generations are calls, with their own costs."""
    reported = Reported(service, python, "langfuse")

    assert reported.kinds() == sorted([CHAT, FAILED])
    [call] = reported.of(*CHAT)
    assert (call["inputTokens"], call["cacheReadTokens"], call["outputTokens"]) == (100, 60, 20)
    assert Decimal(call["amount"]["amount"]) == Decimal("0.003")
    assert call["sessionId"] == "s-1"
    [failed] = reported.of(*FAILED)
    assert failed["error"]["message"].startswith("rate limit for")
    reported.check_nothing_of_content(service)


@pytest.mark.parametrize("kind", ["otel", "langfuse_otel"])
def test_callbacks_of_litellm(service: RunningService, python: list[str | Path], kind: str) -> None:
    """LiteLLM's callbacks for OpenTelemetry and for Langfuse: its own cost, and no second call for the raw request."""
    reported = Reported(service, python, kind)

    assert reported.kinds() == sorted([CHAT, CHAT, FAILED])
    of_openai, of_anthropic = sorted(reported.of(*CHAT), key=lambda call: call["provider"], reverse=True)
    assert (of_openai["inputTokens"], of_openai["cacheReadTokens"], of_openai["reasoningTokens"]) == (120, 80, 10)
    assert (of_anthropic["inputTokens"], of_anthropic["cacheReadTokens"]) == (120, 60)
    for call, amount in ((of_openai, "0.0005"), (of_anthropic, "0.000588")):
        assert (Decimal(call["amount"]["amount"]), call["amount"]["source"]) == (Decimal(amount), "REPORTED")
        if kind == "otel":
            assert sum(Decimal(part["amount"]) for part in call["amountParts"]) == Decimal(amount)
    [failed] = reported.of(*FAILED)
    assert (failed["errorType"], failed["error"]["code"]) == ("RateLimitError", "429")
    assert "RateLimitError" in failed["error"]["message"]
    reported.check_nothing_of_content(service)


@pytest.mark.parametrize("kind", ["vercel", "openai"])
def test_applications_in_javascript(service: RunningService, node: list[str | Path], kind: str) -> None:
    """Vercel's AI SDK, and OpenTelemetry's own instrumentation of `openai`: a text, a stream, an embedding and a
    refused request are four calls, whatever spans stand around them, in protobuf and in JSON.
    """
    reported = Reported(service, node, kind)

    assert reported.kinds() == sorted([CHAT, CHAT, EMBEDDINGS, FAILED])
    for call in reported.of(*CHAT):
        assert (call["source"], call["provider"], call["apiKey"]) == ("otlp", "openai", "shop")
        assert (call["model"], call["servedModel"]) == ("gpt-4o", "gpt-4o-2024-11-20")
        assert (call["inputTokens"], call["outputTokens"]) == (120, 30)
        assert call["amount"]["source"] == "ESTIMATED"
    [embeddings] = reported.of(*EMBEDDINGS)
    assert (embeddings["model"], embeddings["inputTokens"]) == ("text-embedding-3-small", 8)
    [failed] = reported.of(*FAILED)
    assert failed["model"] == "over-limit"
    assert {"name": "temperature", "value": "0.7"} in failed["error"]["parameters"]
    if kind == "openai":  # its spans have no prompt, so that nothing tells what the provider's words repeat of it
        failed["error"]["message"] = None
    reported.check_nothing_of_content(service)


def test_the_page_says_which_versions_were_run() -> None:
    """docs/connect.md names the versions in the lockfiles of these applications, and each is exact."""
    page = (Path(__file__).parents[2] / "docs" / "connect.md").read_text("utf-8")
    declared = json.loads((SCRIPTS / "package.json").read_text("utf-8"))["dependencies"]
    for name, version in declared.items():
        if name != "@opentelemetry/exporter-trace-otlp-http":
            assert f"`{name}` {version}" in page, name
    for line in (FOLDER / "requirements.txt").read_text("utf-8").splitlines():
        if match := re.fullmatch(r"(openinference-\S+|opentelemetry-instrumentation-\S+|langfuse)==(\S+)", line):
            assert match[2] in page, line
