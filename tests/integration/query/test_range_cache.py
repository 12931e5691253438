"""Which tiers an account lies in is remembered by who asks for which, and never longer than it is so."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rows import SeededLedger, open_seeded

from policies.policy.model import Role
from service.query.filters.decomposition import decompose
from service.query.model.catalog import CALLS
from service.query.model.predicate import Compare
from service.query.scan.ranges import CachedRanges, RangeCache
from service.storage.schema.models import AccountTier


@pytest.fixture
async def seeded(database_url: str, tmp_path: Path) -> AsyncIterator[SeededLedger]:
    async with open_seeded(database_url, tmp_path) as seeded:
        await seeded.accounts.ensure(["acme", "globex"])
        yield seeded


async def find(places: RangeCache, seeded: SeededLedger, name: str, *accounts: int) -> CachedRanges:
    scope, asked = seeded.scope(Role.VIEWER, *accounts), decompose(CALLS, Compare("account", "eq", name))
    return places.cached(scope, asked) or await places.load(scope, asked)


async def test_a_tier_that_was_added_is_found(seeded: SeededLedger) -> None:
    """An account that moves to another tier is read there too, as soon as its tiers are known."""
    places = RangeCache(seeded.accounts)
    before = await find(places, seeded, "acme")
    assert await find(places, seeded, "acme") is before
    (number,) = before.account_ids or ()
    await AccountTier.create(account_id=number, tier=7, from_at=datetime.now(UTC))
    await seeded.accounts.refresh()

    assert [*(await find(places, seeded, "acme")).tiers] == [*before.tiers, (7, (number,))]


async def test_an_account_that_is_made_elsewhere_is_found_at_once(seeded: SeededLedger) -> None:
    """That nobody is known by a name is remembered for a second at most, and no longer than until a notice comes."""
    places, elsewhere = RangeCache(seeded.accounts), type(seeded.accounts)(seeded.accounts.default_tier)
    assert (await find(places, seeded, "initech")).account_ids == ()
    numbers = await elsewhere.ensure(["initech"])
    await seeded.accounts.on_notification("made")

    assert (await find(places, seeded, "initech")).account_ids == (numbers["initech"],)


async def test_another_scope_has_another_place(seeded: SeededLedger) -> None:
    """What one key may see of an account is never another key's answer."""
    places, numbers = RangeCache(seeded.accounts), await seeded.accounts.ensure(["acme", "globex"])
    assert (await find(places, seeded, "globex")).account_ids == (numbers["globex"],)

    mine = await find(places, seeded, "globex", numbers["acme"])
    assert (mine.account_ids, [*mine.names]) == ((), ["acme"])
