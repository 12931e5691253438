"""Comparisons that are kept: by the command and each night, in GraphQL, told to webhooks; and sources beside them."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from newapi import consumed, failed, sqlite_of
from running import RunningService
from webhook_service import ALLOWED, WebhookService, open_webhook_service

# A zone in which it is about noon: the day before has ended long ago, and the day does not end while this runs.
ZONE: Final = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
NOON: Final = datetime.now(ZoneInfo(ZONE)).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
DAY: Final = NOON.date().isoformat()
FIELDS: Final = """
    id name requestedBy accounts layout firstDay lastDay timeZone madeAt byIds rows calls failure differing
    totals { currency theirs ours } kinds { kind calls } unread { reason rows }
    differences(first: 2) { totalCount pageInfo { hasNextPage endCursor }
        nodes { kind day model currency calls theirs ours difference callIds } }
"""
NEWEST: Final = f"{{ reconciliations(first: 1) {{ totalCount nodes {{ {FIELDS} }} }} }}"
MORE: Final = """query($id: ID!, $after: String) { node(id: $id) { ... on Reconciliation {
    name differences(first: 5, after: $after, kinds: [MISSING_THERE]) { totalCount nodes { kind callIds } } } } }"""
SOURCES: Final = """{ sources { totalCount nodes {
    id name format address account addedAt everySeconds rows refused lastRowAt readAt lagSeconds failures failure dueAt
} } }"""


def row(id_: int, **more: Any) -> dict[str, Any]:
    return consumed(id_, created_at=int(NOON.timestamp()) + id_, use_time=0, **more)


class Nights(WebhookService):
    """A service that compares its sources at night, one of which is a file that can be changed."""

    log: Path
    secret: str


@pytest.fixture
async def nights(tmp_path: Path) -> AsyncIterator[Nights]:
    async with open_webhook_service(tmp_path / "data") as opened:
        nights = Nights(opened.service, opened.receiver)
        nights.log = tmp_path / "logs.db"
        rows = [row(id_) for id_ in range(1, 21)]
        rows += [failed(30, created_at=int(NOON.timestamp())), row(40, other={"task_id": "t1", "is_task": True})]
        rows.append(row(41, type=6, quota=754, other={"task_id": "t1"}))
        address = sqlite_of(nights.log, "new-api 1.0", rows)
        _, nights.secret = await nights.webhook("RECONCILIATION_FINISHED")
        more = ("--account", "shop", "--every", "1h")
        for arguments in (("sources", "add", "shop", "new-api", address, *more), ("pull", "shop")):
            done = await asyncio.to_thread(nights.service.command, *arguments)
            assert done.returncode == 0, done.stderr
        while not await is_read(nights):  # noqa: ASYNC110 - the command leaves it to a service that is at it
            await asyncio.sleep(0.1)
        yield nights
        await asyncio.to_thread(nights.service.stop)


async def is_read(nights: Nights) -> bool:
    """Whether the source was read to its end."""
    [source] = (await nights.ask(SOURCES))["sources"]["nodes"]
    return source["readAt"] is not None


def plant(path: Path) -> None:
    """Behind what was pulled: one call more, one less, one at another price."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE logs SET quota = 500000 WHERE id = 3")
        connection.execute("DELETE FROM logs WHERE id = 5")
        connection.execute("UPDATE logs SET id = 77 WHERE id = 9")


