"""Facets: values with counts, from rollups where the filter allows, else from the calls of the last month."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from usage_ledger import Ledger, Reported, open_ledger

from policies.policy.model import Role
from service.query.model.errors import BadInputError, ForbiddenError, OutOfRetentionError
from service.query.model.predicate import EVERYTHING, And, Compare
from service.query.usage.facets import FACETS, FacetValue, read_facets

NOW = datetime(2026, 11, 22, 10, 7, 31, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    async with open_ledger(database_url) as opened:
        yield opened


def values(found: list[FacetValue]) -> list[tuple[str | None, int]]:
    return [(item.value, item.count) for item in found]


async def test_values_come_by_count_then_by_code_point(ledger: Ledger) -> None:
    """The most calls first; ties by code point, not by anyone's alphabet; what was not reported last of its ties."""
    models = ["é", "a", "Z", "b", "b", "b", "c", "c"]
    await ledger.report(Reported(NOW - DAY, model=model, provider=None) for model in models)
    await ledger.report(
        [Reported(NOW - DAY, model="b", provider="zeta", account="é"), Reported(NOW - DAY, account="Z")]
    )
    await ledger.folder.compact()

    found = await read_facets(ledger.reader(NOW), EVERYTHING, ["models", "providers", "accounts"], 20)

    assert values(found["models"]) == [("b", 4), ("c", 2), ("Z", 1), ("a", 1), ("gpt-4o", 1), ("é", 1)]
    assert values(found["providers"]) == [(None, 8), ("openai", 1), ("zeta", 1)]
    assert values(found["accounts"]) == [("acme", 8), ("Z", 1), ("é", 1)]
    assert values((await read_facets(ledger.reader(NOW), EVERYTHING, ["models"], 3))["models"]) == [
        ("b", 4),
        ("c", 2),
        ("Z", 1),
    ]
    assert values((await read_facets(ledger.reader(NOW), EVERYTHING, ["accounts"], 2))["accounts"]) == [
        ("acme", 8),
        ("Z", 1),
    ]


@pytest.mark.parametrize("folded", [True, False])
async def test_rollups_and_calls_give_the_same_values(ledger: Ledger, folded: bool) -> None:
    """A filter that only calls can answer, and that lets everything pass, changes nothing inside its month."""
    await ledger.report(
        Reported(
            NOW - hours * timedelta(hours=5),
            model=f"m{hours % 3}",
            failed=hours % 4 == 0,
            currency="USD",
            latency_ms=hours,
            api_key=None if hours % 5 else "k",
        )
        for hours in range(1, 60)
    )
    if folded:
        await ledger.folder.compact()
    names = [name for name in FACETS if name != "errorTypes"]

    by_rollups = await read_facets(ledger.reader(NOW), EVERYTHING, names)
    by_calls = await read_facets(ledger.reader(NOW), Compare("latencyMs", "gte", 0), names)

    assert by_rollups == by_calls
    assert sum(item.count for item in by_rollups["statuses"]) == 59


async def test_error_types_are_of_failed_calls_of_the_last_month(ledger: Ledger) -> None:
    """Without a time filter 31 days; with one, what it says."""
    await ledger.report(
        [
            Reported(NOW - DAY, failed=True, error_type="Timeout"),
            Reported(NOW - DAY, failed=True, error_type=None),
            Reported(NOW - DAY, error_type="NotFailed"),
            Reported(NOW - 31 * DAY, failed=True, error_type="JustInside"),
            Reported(NOW - 31 * DAY - timedelta(milliseconds=1), failed=True, error_type="JustOutside"),
        ]
    )

    found = await read_facets(ledger.reader(NOW), EVERYTHING, ["errorTypes"])
    assert values(found["errorTypes"]) == [("JustInside", 1), ("Timeout", 1), (None, 1)]
    found = await read_facets(ledger.reader(NOW), Compare("startedAt", "gte", NOW - 40 * DAY), ["errorTypes"])
    assert [item.value for item in found["errorTypes"]] == ["JustInside", "JustOutside", "Timeout", None]
    found = await read_facets(ledger.reader(NOW), Compare("startedAt", "lt", NOW - 31 * DAY), ["errorTypes"])
    assert [item.value for item in found["errorTypes"]] == ["JustOutside"]


@pytest.mark.parametrize("facet", sorted(FACETS))
async def test_each_facet_can_be_asked_alone(ledger: Ledger, facet: str) -> None:
    """Also together with a filter that only calls can answer."""
    await ledger.report([Reported(NOW - DAY, failed=True, error_type="x", currency="USD", operation="chat")])
    for predicate in (EVERYTHING, Compare("operation", "eq", "chat")):
        found = await read_facets(ledger.reader(NOW), predicate, [facet])
        assert [item.count for item in found[facet]] == [1]


async def test_facets_obey_scope_window_and_views(ledger: Ledger) -> None:
    """Only the accounts in scope; nothing past its window; nothing that the role may not see."""
    numbers = await ledger.accounts.ensure(["mine", "theirs"])
    await ledger.report(
        Reported(NOW - DAY, account=account, model=account, failed=True, error_type=account)
        for account in ("mine", "theirs")
    )
    await ledger.folder.compact()
    reader = ledger.reader(NOW, (numbers["mine"],))

    found = await read_facets(reader, Compare("account", "ne", "nobody"), FACETS)

    assert "theirs" not in str(found)
    assert values(found["accounts"]) == values(found["models"]) == values(found["errorTypes"]) == [("mine", 1)]
    assert (await read_facets(ledger.reader(NOW, ()), EVERYTHING, FACETS))["models"] == []
    too_old = And((Compare("startedAt", "gte", NOW - 500 * DAY), Compare("operation", "eq", "chat")))
    with pytest.raises(OutOfRetentionError):
        await read_facets(reader, too_old, ["models"])
    with pytest.raises(ForbiddenError):
        await read_facets(ledger.reader(NOW, None, Role.AUDITOR), EVERYTHING, ["models"])


@pytest.mark.parametrize("first", [0, -1, 201])
async def test_the_number_of_values_is_bounded(ledger: Ledger, first: int) -> None:
    """1 to 200."""
    with pytest.raises(BadInputError, match="1 to 200"):
        await read_facets(ledger.reader(NOW), EVERYTHING, ["models"], first)
