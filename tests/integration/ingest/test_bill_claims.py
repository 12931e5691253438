"""A bill is one call, however many report it at one moment, by whichever process, and whoever dies meanwhile."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from bodies import read_litellm
from ingesting import ANYONE, RECENT, Ingest, eventually
from running import RunningService, database_url

from policies import Report, Role
from service.access.principal import Principal
from service.ingest.amendments.bills import _near_in_time
from service.ingest.pipeline.writer import Writer, as_read
from service.ingest.results import RowResult, Status
from service.retention.rollups.totals import FORGET_ACCOUNT
from service.storage.ids import bill_key_hex

# What the writers' own connections run or wait for.
KILL_WRITERS = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database() AND query LIKE '%call_staged%' AND state = 'active'
"""
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%call_staged%' AND wait_event_type = 'Lock'"
STORED = "SELECT source_id, name FROM call JOIN account ON account.id = account_id ORDER BY source_id, name"
USAGE = {"prompt_tokens": 2000, "completion_tokens": 1000}


def poll(batch: str, team: str | None, number: int = 0, made: int = 0) -> dict[str, Any]:
    """What LiteLLM posts when `team` asks for the finished `batch`, which it says was made `made` seconds later."""
    moment = RECENT.timestamp()
    return {
        "id": batch, "litellm_call_id": f"{batch} {team} {number}", "call_type": "aretrieve_batch", "status": "success",
        "model": "", "startTime": moment, "endTime": moment + 1, "response_cost": 0.00045, **USAGE,
        "metadata": {"usage_object": USAGE, "user_api_key_team_id": team},
        "response": {"id": batch, "created_at": int(moment) - 3600 + made},
        "hidden_params": {"batch_models": ["gpt-4o-mini"]},
    }  # fmt: skip


async def report(writer: Writer, *polls: dict[str, Any], principal: Principal = ANYONE) -> list[RowResult]:
    return await writer.submit(read_litellm(json.dumps(polls).encode()), as_read, principal, source="litellm")


async def stored(ingest: Ingest) -> list[tuple[str, str]]:
    return [tuple(row) for row in await ingest.fetch(STORED)]


@pytest.mark.parametrize("killed", [False, True])
async def test_two_writers_bill_at_one_moment_once(ingest: Ingest, killed: bool) -> None:
    """Both have looked for the bill and found none, and wait to store it; even if both are cut off there, it is one
    call, and the second report is a duplicate of it."""
    writers = [ingest.writer, await ingest.another_writer()]
    for team in ("a", "b"):
        await report(writers[0], poll(f"before-{team}", team))
    async with ingest.database.owner.acquire() as connection:
        async with connection.transaction():
            await connection.execute("LOCK TABLE call IN SHARE ROW EXCLUSIVE MODE")
            reports = [
                asyncio.ensure_future(report(writer, poll("batch", team, made=made)))
                for writer, team, made in zip(writers, "ab", (0, 3000), strict=True)
            ]

            async def all_wait() -> bool:
                return await ingest.value(WAITING) == len(writers)

            await eventually(all_wait)
            if killed:
                assert await ingest.value(KILL_WRITERS) == len(writers)
        verdicts = [verdict for verdicts in await asyncio.gather(*reports) for verdict in verdicts]

    assert Counter(verdict.status for verdict in verdicts) == {Status.ACCEPTED: 1, Status.DUPLICATE: 1}
    assert len({verdict.id for verdict in verdicts}) == 1
    assert [id_ for id_, _ in await stored(ingest)] == ["batch", "before-a", "before-b"]


async def test_many_polls_of_many_batches_at_once(ingest: Ingest) -> None:
    """Two writers, each batch in another order and for another team: one call a batch, in one account."""
    writers = [ingest.writer, await ingest.another_writer()]
    batches = [f"batch-{number}" for number in range(30)]
    reports = []
    for number, writer in enumerate(writers):
        ordered = batches[number * 7 :] + batches[: number * 7]
        reports += [report(writer, *[poll(batch, f"team-{number}", number, number * 900) for batch in ordered])]
        reports += [report(writer, poll(batch, None, number, number)) for batch in ordered]
    verdicts = [verdict for verdicts in await asyncio.gather(*reports) for verdict in verdicts]

    assert Counter(verdict.status for verdict in verdicts) == {
        Status.ACCEPTED: len(batches),
        Status.DUPLICATE: (2 * len(writers) - 1) * len(batches),
    }
    assert Counter(id_ for id_, _ in await stored(ingest)) == dict.fromkeys(batches, 1)


