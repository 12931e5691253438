"""Corrections of calls: bound to a stored call of the same account, source and currency, and taken once.

A correction lies beside its call, at the call's time, and its identity does not depend on when it is reported: sent
again at another moment it is a duplicate. It is judged while the call is locked, so that all corrections together never
take back more than was billed.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias
from uuid import UUID

import asyncpg

from service.ingest.formats.split import Rejection
from service.ingest.metrics import STEEP_CORRECTIONS
from service.ingest.preparation.preparation import Correction, Prepared
from service.ingest.refusals import Refusal
from service.ingest.results import Status
from service.storage.citus.locks import fetch_locked
from service.storage.connection import Connection, record_of
from service.storage.ids import milliseconds
from service.storage.statements.correct import (
    CALLS_OF_SOURCE_IDS,
    CORRECTED_BEFORE,
    CORRECTIONS_KNOWN,
    LOCK_CORRECTED,
    STORE_CORRECTIONS,
)
from service.storage.statements.write import STAGED_COLUMNS, STAGED_TABLE

_COLUMN_INDEX: Final = {name: index for index, name in enumerate(STAGED_COLUMNS)}
UNKNOWN_CALL: Final = (
    "`corrects` names no call of this account: give the `call_...` id that its report was answered with"
)
SEVERAL_CALLS: Final = "`corrects` names several calls: give the `call_...` id of the one that is meant"
OTHER_SOURCE: Final = "`corrects` names a call that another gateway reported: send the correction by the same path"
ITSELF: Final = "`corrects` names the correction itself: a correction has an `id` of its own"
A_CORRECTION: Final = "`corrects` names a correction: name the call that it corrects"
NO_AMOUNT: Final = "a correction needs an `amount`: what is added to the call's, below zero to take back"
UNPRICED: Final = "the call has no amount to correct: report its amount under its own `id`, which completes it"
NOT_KEPT: Final = "the policy keeps no amounts: there is nothing to correct"
_REMARKABLE: Final = 10
_GROWTH_MAX: Final = 1_000_000
_LEAST: Final = Decimal(1)
"""Less was billed than one of the currency: what it may grow to is measured by one."""
EARLIER: Final = "`started_at` of a correction is when it was made: it must not be earlier than the call"


@dataclass(frozen=True, slots=True)
class _Target:
    """A call that is corrected, and what its corrections so far add up to."""

    account_id: int
    tier: int
    started_at: datetime
    id: str
    source: int
    source_id: str
    amount: Decimal | None
    currency: str | None
    corrected: Decimal
    is_correction: bool


async def correct(connection: Connection, calls: Sequence[Prepared]) -> None:
    """Give each of `calls`, which are corrections with different keys, its outcome, in one transaction."""
    async with connection.transaction():
        corrected_keys = await _find_corrected(connection, calls)
        targets = await _targets(connection, calls, corrected_keys)
        taken_before = await _taken_before(connection, calls)
        outcomes: list[Status | Rejection] = []
        taken: dict[str, Decimal] = {}
        for position, call in enumerate(calls):
            corrected_key = corrected_keys[position]
            target = targets.get(position)
            if isinstance(corrected_key, Rejection) and position not in taken_before:
                outcomes.append(corrected_key)
            else:
                outcomes.append(_judge(call, target, taken_before.get(position), taken))
            if target is not None:
                call.id = call_id(call.correction, target.started_at)
        accepted = [position for position, outcome in enumerate(outcomes) if outcome is Status.ACCEPTED]
        stored = await _store(connection, [(calls[position], targets[position]) for position in accepted])
    for position, call in enumerate(calls):
        outcome = outcomes[position]
        if outcome is Status.ACCEPTED and call.id not in stored:
            continue  # another writer was quicker: it is asked again, and is known then
        call.outcome = outcome
        if call.warnings:
            STEEP_CORRECTIONS.inc()


def call_id(correction: Correction | None, started_at: datetime) -> str:
    """The id of a correction's row: the call's time, and the correction's identity."""
    assert correction is not None
    return milliseconds(started_at).to_bytes(6, "big").hex() + correction.key[12:]


_Key: TypeAlias = "tuple[int, datetime, str] | Rejection"
"""Tier, time and id of a call that is corrected; or why there is none."""


