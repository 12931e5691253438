"""Older values of fields that the policy no longer keeps: removed after the delay, on record; sums still prove."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from retaining import NOW, YOUNG, RetainedLedger, failed, open_retained

from policies.policy.model import Action, Policy
from service.retention.maintenance import maintain
from service.retention.withdrawal import remove_withdrawn

LEFT = "SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND {column}::text <> '[redacted:operational]'"


@pytest.fixture
async def retained(database_url: str, tmp_path: Path) -> AsyncIterator[RetainedLedger]:
    async with open_retained(database_url, tmp_path, delay=timedelta(hours=72)) as retained:
        yield retained


def acting(policy: Policy, action: Action, *fields: str) -> Policy:
    changed = {field: replace(policy.fields[field], action=action) for field in fields}
    return replace(policy, fields={**policy.fields, **changed})


async def fill(retained: RetainedLedger) -> None:
    facts = {"api_key": "k1", "operation": "chat", "input_tokens": 7, "latency_ms": 30, "tags": {"team": "x"}}
    await retained.report(
        failed("a", YOUNG, provider="openai", **facts),
        failed("b", YOUNG, provider="azure", **facts),
        failed("c", YOUNG, account="other", **facts | {"api_key": "k2"}),
    )
    await retained.compact()
    await retained.report(failed("d", YOUNG, provider="openai", **facts))


async def change(retained: RetainedLedger, policy: Policy, ago: timedelta) -> None:
    await retained.apply(retained.retention.policy(), NOW - timedelta(days=300))
    await retained.apply(policy, NOW - ago)


FIELDS = ("Call.operation", "Call.provider", "Call.apiKey", "Call.inputTokens", "Call.latencyMs", "Call.tags")


async def left(retained: RetainedLedger) -> dict[str, int]:
    names = ("operation", "provider", "api_key", "input_tokens", "latency_ms", "tags")
    return {name: await retained.value(LEFT.format(table="call", column=name)) for name in names}


async def test_dropped_fields_go_after_the_delay_and_sums_still_prove(retained: RetainedLedger) -> None:
    """Columns of calls and errors are null, sums are regrouped, the ledger says so; and it is done once."""
    await fill(retained)
    await change(retained, acting(retained.retention.policy(), Action.DROP, *FIELDS), timedelta(hours=73))
    assert await maintain(retained.retention)

    assert set((await left(retained)).values()) == {0}
    assert (
        await retained.value("SELECT count(*) FROM call_error WHERE provider IS NOT NULL OR api_key IS NOT NULL") == 0
    )
    for table in ("usage_quarter", "usage_day", "usage_delta"):
        assert await retained.value(f"SELECT count(*) FROM {table} WHERE provider <> '' OR api_key <> ''") == 0
        assert await retained.value(f"SELECT coalesce(sum(input_tokens), 0) FROM {table}") == 0
    assert await retained.value("SELECT sum(calls) FROM usage_quarter") == 3
    await retained.compact()
    assert await retained.findings() == {}
    assert (await retained.kinds()).count("FIELD_REMOVED") == len(FIELDS)
    assert await remove_withdrawn(retained.retention) == 0
    assert (await retained.kinds()).count("FIELD_REMOVED") == len(FIELDS)


async def test_masked_fields_are_overwritten_by_their_mask(retained: RetainedLedger) -> None:
    """After `mask` the stored text is the mask, in calls, errors and sums."""
    await fill(retained)
    fields = ("Call.operation", "Call.provider", "Call.apiKey")
    await change(retained, acting(retained.retention.policy(), Action.MASK, *fields), timedelta(hours=73))
    await remove_withdrawn(retained.retention)

    found = await left(retained)
    assert (found["operation"], found["provider"], found["api_key"], found["input_tokens"]) == (0, 0, 0, 4)
    assert await retained.findings() == {}


async def test_nothing_goes_within_the_delay_or_when_the_policy_is_put_back(retained: RetainedLedger) -> None:
    """A typo that is undone costs no data."""
    await fill(retained)
    before, kept = await left(retained), retained.retention.policy()
    await change(retained, acting(kept, Action.DROP, *FIELDS), timedelta(hours=71))
    assert await remove_withdrawn(retained.retention) == 0
    await retained.apply(kept, NOW - timedelta(hours=70))
    assert await remove_withdrawn(retained.retention) == 0
    assert await left(retained) == before


async def test_a_tag_off_the_list_goes_after_the_delay(retained: RetainedLedger) -> None:
    """It alone, from every call that has it; a row that has no other has none then. Put back in time it costs nothing,
    and what no policy ever listed is not looked for."""
    listed = retained.retention.policy()
    tags = [{"team": "x", "app": "web"}, {"app": "web"}, {"team": "y"}]
    await retained.report(
        *[failed(name, YOUNG, account=f"of-{name}", tags=tags[place]) for place, name in enumerate("abc")]
    )
    unlisted = replace(listed, tag_keys=listed.tag_keys - {"app"}, tag_dimensions=listed.tag_dimensions - {"app"})
    found = "SELECT array_agg(tags::text ORDER BY source_id) FROM call"
    await change(retained, unlisted, timedelta(hours=71))
    assert await remove_withdrawn(retained.retention) == 0
    await retained.apply(listed, NOW - timedelta(hours=70))
    assert await remove_withdrawn(retained.retention) == 0
    before = await retained.value(found)
    assert '"app"' in before[0]
    await retained.apply(unlisted, NOW - timedelta(hours=80))

    assert await maintain(retained.retention)

    assert await retained.value(found) == ['{"team": "x"}', None, '{"team": "y"}']
    assert await retained.value("SELECT array_agg(field) FROM field_removal") == ["Call.tags:app"]
    assert (await retained.kinds()).count("FIELD_REMOVED") == 1
    assert await retained.findings() == {}
    assert await remove_withdrawn(retained.retention) == 0


async def test_it_goes_on_after_a_crash(retained: RetainedLedger) -> None:
    """What was removed and not recorded is looked for again; the record and the ledger's entry come together."""
    await fill(retained)
    await change(retained, acting(retained.retention.policy(), Action.DROP, "Call.operation"), timedelta(hours=73))
    await remove_withdrawn(retained.retention)
    await retained.ingest.database.owner.execute("DELETE FROM field_removal")
    assert await remove_withdrawn(retained.retention) == 0
    assert await retained.value("SELECT count(*) FROM field_removal") == 1


async def test_what_the_first_policy_never_kept_is_not_looked_for(retained: RetainedLedger) -> None:
    """Under the first policy of an installation nothing is from before."""
    await fill(retained)
    await retained.apply(acting(retained.retention.policy(), Action.DROP, "Call.operation"), NOW - timedelta(days=300))
    assert await remove_withdrawn(retained.retention) == 0
    assert await retained.value("SELECT count(*) FROM field_removal") == 0
