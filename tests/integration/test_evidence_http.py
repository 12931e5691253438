"""Evidence by HTTP alone: who has an auditor's key and no shell gets a bundle that verifies, and nobody else does."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from evidence import Auditor, exports_folder
from http_server import Served, serve
from rows import open_shelf

from policies.evidence import read_leaf, verify
from policies.evidence.verify import read_base64
from policies.policy.document import load_preset
from policies.policy.model import Role
from service.api.exports.types import decode_export_id, encode_export_id
from service.export.folder import ExportFolder
from service.export.jobs import ExportWriter
from service.ledger import LedgerKind
from service.storage.control.exports import (
    KEPT_MAX,
    QUEUED_MAX,
    UNDER_WAY_MAX,
    ExportBusyError,
    StoredExportKind,
    add_export,
    claim_export,
    request_export,
)

ROOT = Path(__file__).parents[2]
ABSENT = (
    "exp_aaaaaaaaaaaaaaaaaaaaaaaaaa", "exp_", "exp_x", "..%2F..%2Fadmin.key", "exp_..%2Fadmin.key", "%00", "exp_%00",
    "call_aaaaaaaaaaaaaaaaaaaaaaaaaa", "EXP_AAAAAAAAAAAAAAAAAAAAAAAAAA", "exp_aaaaaaaaaaaaaaaaaaaaaaaaab", "x" * 5000,
)  # fmt: skip


@asynccontextmanager
async def serving(url: str, folder: Path, **settings: Any) -> AsyncIterator[Served]:
    async with open_shelf(url, folder) as shelf, serve(shelf, **settings) as served:
        yield served


@pytest.fixture
async def served(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(database_url, tmp_path) as served:
        yield served


@pytest.fixture
async def unwatched(database_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    """The same, and the queue of exports is the test's own."""
    async with serving(database_url, tmp_path, exports=False) as served:
        yield served


async def auditor(served: Served, role: Role = Role.AUDITOR, *accounts: int) -> Auditor:
    return Auditor(served, await served.key(role, *accounts))


async def fill(served: Served, count: int) -> None:
    """Entries with notes, and two policies of which one is named."""
    for number in range(count):
        await served.runtime.ledger.append(LedgerKind.EXPORTED, {"rows": number}, actor="cli", note=f"reason {number}")


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


async def test_a_policy_that_takes_the_right_takes_the_file(served: Served) -> None:
    """Under a policy by which auditors may not have evidence, what they have asked for before is not given out."""
    one = await auditor(served)
    export = await one.bundle()
    text = load_preset("default")
    rules = {**text.roles, Role.AUDITOR: _without(text.roles[Role.AUDITOR], "createEvidence")}
    applied = served.runtime.applied
    served.runtime.applied = replace(applied, policy=replace(text, roles=rules))
    assert (await one.fetch(export["url"])).status == 404
    served.runtime.applied = applied
    assert (await one.fetch(export["url"])).status == 200


def _without(rule: Any, root: str) -> Any:
    return replace(rule, ask=frozenset(rule.ask) - {root})


async def test_what_has_expired_is_gone(served: Served) -> None:
    """At its moment it is EXPIRED and 404; a round then removes the file and what was asked, and one later forgets."""
    owner, one = served.runtime.database.owner, await auditor(served)
    export = await one.bundle()
    await owner.execute("UPDATE export SET expires_at = clock_timestamp()")
    gone = await one.export(export["id"])
    assert (gone["state"], gone["url"], gone["manifest"]) == ("EXPIRED", None, None)
    assert (await one.fetch(export["url"])).status == 404
    writer = ExportWriter(served.runtime, ExportFolder(served.runtime.settings.data))
    await writer.tidy()
    assert list(exports_folder(served).iterdir()) == []
    assert await owner.fetchval("SELECT request::text || manifest IS NULL FROM export")
    assert (await one.export(export["id"]))["sha256"] == export["sha256"]
    await owner.execute("UPDATE export SET expires_at = now() - interval '31 days'")
    await writer.tidy()
    assert await one.export(export["id"]) is None


async def test_the_lifetime_is_the_operators(database_url: str, tmp_path: Path) -> None:
    """CALLEDGER_EXPORT_HOURS after it is ready, a file expires."""
    async with serving(database_url, tmp_path, export_hours=3) as served:
        await (await auditor(served)).bundle()
        assert await served.runtime.database.owner.fetchval("SELECT expires_at - ended_at FROM export") == timedelta(
            hours=3
        )


@pytest.mark.parametrize("change", ["link", "folder", "fifo", "hard link", "longer", "shorter", "absent"])
async def test_what_was_put_in_the_files_place_is_not_served(served: Served, tmp_path: Path, change: str) -> None:
    """A link, a folder, a pipe, another name of a file, another length: not what was written, so it is not there."""
    one = await auditor(served)
    export = await one.bundle()
    [file] = exports_folder(served).iterdir()
    content, secret = file.read_bytes(), tmp_path / "secret"
    secret.write_bytes(b"x" * len(content))
    if change in ("longer", "shorter"):
        file.write_bytes(content + b"x" if change == "longer" else content[:-1])
    else:
        file.unlink()
    {"link": lambda: file.symlink_to(secret), "folder": file.mkdir, "fifo": lambda: os.mkfifo(file),
     "hard link": lambda: file.hardlink_to(secret)}.get(change, lambda: None)()  # fmt: skip

    assert (await one.fetch(export["url"])).status == 404


