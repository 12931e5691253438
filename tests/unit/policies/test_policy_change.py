"""What may take the place of a policy, and what of it wants a second admin."""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

import pytest

from policies import Policy, PolicyChangeError, Tier, check_change, diff, load_preset
from policies.policy.model import Action, FieldRule, PseudonymPeriod, Store

DEFAULT = load_preset("default")
STANDARD = DEFAULT.tiers["standard"]


def tiered(**numbers: int) -> Policy:
    """The default policy with these tiers, all of them as `standard`."""
    tiers = {name: replace(STANDARD, name=name, number=number) for name, number in numbers.items()}
    return replace(DEFAULT, tiers=MappingProxyType(tiers), default_tier=next(iter(tiers)))


def with_tier(tier: Tier) -> Policy:
    return replace(DEFAULT, tiers=MappingProxyType({**DEFAULT.tiers, tier.name: tier}))


@pytest.mark.parametrize(
    ("old", "new", "in_use", "ever_used"),
    [
        # the number of a tier stays
        ({"standard": 1}, {"standard": 2}, [], []),
        ({"standard": 1, "gold": 2}, {"standard": 2, "gold": 1}, [1, 2], [1, 2]),
        # and belongs to no other tier, by another name or later
        ({"standard": 1, "gold": 2}, {"standard": 1, "silver": 2}, [1], [1]),
        ({"standard": 1}, {"standard": 1, "gold": 7}, [1], [1, 7]),
        # who is in a tier is not left without one
        ({"standard": 1, "gold": 2}, {"standard": 1}, [1, 2], [1, 2]),
    ],
)
def test_numbers_that_rows_carry_keep_their_meaning(
    old: dict[str, int], new: dict[str, int], in_use: Iterable[int], ever_used: Iterable[int]
) -> None:
    """No approval allows what would move rows to another tier's windows."""
    with pytest.raises(PolicyChangeError):
        check_change(tiered(**old), tiered(**new), in_use=in_use, ever_used=ever_used)


@pytest.mark.parametrize(
    ("old", "new", "in_use", "ever_used"),
    [
        ({"standard": 1}, {"standard": 1, "gold": 2}, [1], [1]),
        ({"standard": 1, "gold": 2}, {"standard": 1}, [1], [1, 2]),
        ({"standard": 1, "gold": 2}, {"gold": 2, "standard": 1}, [1, 2], [1, 2]),
    ],
)
def test_tiers_come_and_go(
    old: dict[str, int], new: dict[str, int], in_use: Iterable[int], ever_used: Iterable[int]
) -> None:
    """A tier that is new, or that no account is in any more, is no obstacle."""
    check_change(tiered(**old), tiered(**new), in_use=in_use, ever_used=ever_used)


def longer(store: Store, days: int) -> Tier:
    return replace(STANDARD, name="gold", number=2, store_days=MappingProxyType({**STANDARD.store_days, store: days}))


def test_a_new_tier_that_outlasts_all_others_wants_a_second_admin() -> None:
    """Otherwise a longer window would need no approval: a new tier first, then the accounts into it."""
    assert diff(DEFAULT, with_tier(longer(Store.USAGE_DAY, 3000))).keeps_more
    assert diff(DEFAULT, with_tier(longer(Store.CALL_ERROR, 31))).keeps_more
    assert not diff(DEFAULT, with_tier(longer(Store.CALL_ERROR, 30))).keeps_more
    assert not diff(with_tier(longer(Store.CALL_ERROR, 40)), DEFAULT).keeps_more


def ruled(field: str, action: Action) -> Policy:
    rule = DEFAULT.fields[field]
    changed = FieldRule(rule.data_class, action, rule.store)
    return replace(DEFAULT, fields=MappingProxyType({**DEFAULT.fields, field: changed}))


def test_what_keeps_more_is_told_from_what_keeps_less() -> None:
    """Windows, actions, parameters, tags and pseudonyms: one way wants a second admin, the other does not."""
    less = [
        ruled("Call.user", Action.DROP),
        ruled("CallError.message", Action.MASK),
        ruled("Call.apiKey", Action.MASK),
        replace(DEFAULT, parameters=MappingProxyType({})),
        replace(DEFAULT, tag_keys=frozenset(), tag_dimensions=frozenset()),
        replace(DEFAULT, national_ids=frozenset({"gb-nhs"})),
        replace(
            DEFAULT,
            tiers=MappingProxyType({"standard": replace(longer(Store.CALL_ERROR, 7), name="standard", number=1)}),
        ),
    ]
    for policy in less:
        assert not diff(DEFAULT, policy).keeps_more, policy
        assert diff(policy, DEFAULT).keeps_more, policy
    assert diff(DEFAULT, replace(DEFAULT, pseudonym_period=PseudonymPeriod.MONTH)).keeps_more
