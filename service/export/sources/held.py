"""The copies that a legal hold keeps, for the owner of its case: the one way out for them.

A row is a JSON object with GraphQL's names. Calls first, then errors, each oldest first, all as of one moment. What
rules found in an error's text stays `[redacted:rule]` unless it is revealed, for a reason, into the ledger.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import orjson

from policies import pseudonym
from policies.admission.segments import ErrorDetails, Segments, masked, revealed
from policies.evidence import moment
from service.export.files.ndjson import ndjson
from service.ledger import LedgerKind
from service.query.filters.to_sql import fingerprint_text
from service.query.scan.user_tokens import period_label
from service.retention.errors import HoldError
from service.retention.holds.escrow import open_held
from service.retention.holds.held_copies import count_copies, held_calls, held_errors
from service.retention.holds.holds import StoredHold
from service.runtime.runtime import Runtime
from service.storage.connection import Connection
from service.storage.ids import encode_call_id, encode_error_id
from service.storage.sources import AMOUNT_SOURCE_NAMES, AMOUNT_UNKNOWN_NAMES, SOURCE_NAMES

REASON_CHARS_MAX: Final = 500
_CALL_COLUMNS: Final = (
    *("source_id", "started_at", "model", "served_model", "provider", "operation", "api_key", "streamed"),
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("latency_ms", "time_to_first_token_ms", "error_type", "error_code", "trace_id", "session_id", "attempt"),
    "parent_span_id",
    *(
        "cache_hit",
        "deployment",
        "team",
        "team_id",
        "organization",
        "organization_id",
        "normalized_error",
        "provider_request_id",
    ),
)
_ERROR_COLUMNS: Final = ("occurred_at", "started_at", "model", "provider", "api_key")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class HeldRows:
    """The copies of one hold: how many, and their lines."""

    calls: int
    errors: int
    lines: AsyncIterator[bytes]


async def held_rows(
    runtime: Runtime, connection: Connection, hold: StoredHold, *, reveal: bool, reason: str | None, actor: str
) -> HeldRows:
    """The copies that `hold` keeps, after the ledger has an entry EXPORTED with the hold and the number of rows.

    `connection` has a transaction of one snapshot, in which the lines are read. Raises HoldError for a hold that keeps
    nothing any more, and for a revealing without a reason.
    """
    if hold.lifted_at is not None:
        raise HoldError("the hold was lifted: what was kept for it is gone")
    note = None if reason is None else " ".join(reason.split())
    if reveal and note is None:
        raise HoldError("revealing what is sealed needs a reason")
    if note is not None and not (0 < len(note) <= REASON_CHARS_MAX and note.isprintable()):
        raise HoldError(f"a reason is 1 to {REASON_CHARS_MAX} printable characters")
    calls, errors = await count_copies(connection, hold)
    facts = {
        "hold": str(hold.id),
        "account": hold.account_id,
        "calls": calls,
        "errors": errors,
        "revealed": reveal,
    }
    await runtime.ledger.append(LedgerKind.EXPORTED, facts, actor=actor, note=note)
    return HeldRows(calls, errors, _lines(runtime, connection, hold, revealed if reveal else masked))


async def _lines(
    runtime: Runtime, connection: Connection, hold: StoredHold, text: Callable[[Segments], str]
) -> AsyncIterator[bytes]:
    account = await runtime.accounts.name(hold.account_id)

    def user(row: asyncpg.Record) -> str | None:
        """The person's pseudonym for the period of the call, or None."""
        token = row["user_token"]
        return (
            None if token is None else pseudonym.outward(token, period_label(runtime.applied.policy, row["started_at"]))
        )

    async for row in held_calls(connection, hold):
        yield ndjson({"type": "Call", "account": account, "user": user(row), **_call(row)})
    async for row in held_errors(connection, hold):
        details = await open_held(runtime.keyring, row)
        yield ndjson({"type": "CallError", "account": account, "user": user(row), **_error(row, details, text)})


def _call(row: asyncpg.Record) -> dict[str, Any]:
    parts = None if row["amount_parts"] is None else orjson.loads(row["amount_parts"])
    return {
        "id": encode_call_id(row["account_id"], row["id"]),
        "source": SOURCE_NAMES.get(row["source"], "unknown"),
        "status": "FAILED" if row["failed"] else "SUCCEEDED",
        **_named(row, _CALL_COLUMNS),
        "amount": _amount(row),
        "amountUnknown": AMOUNT_UNKNOWN_NAMES.get(row["amount_unknown"]),
        "amountParts": None if parts is None else [{_camel(name): part[name] for name in part} for part in parts],
        "tags": None if row["tags"] is None else orjson.loads(row["tags"]),
        "corrects": _corrected(row),
        "correctedAt": None if row["corrected_at"] is None else moment(row["corrected_at"]),
        "units": None if row["units"] is None else orjson.loads(row["units"]),
    }


def _corrected(row: asyncpg.Record) -> str | None:
    """The id of the call that the row corrects; of rows before corrections were bound to calls, as it was reported."""
    if row["correction_of"] is None:
        return _plain(row["corrects"])
    return encode_call_id(row["account_id"], row["correction_of"])


def _error(row: asyncpg.Record, details: ErrorDetails | None, text: Callable[[Segments], str]) -> dict[str, Any]:
    return {
        "id": encode_error_id(row["account_id"], row["id"], row["occurred_at"]),
        "call": encode_call_id(row["account_id"], row["id"]),
        "errorType": row["error_type"],
        "errorCode": row["error_code"],
        "fingerprint": fingerprint_text(row["fingerprint"]),
        **_named(row, _ERROR_COLUMNS),
        "redactions": dict(zip(row["rules"], row["rule_counts"], strict=True)),
        "message": None if details is None or details.message is None else text(details.message),
        "parameters": None if details is None else _parameters(details, text),
    }


def _parameters(details: ErrorDetails, text: Callable[[Segments], str]) -> Mapping[str, Any]:
    """By name: canonical JSON of the value, as text, and what the policy did to it."""
    return {
        name: {"value": None if one.value is None else text(one.value), "action": one.action.value}
        for name, one in details.parameters.items()
    }


def _amount(row: asyncpg.Record) -> dict[str, Any] | None:
    if row["amount"] is None:
        return None
    source = AMOUNT_SOURCE_NAMES.get(row["amount_source"])
    return {"amount": _plain(row["amount"]), "currency": row["currency"], "source": source}


def _named(row: asyncpg.Record, columns: tuple[str, ...]) -> dict[str, Any]:
    return {_camel(name): _plain(row[name]) for name in columns}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def _plain(value: _Value) -> _Value | str:
    match value:
        case datetime():
            return moment(value)
        case Decimal():
            return format(value, "f")
        case UUID():
            return str(value)
    return value
