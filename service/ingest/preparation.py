"""Report -> what will be stored of it: admission, tier, windows, id, digest, token and sealed details."""

from datetime import datetime, timedelta
from typing import Any

import orjson

from policies import Admitted, AdmittedError, DataClass, Policy, Report, Store
from policies.retention import cutoff, readable_cutoff
from service.ingest.identity import content_digest, error_fingerprint
from service.ingest.prepared import Prepared, Rules
from service.ingest.rows import Rejection
from service.ingest.sealing import Sealer
from service.storage.accounts import Accounts
from service.storage.ids import call_uuid
from service.storage.sources import AMOUNT_SOURCE_NUMBERS, SOURCE_NUMBERS

FUTURE_MAX = timedelta(hours=24)
"""How far ahead of the database's clock a call may have started: a day allows for a clock in the wrong time zone."""
ERROR_DELAY_MAX = timedelta(hours=24)

_TOO_NEW = Rejection("`started_at` is more than 24 hours ahead: check the clock")
_EARLY_ERROR = Rejection("`error.occurred_at` must be between `started_at` and 24 hours later")
_NO_DETAILS: tuple[None, ...] = (None,) * 6


class Preparation:
    """Prepares calls under one policy at one moment of the database's clock."""

    def __init__(self, rules: Rules, accounts: Accounts, sealer: Sealer, pepper: bytes, now: datetime) -> None:
        self._rules = rules
        self._accounts = accounts
        self._sealer = sealer
        self._pepper = pepper
        self._now = now
        self._windows: dict[int, _Windows] = {}

    async def prepare(self, report: Report, account_id: int, admitted: Admitted | None = None) -> Prepared | Rejection:
        """The call as it will be stored, or why not. `admitted` saves admitting twice."""
        admitted = admitted or self._rules.admission.admit(report)
        if admitted.rejected:
            return Rejection(admitted.rejected)
        tier = self._accounts.tier(account_id, report.started_at)
        windows = self._windows_of(tier)
        if report.started_at < windows.call:
            return Rejection(f"`started_at` is older than calls are kept ({windows.call_days} days)")
        if report.started_at > self._now + FUTURE_MAX:
            return _TOO_NEW
        error_at = _error_at(admitted)
        if error_at is not None and not report.started_at <= error_at <= report.started_at + ERROR_DELAY_MAX:
            return _EARLY_ERROR
        if error_at is not None and error_at < windows.error:
            error_at = None
        prepared = Prepared(
            report=report,
            rules=self._rules,
            account_id=account_id,
            tier=tier,
            started_at=report.started_at,
            id=call_uuid(account_id, report.source, report.source_id, report.started_at),
            digest=content_digest(report, self._pepper),
            error_at=error_at,
            record=(),
        )
        user_token = await self._token(prepared, admitted, windows)
        prepared.record = _record(prepared, admitted, user_token) + await self._details(prepared, admitted, windows)
        return prepared

    def _windows_of(self, tier: int) -> "_Windows":
        windows = self._windows.get(tier)
        if windows is None:
            windows = self._windows[tier] = _Windows(self._rules.policy, tier, self._now)
        return windows

    async def _token(self, call: Prepared, admitted: Admitted, windows: "_Windows") -> int | None:
        # A value past its readable time gets no key: it would be hidden from the first moment on.
        if admitted.user is None or call.started_at < windows.token:
            return None
        period = self._rules.policy.pseudonym_period
        return await self._sealer.token(
            admitted.user, account_id=call.account_id, tier=call.tier, moment=call.started_at, period=period
        )

    async def _details(self, call: Prepared, admitted: Admitted, windows: "_Windows") -> tuple[Any, ...]:
        error = admitted.error
        if error is None or call.error_at is None:
            return _NO_DETAILS
        return (
            error.type,
            error.code,
            error_fingerprint(error.fingerprint_basis, self._pepper),
            list(error.rules),
            list(error.rules.values()),
            await self._sealed(call, error, windows),
        )

    async def _sealed(self, call: Prepared, error: AdmittedError, windows: "_Windows") -> bytes | None:
        if error.blob is None or call.error_at is None or call.error_at < windows.sealed:
            return None
        return await self._sealer.seal(
            error.blob, account_id=call.account_id, tier=call.tier, record=call.id, moment=call.error_at
        )


class _Windows:
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
    if admitted.error.occurred_at is not None:
        return admitted.error.occurred_at
    return admitted.started_at + min(timedelta(milliseconds=admitted.latency_ms or 0), ERROR_DELAY_MAX)


def _record(call: Prepared, admitted: Admitted, user_token: int | None) -> tuple[Any, ...]:
    """The columns of STAGED_COLUMNS from `account_id` to `error_at`."""
    return (
        call.account_id,
        call.tier,
        call.started_at,
        call.id,
        call.digest,
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
        admitted.amount,
        admitted.currency,
        AMOUNT_SOURCE_NUMBERS[admitted.amount_source] if admitted.amount_source else None,
        _parts_json(admitted),
        admitted.corrects,
        admitted.latency_ms,
        admitted.time_to_first_token_ms,
        orjson.dumps(admitted.tags).decode() if admitted.tags else None,
        admitted.error_type,
        admitted.error_code,
        call.error_at,
    )


def _parts_json(admitted: Admitted) -> str | None:
    """`[{"meter", "quantity", "unit_price", "amount"}, ...]`, decimals as strings, absent ones left out."""
    if not admitted.amount_parts:
        return None
    parts = []
    for part in admitted.amount_parts:
        figures = {"quantity": part.quantity, "unit_price": part.unit_price, "amount": part.amount}
        parts.append(
            {"meter": part.meter} | {name: f"{figure:f}" for name, figure in figures.items() if figure is not None}
        )
    return orjson.dumps(parts).decode()
