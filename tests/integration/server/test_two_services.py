"""Two services of two workers each, on one database and one keyring: what an operator takes for one thing is one."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pairing import Pair, settled, two_services
from receiving import receiving
from running import RunningService
from webhook_service import ALLOWED, CREATE, call

from policies.policy.document import preset_text
from service.api.execution.limits import UNSETTLED_SHARE
from service.storage.shared import election

BUDGET = 3_000
PROCESSES = 4
QUERY = "{ %s }" % " ".join(f"a{n}: calls(first: 1) {{ totalCount }}" for n in range(5))
EXPORT = "mutation($in: CreateExportInput!) { createExport(input: $in) { export { id } } }"
STATE = "query($id: ID!) { export(id: $id) { state rows } }"
COUNT = "query($f: CallFilter) { calls(filter: $f) { totalCount } }"
HOLDERS = """
    SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) | objid::bigint = $1
        AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@pytest.fixture(scope="module")
def pair(embedded_18, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    environment = {
        "CALLEDGER_RATE_LIMIT_PER_MINUTE": str(BUDGET),
        "CALLEDGER_EXPORTS": str(folder / "shared"),
        **ALLOWED,
    }
    with two_services(embedded_18, folder, "--workers", "2", environment=environment) as pair:
        yield pair


@pytest.fixture(scope="module")
def admin(pair: Pair) -> str:
    """Keys that ask much are made anew in each test: this one's budget is for the rest."""
    return pair.one.admin_key


def workers_of(service: RunningService) -> set[int]:
    """The workers that answer: each writes its figures."""
    return set(map(int, re.findall(r'^calledger_process_open_fds{pid="(\d+)"}', service.metrics(), re.MULTILINE)))


def ask_everywhere(pair: Pair, key: str, times: int) -> tuple[int, set[str], float]:
    """Ask at both services at the same time: what was spent, how others were refused, and how long it took."""
    began = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda n: (pair.one, pair.other)[n % 2].ask(key, QUERY), range(times)))
    spent = sum(a["extensions"]["cost"]["actualQueryCost"] for a in answers if "errors" not in a)
    refused = {a["errors"][0]["extensions"]["code"] for a in answers if "errors" in a}
    return spent, refused, time.monotonic() - began


def test_a_key_has_one_budget_everywhere(pair: Pair) -> None:
    """A client that spreads its requests over all workers of all services spends what one would let it spend."""
    key = pair.new_key("viewer")
    spent, refused, took_s = ask_everywhere(pair, key, 60)
    assert refused == {"THROTTLED"}
    assert BUDGET * 0.8 < spent <= BUDGET * (1 + took_s / 60) + PROCESSES * BUDGET / UNSETTLED_SHARE

    # Nor does another try, at once, or one by tokens of the key's own.
    again, refused, more_s = ask_everywhere(pair, key, 16)
    assert refused == {"THROTTLED"}
    assert spent + again <= BUDGET * (1 + (took_s + more_s + 1) / 60) + PROCESSES * BUDGET / UNSETTLED_SHARE
    assert "errors" not in pair.other.ask(pair.new_key("viewer"), QUERY), "another key has a budget of its own"


def test_what_was_refused_is_paid_everywhere(pair: Pair) -> None:
    """Documents that are refused cost their reading, at whichever service: spreading them pays nothing."""
    key = pair.new_key("viewer")
    wrong = "{ %s }" % " ".join(f"nothing{n}" for n in range(1_300))
    for number in range(12):
        (pair.one, pair.other)[number % 2].ask(key, wrong + " " * number)
    settled(lambda: pair.one.ask(key, QUERY)["errors"][0]["extensions"]["code"], "THROTTLED", times=4)
    settled(lambda: pair.other.ask(key, QUERY)["errors"][0]["extensions"]["code"], "THROTTLED", times=4)


