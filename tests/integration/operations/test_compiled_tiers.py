"""Compiled pages over several tiers: slices of a page differ in what they have to read, and its rows do not."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest
from compiled_operations import same_answer
from rows import EPOCH, StoredCall, open_seeded

from policies.policy.document import load_preset
from policies.policy.model import Role, Store, Tier

SHORT = Tier("short", 2, {Store.CALL: 20, Store.CALL_ERROR: 5, Store.USAGE_QUARTER: 20, Store.USAGE_DAY: 60}, {})
QUERY = """query($size: Int!) { calls(first: $size, filter: {account: {eq: "acme"}}) {
  nodes { id startedAt model amount { amount currency } } edges { cursor } pageInfo { endCursor } } }"""
AGES = (0.1, 0.5, 3, 5, 15, 30, 50, 80, 200)
"""Days: some in each slice of an account's page. Calls of the tier `short` are served for 20."""


@pytest.mark.parametrize("moved", [None, 4, 40])
async def test_a_page_reaches_over_slices_of_one_tier_and_of_two(
    database_url: str, tmp_path: Path, moved: int | None
) -> None:
    """The newest slices of an account that moved have two tiers to read, its oldest ones one: all rows are alike."""
    policy = load_preset("default")
    policy = replace(policy, tiers=MappingProxyType({**policy.tiers, "short": SHORT}))
    async with open_seeded(database_url, tmp_path, policy) as seeded:
        now = await seeded.now()
        tiers = [(1, EPOCH), *([(2, now - timedelta(days=moved))] if moved else [])]
        await seeded.join("acme", *tiers)
        await seeded.put(
            StoredCall(
                now - timedelta(days=days),
                source_id=str(days),
                amount=Decimal(index),
                currency="USD",
                amount_source=1,
            )
            for index, days in enumerate(AGES)
        )
        for size in (1, 3, 6, 9, 50):
            assert await same_answer(seeded, seeded.scope(Role.VIEWER), QUERY, {"size": size})
