"""From the `Authorization` header to a principal."""

import asyncio
import base64
import binascii
import hmac
import os
import time
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from policies import Role
from service.access.key_state import KeyState, checked
from service.access.keys import mac_of, prefix_of
from service.access.principal import Principal
from service.access.session_tokens import SessionSigner, SessionToken, looks_signed
from service.errors import RequestError
from service.ledger import KeyRegister
from service.logs import get_logger
from service.storage.control.api_keys import KeyRecord, get_key, note_use

log = get_logger()

_KEPT_SECONDS = 30.0
_KEPT_KEYS = 4_096
_LAST_USE_STEP = timedelta(minutes=1)


class UnauthenticatedError(RequestError):
    """no valid API key was given; send `Authorization: Bearer cl_...`"""


class ForbiddenError(RequestError):
    """the key's role may not do this"""


def key_text(authorization: str | None) -> str:
    """The key in a `Bearer` header, or the password of a `Basic` one (RFC 7617), as OpenTelemetry exporters send it."""
    scheme, _, value = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        return password or user
    return ""


class Authenticator:
    """Checks keys against the database, with a short memory so that a revoked key ends within seconds everywhere.

    The memory is emptied by `forget`, which a NOTIFY calls on every running service. A header that was found good is
    remembered by a hash under a key of this process alone: nothing that could be a key is kept.

    A key is what the ledger says of it by `register`, and never more: the table is only where its MAC lies. What the
    ledger does not have, or has ended, is no key; role, accounts and expiry are the ledger's.

    A session token is checked by its signature and by the principal of its key, which is remembered for all tokens of a
    key together: a token that is new here costs no statement, and ends when its key does.
    """

    def __init__(self, pepper: bytes, register: KeyRegister) -> None:
        self._pepper = pepper
        self._register = register
        self._sessions = SessionSigner(pepper)
        self._known: dict[str, tuple[KeyRecord, float]] = {}
        self._behind: dict[str, tuple[Principal | None, float]] = {}
        self._good: dict[bytes, tuple[Principal, float]] = {}
        self._hash_key = os.urandom(32)
        self._used: dict[str, datetime] = {}

    async def authenticate(self, authorization: str | None) -> Principal:
        """The principal of the header's key. Raises UnauthenticatedError, never saying which part was wrong."""
        header = blake2b((authorization or "").encode("utf-8", "surrogateescape"), key=self._hash_key).digest()
        memory = self._good
        good = memory.get(header)
        if good is None or good[1] <= time.monotonic():
            text = key_text(authorization)
            good = await (self._verified_session(text) if looks_signed(text) else self._verified(text))
            if len(memory) >= _KEPT_KEYS:
                memory.clear()
            memory[header] = good
        principal, now = good[0], datetime.now(UTC)
        if principal.expires_at and principal.expires_at <= now:
            raise UnauthenticatedError
        self._used[principal.key_id] = now
        return principal

    async def _verified(self, text: str) -> tuple[Principal, float]:
        """The principal of a key, and until when it may be remembered."""
        prefix = prefix_of(text)
        record, until = await self._record(prefix) if prefix else (None, 0.0)
        # The comparison runs in every case, so that time does not tell whether the prefix exists.
        same = hmac.compare_digest(mac_of(text, self._pepper), record.mac if record else bytes(32))
        principal = await self.principal_of(record) if record is not None and same else None
        if principal is None:
            raise UnauthenticatedError
        return principal, until

    async def _verified_session(self, text: str) -> tuple[Principal, float]:
        """The principal of a session token, and until when it may be remembered."""
        token = self._sessions.read(text)
        if token is None:
            raise UnauthenticatedError
        memory = self._behind
        key, until = memory.get(token.key_id, (None, 0.0))
        if until <= time.monotonic():
            record, until = await self._record(token.key_id)
            key = None if record is None else await self.principal_of(record)
            if len(memory) >= _KEPT_KEYS:
                memory.clear()
            memory[token.key_id] = key, until
        principal = None if key is None else _narrowed(key, token)
        if principal is None:
            raise UnauthenticatedError
        return principal, until

    async def principal_of(self, record: KeyRecord) -> Principal | None:
        """Who a key of the table stands for by the ledger; None when it was revoked, or is not the ledger's."""
        if record.revoked_at:
            return None
        known = checked(record, await self._register.find(record.prefix), datetime.now(UTC))
        if known.state is KeyState.REFUSED:
            # The key is right and the table is not: the operator has to hear of it.
            log.error("an API key is refused: the ledger does not have it as the table does", key=record.prefix)
            return None
        return Principal(record.prefix, Role(known.role), known.accounts, known.expires_at)

    async def _record(self, prefix: str) -> tuple[KeyRecord | None, float]:
        """What the database has of a prefix, and until when that may be remembered."""
        memory = self._known
        known = memory.get(prefix)
        if known is not None and known[1] > time.monotonic():
            return known
        until = time.monotonic() + _KEPT_SECONDS
        record = await get_key(prefix)
        if record is not None:
            if len(memory) >= _KEPT_KEYS:
                memory.clear()
            memory[prefix] = (record, until)
        return record, until

    def forget(self) -> None:
        """Ask the database again for every key. What is being asked now is from before, and goes into the memory that
        is given up.
        """
        self._known, self._behind, self._good = {}, {}, {}

    async def note_uses(self) -> None:
        """Write down when keys were last used; two UPDATEs per key and minute at most. What fails is kept for later."""
        for prefix, moment in list(self._used.items()):
            await note_use(prefix, moment, _LAST_USE_STEP)
            if self._used.get(prefix) == moment:
                del self._used[prefix]

    async def note_uses_for_ever(self, every_seconds: float = 60.0) -> None:
        """Write down uses in a loop, until cancelled. A failure is logged, and tried again in the next round."""
        while True:
            await asyncio.sleep(every_seconds)
            try:
                await self.note_uses()
            except Exception:  # a loop that has ended would leave every key as if it were never used again
                log.exception("uses of API keys could not be written down")


def _narrowed(key: Principal, token: SessionToken) -> Principal | None:
    """A key with the role of a token, for no longer, and for those of its accounts that the key still has."""
    if token.accounts is None:
        accounts = key.accounts
    elif key.accounts is None:
        accounts = token.accounts
    else:
        accounts = tuple(sorted({*token.accounts} & {*key.accounts}))
    ends = min(filter(None, (key.expires_at, token.expires_at)))
    return None if accounts == () else Principal(key.key_id, token.role, accounts, ends, token.session, key.role)
