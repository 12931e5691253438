"""Sealed details of stored errors, and the keys that open them."""

import asyncpg

from policies.admission.segments import SegmentsError, unpack_segments
from policies.envelope import DataKey, OpenError, SealContext, data_key, open_sealed
from policies.policy.model import DataClass, Store
from service.keyring import AccountKeyName, KeyGoneError, Keyring, KeyringUnavailableError, PeriodKeyName


class RowKeys:
    """Data keys by tier, day and account, each fetched once."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._keys: dict[tuple[int, str, int], DataKey | None] = {}

    async def key(self, row: asyncpg.Record) -> DataKey | None:
        """The data key of a row; None when there is none. The checks of keys say whether that is right."""
        name = (row["tier"], f"{row['occurred_at']:%Y-%m-%d}", row["account_id"])
        if name not in self._keys:
            tier, period, account = name
            try:
                period_key = await self._keyring.key(PeriodKeyName(tier, DataClass.PERSONAL.value, period), mint=False)
                account_key = await self._keyring.key(AccountKeyName(account), mint=False)
                self._keys[name] = data_key(period_key, account_key)
            except (KeyGoneError, KeyringUnavailableError):
                self._keys[name] = None
        return self._keys[name]


def opens(row: asyncpg.Record, key: DataKey) -> bool:
    """Whether the details of an error (`id`, `account_id`, `occurred_at`, `sealed`) open under the key of their row."""
    period = f"{row['occurred_at']:%Y-%m-%d}"
    where = SealContext(row["account_id"], Store.CALL_ERROR.value, row["id"].bytes, period, DataClass.PERSONAL.value)
    try:
        unpack_segments(open_sealed(row["sealed"], data_key=key, context=where))
    except (OpenError, SegmentsError):
        return False
    return True
