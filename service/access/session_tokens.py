"""Short-lived tokens for browsers: JSON Web Tokens (RFC 7519), signed with HMAC-SHA256 (RFC 7515, HS256).

Every process that has the pepper can check one: the signing key is derived from it, and nothing is stored. A token has
one header, compared byte for byte, so that nobody chooses another algorithm. What it allows never goes beyond its API
key: `Authenticator` asks for the key behind it, and a token ends with it.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from policies import Role

ISSUER: Final = "calledger"
_HEADER: Final = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=") + b"."
_CHARACTERS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class SessionToken:
    """What a token says. `session`: its own random id; `accounts`: ids, never empty, or None: all that its key reaches,
    whenever it is asked; `expires_at`: whole seconds.
    """

    session: str
    key_id: str
    role: Role
    accounts: tuple[int, ...] | None
    expires_at: datetime


class SessionSigner:
    """Signs tokens, and reads those that it signed, or that another process with the same pepper did."""

    def __init__(self, pepper: bytes) -> None:
        self._key = hmac.digest(pepper, b"calledger session token\x00", hashlib.sha256)

    def sign(self, token: SessionToken, now: datetime) -> str:
        """The token as text, made `now`."""
        claims = {
            "iss": ISSUER,
            "sub": token.key_id,
            "jti": token.session,
            "iat": int(now.timestamp()),
            "exp": int(token.expires_at.timestamp()),
            "role": token.role.value,
            "accounts": token.accounts,
        }
        signed = _HEADER + _encoded(orjson.dumps(claims))
        return (signed + b"." + _encoded(self._signature(signed))).decode()

    def read(self, text: str) -> SessionToken | None:
        """What a token of ours says, whether or not it has expired; None for whatever else."""
        if len(text) > _CHARACTERS_MAX or not text.isascii():
            return None
        signed, _, signature = text.encode().rpartition(b".")
        if not hmac.compare_digest(_encoded(self._signature(signed)), signature) or not signed.startswith(_HEADER):
            return None
        return _read_claims(orjson.loads(_decoded(signed[len(_HEADER) :])))

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self._key, signed, hashlib.sha256)


def looks_signed(text: str) -> bool:
    """Whether `text` has the form of a token rather than of an API key."""
    return text.startswith(_HEADER.decode())


def _read_claims(claims: dict[str, Any]) -> SessionToken:
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    accounts = None if claims["accounts"] is None else tuple(claims["accounts"])
    return SessionToken(claims["jti"], claims["sub"], Role(claims["role"]), accounts, expires_at)


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