async def test_a_night_finds_what_differs_keeps_it_and_tells_it(nights: Nights) -> None:
    """What was changed in a gateway behind its pulling is found in the night, once, and a webhook is told how much."""
    plant(nights.log)
    await asyncio.to_thread(nights.service.stop)
    environment = {**ALLOWED, "CALLEDGER_RECONCILE_AT": f"00:00 {ZONE}"}
    nights.service = await asyncio.to_thread(RunningService, nights.service.data, environment=environment)
    [received] = await nights.receiver.until(1)
    [found] = (await nights.ask(NEWEST))["reconciliations"]["nodes"]

    assert received.verified(nights.secret)["type"] == "reconciliation.finished"
    told = received.verified(nights.secret)["data"]
    assert told["id"] == found["id"]
    assert (told["differing"], told["failure"]) == (4, None)
    assert told["kinds"] == {"MISSING_HERE": 1, "MISSING_THERE": 2, "PRICED_DIFFERENTLY": 1}
    assert {name: found[name] for name in ("name", "requestedBy", "accounts", "layout", "byIds", "failure")} == {
        "name": "shop",
        "requestedBy": "nightly",
        "accounts": ["shop"],
        "layout": "new-api",
        "byIds": True,
        "failure": None,
    }
    assert (found["firstDay"], found["lastDay"], found["timeZone"]) == (DAY, DAY, ZONE)
    assert (found["rows"], found["unread"]) == (22, [])
    assert found["differences"]["totalCount"] == 3
    assert found["differences"]["pageInfo"]["hasNextPage"]
    first, second = found["differences"]["nodes"]
    assert (first["kind"], first["calls"], first["callIds"]) == ("MISSING_HERE", 1, [])
    assert (second["kind"], second["calls"], second["theirs"]) == ("MISSING_THERE", 2, "0")
    assert (second["model"], second["currency"], second["day"]) == ("gpt-4o", "USD", DAY)
    assert len(second["callIds"]) == 2
    [total] = found["totals"]
    # Theirs: 18 at the common price, the one of another price, and a task less its refund.
    assert (total["currency"], total["theirs"]) == ("USD", "1.065144")
    more = (await nights.ask(MORE, id=found["id"]))["node"]
    assert (more["name"], more["differences"]["totalCount"]) == ("shop", 1)
    assert await nights.code(MORE, id=found["id"], after=found["differences"]["pageInfo"]["endCursor"]) == (
        "BAD_USER_INPUT"
    )
    [source] = (await nights.ask(SOURCES))["sources"]["nodes"]
    assert (source["name"], source["format"], source["account"], source["everySeconds"]) == (
        *("shop", "new-api", "shop"),
        3600,
    )
    assert source["address"].startswith("sqlite:") and source["rows"] >= 23
    assert (source["failures"], source["failure"]) == (0, None) and 0 <= source["lagSeconds"] < 3600
    await who_may_see_them(nights, found["id"], source["id"])
    removed = await asyncio.to_thread(nights.service.command, "sources", "remove", "shop")
    assert removed.returncode == 0, removed.stderr
    entries = await nights.ask("{ ledger(filter: {kind: {in: [SOURCE_ADDED, SOURCE_REMOVED]}}) { nodes { kind } } }")
    assert [one["kind"] for one in entries["ledger"]["nodes"]] == ["SOURCE_ADDED", "SOURCE_REMOVED"]
    checked = await asyncio.to_thread(nights.service.command, "fsck")
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def who_may_see_them(nights: Nights, found: str, source: str) -> None:
    """A key sees comparisons and sources of its own accounts alone, and roles what they may ask."""
    both = "{ reconciliations { totalCount nodes { id } } }", SOURCES
    mine, other = [await asyncio.to_thread(nights.service.new_key, "admin", one) for one in ("shop", "other")]
    for query, name in zip(both, ("reconciliations", "sources"), strict=True):
        assert (await nights.ask(query, mine))[name]["totalCount"] == 1
        assert (await nights.ask(query, other))[name]["totalCount"] == 0
    nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert (await nights.ask(nodes, other, ids=[found, source]))["nodes"] == [None, None]
    assert [one["id"] for one in (await nights.ask(nodes, mine, ids=[found, source]))["nodes"]] == [found, source]
    auditor = await asyncio.to_thread(nights.service.new_key, "auditor")
    assert (await nights.ask(SOURCES, auditor))["sources"]["totalCount"] == 1
    assert await nights.code(both[0], auditor) == "FORBIDDEN"
    partner = await asyncio.to_thread(nights.service.new_key, "partner", "shop")
    assert {await nights.code(query, partner) for query in both} == {"FORBIDDEN"}
    viewer = await asyncio.to_thread(nights.service.new_key, "viewer")
    assert await nights.code(SOURCES, viewer) == "FORBIDDEN"
    assert (await nights.ask(both[0], viewer))["reconciliations"]["totalCount"] == 1


async def test_the_command_keeps_what_it_found_and_an_erasure_ends_it(nights: Nights, tmp_path: Path) -> None:
    """A log by hand, since a day, and an invoice are kept as they were shown; an erased account takes them along, and
    its source."""
    plant(nights.log)
    command = nights.service.command
    asked = ("reconcile", f"sqlite:///{nights.log}", "--from", "new-api", "--since", DAY, "--until", DAY)
    done = await asyncio.to_thread(command, *asked, "--time-zone", ZONE, "--account", "shop", "--format", "json")
    assert done.returncode == 1, done.stderr
    bill = tmp_path / "bill-of-sk-proj-Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4Zk4.csv"
    bill.write_text(f"day,model,currency,amount\n{DAY},gpt-4o,USD,1\n")
    assert (await asyncio.to_thread(command, "reconcile", str(bill))).returncode == 1
    query = "{ reconciliations { nodes { name requestedBy layout accounts byIds differing } } }"
    [billed, logged] = (await nights.ask(query))["reconciliations"]["nodes"]

    assert (logged["layout"], logged["requestedBy"], logged["byIds"]) == ("new-api", "cli", True)
    assert logged["differing"] == 4
    assert (billed["layout"], billed["accounts"], billed["byIds"]) == ("invoice", None, False)
    assert "Zk4Zk4" not in billed["name"]
    erased = await asyncio.to_thread(command, "erase", "--account", "shop", "--all", "--reason", "asked")
    assert erased.returncode == 0, erased.stderr
    assert (await nights.ask(query))["reconciliations"]["nodes"] == []
    assert (await nights.ask(SOURCES))["sources"]["totalCount"] == 0
    checked = await asyncio.to_thread(command, "fsck")
    assert checked.returncode == 0, checked.stdout + checked.stderr