async def test_a_link_in_the_folders_place_is_not_followed(served: Served, tmp_path: Path) -> None:
    """Nothing is written, read or removed through it: what is asked for fails, and says so."""
    one = await auditor(served)
    export = await one.bundle()
    folder, elsewhere = exports_folder(served), tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    (elsewhere / "kept").write_text("not ours")

    assert (await one.fetch(export["url"])).status == 404
    with pytest.raises(OSError, match="exports"):
        await ExportWriter(served.runtime, ExportFolder(served.runtime.settings.data)).tidy()
    assert (elsewhere / "kept").exists()


async def test_strange_files_are_swept_and_files_in_use_are_not(served: Served) -> None:
    """Drafts of processes that ended, and whatever else lies there, go; links are removed, not followed."""
    one = await auditor(served)
    export = await one.bundle()
    folder = exports_folder(served)
    target = folder.parent / "target"
    target.write_text("x")
    (folder / f"{uuid4().hex}.part").write_text("x")
    (folder / "stray").write_text("x")
    (folder / "link").symlink_to(target)
    await ExportWriter(served.runtime, ExportFolder(served.runtime.settings.data)).tidy()

    assert [file.name for file in folder.iterdir()] == [decode_export_id(export["id"]).hex]
    assert target.exists()


async def test_what_a_dead_process_was_writing_fails(served: Served) -> None:
    """An export whose writer's lock nobody holds is FAILED, and its key may ask again; one that is written goes on."""
    owner, one = served.runtime.database.owner, await auditor(served)
    prefix, dead, alive = one.key.split("_")[1], uuid4(), uuid4()
    lock = 2**40 + 7
    async with held_lock(served.runtime.database.url, lock):
        for id_, by, worker in ((dead, prefix, 2**40 + 8), (alive, "other", lock)):
            await owner.execute(
                "INSERT INTO export (id, kind, state, requested_by, role, policy, request, requested_at, worker) "
                "VALUES ($1, 'EVIDENCE', 'RUNNING', $2, 'auditor', '', '{}', now(), $3)",
                id_, by, worker,
            )  # fmt: skip
        served.runtime.export_asked.set()
        failed = await one.ended(encode_export_id(dead))
        assert (failed["state"], "ask for it again" in failed["failure"]) == ("FAILED", True)
        assert await owner.fetchval("SELECT state FROM export WHERE id = $1", alive) == "RUNNING"
    await one.bundle()


@asynccontextmanager
async def held_lock(url: str, number: int) -> AsyncIterator[None]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", number)
        yield
    finally:
        await connection.close()


async def test_what_was_taken_away_meanwhile_is_not_kept(served: Served) -> None:
    """A writer whose export was given up by the others leaves no file behind."""
    runtime, one = served.runtime, await auditor(served)
    await one.bundle()
    writer = ExportWriter(runtime, ExportFolder(runtime.settings.data))
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        scope = await runtime.authenticator.authenticate(f"Bearer {one.key}")
        record = await add_export(connection, uuid4(), StoredExportKind.EVIDENCE, scope, "", {"start": 0, "size": 1})
        await connection.execute("UPDATE export SET state = 'FAILED' WHERE id = $1", record.id)
    await writer._write(record)

    assert record.id.hex not in {file.name for file in exports_folder(served).iterdir()}


async def test_what_could_not_even_be_given_up_ends_with_its_lock(unwatched: Served) -> None:
    """While the record is away nobody can be told; when it is back, the export is FAILED and not forgotten."""
    runtime, one = unwatched.runtime, await auditor(unwatched)
    owner, scope = runtime.database.owner, await runtime.authenticator.authenticate(f"Bearer {one.key}")
    writer = ExportWriter(runtime, ExportFolder(runtime.settings.data))
    await writer._live()
    async with owner.acquire() as connection, connection.transaction():
        await add_export(connection, uuid4(), StoredExportKind.EVIDENCE, scope, "", {"start": 0, "size": 99})
    record = await claim_export(owner, writer._worker)
    assert record is not None
    await owner.execute("ALTER TABLE export RENAME TO export_away")
    with pytest.raises(asyncpg.UndefinedTableError):
        await writer._write(record)
    await owner.execute("ALTER TABLE export_away RENAME TO export")
    deadline = asyncio.get_running_loop().time() + 60
    while (state := (await one.export(encode_export_id(record.id)))["state"]) == "RUNNING":
        assert asyncio.get_running_loop().time() < deadline
        await writer.tidy()
        await asyncio.sleep(0.05)
    assert state == "FAILED"


