"""Making, renewing and ending API keys: the table, the ledger's entry and the notice to services in one transaction.

`calledger keys` and GraphQL do it here. Nobody makes or ends a key that may do more than they may themselves.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from policies import Role
from policies.evidence import moment
from service.access.authenticate import ForbiddenError
from service.access.key_state import CheckedKey, KeyState, checked
from service.access.keys import NewKey, mac_digest, new_key
from service.access.principal import Principal
from service.access.session_tokens import SessionSigner, SessionToken
from service.errors import RequestError
from service.keyring import Keyring
from service.ledger import KeyRegister, Ledger, LedgerKind
from service.log_redaction import name_as_stored, without_secrets
from service.storage.connection import Connection
from service.storage.control.accounts import Accounts
from service.storage.control.api_keys import KeyRecord, added_key, begin_hour, ending_key, get_key, revoked_key
from service.storage.notifications import notify

NAME_CHARS_MAX: Final = 200
PARTNER_DAYS: Final = 90
OVERLAP_MAX: Final = timedelta(days=90)
_ACCOUNTS_MAX: Final = 500
_PREFIX_CHARS: Final = 8
_REMEMBERED_MAX: Final = 4_096
_HARMLESS: Final = re.compile(r"[\w .-]{1,20}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who makes or ends a key: `actor` is its id in the ledger, or `cli`; `accounts` None: every account; `ends_at`
    None: never.
    """

    actor: str
    role: Role
    accounts: tuple[int, ...] | None
    ends_at: datetime | None = None

    def reaches(self, role: str, accounts: Collection[int] | None) -> bool:
        """Whether a key of this role and these accounts may do no more than the issuer."""
        if role != self.role and self.role is not Role.ADMIN:
            return False
        return self.accounts is None or (accounts is not None and set(accounts) <= set(self.accounts))

    def end_of(self, asked: datetime | None, usual: datetime | None) -> datetime | None:
        """When a key that the issuer makes ends: as `asked` (None: as `usual`, and with the issuer at the latest).

        Whoever got hold of a key that ends would otherwise stay for good. Raises ForbiddenError.
        """
        if asked is not None and self.ends_at is not None and asked > self.ends_at:
            raise ForbiddenError(
                f"a key makes no key that outlives it: name a moment up to `{moment(self.ends_at)}`, or ask with a key "
                "that ends later, or use `calledger keys`"
            )
        return asked or min(filter(None, (usual, self.ends_at)), default=None)


SHELL: Final = Issuer("cli", Role.ADMIN, None)
"""The operator's command line."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key at its birth, and its record. `text` is known only now."""

    text: str
    record: KeyRecord


def issuer_of(principal: Principal) -> Issuer:
    """The issuer that a key is. A session token is none: what it made would outlive it."""
    if principal.session is not None:
        raise ForbiddenError("a session token makes and ends no keys: ask with the key itself")
    return Issuer(principal.key_id, principal.role, principal.accounts, principal.expires_at)


def check_account(name: str) -> None:
    """Raise RequestError for a name that no report could use: admission accepts only such account names."""
    if not name or name_as_stored(name, max_chars=NAME_CHARS_MAX) != name:
        raise RequestError(
            f"an account cannot be called {_quoted(name)}: a name is one printable line of at most {NAME_CHARS_MAX} "
            "characters that has not the format of a credential and holds no e-mail address"
        )


def _check_accounts(names: Iterable[str]) -> None:
    for name in names:
        check_account(name)


def _quoted(name: str) -> str:
    """The name only if it is harmless to repeat: a refused name may be a secret."""
    return f"`{name}`" if _HARMLESS.fullmatch(name) else "that"


def _no_key(key_id: str) -> RequestError:
    if key_id.startswith("cl_"):
        return RequestError("that is a key, or its beginning: give only its id, the eight characters after `cl_`")
    return RequestError(f"no key has the id {_quoted(key_id)}: `calledger keys list` and `apiKeys` show them")


