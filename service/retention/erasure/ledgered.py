"""Erasures as the ledger has them: what a row may not take back while one is carried out."""

from typing import Final
from uuid import UUID

from policies.evidence import LedgerKind
from policies.evidence.recorded import RecordedErasure
from service.ledger import read_record
from service.retention.context import RetentionContext
from service.storage.connection import Queryable

_UNRELEASED: Final = "SELECT id FROM hold WHERE id = ANY ($1::uuid[]) AND released_at IS NULL"
"""Which of these holds have their copies still."""
_KINDS: Final = (LedgerKind.ERASURE_INTENT, LedgerKind.ERASURE_RESTRICTED, LedgerKind.ERASURE_RESULT)


async def known_erasures(context: RetentionContext) -> dict[str, RecordedErasure]:
    """All erasures by the ledger's entries, by their id."""
    return (await read_record(context.ledger, kinds=_KINDS)).erasures


async def still_blocking(source: Queryable, known: RecordedErasure | None) -> set[UUID]:
    """The holds that restrict the erasure by its entry, and still have their copies."""
    if known is None or not known.holds:
        return set()
    rows = await source.fetch(_UNRELEASED, [UUID(hold) for hold in known.holds])
    return {row["id"] for row in rows}
