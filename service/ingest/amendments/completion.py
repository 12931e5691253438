"""What a second report of a stored call is: a duplicate, a conflict, or what completes it.

A report completes a call when it says what was unknown and contradicts nothing that is known: tokens, times, names,
more tags and units, an amount where there was none, or an estimate of ours, and the parts of an amount. What a stored
call cannot take up any more is counted, and said in the answer. It is decided on the locked row, so that two reports of
one call complete it one after the other, in the order of their commits.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from service.ingest.amendments.correction import Corrected, corrected_before
from service.ingest.amendments.own_correction import OwnCorrection, store_own_corrections
from service.ingest.formats.content import count_dropped
from service.ingest.formats.split import Rejection
from service.ingest.preparation.preparation import Prepared
from service.ingest.results import Status
from service.storage.citus.locks import Lock, fetch_locked
from service.storage.connection import Connection
from service.storage.sources import AMOUNT_SOURCE_NUMBERS
from service.storage.statements.complete import (
    AMOUNT,
    AMOUNT_OPEN,
    COMPLETE,
    FILLED,
    LOCK_STORED,
    MERGED,
    PARTS_OPEN,
    STORED_DIGESTS,
    UNFILLED,
)
from service.storage.statements.correct import INHERITED
from service.storage.statements.write import STAGED_COLUMNS, STAGED_TABLE

_ESTIMATED: Final = AMOUNT_SOURCE_NUMBERS["ESTIMATED"]
_COLUMN_INDEX: Final = {name: index for index, name in enumerate(STAGED_COLUMNS)}
_FILLED_INDEXES: Final = tuple(_COLUMN_INDEX[name] for name in FILLED)
_UNFILLED_INDEXES: Final = tuple(_COLUMN_INDEX[name] for name in UNFILLED)
_MERGED_INDEXES: Final = {name: _COLUMN_INDEX[name] for name in MERGED}
_AMOUNT_INDEX, _SOURCE_INDEX = _COLUMN_INDEX["amount"], _COLUMN_INDEX["amount_source"]
_PARTS_INDEX: Final = _COLUMN_INDEX["amount_parts"]
# Whose the poll of a bill is says nothing of the bill.
_OF_POLL: Final = frozenset({"attempt", "team", "organization", "team_id", "organization_id", "tags"})
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


class Judgement(NamedTuple):
    """What the report is, and what of the stored call changes by it. `left_out`: columns of which the report says more
    than the call may take up. `taken_back`: corrections of an estimate that is none any more.
    """

    status: Status
    changes: dict[str, Any]
    left_out: tuple[str, ...] = ()
    taken_back: Corrected | None = None


async def stored_digests(connection: Connection, known: Sequence[Prepared]) -> dict[int, asyncpg.Record]:
    """The stored digests of `known`, by position, and which columns are still empty."""
    return await _by_tier(connection, STORED_DIGESTS, known)


def may_complete(call: Prepared, stored: asyncpg.Record) -> bool:
    """Whether the report may say more than the stored call, or something else: the row has to be looked at."""
    if call.digest != stored["digest"] and call.digest not in (stored["digests"] or ()):
        return True
    if _filled(call) & stored["open"]:
        return True
    return any(_has_more(stored[name], call.record[index]) for name, index in _MERGED_INDEXES.items())


def outcome_behind(leader: Prepared, follower: Prepared) -> Status | None:
    """The outcome of a report right behind another of the same call; None: the stored row has to be asked."""
    if isinstance(leader.outcome, Rejection):
        return None
    if leader.digest == follower.digest and _filled(leader) == _filled(follower) and _names(leader) == _names(follower):
        return Status.CONFLICT if leader.outcome is Status.CONFLICT else Status.DUPLICATE
    if leader.outcome is not Status.CONFLICT and _kind(leader) != _kind(follower):
        return Status.CONFLICT
    return None


def _kind(call: Prepared) -> tuple[bool, str]:
    """What no later report may change: how the call ended, and its model."""
    return call.record[_COLUMN_INDEX["failed"]], call.record[_COLUMN_INDEX["model"]]


def _filled(call: Prepared) -> int:
    """A bit for each of FILLED that the report has, and AMOUNT_OPEN if it has an amount that is not our estimate."""
    record = call.record
    bits = sum(1 << bit for bit, position in enumerate(_FILLED_INDEXES) if record[position] is not None)
    if record[_AMOUNT_INDEX] is not None and record[_SOURCE_INDEX] != _ESTIMATED:
        bits |= AMOUNT_OPEN if record[_PARTS_INDEX] is None else AMOUNT_OPEN | PARTS_OPEN
    for bit, position in enumerate(_UNFILLED_INDEXES, 1):
        if record[position] is not None and not call.report.billed_once:
            bits |= PARTS_OPEN << bit
    return bits


def _names(call: Prepared) -> list[set[str]]:
    """Which tags and units the report names."""
    return [set(orjson.loads(call.record[index] or "{}")) for index in _MERGED_INDEXES.values()]


def _added(column: str, stored: str | None, new: str | None) -> str | None:
    """The stored object with names that only the new one has, up to the column's limit; None when none are added."""
    if stored is None or new is None:
        return None
    known = orjson.loads(stored)
    more = [item for item in orjson.loads(new).items() if item[0] not in known][: max(0, MERGED[column] - len(known))]
    return orjson.dumps(known | dict(more)).decode() if more else None


