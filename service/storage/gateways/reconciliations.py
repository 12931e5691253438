"""What comparisons with other gateways and with bills found. `service.reconcile` compares.

A comparison names days, models, amounts and ids of calls: it ends when the first of these calls is past its window, and
when an account that it is of is erased.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import asyncpg
import orjson

from service.storage.connection import Connection, Queryable, record_of
from service.storage.database import uuid_of

_COLUMNS: Final = (
    "id, source_id, name, requested_by, accounts, layout, first_day, last_day, time_zone, tolerance, made_at, by_ids, "
    "rows, calls, unread, totals, kinds, differing, failure"
)
_ADD: Final = f"""
    INSERT INTO reconciliation ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock_timestamp(), $11,
        $12, $13, $14, $15, $16, $17, $18)
"""  # noqa: S608 - names of our own
_ADD_DIFFERENCES: Final = """
    INSERT INTO reconciliation_difference (reconciliation_id, accounts, number, kind, day, model, currency, calls,
        theirs, ours, examples)
    SELECT $1::uuid, $2::jsonb, found.* FROM unnest($3::integer[], $4::text[], $5::date[], $6::text[], $7::text[],
        $8::bigint[], $9::numeric[], $10::numeric[], $11::jsonb[]) AS found
"""
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM reconciliation
    WHERE $1::timestamptz IS NULL OR (made_at, id) < ($1, $2::uuid)
    ORDER BY made_at DESC, id DESC LIMIT $3
"""  # noqa: S608
_COUNT: Final = "SELECT count(*)::integer FROM reconciliation"
_ONE: Final = f"SELECT {_COLUMNS} FROM reconciliation WHERE id = $1"  # noqa: S608
_DIFFERENCES: Final = """
    SELECT number, kind, day, model, currency, calls, theirs, ours, examples FROM reconciliation_difference
    WHERE reconciliation_id = $1 AND number > $2 AND ($3::text[] IS NULL OR kind = ANY ($3)) ORDER BY number LIMIT $4
"""
_COUNT_DIFFERENCES: Final = """
    SELECT count(*)::integer FROM reconciliation_difference
    WHERE reconciliation_id = $1 AND ($2::text[] IS NULL OR kind = ANY ($2))
"""
_LAST_OF_SOURCE: Final = """
    SELECT max(last_day) FILTER (WHERE failure IS NULL) AS compared, max(last_day) AS tried FROM reconciliation
    WHERE source_id = $1 AND requested_by = $2
"""
_FORGET: Final = "DELETE FROM reconciliation WHERE first_day <= CASE WHEN by_ids THEN $1::date ELSE $2::date END"
_FORGET_OF_ACCOUNT: Final = """
    DELETE FROM reconciliation WHERE accounts IS NULL OR accounts @> jsonb_build_array($1::integer)
"""


@dataclass(frozen=True, slots=True)
class NewReconciliation:
    """One comparison. `accounts`: whose calls were compared, None for all; `first_day` and `last_day` of `time_zone`;
    `by_ids`: single calls, not sums alone; `unread`: why rows could not be read, with their number; `totals`: by
    currency what either side comes to; `kinds`: how many calls differ, by kind; `differing`: differences, those that
    are not listed included; `failure`: why nothing could be compared.
    """

    id: UUID
    source_id: UUID | None
    name: str
    requested_by: str
    accounts: tuple[int, ...] | None
    layout: str | None
    first_day: date
    last_day: date
    time_zone: str
    tolerance: Decimal
    by_ids: bool
    rows: int
    calls: int
    unread: Mapping[str, int]
    totals: Mapping[str, tuple[str, str]]
    kinds: Mapping[str, int]
    differing: int
    failure: str | None


@dataclass(frozen=True, slots=True)
class ReconciliationRecord(NewReconciliation):
    """A stored comparison, and when it was made."""

    made_at: datetime


@dataclass(frozen=True, slots=True)
class DifferenceRecord:
    """What differs of one kind, day, model and currency, and some ids of calls."""

    number: int
    kind: str
    day: date
    model: str
    currency: str
    calls: int
    theirs: Decimal
    ours: Decimal
    examples: tuple[str, ...]


