"""Stored statements of retention by HTTP: who may have them, what their files prove, and what is altered."""

import asyncio
import base64
import json
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from aiohttp import ClientError
from auditing import auditor
from evidence import Answer, Auditor
from http_server import Served

from policies.evidence.attestation import canonical, statement_digest
from policies.evidence.verify import EvidenceError, verify_attestation
from policies.policy.model import Role
from service.export import statement_download
from service.ledger import Checkpoints, LedgerKind
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


async def raw(one: Auditor, path: str) -> socket.socket:
    """A request without chunks, of whose answer one byte was taken, into buffers that take little."""
    loop, connection = asyncio.get_running_loop(), socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.setblocking(False)
    address = urlsplit(one.served.url)
    await loop.sock_connect(connection, (address.hostname, address.port))
    await loop.sock_sendall(connection, f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {one.key}\r\n\r\n".encode())
    assert await loop.sock_recv(connection, 1) == b"H"
    return connection


async def test_an_answer_that_cannot_go_on_breaks_off(served: Served) -> None:
    """Where a proof cannot be made, what was sent is not ended as if it were whole, and no error is put behind it."""
    one, owner = await auditor(served), served.runtime.database.owner
    await made(served)
    [node] = await listed(one)
    await owner.execute("ALTER TABLE ledger_entry DISABLE TRIGGER append_only")
    await owner.execute("UPDATE ledger_entry SET hashes = ''")
    with pytest.raises(ClientError):
        await one.fetch(node["url"])
    connection, rest = await raw(one, node["url"]), b""
    with connection, suppress(ConnectionError):
        while data := await asyncio.get_running_loop().sock_recv(connection, 4096):
            rest += data
    assert b"HTTP/1." not in rest, "the first byte of the answer's own head is taken"
    assert b"went wrong" not in rest


async def store_large(served: Served) -> None:
    """A statement of more bytes than a connection takes by itself, as the ledger has it."""
    ledger, owner, id_ = served.runtime.ledger, served.runtime.database.owner, uuid4()
    statement = {"entries": [], "missing": ["x" * 2**24]}
    facts = {"attestation": str(id_), "statement": statement_digest(statement), "unmet": 0}
    index = await ledger.append(LedgerKind.ATTESTED, facts, actor="cli")
    await owner.execute(
        "INSERT INTO attestation (id, state, requested_by, requested_at, days, is_full, checks, checks_done, "
        "ledger_index, statement) VALUES ($1, 'DONE', 'cli', now(), 1, false, 0, 0, $2, $3)",
        *(id_, index, canonical(statement)),
    )
    await Checkpoints(ledger).sign()


async def test_who_takes_nothing_keeps_nobody_waiting(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few are sent at a time, and a client that stands still loses its place."""
    monkeypatch.setattr(statement_download, "TAKEN_WITHIN_S", 0.2)
    one = await auditor(served)
    await made(served)
    await store_large(served)
    large, small = await listed(one)
    standing = [await raw(one, large["url"]) for _ in range(2)]
    try:
        assert (await one.fetch(small["url"])).status == 200
    finally:
        for connection in standing:
            connection.close()


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
