"""Stored statements of retention by HTTP: who may have them, what their files prove, and what is altered."""

import asyncio
import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from auditing import auditor
from evidence import Answer, Auditor
from http_server import Served

from policies.evidence.verify import EvidenceError, verify_attestation
from policies.policy.model import Role
from service.ledger import LedgerKind
from service.retention.audit.attestation.making import MadeAttestation, attest

ROOT = Path(__file__).parents[3]
FIELDS = """
    id state requestedBy days full checks checksDone unmet digest ledgerIndex checkpointSize bytes url signedUrl
    failure
"""
LISTED = f"""
    query($first: Int, $after: String) {{ attestations(first: $first, after: $after) {{
        totalCount nodes {{ {FIELDS} }} pageInfo {{ hasNextPage endCursor }} }} }}
"""
ONE = f"query($id: ID!) {{ attestation(id: $id) {{ {FIELDS} }} }}"
NODE = "query($id: ID!) { node(id: $id) { id } }"
REQUEST = f"""
    mutation($in: RequestAttestationInput!) {{ requestAttestation(input: $in) {{ attestation {{ {FIELDS} }} }} }}
"""
KEY = "{ checkpoint { publicKey } }"


async def made(served: Served) -> MadeAttestation:
    return await attest(served.runtime.retention, served.runtime.ledger, served.runtime.applied, days=92)


async def listed(one: Auditor, **page: Any) -> list[dict[str, Any]]:
    return (await one.ask(LISTED, **page))["attestations"]["nodes"]


async def linked(one: Auditor, path: str) -> Answer:
    """A download without a key."""
    return await Auditor(one.served, "").fetch(path)


async def test_an_auditor_downloads_what_verifies(served: Served, tmp_path: Path) -> None:
    """By key and by link the same statement, which both verifiers accept by the auditor's key, and no other."""
    one = await auditor(served)
    statement = await made(served)
    [node] = await listed(one)
    answer, by_link = await one.fetch(node["url"]), await linked(one, node["signedUrl"])
    key = (await one.ask(KEY))["checkpoint"]["publicKey"]
    said = json.loads(answer.body)
    file, program = tmp_path / "statement.json", ROOT / "policies" / "evidence" / "verify.py"
    file.write_bytes(answer.body)
    arguments = [sys.executable, "-I", program, file, "--key", key]
    done = await asyncio.to_thread(subprocess.run, arguments, capture_output=True, text=True, check=False)

    assert (answer.status, by_link.status) == (200, 200)
    assert said["statement"] == json.loads(by_link.body)["statement"] == statement.statement
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "verified: signed by the key you gave"), done
    assert "attachment" in answer.headers["Content-Disposition"]
    leaf = json.loads(base64.b64decode(said["evidence"]["statement"]["leaf"]))
    assert (leaf["facts"]["statement"], leaf["facts"]["unmet"]) == (node["digest"], node["unmet"])
    assert (node["state"], node["ledgerIndex"], node["requestedBy"]) == ("DONE", str(statement.index), "cli")
    assert int(node["checkpointSize"]) > statement.index
    other = key[:-8] + ("AAAA" if key[-8:-4] != "AAAA" else "BBBB") + key[-4:]
    with pytest.raises(EvidenceError):
        verify_attestation(answer.body, key=other)
    assert (await one.ask(ONE, id=node["id"]))["attestation"]["digest"] == node["digest"]
    assert (await (await auditor(served, Role.ADMIN)).ask(NODE, id=node["id"]))["node"] == {"id": node["id"]}


async def test_the_list_is_newest_first_and_page_by_page(served: Served) -> None:
    """Each page goes on behind the last one, and all of them together are what was made."""
    one = await auditor(served)
    ids = [str((await made(served)).index) for _ in range(3)]
    found = (await one.ask(LISTED, first=2))["attestations"]
    rest = (await one.ask(LISTED, first=2, after=found["pageInfo"]["endCursor"]))["attestations"]

    assert found["totalCount"] == 3
    assert (found["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasNextPage"]) == (True, False)
    assert [node["ledgerIndex"] for node in (*found["nodes"], *rest["nodes"])] == ids[::-1]


async def test_nobody_else_is_given_any(served: Served) -> None:
    """Not who is bound to accounts, nor roles without the ledger, nor without a key; and by a link, as long as its key
    lives.
    """
    one, admin = await auditor(served), await auditor(served, Role.ADMIN)
    await made(served)
    [node] = await listed(one)
    assert (await admin.fetch(node["url"])).status == 200
    for role, accounts in ((Role.AUDITOR, (1,)), (Role.ADMIN, (1,)), (Role.VIEWER, ()), (Role.PARTNER, (1,))):
        other = await auditor(served, role, *accounts)
        assert await other.code(LISTED) == "FORBIDDEN", role
        assert await other.code(REQUEST, **{"in": {}}) == "FORBIDDEN", role
        assert (await other.fetch(node["url"])).status == 404, role
    assert (await linked(one, node["url"])).status == 401
    assert (await linked(one, node["signedUrl"][:-4] + "AAAA")).status == 404
    for absent in ("att_", "att_x", "exp_aaaaaaaaaaaaaaaaaaaaaaaaaa", "att_aaaaaaaaaaaaaaaaaaaaaaaaaa"):
        assert (await one.fetch(f"/v1/attestations/{absent}")).status == 404
    revoke = "mutation($id: ID!) { revokeApiKey(input: {id: $id}) { apiKey { id } } }"
    await admin.ask(revoke, id=one.key.split("_")[1])
    assert (await linked(one, node["signedUrl"])).status == 404


async def test_an_altered_statement_is_not_given_out(served: Served) -> None:
    """What is not what the ledger has is not sent as if it were: the answer says so."""
    one = await auditor(served)
    await made(served)
    [node] = await listed(one)
    await served.runtime.database.owner.execute(
        "UPDATE attestation SET statement = convert_to('{\"entries\": []}', 'UTF8')"
    )
    answer = await one.fetch(node["url"])
    assert answer.status == 503
    assert b"it was altered" in answer.body
    assert (await listed(one))[0]["digest"] == node["digest"]


async def test_one_statement_is_asked_for_at_a_time(served: Served) -> None:
    """It is in the queue and in the ledger when it is answered; who asks meanwhile is told which it is."""
    one, other = await auditor(served), await auditor(served, Role.ADMIN)
    node = (await one.ask(REQUEST, **{"in": {"days": 30}}))["requestAttestation"]["attestation"]
    answer = await other.answer(REQUEST, **{"in": {}})
    [error] = answer["errors"]

    assert (node["state"], node["days"], node["url"], node["digest"]) == ("QUEUED", 30, None, None)
    assert (error["extensions"]["code"], error["extensions"]["attestation"]) == ("THROTTLED", node["id"])
    newest = await served.runtime.ledger.newest(LedgerKind.ATTESTATION_REQUESTED)
    assert newest is not None
    assert newest[1].facts["days"] == 30
    assert (await linked(one, f"/v1/attestations/{node['id']}")).status == 401
    assert (await one.fetch(f"/v1/attestations/{node['id']}")).status == 404
    for days in (0, -1, 401):
        assert await one.code(REQUEST, **{"in": {"days": days}}) == "BAD_USER_INPUT"
