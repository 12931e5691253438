"""Webhooks and budgets held against the ledger: what somebody writes into the tables, or an old backup brings back."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from manipulating import Case
from retaining import NOW, failed, open_retained
from webhook_service import DELETE, TEST, WEBHOOKS, call, changes, open_webhook_service

from policies import Role
from service.retention.audit.start_check import differences_at_start
from service.retention.erasure.erasure import carry_out_erasures, request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.storage.control.budgets import BudgetOf
from service.webhooks.addresses import AddressGuard
from service.webhooks.budgets import Budgets
from service.webhooks.events import WebhookEvent
from service.webhooks.registry import WebhookRequest, Webhooks

KEY = "testkey2"
ROTATE_KEY = """
    mutation($in: RotateApiKeyInput!) { rotateApiKey(input: $in) { key apiKey { id } } }
"""


@dataclass
class Asker:
    """Whoever makes a webhook."""

    key_id: str
    role: Role
    accounts: tuple[int, ...] | None


@pytest.fixture
async def case(database_url: str, tmp_path: Path) -> AsyncIterator[Case]:
    """A webhook of one account and a deleted one, a budget and a removed one."""
    async with open_retained(database_url, tmp_path) as retained:
        await retained.report(failed("a", NOW))
        account = (await retained.retention.accounts.ensure(["acme"]))["acme"]
        case, asker = Case(retained, tmp_path), Asker(KEY, Role.PARTNER, (account,))
        guard, retention = AddressGuard(), retained.retention
        webhooks = Webhooks(retention.database, retention.keyring, retained.ledger, guard)
        budgets = Budgets(retention.database, retained.ledger)
        request = {"filter": {"status": {"eq": "FAILED"}}, "fields": [["id", []]]}
        for name in ("kept", "deleted"):
            url = f"https://{name}.example.com/"
            asked = WebhookRequest(url, name, [WebhookEvent.CALLS_RECORDED], request, None)
            made, _ = await webhooks.create(asked, asker)
        await webhooks.delete(made.id, KEY)
        for key in ("kept", "removed"):
            of = BudgetOf(account, "USD", api_key=key)
            await budgets.set(of, Decimal("12.50"), [50, 100], KEY)
        await budgets.set(of, None, [100], KEY)
        await case.start()
        yield case


async def test_what_was_made_is_as_the_ledger_has_it(case: Case) -> None:
    """Nobody finds anything where nothing was done, nor after the account was erased with what it had."""
    assert await case.fsck() == {}
    assert await differences_at_start(case.retained.retention) == []
    retention = case.retained.retention
    wanted = {"account": "acme", "user": None, "reason": "asked", "actor": "cli"}
    await request_erasure(retention, kind=ErasureKind.ACCOUNT, **wanted)
    await carry_out_erasures(retention)
    assert await case.retained.value("SELECT (SELECT count(*) FROM webhook) + (SELECT count(*) FROM budget)") == 0
    assert await case.fsck() == {}


WEBHOOK = """
    INSERT INTO webhook
        (id, requested_by, role, accounts, events, request, shown_url, sealed, created_at, due_at)
    SELECT gen_random_uuid(), requested_by, 'admin', accounts, events, request, shown_url, sealed, now(), now()
    FROM webhook"""
BUDGET = """
    INSERT INTO budget SELECT gen_random_uuid(), account_id, 'other', tag_key, tag_value, currency, amount,
    thresholds, set_by, set_at FROM budget"""
MANIPULATIONS = {
    WEBHOOK: ("webhooks", "is in no entry of the ledger: it is sent nothing"),
    "UPDATE webhook SET accounts = NULL": ("webhooks", "accounts is not as entry"),
    "UPDATE webhook SET role = 'admin'": ("webhooks", "role is not as entry"),
    "UPDATE webhook SET requested_by = 'adminkey'": ("webhooks", "key is not as entry"),
    """UPDATE webhook SET request = jsonb_set(request, '{filter}', 'null')""": ("webhooks", "request is not as entry"),
    """UPDATE webhook SET events = '["calls.recorded", "purge.finished"]'""": ("webhooks", "events is not as entry"),
    "DELETE FROM webhook": ("webhooks", "and not here: make it anew"),
    BUDGET: ("budgets", "is in no entry of the ledger and here"),
    "UPDATE budget SET amount = 1000000": ("budgets", "amount is not as entry"),
    "UPDATE budget SET api_key = 'another'": ("budgets", "of is not as entry"),
    "UPDATE budget SET thresholds = '[1000]'": ("budgets", "thresholds is not as entry"),
    "DELETE FROM budget": ("budgets", "and not here: set it anew"),
}


@pytest.mark.parametrize(("statement", "says"), MANIPULATIONS.items(), ids=lambda text: text[:44])
async def test_what_somebody_wrote_into_the_tables_is_named(case: Case, statement: str, says: tuple[str, str]) -> None:
    """By `fsck`, in the statement of `attest`, and at start, which `status` repeats."""
    check, words = says
    await case.sql(statement)
    assert words in (await case.fsck())[check]
    assert any(words in one for one in await differences_at_start(case.retained.retention))
    assert words in (await case.attested())[f"fsck, {check}"]


@pytest.mark.embedded("puts back its files")
async def test_a_webhook_that_was_deleted_does_not_come_back_with_an_old_backup(tmp_path: Path) -> None:
    """It is sent nothing and deleted again; one that was kept goes on where it was in the backup."""
    async with open_webhook_service(tmp_path / "data") as sending:
        kept, secret = await sending.webhook(fields=["sourceId"])
        gone, _ = await sending.webhook(fields=["sourceId"], url=f"{sending.receiver.url}/gone")
        await asyncio.to_thread(sending.service.stop)
        files, backup = sending.service.data / "postgres" / "cluster", tmp_path / "backup"
        await asyncio.to_thread(copied, files, backup)
        await asyncio.to_thread(sending.service.start)
        await sending.ask(DELETE, id=gone)
        await asyncio.to_thread(sending.service.command, "status")  # when a command ends, the mirror has every entry
        await asyncio.to_thread(sending.service.stop)
        await asyncio.to_thread(shutil.rmtree, files)
        await asyncio.to_thread(copied, backup, files)
        await asyncio.to_thread(sending.service.start)
        await sending.report(call("a"))

        received = await sending.receiver.until(1)
        assert changes(received, secret) == [("CALL", "a")]
        await sending.ended(kept)
        while True:
            if (await sending.ask(WEBHOOKS))["webhooks"]["totalCount"] == 1:
                break
            await asyncio.sleep(0.2)
        assert {one.path for one in sending.receiver.received} == {"/hook"}
        assert "a webhook is not as the ledger has it" in sending.service.log.read_text()


def copied(source: Path, target: Path) -> None:
    """Copy a folder with the owners of its files, which PostgreSQL insists on."""
    shutil.copytree(source, target, symlinks=True)
    for path in (source, *source.rglob("*")):
        was = path.lstat()
        os.chown(target / path.relative_to(source), was.st_uid, was.st_gid, follow_symlinks=False)


async def test_a_webhook_passes_to_the_key_that_takes_the_place_of_its_own(tmp_path: Path) -> None:
    """After `rotateApiKey` it is sent on without a gap, and belongs to the new key alone."""
    async with open_webhook_service(tmp_path / "data") as sending:
        partner = await asyncio.to_thread(sending.service.new_key, "partner", "acme")
        id_, secret = await sending.webhook(fields=["sourceId"], key=partner)
        await sending.report(call("a"))
        await sending.receiver.until(1)
        rotated = await sending.ask(ROTATE_KEY, **{"in": {"id": partner.split("_")[1], "overlapHours": 0}})
        new = rotated["rotateApiKey"]["key"]
        await sending.report(call("b"))
        received = await sending.receiver.until(2)

        assert changes(received, secret) == [("CALL", "a"), ("CALL", "b")]
        while True:
            if (await sending.ask(WEBHOOKS, new))["webhooks"]["nodes"]:
                break
            await asyncio.sleep(0.2)
        [shown] = (await sending.ask(WEBHOOKS, new))["webhooks"]["nodes"]
        assert (shown["id"], shown["disabledAt"]) == (id_, None)
        assert shown["createdBy"] == rotated["rotateApiKey"]["apiKey"]["id"].removeprefix("key_")
        checked = await asyncio.to_thread(sending.service.command, "fsck")
        assert checked.returncode == 0, checked.stdout


async def test_metrics_and_status_say_what_waits(tmp_path: Path) -> None:
    """What cannot be delivered is counted by `/metrics` and by `status`, and so is a webhook that was disabled."""
    async with open_webhook_service(tmp_path / "data") as sending:
        service = sending.service
        sending.receiver.answer = 500
        id_, _ = await sending.webhook("POLICY_APPLIED")
        gone, _ = await sending.webhook("POLICY_APPLIED", url=f"{sending.receiver.url}/gone")
        await sending.ask(TEST, id=id_)
        await sending.receiver.until(1)
        sending.receiver.answers = [410]
        await sending.ask(TEST, id=gone)
        await sending.ended(gone, "FAILED")

        while True:
            said = (await asyncio.to_thread(service.request, "GET", "/metrics", key=sending.admin))[2].decode()
            values = dict(line.rsplit(" ", 1) for line in said.splitlines() if line.startswith("calledger_webhook"))
            if float(values.get("calledger_webhooks_disabled", 0)) == 1:
                break
            await asyncio.sleep(0.5)
        assert float(values["calledger_webhook_pending"]) == 1
        assert float(values["calledger_webhook_oldest_seconds"]) > 0
        assert float(values['calledger_webhook_attempts_total{outcome="failed"}']) == 1
        assert float(values['calledger_webhook_attempts_total{outcome="again"}']) >= 1
        status = await asyncio.to_thread(service.command, "status")
        [line] = [line for line in status.stdout.splitlines() if line.startswith("webhooks ")]
        assert line.split(maxsplit=1)[1].startswith("2, 1 of them disabled, 1 events waiting, one for ")