async def test_a_full_disk_fails_the_export_and_nothing_else(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """No draft is left, the reason is told, the next one is written."""
    import resource

    one = await auditor(served)
    await fill(served, 500)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    created = await one.create()
    await one.ended(created["export"]["id"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        failed = await one.ended((await one.create())["export"]["id"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (failed["state"], failed["failure"]) == ("FAILED", "the file cannot be written: file too large")
    assert all(file.suffix != ".part" for file in exports_folder(served).iterdir())
    await one.bundle()


async def test_several_processes_share_the_queue(unwatched: Served) -> None:
    """Each export is claimed once, by whichever process comes first."""
    runtime = unwatched.runtime
    principals = [
        await runtime.authenticator.authenticate(f"Bearer {await unwatched.key(Role.AUDITOR)}") for _ in range(6)
    ]
    ids = set()
    async with runtime.database.owner.acquire() as connection, connection.transaction():
        for principal in principals:
            request = {"start": 0, "size": 0}
            record = await add_export(connection, uuid4(), StoredExportKind.EVIDENCE, principal, "", request)
            ids.add(record.id)
    claimed = await asyncio.gather(*(claim_export(runtime.database.owner, number) for number in range(8)))
    assert {record.id for record in claimed if record is not None} == ids
    assert sum(record is None for record in claimed) == 2


async def test_an_export_is_not_handed_over_by_the_services_roles(served: Served) -> None:
    """What serves requests reads exports and cannot write them."""
    for statement in (
        "UPDATE export SET requested_by = 'me'", "DELETE FROM export",
        "INSERT INTO export SELECT * FROM export",
    ):  # fmt: skip
        async with served.runtime.database.writer.acquire() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


async def test_a_few_exports_a_key_whatever_comes_at_once(unwatched: Served) -> None:
    """However many come together, a key has four exports under way, and all keys together so many that wait."""
    database = unwatched.runtime.database

    async def ask(key: str) -> bool:
        """Whether an export of the key is taken."""
        principal = await unwatched.runtime.authenticator.authenticate(f"Bearer {key}")
        try:
            await request_export(database, uuid4(), StoredExportKind.EVIDENCE, principal, "", {})
        except ExportBusyError:
            return False
        return True

    one, other = await unwatched.key(Role.AUDITOR), await unwatched.key(Role.AUDITOR)
    taken = await asyncio.gather(*(ask(one) for _ in range(12)))
    assert taken.count(True) == UNDER_WAY_MAX
    await database.owner.execute(
        "INSERT INTO export (id, kind, state, requested_by, role, policy, request, requested_at) SELECT "
        "gen_random_uuid(), 'EVIDENCE', 'QUEUED', 'k' || n, 'auditor', '', '{}', now() "
        "FROM generate_series(1, $1) AS n",
        QUEUED_MAX - UNDER_WAY_MAX - 1,
    )
    assert [await ask(other), await ask(other)] == [True, False]


async def test_a_key_with_many_exports_does_not_keep_the_others_waiting(unwatched: Served) -> None:
    """Of those that wait, one of a key that has none under way is written before the second of another."""
    database, principals = unwatched.runtime.database, []
    for _ in range(2):
        key = await unwatched.key(Role.AUDITOR)
        principals.append(await unwatched.runtime.authenticator.authenticate(f"Bearer {key}"))
    for principal in (principals[0], principals[0], principals[0], principals[1]):
        await request_export(database, uuid4(), StoredExportKind.EVIDENCE, principal, "", {})
    claimed = [await claim_export(database.owner, 1) for _ in range(2)]
    assert [record.requested_by for record in claimed if record] == [one.key_id for one in principals]


async def test_a_ledger_of_any_length_takes_little_memory(served: Served) -> None:
    """The bundle is written and sent part by part: a hundred times the entries, the same peak."""
    import tracemalloc

    one = await auditor(served)
    peaks = []
    for count in (200, 6_000):
        async with served.runtime.database.writer.acquire() as connection, connection.transaction():
            for number in range(count):
                await served.runtime.ledger.append(
                    LedgerKind.EXPORTED, {"rows": number, "digest": "x" * 190}, actor="cli", connection=connection
                )
        tracemalloc.start()
        try:
            export = await one.bundle()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert int(export["bytes"]) > 2_500_000
    assert peaks[1] < peaks[0] + 3 * 2**20


async def test_who_hangs_up_harms_nobody(served: Served) -> None:
    """A download that is broken off leaves the service answering."""
    one = await auditor(served)
    await fill(served, 2_000)
    export = await one.bundle()
    url = served.url.removesuffix("/graphql") + export["url"]
    for _ in range(3):
        response = await served.session.get(url, headers={"Authorization": f"Bearer {one.key}"})
        await response.content.read(10)
        response.close()
    assert (await one.fetch(export["url"])).headers["Content-Length"] == export["bytes"]


def test_ids_are_read_in_one_form_only() -> None:
    """An id is given back exactly, and no other text is the same id."""
    number = UUID(int=2**127 + 12345)
    text = encode_export_id(number)
    assert decode_export_id(text) == number
    for other in (text.upper(), f" {text}", f"{text}=", text[:-1], text.replace("exp_", "hold_"), f"{text}\n"):
        assert decode_export_id(other) is None