def _has_more(stored: str | None, new: str | None) -> bool:
    """Whether the new object has names that the stored one has not."""
    return stored is not None and new is not None and bool(orjson.loads(new).keys() - orjson.loads(stored).keys())


async def complete(connection: Connection, calls: Sequence[Prepared]) -> None:
    """Give each of `calls`, which are stored and have different keys, its outcome, in one transaction.

    A call that is gone meanwhile was there a moment ago: its report is a duplicate.
    """
    async with connection.transaction():
        stored = await _by_tier(connection, LOCK_STORED, calls)
        judgements = [
            judge(stored[position], call) if position in stored else Judgement(Status.DUPLICATE, {})
            for position, call in enumerate(calls)
        ]
        await _mind_corrections(connection, calls, stored, judgements)
        for call, judgement in zip(calls, judgements, strict=True):
            _warn(call, judgement.left_out)
        changed = [position for position, judgement in enumerate(judgements) if judgement.changes]
        records = [_merged(stored[position], calls[position], judgements[position].changes) for position in changed]
        if records:
            await connection.copy_records_to_table(STAGED_TABLE, records=records, columns=STAGED_COLUMNS)
        for tier in sorted({calls[position].tier for position in changed}):
            moments = [calls[position].started_at for position in changed if calls[position].tier == tier]
            await connection.execute(COMPLETE, tier, min(moments), max(moments))
        await store_own_corrections(connection, _taken_back(calls, stored, judgements))
    for call, judgement in zip(calls, judgements, strict=True):
        call.outcome = judgement.status


def _warn(call: Prepared, left_out: Sequence[str]) -> None:
    """Count what a stored call cannot take up any more, and say so in the answer."""
    for field in dict.fromkeys(UNFILLED.get(name, name) for name in left_out):
        stored = "takes up no more of them" if field in MERGED else "is stored without"
        call.warnings += (f"`{field}` came later than its call, which {stored}: left out",)
        count_dropped(call.report, field)


async def _mind_corrections(
    connection: Connection,
    calls: Sequence[Prepared],
    stored: Mapping[int, asyncpg.Record],
    judgements: list[Judgement],
) -> None:
    """Where a call was corrected, keep what its corrections inherited from it, and let no amount take the place of an
    estimate of which they took back more, or in another currency.
    """
    for tier in sorted({call.tier for call in calls}):
        positions = [
            position for position, call in enumerate(calls) if call.tier == tier and judgements[position].changes
        ]
        some = [calls[position] for position in positions]
        if not some:
            continue
        found = await corrected_before(
            connection,
            tier,
            [call.account_id for call in some],
            [call.started_at for call in some],
            [call.id for call in some],
        )
        for position in positions:
            if calls[position].id in found:
                judgements[position] = _with_corrections(
                    judgements[position], stored[position], found[calls[position].id]
                )


def _with_corrections(judgement: Judgement, stored: asyncpg.Record, corrected: Corrected) -> Judgement:
    changes = {name: value for name, value in judgement.changes.items() if name not in INHERITED}
    left_out = (*judgement.left_out, *(name for name in judgement.changes if name in INHERITED))
    taken_back = None
    if "amount" in changes:
        # A call without an amount has no corrections: this one has an estimate, and what put it right goes with it.
        left = Decimal(changes["amount"]) + corrected.amount - corrected.own_amount
        if left < 0 or changes["currency"] != stored["currency"]:
            return Judgement(Status.CONFLICT, {})
        taken_back = corrected if corrected.own_amount else None
    return Judgement(Status.COMPLETED if changes else Status.DUPLICATE, changes, left_out, taken_back)


def _taken_back(
    calls: Sequence[Prepared], stored: Mapping[int, asyncpg.Record], judgements: Sequence[Judgement]
) -> list[OwnCorrection]:
    """What undoes the corrections of estimates in whose place reported amounts come."""
    return [
        OwnCorrection(
            call.account_id,
            call.tier,
            call.started_at,
            call.id,
            call.record[_COLUMN_INDEX["source"]],
            -judgement.taken_back.own_amount,
            stored[position]["currency"],
            judgement.taken_back.own + 1,
            None,
        )
        for position, (call, judgement) in enumerate(zip(calls, judgements, strict=True))
        if judgement.taken_back is not None
    ]


async def _by_tier(
    connection: Connection, statement: str | Lock, calls: Sequence[Prepared]
) -> dict[int, asyncpg.Record]:
    """Stored rows by position in `calls`; one statement per tier."""
    found: dict[int, asyncpg.Record] = {}
    for tier in sorted({call.tier for call in calls}):
        of_tier = [(position, call) for position, call in enumerate(calls) if call.tier == tier]
        moments = [call.started_at for _, call in of_tier]
        positions, accounts = [position for position, _ in of_tier], [call.account_id for _, call in of_tier]
        ids = [call.id for _, call in of_tier]
        values = (positions, accounts, moments, ids, tier, min(moments), max(moments))
        if isinstance(statement, Lock):
            rows = await fetch_locked(connection, statement, accounts, *values)
        else:
            rows = await connection.fetch(statement, *values)
        found |= {row["position"]: row for row in rows}
    return found


