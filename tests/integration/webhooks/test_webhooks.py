"""Webhooks of a real service, from the report of a call to a receiver that checks signatures as receivers do."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from receiving import receiving
from running import database_url
from webhook_service import (
    CREATE,
    DELETE,
    DELIVERIES,
    ENABLE,
    REPLAY,
    ROTATE,
    TEST,
    WEBHOOKS,
    WebhookService,
    call,
    changes,
    open_webhook_service,
)
from yarl import URL

from service.delivery.attempts import FIRST_S

LOOKING = (
    "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'relation' AND query LIKE '%FROM reconciliation%WHERE made_at%'"
)
PAUSE = """
    SELECT next_at - (attempts #>> '{-1,at}')::timestamptz FROM webhook_delivery WHERE attempts @> '[{"status": 500}]'
"""
LEDGER = "{ ledger(first: 50) { nodes { kind note leaf actor } } }"
DEFAULT = Path(__file__).parents[3] / "policies" / "presets" / "default.toml"


@pytest.fixture
async def sending(tmp_path: Path) -> AsyncIterator[WebhookService]:
    async with open_webhook_service(tmp_path / "data") as sending:
        yield sending


async def test_calls_come_signed_in_the_order_of_the_feed(sending: WebhookService) -> None:
    """Each change comes once, with the fields that were chosen; the signature is good, and the log says so."""
    id_, secret = await sending.webhook(fields=["id", "sourceId", "model"])
    await sending.report(call("a"), call("b"))
    await sending.receiver.until(1)
    await sending.report(call("c"))
    received = await sending.receiver.until(2)

    assert sorted(changes(received[:1], secret)) == [("CALL", "a"), ("CALL", "b")]
    assert changes(received[1:], secret) == [("CALL", "c")]
    body = received[0].verified(secret)
    assert body["type"] == "calls.recorded"
    assert set(body["data"]["changes"][0]["call"]) == {"id", "sourceId", "model"}
    log = await sending.ended(id_)
    assert {one["id"] for one in log} == {one.headers["webhook-id"] for one in received}
    assert [[attempt["status"] for attempt in one["attempts"]] for one in log] == [[204], [204]]


async def test_what_fails_is_tried_again_under_the_same_id(sending: WebhookService) -> None:
    """A receiver that answers 500 gets the same event again; it is in the log with both attempts."""
    sending.receiver.answers = [500]
    id_, secret = await sending.webhook()
    await sending.report(call("a"))
    first, second = await sending.receiver.until(2)

    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert changes([second], secret) == [("CALL", "a")]
    [one] = await sending.ended(id_)
    assert [(attempt["status"], attempt["failure"]) for attempt in one["attempts"]] == [
        (500, "answered 500"),
        (204, None),
    ]


async def test_a_killed_service_delivers_what_it_was_at(sending: WebhookService) -> None:
    """After kill -9 in the middle of an attempt the event comes again, under the same id, and nothing is missing. The
    receiver's own first failure after that is its first one: it is tried again as soon as any.
    """
    hold = asyncio.Event()

    async def held(_: Any) -> Any:
        await hold.wait()

    sending.receiver.answers = [held, 500]
    id_, secret = await sending.webhook(fields=["sourceId"])
    await sending.report(call("a"))
    [first] = await sending.receiver.until(1)
    await asyncio.to_thread(sending.service.kill)
    hold.set()
    await asyncio.to_thread(sending.service.start)
    await sending.report(call("b"))
    connection = await asyncpg.connect(database_url(sending.service.data))
    while not (pause := await connection.fetchval(PAUSE)):  # noqa: ASYNC110 - another process notes it
        await asyncio.sleep(0.1)
    await connection.close()
    received = await sending.receiver.until(4)

    assert pause < timedelta(seconds=FIRST_S * 1.5)
    assert {one.headers["webhook-id"] for one in received[1:3]} == {first.headers["webhook-id"]}
    assert sorted(changes(received[2:], secret)) == [("CALL", "a"), ("CALL", "b")]
    log = await sending.ended(id_)
    assert [attempt["status"] for attempt in log[-1]["attempts"]] == [None, 500, 204]


async def test_a_receiver_that_is_gone_is_sent_nothing_more(sending: WebhookService) -> None:
    """410 disables the webhook and says why; enabled again it goes on with what came meanwhile."""
    sending.receiver.answers = [410]
    id_, secret = await sending.webhook(fields=["sourceId"])
    await sending.report(call("a"))
    await sending.ended(id_, "FAILED")
    [shown] = (await sending.ask(WEBHOOKS))["webhooks"]["nodes"]
    assert "410" in shown["failure"]
    assert await sending.code(TEST, id=id_) == "BAD_USER_INPUT"
    await sending.report(call("b"))

    await sending.ask(ENABLE, id=id_)
    received = await sending.receiver.until(2)
    assert changes(received[1:], secret) == [("CALL", "b")]
    [_, failed] = await sending.deliveries(id_)
    await sending.ask(REPLAY, id=failed["id"])
    received = await sending.receiver.until(3)
    assert received[2].headers["webhook-id"] == received[0].headers["webhook-id"]
    assert changes(received[2:], secret) == [("CALL", "a")]


async def test_secrets_overlap_and_tests_are_sent(sending: WebhookService) -> None:
    """After a rotation a test event has two signatures: receivers with either secret accept it."""
    id_, old = await sending.webhook("POLICY_APPLIED")
    new = (await sending.ask(ROTATE, **{"in": {"id": id_}}))["rotateWebhookSecret"]["secret"]
    await sending.ask(TEST, id=id_)
    [one] = await sending.receiver.until(1)

    assert one.verified(old)["type"] == "webhook.test"
    assert one.verified(new)["type"] == "webhook.test"
    only = (await sending.ask(ROTATE, **{"in": {"id": id_, "overlapHours": 0}}))["rotateWebhookSecret"]["secret"]
    await sending.ask(TEST, id=id_)
    received = await sending.receiver.until(2)
    assert len(received[1].headers["webhook-signature"].split()) == 1
    assert received[1].verified(only)["type"] == "webhook.test"


async def test_a_rotation_holds_for_what_is_asked_after_it(sending: WebhookService) -> None:
    """A worker that was looking for events while a secret was rotated signs what it then finds by the new one alone."""
    id_, _ = await sending.webhook("RECONCILIATION_FINISHED", "CALLS_RECORDED", fields=["sourceId"])
    await sending.ask(TEST, id=id_)
    await sending.receiver.until(1)
    url = database_url(sending.service.data)
    connection, other = await asyncpg.connect(url), await asyncpg.connect(url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE reconciliation IN ACCESS EXCLUSIVE MODE")
        await sending.report(call("a"))
        while not await other.fetchval(LOOKING):  # noqa: ASYNC110 - another process looks
            await asyncio.sleep(0.05)
        new = (await sending.ask(ROTATE, **{"in": {"id": id_, "overlapHours": 0}}))["rotateWebhookSecret"]["secret"]
        await sending.ask(TEST, id=id_)
    await asyncio.gather(connection.close(), other.close())
    received = (await sending.receiver.until(3))[1:]
    assert [len(one.headers["webhook-signature"].split()) for one in received] == [1, 1]
    assert {one.verified(new)["type"] for one in received} == {"webhook.test", "calls.recorded"}


async def test_secrets_and_addresses_are_nowhere_but_sealed(sending: WebhookService) -> None:
    """Neither the secret nor the path of the address is in the database, the log or the ledger; who did what is."""
    id_, secret = await sending.webhook(url=f"{sending.receiver.url}/hooks/hunter2hunter2", name="billing")
    await sending.ask(TEST, id=id_)
    await sending.receiver.until(1)
    await sending.ended(id_)
    [shown] = (await sending.ask(WEBHOOKS))["webhooks"]["nodes"]
    entries = (await sending.ask(LEDGER))["ledger"]["nodes"]
    await sending.ask(DELETE, id=id_)

    assert "hunter2" not in json.dumps([shown, entries])
    assert next(one["note"] for one in entries if one["kind"] == "WEBHOOK_CREATED").startswith("billing: ")
    assert (await sending.ask(WEBHOOKS))["webhooks"]["totalCount"] == 0
    assert await sending.code(DELIVERIES, id=id_) == "BAD_USER_INPUT"
    await asyncio.to_thread(sending.service.stop)
    on_disk = await asyncio.to_thread(sending.service.everything_on_disk)
    assert b"hunter2" not in on_disk
    assert secret.removeprefix("whsec_").encode() not in on_disk
    await asyncio.to_thread(sending.service.start)


async def test_a_bound_key_is_told_of_its_accounts_and_reaches_its_own_webhooks(sending: WebhookService) -> None:
    """Calls of another account do not come, other keys' webhooks are as if they were not there."""
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
    id_, secret = await sending.webhook(key=partner, fields=["sourceId"])
    theirs, _ = await sending.webhook()
    await sending.report(call("theirs", account="globex"), call("mine"))
    [delivered] = await sending.ended(id_)
    mine = [one for one in sending.receiver.received if one.headers["webhook-id"] == delivered["id"]]
    assert changes(mine, secret) == [("CALL", "mine")]

    for query in (DELIVERIES, TEST, DELETE, ENABLE):
        assert await sending.code(query, partner, id=theirs) == "BAD_USER_INPUT"
    assert await sending.code(ROTATE, partner, **{"in": {"id": theirs}}) == "BAD_USER_INPUT"
    refused = {"url": sending.receiver.url, "events": ["PURGE_FINISHED"]}
    assert await sending.code(CREATE, partner, **{"in": refused}) == "FORBIDDEN"


BUDGET = """
    mutation($in: SetBudgetInput!) { setBudget(input: $in) { budget { account apiKey amount spent left thresholds } } }
"""
BUDGETS = "{ budgets { account apiKey tag { key value } currency amount spent left } }"
EXPORT = "mutation { createExport(input: {kind: CALLS, format: CSV}) { export { id } } }"


async def bodies(sending: WebhookService, count: int, secret: str) -> list[dict[str, Any]]:
    return [one.verified(secret) for one in await sending.receiver.until(count)]


async def test_a_budget_says_what_is_left_and_tells_of_its_thresholds_once(sending: WebhookService) -> None:
    """What came to a threshold is told, of the budget's account and key alone, each threshold once a day."""
    wanted = {"account": "acme", "currency": "USD", "amount": "10", "apiKey": "k1", "thresholds": [50, 100]}
    priced = {"amount": "6", "currency": "USD"}
    await sending.report(call("a", api_key="k1", **priced), call("b", api_key="k2", **priced))
    made = (await sending.ask(BUDGET, **{"in": wanted}))["setBudget"]["budget"]
    assert (made["spent"], made["left"]) == ("6", "4")
    _, secret = await sending.webhook("SPEND_THRESHOLD")

    [first] = await bodies(sending, 1, secret)
    assert first["type"] == "spend.threshold"
    data = first["data"]
    assert (data["account"], data["apiKey"], data["percent"], data["spent"]) == ("acme", "k1", 50, "6")
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "globex")
    assert (await sending.ask(BUDGETS, partner))["budgets"] == []
    [shown] = (await sending.ask(BUDGETS))["budgets"]
    assert (shown["account"], shown["spent"], shown["left"]) == ("acme", "6", "4")
    assert await sending.code(BUDGET, partner, **{"in": {**wanted, "account": "globex"}}) == "FORBIDDEN"
    for wrong in ({"amount": "0"}, {"amount": "-1"}, {"thresholds": []}, {"thresholds": [0]}, {"account": "nobody"}):
        assert await sending.code(BUDGET, **{"in": {**wanted, **wrong}}) == "BAD_USER_INPUT"
    assert (await sending.ask(BUDGET, **{"in": {**wanted, "amount": None}}))["setBudget"]["budget"] is None
    assert (await sending.ask(BUDGETS))["budgets"] == []


