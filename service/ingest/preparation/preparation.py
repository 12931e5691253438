"""Report and what admission left of it -> what is stored: account, tier, windows, id, digest, token, sealed details.

`AccountResolution` says whose call it is, `Preparation` makes a `Prepared` of it, which waits until it is stored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import orjson
from msgspec import structs

from policies import (
    Admitted,
    AdmittedError,
    AmountPart,
    Attributes,
    DataClass,
    Policy,
    Report,
    Store,
    UnchangedReport,
)
from policies.retention import cutoff, readable_cutoff
from service.access.principal import Principal
from service.errors import ServiceError
from service.ingest.formats.scalars import ERROR_DELAY_MAX, is_time_of_error
from service.ingest.formats.split import Rejection
from service.ingest.preparation.batch_context import BatchKeys, Rules, Sealer, Tokens
from service.ingest.refusals import Refusal
from service.ingest.results import Status
from service.keyring import Keyring
from service.storage.control.accounts import DEFAULT_ACCOUNT, Accounts
from service.storage.ids import Identities, IdError, call_uuid_hex, correction_key_hex, decode_call_id
from service.storage.sources import AMOUNT_SOURCE_NUMBERS, AMOUNT_UNKNOWN_NUMBERS, SOURCE_NUMBERS

Outcome = Status | Rejection | ServiceError
"""ACCEPTED, COMPLETED, DUPLICATE or CONFLICT; why the row was refused; or why it is not known to be stored."""


@dataclass(frozen=True, slots=True)
class Correction:
    """The correction of a call by a report. `key`: its identity, which does not depend on its time, as 32 hex digits.

    `call_key`: tier, time and id of the call where the report names it by our id; else `source_id` is the gateway's id
    of it. Where there is a `refusal`, neither is known.
    """

    key: str
    call_key: tuple[int, datetime, str] | None = None
    source_id: str | None = None
    refusal: Rejection | None = None


@dataclass(slots=True)
class Prepared:
    """`record` is what is staged, without its position; `id` is a UUID in 32 hexadecimal digits.

    `report` is kept until the row is stored, to admit it anew should the policy change before that. `warnings` are of
    what was stored, beside the report's own.
    """

    report: Report = field(repr=False)
    rules: Rules = field(repr=False)
    account_id: int
    tier: int
    started_at: datetime
    id: str
    digest: int
    error_at: datetime | None
    record: tuple[Any, ...] = field(default=(), repr=False)
    outcome: Outcome | None = None
    correction: Correction | None = None
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[int, str]:
        """What the row is deduplicated by; tier and time follow from it."""
        return self.account_id, self.id


# What these gateways report as the account is an id of their own, not a name that someone chose here: it does not
# contradict a key that is bound to one account.
_GATEWAY_IDS = SOURCE_NUMBERS.keys() - {"native", "csv"}
NO_ACCOUNT = Rejection("`account` is required: the key is bound to several accounts", Refusal.FIELD_MISSING)
OTHER_ACCOUNT = Rejection("`account` is none of those that the key is bound to", Refusal.ACCOUNT_NOT_ALLOWED)


class AccountResolution:
    """The accounts of one principal; new ones come into being only for keys that are bound to none."""

    def __init__(self, accounts: Accounts, principal: Principal) -> None:
        self._accounts = accounts
        self._bound = principal.accounts
        self.is_of_one = self._bound is not None and len(self._bound) == 1
        self._ids_by_name: dict[str, int] = {}

    @property
    def bound(self) -> tuple[int, ...] | None:
        """The accounts that may be written to; None: all."""
        return self._bound

    def drop_unused(self, report: Report) -> None:
        """Take the account from a report whose account is the key's own, whatever the report says: then admission does
        not judge the name.
        """
        if self.is_of_one and report.source in _GATEWAY_IDS and report.account not in self._ids_by_name:
            report.account = None

    async def load(self, reports: Iterable[Report] = ()) -> None:
        """Look up, or make, the accounts that `account_of` is asked for next. Admission has passed their names."""
        if self._bound is None:
            names = {report.account or DEFAULT_ACCOUNT for report in reports} - self._ids_by_name.keys()
            if names:
                self._ids_by_name |= await self._accounts.ensure(names)
        elif not self._ids_by_name:
            self._ids_by_name = {await self._accounts.name(account_id): account_id for account_id in self._bound}

    def account_of(self, report: Report) -> int | Rejection | None:
        """The account's id; None when it is still to be loaded.

        A rejection never says whether an account of that name exists.
        """
        if self._bound is None:
            name = report.account or DEFAULT_ACCOUNT
            return self._ids_by_name.get(name) or self._accounts.cached(name)
        if report.account in self._ids_by_name:
            return self._ids_by_name[report.account]
        if not self._ids_by_name:
            return None
        if len(self._bound) == 1 and (report.account is None or report.source in _GATEWAY_IDS):
            return self._bound[0]
        return NO_ACCOUNT if report.account is None else OTHER_ACCOUNT


FUTURE_MAX = timedelta(hours=24)
"""How far ahead of the database's clock a call may have started: a day allows for a clock in the wrong time zone."""

