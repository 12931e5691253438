"""Holds compared with the ledger: what a row may differ in, and how a row that somebody deleted is restored.

An entry has of the model, the API key and the calls that a hold names a digest, and the names themselves under seal
with the hold's own key. So a hold that was deleted is put back as it was. Where that does not open (an entry from
before, or the keyring is away), it comes back without them and names more than it did: it keeps too much until somebody
lifts it, and never too little.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from policies.evidence import LedgerKind
from policies.evidence.recorded import RecordedHold
from service.ledger import read_record
from service.logs import get_logger
from service.retention import ledger_entries as entries
from service.retention.context import RetentionContext
from service.retention.holds.hold_condition import HoldCondition, open_condition
from service.retention.purge_runs import SYSTEM
from service.storage.connection import Connection

log = get_logger()

_ROWS: Final = "SELECT * FROM hold WHERE id = ANY ($1) FOR UPDATE"
_RESTORE: Final = """
    INSERT INTO hold (
        id, account_id, from_at, to_at, model, api_key, call_ids, classes, placed_by, expires_at, ledger_index,
        placed_at, name, owner, reason, rows
    ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    ON CONFLICT (id) DO UPDATE SET
        account_id = excluded.account_id, from_at = excluded.from_at, to_at = excluded.to_at, model = excluded.model,
        api_key = excluded.api_key, call_ids = excluded.call_ids, classes = excluded.classes,
        placed_at = excluded.placed_at, placed_by = excluded.placed_by, expires_at = excluded.expires_at,
        lifted_at = NULL, lifted_by = NULL, released_at = NULL, ledger_index = excluded.ledger_index,
        name = excluded.name, owner = excluded.owner, reason = excluded.reason
"""
# By itself: Citus inserts values into a table that every node has, and no queries.
_COPIES: Final = """
    SELECT (SELECT count(*) FROM call_held WHERE account_id = $1 AND hold_id = $2)
        + (SELECT count(*) FROM call_error_held WHERE account_id = $1 AND hold_id = $2)
"""
"""How many rows are copied for a hold."""
_NOTE: Final = "SELECT text FROM ledger_note WHERE index = $1"
_WAIT_MAX: Final = timedelta(days=1)
_UNKNOWN: Final = "put back from the ledger"


def hold_differences(known: RecordedHold, row: asyncpg.Record) -> Iterable[str]:
    """The differences between a row of `hold` and its entries, in words."""
    name, facts = f"hold `{row['id']}`", known.facts
    if known.lifted is None and row["lifted_at"] is not None:
        yield f"{name} is in force in the ledger and lifted here"
    if known.lifted is not None and row["lifted_at"] is None:
        yield f"{name} was lifted by entry {known.lifted} and is in force here"
    for column, ledgered, stored in _pairs(facts, row):
        # What a hold named goes with its other words, once it has ended.
        erased = column == "selection" and known.lifted is not None and entries.ERASED in (row["model"], row["api_key"])
        if ledgered != stored and not erased:
            yield f"{name}: {column} is `{ledgered}` in the ledger and `{stored}` here"
    if known.actor != row["placed_by"]:
        yield f"{name}: placed_by is `{known.actor}` in the ledger and another here"
    if known.lifted is not None and row["lifted_by"] not in (None, known.lifted_by):
        yield f"{name}: lifted_by is `{known.lifted_by}` in the ledger and another here"
    # The entry is written after the row's time, since placing a hold may have to wait for a purge.
    if not known.placed_at - _WAIT_MAX <= row["placed_at"] <= known.placed_at:
        yield f"{name}: placed_at is `{known.placed_at.isoformat()}` in the ledger and another here"
    note = row.get("note")
    if note is not None and note != "\n".join((row["name"], row["owner"], row["reason"] or "")):
        yield f"{name}: its name, owner or reason is not the one in the note of its entry"


def _pairs(facts: Mapping[str, Any], row: asyncpg.Record) -> Iterable[tuple[str, object, object]]:
    yield "account", facts["account"], row["account_id"]
    yield "classes", ",".join(facts["classes"]), ",".join(map(str, _classes(row["classes"])))
    for column, name in (("from_at", "from"), ("to_at", "to"), ("expires_at", "expires")):
        yield column, facts[name], row[column] and row[column].isoformat()
    yield "selection", facts["selection"], entries.text_digest(row["model"], row["api_key"])
    ids = row["call_ids"]
    calls = None if ids is None else {"count": len(ids), "digest": entries.ids_digest(list(ids))}
    yield "calls", facts["calls"], calls


def _classes(text: str) -> list[object]:
    found = json.loads(text)
    return found if isinstance(found, list) else [found]


async def restore_holds(context: RetentionContext, connection: Connection) -> list[str]:
    """Restore every hold that is in force in the ledger, and missing or different in the table. Returns descriptions.

    It uses the transaction of `connection`, which has the lock of holds: nothing is destroyed before it has ended.
    """
    active = {
        UUID(name): hold for name, hold in (await read_record(context.ledger)).holds.items() if hold.lifted is None
    }
    rows = {row["id"]: row for row in await connection.fetch(_ROWS, list(active))}
    done = []
    for id_, known in active.items():
        row = rows.get(id_)
        if row is not None and _keeps_enough(known, row):
            continue
        named = await open_condition(context.keyring, id_, known.facts)
        note = await connection.fetchval(_NOTE, known.index)
        copies = await connection.fetchval(_COPIES, known.facts["account"], id_)
        await connection.execute(_RESTORE, *_values(id_, known, row, named), *_words(note, row), copies)
        facts = {"hold": str(id_), "entry": known.index}
        await context.ledger.append(LedgerKind.HOLD_RESTORED, facts, actor=SYSTEM, connection=connection)
        done.append(f"hold `{id_}` was put back as entry {known.index} of the ledger has it")
        log.error("a hold was not what the ledger says, and was put back", hold=str(id_), entry=known.index)
    return done


def _keeps_enough(known: RecordedHold, row: asyncpg.Record) -> bool:
    """Whether a row keeps all that its entry names; it may name more, as a restored hold does."""
    open_ended = {"selection": row["model"] is None and row["api_key"] is None, "calls": row["call_ids"] is None}
    keeps = all(
        ledgered == stored or open_ended.get(column, False) for column, ledgered, stored in _pairs(known.facts, row)
    )
    return keeps and row["lifted_at"] is None


def _values(
    id_: UUID, known: RecordedHold, row: asyncpg.Record | None, named: HoldCondition | None
) -> tuple[object, ...]:
    """What is known of a hold, but for its words. What neither the entry nor, by the entry's digest, the row knows is
    open."""
    facts = known.facts
    if named is None:
        same = {column for column, ledgered, stored in _pairs(facts, row) if ledgered == stored} if row else set()
        named = HoldCondition(
            row["model"] if row and "selection" in same else None,
            row["api_key"] if row and "selection" in same else None,
            row["call_ids"] if row and "calls" in same else None,
        )
    return (
        id_,
        facts["account"],
        _moment(facts["from"]),
        _moment(facts["to"]),
        named.model,
        named.api_key,
        None if named.call_ids is None else list(named.call_ids),
        json.dumps(facts["classes"]),
        known.actor,
        _moment(facts["expires"]),
        known.index,
        known.placed_at,
    )


def _words(note: str | None, row: asyncpg.Record | None) -> tuple[str, str, str | None]:
    """Name, owner and reason: those of the note of its entry, else those of the row."""
    if note is not None:
        name, owner, reason = [*note.split("\n", 2), "", ""][:3]
        return name, owner, reason or None
    return (row["name"], row["owner"], row["reason"]) if row else (_UNKNOWN, _UNKNOWN, None)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