async def test_a_ready_export_is_told_to_the_key_that_asked(sending: WebhookService) -> None:
    """The event has the export's digest; a webhook of another key hears nothing of it."""
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
    other, _ = await sending.webhook("EXPORT_READY")
    await sending.report(call("a"))
    id_, secret = await sending.webhook("EXPORT_READY", key=partner)
    await sending.ask(EXPORT, partner)
    [body] = await bodies(sending, 1, secret)

    assert body["type"] == "export.ready"
    assert (body["data"]["kind"], body["data"]["rows"]) == ("CALLS", 1)
    assert len(await sending.ended(id_)) == 1
    assert await sending.deliveries(other) == []


SCHEDULE = """
    mutation($in: CreateExportScheduleInput!) { createExportSchedule(input: $in) { schedule { id periodStart } } }
"""


async def test_a_scheduled_export_is_told_when_its_file_is_there(sending: WebhookService) -> None:
    """The day's file is written when it is due, and the receiver has its schedule, its period and its digest."""
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
    _, secret = await sending.webhook("EXPORT_READY", key=partner)
    asked = {"every": "DAY", "timeZone": "UTC", "export": {"kind": "CALLS", "format": "NDJSON", "fields": ["id"]}}
    made = (await sending.ask(SCHEDULE, partner, **{"in": asked}))["createExportSchedule"]["schedule"]
    await sending.report(call("a"))
    start = datetime.fromisoformat(made["periodStart"])
    connection = await asyncpg.connect(database_url(sending.service.data))
    due = "UPDATE export_schedule SET period_start = $1, due_at = $2"
    await connection.execute(due, start - timedelta(days=1), start)
    await connection.close()
    await asyncio.to_thread(sending.service.kill)  # a start looks at what is due at once, and a minute is long
    await asyncio.to_thread(sending.service.start)
    [body] = await bodies(sending, 1, secret)
    export = "query($id: ID!) { export(id: $id) { state sha256 rows } }"
    shown = (await sending.ask(export, partner, id=body["data"]["id"]))["export"]

    assert body["type"] == "export.ready"
    assert body["data"]["schedule"] == made["id"]
    assert datetime.fromisoformat(body["data"]["periodStart"]) == start - timedelta(days=1)
    assert shown == {"state": "READY", "sha256": body["data"]["sha256"], "rows": "0"}


