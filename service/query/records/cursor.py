"""Cursors: where a page ended, sealed so that only the same query of the same scope can go on from there.

AES-SIV (RFC 5297) under a key from the keyring: the same row has the same cursor, and any change of a byte, of the
filter, the order or the accounts is found.
"""

import base64
import binascii
import hashlib
import hmac

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from service.query.model.errors import BadInputError

_LABEL = b"calledger/cursor/v1"
_LENGTH_MAX = 512
_URLSAFE = bytes.maketrans(b"+/", b"-_")

Position = tuple[str | int | None, ...]
"""Values of the order's terms and the id, as they stand in a cursor: moments as microseconds, decimals as text."""


class CursorError(BadInputError):
    """the cursor does not belong to this query: ask for the first page again"""


class Cursors:
    """Seals and opens cursors. `secret`: the keyring's own for cursors."""

    def __init__(self, secret: bytes) -> None:
        self._siv = AESSIV(hmac.digest(secret, _LABEL, "sha256") + hmac.digest(secret, _LABEL + b"/2", "sha256"))

    @staticmethod
    def binding(*parts: object) -> bytes:
        """What a cursor is tied to, as bytes. The parts are values whose `repr` says all of them."""
        return Cursors.bound(repr(parts))

    @staticmethod
    def bound(parts: str) -> bytes:
        """The same for their `repr`."""
        return hashlib.sha256(parts.encode("utf-8", "backslashreplace")).digest()

    def seal(self, position: Position, binding: bytes) -> str:
        """The cursor of `position`, opaque text that only `open` with the same `binding` reads (AES-SIV, RFC 5297)."""
        sealed = self._siv.encrypt(orjson.dumps(position), [binding])
        return binascii.b2a_base64(sealed, newline=False).translate(_URLSAFE, b"=").decode()

    def open(self, text: str, binding: bytes) -> Position:
        """Raises CursorError for anything but a cursor that `seal` gave out for the same binding."""
        if not 0 < len(text) <= _LENGTH_MAX or not text.isascii():
            raise CursorError
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            # The same bytes have one text only: a cursor cannot be changed at all, not even in its unused bits.
            if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != text:
                raise CursorError
            position = orjson.loads(self._siv.decrypt(sealed, [binding]))
        except (binascii.Error, ValueError, InvalidTag):
            raise CursorError from None
        return tuple(position)