def judge(stored: asyncpg.Record, call: Prepared) -> Judgement:
    """What `call` is to the row that is stored under its key: pure."""
    new: dict[str, Any] = dict(zip(STAGED_COLUMNS, call.record, strict=True))
    known = call.digest == stored["digest"] or call.digest in (stored["digests"] or ())
    if not known and (_contradicts(stored, new) or _withholds(call, new)):
        return Judgement(Status.CONFLICT, {})
    changes = {name: new[name] for name in FILLED if new[name] is not None and stored[name] is None}
    changes |= {name: both for name in MERGED if (both := _added(name, stored[name], new[name])) is not None}
    full = [name for name in MERGED if _has_more(changes.get(name, stored[name]), new[name])]
    if call.report.billed_once:
        full = [name for name in full if name not in _OF_POLL]
        changes = {name: value for name, value in changes.items() if name not in _OF_POLL}
    if not _fit({**{name: stored[name] for name in _TOKENS}, **changes}):
        return Judgement(Status.DUPLICATE if known else Status.CONFLICT, {})
    if _has_better_amount(stored, new, changes):
        changes |= {name: new[name] for name in AMOUNT}
    elif _has_parts(stored, new):
        changes["amount_parts"] = new["amount_parts"]
    unfilled = () if call.report.billed_once else UNFILLED
    left_out = (*full, *(name for name in unfilled if new[name] is not None and stored[name] is None))
    return Judgement(Status.COMPLETED if changes else Status.DUPLICATE, changes, left_out)


def _contradicts(stored: asyncpg.Record, new: Mapping[str, Any]) -> bool:
    if (stored["failed"], stored["model"]) != (new["failed"], new["model"]):
        return True
    if any(None not in (stored[name], new[name]) and stored[name] != new[name] for name in _TOKENS[:2]):
        return True
    if (
        stored["amount"] is None
        or new["amount"] is None
        or _ESTIMATED in (stored["amount_source"], new["amount_source"])
    ):
        return False
    return (f"{stored['amount'].normalize():f}", stored["currency"]) != (_plain(new["amount"]), new["currency"])


def _withholds(call: Prepared, new: Mapping[str, Any]) -> bool:
    """Whether the policy keeps something out of the row that the digest covers: then a change cannot be told from a new
    value.
    """
    report = call.report
    reported = report.amount is not None and report.amount_source != "ESTIMATED"
    return (
        (reported and new["amount"] is None)
        or (report.input_tokens is not None and new["input_tokens"] is None)
        or (report.output_tokens is not None and new["output_tokens"] is None)
    )


def _fit(tokens: Mapping[str, int | None]) -> bool:
    """Whether the parts of the tokens do not exceed their total, where that is known."""
    cached = (tokens["cache_read_tokens"] or 0) + (tokens["cache_write_tokens"] or 0)
    if tokens["input_tokens"] is not None and cached > tokens["input_tokens"]:
        return False
    return tokens["output_tokens"] is None or (tokens["reasoning_tokens"] or 0) <= tokens["output_tokens"]


def _has_better_amount(stored: asyncpg.Record, new: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """A reported amount takes the place of none and of an estimate; an estimate only that of one from fewer tokens."""
    if new["amount"] is None or (stored["amount"] is not None and stored["amount_source"] != _ESTIMATED):
        return False
    if new["amount_source"] != _ESTIMATED:
        return True
    rests_on_all = all(new[name] is not None for name in _TOKENS if stored[name] is not None)
    return rests_on_all and any(name in changes for name in _TOKENS)


def _has_parts(stored: asyncpg.Record, new: Mapping[str, Any]) -> bool:
    """Whether the report has the parts of the very amount that is stored without any."""
    if new["amount_parts"] is None or new["amount"] is None or stored["amount"] is None or stored["amount_parts"]:
        return False
    if _ESTIMATED in (stored["amount_source"], new["amount_source"]):
        return False
    return (f"{stored['amount'].normalize():f}", stored["currency"]) == (_plain(new["amount"]), new["currency"])


def _plain(amount: str) -> str:
    return amount.rstrip("0").rstrip(".") if "." in amount else amount


def _merged(stored: asyncpg.Record, call: Prepared, changes: dict[str, Any]) -> tuple[Any, ...]:
    """The staged row that completes the call: of what may change, the stored values with the changes."""
    new: dict[str, Any] = dict(zip(STAGED_COLUMNS, call.record, strict=True))
    new |= {name: stored[name] for name in (*FILLED, *AMOUNT)} | changes
    known = call.digest in (stored["digests"] or ())
    new["amount"] = None if new["amount"] is None else str(new["amount"])
    new["digest"] = stored["digest"] if known else call.digest
    return tuple(new[name] for name in STAGED_COLUMNS)
