"""Corrections of our own: what puts an estimate right, and what takes that back once the call's amount is reported.

Their source is ESTIMATED, which no report can say. They are numbered by call, so that two that are made at a time are
the same one.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from service.storage.connection import Connection
from service.storage.ids import correction_key_hex, encode_call_id, milliseconds
from service.storage.sources import AMOUNT_SOURCE_NUMBERS, SOURCE_NAMES
from service.storage.statements.correct import NOW_AND_TIERS, STORE_CORRECTIONS
from service.storage.statements.write import STAGED_COLUMNS, STAGED_TABLE

_ESTIMATED: Final = AMOUNT_SOURCE_NUMBERS["ESTIMATED"]


class OwnCorrection(NamedTuple):
    """What is added to a stored and locked call's amount. `id` is 32 hex digits, `number` counts from 1 for each call.

    `price_list`: the version by which the estimate is what it is from now on; None: there is no estimate any more.
    """

    account_id: int
    tier: int
    started_at: datetime
    id: str
    source: int
    amount: Decimal
    currency: str
    number: int
    price_list: str | None


async def store_own_corrections(connection: Connection, corrections: Sequence[OwnCorrection]) -> int:
    """Store corrections of locked calls, in the transaction of `connection`, which has a staging table. Returns how
    many were new.
    """
    if not corrections:
        return 0
    accounts = sorted({one.account_id for one in corrections})
    rows = await connection.fetch(NOW_AND_TIERS, accounts)
    moment, tiers = rows[0]["moment"], {row["account_id"]: row["tier"] for row in rows}
    keys = [correction_key_hex(one.account_id, SOURCE_NAMES[one.source], _source_id(one)) for one in corrections]
    ids = [_row_id(one, key) for one, key in zip(corrections, keys, strict=True)]
    records = [_record(one, id_) for one, id_ in zip(corrections, ids, strict=True)]
    await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=STAGED_COLUMNS)
    stored = await connection.fetch(
        STORE_CORRECTIONS,
        [UUID(hex=id_) for id_ in ids],
        [UUID(hex=one.id) for one in corrections],
        [moment] * len(ids),
        [one.tier if tiers[one.account_id] is None else tiers[one.account_id] for one in corrections],
        [UUID(hex=key) for key in keys],
    )
    return len(stored)


def _source_id(correction: OwnCorrection) -> str:
    return f"reprice/{correction.number}/{encode_call_id(correction.account_id, correction.id)}"


def _row_id(correction: OwnCorrection, key: str) -> str:
    return milliseconds(correction.started_at).to_bytes(6, "big").hex() + key[12:]


def _record(correction: OwnCorrection, id_: str) -> tuple[Any, ...]:
    """The staged row: what it has not, it inherits from its call."""
    source_id, amount = _source_id(correction), f"{correction.amount:f}"
    digest = sha256(f"{source_id}\0{amount}\0{correction.currency}".encode()).digest()[:8]
    part = {"meter": "difference", "amount": amount}
    if correction.price_list is not None:
        part["price_list"] = correction.price_list
    values = {
        "account_id": correction.account_id,
        "tier": correction.tier,
        "started_at": correction.started_at,
        "id": id_,
        "digest": int.from_bytes(digest, "big", signed=True),
        "source": correction.source,
        "source_id": source_id,
        "amount": amount,
        "currency": correction.currency,
        "amount_source": _ESTIMATED,
        "amount_parts": orjson.dumps([part]).decode(),
    }
    return tuple(values.get(name) for name in STAGED_COLUMNS)
