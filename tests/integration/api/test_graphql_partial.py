"""One root field that fails leaves the others their data, and its message says what ended and from when it is there."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from rows import SeededLedger, StoredCall, open_seeded

from policies.policy.model import DataClass, Role, Store
from policies.retention import cutoff, readable_cutoff
from service.api.schema import build_schema
from service.ledger import Ledger

OLD = '{startedAt: {gte: "2020-01-01T00:00:00.001Z"}, operation: {eq: "chat"}}'
BY_USER = "query($f: CallFilter) { calls(filter: $f) { totalCount } costs(filter: $f) { totals { calls } } }"


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        now = await seeded.now()
        await seeded.put([StoredCall(now - timedelta(minutes=n), source_id=str(n), user="u") for n in range(4)])
        yield seeded


@pytest.mark.parametrize("compiled", [False, True], ids=["ordinary", "compiled"])
async def test_the_others_keep_their_data(seeded: SeededLedger, compiled: bool) -> None:
    """`costs` that is out of retention, a page that is too large: null there, data beside it, on both paths."""
    query = f"""{{ first: calls {{ totalCount }} old: costs(filter: {OLD}) {{ truncated }}
        wrong: calls(first: 500) {{ totalCount }} now: costs {{ totals {{ calls }} }}
        {"" if compiled else "viewer { role }"} }}"""
    before = build_schema().compiled.answered
    for _ in range(2):
        result = await seeded.ask(query)
    assert (build_schema().compiled.answered > before) is compiled
    expected = {"first": {"totalCount": 4}, "old": None, "wrong": None, "now": {"totals": [{"calls": "4"}]}}
    assert result.data == (expected if compiled else expected | {"viewer": {"role": "ADMIN"}})
    told = [(error.path, error.extensions["code"]) for error in result.errors]
    assert told == [(["old"], "OUT_OF_RETENTION"), (["wrong"], "BAD_USER_INPUT")]
    assert "single calls are there from" in result.errors[0].message


async def test_a_mutation_keeps_what_was_done(seeded: SeededLedger) -> None:
    """Of two mutations the first is done and said, though the second fails: a client learns its ledger index."""
    query = """mutation { first: revealError(input: {errorId: "x", reason: "y"}) { ledgerIndex }
        plan: planPurge(input: {}) { digest } }"""
    services = {
        "services": {"retention": seeded.retention},
        "ledger": Ledger(seeded.database, seeded.keyring, uuid4()),
    }
    result = await seeded.ask(query, seeded.scope(Role.ADMIN), **services)
    assert [error.path for error in result.errors] == [["first"]]
    assert result.data["first"] is None
    assert result.data["plan"]["digest"].startswith("sha256:")


async def test_a_filter_by_user_says_that_pseudonyms_ended(seeded: SeededLedger) -> None:
    """Between the end of pseudonyms and that of calls, a list by user would leave calls out: refused as sums are, in
    words that say which of them ended. Without a beginning, and after it, both answer."""
    now, tier = await seeded.now(), seeded.policy.tiers[seeded.policy.default_tier].number
    readable = readable_cutoff(seeded.policy, tier, DataClass.PERSONAL, Store.CALL, now)
    calls = cutoff(seeded.policy, tier, Store.CALL, now)
    assert calls < readable, "the policy ends pseudonyms before calls"
    user = {"user": {"id": "u"}}
    old = {**user, "startedAt": {"gte": (readable - timedelta(days=1)).isoformat()}}
    recent = {**user, "startedAt": {"gte": (readable + timedelta(hours=1)).isoformat()}}
    refused = await seeded.ask(BY_USER, variables={"f": old})
    assert refused.data == {"calls": None, "costs": None}
    for error in refused.errors:
        assert error.extensions["code"] == "OUT_OF_RETENTION"
        assert error.message.startswith("pseudonyms can be read from")
        assert "single calls are there" not in error.message
    for filter_ in (user, recent):
        data = await seeded.data(BY_USER, variables={"f": filter_})
        assert (data["calls"]["totalCount"], data["costs"]["totals"]) == (4, [{"calls": "4"}])
    plain = {"startedAt": {"gte": (readable - timedelta(days=1)).isoformat()}}
    assert (await seeded.data(BY_USER, variables={"f": plain}))["calls"]["totalCount"] == 4
