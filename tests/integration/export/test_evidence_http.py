"""Evidence by HTTP alone: who has an auditor's key and no shell gets a bundle that verifies, and nobody else does."""

import asyncio
import json
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from auditing import auditor, fill, serving
from evidence import Auditor, exports_folder
from http_server import Served

from policies.evidence import read_leaf, verify
from policies.evidence.verify import read_base64
from policies.policy.model import Role
from service.api.exports.types import decode_export_id, encode_export_id
from service.ledger import LedgerKind
from service.storage.control.exports import (
    KEPT_MAX,
    UNDER_WAY_MAX,
)

ROOT = Path(__file__).parents[3]
ABSENT = (
    "exp_aaaaaaaaaaaaaaaaaaaaaaaaaa", "exp_", "exp_x", "..%2F..%2Fadmin.key", "exp_..%2Fadmin.key", "%00", "exp_%00",
    "call_aaaaaaaaaaaaaaaaaaaaaaaaaa", "EXP_AAAAAAAAAAAAAAAAAAAAAAAAAA", "exp_aaaaaaaaaaaaaaaaaaaaaaaaab", "x" * 5000,
)  # fmt: skip


async def ran(*arguments: Any) -> subprocess.CompletedProcess[str]:
    """A program, from the top of this checkout."""
    options = {"capture_output": True, "text": True, "check": False, "cwd": ROOT}
    return await asyncio.to_thread(subprocess.run, arguments, **options)


def lines(bundle: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bundle.splitlines()]


async def test_an_auditor_with_a_key_alone_gets_evidence_that_verifies(any_database_url: str, tmp_path: Path) -> None:
    """createEvidence, export until it is ready, download, verify: with the key of the checkpoint, by both verifiers."""
    async with serving(any_database_url, tmp_path) as served:
        await fill(served, 5)
        one = await auditor(served)
        created = await one.create()
        assert (created["export"]["state"], created["export"]["url"]) == ("QUEUED", None)
        export = await one.ended(created["export"]["id"])
        answer = await one.fetch(export["url"])

    bundle, program = tmp_path / "bundle", ROOT / "policies" / "evidence" / "verify.py"
    bundle.write_bytes(answer.body)
    checkpoint = created["checkpoint"]
    found = verify(answer.body.splitlines(keepends=True), key=checkpoint["publicKey"])
    assert (found.key_checked, found.checkpoint.note.decode()) == (True, checkpoint["note"])
    assert dict(found.kinds) == {"EXPORTED": 5, "API_KEY_CREATED": 1, "EVIDENCE_CREATED": 1}
    arguments = [sys.executable, "-I", program, bundle, "--key", checkpoint["publicKey"]]
    done = await ran(*arguments)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "verified: signed by the key you gave"), done
    assert (export["state"], export["rows"], export["bytes"]) == ("READY", "7", str(len(answer.body)))
    assert export["sha256"] == "sha256:" + sha256(answer.body).hexdigest()
    manifest = json.loads(export["manifest"])
    assert (manifest["from"], manifest["to"], manifest["sha256"]) == (0, 7, export["sha256"])
    assert [one["note"]["text"] for one in lines(answer.body) if "salt" in str(one)] == [
        f"reason {n}" for n in range(5)
    ]


async def test_what_came_after_the_checkpoint_that_was_kept(served: Served, tmp_path: Path) -> None:
    """`sinceSize` gives a bundle that continues the checkpoint of the answer before it, as `verify --since` says."""
    one = await auditor(served)
    await fill(served, 3)
    first = await one.create()
    await one.ended(first["export"]["id"])
    kept = first["checkpoint"]
    await fill(served, 4)
    export = await one.bundle(sinceSize=kept["size"])
    bundle, since = tmp_path / "bundle", tmp_path / "since"
    bundle.write_bytes((await one.fetch(export["url"])).body)
    since.write_text(kept["note"])
    arguments = [sys.executable, "-m", "service", "verify", bundle, "--key", kept["publicKey"], "--since", since]
    done = await ran(*arguments)

    assert done.returncode == 0, done.stderr
    assert f"nothing was changed or removed that your checkpoint of {kept['size']} entries covers" in done.stdout
    assert (lines(bundle.read_bytes())[0]["from"], export["rows"]) == (int(kept["size"]), "5")