class ApiKeys:
    """The API keys of one ledger."""

    def __init__(self, accounts: Accounts, keyring: Keyring, ledger: Ledger, register: KeyRegister) -> None:
        self._accounts = accounts
        self._keyring = keyring
        self._ledger = ledger
        self._register = register
        self._hours: dict[str, datetime] = {}

    async def create(
        self,
        role: Role,
        *,
        accounts: Sequence[str] | None,
        expires_at: datetime | None = None,
        name: str | None = None,
        by: Issuer = SHELL,
    ) -> IssuedKey:
        """A new key. A partner's always has accounts and an end. `accounts` None: every account.

        Raises RequestError for what no key may be, ForbiddenError for one that may do more than `by`.
        """
        now = datetime.now(UTC)
        _check_name(name)
        if role is Role.PARTNER and not accounts:
            raise RequestError("a partner's key is always bound to accounts: name them")
        if accounts is not None and not 0 < len(accounts) <= _ACCOUNTS_MAX:
            raise RequestError(f"a key is bound to 1 to {_ACCOUNTS_MAX} accounts, or, without any, to none")
        if expires_at is not None and expires_at <= now:
            raise RequestError("the key would have ended already: name a moment that is to come")
        expires_at = by.end_of(expires_at, now + timedelta(days=PARTNER_DAYS) if role is Role.PARTNER else None)
        account_ids = None if accounts is None else await self._account_ids(accounts, by)
        if not by.reaches(role, account_ids):
            raise ForbiddenError("a key makes no key of a wider role or of other accounts than its own")
        kept_name = None if name is None else await asyncio.to_thread(without_secrets, name)
        return await self._add(role, account_ids, expires_at, kept_name, now, by)

    async def rotate(
        self, key_id: str, *, overlap: timedelta, expires_at: datetime | None = None, by: Issuer = SHELL
    ) -> tuple[IssuedKey, KeyRecord]:
        """A new key in place of a live one, with its role, accounts and name; the old one ends after `overlap`.

        Returns both. A key that has an end gets a successor of the same lifetime, which ends with `by` at the latest,
        unless `expires_at` is given.
        """
        now = datetime.now(UTC)
        if not timedelta() <= overlap <= OVERLAP_MAX:
            raise RequestError(f"the two keys overlap for 0 to {OVERLAP_MAX.days} days")
        if expires_at is not None and expires_at <= now:
            raise RequestError("the new key would have ended already: name a moment that is to come")
        record, known = await self._reached(key_id, by)
        if known.state is not KeyState.LIVE:
            raise RequestError(f"the key `{key_id}` is {known.state}: make another one")
        usual = None
        if record.expires_at is not None:
            usual = now + min(record.expires_at - record.created_at, datetime.max.replace(tzinfo=UTC) - now)
        expires_at = by.end_of(expires_at, usual)
        ends_at = min(filter(None, (known.expires_at, now + overlap)))
        accounts = None if known.accounts is None else list(known.accounts)
        issued = await self._add(Role(known.role), accounts, expires_at, record.name, now, by, (key_id, ends_at))
        old = await get_key(key_id)
        assert old is not None, "keys are never deleted"
        return issued, old

    async def revoke(self, key_id: str, *, by: Issuer = SHELL) -> KeyRecord:
        """End a key for good, in every running service at once. A key that has ended stays as it is."""
        record, _ = await self._reached(key_id, by)
        recorded = await self._register.find(key_id)
        # A key that was revoked in the table alone is revoked in the ledger too, because only that is for good.
        if record.revoked_at is None or (recorded is not None and recorded.ended is None):
            async with revoked_key(key_id, datetime.now(UTC)) as connection:
                facts = {"key": key_id}
                await self._ledger.append(LedgerKind.API_KEY_REVOKED, facts, actor=by.actor, connection=connection)
                await notify(connection, "keys")
        ended = await get_key(key_id)
        assert ended is not None, "keys are never deleted"
        return ended

    async def checked(self, records: Sequence[KeyRecord]) -> list[CheckedKey]:
        """Keys of the table by what the ledger says of them now."""
        recorded, now = await self._register.find_all([record.prefix for record in records]), datetime.now(UTC)
        return [checked(record, known, now) for record, known in zip(records, recorded, strict=True)]

    async def sign_session(self, token: SessionToken) -> str:
        """The text of a session token. The first one of a key and hour has its entry in the ledger before it."""
        now = datetime.now(UTC)
        hour = now.replace(minute=0, second=0, microsecond=0)
        if self._hours.get(token.key_id) != hour:
            async with begin_hour(token.key_id, hour) as connection:
                if connection is not None:
                    facts = {"key": token.key_id, "hour": moment(hour)}
                    kind = LedgerKind.SESSION_TOKENS_CREATED
                    await self._ledger.append(kind, facts, actor=token.key_id, connection=connection)
            if len(self._hours) >= _REMEMBERED_MAX:
                self._hours.clear()
            self._hours[token.key_id] = hour
        return SessionSigner(await self._keyring.secret("pepper")).sign(token, now)

    async def _reached(self, key_id: str, by: Issuer) -> tuple[KeyRecord, CheckedKey]:
        """A key that `by` may end; one that it does not reach is answered as if there were none."""
        record = await get_key(key_id) if len(key_id) == _PREFIX_CHARS else None
        if record is None:
            raise _no_key(key_id)
        [known] = await self.checked([record])
        if not by.reaches(known.role, known.accounts):
            raise _no_key(key_id)
        return record, known

    async def _account_ids(self, names: Sequence[str], by: Issuer) -> list[int]:
        """The ids of accounts; new ones are made by who reaches every account, and by nobody else."""
        if by.accounts is None:
            await asyncio.to_thread(_check_accounts, names)
            return sorted((await self._accounts.ensure(names)).values())
        await self._accounts.look_up(account_ids=by.accounts)
        within = self._accounts.ids(by.accounts)
        if not within.keys() >= set(names):
            raise ForbiddenError("a key makes no key of a wider role or of other accounts than its own")
        return sorted({within[name] for name in names})

    async def _add(
        self,
        role: Role,
        accounts: list[int] | None,
        expires_at: datetime | None,
        name: str | None,
        now: datetime,
        by: Issuer,
        rotated: tuple[str, datetime] | None = None,
    ) -> IssuedKey:
        """Add a key; `rotated`: the one that it takes the place of, and when that ends."""
        key = new_key(await self._keyring.secret("pepper"))
        async with added_key(
            prefix=key.prefix,
            name=name,
            role=role,
            accounts=accounts,
            mac=key.mac,
            created_at=now,
            expires_at=expires_at,
        ) as connection:
            facts = _facts(key, role, accounts, expires_at)
            await self._ledger.append(
                LedgerKind.API_KEY_CREATED, facts, actor=by.actor, note=name or None, connection=connection
            )
            if rotated is not None:
                await self._end_later(*rotated, key.prefix, by, connection)
            await notify(connection, "keys")
        record = await get_key(key.prefix)
        assert record is not None, "it was just added"
        return IssuedKey(key.text, record)

    async def _end_later(
        self, key_id: str, ends_at: datetime, successor: str, by: Issuer, connection: Connection
    ) -> None:
        await ending_key(connection, key_id, ends_at)
        facts = {"key": key_id, "successor": successor, "ends_at": moment(ends_at)}
        await self._ledger.append(LedgerKind.API_KEY_ROTATED, facts, actor=by.actor, connection=connection)


def _facts(key: NewKey, role: Role, accounts: list[int] | None, expires_at: datetime | None) -> dict[str, object]:
    return {
        "key": key.prefix,
        "role": role.value,
        "accounts": accounts,
        "expires_at": expires_at and moment(expires_at),
        "mac": mac_digest(key.mac),
    }


def _check_name(name: str | None) -> None:
    if name is not None and (not name.isprintable() or not 0 < len(name.strip()) <= NAME_CHARS_MAX):
        raise RequestError(f"a name is one printable line of at most {NAME_CHARS_MAX} characters")
