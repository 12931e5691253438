"""The process that makes a statement of retention, and the loop that starts it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ingesting import eventually

from service.retention.audit.attestation.requests import request_attestation
from service.runtime.runtime import Runtime, open_runtime
from service.server import attesting
from service.settings import Settings
from service.storage.control.attestations import AttestationState, get_attestation
from service.tasks import background


@pytest.fixture
async def runtime(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """A runtime whose database a process of its own finds, too."""
    monkeypatch.setenv("CALLEDGER_DATABASE_URL", database_url)
    async with open_runtime(Settings(data=tmp_path, database_url=database_url)) as runtime:
        yield runtime


async def test_a_process_that_hangs_is_ended(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not made in its time has failed, so that another statement can be asked for."""
    monkeypatch.setattr(attesting, "RUN_MAX_S", 0.01)
    id_ = await request_attestation(runtime.retention, days=1, actor="testkey2")
    owner = runtime.database.owner

    async def ended() -> bool:
        """Whether it is neither waiting nor being made."""
        record = await get_attestation(owner, id_)
        return record is not None and record.state not in (AttestationState.QUEUED, AttestationState.RUNNING)

    async with background([attesting.attest_for_ever(runtime, asyncio.Event())]):
        await eventually(ended)
    record = await get_attestation(owner, id_)
    assert record is not None
    assert (record.state, record.digest) == (AttestationState.FAILED, None)
    await request_attestation(runtime.retention, days=1, actor="testkey2")


async def test_old_statements_are_forgotten_without_a_new_one(runtime: Runtime) -> None:
    """The elected service forgets them when their time has come, and keeps the young."""
    owner = runtime.database.owner
    await owner.execute(
        "INSERT INTO attestation (id, state, requested_by, requested_at, days, is_full, checks, checks_done) "
        "SELECT gen_random_uuid(), 'FAILED', 'cli', now() - make_interval(days => age), 1, false, 0, 0 "
        "FROM unnest(ARRAY[399, 401]) AS age"
    )

    async def forgotten() -> bool:
        """Whether the young one is alone."""
        return await owner.fetchval("SELECT count(*) = 1 FROM attestation")

    async with background([attesting.attest_for_ever(runtime, asyncio.Event())]):
        await eventually(forgotten)
    assert await owner.fetchval("SELECT requested_at > now() - interval '400 days' FROM attestation")