def test_a_new_worker_brings_no_new_budget_and_loses_no_figure(pair: Pair) -> None:
    """A worker that is killed is replaced while its neighbour answers: what was acknowledged is there, counters stay,
    the budget is as it was, and the keyring is as usable as before.
    """
    service, key, reports = pair.one, pair.new_key("viewer"), pair.new_key("ingest")
    began, (spent, _, _) = time.monotonic(), ask_everywhere(pair, key, 24)
    service.report(reports, *(call(f"before-{n}") for n in range(20)))
    stored, asked = service.figure("calledger_ingest_rows_total"), service.figure("calledger_graphql_seconds_count")
    before = workers_of(service)
    for replaced, pid in enumerate(sorted(before), 1):
        os.kill(pid, signal.SIGKILL)
        for number in range(20):
            try:
                service.report(reports, call(f"during-{pid}-{number}"))
                stored += 1
            except OSError:
                continue  # its connection went with the worker
        until = time.monotonic() + 60
        while service.log.read_text().count("has taken the place") < replaced:
            assert time.monotonic() < until
            time.sleep(0.05)
    assert not before & workers_of(service)
    settled(lambda: service.request("GET", "/healthz")[0], 200)
    assert service.process.poll() is None
    assert "another takes its place" in service.log.read_text()

    assert service.figure("calledger_ingest_rows_total") >= stored
    assert service.figure("calledger_graphql_seconds_count") >= asked
    settled(lambda: service.figure("calledger_keyring_usable"), 1.0, times=3)
    assert service.figure("calledger_ingest_queued_rows") == 0
    found = pair.other.ask(pair.new_key("viewer"), COUNT, f={"account": {"eq": "acme"}})
    assert found["data"]["calls"]["totalCount"] >= 20
    more, refused, _ = ask_everywhere(pair, key, 24)
    assert refused == {"THROTTLED"}
    assert spent + more <= BUDGET * (1 + (time.monotonic() - began) / 60) + 2 * PROCESSES * BUDGET / UNSETTLED_SHARE


def test_figures_of_two_services_add_up(pair: Pair) -> None:
    """Each service counts what it did, whichever worker tells of it: the sum over services is what was done."""
    reports, name = pair.new_key("ingest"), "calledger_ingest_rows_total"
    before = [service.figure(name) for service in pair[:2]]
    for number in range(12):
        (pair.one, pair.other)[number % 3 == 0].report(reports, call(f"counted-{number}"))
    for service, began, rows in zip(pair[:2], before, (8, 4), strict=True):
        assert {service.figure(name) for _ in range(8)} == {began + rows}
    settled(lambda: max(service.figure("calledger_feed_position") for service in pair[:2]) >= 12, True, times=1)


def test_a_revoked_key_ends_everywhere(pair: Pair) -> None:
    """A key that is revoked by a command is none for any worker, before their memory would have ended."""
    key = pair.new_key("viewer")
    settled(lambda: pair.other.request("POST", "/graphql", key=key, body=b'{"query": "{ viewer { role } }"}')[0], 200)
    pair.command("keys", "revoke", key.split("_")[1])
    settled(lambda: pair.other.request("POST", "/graphql", key=key, body=b'{"query": "{ viewer { role } }"}')[0], 401,
            within_s=15)  # fmt: skip


def test_a_changed_policy_is_in_force_everywhere(pair: Pair, admin: str, tmp_path: Path) -> None:
    """A policy that is applied by a command is obeyed by every worker of both services."""
    path = tmp_path / "policy.toml"
    path.write_text(re.sub(r"call_error = \d+", "call_error = 29", preset_text("default")))
    pair.command("policy", "apply", str(path))
    settled(lambda: pair.one.ask(admin, "{ policy { version } }")["data"]["policy"]["version"], 2)
    settled(lambda: pair.other.ask(admin, "{ policy { version } }")["data"]["policy"]["version"], 2)


