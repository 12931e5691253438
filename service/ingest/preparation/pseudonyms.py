"""Users of a batch become tokens. Without a key there is none."""

from datetime import datetime

from policies import DataClass, PseudonymPeriod
from policies.pseudonym import Tokenizer, pseudonym_key
from service.ingest.preparation.key_cache import BatchKeys
from service.ingest.preparation.unsealed import count_unsealed
from service.keyring import KeyGoneError, KeyringUnavailableError

_CLASS = DataClass.PERSONAL.value


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
            period_key = await keys.period_key(tier, _CLASS, name, mint=True)
            return cls(pseudonym_key(period_key, await keys.account_key(account_id, mint=True)))
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
