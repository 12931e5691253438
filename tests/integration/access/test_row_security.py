"""Row-level security on its own: what PostgreSQL shows when all of the service forgets whose rows it may read."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from graphql import parse, validate
from retaining import OLD, SHORT, YOUNG, RetainedLedger, failed, open_retained
from rows import SeededLedger

from policies import Role, digest
from service.access.issuing import ApiKeys
from service.api.exports.types import encode_export_id
from service.api.schema import build_schema
from service.api.types.public_ids import encode_id
from service.ledger import KeyRegister
from service.query.model.scope import Scope
from service.query.reader import Reader
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind
from service.storage.control.budgets import BudgetOf, set_budget
from service.storage.control.export_schedules import add_schedule
from service.storage.control.exports import StoredExportKind, request_export
from service.storage.control.webhook_deliveries import add_delivery
from service.storage.control.webhooks import NewWebhook, add_webhook
from service.storage.database import Database
from service.storage.gateways.pull_sources import NewSource, add_source
from service.storage.gateways.reconciliations import DifferenceRecord, NewReconciliation, add_reconciliation
from service.storage.numbering import number_changes
from service.storage.readers import ReadLease
from service.storage.schema import row_security
from service.storage.schema.migrate import migrate

READERS = [role for role in Role if role is not Role.INGEST]
# One question for every root field: what it shows of the accounts `mine` and `theirs`, whose texts all hold the name.
QUESTIONS = {
    "retention": "{ retention { holds { name } classes { oldest oldestServed overdue hidden held } } }",
    "purgeRuns": "{ purgeRuns { nodes { id partitions { rows } } } }",
    "holds": "{ holds { totalCount nodes { id name owner reason scope { account } } } }",
    "erasures": "{ erasures { totalCount nodes { id account } } }",
    "accounts": "{ accounts { totalCount nodes { name calls } } }",
    "ledger": "{ ledger { nodes { note leaf } } }",
    "checkpoint": "{ checkpoint { note } }",
    "inclusionProof": "{ inclusionProof(index: 0, size: 1) { hashes } }",
    "consistencyProof": "{ consistencyProof(from: 1, to: 2) { hashes } }",
    "ingestReport": '{ ingestReport(since: "2026-01-01T00:00:00Z") { refused rows { account } } }',
    "attestations": "{ attestations(first: 5) { nodes { id digest } } }",
    "attestation": '{ attestation(id: "att_aaaaaaaaaaaaaaaaaaaaaaaaaa") { id } }',
    "export": '{ export(id: "%(export)s") { id } }',
    "exports": "{ exports(first: 5) { nodes { id } } }",
    "exportSchedules": "{ exportSchedules(first: 5) { nodes { id } } }",
    "webhooks": "{ webhooks { nodes { id name url } } }",
    "webhookDeliveries": '{ webhookDeliveries(webhook: "%(webhook)s") { nodes { id } } }',
    "budgets": "{ budgets { account apiKey } }",
    "sources": "{ sources { totalCount nodes { id name address account } } }",
    "reconciliations": "{ reconciliations { totalCount nodes { id name accounts differences { nodes { model } } } } }",
    "changes": "{ changes { nodes { kind call { id account model } } } }",
    "changeSums": '{ changeSums(since: "2026-11-01T00:00:00Z", until: "2026-11-30T00:00:00Z") { sums { account } } }',
    "calls": "{ calls { nodes { id account model sourceId } } }",
    "errors": "{ errors { nodes { id message call { account model } } } }",
    "errorGroups": "{ errorGroups { nodes { count models } } }",
    "costs": "{ costs(groupBy: [ACCOUNT, MODEL]) { rows { key { account model } calls } } }",
    "facets": "{ facets { accounts { value count } models { value count } } }",
    "call": '{ call(id: "%(call)s") { id model } }',
    "nodes": '{ nodes(ids: ["%(hold)s", "%(erasure)s", "%(call)s"]) { id } }',
    "account": '{ account(name: "theirs") { id calls } }',
    "node": '{ a: node(id: "%(hold)s") { id } b: node(id: "%(erasure)s") { id } c: node(id: "%(call)s") { id } }',
    "apiKeys": "{ apiKeys { totalCount nodes { keyId name accounts } } }",
    "viewer": "{ viewer { role accounts } }",
    "policy": "{ policy { name } }",
}


@dataclass(slots=True)
class TwoAccounts:
    """Two accounts with one of everything, and the outward ids of what is of the second."""

    retained: RetainedLedger
    seeded: SeededLedger
    mine: int
    theirs: int
    ids: dict[str, str]
    keys: ApiKeys

    async def ask(self, root: str, scope: Scope) -> Any:
        services = {"retention": self.retained.retention, "keys": self.keys}
        return await self.seeded.ask(QUESTIONS[root] % self.ids, scope, services=services, ledger=self.retained.ledger)


def reconciliation(account: int, name: str) -> NewReconciliation:
    day, totals = YOUNG.date(), {"USD": ("1", "2")}
    of = (uuid4(), None, name, "cli", (account,), "invoice", day, day, "UTC", Decimal("0.001"))
    return NewReconciliation(
        *of, by_ids=False, rows=1, calls=1, unread={}, totals=totals, kinds={}, differing=1, failure=None
    )


def difference(model: str) -> DifferenceRecord:
    return DifferenceRecord(0, "UNPRICED", YOUNG.date(), model, "USD", 1, Decimal(1), Decimal(0), ())


@pytest.fixture
async def two_accounts(any_database_url: str, tmp_path: Path) -> AsyncIterator[TwoAccounts]:
    async with open_retained(any_database_url, tmp_path) as retained:
        retention = retained.retention
        keys = ApiKeys(retention.accounts, retention.keyring, retained.ledger, KeyRegister(retained.ledger))
        ids: dict[str, str] = {}
        for name in ("mine", "theirs"):
            model = f"{name}-model"
            rows = [failed(f"{name}-old", OLD, account=name, model=model, user="u1")]
            rows.append(failed(f"{name}-young", YOUNG, account=name, model=model, user="u1"))
            await retained.report(*rows)
            made = await keys.create(Role.VIEWER, accounts=[name], name=name)
            ids["key"] = made.record.prefix
            hold = await retained.hold(account=name, model=f"{name}-model")
            erasure = await request_erasure(
                retention, kind=ErasureKind.USER, account=name, user="u2", reason=f"{name} asked", actor="cli"
            )
            ids |= {"hold": encode_id("hold", hold.id), "erasure": encode_id("erasure", erasure.id)}
        async with retention.owner.acquire() as connection:
            await number_changes(connection)
        await retention.accounts.refresh()
        mine, theirs = [await retention.accounts.find(name) for name in ("mine", "theirs")]
        assert mine is not None and theirs is not None
        reader = await Reader.open(retention.database, retention.accounts, retention.keyring)
        seeded = SeededLedger(
            retention.database, retention.accounts, retention.keyring, SHORT, retention.partitions, reader
        )
        request = {"format": "CSV", "fields": [], "filter": None}
        for account in (mine, theirs):
            asker = seeded.scope(Role.VIEWER, account)
            record = await request_export(
                retention.database, uuid4(), StoredExportKind.CALLS, asker, digest(SHORT), request
            )
            await add_schedule(
                retention.database, uuid4(), StoredExportKind.CALLS, asker, ("DAY", "UTC"), request, (OLD, YOUNG)
            )
        calls = await seeded.data('{ calls(filter: {account: {eq: "theirs"}}) { nodes { id } } }')
        ids |= {"export": encode_export_id(record.id), "call": calls["calls"]["nodes"][0]["id"]}
        async with retention.owner.acquire() as connection, connection.transaction():
            for account, name in ((mine, "mine"), (theirs, "theirs")):
                new = NewWebhook(uuid4(), name, frozenset(), {}, f"https://{name}.example.com/", b"", None)
                webhook = await add_webhook(connection, seeded.scope(Role.VIEWER, account), new)
                ids["webhook"] = encode_id("hook", webhook.id)
                await add_delivery(connection, webhook, "webhook.test", "test", {})
                of = BudgetOf(account, "USD", api_key=f"{name}-key")
                await set_budget(connection, of, Decimal(1), [100], "testkey2")
                added = NewSource(uuid4(), name, "new-api", f"https://{name}.example.com", account, {}, b"", 60)
                await add_source(connection, added)
                await add_reconciliation(connection, reconciliation(account, name), [difference(f"{name}-model")])
        await retained.purge()
        yield TwoAccounts(retained, seeded, mine, theirs, ids, keys)


@pytest.fixture
def forgetful(two_accounts: TwoAccounts, monkeypatch: pytest.MonkeyPatch) -> TwoAccounts:
    """The two_accounts with a service that has lost every filter by account: only the connection knows whose it is."""
    original = ReadLease.__init__

    def bound(self: ReadLease, database: Database, _: tuple[int, ...] | None, key_id: str | None = None) -> None:
        original(self, database, (two_accounts.mine,), key_id)

    monkeypatch.setattr(ReadLease, "__init__", bound)
    return two_accounts


def test_every_root_field_is_asked() -> None:
    """A root field that is added needs a question here, and one that the schema understands."""
    schema = build_schema()._schema
    ids = dict.fromkeys(("hold", "erasure", "call", "export", "webhook"), "x")
    wrong = {root: validate(schema, parse(question % ids)) for root, question in QUESTIONS.items()}

    assert {root: errors for root, errors in wrong.items() if errors} == {}
    assert set(QUESTIONS) == set(build_schema()._schema.query_type.fields)


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("bound", [False, True], ids=["no filter", "a filter that is too wide"])
async def test_row_level_security_hides_what_the_filters_forget(
    forgetful: TwoAccounts, role: Role, bound: bool
) -> None:
    """Whatever is asked with whatever key, PostgreSQL alone keeps another account's rows back."""
    accounts = (forgetful.mine, forgetful.theirs) if bound else ()
    scope = forgetful.seeded.scope(role, *accounts)
    shown = {}
    for root in QUESTIONS:
        if root == "viewer":
            continue  # it says which accounts the key itself names
        result = await forgetful.ask(root, scope)
        shown[root] = result.data
        assert "theirs" not in repr((result.data, result.errors)), root
        assert not any(id_ in repr(result.data) for id_ in forgetful.ids.values()), root

    nodes = {root: data[root]["nodes"] for root, data in shown.items() if data and "nodes" in (data.get(root) or {})}
    assert {root: len(rows) for root, rows in nodes.items()} == dict.fromkeys(nodes, 1)
    assert nodes.keys() & {"calls", "holds"}
    if shown["retention"]:
        assert {one["held"] for one in shown["retention"]["retention"]["classes"]} == {"0", "1"}


