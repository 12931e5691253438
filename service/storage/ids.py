"""Ids of calls and errors: derived from the call itself, so that the same call reported again has the same id.

The stored id is a UUIDv8 (RFC 9562, section 5.8) of 48 bits of milliseconds and 74 bits of SHA-256 over the call's
identity. The public id is `call_` or `err_` and the base32 of the account id and that UUID, so that a look-up finds the
partition and the rows of the account.

Digests and fingerprints (`Identities`) are keyed by the keyring's pepper: they tell whether two reports say the same,
and whether two errors are of one kind.
"""

import base64
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b, sha256
from uuid import UUID

from policies import Report
from policies.base32 import AT_ONCE, WIDTH, base32_texts
from service.errors import RequestError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DAY_MS = 86_400_000
_DIGEST_LABEL = b"calledger/digest"
_ESTIMATED = "ESTIMATED"
_ACCOUNT_BYTES = WIDTH - 16


class IdError(RequestError):
    """the id is not one that this ledger gave out"""


@dataclass(frozen=True, slots=True)
class CallKey:
    """What finds a call: the account id and the UUID, which contains `started_at`."""

    account_id: int
    uuid: UUID

    @property
    def started_at(self) -> datetime:
        """The start of the call, aware UTC, to the millisecond."""
        return uuid_time(self.uuid)


@dataclass(frozen=True, slots=True)
class ErrorKey:
    """What finds an error: its call, and the time it occurred."""

    call: CallKey
    occurred_at: datetime


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, floored."""
    age = moment - _EPOCH
    return age.days * _DAY_MS + age.seconds * 1000 + age.microseconds // 1000


def from_milliseconds(count: int) -> datetime:
    """The time that many milliseconds after 1970, aware UTC."""
    return _EPOCH + count * _MILLISECOND


def call_uuid_hex(account_id: int, source: str, source_id: str, started_at: datetime) -> str:
    """The id of a call as 32 hexadecimal digits of its UUID, which are cheaper to make.

    `source` is the gateway's family, not the path that the report came by.
    """
    moment = milliseconds(started_at).to_bytes(8, "big")
    text = source_id.encode("utf-8", "surrogatepass")
    bits = sha256(_reporter(account_id, source) + len(text).to_bytes(4, "big") + text + moment).digest()
    version, variant = bits[6] & 0x0F | 0x80, bits[8] & 0x3F | 0x80
    return (moment[2:] + bytes((version, bits[7], variant)) + bits[9:16]).hex()


def correction_key_hex(account_id: int, source: str, source_id: str) -> str:
    """The identity of a correction as 32 hexadecimal digits of a UUIDv8. It does not depend on when it is reported."""
    text = source_id.encode("utf-8", "surrogatepass")
    bits = sha256(_reporter(account_id, f"correction:{source}") + len(text).to_bytes(4, "big") + text).digest()
    version, variant = bits[6] & 0x0F | 0x80, bits[8] & 0x3F | 0x80
    return (bits[:6] + bytes((version, bits[7], variant)) + bits[9:16]).hex()


def bill_key_hex(claimant: str, source: str, source_id: str) -> str:
    """What the claim of a bill is known by, as 32 hexadecimal digits of a UUIDv8. `claimant`: who may claim it once."""
    parts = [part.encode("utf-8", "surrogatepass") for part in ("bill", claimant, source, source_id)]
    bits = sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()
    version, variant = bits[6] & 0x0F | 0x80, bits[8] & 0x3F | 0x80
    return (bits[:6] + bytes((version, bits[7], variant)) + bits[9:16]).hex()


@lru_cache(maxsize=4096)
def _reporter(account_id: int, source: str) -> bytes:
    """The first two parts of a call's identity; each part is led by its length, so that none runs into the next."""
    parts = (str(account_id).encode(), source.encode())
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def uuid_time(uuid: UUID) -> datetime:
    """The time in the first 48 bits of a UUIDv7 or UUIDv8, aware UTC, to the millisecond."""
    return from_milliseconds(uuid.int >> 80)


def _encode(prefix: str, data: bytes) -> str:
    return prefix + base64.b32encode(data).decode().rstrip("=").lower()


def _decode(prefix: str, text: str, length: int) -> bytes:
    body = text.removeprefix(prefix)
    try:
        if body == text or body != body.lower():
            raise ValueError
        data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except ValueError:
        raise IdError(f"`{text[:60]}` is not an id that this ledger gave out") from None
    if len(data) != length or _encode(prefix, data) != text:
        raise IdError(f"`{text[:60]}` is not an id that this ledger gave out")
    return data


def public_id(prefix: str, id_: UUID) -> str:
    """The public id of what has a UUID and no account: `hold_` and 26 characters."""
    return _encode(f"{prefix}_", id_.bytes)


