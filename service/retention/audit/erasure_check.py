"""Erasures compared with the ledger: what a row says of the person's periods, the holds that block it, and its end."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

import asyncpg

from policies.evidence import moment
from policies.evidence.record import Record
from policies.evidence.recorded import RecordedErasure

ERASURES: Final = """
    SELECT id, kind, account_id, tokens, requested_by, requested_at, finished_at, rows, blocked_by, unreadable_at,
           restricted_at, EXISTS (
               SELECT 1 FROM hold WHERE hold.account_id = erasure.account_id AND released_at IS NULL
                   AND expires_at <= clock_timestamp()
           ) AS hold_expired
    FROM erasure ORDER BY requested_at, id
"""
"""All erasures, to be held against the ledger."""
_EARLIER_MAX: Final = timedelta(days=1)
_SWEPT_MAX: Final = timedelta(days=3)
"""An account's erasure is repeated for two days, and with it the time from which no backup can be read is later."""


def erasure_differences(record: Record, name: str, known: RecordedErasure, row: asyncpg.Record) -> Iterable[str]:
    """The differences between a row of `erasure` and its entries, in words."""
    if (known.rows is None) != (row["finished_at"] is None):
        yield f"{name} is {_done(known.rows)} in the ledger and {_done(row['finished_at'])} here"
    elif known.rows is not None and not _counted(known, row):
        yield f"{name}: rows is `{known.rows}` in the ledger and `{row['rows']}` here"
    yield from _restriction(record, name, known, row)
    if row["finished_at"] is None and known.periods is not None and known.kind == "USER":
        here = len(json.loads(row["tokens"] or "[]"))
        if here != known.periods:
            yield f"{name}: the person has {known.periods} pseudonyms in the ledger and {here} here"
    if known.unreadable_at is not None and not _unreadable_then(known, row):
        here = row["unreadable_at"] and moment(row["unreadable_at"])
        yield f"{name}: unreadable_at is `{known.unreadable_at}` in the ledger and `{here}` here"


def _restriction(record: Record, name: str, known: RecordedErasure, row: asyncpg.Record) -> Iterable[str]:
    """Whether holds restrict it since the same moment, and the same ones."""
    since, until = row["restricted_at"], known.restricted_at
    # The entry is written right after the row's time was taken.
    if (since is None) != (until is None) or (since and until and not until - _EARLIER_MAX <= since <= until):
        yield f"{name}: restricted_at is `{until and moment(until)}` in the ledger and `{since and moment(since)}` here"
    blocking: Sequence[str] = json.loads(row["blocked_by"])
    if row["finished_at"] is not None:
        missing, odd = [], blocking
    else:
        in_force = {hold for hold, one in record.holds.items() if one.lifted is None}
        # A hold that has expired may be released at any moment, before its entry is written.
        missing = [] if row["hold_expired"] else sorted(in_force & set(known.holds or ()) - set(blocking))
        odd = sorted(set(blocking) - record.holds.keys())
    if missing:
        yield f"{name} is blocked by hold `{missing[0]}` in the ledger and not here"
    if odd:
        yield f"{name} is blocked by hold `{odd[0]}` here, and by none in the ledger"


def _counted(known: RecordedErasure, row: asyncpg.Record) -> bool:
    """Whether the rows agree. An account is erased again after its end: then more rows may be gone than its
    entry says.
    """
    return row["rows"] == known.rows or (known.kind == "ACCOUNT" and row["rows"] > (known.rows or 0))


def _unreadable_then(known: RecordedErasure, row: asyncpg.Record) -> bool:
    here, there = row["unreadable_at"], known.unreadable_at
    if here is None or there is None:
        return False
    later = here - type(here).fromisoformat(there)
    return not later or (known.kind == "ACCOUNT" and timedelta(0) < later <= _SWEPT_MAX)


def _done(value: object) -> str:
    return "not done" if value is None else "done"