async def test_a_key_of_another_account_claims_nothing_of_others(ingest: Ingest) -> None:
    """Whoever may write to one account cannot take another's bill by naming its batch first."""
    accounts = await ingest.accounts.ensure(["mallory", "acme"])
    mallory, acme = accounts["mallory"], accounts["acme"]
    await report(ingest.writer, poll("batch", "acme"), principal=Principal("testkey3", Role.INGEST, (mallory,)))
    for principal in (ANYONE, Principal("testkey4", Role.INGEST, (mallory, acme))):
        await report(ingest.writer, poll("batch", "acme", 1), principal=principal)
        await report(ingest.writer, poll("batch", "mallory", 2), principal=principal)

    assert await stored(ingest) == [("batch", "acme"), ("batch", "mallory")]


async def test_a_claim_without_its_call_is_followed(ingest: Ingest) -> None:
    """A process that died between claim and call leaves a claim: the next poll stores the call where that says; a
    refused report leaves none."""
    too_old = poll("batch", "b") | {"startTime": 0.0, "endTime": 1.0, "response": {}}
    assert [verdict.status for verdict in await report(ingest.writer, too_old)] == [Status.REJECTED]
    await report(ingest.writer, poll("batch", "a"))
    await ingest.fetch("DELETE FROM call")

    [verdict] = await report(ingest.writer, poll("batch", "b", 1, made=3000))

    assert verdict.status is Status.ACCEPTED
    assert await stored(ingest) == [("batch", "a")]


async def test_the_claims_of_an_account_go_with_it(ingest: Ingest) -> None:
    """What an erased account has claimed is nobody's: a later poll is billed to whoever asks."""
    await report(ingest.writer, poll("batch", "a"))
    account = await ingest.accounts.find("a")
    assert await ingest.value("SELECT count(*) FROM bill_claim WHERE account_id = $1", account) == 3
    await ingest.fetch(FORGET_ACCOUNT, account)
    await ingest.fetch("DELETE FROM call WHERE account_id = $1", account)

    await report(ingest.writer, poll("batch", "b"))

    assert await stored(ingest) == [("batch", "b")]