_TOO_NEW = Rejection("`started_at` is more than 24 hours ahead: check the clock", Refusal.TOO_NEW)
_CORRECTS_ITSELF = Rejection(
    "`corrects` names the correction itself: a correction has an `id` of its own", Refusal.CORRECTION_INVALID
)
_OTHER_ACCOUNT = Rejection("`corrects` names a call of another account", Refusal.CORRECTION_INVALID)
_NO_DETAILS: tuple[None, ...] = (None,) * 6
_NO_FAILURE: tuple[None, ...] = (None,) * 9
"""The columns of STAGED_COLUMNS from `error_type` to `sealed`."""
_NO_ATTRIBUTES: tuple[None, ...] = (None,) * 13
"""The columns of STAGED_COLUMNS from `cache_hit` on."""
_NOTHING_MORE = _NO_FAILURE + _NO_ATTRIBUTES


class Preparation:
    """Prepares the calls of one batch, under one policy, at one moment of the database's clock."""

    def __init__(
        self, rules: Rules, accounts: Accounts, keyring: Keyring, identities: Identities, now: datetime
    ) -> None:
        self._rules = rules
        self._accounts = accounts
        self._keys = BatchKeys(keyring)
        self._sealer = Sealer(self._keys)
        self._identities = identities
        self._now = now
        self._latest = now + FUTURE_MAX
        self._windows: dict[int, _TierWindows] = {}
        self._tokens: dict[tuple[int, int, int], Tokens] = {}

    def prepare_unchanged(self, report: UnchangedReport, account_id: int) -> Prepared | Rejection | None:
        """As `prepare`, for a report that passed unchanged, and without waiting; None when a key is still to be
        fetched.
        """
        started_at = report.started_at
        tier = self._accounts.tier(account_id, started_at)
        windows = self._windows.get(tier) or self._windows_of(tier)
        if not windows.call <= started_at <= self._latest:
            return self._refusal(windows, started_at)
        user_token = None
        if report.user is not None and started_at >= windows.token:
            tokens = self._tokens.get((account_id, tier, started_at.toordinal()))
            if tokens is None:
                return None
            user_token = tokens.of_user(report.user)
        id_ = call_uuid_hex(account_id, report.source, report.source_id, started_at)
        digest = self._identities.content_digest(report)
        rest = _NOTHING_MORE if report.attributes is None else _NO_FAILURE + _attributes(report.attributes)
        record = (account_id, tier, started_at, id_, digest) + _facts(report, user_token) + rest  # noqa: RUF005 - quicker
        return Prepared(report, self._rules, account_id, tier, started_at, id_, digest, None, record)

    async def prepare(
        self, report: Report, account_id: int, admitted: Admitted | UnchangedReport
    ) -> Prepared | Rejection:
        """The call as it will be stored, or why it cannot be. `admitted` is what admission let pass of `report`."""
        started_at = report.started_at
        tier = self._accounts.tier(account_id, started_at)
        windows = self._windows.get(tier) or self._windows_of(tier)
        if not windows.call <= started_at <= self._latest:
            return self._refusal(windows, started_at)
        error_at = _error_at(admitted) if isinstance(admitted, Admitted) else None
        if error_at is not None and error_at < windows.error:
            error_at = None
        id_ = call_uuid_hex(account_id, report.source, report.source_id, started_at)
        digest = self._identities.content_digest(report)
        call = Prepared(report, self._rules, account_id, tier, started_at, id_, digest, error_at)
        # A value past its readable time gets no key: it would be hidden from the first moment on.
        user_token = None
        if admitted.user is not None and started_at >= windows.token:
            token_key = (account_id, tier, started_at.toordinal())
            user_token = (self._tokens.get(token_key) or await self._tokens_of(call)).of_user(admitted.user)
        if report.corrects is not None:
            call.correction = self._correction(report, account_id)
            call.id = call.correction.key
        failure = await self._failure(call, admitted, windows) if isinstance(admitted, Admitted) else _NO_FAILURE
        attributes = _NO_ATTRIBUTES if admitted.attributes is None else _attributes(admitted.attributes)
        call.record = (account_id, tier, started_at, id_, digest, *_facts(admitted, user_token), *failure, *attributes)
        return call

    def _correction(self, report: Report, account_id: int) -> Correction:
        """What the report says of the call that it corrects: our id of it, or else the gateway's."""
        key = correction_key_hex(account_id, report.source, report.source_id)
        text = report.corrects or ""
        if text == report.source_id:
            return Correction(key, refusal=_CORRECTS_ITSELF)
        try:
            named = decode_call_id(text)
        except IdError:
            return Correction(key, source_id=text)
        if named.account_id != account_id:
            return Correction(key, refusal=_OTHER_ACCOUNT)
        try:
            started_at = named.started_at
        except OverflowError:
            return Correction(key, source_id=text)
        return Correction(key, call_key=(self._accounts.tier(account_id, started_at), started_at, named.uuid.hex))

    def _refusal(self, windows: "_TierWindows", started_at: datetime) -> Rejection:
        if started_at > self._latest:
            return _TOO_NEW
        return Rejection(f"`started_at` is older than calls are kept ({windows.call_days} days)", Refusal.TOO_OLD)

    def _windows_of(self, tier: int) -> "_TierWindows":
        windows = self._windows[tier] = _TierWindows(self._rules.policy, tier, self._now)
        return windows

    async def _tokens_of(self, call: Prepared) -> Tokens:
        token_key = (call.account_id, call.tier, call.started_at.toordinal())
        period = self._rules.policy.pseudonym_period
        tokens = self._tokens[token_key] = await Tokens.of(
            self._keys, account_id=call.account_id, tier=call.tier, moment=call.started_at, period=period
        )
        return tokens

    async def _failure(self, call: Prepared, admitted: Admitted, windows: "_TierWindows") -> tuple[Any, ...]:
        details = await self._details(call, admitted, windows)
        return admitted.error_type, admitted.error_code, call.error_at, *details

    async def _details(self, call: Prepared, admitted: Admitted, windows: "_TierWindows") -> tuple[Any, ...]:
        error = admitted.error
        if error is None or call.error_at is None:
            return _NO_DETAILS
        return (
            error.type,
            error.code,
            self._identities.error_fingerprint(error.fingerprint_basis),
            list(error.rules),
            list(error.rules.values()),
            await self._sealed(call, error, windows),
        )

    async def _sealed(self, call: Prepared, error: AdmittedError, windows: "_TierWindows") -> bytes | None:
        if error.blob is None or call.error_at is None or call.error_at < windows.sealed:
            return None
        return await self._sealer.seal(
            error.blob, account_id=call.account_id, tier=call.tier, record=UUID(hex=call.id), moment=call.error_at
        )