async def _find_corrected(connection: Connection, calls: Sequence[Prepared]) -> list[_Key]:
    """The calls that are corrected, as far as the reports say."""
    reported = {_names(call) for call in calls}
    named = {_named(call) for call in calls if _is_by_source_id(call)}
    found: dict[tuple[int, object, object], list[asyncpg.Record]] = {}
    if named:
        columns = (list(set(column)) for column in zip(*named, strict=True))
        for row in await connection.fetch(CALLS_OF_SOURCE_IDS, *columns):
            found.setdefault((row["account_id"], row["source"], row["source_id"]), []).append(row)
    return [_corrected_key(call, found.get(_named(call), []), reported) for call in calls]


def _is_by_source_id(call: Prepared) -> bool:
    assert call.correction is not None
    return call.correction.refusal is None and call.correction.call_key is None


def _corrected_key(
    call: Prepared, rows: Sequence[asyncpg.Record], reported: Collection[tuple[int, object, object]]
) -> _Key:
    """What one correction corrects. `rows`: what is stored under the gateway's id that it names; `reported`: the ids of
    the corrections of its batch.
    """
    correction = call.correction
    assert correction is not None
    if correction.refusal is not None:
        return correction.refusal
    if correction.call_key is not None:
        return correction.call_key
    if not rows:
        if _names(call) == _named(call):
            return _refused(ITSELF)
        return _refused(A_CORRECTION if _named(call) in reported else UNKNOWN_CALL)
    if rows[0]["is_correction"]:
        return _refused(A_CORRECTION)
    if len(rows) > 1 and not rows[1]["is_correction"]:
        return _refused(SEVERAL_CALLS)
    return rows[0]["tier"], rows[0]["started_at"], rows[0]["id"].hex


def _named(call: Prepared) -> tuple[int, object, object]:
    """Account, source and the gateway's id of the call that is corrected."""
    assert call.correction is not None
    return call.account_id, call.record[_COLUMN_INDEX["source"]], call.correction.source_id


def _names(call: Prepared) -> tuple[int, object, object]:
    """Account, source and the gateway's id."""
    return call.account_id, call.record[_COLUMN_INDEX["source"]], call.record[_COLUMN_INDEX["source_id"]]


async def _targets(
    connection: Connection, calls: Sequence[Prepared], corrected_keys: Sequence[_Key]
) -> dict[int, _Target]:
    """The locked calls by position in `calls`."""
    found: dict[int, _Target] = {}
    for tier in sorted(
        {corrected_key[0] for corrected_key in corrected_keys if not isinstance(corrected_key, Rejection)}
    ):
        of_tier = [
            (position, calls[position].account_id, corrected_key[1], corrected_key[2])
            for position, corrected_key in enumerate(corrected_keys)
            if not isinstance(corrected_key, Rejection) and corrected_key[0] == tier
        ]
        positions, accounts, moments, ids = (list(column) for column in zip(*of_tier, strict=True))
        values = (positions, accounts, moments, ids, tier, min(moments), max(moments))
        rows = await fetch_locked(connection, LOCK_CORRECTED, accounts, *values)
        before = await corrected_before(connection, tier, accounts, moments, ids)
        for row in rows:
            id_, is_correction = row["id"].hex, row["correction_of"] is not None
            corrected = before[id_].amount if id_ in before else Decimal(0)
            found[row["position"]] = record_of(_Target, row, id=id_, corrected=corrected, is_correction=is_correction)
    return found


class Corrected(NamedTuple):
    """What the corrections of a call add up to; those that put an estimate of ours right; and how many there are of
    these, and of all.
    """

    amount: Decimal
    own_amount: Decimal
    own: int
    corrections: int


async def corrected_before(
    connection: Connection, tier: int, accounts: Sequence[int], moments: Sequence[datetime], ids: Sequence[str]
) -> dict[str, Corrected]:
    """The corrections of each of some locked calls, by the call's id."""
    rows = await connection.fetch(CORRECTED_BEFORE, tier, list(set(accounts)), list(set(moments)), list(set(ids)))
    return {row["id"].hex: Corrected(*row[1:]) for row in rows}