@pytest.mark.parametrize("gone", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
async def test_a_bill_whose_claims_are_deleted_is_not_billed_again(ingest: Ingest, gone: tuple[int, ...]) -> None:
    """Whichever of its claims somebody deletes: a poll by another team finds the call, and claims it anew. Of who must
    not take another's bill the same holds as before.
    """
    await report(ingest.writer, poll("batch", "a"))
    keys = await claim_keys(ingest)
    await ingest.fetch("DELETE FROM bill_claim WHERE key::text = ANY ($1)", [keys[number] for number in gone])
    for number, team in enumerate(["b", None, "a"]):
        [verdict] = await report(ingest.writer, poll("batch", team, number + 1, made=3000 * number))
        assert verdict.status is Status.DUPLICATE, team
    assert await stored(ingest) == [("batch", "a")]
    assert await claim_keys(ingest) == keys

    mallory = (await ingest.accounts.ensure(["mallory"]))["mallory"]
    bound = Principal("testkey3", Role.INGEST, (mallory,))
    assert [one.status for one in await report(ingest.writer, poll("batch", "a", 9), principal=bound)] == [
        Status.ACCEPTED
    ]
    assert await stored(ingest) == [("batch", "a"), ("batch", "mallory")]


async def claim_keys(ingest: Ingest) -> list[str]:
    """The keys of the claims of `batch` in account `a`: by whom all may write, by the account, and that one led."""
    account = await ingest.accounts.find("a")
    whose = ["all", str(account), f"all in {account}"]
    there = {str(row[0]) for row in await ingest.fetch("SELECT key FROM bill_claim")}
    keys = [str(UUID(bill_key_hex(one, "litellm", "batch"))) for one in whose]
    assert len(keys) == 3 and there <= set(keys)
    return keys if there == set(keys) else sorted(there)


def test_bills_of_many_years_are_looked_for_near_their_times() -> None:
    """What lies between two bills is not read for them, and there are few statements however far apart they are."""

    def found(*days: int) -> list[list[int]]:
        bills = [Report("litellm", str(day), RECENT + timedelta(days=day), "m", failed=False) for day in days]
        return [[int(bill.source_id) for bill in near] for near in _near_in_time(bills)]

    assert found(900, 0, 60, 130, 3, 899) == [[0, 3, 60], [130], [899, 900]]
    assert found(*range(0, 64, 2)) == [list(range(0, 64, 2))]
    apart = found(*range(0, 20_000, 100))
    assert len(apart) == 16
    assert sum(map(len, apart)) == 200


# Processes ------------------------------------------------------------------------------------------------------------

BATCHES = 40


class Poller(threading.Thread):
    """Asks for each batch until it is answered, at the same moment as the other pollers do."""

    def __init__(self, service: RunningService, key: str, team: str, barrier: threading.Barrier) -> None:
        super().__init__(daemon=True)
        self.service, self.key, self.team, self.barrier = service, key, team, barrier
        self.answers: list[str] = []

    def run(self) -> None:
        for number in range(BATCHES):
            self.barrier.wait(120)
            self.ask(json.dumps([poll(f"batch-{number}", self.team)]).encode())

    def ask(self, body: bytes) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                status, _, answer = self.service.request("POST", "/v1/litellm", key=self.key, body=body)
            except OSError:
                status = 503
            if status == 200:
                self.answers.append(json.loads(answer)["results"][0]["status"])
                return
            time.sleep(0.02)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    running = RunningService(tmp_path / "data", "--workers", "2")
    yield running
    if running.process.poll() is None:
        running.stop()


async def delete_claim(service: RunningService, key: UUID) -> None:
    owner = await asyncpg.connect(database_url(service.data))
    try:
        assert await owner.execute("DELETE FROM bill_claim WHERE key = $1", key) == "DELETE 1"
        await owner.execute("UPDATE schema_program SET applied_at = '2001-01-01Z'")  # since when bills have claims
    finally:
        await owner.close()


def test_processes_that_are_killed_bill_once(service: RunningService) -> None:
    """Four pollers of two processes, which are killed three times meanwhile: one call a batch, and exact sums."""
    key = service.new_key("ingest")
    barrier = threading.Barrier(4)
    pollers = [Poller(service, key, f"team-{number}", barrier) for number in range(4)]
    for poller in pollers:
        poller.start()
    for share in (1, 2, 3):
        while min(len(poller.answers) for poller in pollers) < share * BATCHES // 4:
            time.sleep(0.005)
        service.kill()
        service.start()
    for poller in pollers:
        poller.join(120)

    assert Counter(status for poller in pollers for status in poller.answers).keys() == {"accepted", "duplicate"}
    lines = service.command("export", "calls").stdout.splitlines()
    assert Counter(json.loads(line)["sourceId"] for line in lines) == {f"batch-{n}": 1 for n in range(BATCHES)}
    since = datetime.fromtimestamp(RECENT.timestamp() - 86400, UTC).isoformat()
    totals = service.ask(
        service.admin_key,
        "query ($since: DateTime!) { costs(filter: {startedAt: {gte: $since}}) { totals { amount { amount } } } }",
        since=since,
    )
    assert totals["data"]["costs"]["totals"][0]["amount"]["amount"] == "0.018"
    assert service.command("fsck").returncode == 0

    asyncio.run(delete_claim(service, UUID(bill_key_hex("all", "litellm", "batch-7"))))
    done = service.command("fsck")
    assert done.returncode == 1 and "the bill `batch-7` of account" in done.stdout
    last = poll("batch-7", "team-of-late", 9)
    _, _, answer = service.request("POST", "/v1/litellm", key=key, body=json.dumps([last]).encode())
    assert json.loads(answer)["results"][0]["status"] == "duplicate"
    assert service.command("fsck").returncode == 0


async def test_a_bill_from_before_there_were_claims_is_not_billed_again(ingest: Ingest) -> None:
    """A bill without a claim, as earlier releases stored it, is found by its id: a poll by another team, at another
    time, is a duplicate of it, and claims it; one that was claimed for another account alone is not asked for."""
    await report(ingest.writer, poll("batch", "a"))
    await ingest.database.owner.execute("DELETE FROM bill_claim")
    for number, team in enumerate(["b", None, "a"]):
        [verdict] = await report(ingest.writer, poll("batch", team, number + 1, made=3000 * number))
        assert verdict.status is Status.DUPLICATE
    assert await stored(ingest) == [("batch", "a")]
    assert await ingest.value("SELECT count(*) FROM bill_claim") == 3