async def add_reconciliation(
    connection: Connection, new: NewReconciliation, differences: Sequence[DifferenceRecord]
) -> None:
    """Store a comparison with its differences, in a transaction of the owner's."""
    accounts = None if new.accounts is None else _json(list(new.accounts))
    said = (new.layout, new.first_day, new.last_day, new.time_zone, new.tolerance, new.by_ids, new.rows, new.calls)
    found = (_json(dict(new.unread)), _json(dict(new.totals)), _json(dict(new.kinds)), new.differing, new.failure)
    await connection.execute(_ADD, new.id, new.source_id, new.name, new.requested_by, accounts, *said, *found)
    names = ("number", "kind", "day", "model", "currency", "calls", "theirs", "ours")
    columns = [[getattr(one, name) for one in differences] for name in names]
    examples = [_json(list(one.examples)) for one in differences]
    await connection.execute(_ADD_DIFFERENCES, new.id, accounts, *columns, examples)


async def page_reconciliations(
    source: Queryable, size: int, behind: tuple[datetime, UUID] | None
) -> list[ReconciliationRecord]:
    """Comparisons that `source` may see, newest first, behind a moment and id."""
    return [_record(row) for row in await source.fetch(_PAGE, *(behind or (None, None)), size)]


async def count_reconciliations(source: Queryable) -> int:
    """How many comparisons `source` may see."""
    return await source.fetchval(_COUNT)


async def get_reconciliation(source: Queryable, id_: UUID) -> ReconciliationRecord | None:
    """One comparison, if `source` may see it."""
    row = await source.fetchrow(_ONE, id_)
    return None if row is None else _record(row)


async def page_differences(
    source: Queryable, id_: UUID, size: int, *, after: int, kinds: Sequence[str] | None
) -> list[DifferenceRecord]:
    """Differences of a comparison in their order, behind a number; of these kinds, or of all."""
    rows = await source.fetch(_DIFFERENCES, id_, after, kinds, size)
    return [
        record_of(
            DifferenceRecord,
            row,
            theirs=Decimal(row["theirs"]),
            ours=Decimal(row["ours"]),
            examples=tuple(orjson.loads(row["examples"])),
        )
        for row in rows
    ]


async def count_differences(source: Queryable, id_: UUID, kinds: Sequence[str] | None) -> int:
    """How many differences `page_differences` has in all."""
    return await source.fetchval(_COUNT_DIFFERENCES, id_, kinds)


async def last_days(owner: Queryable, source_id: UUID, requested_by: str) -> tuple[date | None, date | None]:
    """The last day of a source that was compared, and the last one that it was tried for."""
    row = await owner.fetchrow(_LAST_OF_SOURCE, source_id, requested_by)
    return (None, None) if row is None else (row["compared"], row["tried"])


async def forget_reconciliations(owner: Queryable, calls_until: date, sums_until: date) -> None:
    """Delete the comparisons of single calls whose first day is no later than the one, and of sums than the other."""
    await owner.execute(_FORGET, calls_until, sums_until)


async def forget_reconciliations_of(owner: Queryable, account_id: int) -> None:
    """Delete the comparisons that calls of an erased account were in."""
    await owner.execute(_FORGET_OF_ACCOUNT, account_id)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _record(row: asyncpg.Record) -> ReconciliationRecord:
    accounts = None if row["accounts"] is None else tuple(orjson.loads(row["accounts"]))
    totals = {currency: (theirs, ours) for currency, (theirs, ours) in orjson.loads(row["totals"]).items()}
    found = {name: orjson.loads(row[name]) for name in ("unread", "kinds")}
    source = None if row["source_id"] is None else uuid_of(row["source_id"])
    known = {"id": uuid_of(row["id"]), "source_id": source, "accounts": accounts, "totals": totals}
    found["tolerance"] = Decimal(row["tolerance"])
    return record_of(ReconciliationRecord, row, **known, **found)
