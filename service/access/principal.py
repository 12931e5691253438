"""The principal of a request: the role, the accounts and the key that it was authenticated by."""

from dataclasses import dataclass
from datetime import datetime

from policies import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated key: its id (public prefix), role, account ids (None: every account) and expiry.

    `session`: the id of the session token that stands for the key, with a role and accounts of its own, and `key_role`
    the key's; None: the key itself was given.
    """

    key_id: str
    role: Role
    accounts: tuple[int, ...] | None
    expires_at: datetime | None = None
    session: str | None = None
    key_role: Role | None = None
