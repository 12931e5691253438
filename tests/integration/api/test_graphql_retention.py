"""Retention through GraphQL: what an auditor reads, what compliance does, and what each key must not learn or do."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from keyring_folder import slot_of
from retaining import NOW, OLD, SHORT, YOUNG, RetainedLedger, failed, open_retained
from rows import SeededLedger

from policies.policy.model import Role
from service.keyring import PeriodKeyName
from service.query.reader import Reader
from service.retention.maintenance import maintain

CLASSES = """
    { retention { policyDigest missing keyringBackupDays holds { id } lastPurge { state } classes {
        name tier store windowDays keptAtMostDays unreadableEverywhereDays oldest oldestServed overdue hidden held
        nextPurgeAt keys { live destroyed lost held } } } }
"""
PLACE = """
    mutation($scope: HoldScopeInput!) { placeHold(input: {
        name: "case 17", owner: "counsel", reason: "suit", scope: $scope, classes: [OPERATIONAL, PERSONAL]
    }) { ledgerIndex hold { id name owner reason classes rows expiresAt scope { account from to model callIds } } } }
"""
LIFT = """
    mutation($id: ID!) { liftHold(input: {holdId: $id, reason: "settled"}) { ledgerIndex hold { id liftedAt rows } } }
"""
PLAN = "mutation($in: PlanPurgeInput!) { planPurge(input: $in) { digest keys rowsHeldBack partitions { class tier } } }"
REQUEST = "mutation($d: Digest!) { requestPurge(input: {digest: $d}) { purgeRun { id state planDigest } } }"
ERASE = """
    mutation($in: RequestErasureInput!) { requestErasure(input: $in) { erasure {
        id kind account rows finishedAt blockedByHolds unreadableInBackupsAt ledgerIndex } } }
