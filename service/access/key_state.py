"""Whether an API key may be used: what the table has of it, held against the ledger."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from policies.evidence.recorded import RecordedKey
from service.access.keys import mac_digest
from service.storage.control.api_keys import KeyRecord


class KeyState(StrEnum):
    """Services act by it: only a live key is one."""

    LIVE = "live"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class CheckedKey:
    """A key as services take it: the ledger's role, accounts and expiry, less what the table takes from them.

    `reason` says why a key that is live in the table is refused, `ended_at` since when it is by the ledger.
    """

    state: KeyState
    role: str
    accounts: tuple[int, ...] | None
    expires_at: datetime | None
    reason: str | None = None
    ended_at: datetime | None = None


def checked(record: KeyRecord, recorded: RecordedKey | None, now: datetime) -> CheckedKey:
    """The key of the table by what the ledger has of it (None: nothing). What the ledger ended stays ended."""
    if recorded is None:
        state = KeyState.REVOKED if record.revoked_at else KeyState.REFUSED
        return CheckedKey(state, record.role, record.accounts, record.expires_at, "in no entry of the ledger")
    accounts = None if recorded.accounts is None else set(recorded.accounts)
    if record.accounts is not None:
        accounts = set(record.accounts) if accounts is None else accounts & set(record.accounts)
    ends = [record.expires_at] if record.expires_at else []
    ends += [datetime.fromisoformat(recorded.expires_at)] if recorded.expires_at else []
    expires_at = min(ends, default=None)
    state, reason = _state(record, recorded, expires_at, now)
    account_ids = None if accounts is None else tuple(sorted(accounts))
    return CheckedKey(state, recorded.role, account_ids, expires_at, reason, recorded.ended_at)


def _state(
    record: KeyRecord, recorded: RecordedKey, expires_at: datetime | None, now: datetime
) -> tuple[KeyState, str | None]:
    if record.revoked_at:
        return KeyState.REVOKED, None
    if recorded.ended is not None:
        return KeyState.REFUSED, f"revoked by entry {recorded.ended}"
    if recorded.mac not in (None, mac_digest(record.mac)):
        return KeyState.REFUSED, "another key than in the ledger"
    return (KeyState.EXPIRED if expires_at and expires_at <= now else KeyState.LIVE), None
