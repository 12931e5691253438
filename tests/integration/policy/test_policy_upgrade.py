"""After an upgrade: a policy that an earlier version applied does not name what came later, and stays in force."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import pytest
from running import RunningService

from policies import Policy, canonical, load_preset
from service.runtime.runtime import open_runtime
from service.settings import Settings
from service.storage.control.policies import store_policy

LATER = ("Call.traceId", "CostReport.nodes", "CostReport.edges", "CostFigures.timeToFirstTokenMs")
"""As if these had come with this version."""
CALLS = "{ calls(first: 5) { nodes { model traceId } } }"
MODELS = "{ calls(first: 5) { nodes { model } } }"


def earlier() -> Policy:
    default = load_preset("default")
    fields = {name: rule for name, rule in default.fields.items() if name not in LATER}
    return replace(default, name="acme", fields=MappingProxyType(fields))


async def apply_earlier(data: Path) -> None:
    async with open_runtime(Settings(data=data), existing=True) as runtime:
        await store_policy(runtime.database.owner, earlier(), applied_by="cli", ledger=runtime.ledger)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    file = tmp_path / "policy.toml"
    file.write_bytes(canonical(earlier()))
    running = RunningService(tmp_path / "data")
    asyncio.run(apply_earlier(running.data))
    running.stop()
    running = RunningService(tmp_path / "data", environment={"CALLEDGER_POLICY": str(file)})
    yield running
    running.stop()


def test_what_a_policy_does_not_name_is_neither_kept_nor_shown(service: RunningService, tmp_path: Path) -> None:
    """The service starts, also with the file that was applied; `status` and the log say what is missing, `policy
    complete` prints a policy that has it, and with that it is kept and shown.
    """
    reports, started = service.new_key("ingest"), datetime.now(UTC).isoformat()
    call = {"account": "acme", "model": "m", "status": "succeeded", "started_at": started}
    service.report(reports, {**call, "id": "before", "trace_id": "trace-before"})
    assert service.ask(service.admin_key, MODELS)["data"]["calls"]["nodes"] == [{"model": "m"}]
    refused = service.ask(service.admin_key, CALLS)
    assert refused["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert b"trace-before" not in service.everything_on_disk()

    assert "`calledger policy complete`" in service.log.read_text()
    status = service.command("status").stdout
    assert "`Call.traceId`, `CostReport.edges`, `CostReport.nodes` and 1 more" in status
    said = service.command("policy", "explain", "Call.traceId").stdout
    assert "drop: not kept" in said

    complete = tmp_path / "complete.toml"
    complete.write_text(service.command("policy", "complete").stdout)
    applied = service.command("policy", "apply", str(complete))
    assert applied.returncode == 0, applied.stderr
    key = tmp_path / "second.key"
    key.write_text(service.new_key("admin"))
    digest = next(word for word in applied.stdout.split() if word.startswith("sha256:"))
    approved = service.command("policy", "approve", digest, "--key", str(key))
    assert approved.returncode == 0, approved.stderr
    service.report(reports, {**call, "id": "after", "trace_id": "trace-after"})
    seen = service.ask(service.admin_key, CALLS)["data"]["calls"]["nodes"]
    assert sorted(str(one["traceId"]) for one in seen) == ["None", "trace-after"]
    assert "not named" not in service.command("status").stdout
