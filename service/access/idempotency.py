"""Requests that are carried out once: the client names each by an `Idempotency-Key`.

(IETF draft-ietf-httpapi-idempotency-key-header.) Key and request are stored as digests under a secret of the keyring,
since a client types what names people; answers are sealed under it, and open only while the same policy is in force.
"""

import base64
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from service.errors import RequestError
from service.keyring.protocol import Keyring
from service.storage.control import idempotency_keys as records
from service.storage.database import Database

KEY_MAX: Final = 200
"""Characters of a key."""
ANSWER_MAX: Final = 16_384
"""Bytes of an answer that is kept."""
UNDER_WAY: Final = timedelta(seconds=60)
"""For so long a request that has no end is taken to be under way, and then to have been lost."""
_LABEL: Final = b"calledger/idempotency/v1/"


class IdempotencyKeyError(RequestError):
    """the `Idempotency-Key` does not fit the request"""


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """A request that was asked before. `answer`: what was answered, where that is kept; `done`: it was carried out."""

    done: bool
    under_way: bool
    answer: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class NamedRequest:
    """A request under one key of an API key, and what its answer is sealed with and tied to."""

    asked_by: str
    key: bytes
    request: bytes
    siv: AESSIV
    binding: bytes


class Idempotency:
    """The requests with an `Idempotency-Key` of one installation. `policy`: the digest of the policy in force."""

    def __init__(self, database: Database, keyring: Keyring, policy: Callable[[], str]) -> None:
        self._owner = database.owner
        self._keyring = keyring
        self._policy = policy

    async def named(self, asked_by: str, key: str, request: Mapping[str, Any]) -> NamedRequest:
        """The JSON values of `request` under `key`. Raises IdempotencyKeyError for a key of another form."""
        if not 1 <= len(key) <= KEY_MAX or not key.isascii() or not key.isprintable():
            raise IdempotencyKeyError(f"an `Idempotency-Key` has 1 to {KEY_MAX} printable characters of ASCII")
        secret = await self._keyring.secret("cursor")
        written = orjson.dumps(request, option=orjson.OPT_SORT_KEYS)
        digest = hmac.digest(secret, _LABEL + b"key/" + key.encode(), "sha256")
        siv = AESSIV(hmac.digest(secret, _LABEL + b"answer", "sha512"))
        binding = orjson.dumps([asked_by, self._policy()]) + digest
        same = hmac.digest(secret, _LABEL + b"request/" + written, "sha256")
        return NamedRequest(asked_by, digest, same, siv, binding)

    async def begin(self, named: NamedRequest) -> EarlierRequest | None:
        """None for a request that is new, and has begun now. Raises IdempotencyKeyError if it was another one."""
        record = await records.begin_request(self._owner, named.asked_by, named.key, named.request)
        if record is None:
            return None
        if not hmac.compare_digest(record["request"], named.request):
            raise IdempotencyKeyError("another request had this `Idempotency-Key` within a day: make a new key")
        return EarlierRequest(
            record["done"], not record["done"] and record["age"] < UNDER_WAY, _opened(named, record["answer"])
        )

    async def end(self, named: NamedRequest, answer: Mapping[str, Any] | None) -> None:
        """The request was carried out. `answer`: what may be answered once more."""
        written, text = b"" if answer is None else orjson.dumps(answer), None
        if 0 < len(written) <= ANSWER_MAX:
            text = base64.b64encode(named.siv.encrypt(written, [named.binding])).decode()
        await records.end_request(self._owner, named.asked_by, named.key, text)

    async def take_back(self, named: NamedRequest) -> None:
        """The request was refused, and nothing was done: the key may be used again."""
        await records.take_back_request(self._owner, named.asked_by, named.key)


def _opened(named: NamedRequest, answer: str | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    try:
        return orjson.loads(named.siv.decrypt(base64.b64decode(answer), [named.binding]))
    except InvalidTag:  # another policy is in force, and may show less
        return None