async def test_receivers_that_hang_keep_nobody_else_waiting(sending: WebhookService) -> None:
    """Twenty webhooks of one key never answer, and each has more to be sent: another key's is told meanwhile."""
    hang = asyncio.Event()

    async def hung(_: Any) -> Any:
        await hang.wait()

    sending.receiver.answer = hung
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
    made = [(await sending.webhook("EXPORT_READY", key=partner))[0] for _ in range(20)]
    for id_ in made * 2:
        await sending.ask(TEST, partner, id=id_)
    await sending.receiver.until(4)
    async with receiving() as other:
        id_, secret = await sending.webhook("POLICY_APPLIED", url=other.url)
        await sending.ask(TEST, id=id_)
        [one] = await other.until(1)
    tried = len(sending.receiver.received)
    hang.set()
    assert one.verified(secret)["type"] == "webhook.test"
    assert tried < len(made), "it waited for none of the events that came before it, but for those under way"
    assert await sending.code(CREATE, partner, **{"in": {"url": other.url, "events": ["EXPORT_READY"]}}) == (
        "BAD_USER_INPUT"
    )  # a key has twenty at most


SECRET = "sk-proj-" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7dE9"


async def test_a_secret_in_a_name_or_a_host_is_kept_nowhere(sending: WebhookService) -> None:
    """Whatever somebody pastes into a webhook's name, host or path, or a budget's names, is sealed or taken out."""
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
    await sending.report(call("a"))
    port = URL(sending.receiver.url).port
    await sending.webhook(name=f"billing {SECRET}", url=f"http://{SECRET}.example.com:{port}/{SECRET}?key={SECRET}")
    await sending.webhook(name=f"mine {partner}", key=partner)
    wanted = {"account": "acme", "currency": "USD", "amount": "10", "apiKey": SECRET}
    await asyncio.to_thread(sending.service.ask, sending.admin, BUDGET, **{"in": wanted})
    shown = [(await sending.ask(query)) for query in (WEBHOOKS, LEDGER, BUDGETS)]
    await asyncio.to_thread(sending.service.stop)
    on_disk = await asyncio.to_thread(sending.service.everything_on_disk)
    await asyncio.to_thread(sending.service.start)
    for secret in (SECRET, partner):
        assert secret not in json.dumps(shown)
        assert secret.lower().encode() not in on_disk.lower()


