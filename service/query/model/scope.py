"""The scope of a request: the accounts, the role and the policy's views that bound what it may read."""

from collections.abc import Mapping
from dataclasses import dataclass

from policies.policy.model import Policy, Role, View


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request may read. `accounts`: account ids (None: every account); `views` maps `Type.field` to what the
    role gets of it.
    """

    key_id: str
    role: Role
    accounts: tuple[int, ...] | None
    policy: Policy
    views: Mapping[str, View]
