"""What the calls of one batch share: the rules of the policy in force, and the keyring's keys, each asked for once.

The keys make users' tokens and sealed details of errors. Without a key a value is not kept: that is counted, and said
in the log now and then.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from policies import Admission, DataClass, Policy, PseudonymPeriod, Store
from policies.envelope import SALT_BYTES, DataKey, SealContext, data_key, seal
from policies.pseudonym import Tokenizer, pseudonym_key
from policies.redaction import Redactor
from service.ingest.metrics import UNSEALED
from service.keyring import AccountKeyName, KeyGoneError, KeyName, Keyring, KeyringUnavailableError, PeriodKeyName
from service.log_redaction import shared_redactor
from service.logs import get_logger
from service.storage.control.policies import AppliedPolicy

log = get_logger()

EVERY_S: Final = 60.0
_CLASS = DataClass.PERSONAL.value


@dataclass(frozen=True, slots=True)
class Rules:
    """A policy and what admits under it. Another policy is another object."""

    policy: Policy
    admission: Admission


class HasPolicy(Protocol):
    """What knows the policy in force; another one is another object."""

    applied: AppliedPolicy


def rules_in_force(there: HasPolicy) -> Callable[[], Rules]:
    """Answers the rules of the policy in force; they are built once for each policy that is applied."""
    built: list[tuple[AppliedPolicy, Rules]] = []

    def rules() -> Rules:
        """The rules of the policy that is in force at this moment."""
        now = there.applied
        if not built or built[0][0] is not now:
            national_ids = now.policy.national_ids
            engine = Redactor(national_ids=national_ids) if national_ids else shared_redactor()
            built[:] = [(now, Rules(now.policy, Admission(now.policy, engine)))]
        return built[0][1]

    return rules


class BatchKeys:
    """Keys of periods and accounts, kept for one batch only: the keyring alone decides how long a key stays in memory.

    They are made where there are none yet. Raises as the keyring does, each time anew.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._keys: dict[KeyName, bytes] = {}

    async def key(self, name: PeriodKeyName | AccountKeyName, *, mint: bool) -> bytes:
        """The key, 32 bytes, from the keyring once per batch. `mint`: make it if there is none."""
        if name not in self._keys:
            self._keys[name] = await self._keyring.key(name, mint=mint)
        return self._keys[name]


class _Unlogged:
    """How many values were not kept since the last line of the log about them, and when that was written."""

    values = 0
    logged_at = -EVERY_S


def count_unsealed() -> None:
    """Count one value; the first is logged at once, those after it once per minute at most."""
    UNSEALED.inc()
    _Unlogged.values += 1
    if time.monotonic() - _Unlogged.logged_at >= EVERY_S:
        log.error(
            "calls are stored without details of errors and pseudonyms: their key is gone or out of reach",
            values=_Unlogged.values,
        )
        _Unlogged.values, _Unlogged.logged_at = 0, time.monotonic()


class Tokens:
    """The tokens of one account in one period, for one batch only.

    A key that was destroyed, is lost or cannot be reached now costs the tokens, never the calls.
    """

    __slots__ = ("_known", "_tokenizer")

    def __init__(self, key: bytes | None) -> None:
        self._tokenizer = None if key is None else Tokenizer(key)
        self._known: dict[str, int] = {}

    @classmethod
    async def of(
        cls, keys: BatchKeys, *, account_id: int, tier: int, moment: datetime, period: PseudonymPeriod
    ) -> "Tokens":
        """Those of the period of `moment`, a UTC day or month."""
        name = moment.isoformat()[: 7 if period is PseudonymPeriod.MONTH else 10]
        try:
            period_key = await keys.key(PeriodKeyName(tier, _CLASS, name), mint=True)
            return cls(pseudonym_key(period_key, await keys.key(AccountKeyName(account_id), mint=True)))
        except (KeyGoneError, KeyringUnavailableError):
            return cls(None)

    def of_user(self, user: str) -> int | None:
        """The user's pseudonym; None without a key."""
        token = self._known.get(user)
        if token is not None:
            return token
        if self._tokenizer is None:
            count_unsealed()
            return None
        token = self._known[user] = self._tokenizer.token(user)
        return token


class Sealer:
    """Keeps derived keys for one batch only: the keyring alone decides how long a key stays in memory.

    A key that was destroyed, is lost or cannot be reached now costs the value that wants it, never the call.
    """

    def __init__(self, keyring: Keyring | BatchKeys) -> None:
        self._keyring = keyring
        self._data_keys: dict[tuple[int, int, str], DataKey | None] = {}

    async def seal(self, details: bytes, *, account_id: int, tier: int, record: UUID, moment: datetime) -> bytes | None:
        """The sealed details of an error that occurred at `moment`; None without a key."""
        day = moment.isoformat()[:10]
        key_name = (account_id, tier, day)
        if key_name not in self._data_keys:
            keys = await self._keys(*key_name)
            self._data_keys[key_name] = data_key(*keys) if keys else None
        key = self._data_keys[key_name]
        if key is None:
            count_unsealed()
            return None
        context = SealContext(account_id, Store.CALL_ERROR.value, record.bytes, day, _CLASS)
        return seal(details, data_key=key, context=context, salt=os.urandom(SALT_BYTES))

    async def _keys(self, account_id: int, tier: int, period: str) -> tuple[bytes, bytes] | None:
        try:
            return (
                await self._keyring.key(PeriodKeyName(tier, _CLASS, period), mint=True),
                await self._keyring.key(AccountKeyName(account_id), mint=True),
            )
        except (KeyGoneError, KeyringUnavailableError):
            return None