"""


class RoleClient:
    """Asks as any role, of a ledger under retention."""

    def __init__(self, retained: RetainedLedger, seeded: SeededLedger) -> None:
        self.retained = retained
        self.seeded = seeded

    async def ask(self, query: str, role: Role, *accounts: int, **variables: Any) -> Any:
        scope = self.seeded.scope(role, *accounts)
        result = await self.seeded.ask(query, scope, variables, services={"retention": self.retained.retention})
        assert result.errors is None, result.errors
        return result.data

    async def code(self, query: str, role: Role, *accounts: int, **variables: Any) -> str:
        scope = self.seeded.scope(role, *accounts)
        result = await self.seeded.ask(query, scope, variables, services={"retention": self.retained.retention})
        assert result.errors is not None, result.data
        return result.errors[0].extensions["code"]

    async def classes(self, role: Role = Role.AUDITOR, *accounts: int) -> dict[tuple[str, str], Any]:
        data = await self.ask(CLASSES, role, *accounts)
        return {(one["name"], one["store"]): one for one in data["retention"]["classes"]}

    async def number(self, name: str) -> int:
        number = await self.retained.retention.accounts.find(name)
        assert number is not None
        return number


@pytest.fixture
async def client(database_url: str, tmp_path: Path) -> AsyncIterator[RoleClient]:
    async with open_retained(database_url, tmp_path) as retained:
        retention = retained.retention
        reader = await Reader.open(retention.database, retention.accounts, retention.keyring)
        yield RoleClient(
            retained,
            SeededLedger(
                retention.database, retention.accounts, retention.keyring, SHORT, retention.partitions, reader
            ),
        )


async def test_the_report_tells_what_is_there(client: RoleClient) -> None:
    """Past rows are overdue and not served before the purge, and gone after it, with their keys."""
    await client.retained.report(failed("old", OLD), failed("young", YOUNG), failed("mine", YOUNG, account="other"))
    before = await client.classes()
    errors, calls = before["PERSONAL", "CALL_ERROR"], before["OPERATIONAL", "CALL"]
    assert (errors["windowDays"], errors["keptAtMostDays"], errors["unreadableEverywhereDays"]) == (30, 32, 39)
    assert (errors["overdue"], errors["hidden"], calls["overdue"], calls["hidden"]) == ("1", "1", "1", "1")
    assert errors["oldest"].startswith(f"{OLD:%Y-%m-%dT%H:%M:%S}")
    assert errors["oldestServed"].startswith(f"{YOUNG:%Y-%m-%dT%H:%M:%S}")
    assert (calls["windowDays"], calls["unreadableEverywhereDays"]) == (400, None)
    assert errors["keys"] == {"live": "2", "destroyed": "0", "lost": "0", "held": "0"}

    await client.retained.purge()
    after = await client.classes()
    assert {one["overdue"] for one in after.values()} | {one["hidden"] for one in after.values()} == {"0"}
    assert after["PERSONAL", "CALL_ERROR"]["keys"] == {"live": "1", "destroyed": "1", "lost": "0", "held": "0"}
    assert after["OPERATIONAL", "CALL"]["oldest"] == after["OPERATIONAL", "CALL"]["oldestServed"]
    report = (await client.ask(CLASSES, Role.AUDITOR))["retention"]
    assert (report["lastPurge"], report["keyringBackupDays"], report["missing"]) == ({"state": "DONE"}, 7, [])


async def test_hidden_rows_wait_for_their_partition(client: RoleClient) -> None:
    """A row past its window in a partition that is not due is hidden, not overdue, and counted exactly."""
    moment = NOW - timedelta(days=30, minutes=1)
    await client.retained.report(failed("edge", moment), failed("young", YOUNG))
    state = (await client.classes())["PERSONAL", "CALL_ERROR"]
    assert (state["hidden"], state["overdue"]) == ("1", "0")


async def test_a_lost_key_is_counted(client: RoleClient, tmp_path: Path) -> None:
    """A key that is gone without a tombstone shows in the report."""
    await client.retained.report(failed("young", YOUNG))
    slot_of(tmp_path / "keyring", PeriodKeyName(1, "personal", f"{YOUNG:%Y-%m-%d}")).unlink()
    assert (await client.classes())["PERSONAL", "CALL_ERROR"]["keys"]["lost"] == "1"


async def test_held_rows_are_counted_and_not_served(client: RoleClient) -> None:
    """Copies of a hold show in `held` and in the escrow, and in no list of calls or errors."""
    await client.retained.report(failed("old", OLD), failed("young", YOUNG))
    placed = await client.ask(PLACE, Role.COMPLIANCE, scope={"account": "acme"})
    hold_id = placed["placeHold"]["hold"]["id"]
    await client.retained.purge()
    classes = await client.classes()
    assert classes["PERSONAL", "CALL_ERROR"]["held"] == classes["OPERATIONAL", "CALL"]["held"] == "1"
    assert classes["PERSONAL", "CALL_ERROR"]["keys"]["held"] == "1"
    assert classes["BILLING", "CALL"]["held"] == "0"
    everything = await client.ask("{ calls { nodes { sourceId } } errors { totalCount } }", Role.ADMIN)
    assert everything == {"calls": {"nodes": [{"sourceId": "young"}]}, "errors": {"totalCount": 1}}
    node = await client.ask(
        "query($id: ID!) { node(id: $id) { id ... on Hold { rows owner } } }", Role.ADMIN, id=hold_id
    )
    assert node == {"node": {"id": hold_id, "rows": "2", "owner": "counsel"}}
    lifted = await client.ask(LIFT, Role.COMPLIANCE, id=hold_id)
    assert lifted["liftHold"]["hold"]["liftedAt"] is not None
    assert (await client.classes())["OPERATIONAL", "CALL"]["held"] == "0"
    assert await client.code(LIFT, Role.COMPLIANCE, id=hold_id) == "BAD_USER_INPUT"
    lists = await client.ask(
        "{ on: holds(active: true) { totalCount } off: holds(active: false) { nodes { id } } }", Role.AUDITOR
    )
    assert lists == {"on": {"totalCount": 0}, "off": {"nodes": [{"id": hold_id}]}}


async def test_a_plan_is_made_asked_for_and_carried_out(client: RoleClient) -> None:
    """planPurge -> requestPurge -> the worker; the run is then listed as done, with who asked."""
    await client.retained.report(failed("old", OLD), failed("young", YOUNG))
    plan = (await client.ask(PLAN, Role.COMPLIANCE, **{"in": {"class": "PERSONAL", "tier": "standard"}}))["planPurge"]
    assert (plan["keys"], plan["partitions"]) == ("1", [{"class": "PERSONAL", "tier": "standard"}])
    asked = (await client.ask(REQUEST, Role.COMPLIANCE, d=plan["digest"]))["requestPurge"]["purgeRun"]
    assert (asked["state"], asked["planDigest"]) == ("REQUESTED", plan["digest"])
    assert await maintain(client.retained.retention)
    runs = await client.ask(
        "{ purgeRuns(first: 1) { totalCount pageInfo { hasNextPage endCursor } nodes { id } } }", Role.AUDITOR
    )
    assert runs["purgeRuns"]["totalCount"] >= 1
    run = await client.ask(
        "query($id: ID!) { node(id: $id) { ... on PurgeRun { state requestedBy keysDestroyed ledgerIndex } } }",
        Role.ADMIN,
        id=asked["id"],
    )
    assert run["node"] == {"state": "DONE", "requestedBy": "testkey2", "keysDestroyed": "1", "ledgerIndex": "2"}
    assert await client.code(PLAN, Role.COMPLIANCE, **{"in": {"tier": "platinum"}}) == "BAD_USER_INPUT"
    assert await client.code(REQUEST, Role.COMPLIANCE, d="sha256:" + 64 * "0") == "BAD_USER_INPUT"


async def test_a_plan_says_what_holds_would_keep(client: RoleClient) -> None:
    """rowsHeldBack counts rows of the planned partitions that holds in force name."""
    await client.retained.report(failed("a", OLD), failed("b", OLD, account="other"))
    await client.ask(PLACE, Role.COMPLIANCE, scope={"account": "acme"})
    assert (await client.ask(PLAN, Role.COMPLIANCE, **{"in": {}}))["planPurge"]["rowsHeldBack"] == "2"


async def test_an_erasure_is_asked_for_and_listed(client: RoleClient) -> None:
    """A person's erasure is done in the answer; an account's is taken up by the worker."""
    await client.retained.report(failed("a", YOUNG, user="u1"))
    wanted = {"kind": "USER", "account": "acme", "userId": "u1", "reason": "asked"}
    done = (await client.ask(ERASE, Role.COMPLIANCE, **{"in": wanted}))["requestErasure"]["erasure"]
    assert (done["rows"], done["finishedAt"] is not None, done["blockedByHolds"]) == ("2", True, [])
    whole = {"kind": "ACCOUNT", "account": "acme", "reason": "ended"}
    asked = (await client.ask(ERASE, Role.COMPLIANCE, **{"in": whole}))["requestErasure"]["erasure"]
    assert asked["finishedAt"] is None
    assert await maintain(client.retained.retention)
    listed = await client.ask("{ erasures { totalCount nodes { kind finishedAt account } } }", Role.AUDITOR)
    kinds = [(one["kind"], one["account"].split(":")[0]) for one in listed["erasures"]["nodes"]]
    assert kinds == [("ACCOUNT", "erased"), ("USER", "erased")]
    assert all(one["finishedAt"] for one in listed["erasures"]["nodes"])
    for wrong in (
        {"kind": "USER", "account": "acme", "reason": "r"},
        {**whole, "userId": "u1"},
        {**wanted, "reason": " "},
    ):
        assert await client.code(ERASE, Role.COMPLIANCE, **{"in": wrong}) == "BAD_USER_INPUT"


async def test_accounts_are_listed_in_pages(client: RoleClient) -> None:
    """By name, with tier and calls; a cursor of another list is refused."""
    await client.retained.report(*[failed(name, YOUNG, account=name) for name in ("b", "a", "c")])
    query = "query($after: String) { accounts(first: 2, after: $after) { totalCount pageInfo { endCursor hasNextPage }"
    query += " nodes { name tier calls } } }"
    one = (await client.ask(query, Role.AUDITOR))["accounts"]
    assert [node["name"] for node in one["nodes"]] == ["a", "b"]
    assert one["nodes"][0] == {"name": "a", "tier": "standard", "calls": "1"}
    assert (one["totalCount"], one["pageInfo"]["hasNextPage"]) == (3, True)
    two = (await client.ask(query, Role.AUDITOR, after=one["pageInfo"]["endCursor"]))["accounts"]
    assert ([node["name"] for node in two["nodes"]], two["pageInfo"]["hasNextPage"]) == (["c"], False)
    runs = "query($after: String) { purgeRuns(after: $after) { totalCount } }"
    assert await client.code(runs, Role.AUDITOR, after=one["pageInfo"]["endCursor"]) == "BAD_USER_INPUT"


@pytest.mark.parametrize("role", [Role.INGEST, Role.VIEWER, Role.PARTNER, Role.SUPPORT, Role.AUDITOR])
async def test_who_is_not_compliance_changes_nothing(client: RoleClient, role: Role) -> None:
    """Holds, purges and erasures are refused for every role but compliance and admin."""
    await client.retained.report(failed("a", YOUNG))
    wanted = {"kind": "ACCOUNT", "account": "acme", "reason": "r"}
    assert await client.code(PLACE, role, scope={"account": "acme"}) == "FORBIDDEN"
    assert await client.code(LIFT, role, id="hold_x") == "FORBIDDEN"
    assert await client.code(PLAN, role, **{"in": {}}) == "FORBIDDEN"
    assert await client.code(REQUEST, role, d="sha256:" + 64 * "0") == "FORBIDDEN"
    assert await client.code(ERASE, role, **{"in": wanted}) == "FORBIDDEN"
    assert await client.retained.kinds() == []


async def test_a_bound_key_learns_of_its_accounts_alone(client: RoleClient) -> None:
    """Counts, holds and erasures of others are not shown, and what serves all accounts is refused."""
    await client.retained.report(failed("a", OLD), failed("b", OLD, account="other"), failed("c", YOUNG))
    await client.ask(PLACE, Role.COMPLIANCE, scope={"account": "acme"})
    await client.ask(
        ERASE, Role.COMPLIANCE, **{"in": {"kind": "USER", "account": "acme", "userId": "u", "reason": "r"}}
    )
    mine = await client.number("other")
    assert (await client.classes(Role.AUDITOR, mine))["OPERATIONAL", "CALL"]["hidden"] == "1"
    assert (await client.classes(Role.AUDITOR))["OPERATIONAL", "CALL"]["hidden"] == "2"
    lists = "{ holds { totalCount nodes { id } } erasures { totalCount nodes { id } } accounts { nodes { name } } }"
    found = await client.ask(lists, Role.AUDITOR, mine)
    assert found["holds"] == found["erasures"] == {"totalCount": 0, "nodes": []}
    assert found["accounts"] == {"nodes": [{"name": "other"}]}
    report = (await client.ask(CLASSES, Role.AUDITOR, mine))["retention"]
    assert (report["holds"], report["lastPurge"]) == ([], None)
    assert await client.code("{ purgeRuns { totalCount } }", Role.AUDITOR, mine) == "FORBIDDEN"
    assert await client.code(PLAN, Role.COMPLIANCE, mine, **{"in": {}}) == "FORBIDDEN"
    assert await client.code(PLACE, Role.COMPLIANCE, mine, scope={"account": "acme"}) == "BAD_USER_INPUT"
    assert await client.code('{ retention(accounts: ["acme"]) { asOf } }', Role.AUDITOR, mine) == "BAD_USER_INPUT"
    holds = await client.ask("{ holds { nodes { id } } }", Role.AUDITOR)
    hold_id = holds["holds"]["nodes"][0]["id"]
    assert await client.code(LIFT, Role.COMPLIANCE, mine, id=hold_id) == "BAD_USER_INPUT"
    assert await client.ask("query($id: ID!) { node(id: $id) { id } }", Role.ADMIN, mine, id=hold_id) == {"node": None}
    assert await client.ask("query($id: ID!) { node(id: $id) { id } }", Role.VIEWER, id=hold_id) == {"node": None}


async def test_a_viewers_report_names_no_holds(client: RoleClient) -> None:
    """Who may not ask `holds` gets the counts of the report and not the cases behind them."""
    await client.retained.report(failed("a", OLD))
    await client.ask(PLACE, Role.COMPLIANCE, scope={"account": "acme"})
    await client.retained.purge()
    report = (await client.ask(CLASSES, Role.VIEWER))["retention"]
    assert (report["holds"], report["lastPurge"]) == ([], None)
    assert len((await client.ask(CLASSES, Role.AUDITOR))["retention"]["holds"]) == 1