async def _taken_before(connection: Connection, calls: Sequence[Prepared]) -> dict[int, asyncpg.Record]:
    """Corrections that were taken before under the keys of `calls`, by position."""
    keys = [call.correction.key for call in calls if call.correction is not None]
    rows = await connection.fetch(CORRECTIONS_KNOWN, list(range(len(calls))), [c.account_id for c in calls], keys)
    return {row["position"]: row for row in rows}


def _judge(
    call: Prepared, target: _Target | None, taken_before: asyncpg.Record | None, taken: dict[str, Decimal]
) -> Status | Rejection:
    """What becomes of one correction; `taken` is what earlier ones of the same batch add, by the call's id."""
    if taken_before is not None:
        same = taken_before["digest"] == call.digest and (target is None or taken_before["call_id"].hex == target.id)
        return Status.DUPLICATE if same else Status.CONFLICT
    if target is None:
        return _refused(UNKNOWN_CALL)
    refusal = _refusal(call, target)
    if refusal is not None:
        return _refused(refusal)
    assert target.amount is not None
    amount = Decimal(call.record[_COLUMN_INDEX["amount"]])
    left = target.amount + target.corrected + taken.get(target.id, Decimal(0))
    refusal, call.warnings = _weighed(amount, left, target)
    if refusal is not None:
        return _refused(refusal)
    taken[target.id] = taken.get(target.id, Decimal(0)) + amount
    return Status.ACCEPTED


def _weighed(amount: Decimal, left: Decimal, target: _Target) -> tuple[str | None, tuple[str, ...]]:
    """Why a correction of `amount` is refused, of a call of which `left` is left; what is said of it if it is not.

    A wrong price is put right by a factor of hundreds or thousands; by more than a million it was a wrong unit.
    """
    assert target.amount is not None
    billed, currency = target.amount, target.currency
    net = left + amount
    if net < 0:
        return f"the correction takes back more than was billed: `{left:f}` `{currency}` is left of the amount", ()
    if amount <= 0 or net <= billed * _REMARKABLE:
        return None, ()
    if net > max(billed, _LEAST) * _GROWTH_MAX:
        return f"the correction makes more than a million times as much of the `{billed:f}` `{currency}` billed", ()
    return None, (f"the call is now `{net:f}` `{currency}`, more than ten times the `{billed:f}` that was billed",)


def _refused(reason: str) -> Rejection:
    return Rejection(reason, Refusal.CORRECTION_INVALID)


def _refusal(call: Prepared, target: _Target) -> str | None:
    """Why the call that was found cannot be corrected by this, or None."""
    record = call.record
    if target.is_correction:
        return A_CORRECTION
    if target.source != record[_COLUMN_INDEX["source"]]:
        return OTHER_SOURCE
    if target.source_id == record[_COLUMN_INDEX["source_id"]]:
        return ITSELF
    if record[_COLUMN_INDEX["amount"]] is None:
        return NO_AMOUNT if call.report.amount is None else NOT_KEPT
    if call.started_at < target.started_at:
        return EARLIER
    if target.amount is None:
        return UNPRICED
    if target.currency != record[_COLUMN_INDEX["currency"]]:
        return f"the call's amount is in `{target.currency}`: correct it in the same currency"
    return None


async def _store(connection: Connection, accepted: Sequence[tuple[Prepared, _Target]]) -> set[str]:
    """Store corrections beside their calls; the ids of those that were new."""
    if not accepted:
        return set()
    records: list[tuple[Any, ...]] = []
    for call, target in accepted:
        record = list(call.record)
        own = {"tier": target.tier, "started_at": target.started_at, "id": call.id, "corrects": None}
        for name, value in own.items():
            record[_COLUMN_INDEX[name]] = value
        records.append(tuple(record))
    await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=STAGED_COLUMNS)
    rows = await connection.fetch(
        STORE_CORRECTIONS,
        [UUID(hex=call.id) for call, _ in accepted],
        [UUID(hex=target.id) for _, target in accepted],
        [call.started_at for call, _ in accepted],
        [call.tier for call, _ in accepted],
        [UUID(hex=call.correction.key) for call, _ in accepted if call.correction is not None],
    )
    return {row["id"].hex for row in rows}
