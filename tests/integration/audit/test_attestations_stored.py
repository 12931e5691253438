"""Stored statements of retention: what the ledger knows of them, those that failed, and what somebody changes."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
from manipulating import Case, assert_named_everywhere
from retaining import SHORT, RetainedLedger, open_retained

from policies import digest
from policies.evidence.attestation import canonical, statement_digest
from service.ledger import Checkpoints, LedgerKind
from service.retention.audit.attestation.making import MadeAttestation, NotQueuedError, attest, attest_queued
from service.retention.audit.attestation.requests import request_attestation
from service.retention.audit.attestation.statement import unmet
from service.retention.audit.start_check import differences_at_start
from service.storage.connection import advisory_lock_of_long_work
from service.storage.control.attestations import (
    LOCK,
    REQUESTS_MAX,
    AttestationBusyError,
    AttestationRecord,
    AttestationState,
    end_unmade,
    get_attestation,
    next_attestation,
    page_attestations,
    statement_of,
)
from service.storage.control.policies import AppliedPolicy

APPLIED = AppliedPolicy(SHORT, 1, digest(SHORT), datetime.now(UTC), "cli")
KEY = "testkey2"


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(database_url, tmp_path) as retained:
        await Checkpoints(retained.ledger).sign()
        yield retained


async def made(retained: RetainedLedger) -> MadeAttestation:
    return await attest(retained.retention, retained.ledger, APPLIED, days=92)


async def listed(retained: RetainedLedger) -> list[AttestationRecord]:
    """As they are shown."""
    async with retained.retention.database.reading(None) as connection:
        return await page_attestations(connection, 50, behind=None)


async def test_what_is_stored_is_what_the_ledger_has(retained: RetainedLedger) -> None:
    """The entry of the statement has its digest and how much of it is not met, and the row has the bytes of that."""
    one = await made(retained)
    [record] = await listed(retained)
    stored = await statement_of(retained.retention.owner, one.id)

    assert stored is not None
    assert stored == canonical(one.statement)
    assert record.digest == statement_digest(one.statement) == f"sha256:{sha256(stored).hexdigest()}"
    assert (record.id, record.state, record.requested_by) == (one.id, AttestationState.DONE, "cli")
    assert (record.ledger_index, record.unmet) == (one.index, unmet(one.statement))
    assert unmet(one.statement) > 0, "no purge has run yet"
    assert record.checks == record.checks_done > 20
    kinds = await retained.kinds()
    assert kinds.index("ATTESTATION_REQUESTED") < kinds.index("ATTESTED")
    assert await differences_at_start(retained.retention) == []


async def test_a_run_that_fails_is_seen_to_have_failed(retained: RetainedLedger) -> None:
    """Its row says so, the ledger that it was begun, and there is no statement; the next one is made."""
    owner = retained.retention.owner
    await owner.execute("ALTER TABLE hold RENAME TO gone")
    with pytest.raises(asyncpg.UndefinedTableError):
        await made(retained)
    await owner.execute("ALTER TABLE gone RENAME TO hold")
    [record] = await listed(retained)

    assert (record.state, record.digest, record.unmet) == (AttestationState.FAILED, None, None)
    assert "something went wrong" in (record.failure or "")
    assert "ATTESTATION_REQUESTED" in await retained.kinds()
    assert "ATTESTED" not in await retained.kinds()
    assert await differences_at_start(retained.retention) == []
    await made(retained)
    assert [one.state for one in await listed(retained)] == [AttestationState.DONE, AttestationState.FAILED]


async def test_a_run_that_was_killed_is_seen_to_have_failed(retained: RetainedLedger) -> None:
    """It is RUNNING for as long as somebody has the lock, and not a moment longer, whatever its row says."""
    one = await request_attestation(retained.retention, days=92, actor=KEY)
    owner = retained.retention.owner
    async with advisory_lock_of_long_work(retained.retention.database.url, LOCK) as free:
        assert free
        await owner.execute("UPDATE attestation SET state = 'RUNNING' WHERE id = $1", one)
        assert [one.state for one in await listed(retained)] == [AttestationState.RUNNING]
        with pytest.raises(AttestationBusyError):
            await made(retained)
        # As a second service does, whose process was refused because the first one's makes it.
        await end_unmade(owner, one, "it was not free")
        assert [one.state for one in await listed(retained)] == [AttestationState.RUNNING]
    [record] = await listed(retained)
    assert record.state is AttestationState.FAILED
    assert "has ended" in (record.failure or "")
    await made(retained)
    assert await owner.fetchval("SELECT state FROM attestation WHERE id = $1", one) == "FAILED"


async def test_one_that_a_key_asked_for_is_made_once_and_by_its_name(retained: RetainedLedger) -> None:
    """It waits until it is taken; the entry of the statement names the key; it cannot be made a second time."""
    await Checkpoints(retained.ledger).sign()
    id_ = await request_attestation(retained.retention, days=7, actor=KEY)
    owner = retained.retention.owner
    assert await next_attestation(owner) == id_
    one = await attest_queued(retained.retention, retained.ledger, APPLIED, id_)
    record = await get_attestation(owner, id_)
    entry = await retained.ledger.entry(one.index)

    assert record is not None
    assert entry is not None
    assert (record.state, record.requested_by, record.days) == (AttestationState.DONE, KEY, 7)
    assert (entry.kind, entry.actor) == (LedgerKind.ATTESTED, KEY)
    assert one.statement["period"]["days"] == 7
    assert await next_attestation(owner) is None
    with pytest.raises(NotQueuedError):
        await attest_queued(retained.retention, retained.ledger, APPLIED, id_)
    assert await differences_at_start(retained.retention) == []


async def test_keys_ask_for_one_at_a_time_and_for_few_in_a_day(retained: RetainedLedger) -> None:
    """While one waits nobody gets another, and is told which; what the command line makes does not count."""
    context = retained.retention
    for _ in range(REQUESTS_MAX):
        id_ = await request_attestation(context, days=1, actor=KEY)
        with pytest.raises(AttestationBusyError) as refused:
            await request_attestation(context, days=1, actor="another")
        assert refused.value.running == id_
        await context.owner.execute("UPDATE attestation SET state = 'FAILED' WHERE id = $1", id_)
    with pytest.raises(AttestationBusyError) as refused:
        await request_attestation(context, days=1, actor="another")
    assert (refused.value.running, refused.value.seconds > 3600) == (None, True)
    await made(retained)


async def test_a_clock_that_was_ahead_keeps_nobody_waiting(retained: RetainedLedger) -> None:
    """What was asked for in a year that has not come yet counts for no day of this one."""
    context = retained.retention
    for _ in range(REQUESTS_MAX):
        id_ = await request_attestation(context, days=1, actor=KEY)
        await context.owner.execute(
            "UPDATE attestation SET state = 'FAILED', requested_at = now() + interval '100 years' WHERE id = $1", id_
        )
    await request_attestation(context, days=1, actor=KEY)


async def test_what_is_past_its_time_is_forgotten(retained: RetainedLedger) -> None:
    """The next run removes it; what waits and what is young stays."""
    await made(retained)
    await retained.retention.owner.execute(
        "INSERT INTO attestation (id, state, requested_by, requested_at, days, is_full, checks, checks_done) "
        "SELECT gen_random_uuid(), 'FAILED', 'cli', now() - interval '401 days', 1, false, 0, 0"
    )
    assert len(await listed(retained)) == 2
    await made(retained)
    assert [one.state for one in await listed(retained)] == [AttestationState.DONE] * 2


async def test_nothing_is_forgotten_by_a_clock_that_differs(retained: RetainedLedger) -> None:
    """A database whose clock is far ahead would take all of them for old: they stay, and a statement is made."""
    one = await made(retained)
    retained.retention.clock = lambda: datetime.now(UTC) - timedelta(days=401)
    await retained.retention.owner.execute("UPDATE attestation SET requested_at = now() - interval '401 days'")
    await made(retained)
    assert one.id in {one.id for one in await listed(retained)}


@pytest.fixture
async def case(retained: RetainedLedger, tmp_path: Path) -> Case:
    """A ledger with two statements, which somebody with the database in his hands has before him."""
    case = Case(retained, tmp_path)
    await case.start()
    await made(retained)
    await made(retained)
    return case


async def edit(case: Case) -> None:
    await case.sql(
        "UPDATE attestation SET statement = convert_to("
        "regexp_replace(convert_from(statement, 'UTF8'), '\"holds\":false', '\"holds\":true', 'g'), 'UTF8')"
    )


async def swap(case: Case) -> None:
    await case.sql(
        "UPDATE attestation SET statement = (SELECT statement FROM attestation ORDER BY ledger_index LIMIT 1)"
    )


async def lead_elsewhere(case: Case) -> None:
    await case.sql("UPDATE attestation SET ledger_index = ledger_index - 1")


async def delete(case: Case) -> None:
    await case.sql("DELETE FROM attestation WHERE ledger_index = (SELECT min(ledger_index) FROM attestation)")


async def take_away(case: Case) -> None:
    await case.sql("UPDATE attestation SET state = 'FAILED', statement = NULL, ledger_index = NULL")


async def empty(case: Case) -> None:
    await case.sql("UPDATE attestation SET statement = NULL")


async def add(case: Case) -> None:
    await case.sql(
        "INSERT INTO attestation SELECT requested_at, ended_at, ledger_index, days, checks, checks_done, "
        "gen_random_uuid(), is_full, state, requested_by, failure, statement FROM attestation LIMIT 1"
    )


async def rename(case: Case) -> None:
    await case.sql("UPDATE attestation SET requested_by = 'testkey2'")


async def date_anew(case: Case) -> None:
    await case.sql("UPDATE attestation SET requested_at = requested_at + interval '40 days'")


async def call_whole(case: Case) -> None:
    await case.sql("UPDATE attestation SET is_full = true")


@pytest.mark.parametrize(
    ("manipulate", "says"),
    [
        (edit, "it was altered"),
        (swap, "it was altered"),
        (lead_elsewhere, "leads to another one here"),
        (delete, "of the ledger and not here"),
        (take_away, "of the ledger and is not here"),
        (empty, "of the ledger and is not here"),
        (add, "is in no entry of the ledger"),
        (rename, "was asked for by another key"),
        (date_anew, "was asked for at another time"),
        (call_whole, "is of what has changed by entry"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_what_somebody_does_to_statements_is_named(
    case: Case, manipulate: Callable[[Case], Awaitable[None]], says: str
) -> None:
    """By fsck, at start, and by the next statement."""
    assert "attestations" not in await case.fsck()
    await manipulate(case)
    await assert_named_everywhere(case, "attestations", says)


async def test_when_it_was_made_is_when_its_entry_was_written(case: Case) -> None:
    """Whatever the row says."""
    await case.sql("UPDATE attestation SET ended_at = now() + interval '40 days'")
    for one in await listed(case.retained):
        assert one.ledger_index is not None
        entry = await case.retained.ledger.entry(one.ledger_index)
        assert entry is not None
        assert one.ended_at == entry.recorded_at


@pytest.mark.parametrize("manipulate", [lead_elsewhere, add], ids=lambda value: value.__name__)
async def test_what_the_ledger_does_not_have_is_not_shown_as_made(
    case: Case, manipulate: Callable[[Case], Awaitable[None]]
) -> None:
    """A row that leads to no entry of its own has failed, whatever it says: it shows no digest and no result."""
    await manipulate(case)
    lost = [one for one in await listed(case.retained) if one.state is not AttestationState.DONE]
    assert lost
    for one in lost:
        assert (one.state, one.digest, one.unmet, one.bytes) == (AttestationState.FAILED, None, None, None)
        assert "the ledger has no such statement" in (one.failure or "")
