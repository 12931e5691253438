"""The files of evidence: how long they are there, and what becomes of them when something is in their way."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from auditing import auditor, fill, serving
from evidence import exports_folder
from http_server import Served

from policies.policy.document import load_preset
from policies.policy.model import Role
from service.api.exports.types import decode_export_id, encode_export_id
from service.export.folder import ExportFolder
from service.export.jobs import ExportWriter
from service.storage.control.exports import (
    StoredExportKind,
    add_export,
    claim_export,
)


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
    writer = ExportWriter(served.runtime, ExportFolder(served.runtime.settings.data / "exports"))
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
        await ExportWriter(served.runtime, ExportFolder(served.runtime.settings.data / "exports")).tidy()
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
    await ExportWriter(served.runtime, ExportFolder(served.runtime.settings.data / "exports")).tidy()

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
    writer = ExportWriter(runtime, ExportFolder(runtime.settings.data / "exports"))
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
    writer = ExportWriter(runtime, ExportFolder(runtime.settings.data / "exports"))
    await writer._live()
    async with owner.acquire() as connection, connection.transaction():
        await add_export(connection, uuid4(), StoredExportKind.EVIDENCE, scope, "", {"start": 0, "size": 99})
    record = await claim_export(owner, writer._worker, 1)
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
