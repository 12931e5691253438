"""What a hold names, sealed under the hold's own key for its entry in the ledger.

A leaf is there for ever, and a model's or a key's name may be somebody's. So the entry has them under seal: while the
hold is in force, a row that somebody deleted is put back exactly as it was; when the hold ends its key is destroyed,
and with it what the entry says.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.keyring import HoldKeyName, KeyGoneError, Keyring, KeyringUnavailableError
from service.logs import get_logger

log = get_logger()

_LABEL: Final = b"calledger/hold-condition/v1"
_NONCE_BYTES: Final = 12
_CHUNK: Final = 200  # characters: the longest text that a leaf takes


@dataclass(frozen=True, slots=True)
class HoldCondition:
    """The model, the API key and the calls that a hold names; None where it names all."""

    model: str | None = None
    api_key: str | None = None
    call_ids: tuple[UUID, ...] | None = None

    def __bool__(self) -> bool:
        return self != HoldCondition()


async def seal_condition(keyring: Keyring, hold: UUID, condition: HoldCondition) -> list[str] | None:
    """`condition` for the ledger, in hex; None when there is none, or while the keyring is away.

    A hold is placed without the keyring too. If its row is then deleted, it is put back without its condition.
    """
    if not condition:
        return None
    ids = None if condition.call_ids is None else "".join(one.hex for one in condition.call_ids)
    plain = orjson.dumps([condition.model, condition.api_key, ids])
    try:
        key = await keyring.key(HoldKeyName(hold), mint=True)
    except (KeyGoneError, KeyringUnavailableError) as error:
        log.warning("a hold's condition is not in the ledger: a lost row would come back wider", reason=str(error))
        return None
    nonce = os.urandom(_NONCE_BYTES)
    text = (nonce + AESGCM(key).encrypt(nonce, plain, _LABEL + hold.bytes)).hex()
    return [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]


async def open_condition(keyring: Keyring, hold: UUID, facts: Mapping[str, Any]) -> HoldCondition | None:
    """The condition in the facts of a hold's entry; None when there is none, or it cannot be opened now."""
    sealed: Sequence[str] | None = facts.get("condition")
    if not sealed:
        return None
    try:
        blob = bytes.fromhex("".join(sealed))
        key = await keyring.key(HoldKeyName(hold), mint=False)
        plain = AESGCM(key).decrypt(blob[:_NONCE_BYTES], blob[_NONCE_BYTES:], _LABEL + hold.bytes)
    except (KeyGoneError, KeyringUnavailableError, InvalidTag, ValueError) as error:
        log.error("a hold's condition cannot be opened: the hold comes back wider", hold=str(hold), reason=str(error))
        return None
    model, api_key, ids = orjson.loads(plain)
    if ids is None:
        return HoldCondition(model, api_key)
    return HoldCondition(model, api_key, tuple(UUID(ids[at : at + 32]) for at in range(0, len(ids), 32)))