async def test_a_period_ends_with_the_checkpoint_that_was_signed_after_it(served: Served) -> None:
    """`from` and `to` bound the entries; the end is the first signed checkpoint after it, and verifies by itself."""
    ledger, one = served.runtime.ledger, await auditor(served)
    made = await ledger.size()  # entries of keys
    moments = []
    for _ in range(4):
        await fill(served, 2)
        await served.runtime.publisher.checkpoints.sign()
        await asyncio.sleep(0.002)  # entries are told apart by the millisecond
        moments.append(await served.runtime.database.owner.fetchval("SELECT clock_timestamp()"))
        await asyncio.sleep(0.002)
    created = await one.create(**{"from": moments[0].isoformat(), "to": moments[2].isoformat()})
    body = (await one.fetch((await one.ended(created["export"]["id"]))["url"])).body

    assert [said["index"] for said in lines(body) if said["type"] == "entry"] == [
        made + number for number in (2, 3, 4, 5)
    ]
    assert created["checkpoint"]["size"] == str(made + 6)
    verify(body.splitlines(keepends=True), key=created["checkpoint"]["publicKey"])
    assert await ledger.newest(LedgerKind.EVIDENCE_CREATED) is not None
    whole = await one.bundle(**{"from": moments[1].isoformat(), "sinceSize": "1"})
    assert lines((await one.fetch(whole["url"])).body)[0]["from"] == 1
    for wrong in (
        {"sinceSize": "99"}, {"sinceSize": "-1"}, {"sinceSize": "9223372036854775807"},
        {"from": moments[1].isoformat(), "to": moments[0].isoformat()},
        {"sinceSize": "5", "to": moments[0].isoformat()},
    ):  # fmt: skip
        assert (await one.answer(CREATE_ID, **{"in": wrong}))["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


CREATE_ID = "mutation($in: CreateEvidenceInput!) { createEvidence(input: $in) { export { id } } }"


async def test_it_is_in_the_ledger_before_it_is_answered(served: Served) -> None:
    """EVIDENCE_CREATED names the key, the export and where it begins; it is the last entry of the bundle."""
    one = await auditor(served)
    created = await one.create()
    index, leaf = await served.runtime.ledger.newest(LedgerKind.EVIDENCE_CREATED)
    assert leaf.actor == one.key.split("_")[1]
    assert dict(leaf.facts) == {"export": created["export"]["id"], "from": 0}
    body = (await one.fetch((await one.ended(created["export"]["id"]))["url"])).body
    assert read_leaf(read_base64(lines(body)[-2]["leaf"], "")) == leaf
    assert created["checkpoint"]["size"] == str(index + 1)


async def test_a_refused_request_leaves_nothing(served: Served) -> None:
    """What is not put into the queue is not in the ledger either."""
    one = await auditor(served)
    running = uuid4()
    await served.runtime.database.owner.execute(
        "INSERT INTO export (id, kind, state, requested_by, role, policy, request, requested_at) "
        "SELECT CASE n WHEN 1 THEN $1::uuid ELSE gen_random_uuid() END, 'EVIDENCE', 'RUNNING', $2, 'auditor', '', "
        "'{}', now() + n * interval '1 s' FROM generate_series(1, $3) AS n",
        running, one.key.split("_")[1], UNDER_WAY_MAX,
    )  # fmt: skip
    size = await served.runtime.ledger.size()
    body = {"query": CREATE_ID, "variables": {"in": {}}}
    async with served.session.post(served.url, json=body, headers={"Authorization": f"Bearer {one.key}"}) as response:
        [error] = (await response.json())["errors"]
    told = {"code": "THROTTLED", "retryAfterSeconds": 5, "export": encode_export_id(running)}
    del error["extensions"]["requestId"]
    assert (error["extensions"], response.headers["Retry-After"]) == (told, "5")
    assert await served.runtime.ledger.size() == size


async def test_many_requests_at_once(served: Served) -> None:
    """Of requests that come at once with one key four are taken; those of other keys do not wait for them."""
    keys = [await auditor(served) for _ in range(3)]
    answers = await asyncio.gather(*(one.answer(CREATE_ID, **{"in": {}}) for one in keys for _ in range(6)))
    taken = [answer["data"]["createEvidence"]["export"]["id"] for answer in answers if "errors" not in answer]
    codes = {answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer}

    assert len(taken) >= 3
    assert codes <= {"THROTTLED"}
    for one in keys:
        for id_ in taken:
            if (export := await one.export(id_)) is not None:
                ready = await one.ended(export["id"])
                verify((await one.fetch(ready["url"])).body.splitlines(keepends=True))


async def test_a_key_keeps_a_bounded_number_of_files(served: Served) -> None:
    """Asking again and again does not fill the disk."""
    one = await auditor(served)
    await one.bundle()
    await served.runtime.database.owner.execute(
        "INSERT INTO export SELECT gen_random_uuid(), kind, state, requested_by, role, accounts, policy, request, "
        "requested_at, worker, ended_at, expires_at, rows, bytes, sha256, manifest, failure "
        "FROM export, generate_series(2, $1)",
        KEPT_MAX,
    )
    body = {"query": CREATE_ID, "variables": {"in": {}}}
    async with served.session.post(served.url, json=body, headers={"Authorization": f"Bearer {one.key}"}) as response:
        [error] = (await response.json())["errors"]
    assert error["extensions"]["code"] == "THROTTLED"
    assert 23 * 3600 < int(response.headers["Retry-After"]) == error["extensions"]["retryAfterSeconds"] <= 24 * 3600


async def test_the_answer_can_be_kept_by_nobody_between(served: Served) -> None:
    """The whole file with its length, a name, and no-store; the file itself is closed to others."""
    one = await auditor(served)
    export = await one.bundle()
    answer = await one.fetch(export["url"])

    assert (answer.status, answer.headers["Content-Length"]) == (200, export["bytes"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="calledger-evidence-{export["id"]}.ndjson"'
    [file] = exports_folder(served).iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(exports_folder(served).stat().st_mode) == 0o700


async def test_nobody_else_gets_it(served: Served) -> None:
    """Another key of the same role, keys of other roles, a bound admin: null, and 404 as for an id that is none."""
    number = (await served.runtime.accounts.ensure(["acme"]))["acme"]
    maker = await auditor(served)
    export = await maker.bundle()
    others = [await auditor(served, role) for role in (Role.AUDITOR, Role.COMPLIANCE, Role.VIEWER, Role.SUPPORT)]
    others += [await auditor(served, role, number) for role in (Role.PARTNER, Role.ADMIN, Role.AUDITOR)]
    for other in others:
        assert await other.export(export["id"]) is None
    for other in [*others, await auditor(served, Role.INGEST)]:
        assert (await other.fetch(export["url"])).status == 404
    admin = await auditor(served, Role.ADMIN)
    assert await admin.export(export["id"]) == export
    node = "query($id: ID!) { node(id: $id) { id ... on Export { state sha256 } } }"
    assert (await admin.ask(node, id=export["id"]))["node"]["sha256"] == export["sha256"]
    assert (await others[2].ask(node, id=export["id"]))["node"] is None
    assert (await admin.fetch(export["url"])).status == 200
    nobody = Auditor(served, "")
    assert (await nobody.fetch(export["url"])).status == 401
    assert (await nobody.fetch(f"{export['url']}?key={maker.key}")).status == 401


@pytest.mark.parametrize("role", [Role.VIEWER, Role.PARTNER, Role.SUPPORT, Role.INGEST])
async def test_who_may_not_ask_for_evidence(served: Served, role: Role) -> None:
    """Refused by name, before anything is written; so is an auditor's key that is bound to accounts."""
    number = (await served.runtime.accounts.ensure(["acme"]))["acme"]
    for one in (await auditor(served, role), await auditor(served, Role.AUDITOR, number)):
        assert await one.code(CREATE_ID, **{"in": {}}) == "FORBIDDEN"
    assert await served.runtime.ledger.newest(LedgerKind.EVIDENCE_CREATED) is None


@pytest.mark.parametrize("id_", ABSENT)
async def test_an_id_that_is_none_is_not_found(served: Served, id_: str) -> None:
    """Ids that were never given out, paths in their place, and other things' ids: 404 and null, and never an error."""
    one = await auditor(served, Role.ADMIN)
    await one.bundle()
    (served.runtime.settings.data / "admin.key").write_text("secret")
    answer = await one.fetch(f"/v1/exports/{id_}")
    assert (answer.status, b"secret" in answer.body) == (404, False)
    assert await one.export(id_) is None


async def test_a_key_that_is_revoked_or_bound_since_gets_nothing(served: Served) -> None:
    """What the key might see when it asked is not what counts, but what it may now, by its row and by the ledger."""
    owner, authenticator = served.runtime.database.owner, served.runtime.authenticator
    number = (await served.runtime.accounts.ensure(["acme"]))["acme"]
    one = await auditor(served)
    export = await one.bundle()
    prefix = one.key.split("_")[1]
    for change, status in (
        ("accounts = '[%d]'" % number, 404),
        ("accounts = NULL", 200),
        ("expires_at = now()", 401),
        ("expires_at = NULL, revoked_at = now()", 401),
    ):
        await owner.execute(f"UPDATE api_key SET {change} WHERE prefix = $1", prefix)
        authenticator.forget()
        assert (await one.fetch(export["url"])).status == status, change


def test_ids_are_read_in_one_form_only() -> None:
    """An id is given back exactly, and no other text is the same id."""
    number = UUID(int=2**127 + 12345)
    text = encode_export_id(number)
    assert decode_export_id(text) == number
    for other in (text.upper(), f" {text}", f"{text}=", text[:-1], text.replace("exp_", "hold_"), f"{text}\n"):
        assert decode_export_id(other) is None