class _TierWindows:
    """Where one tier's windows begin now."""

    __slots__ = ("call", "call_days", "error", "sealed", "token")

    def __init__(self, policy: Policy, tier: int, now: datetime) -> None:
        self.call = cutoff(policy, tier, Store.CALL, now)
        self.call_days = (now - self.call).days
        self.error = cutoff(policy, tier, Store.CALL_ERROR, now)
        self.token = readable_cutoff(policy, tier, DataClass.PERSONAL, Store.CALL, now)
        self.sealed = readable_cutoff(policy, tier, DataClass.PERSONAL, Store.CALL_ERROR, now)


def _error_at(admitted: Admitted) -> datetime | None:
    if admitted.error is None:
        return None
    # A bill starts when its work did: the error of its report may be of another time.
    if admitted.error.occurred_at is not None and is_time_of_error(admitted.error.occurred_at, admitted.started_at):
        return admitted.error.occurred_at
    return admitted.started_at + min(timedelta(milliseconds=admitted.latency_ms or 0), ERROR_DELAY_MAX)


def _facts(admitted: Admitted | UnchangedReport, user_token: int | None) -> tuple[Any, ...]:
    """The columns of STAGED_COLUMNS from `source` to `amount_unknown`."""
    return (
        SOURCE_NUMBERS[admitted.source],
        admitted.source_id,
        admitted.failed,
        admitted.streamed,
        admitted.model,
        admitted.served_model,
        admitted.provider,
        admitted.operation,
        admitted.api_key,
        user_token,
        admitted.input_tokens,
        admitted.output_tokens,
        admitted.cache_read_tokens,
        admitted.cache_write_tokens,
        admitted.reasoning_tokens,
        None if admitted.amount is None else str(admitted.amount),
        admitted.currency,
        AMOUNT_SOURCE_NUMBERS[admitted.amount_source] if admitted.amount_source else None,
        parts_json(admitted.amount_parts) if admitted.amount_parts else None,
        admitted.corrects,
        admitted.latency_ms,
        admitted.time_to_first_token_ms,
        orjson.dumps(admitted.tags).decode() if admitted.tags else None,
        AMOUNT_UNKNOWN_NUMBERS[admitted.amount_unknown] if admitted.amount_unknown else None,
    )


def _attributes(attributes: Attributes) -> tuple[Any, ...]:
    """The columns of STAGED_COLUMNS from `cache_hit` on; units as `{name: decimal text}`."""
    units = attributes.units
    return (
        attributes.cache_hit,
        attributes.attempt,
        attributes.trace_id,
        attributes.session_id,
        attributes.deployment,
        attributes.team,
        attributes.organization,
        attributes.normalized_error,
        attributes.provider_request_id,
        orjson.dumps({name: f"{quantity:f}" for name, quantity in units.items()}).decode() if units else None,
        attributes.team_id,
        attributes.organization_id,
        attributes.parent_span_id,
    )


def parts_json(amount_parts: list[AmountPart]) -> str:
    """A list of `{"meter", "quantity", "unit_price", "amount", "price_list"}`; decimals as strings without exponents,
    absent left out.
    """
    text = msgspec.json.encode(amount_parts).decode()
    if "E" not in text:
        return text
    plain = [
        structs.replace(
            part, amount=_plain(part.amount), quantity=_plain(part.quantity), unit_price=_plain(part.unit_price)
        )
        for part in amount_parts
    ]
    return msgspec.json.encode(plain).decode()


def _plain(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"
