"""fsck leaves out what nothing has changed in since it was checked, says so, and is not deceived by it for long."""

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from conftest import Server, running_server
from feeding import number
from ingesting import call
from retaining import NOW, RetainedLedger, failed, open_retained

from policies.policy.document import digest
from policies.policy.model import Store
from service.query.records.feed import days, positions
from service.retention.audit.attestation.making import attest
from service.retention.audit.fsck import CHECKS, Finding, check_ledger
from service.retention.audit.incremental.results import AGAIN, Results
from service.retention.audit.incremental.run import FsckRun
from service.storage.control.policies import AppliedPolicy
from service.storage.embedded import processes

pytestmark = pytest.mark.plain("fsck leaves out what nothing has changed in")

PARTWISE = ("rows", "errors", "usage", "feed", "ids", "bills")
FLUSH = "SELECT pg_stat_force_next_flush()"


@pytest.fixture
async def retained(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RetainedLedger]:
    for module in (positions, days):
        monkeypatch.setattr(module, "BLOCK", 2)
    async with checked(database_url, tmp_path) as retained:
        yield retained


@asynccontextmanager
async def checked(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    """Calls of several weeks in two accounts, one of them failed, all of them summed; checked once."""
    async with open_retained(database_url, tmp_path) as retained:
        await retained.report(*(call(f"c{days}", started_at=back(days), account="acme") for days in (26, 19, 12)))
        await retained.report(call("b19", started_at=back(19), account="beta", amount="2", currency="USD"))
        await retained.report(failed("f2", NOW - timedelta(days=2)))
        await retained.compact()
        await number(retained.ingest)
        await settle(retained)
        assert await wrong(retained) == {}
        yield retained


def back(days: int) -> str:
    return (NOW - timedelta(days=days)).isoformat()


async def settle(retained: RetainedLedger) -> None:
    """Have PostgreSQL add up at once what each connection has changed, which it does within a minute by itself."""
    for pool in (retained.retention.owner, retained.ingest.database.writer):
        connections = [await pool.acquire() for _ in range(pool.get_idle_size())]
        for connection in connections:
            await connection.execute(FLUSH)
            await connection.execute("SELECT 1")
        for connection in connections:
            await pool.release(connection)


async def change(retained: RetainedLedger, statement: str) -> None:
    assert not (await retained.retention.owner.execute(statement)).endswith(" 0"), statement
    await settle(retained)


async def fsck(retained: RetainedLedger, **options: Any) -> dict[str, tuple[bool, str]]:
    found = check_ledger(retained.retention, again=True, **options)
    return {one.check: (one.ok, one.detail) async for one in found}


async def wrong(retained: RetainedLedger, **options: Any) -> dict[str, str]:
    return {check: detail for check, (ok, detail) in (await fsck(retained, **options)).items() if not ok}


async def one(retained: RetainedLedger, check: str, **options: Any) -> Finding:
    """A run of one check."""
    return await CHECKS[check](await FsckRun.open(retained.retention, again=True, **options))


async def grow_old(retained: RetainedLedger) -> None:
    """Store all results as if they had been found as long ago as they count."""
    secret = await retained.ingest.keyring.secret("pepper")
    then: datetime = await retained.value("SELECT clock_timestamp()") - AGAIN
    results = Results(retained.retention.owner, then, secret)
    for row in await retained.retention.owner.fetch("SELECT * FROM fsck_result"):
        await results.keep(row["check_name"], row["part"], row["state"], row["result"])


async def test_what_has_not_changed_is_left_out(retained: RetainedLedger) -> None:
    """The second run checks nothing again but errors that are within their window, and says so; `full` checks all."""
    found = await fsck(retained)
    for check in set(PARTWISE) - {"errors"}:
        assert "; 0 of " in found[check][1].replace("of calls ", "") or " 0 of " in found[check][1], found[check]
        assert "unchanged since they were" in found[check][1]
    assert "; 1 of 4 partitions" in found["errors"][1]
    full = await fsck(retained, full=True)
    assert all("checked now" in full[check][1] and "unchanged" not in full[check][1] for check in PARTWISE)


OLDEST = "(SELECT min(started_at) FROM call)"
FIRST = "position = (SELECT min(position) FROM call_change)"
DAY = "+ interval '1 day'"
# What is set, and to what it is set again, in the rows of the second account's call or of the oldest call.
SET = [
    ("usage", "call", "amount = 5", "amount = NULL", f"started_at = {OLDEST}"),
    ("usage", "usage_day", "calls = calls + 1", "calls = calls - 1", "amount = 2"),
    ("usage", "usage_quarter", "input_tokens = input_tokens + 1", "input_tokens = input_tokens - 1", "amount = 2"),
    ("usage", "usage_half_hour", "calls = calls + 1", "calls = calls - 1", "amount = 2"),
    ("usage", "usage_day_all", "errors = errors + 1", "errors = errors - 1", "amount = 2"),
    ("usage", "usage_hour_all", "wasted = wasted + 1", "wasted = wasted - 1", "amount = 2"),
    ("ids", "call", "source_id = 'other'", "source_id = 'b19'", "amount = 2"),
    (
        "feed",
        "call_change",
        f"recorded_at = recorded_at {DAY}",
        f"recorded_at = recorded_at -{DAY[1:]}",
        FIRST,
    ),
    ("feed", "call_change", "account_id = 2", "account_id = 1", FIRST),
    ("feed", "call", f"recorded_at = recorded_at {DAY}", f"recorded_at = recorded_at -{DAY[1:]}", "source_id = 'c19'"),
    ("rows", "account_tier", "tier = 7", "tier = 1", "account_id = 2"),
]
CHANGES = [
    *(
        (check, f"UPDATE {table} SET {done} WHERE {which}", f"UPDATE {table} SET {undone} WHERE {which}")
        for check, table, done, undone, which in SET
    ),
    (
        "rows",
        "INSERT INTO account_tier (account_id, tier, from_at) VALUES (1, 7, now() - interval '50 days')",
        "DELETE FROM account_tier WHERE tier = 7",
    ),
    ("errors", "DELETE FROM call_error", "SELECT 1"),
]


async def test_a_change_is_found_by_the_next_run(retained: RetainedLedger) -> None:
    """Of calls, of each kind of sums, and of what a check rests on; what was put right is right again."""
    for check, done, undone in CHANGES:
        await change(retained, done)
        assert not (await one(retained, check)).ok, done
        assert not (await one(retained, check)).ok, "what is wrong is checked again"
        await change(retained, undone)
        assert (await one(retained, check)).ok or check == "errors", undone


async def test_a_change_that_is_not_counted_is_found_in_time(retained: RetainedLedger) -> None:
    """Whoever owns the server can have it count nothing: a full run finds it at once, any other after `AGAIN`."""
    await change(retained, "UPDATE call SET source_id = 'other' WHERE source_id = 'c19'")
    run = await FsckRun.open(retained.retention, again=True)
    states = await run.states()
    for part in await run.partitions(Store.CALL):  # as if nothing had been counted
        await run.results.keep("ids", part.name, f"{states.of(part)}; ")

    assert (await one(retained, "ids")).ok
    assert not (await one(retained, "ids", full=True)).ok
    await grow_old(retained)
    assert not (await one(retained, "ids")).ok


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that may crash, and forgets nothing that was committed."""
    with running_server(processes.bundled_programs(), {"synchronous_commit": "on"}) as server:
        server.template()
        yield server


async def test_what_is_counted_anew_is_checked_anew(own_server: Server, tmp_path: Path) -> None:
    """A change between two crashes is found, though PostgreSQL has counted nothing before the first and after the
    second; so is one between two resets of statistics. A server that was a standby meanwhile is believed nothing that
    it counted before, and one that was only restarted all of it.
    """
    done, undone = (f"UPDATE call SET source_id = '{name}' WHERE amount = 2" for name in ("other", "b19"))
    with own_server.database(template=own_server.template()) as url:
        async with checked(url, tmp_path) as retained:
            owner = retained.retention.owner

            async def reset() -> None:
                """Have statistics forgotten by a superuser."""
                await settle(retained)
                superuser = await asyncpg.connect(own_server.url(urlsplit(url).path.strip("/"), user="postgres"))
                await superuser.execute("SELECT pg_stat_reset()")
                await superuser.close()

            async def restart(number: int) -> None:
                """End the server by this signal, and start it again."""
                own_server.close()
                own_server.process.send_signal(number)
                own_server.process.wait(60)
                own_server.start()
                own_server.await_ready()
                await owner.expire_connections()

            async def crash() -> None:
                await restart(signal.SIGQUIT)

            for forget in (reset, crash):
                await forget()
                assert "unchanged" not in (await one(retained, "ids")).detail
                assert "unchanged" in (await one(retained, "ids")).detail
                await owner.execute(done)
                await forget()
                assert not (await one(retained, "ids")).ok, forget
                await owner.execute(undone)
            await settle(retained)
            assert (await one(retained, "ids")).ok

            await restart(signal.SIGINT)
            assert "unchanged" in (await one(retained, "ids")).detail
            standby = own_server.folder / "cluster" / "standby.signal"
            standby.touch()
            os.chown(standby, *own_server.identity.owner)
            await restart(signal.SIGINT)
            own_server.execute("SELECT pg_promote()")
            await owner.expire_connections()
            assert "unchanged" not in (await one(retained, "ids")).detail


async def test_a_result_that_somebody_wrote_counts_for_nothing(retained: RetainedLedger) -> None:
    """Neither a state that was made to fit, nor a later time, nor the result of another part."""
    await change(retained, "UPDATE call SET source_id = 'other' WHERE source_id = 'c19'")
    run, owner = await FsckRun.open(retained.retention, again=True), retained.retention.owner
    states = await run.states()
    for part in await run.partitions(Store.CALL):
        await owner.execute("UPDATE fsck_result SET state = $2 WHERE part = $1", part.name, f"{states.of(part)}; ")
    assert not (await one(retained, "ids")).ok

    await grow_old(retained)
    await owner.execute("UPDATE fsck_result SET checked_at = clock_timestamp()")
    assert "unchanged" not in (await one(retained, "rows")).detail


async def test_a_run_that_was_interrupted_is_continued(retained: RetainedLedger) -> None:
    """What it had checked is not checked again."""
    await retained.retention.owner.execute("DELETE FROM fsck_result")
    async for finding in check_ledger(retained.retention, again=True):
        if finding.check == "errors":
            break
    found = await fsck(retained)
    assert "; 0 of" in found["rows"][1]
    assert "; all " in found["ids"][1] or " all " in found["ids"][1]


async def test_a_partition_that_is_gone_leaves_no_result(retained: RetainedLedger) -> None:
    """Results are deleted with what they are of."""
    owner = retained.retention.owner
    name = await owner.fetchval("SELECT part FROM fsck_result WHERE check_name = 'ids' ORDER BY part LIMIT 1")
    await owner.execute(f"ALTER TABLE call DETACH PARTITION {name}")
    await fsck(retained)
    assert await owner.fetchval("SELECT count(*) FROM fsck_result WHERE part = $1", name) == 0


async def test_an_attestation_says_what_was_left_out(retained: RetainedLedger) -> None:
    """It claims no more than was looked at: which partitions were checked now, and since when the others hold."""
    policy = retained.retention.policy()
    applied = AppliedPolicy(policy, 1, digest(policy), NOW, "cli")
    made = await attest(retained.retention, retained.ledger, applied, days=92, again=True)
    findings = {one["title"]: one["finding"] for one in made.statement["checks"]}
    assert "unchanged since they were" in findings["fsck, rows"]
    assert "unchanged since they were" in findings["fsck, usage"]
