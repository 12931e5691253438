"""The scope of a key, or of one of its session tokens, for what it asked for earlier."""

from datetime import UTC, datetime

from policies import Role
from policies.policy.views import at_most
from service.access.principal import Principal
from service.runtime.runtime import Runtime
from service.storage.control.api_keys import get_key


async def requester_of(runtime: Runtime, key_id: str, role: Role, accounts: tuple[int, ...] | None) -> Principal | None:
    """Who asked, with the role and accounts of then.

    None when the key was revoked or has expired, or when it may no longer what it or a session token of it asked for,
    by the table or by the ledger.
    """
    key = await get_key(key_id)
    principal = None if key is None else await runtime.authenticator.principal_of(key)
    if key is None or principal is None or principal.role != key.role:
        return None
    if principal.expires_at is not None and principal.expires_at <= datetime.now(UTC):
        return None
    if not at_most(runtime.applied.policy, role, principal.role):
        return None
    if principal.accounts is not None and (accounts is None or not set(accounts) <= set(principal.accounts)):
        return None
    return Principal(key_id, role, accounts, principal.expires_at)