WRONG: tuple[dict[str, Any], ...] = (
    *({"url": "https://127.0.0.2.:0/"}, {"url": "ftp://hooks.example.com/"}, {"url": "http://10.0.0.1/"}),
    *({"events": []}, {"fields": ["nothing"]}, {"after": "a"}, {"name": "two\nlines"}, {"url": "x" * 5_000}),
    {"filter": {"user": {"id": "jane"}}},
)


async def test_what_no_webhook_can_be_is_refused(sending: WebhookService) -> None:
    """Addresses, events, fields, cursors and names that are none: a clear code, and nothing is made."""
    for wrong in WRONG:
        asked = {"url": sending.receiver.url, "events": ["CALLS_RECORDED"], **wrong}
        assert await sending.code(CREATE, **{"in": asked}) == "BAD_USER_INPUT", wrong
    assert (await sending.ask(WEBHOOKS))["webhooks"]["totalCount"] == 0


async def test_a_spike_of_errors_is_told_once(sending: WebhookService) -> None:
    """An hour in which half of the calls failed, and none in that hour of the day before, is told, with the counts."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = []
    for hours in (0, 1):  # the hour that is looked at ends while the test runs, at worst
        hour = now - timedelta(hours=hours)
        for number in range(30):
            at, before = hour.isoformat(), (hour - timedelta(days=1)).isoformat()
            error = {"status": "failed", "error": {"type": "Overloaded", "message": "overloaded"}}
            rows += [call(f"f{hours}-{number}", started_at=at, **error), call(f"g{hours}-{number}", started_at=at)]
            rows += [call(f"{name}{hours}-{number}", started_at=before) for name in "bc"]
    await sending.report(*rows)
    _, secret = await sending.webhook("ERROR_RATE_SPIKE")
    [body] = await bodies(sending, 1, secret)

    assert body["type"] == "error_rate.spike"
    figures = {name: body["data"][name] for name in ("account", "calls", "errors", "callsBefore", "errorsBefore")}
    assert figures == {"account": "acme", "calls": 60, "errors": 30, "callsBefore": 60, "errorsBefore": 0}


async def test_hours_in_which_no_service_ran_are_looked_at_later(sending: WebhookService) -> None:
    """A spike of hours ago that nobody looked at then is told after the start."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
    error = {"status": "failed", "error": {"type": "Overloaded", "message": "overloaded"}}
    rows = [call(f"f{number}", started_at=hour.isoformat(), **error) for number in range(30)]
    before = (hour - timedelta(days=1)).isoformat()
    await sending.report(*rows, *(call(f"b{number}", started_at=before) for number in range(60)))
    _, secret = await sending.webhook("ERROR_RATE_SPIKE")
    connection = await asyncpg.connect(database_url(sending.service.data))
    await connection.execute("UPDATE webhook SET created_at = created_at - interval '10 hours'")
    await connection.close()
    assert sending.receiver.received == []
    await asyncio.to_thread(sending.service.kill)
    await asyncio.to_thread(sending.service.start)
    [body] = await bodies(sending, 1, secret)
    assert datetime.fromisoformat(body["data"]["hour"]) == hour
    assert (body["data"]["errors"], body["data"]["callsBefore"]) == (30, 60)


