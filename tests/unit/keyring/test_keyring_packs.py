"""Where keys are packed: each has a place of its own, which says its name."""

from uuid import UUID

import pytest

from service.keyring import AccountKeyName, ErasureKeyName, HoldKeyName, KeyName, PeriodKeyName
from service.keyring.stores.packs import PackSlot, is_pack_key, name_at, pack_key_name, pack_slot_of

PERIODS = [
    PeriodKeyName(tier, name, day)
    for tier in (0, 19)
    for name in ("personal", "a")
    for day in ("2026-11", "2026-11-01", "2026-12-31")
]
ACCOUNTS = [AccountKeyName(number) for number in (0, 1, 1023, 1024, 2**31 - 1)]


@pytest.mark.parametrize("name", [*PERIODS, *ACCOUNTS], ids=str)
def test_the_place_says_the_name(name: KeyName) -> None:
    """A key's name can be told from its place, and its pack key is one by its name."""
    place = pack_slot_of(name)

    assert place is not None
    assert name_at(place) == name
    assert is_pack_key(pack_key_name(place.pack, bytes(range(8))))


def test_every_key_has_its_own_place() -> None:
    """No two keys share a slot."""
    names = [*PERIODS, *ACCOUNTS]
    assert len({pack_slot_of(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", [HoldKeyName(UUID(int=1)), ErasureKeyName(UUID(int=1))], ids=str)
def test_few_keys_stand_alone(name: KeyName) -> None:
    """Keys of holds and erasures are in no pack."""
    assert pack_slot_of(name) is None


@pytest.mark.parametrize(
    "place",
    [
        PackSlot("accounts/x", 0),
        PackSlot("accounts/-1", 0),
        PackSlot("periods/1/../2026-11", 1),
        PackSlot("x/1", 0),
        # Copies that somebody made beside a pack, and what is behind its last key.
        PackSlot("accounts/00", 1),
        PackSlot("accounts/1_0", 1),
        PackSlot("accounts/٣", 1),
        PackSlot("accounts/0", 1024),
        PackSlot("periods/1/personal/2026-11-05", 0),
        PackSlot("periods/1/personal/2026-11", 32),
    ],
)
def test_no_place_of_a_key(place: PackSlot) -> None:
    """What lies elsewhere has no key's name: no key is listed that cannot be read."""
    assert name_at(place) is None


@pytest.mark.parametrize(
    "name", ["pack/accounts/../0/0011223344556677", "pack/accounts/0/00112233", "secret/pepper", "account/1"]
)
def test_no_pack_key(name: str) -> None:
    """No other name leads to where pack keys are."""
    assert not is_pack_key(name)
