"""A person whose erasure a hold blocks (GDPR, article 18): in the hold's export, and in nothing else."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from compiled_operations import COMPILED, ORDINARY
from retaining import SHORT, YOUNG, RetainedLedger, failed, open_retained
from rows import SeededLedger

from policies import Role
from policies.admission.segments import masked
from service.query.reader import Reader
from service.retention.erasure.erasure import request_erasure
from service.retention.erasure.erasure_record import ErasureKind, StoredErasure
from service.retention.holds.escrow import open_held
from service.retention.holds.held_copies import count_copies, held_calls, held_errors
from service.retention.holds.holds import StoredHold, lift_hold
from service.retention.maintenance import maintain

BY_USER = '{user: {id: "u-mallory"}}'
QUESTIONS = {
    "calls": "{ calls { nodes { sourceId user error { message disclosure } } } }",
    "calls of theirs": f"{{ calls(filter: {BY_USER}) {{ totalCount nodes {{ sourceId }} }} }}",
    "errors": "{ errors { nodes { message disclosure call { sourceId user } } } }",
    "errors of theirs": f"{{ errors(filter: {BY_USER}) {{ totalCount nodes {{ message }} }} }}",
    "groups of theirs": f"{{ errorGroups(filter: {BY_USER}) {{ nodes {{ count }} }} }}",
    "costs of theirs": f"{{ costs(filter: {BY_USER}) {{ rows {{ calls }} }} }}",
    "facets of theirs": f"{{ facets(filter: {BY_USER}) {{ models {{ value }} }} }}",
}
REVEAL = """mutation($id: ID!) { revealError(input: {errorId: $id, reason: "ticket 9"}) {
    error { message disclosure call { user } } } }"""


@dataclass(slots=True)
class Case:
    """A hold on the calls of one model, and an erasure of a person who has some of them."""

    retained: RetainedLedger
    hold: StoredHold
    erasure: StoredErasure

    async def reopened(self) -> SeededLedger:
        """As another process reads that begins now."""
        retention = self.retained.retention
        reader = await Reader.open(retention.database, retention.accounts, retention.keyring)
        return SeededLedger(
            retention.database, retention.accounts, retention.keyring, SHORT, retention.partitions, reader
        )


@pytest.fixture
async def case(any_database_url: str, tmp_path: Path) -> AsyncIterator[Case]:
    async with open_retained(any_database_url, tmp_path) as retained:
        await retained.report(
            failed("theirs", YOUNG, user="u-mallory", model="held"),
            failed("loose", YOUNG, user="u-mallory", model="free"),
            failed("bob", YOUNG, user="u-bob", model="held"),
        )
        hold = await retained.hold(model="held")
        erasure = await request_erasure(
            retained.retention, kind=ErasureKind.USER, account="acme", user="u-mallory", reason="asked", actor="cli"
        )
        yield Case(retained, hold, erasure)


async def answers(seeded: SeededLedger, role: Role, schema: Any) -> dict[str, Any]:
    found = {}
    for name, question in QUESTIONS.items():
        context = seeded.context(seeded.scope(role))
        result = await schema.execute(question, context_value=context)
        assert result.errors is None, (name, result.errors)
        (found[name],) = result.data.values()
    return found


@pytest.mark.parametrize("schema", [ORDINARY, COMPILED], ids=["ordinary", "compiled"])
async def test_no_reader_finds_a_restricted_person(case: Case, schema: Any) -> None:
    """Lists, counts, filters, groups, costs and facets show nothing of the person, and all of their neighbour."""
    seeded = await case.reopened()
    shown = await answers(seeded, Role.SUPPORT, schema)

    users = {node["sourceId"]: node["user"] for node in shown["calls"]["nodes"]}
    assert {name for name, user in users.items() if user is not None} == {"bob"}
    kept = {node["call"]["sourceId"]: (node["message"], node["disclosure"]) for node in shown["errors"]["nodes"]}
    assert kept["theirs"] == kept["loose"] == (None, "NOT_KEPT")
    assert kept["bob"][0] == "user of bob has no quota"
    assert shown["calls of theirs"] == shown["errors of theirs"] == {"totalCount": 0, "nodes": []}
    assert shown["groups of theirs"]["nodes"] == shown["costs of theirs"]["rows"] == []
    assert shown["facets of theirs"]["models"] == []


async def test_a_restricted_error_is_not_revealed(case: Case) -> None:
    """Who may open sealed text finds that there is none any more."""
    seeded = await case.reopened()
    rows = (await seeded.data("{ errors { nodes { id call { sourceId } } } }", seeded.scope(Role.SUPPORT)))["errors"]
    (id_,) = [row["id"] for row in rows["nodes"] if row["call"]["sourceId"] == "theirs"]
    result = await seeded.ask(REVEAL, seeded.scope(Role.SUPPORT), {"id": id_}, ledger=case.retained.ledger)

    assert result.data["revealError"]["error"] == {"message": None, "disclosure": "NOT_KEPT", "call": {"user": None}}


async def test_the_holds_export_has_the_person(case: Case) -> None:
    """What the hold names is there for its owner, with the pseudonym and the text, and nobody else's rows with it."""
    retention = case.retained.retention
    async with retention.owner.acquire() as connection, connection.transaction():
        calls = [row async for row in held_calls(connection, case.hold)]
        errors = [row async for row in held_errors(connection, case.hold)]
        (details,) = [await open_held(retention.keyring, row) for row in errors]

    assert [(row["source_id"], row["user_token"] is not None) for row in calls] == [("theirs", True)]
    assert details is not None and details.message is not None
    assert masked(details.message) == "user of theirs has no quota"


async def test_the_state_is_told_and_ends_with_the_hold(case: Case) -> None:
    """`erasures` says RESTRICTED until the hold is lifted, then DONE; the ledger has each step."""
    seeded = await case.reopened()
    asked = "{ erasures { nodes { state restrictedAt finishedAt blockedByHolds } } }"
    services = {"retention": case.retained.retention}
    before = (await seeded.ask(asked, seeded.scope(Role.COMPLIANCE), services=services)).data["erasures"]["nodes"][0]
    await lift_hold(case.retained.retention, case.hold.id, reason="settled", actor="cli")
    assert await maintain(case.retained.retention)
    after = (await seeded.ask(asked, seeded.scope(Role.COMPLIANCE), services=services)).data["erasures"]["nodes"][0]

    assert (before["state"], before["finishedAt"], len(before["blockedByHolds"])) == ("RESTRICTED", None, 1)
    assert (after["state"], after["blockedByHolds"]) == ("DONE", [])
    assert None not in (before["restrictedAt"], after["finishedAt"])
    kinds = [kind for kind in await case.retained.kinds() if kind.startswith("ERASURE")]
    assert kinds == ["ERASURE_INTENT", "ERASURE_RESTRICTED", "ERASURE_RESULT"]
    assert await case.retained.findings() == {}


async def test_what_comes_after_keeps_the_one_copy(case: Case) -> None:
    """When the account is erased too, the hold's copy is not made again of the row that has lost the person."""
    statement = "SELECT user_token FROM call_held WHERE source_id = 'theirs'"
    (before,) = await case.retained.column(statement)
    await request_erasure(
        case.retained.retention, kind=ErasureKind.ACCOUNT, account="acme", user=None, reason="ended", actor="cli"
    )

    assert await case.retained.column(statement) == [before]
    assert before is not None
    async with case.retained.retention.owner.acquire() as connection:
        assert await count_copies(connection, case.hold) == (2, 2)
    assert await case.retained.value("SELECT count(*) FROM call") == 0