async def test_what_ends_with_an_account_is_its_budgets_and_webhooks(sending: WebhookService) -> None:
    """After the erasure of an account nothing of its budgets, and no webhook for it alone, is left."""
    partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
    await sending.report(call("a"))
    await sending.webhook(key=partner)
    other, _ = await sending.webhook()
    wanted = {"account": "acme", "currency": "USD", "amount": "10", "apiKey": "k1"}
    await sending.ask(BUDGET, **{"in": wanted})
    asked = "mutation($in: RequestErasureInput!) { requestErasure(input: $in) { erasure { state } } }"
    await sending.ask(asked, **{"in": {"kind": "ACCOUNT", "account": "acme", "reason": "asked to"}})

    while True:  # the worker goes on with it
        budgets = (await sending.ask(BUDGETS))["budgets"]
        if not budgets and (await sending.ask(WEBHOOKS))["webhooks"]["totalCount"] < 2:
            break
        await asyncio.sleep(0.2)
    assert [one["id"] for one in (await sending.ask(WEBHOOKS))["webhooks"]["nodes"]] == [other]


async def test_two_workers_send_each_batch_once(tmp_path: Path) -> None:
    """A report of many calls comes in several batches, in the order of the feed, from one worker at a time."""
    async with open_webhook_service(tmp_path / "data", "--workers", "2") as sending:
        receiver = sending.receiver
        id_, secret = await sending.webhook(fields=["id", "sourceId"])
        for part in range(3):
            await sending.report(*(call(f"{part}-{number}") for number in range(150)))
        while len(changes(receiver.received, secret)) < 450:
            receiver.came.clear()
            await receiver.came.wait()
        await sending.ended(id_)
        got = [call_id for _, call_id in changes(receiver.received, secret)]
        feed = "{ changes(first: 200%s) { nodes { call { sourceId } } pageInfo { endCursor hasNextPage } } }"
        expected, after = [], ""
        while True:
            page = (await sending.ask(feed % after))["changes"]
            expected += [one["call"]["sourceId"] for one in page["nodes"]]
            after = f', after: "{page["pageInfo"]["endCursor"]}"'
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert got == expected


