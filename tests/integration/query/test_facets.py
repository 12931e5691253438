"""Facets: values with counts, from rollups where the filter allows, else from the calls of the last month."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from usage_ledger import Ledger, Reported

from policies.policy.model import Role
from service.query.model.errors import BadInputError, ForbiddenError, OutOfRetentionError
from service.query.model.predicate import EVERYTHING, And, Compare, Not, Or, Predicate, TagMatch
from service.query.usage.facets import FACETS, OWN_FILTER, SUMMED, FacetValue, facet_of_tag, read_facets

NOW = datetime(2026, 11, 22, 10, 7, 31, tzinfo=UTC)
DAY = timedelta(days=1)


def values(found: list[FacetValue]) -> list[tuple[str | None, int]]:
    return [(item.value, item.count) for item in found]


async def test_values_come_by_count_then_by_code_point(ledger: Ledger) -> None:
    """The most calls first; ties by code point, not by anyone's alphabet; what was not reported last of its ties."""
    models = ["é", "a", "Z", "b", "b", "b", "c", "c"]
    await ledger.report(Reported(NOW - DAY, model=model, provider=None) for model in models)
    await ledger.report(
        [Reported(NOW - DAY, model="b", provider="zeta", account="é"), Reported(NOW - DAY, account="Z")]
    )
    await ledger.compaction.compact()

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


@pytest.mark.parametrize("compacted", [True, False])
async def test_rollups_and_calls_give_the_same_values(ledger: Ledger, compacted: bool) -> None:
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
    if compacted:
        await ledger.compaction.compact()
    names = [*SUMMED]

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
    await ledger.report(
        [Reported(NOW - DAY, failed=True, error_type="x", currency="USD", operation="chat", tags={"team": "x"})]
    )
    for predicate in (EVERYTHING, Compare("operation", "eq", "chat")):
        found = await read_facets(ledger.reader(NOW), predicate, [facet])
        assert [item.count for item in found[facet if facet != "tags" else facet_of_tag("team")]] == [1]


async def test_facets_obey_scope_window_and_views(ledger: Ledger) -> None:
    """Only the accounts in scope; nothing past its window; nothing that the role may not see."""
    numbers = await ledger.accounts.ensure(["mine", "theirs"])
    await ledger.report(
        Reported(NOW - DAY, account=account, model=account, failed=True, error_type=account)
        for account in ("mine", "theirs")
    )
    await ledger.compaction.compact()
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


def _many() -> list[Reported]:
    rng = random.Random(7)
    return [
        Reported(
            NOW - timedelta(hours=rng.randrange(1, 300)),
            account=rng.choice(["acme", "é"]),
            model=rng.choice(["a", "b"]),
            provider=rng.choice([None, "openai"]),
            api_key=rng.choice([None, "k", "l"]),
            failed=rng.random() < 0.4,
            currency=rng.choice([None, "USD", "EUR"]),
            operation=rng.choice([None, "chat", "é", "Z"]),
            served_model=rng.choice([None, "a-1"]),
            error_type=rng.choice([None, "Timeout", "Z"]),
            error_code=rng.choice([None, "429"]),
            tags=rng.choice([{}, {"team": "x"}, {"team": "é", "project": "p"}, {"release": "unlisted"}]),
        )
        for _ in range(200)
    ]


READS: dict[str, Callable[[Reported], str | None]] = {
    "models": lambda call: call.model,
    "providers": lambda call: call.provider,
    "accounts": lambda call: call.account,
    "apiKeys": lambda call: call.api_key,
    "statuses": lambda call: "FAILED" if call.failed else "SUCCEEDED",
    "currencies": lambda call: call.currency,
    "operations": lambda call: call.operation,
    "servedModels": lambda call: call.served_model,
    "errorTypes": lambda call: call.error_type,
    "errorCodes": lambda call: call.error_code,
    "tags.team": lambda call: call.tags.get("team"),
    "tags.project": lambda call: call.tags.get("project"),
}
CONDITIONS: dict[str, tuple[Predicate, Callable[[Reported], bool]]] = {
    "models": (Compare("model", "eq", "a"), lambda call: call.model == "a"),
    "accounts": (Compare("account", "eq", "é"), lambda call: call.account == "é"),
    "statuses": (Compare("status", "eq", "FAILED"), lambda call: call.failed),
    "operations": (
        Or((Compare("operation", "eq", "chat"), Compare("operation", "isNull", True))),
        lambda call: call.operation in ("chat", None),
    ),
    "errorCodes": (Not(Compare("errorCode", "isNull", True)), lambda call: call.error_code is not None),
    "tags.team": (TagMatch("team", (Compare("value", "eq", "x"),)), lambda call: call.tags.get("team") == "x"),
    "": (Or((Compare("model", "eq", "b"), Compare("status", "eq", "FAILED"))), lambda c: c.model == "b" or c.failed),
}


@pytest.mark.parametrize("without_own", [True, False])
async def test_facets_are_counts_of_the_calls(ledger: Ledger, without_own: bool) -> None:
    """Under any two conditions: what is counted is what the calls say, with or without a facet's own condition, which
    is left out only where it stands by itself."""
    calls = _many()
    await ledger.report(calls)
    for (one, (first, of_first)), (other, (second, of_second)) in combinations(CONDITIONS.items(), 2):
        found = await read_facets(ledger.reader(NOW), And((first, second)), FACETS, 200, without_own=without_own)

        assert set(found) >= READS.keys() and facet_of_tag("release") not in found
        for facet, read in READS.items():
            expected = Counter(
                read(call)
                for call in calls
                if (of_first(call) or (without_own and facet == one))
                and (of_second(call) or (without_own and facet == other))
                and (call.failed or not facet.startswith("error"))
                and (read(call) is not None or not facet.startswith("tags"))
            )
            ordered = sorted(expected.items(), key=lambda item: (-item[1], item[0] is None, item[0] or ""))
            assert values([*found[facet]]) == ordered, (facet, one, other)


async def test_a_facet_of_currencies_keeps_what_amounts_need(ledger: Ledger) -> None:
    """Amounts are compared within one currency, so a filter by both leaves its currency in."""
    await ledger.report(
        Reported(NOW - DAY, amount=Decimal(1), amount_source=1, currency=currency) for currency in ("USD", "EUR")
    )
    usd = Compare("currency", "eq", "USD")
    dear = And((usd, Compare("amount", "gt", Decimal(0))))

    alone = await read_facets(ledger.reader(NOW), usd, ["currencies"], without_own=True)
    both = await read_facets(ledger.reader(NOW), dear, ["currencies"], without_own=True)

    assert values([*alone["currencies"]]) == [("EUR", 1), ("USD", 1)]
    assert values([*both["currencies"]]) == [("USD", 1)]
    assert set(OWN_FILTER) == set(FACETS) - {"tags"}
