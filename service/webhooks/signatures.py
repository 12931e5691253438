"""Signatures of Standard Webhooks 1.0 (https://www.standardwebhooks.com), and the secrets that make them.

A secret that was replaced signs along until its overlap ends, so that a receiver can take up the new one at leisure.
"""

import base64
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
SECRETS_MAX: Final = 3
"""How many secrets sign at a time: a receiver looks at each signature."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """A secret, 32 bytes. `ends_at`: until when it signs; None for the newest one."""

    key: bytes
    ends_at: datetime | None = None

    @property
    def text(self) -> str:
        """The secret as a receiver is given it: `whsec_` and base64."""
        return PREFIX + base64.b64encode(self.key).decode()


def new_secret() -> SigningSecret:
    """A secret from the system's random source."""
    return SigningSecret(os.urandom(SECRET_BYTES))


def rotated(secrets: Iterable[SigningSecret], new: SigningSecret, now: datetime, end: datetime) -> list[SigningSecret]:
    """The secrets with a new one before them; those that sign still do so until `end`, and the oldest ones give way."""
    kept = [SigningSecret(one.key, min(one.ends_at or end, end)) for one in signing(secrets, now)]
    return [new, *(one for one in kept if one.ends_at is not None and one.ends_at > now)][:SECRETS_MAX]


def signing(secrets: Iterable[SigningSecret], now: datetime) -> list[SigningSecret]:
    """The secrets that sign at a moment."""
    return [one for one in secrets if one.ends_at is None or one.ends_at > now]


def signed_headers(id_: str, now: datetime, body: bytes, secrets: Iterable[SigningSecret]) -> Mapping[str, str]:
    """`webhook-id`, `webhook-timestamp` in seconds, and `webhook-signature` with a signature by each secret."""
    timestamp = str(int(now.timestamp()))
    signed = b".".join((id_.encode(), timestamp.encode(), body))
    digests = (hmac.digest(one.key, signed, "sha256") for one in signing(secrets, now))
    signatures = " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)
    return {"webhook-id": id_, "webhook-timestamp": timestamp, "webhook-signature": signatures}
