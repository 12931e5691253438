"""A statement of retention that a running service makes because an auditor asks for it."""

import json
from pathlib import Path
from typing import Any

from pairing import settled
from running import RunningService

from policies.evidence.verify import verify_attestation

REQUEST = "mutation { requestAttestation(input: {}) { attestation { id state } } }"
STATE = "query($id: ID!) { attestation(id: $id) { state unmet checks checksDone failure digest url requestedBy } }"


def state(service: RunningService, key: str, id_: str) -> dict[str, Any]:
    return service.ask(key, STATE, id=id_)["data"]["attestation"]


def test_a_service_makes_what_an_auditor_asks_for(service: RunningService) -> None:
    """It is made by a process of its own, by the auditor's name, and its file verifies by the key of the ledger."""
    auditor, key = service.new_key("auditor"), service.command("ledger", "key").stdout.strip()
    id_ = service.ask(auditor, REQUEST)["data"]["requestAttestation"]["attestation"]["id"]
    settled(lambda: state(service, auditor, id_)["state"] in ("QUEUED", "RUNNING"), False, times=1, within_s=240)
    made = state(service, auditor, id_)
    status, _, body = service.request("GET", made["url"], key=auditor)

    assert (made["state"], made["failure"], status) == ("DONE", None, 200)
    assert made["checksDone"] == made["checks"]
    assert made["requestedBy"] == auditor.split("_")[1]
    assert verify_attestation(body, key=key)[0] == "verified: signed by the key you gave"
    assert sum(not one["holds"] for one in json.loads(body)["statement"]["checks"]) == made["unmet"]


def test_the_command_stores_what_it_writes(service: RunningService, tmp_path: Path) -> None:
    """With a file and without one: the auditor finds both, with what the file says."""
    auditor, file = service.new_key("auditor"), tmp_path / "statement.json"
    assert service.command("attest", str(file)).returncode in (0, 1)
    assert service.command("attest").returncode in (0, 1)
    assert list(tmp_path.glob("*.json")) == [file]
    listed = "{ attestations(first: 2) { nodes { url requestedBy } } }"
    without, written = service.ask(auditor, listed)["data"]["attestations"]["nodes"]
    body = json.loads(service.request("GET", written["url"], key=auditor)[2])
    assert (without["requestedBy"], written["requestedBy"]) == ("cli", "cli")
    assert body["statement"] == json.loads(file.read_text())["statement"]
