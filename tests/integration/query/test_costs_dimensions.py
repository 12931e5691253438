"""What costs are grouped by beside names of the rollups: users by pseudonym, and types of errors."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from compiled_operations import same_answer
from rows import SeededLedger, StoredCall, StoredError, open_seeded

from policies.policy.model import PseudonymPeriod, Role, View

BY_USER = """query ($from: DateTime) { costs(groupBy: [USER], filter: {startedAt: {gte: $from}}) {
    nodes { key { user } calls errors } coverage { from source } } }"""


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        yield seeded


@pytest.mark.parametrize("period", PseudonymPeriod)
async def test_a_user_is_a_row_in_each_period(seeded: SeededLedger, period: PseudonymPeriod) -> None:
    """Rows by user are those of the pseudonyms that calls show, whichever period the policy has; who is not known is
    one row more. What can no longer be read is refused when it is asked for, and else left out."""
    seeded.policy = replace(seeded.policy, pseudonym_period=period)
    now = await seeded.now()
    moments = [now - timedelta(hours=hours) for hours in (1, 2, 30, 31, 24 * 20)]
    await seeded.put(
        [
            *(
                StoredCall(moment, source_id=f"{user}{index}", user=user, account=account, failed=index == 0)
                for index, moment in enumerate(moments)
                for user, account in (("ann", "acme"), ("bob", "acme"), ("ann", "globex"))
            ),
            StoredCall(now - timedelta(hours=1), source_id="nobody"),
            StoredCall(now - timedelta(days=45), source_id="old", user="ann"),
        ]
    )
    calls = (await seeded.data("{ calls(first: 200) { nodes { user status startedAt } } }"))["calls"]["nodes"]
    recent = [call for call in calls if call["startedAt"] > (now - timedelta(days=25)).isoformat()]
    expected: dict[Any, list[int]] = {}
    for call in recent:
        counts = expected.setdefault(call["user"], [0, 0])
        counts[0] += 1
        counts[1] += call["status"] == "FAILED"

    found = (await seeded.data(BY_USER))["costs"]

    assert {row["key"]["user"]: [int(row["calls"]), int(row["errors"])] for row in found["nodes"]} == expected
    assert len(expected) > 3 and None in expected
    assert found["coverage"]["source"] == "CALLS"
    since = {"from": (now - timedelta(days=21)).isoformat()}
    same = f"{BY_USER[: BY_USER.index('coverage')]} }} }}"
    assert (await seeded.data(same, variables=since))["costs"]["nodes"] == found["nodes"]
    assert await same_answer(seeded, seeded.scope(Role.ADMIN), same, since)
    old = {"from": (now - timedelta(days=40)).isoformat()}
    assert await seeded.code(BY_USER, variables=old) == "OUT_OF_RETENTION"


async def test_who_may_not_see_pseudonyms_does_not_group_by_them(seeded: SeededLedger) -> None:
    """Masked is enough to filter by a pseudonym that one has, and not to be told how much each user did."""
    number = await seeded.join("acme")
    assert await seeded.code(BY_USER, seeded.scope(Role.PARTNER, number)) == "FORBIDDEN"
    rule = seeded.policy.roles[Role.VIEWER]
    for view in (View.MASKED, View.DENIED):
        for field in ("Call.user", "CostKey.user"):
            fields = MappingProxyType({**rule.fields, field: view})
            roles = MappingProxyType({**seeded.policy.roles, Role.VIEWER: replace(rule, fields=fields)})
            scope = seeded.scope(Role.VIEWER, policy=replace(seeded.policy, roles=roles))
            assert await seeded.code(BY_USER, scope) == "FORBIDDEN", (field, view)
    assert await seeded.data(BY_USER, seeded.scope(Role.VIEWER))


async def test_types_of_errors_outlive_their_details(seeded: SeededLedger) -> None:
    """A row an error type, as calls have it, with what these calls cost; calls that succeeded are the row of null."""
    now = await seeded.now()
    await seeded.put(
        [
            StoredCall(now - timedelta(days=days), source_id=f"{days}", failed=True, error_type=type_, error=error)
            for days, type_, error in (
                (1, "Timeout", StoredError(type="Timeout")),
                (60, "Timeout", None),
                (2, "Other", None),
            )
        ]
        + [StoredCall(now, source_id="fine")]
    )
    query = "{ costs(groupBy: [ERROR_TYPE], orderBy: [{field: KEY}]) { nodes { key { errorType } calls } } }"

    found = await seeded.data(query)

    assert [(row["key"]["errorType"], row["calls"]) for row in found["costs"]["nodes"]] == [
        ("Timeout", "2"),
        ("Other", "1"),
        (None, "1"),
    ]
