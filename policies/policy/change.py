"""Whether one policy may replace another: changes that no approval can allow, for they would mix up what is stored."""

from collections.abc import Iterable

from policies.errors import PolicyChangeError
from policies.policy.model import Policy


def check_change(old: Policy, new: Policy, *, in_use: Iterable[int], ever_used: Iterable[int]) -> None:
    """Raise PolicyChangeError when `new` cannot follow `old`.

    `in_use` are the numbers of tiers that accounts are in or will be in, `ever_used` those that they were in as well:
    rows carry the number of their tier, so a number must mean the same tier for as long as there are rows.
    """
    for name, tier in old.tiers.items():
        kept = new.tiers.get(name)
        if kept is not None and kept.number != tier.number:
            raise PolicyChangeError(
                f"tier `{name}` has number {tier.number}, and rows carry it: write `number = {tier.number}` again"
            )
    old_names = {tier.number: name for name, tier in old.tiers.items()}
    numbers = {tier.number: name for name, tier in new.tiers.items()}
    for number, name in numbers.items():
        before = old_names.get(number)
        if before not in (None, name):
            raise PolicyChangeError(f"number {number} is that of tier `{before}`: give tier `{name}` another")
        if before is None and number in set(ever_used):
            raise PolicyChangeError(
                f"number {number} was that of another tier, and rows carry it: give tier `{name}` another"
            )
    for number in sorted(set(in_use) & old_names.keys() - numbers.keys()):
        raise PolicyChangeError(
            f"accounts are in tier `{old_names[number]}`: keep it, or move them with `calledger accounts tier` first"
        )


__all__ = ["check_change"]
