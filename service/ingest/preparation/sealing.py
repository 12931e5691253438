"""Keys for a batch: an error's details become a sealed blob. Without a key there is none."""

import os
from datetime import datetime
from uuid import UUID

from policies import DataClass, Store
from policies.envelope import SALT_BYTES, Context, DataKey, data_key, seal
from service.ingest.preparation.key_cache import BatchKeys
from service.ingest.preparation.unsealed import count_unsealed
from service.keyring import KeyGoneError, Keyring, KeyringUnavailableError

_CLASS = DataClass.PERSONAL.value


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
        context = Context(account_id, Store.CALL_ERROR.value, record.bytes, day, _CLASS)
        return seal(details, data_key=key, context=context, salt=os.urandom(SALT_BYTES))

    async def _keys(self, account_id: int, tier: int, period: str) -> tuple[bytes, bytes] | None:
        try:
            return (
                await self._keyring.period_key(tier, _CLASS, period, mint=True),
                await self._keyring.account_key(account_id, mint=True),
            )
        except (KeyGoneError, KeyringUnavailableError):
            return None
