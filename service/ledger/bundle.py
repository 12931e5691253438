"""Writing a bundle of evidence: the entries from one on to a signed checkpoint that covers them.

First the bundle is recorded (`record_evidence`), in the caller's transaction. Its lines can then be written at any
time, by any process, and are about the same entries: later entries are not in it.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from policies.evidence import BundleWriter, LedgerKind, moment
from service.ledger.checkpoints import Checkpoints
from service.ledger.errors import LedgerRangeError, LedgerSignerError
from service.ledger.signed_checkpoint import SignedCheckpoint
from service.ledger.store import Ledger, Selection
from service.storage.connection import Connection
from service.storage.control.exports import ExportRecord, Requester, StoredExportKind, add_export

_CLOCK: Final = "SELECT clock_timestamp()"
_POLICIES: Final = "SELECT version, digest, document FROM policy_version WHERE digest = ANY ($1) ORDER BY version"


@dataclass(frozen=True, slots=True)
class EvidenceDocument:
    """A document for the auditor besides the entries. The digest of one called `policy...` must be in an entry."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class EntryRange:
    """The entries of a bundle, from `start` to the first checkpoint of at least `end` entries.

    Without `end` they reach to the newest entry, which is that of the bundle itself.
    """

    start: int
    end: int | None = None


async def entry_range_of(
    ledger: Ledger,
    *,
    since_size: int | None = None,
    recorded_from: datetime | None = None,
    recorded_to: datetime | None = None,
) -> EntryRange:
    """The range that continues a checkpoint of `since_size` entries and covers a half-open period.

    It begins with the earlier of the two. Raises LedgerRangeError when nothing can be between its bounds.
    """
    if recorded_from is not None and recorded_to is not None and recorded_from >= recorded_to:
        raise LedgerRangeError("`from` must be before `to`")
    size = await ledger.size()
    if since_size is not None and since_size > size:
        raise LedgerRangeError(
            f"the ledger has {size} entries, fewer than the {since_size} that the checkpoint covers: its history was "
            "cut, or the checkpoint is of another ledger"
        )
    end = None if recorded_to is None else await _first_at(ledger, recorded_to)
    starts = [] if since_size is None else [since_size]
    if recorded_from is not None:
        first = await _first_at(ledger, recorded_from)
        starts.append(size if first is None else first)
    start = min(starts, default=0)
    if not 0 <= start <= (size if end is None else end):
        raise LedgerRangeError(f"the ledger has {size if end is None else end} entries: there is nothing since {start}")
    return EntryRange(start, end)


async def _first_at(ledger: Ledger, at: datetime) -> int | None:
    """The index of the first entry that was recorded at this time or later."""
    found = await ledger.page(Selection(recorded_from=at), first=1)
    return found[0].index if found else None


async def record_evidence(
    ledger: Ledger, entry_range: EntryRange, facts: Mapping[str, Any], *, actor: str, connection: Connection
) -> SignedCheckpoint:
    """Append EVIDENCE_CREATED in the transaction of `connection`; returns the checkpoint that the bundle ends at.

    A bundle to the newest entry ends with this one. One of an earlier period ends with the first checkpoint of the
    present signer that covers it, so that an auditor who kept that one finds it again.
    """
    checkpoints = Checkpoints(ledger)
    # The signer is fetched before the lock is taken, because the keyring may be on another host.
    await checkpoints.signer()
    facts = {"from": entry_range.start, **facts}
    index = await ledger.append(LedgerKind.EVIDENCE_CREATED, facts, actor=actor, connection=connection)
    # Fetched again under the lock that the entry has taken: nobody hands the ledger over from here on.
    signer = await checkpoints.signer()
    covering = None if entry_range.end is None else await checkpoints.covering(connection, entry_range.end, signer)
    return covering or await checkpoints.issue(connection, index + 1, signer)


async def request_evidence(
    ledger: Ledger, entry_range: EntryRange, id_: UUID, name: str, requester: Requester, policy: str
) -> tuple[ExportRecord, SignedCheckpoint]:
    """Put a bundle into the queue of exports, in the transaction of its entry; returns its checkpoint too.

    `name`: the export's public id; `policy`: digest of the policy in force. Raises ExportBusyError as `add_export`
    does.
    """
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        issued = await record_evidence(
            ledger, entry_range, {"export": name}, actor=requester.key_id, connection=connection
        )
        request = {"start": entry_range.start, "size": issued.size}
        return await add_export(connection, id_, StoredExportKind.EVIDENCE, requester, policy, request), issued


async def bundle_lines(
    ledger: Ledger, *, start: int = 0, documents: Sequence[EvidenceDocument] = (), actor: str
) -> AsyncIterator[bytes]:
    """The lines of a new bundle with the entries from `start` on, and the policies that they name.

    The last entry is EVIDENCE_CREATED, of this bundle. Raises LedgerRangeError when `start` is past the end.
    """
    entry_range = await entry_range_of(ledger, since_size=start)
    async with ledger.database.owner.acquire() as connection, connection.transaction():
        issued = await record_evidence(ledger, entry_range, {}, actor=actor, connection=connection)
    async for line in evidence_lines(ledger, start, issued, documents):
        yield line


async def evidence_lines(
    ledger: Ledger, start: int, issued: SignedCheckpoint, documents: Sequence[EvidenceDocument] = ()
) -> AsyncIterator[bytes]:
    """The lines of a recorded bundle. Raises LedgerSignerError when another signer has taken over since."""
    signer = await Checkpoints(ledger).signer()
    if str(signer.key) != issued.public_key:
        raise LedgerSignerError("the ledger was handed to another signer meanwhile: ask for the bundle again")
    writer = BundleWriter(signer)
    async with ledger.database.reading(None) as connection:
        now = await connection.fetchval(_CLOCK)
    yield writer.header(start=start, peaks=await ledger.peaks(start), created_at=moment(now))
    yield writer.checkpoint(issued.note)
    for document in [*await _policies(ledger, start, issued.size), *documents]:
        yield writer.document(document.name, document.media_type, document.data)
    async for entry in ledger.every(Selection(start, issued.size)):
        note = None if entry.salt is None or entry.note is None else (entry.salt, entry.note)
        yield writer.entry(entry.index, entry.leaf, note)
    yield writer.signature()


async def _policies(ledger: Ledger, start: int, end: int) -> list[EvidenceDocument]:
    """The policies that entries of the bundle name, as they are stored."""
    named: set[str] = set()
    async for entry in ledger.every(Selection(start, end, kinds=(LedgerKind.POLICY_APPLIED, LedgerKind.STARTED))):
        facts = entry.facts
        named.add(str(facts.get("digest" if entry.kind is LedgerKind.POLICY_APPLIED else "policy")))
    async with ledger.database.reading(None) as connection:
        rows = await connection.fetch(_POLICIES, sorted(named))
    return [EvidenceDocument(f"policy-{row['version']}", "application/toml", row["document"].encode()) for row in rows]
