"""Older values of fields that the policy no longer keeps: removed after the delay, on record; sums still prove."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from steward import NOW, YOUNG, Steward, failed, stewarding

from policies import canonical, digest
from policies.policy.model import Action, Policy
from service.retention.maintenance import maintain
from service.retention.rollups.compaction import Compaction
from service.retention.withdrawal import remove_withdrawn

LEFT = "SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND {column}::text <> '[redacted:operational]'"


@pytest.fixture
async def steward(database_url: str, tmp_path: Path) -> AsyncIterator[Steward]:
    async with stewarding(database_url, tmp_path, delay=timedelta(hours=72)) as steward:
        yield steward


APPLY = """
    INSERT INTO policy_version (name, digest, document, applied_at, applied_by) VALUES ($1, $2, $3, $4, 'cli')
"""


async def apply(steward: Steward, policy: Policy, at: datetime) -> None:
    """Put a policy in force, as of a moment."""
    document = canonical(policy).decode()
    await steward.ingest.database.owner.execute(APPLY, policy.name, digest(policy), document, at)
    steward.ingest.use_policy(policy)


def acting(policy: Policy, action: Action, *fields: str) -> Policy:
    changed = {field: replace(policy.fields[field], action=action) for field in fields}
    return replace(policy, fields={**policy.fields, **changed})


async def fold(steward: Steward) -> None:
    partitions, policy = steward.retention.partitions, steward.retention.policy
    await Compaction(
        steward.ingest.database.owner, ensure=lambda needs: partitions.ensure(policy(), list(needs))
    ).compact_all()


async def fill(steward: Steward) -> None:
    facts = {"api_key": "k1", "operation": "chat", "input_tokens": 7, "latency_ms": 30, "tags": {"team": "x"}}
    await steward.report(
        failed("a", YOUNG, provider="openai", **facts),
        failed("b", YOUNG, provider="azure", **facts),
        failed("c", YOUNG, **facts | {"api_key": "k2"}),
    )
    await fold(steward)
    await steward.report(failed("d", YOUNG, provider="openai", **facts))


async def change(steward: Steward, policy: Policy, ago: timedelta) -> None:
    await apply(steward, steward.retention.policy(), NOW - timedelta(days=300))
    await apply(steward, policy, NOW - ago)


FIELDS = ("Call.operation", "Call.provider", "Call.apiKey", "Call.inputTokens", "Call.latencyMs", "Call.tags")


async def left(steward: Steward) -> dict[str, int]:
    names = ("operation", "provider", "api_key", "input_tokens", "latency_ms", "tags")
    return {name: await steward.value(LEFT.format(table="call", column=name)) for name in names}


async def test_dropped_fields_go_after_the_delay_and_sums_still_prove(steward: Steward) -> None:
    """Columns of calls and errors are null, sums are regrouped, the ledger says so; and it is done once."""
    await fill(steward)
    await change(steward, acting(steward.retention.policy(), Action.DROP, *FIELDS), timedelta(hours=73))
    assert await maintain(steward.retention)

    assert set((await left(steward)).values()) == {0}
    assert await steward.value("SELECT count(*) FROM call_error WHERE provider IS NOT NULL OR api_key IS NOT NULL") == 0
    for table in ("usage_quarter", "usage_day", "usage_delta"):
        assert await steward.value(f"SELECT count(*) FROM {table} WHERE provider <> '' OR api_key <> ''") == 0
        assert await steward.value(f"SELECT coalesce(sum(input_tokens), 0) FROM {table}") == 0
    assert await steward.value("SELECT sum(calls) FROM usage_quarter") == 3
    await fold(steward)
    assert await steward.findings() == {}
    assert (await steward.kinds()).count("FIELD_REMOVED") == len(FIELDS)
    assert await remove_withdrawn(steward.retention) == 0
    assert (await steward.kinds()).count("FIELD_REMOVED") == len(FIELDS)


async def test_masked_fields_are_overwritten_by_their_mask(steward: Steward) -> None:
    """After `mask` the stored text is the mask, in calls, errors and sums."""
    await fill(steward)
    fields = ("Call.operation", "Call.provider", "Call.apiKey")
    await change(steward, acting(steward.retention.policy(), Action.MASK, *fields), timedelta(hours=73))
    await remove_withdrawn(steward.retention)

    found = await left(steward)
    assert (found["operation"], found["provider"], found["api_key"], found["input_tokens"]) == (0, 0, 0, 4)
    assert await steward.findings() == {}


async def test_nothing_goes_within_the_delay_or_when_the_policy_is_put_back(steward: Steward) -> None:
    """A typo that is undone costs no data."""
    await fill(steward)
    before, kept = await left(steward), steward.retention.policy()
    await change(steward, acting(kept, Action.DROP, *FIELDS), timedelta(hours=71))
    assert await remove_withdrawn(steward.retention) == 0
    await apply(steward, kept, NOW - timedelta(hours=70))
    assert await remove_withdrawn(steward.retention) == 0
    assert await left(steward) == before


async def test_a_tag_off_the_list_goes_after_the_delay(steward: Steward) -> None:
    """It alone, from every call that has it; a row that has no other has none then. Put back in time it costs nothing,
    and what no policy ever listed is not looked for."""
    listed = steward.retention.policy()
    tags = [{"team": "x", "app": "web"}, {"app": "web"}, {"team": "y"}]
    await steward.report(*[failed(name, YOUNG, tags=tags[place]) for place, name in enumerate("abc")])
    unlisted = replace(listed, tag_keys=listed.tag_keys - {"app"}, tag_dimensions=listed.tag_dimensions - {"app"})
    found = "SELECT array_agg(tags::text ORDER BY source_id) FROM call"
    await change(steward, unlisted, timedelta(hours=71))
    assert await remove_withdrawn(steward.retention) == 0
    await apply(steward, listed, NOW - timedelta(hours=70))
    assert await remove_withdrawn(steward.retention) == 0
    before = await steward.value(found)
    assert '"app"' in before[0]
    await apply(steward, unlisted, NOW - timedelta(hours=80))

    assert await maintain(steward.retention)

    assert await steward.value(found) == ['{"team": "x"}', None, '{"team": "y"}']
    assert await steward.value("SELECT array_agg(field) FROM field_removal") == ["Call.tags:app"]
    assert (await steward.kinds()).count("FIELD_REMOVED") == 1
    assert await steward.findings() == {}
    assert await remove_withdrawn(steward.retention) == 0


async def test_it_goes_on_after_a_crash(steward: Steward) -> None:
    """What was removed and not recorded is looked for again; the record and the ledger's entry come together."""
    await fill(steward)
    await change(steward, acting(steward.retention.policy(), Action.DROP, "Call.operation"), timedelta(hours=73))
    await remove_withdrawn(steward.retention)
    await steward.ingest.database.owner.execute("DELETE FROM field_removal")
    assert await remove_withdrawn(steward.retention) == 0
    assert await steward.value("SELECT count(*) FROM field_removal") == 1


async def test_what_the_first_policy_never_kept_is_not_looked_for(steward: Steward) -> None:
    """Under the first policy of an installation nothing is from before."""
    await fill(steward)
    await apply(steward, acting(steward.retention.policy(), Action.DROP, "Call.operation"), NOW - timedelta(days=300))
    assert await remove_withdrawn(steward.retention) == 0
    assert await steward.value("SELECT count(*) FROM field_removal") == 0