def test_what_is_erased_or_restricted_at_one_is_gone_at_the_other(pair: Pair, admin: str) -> None:
    """An account that is erased, and a person whose erasure a hold keeps back, are shown by no worker any more."""
    reports = pair.new_key("ingest")
    pair.one.report(reports, call("gone", account="leaving"), call("held", account="kept", user="u-mallory"))
    theirs = {"user": {"id": "u-mallory"}, "account": {"eq": "kept"}}

    def shown(f: dict[str, Any]) -> int | None:
        """How many calls a worker of the other service shows."""
        data = pair.other.ask(admin, COUNT, f=f)["data"]
        return data and data["calls"]["totalCount"]

    settled(lambda: shown({"account": {"eq": "leaving"}}), 1, times=6)
    settled(lambda: shown(theirs), 1, times=6)
    pair.command("hold", "place", "case", "--account", "kept", "--owner", "A. Counsel", "--reason", "suit")
    pair.command("erase", "--account", "kept", "--user", "u-mallory", "--reason", "asked")
    pair.command("erase", "--account", "leaving", "--all", "--reason", "ended")
    settled(lambda: shown({"account": {"eq": "leaving"}}), 0, times=6)
    settled(lambda: shown(theirs), 0, times=6)


def test_an_export_of_one_is_fetched_from_the_other(pair: Pair, admin: str) -> None:
    """A file is written by whichever process takes it, into what they share, and either service gives it out."""
    made = pair.one.ask(admin, EXPORT, **{"in": {"kind": "CALLS", "format": "NDJSON"}})
    id_ = made["data"]["createExport"]["export"]["id"]
    settled(lambda: pair.other.ask(admin, STATE, id=id_)["data"]["export"]["state"], "READY", times=1)
    bodies = {service.request("GET", f"/v1/exports/{id_}", key=admin)[0::2] for service in pair[:2] for _ in range(4)}
    assert len(bodies) == 1
    assert bodies.pop()[0] == 200
    assert pair.other.request("GET", f"/v1/exports/{id_}", key=pair.new_key("viewer"))[0] == 404


async def test_a_webhook_gets_each_event_once(pair: Pair, admin: str) -> None:
    """Couriers of four processes deliver each call once, to whichever service it was reported."""
    async with receiving() as receiver:
        wanted = {"url": f"{receiver.url}/hook", "events": ["CALLS_RECORDED"], "fields": ["sourceId"]}
        answer = await asyncio.to_thread(pair.one.ask, admin, CREATE, **{"in": wanted})
        secret, reports = answer["data"]["createWebhook"]["secret"], pair.new_key("ingest")
        for number in range(10):
            service = (pair.one, pair.other)[number % 2]
            await asyncio.to_thread(service.report, reports, call(f"hooked-{number}"))
        ids: list[str] = []
        async with asyncio.timeout(60):
            while len(set(ids)) < 10:
                await receiver.until(len(receiver.received) + 1)
                told = [received.verified(secret)["data"] for received in receiver.received]
                ids = [change["call"]["sourceId"] for data in told for change in data["changes"]]
        assert sorted(ids) == sorted(f"hooked-{number}" for number in range(10))


async def test_one_maintains_and_another_takes_over(pair: Pair) -> None:
    """One process of both services has the lock of maintenance; when its service is killed, the other has it soon."""
    connection = await asyncpg.connect(pair.url)
    try:
        [holder] = await connection.fetch(HOLDERS, election.LOCK)
        leads = "maintains the ledger from now on"
        leader = next(service for service in pair[:2] if leads in service.log.read_text())
        follower = next(service for service in pair[:2] if service is not leader)
        await asyncio.to_thread(leader.kill)
        async with asyncio.timeout(60):
            found = [holder]
            while not found or found == [holder] or leads not in follower.log.read_text():
                await asyncio.sleep(0.1)
                found = await connection.fetch(HOLDERS, election.LOCK)
        assert len(found) == 1
        await asyncio.to_thread(leader.start)
        assert await connection.fetch(HOLDERS, election.LOCK) == found, "who comes back waits"
    finally:
        await connection.close()