async def test_without_sabotage_an_unbound_key_sees_both(two_accounts: TwoAccounts) -> None:
    """The questions find what they ask for where nothing hides it, so that an empty answer means something."""
    scope = two_accounts.seeded.scope(Role.ADMIN)
    for root in ("holds", "erasures", "accounts", "calls", "errors", "costs", "facets"):
        assert "theirs" in repr((await two_accounts.ask(root, scope)).data), root
    for root in ("node", "call", "export"):
        data = (await two_accounts.ask(root, scope)).data
        assert None not in data.values(), root
    assert all((await two_accounts.ask("node", scope)).data.values())
    held = {one["held"] for one in (await two_accounts.ask("retention", scope)).data["retention"]["classes"]}
    assert "2" in held


ACCOUNT_COLUMNS = """
    SELECT DISTINCT c.relname, c.relrowsecurity FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
        AND (a.attname IN ('account_id', 'accounts', 'account') OR c.relname = 'account')
"""
READABLE = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        AND has_any_column_privilege('calledger_app', oid, 'SELECT')
        AND NOT EXISTS (
            SELECT 1 FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
        )
"""
WRITABLE = """
    SELECT relname FROM pg_class, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS privilege
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        AND has_table_privilege('calledger_app', oid, privilege)
"""
SCOPED = "SELECT tablename, qual FROM pg_policies WHERE roles = '{calledger_app}' AND cmd = 'SELECT'"


async def test_the_catalogue_guards_every_table_of_accounts(two_accounts: TwoAccounts) -> None:
    """Each table that names an account has row-level security, and the scoped role reads it by its policy or not."""
    owner = two_accounts.retained.retention.owner
    readable = {row[0] for row in await owner.fetch(READABLE)}
    conditions = {row["tablename"]: row["qual"] for row in await owner.fetch(SCOPED)}
    tables = {row[0]: row[1] for row in await owner.fetch(ACCOUNT_COLUMNS)}

    assert {name for name, secured in tables.items() if not secured} == set()
    assert {"call", "hold", "erasure", "export", "api_key", "account_tier", "usage_half_hour"} <= tables.keys()
    of_no_account = {"policy_version", "change_head", "change_epoch", "change_floor", "usage_tag_key", "cold_file"}
    of_no_account |= {"usage_unsummed"}
    assert readable - conditions.keys() == of_no_account
    assert all("calledger.accounts" in condition for condition in conditions.values())
    assert await owner.fetch(WRITABLE) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("ALTER TABLE hold DISABLE ROW LEVEL SECURITY", "row-level security of `hold` is switched off"),
        ("DROP POLICY scoped ON erasure", "the policy `scoped` of `erasure` is missing"),
        ("ALTER POLICY scoped ON call USING (true)", "the policy `scoped` of `call` shows other rows"),
        ("CREATE POLICY extra ON call TO public USING (true)", "the policy `extra` of `call` is none of ours"),
        ("ALTER POLICY scoped ON hold TO calledger_app_all", "the policy `scoped` of `hold` is for others"),
        ("GRANT SELECT ON purge_run TO calledger_app", "`calledger_app` has the privilege SELECT on `purge_run`"),
        ("GRANT SELECT (id) ON purge_run TO calledger_app", "`calledger_app` has the privilege SELECT on `purge_run`"),
        ("GRANT DELETE ON call TO calledger_app_all", "`calledger_app_all` has the privilege DELETE on `call`"),
        ("GRANT SELECT ON usage_day_all TO PUBLIC", "`calledger_app` has the privilege SELECT on `usage_day_all`"),
        ("REVOKE INSERT ON call FROM calledger_app_all", "`calledger_app_all` lacks the privilege INSERT on `call`"),
    ],
)
async def test_what_somebody_changed_is_named_and_put_right_by_migrate(
    any_database_url: str, damage: str, said: str
) -> None:
    """A protection that was removed is named by every start, and stays removed until an operator says `migrate`."""
    connection = await asyncpg.connect(any_database_url)
    await connection.execute(damage)
    assert await migrate(any_database_url) == []

    database = await Database.open(any_database_url)
    await database.close()
    repaired = await migrate(any_database_url, repair=True)

    assert any(missing.startswith(said) for missing in database.missing_protections), database.missing_protections
    assert any(missing.startswith(said) for missing in repaired)
    left = [gap.description for gap in await row_security.gaps(connection)]
    await connection.close()
    assert left == ([] if "PUBLIC" not in damage else left)
