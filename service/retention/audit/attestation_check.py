"""Stored statements of retention compared with the ledger, which has the digest of each."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from policies.evidence.record import Record
from policies.evidence.recorded import RecordedAttestation
from service.storage.control.attestations import KEPT

ATTESTATIONS: Final = """
    SELECT id, state, requested_by, requested_at, days, is_full, ledger_index,
        'sha256:' || encode(sha256(statement), 'hex') AS digest, clock.now
    FROM (SELECT clock_timestamp() AS now) AS clock LEFT JOIN attestation ON true ORDER BY requested_at, id
"""
"""All stored statements by their digests, to be held against the ledger."""
_FORGOTTEN_EARLIER: Final = timedelta(days=1)
_WAIT_MAX: Final = timedelta(days=1)
"""An entry waits for the ledger before it is written, and a clock may be set between a row's time and its entry's."""

_EXTENTS: Final = ("of what has changed", "of everything")


def attestations(record: Record, rows: Sequence[asyncpg.Record]) -> Iterable[str]:
    """The differences between the table `attestation` and the ledger, in words."""
    here = {str(row["id"]): row for row in rows if row["id"] is not None}
    for id_, row in here.items():
        known = record.attestations.get(id_)
        if known is None:
            yield f"statement `{id_}` is in no entry of the ledger"
        else:
            yield from _statement_differences(record, f"statement `{id_}`", known, row)
    now = rows[0]["now"]  # there is one row even without a statement
    for id_, known in record.attestations.items():
        if id_ not in here and _is_kept(record, known, now):
            yield f"statement `{id_}` is in entry {known.index} of the ledger and not here"


def _statement_differences(record: Record, name: str, known: RecordedAttestation, row: asyncpg.Record) -> Iterable[str]:
    if (known.actor, known.days) != (row["requested_by"], row["days"]):
        yield f"{name} was asked for by another key or for other days by entry {known.index} of the ledger"
    if known.full != row["is_full"]:
        ledgered, stored = _EXTENTS[known.full], _EXTENTS[row["is_full"]]
        yield f"{name} is {ledgered} by entry {known.index} of the ledger, and {stored} here"
    if abs(known.requested_at - row["requested_at"]) > _WAIT_MAX:
        yield f"{name} was asked for at another time by entry {known.index} of the ledger"
    if known.made is None:
        if row["state"] == "DONE":
            yield f"{name} was made by no entry of the ledger"
    elif row["state"] != "DONE" or row["digest"] is None:
        if not record.was_replayed(known.made):
            yield f"{name} was made by entry {known.made} of the ledger and is not here"
    elif row["ledger_index"] != known.made:
        yield f"{name} is entry {known.made} of the ledger, and leads to another one here"
    elif row["digest"] != known.digest:
        yield f"{name} is not the one of entry {known.made} of the ledger: it was altered"


def _is_kept(record: Record, known: RecordedAttestation, now: datetime) -> bool:
    """Whether it has to be here: not so what is past its time, and what an older database that was restored lacked."""
    if known.requested_at <= now - KEPT + _FORGOTTEN_EARLIER or known.requested_at > now:
        return False
    return not record.was_replayed(known.index)
