"""The keyring's keys for one batch: each is asked for once."""

from service.keyring import Keyring


class BatchKeys:
    """Keys of periods and accounts, kept for one batch only: the keyring alone decides how long a key stays in memory.

    They are made where there are none yet. Raises as the keyring does, each time anew.
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._period_keys: dict[tuple[int, str, str], bytes] = {}
        self._account_keys: dict[int, bytes] = {}

    async def period_key(self, tier: int, data_class: str, period: str, *, mint: bool) -> bytes:
        """The period key, 32 bytes, from the keyring once per batch. `mint`: make it if there is none."""
        name = (tier, data_class, period)
        if name not in self._period_keys:
            self._period_keys[name] = await self._keyring.period_key(*name, mint=mint)
        return self._period_keys[name]

    async def account_key(self, account_id: int, *, mint: bool) -> bytes:
        """The account's key, 32 bytes, from the keyring once per batch. `mint`: make it if there is none."""
        if account_id not in self._account_keys:
            self._account_keys[account_id] = await self._keyring.account_key(account_id, mint=mint)
        return self._account_keys[account_id]
