"""What happened that webhooks may be sent, read from where it is recorded: so nothing is lost with a process."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from service.storage.connection import Queryable
from service.storage.database import uuid_of
from service.storage.ids import public_id

_AT_ONCE: Final = 500
_PURGES: Final = """
    SELECT id, state, finished_at, rows_dropped, rows_held_back, keys_destroyed, ledger_index FROM purge_run
    WHERE state IN ('DONE', 'FAILED') AND finished_at >= $1 ORDER BY finished_at LIMIT $2
"""
_EXPORTS: Final = """
    SELECT id, kind, rows, bytes, sha256, ended_at, expires_at, schedule, period_start FROM export
    WHERE state = 'READY' AND ended_at >= $1 AND requested_by = $3
        AND ($4::jsonb IS NULL OR (accounts IS NOT NULL AND accounts <@ $4::jsonb))
    ORDER BY ended_at LIMIT $2
"""
_POLICIES: Final = """
    SELECT version, name, digest, applied_at FROM policy_version WHERE applied_at >= $1 ORDER BY version LIMIT $2
"""

_RECONCILIATIONS: Final = """
    SELECT id, name, requested_by, first_day, last_day, differing, kinds, made_at, failure FROM reconciliation
    WHERE made_at >= $1 AND ($3::jsonb IS NULL OR (accounts IS NOT NULL AND accounts <@ $3::jsonb))
    ORDER BY made_at LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """Something that happened once. `subject` tells it from everything else; `facts`: ids, counts and digests."""

    subject: str
    facts: Mapping[str, Any]


async def finished_purges(source: Queryable, since: datetime) -> list[RecordedEvent]:
    """Purges that have ended since a moment."""
    rows = await source.fetch(_PURGES, since, _AT_ONCE)
    counted = {"rowsHeldBack": "rows_held_back", "keysDestroyed": "keys_destroyed", "ledgerIndex": "ledger_index"}
    counted |= {"rows": "rows_dropped"}
    return [
        RecordedEvent(
            f"purge:{row['id']}",
            {
                "id": public_id("purge", uuid_of(row["id"])),
                "state": row["state"],
                "finishedAt": row["finished_at"].isoformat(),
            }
            | {outward: row[name] for outward, name in counted.items()},
        )
        for row in rows
    ]


async def ready_exports(
    source: Queryable, since: datetime, requested_by: str, accounts: tuple[int, ...] | None
) -> list[RecordedEvent]:
    """Exports of a key, of these accounts alone, that have become ready since a moment."""
    within = None if accounts is None else orjson.dumps(list(accounts)).decode()
    return [
        RecordedEvent(
            f"export:{row['id']}",
            {
                "id": public_id("exp", uuid_of(row["id"])),
                "kind": row["kind"],
                "rows": row["rows"],
                "bytes": row["bytes"],
                "sha256": row["sha256"],
                "expiresAt": row["expires_at"].isoformat(),
                "schedule": row["schedule"] and public_id("sched", uuid_of(row["schedule"])),
                "periodStart": row["period_start"] and row["period_start"].isoformat(),
            },
        )
        for row in await source.fetch(_EXPORTS, since, _AT_ONCE, requested_by, within)
    ]


async def applied_policies(source: Queryable, since: datetime) -> list[RecordedEvent]:
    """Policies that were put in force since a moment."""
    return [
        RecordedEvent(
            f"policy:{row['version']}",
            {
                "version": row["version"],
                "name": row["name"],
                "digest": row["digest"],
                "appliedAt": row["applied_at"].isoformat(),
            },
        )
        for row in await source.fetch(_POLICIES, since, _AT_ONCE)
    ]


async def finished_reconciliations(
    source: Queryable, since: datetime, accounts: tuple[int, ...] | None
) -> list[RecordedEvent]:
    """Comparisons of these accounts alone (None: of any) that were made since a moment."""
    within = None if accounts is None else orjson.dumps(list(accounts)).decode()
    return [
        RecordedEvent(
            f"reconciliation:{row['id']}",
            {
                "id": public_id("recon", uuid_of(row["id"])),
                "name": row["name"],
                "requestedBy": row["requested_by"],
                "firstDay": row["first_day"].isoformat(),
                "lastDay": row["last_day"].isoformat(),
                "differing": row["differing"],
                "kinds": orjson.loads(row["kinds"]),
                "madeAt": row["made_at"].isoformat(),
                "failure": row["failure"],
            },
        )
        for row in await source.fetch(_RECONCILIATIONS, since, _AT_ONCE, within)
    ]