def encode_call_id(account_id: int, uuid: UUID | str) -> str:
    """The public id of a call: `call_` and 32 characters."""
    raw = uuid.bytes if isinstance(uuid, UUID) else bytes.fromhex(uuid.replace("-", ""))
    return _encode("call_", account_id.to_bytes(4, "big") + raw)


def encode_call_ids(calls: Sequence[tuple[int, str]]) -> list[str]:
    """The public ids of many calls, given as (account id, UUID as text)."""
    ids: list[str] = []
    for start in range(0, len(calls), AT_ONCE):
        part = calls[start : start + AT_ONCE]
        ids += base32_texts("call_", bytes.fromhex(_digits(part)), len(part))
    return ids


def encode_raw_ids(accounts: int | Sequence[int], uuids: Sequence[bytes]) -> list[str]:
    """The public ids of many calls, given as one account id, or one per call, and the 16 bytes of each UUID."""
    ids: list[str] = []
    for start in range(0, len(uuids), AT_ONCE):
        some = uuids[start : start + AT_ONCE]
        if isinstance(accounts, int):
            number = accounts.to_bytes(_ACCOUNT_BYTES, "big")
            data = number + number.join(some)
        else:
            numbers = accounts[start : start + AT_ONCE]
            data = b"".join(
                [number.to_bytes(_ACCOUNT_BYTES, "big") + uuid for number, uuid in zip(numbers, some, strict=True)]
            )
        ids += base32_texts("call_", data, len(some))
    return ids


def _digits(calls: Sequence[tuple[int, str]]) -> str:
    """Account and UUID of each call as hexadecimal digits of WIDTH bytes."""
    numbers, uuids = zip(*calls, strict=True)
    if numbers.count(numbers[0]) == len(numbers):  # nearly every page
        account = f"{numbers[0]:0{2 * _ACCOUNT_BYTES}x}"
        digits = account + account.join(uuids)
    else:
        accounts = {number: f"{number:0{2 * _ACCOUNT_BYTES}x}" for number in {*numbers}}
        digits = "".join([accounts[number] + uuid for number, uuid in calls])
    return digits.replace("-", "")


def decode_call_id(text: str) -> CallKey:
    """Raises IdError when `text` is anything but an id from `encode_call_id`."""
    data = _decode("call_", text, 20)
    return CallKey(int.from_bytes(data[:4], "big"), UUID(bytes=data[4:]))


def encode_error_id(account_id: int, uuid: UUID | str, occurred_at: datetime) -> str:
    """`err_` and 39 characters; the last 4 bytes are the milliseconds from start to error."""
    raw = uuid if isinstance(uuid, UUID) else UUID(uuid)
    delay_ms = milliseconds(occurred_at) - (raw.int >> 80)
    return _encode("err_", struct.pack(">I16sI", account_id, raw.bytes, delay_ms))


def decode_error_id(text: str) -> ErrorKey:
    """Raises IdError when `text` is anything but an id from `encode_error_id`."""
    account_id, raw, delay_ms = struct.unpack(">I16sI", _decode("err_", text, 24))
    key = CallKey(account_id, UUID(bytes=raw))
    return ErrorKey(key, key.started_at + delay_ms * _MILLISECOND)


class Identities:
    """Derives digests and fingerprints under one pepper."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        # Begun once, copied for each call: the key and the label are taken in already.
        self._digest = blake2b(digest_size=8, key=pepper, person=_DIGEST_LABEL)

    def content_digest(self, report: Report) -> int:
        """8 bytes over what makes a second report of one call a duplicate or a conflict, as a signed integer.

        That is: how it ended, the model, input and output tokens, and the amount unless we estimated it. It is keyed,
        because a policy may keep less than what it is made of, and few amounts are quickly tried. No text that is
        stored holds a NUL, so that joining by it is unambiguous.
        """
        ended = "failed" if report.failed else "succeeded"
        asked = "" if report.input_tokens is None else report.input_tokens
        answered = "" if report.output_tokens is None else report.output_tokens
        money = "\0"
        if report.amount is not None and report.amount_source != _ESTIMATED:
            money = f"{_shortest(report.amount)}\0{report.currency or ''}"
        digest = self._digest.copy()
        digest.update(f"{ended}\0{report.model}\0{asked}\0{answered}\0{money}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(digest.digest(), "big", signed=True)

    def error_fingerprint(self, basis: bytes) -> int:
        """The group that an error belongs to, as a signed integer."""
        return int.from_bytes(hmac.digest(self._pepper, b"fingerprint\0" + basis, "sha256")[:8], "big", signed=True)


def _shortest(amount: Decimal) -> str:
    """The amount's digits, without zeros at their end and without an exponent; most amounts come in that form."""
    text = str(amount)
    return f"{amount.normalize():f}" if "E" in text or ("." in text and text[-1] == "0") else text
