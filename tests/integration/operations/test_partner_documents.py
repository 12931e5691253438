"""The documents of docs/partners.md, asked as they stand there with a partner's key."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from documents import documents
from graphql import OperationDefinitionNode, OperationType, parse
from running import RunningService

SHOWN = [one.text for one in documents() if one.place == "partners.md"]
NOT_PARTNERS = {"setBudget"}
"""What an admin sets, and partners see."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    running = RunningService(tmp_path_factory.mktemp("partners") / "data")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    call = {"started_at": now, "account": "acme", "model": "m", "status": "succeeded", "amount": "1", "currency": "USD"}
    running.report(running.admin_key, {"id": "a", **call}, {"id": "b", **call})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def partner(service: RunningService) -> str:
    return service.new_key("partner", "acme")


def root_of(text: str) -> tuple[OperationType, str]:
    operation = parse(text).definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return operation.operation, operation.selection_set.selections[0].name.value  # type: ignore[union-attr]


def heard(service: RunningService, key: str, text: str) -> dict[str, Any]:
    """What a stream says first, of a call that failed."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    asked = urllib.request.Request(f"{service.url}/graphql", json.dumps({"query": text}).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as stream:
        now, error = datetime.now(UTC).isoformat(timespec="milliseconds"), {"type": "Timeout", "message": "timed out"}
        failed = {"id": "failed", "account": "acme", "model": "m", "status": "failed", "started_at": now}
        service.report(service.admin_key, {**failed, "error": error})
        line = next(line for line in stream if line.startswith(b"data: {"))
    return json.loads(line.removeprefix(b"data: "))


def test_the_page_shows_what_an_integration_asks() -> None:
    """Feed, checksums, a stream, webhooks, files, costs and budgets each have a document to copy."""
    roots = {root_of(text)[1] for text in SHOWN}
    assert roots >= {
        "changes",
        "changeSums",
        "callRecorded",
        "createWebhook",
        "createExportSchedule",
        "export",
        "costs",
    }
    assert roots >= NOT_PARTNERS


@pytest.mark.parametrize("text", SHOWN, ids=lambda text: root_of(text)[1])
def test_each_document_is_answered(service: RunningService, partner: str, text: str) -> None:
    """Without an error, by a key of the role that the page names."""
    kind, root = root_of(text)
    if kind is OperationType.SUBSCRIPTION:
        assert heard(service, partner, text)["data"][root] is not None
        return
    now = datetime.now(UTC)
    variables: dict[str, Any] = {"since": (now - timedelta(days=1)).isoformat(), "until": now.isoformat()}
    if root == "export":
        made = service.ask(partner, "mutation { createExport(input: {kind: CALLS, format: CSV}) { export { id } } }")
        variables["id"] = made["data"]["createExport"]["export"]["id"]
    answer = service.ask(service.admin_key if root in NOT_PARTNERS else partner, text, **variables)
    assert "errors" not in answer, json.dumps(answer)
    assert answer["data"][root] is not None