async def test_policies_and_purges_are_told(tmp_path: Path) -> None:
    """A policy that is put in force, and the purge that it makes due, are told with their digest and counts."""
    async with open_webhook_service(tmp_path / "data", environment={"CALLEDGER_PURGE_DELAY": "0"}) as sending:
        service = sending.service
        old = (datetime.now(UTC) - timedelta(days=20)).isoformat()
        error = {"status": "failed", "error": {"type": "Overloaded", "message": "overloaded"}}
        await sending.report(call("a", started_at=old, **error))
        _, secret = await sending.webhook("POLICY_APPLIED", "PURGE_FINISHED")
        path = tmp_path / "shorter.toml"
        path.write_text(re.sub(r"(call_error|personal) = \d+", r"\1 = 7", DEFAULT.read_text()))
        applied = await asyncio.to_thread(service.command, "policy", "apply", str(path))
        assert applied.returncode == 0, applied.stderr
        purged = await asyncio.to_thread(service.command, "purge")
        assert purged.returncode == 0, purged.stderr
        found = await bodies(sending, 2, secret)
        runs = (await sending.ask("{ purgeRuns { nodes { id state } } }"))["purgeRuns"]["nodes"]
    told = {one["type"]: one["data"] for one in found}
    assert told.keys() == {"policy.applied", "purge.finished"}
    assert told["policy.applied"]["digest"] == applied.stdout.splitlines()[-1]
    assert {name: told["purge.finished"][name] for name in ("id", "state")} in [
        {"id": one["id"], "state": one["state"]} for one in runs
    ]
