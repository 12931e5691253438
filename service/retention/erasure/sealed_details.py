"""Opening the sealed details of stored errors, and sealing them again without a person."""

import os
from collections.abc import Mapping
from typing import Any

import asyncpg

from policies.admission.forgetting import without_named
from policies.admission.segments import SegmentsError, pack_segments, unpack_segments
from policies.envelope import SALT_BYTES, DataKey, OpenError, SealContext, data_key, open_sealed, seal
from policies.policy.model import DataClass, Store
from policies.redaction import PERSON_RULE, Persons
from service.keyring import AccountKeyName, KeyGoneError, Keyring, PeriodKeyName

Row = Mapping[str, Any] | asyncpg.Record


class DetailKeys:
    """The data keys of one account's errors of one tier, by UTC day; each is fetched once."""

    def __init__(self, keyring: Keyring, account: int, tier: int) -> None:
        self._keyring = keyring
        self._account = account
        self._tier = tier
        self._keys: dict[str, DataKey | None] = {}

    async def of(self, row: Row) -> DataKey | None:
        """The key of a row; None when it is destroyed, and the sealed value can no longer be opened.

        Raises KeyringUnavailableError while the keyring is away.
        """
        day = _day(row)
        if day not in self._keys:
            try:
                period_key = await self._keyring.key(
                    PeriodKeyName(self._tier, DataClass.PERSONAL.value, day), mint=False
                )
                account_key = await self._keyring.key(AccountKeyName(self._account), mint=False)
                self._keys[day] = data_key(period_key, account_key)
            except KeyGoneError:
                self._keys[day] = None
        return self._keys[day]


def details_without(row: Row, account: int, key: DataKey | None, persons: Persons) -> dict[str, Any]:
    """The columns of a row of `call_error` that change when `persons` are taken out of what it has sealed; often none.

    What does not open here opens for nobody, and stays as it is: `calledger fsck` names it.
    """
    if key is None or row["sealed"] is None:
        return {}
    context = SealContext(account, Store.CALL_ERROR.value, row["id"].bytes, _day(row), DataClass.PERSONAL.value)
    try:
        details = unpack_segments(open_sealed(row["sealed"], data_key=key, context=context))
    except (OpenError, SegmentsError):
        return {}
    left, found = without_named(details, persons)
    if not found:
        return {}
    salt = os.urandom(SALT_BYTES)
    counts = dict(zip(row["rules"], row["rule_counts"], strict=True))
    counts[PERSON_RULE] = counts.get(PERSON_RULE, 0) + found
    return {
        "sealed": seal(pack_segments(left), data_key=key, context=context, salt=salt),
        "rules": list(counts),
        "rule_counts": list(counts.values()),
    }


def _day(row: Row) -> str:
    return f"{row['moment']:%Y-%m-%d}"
