"""Writing a bundle of evidence: entries from one on to the newest, under a checkpoint that covers them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from policies.evidence import BundleWriter, LedgerKind, moment
from service.ledger.checkpoints import Checkpoints
from service.ledger.errors import LedgerRangeError
from service.ledger.store import Ledger, Selection

_CLOCK: Final = "SELECT clock_timestamp()"
_POLICIES: Final = "SELECT version, digest, document FROM policy_version WHERE digest = ANY ($1) ORDER BY version"


@dataclass(frozen=True, slots=True)
class Document:
    """What an auditor reads beside the entries. The digest of one called `policy...` must stand in an entry."""

    name: str
    media_type: str
    data: bytes


async def bundle_lines(
    ledger: Ledger, *, start: int = 0, documents: Sequence[Document] = (), actor: str
) -> AsyncIterator[bytes]:
    """The lines of a bundle with the entries from `start` on; the policies that they name come with it.

    The last entry is EVIDENCE_CREATED, of this bundle. Raises LedgerRangeError when `start` is past the end. What is
    read meanwhile may grow: the bundle ends where its checkpoint does.
    """
    size = await ledger.size()
    if not 0 <= start <= size:
        raise LedgerRangeError(f"the ledger has {size} entries: there is nothing since {start}")
    await ledger.append(LedgerKind.EVIDENCE_CREATED, {"from": start}, actor=actor)
    checkpoints = Checkpoints(ledger)
    issued = await checkpoints.sign()
    writer = BundleWriter(await checkpoints.signer())
    now = await ledger.database.owner.fetchval(_CLOCK)
    yield writer.header(start=start, peaks=await ledger.peaks(start), created_at=moment(now))
    yield writer.checkpoint(issued.note)
    for document in [*await _policies(ledger, start, issued.size), *documents]:
        yield writer.document(document.name, document.media_type, document.data)
    async for entry in ledger.every(Selection(start, issued.size)):
        note = None if entry.salt is None or entry.note is None else (entry.salt, entry.note)
        yield writer.entry(entry.index, entry.leaf, note)
    yield writer.signature()


async def _policies(ledger: Ledger, start: int, end: int) -> list[Document]:
    """The policies that entries of the bundle name, as they are stored."""
    named: set[str] = set()
    async for entry in ledger.every(Selection(start, end, kinds=(LedgerKind.POLICY_APPLIED, LedgerKind.STARTED))):
        facts = entry.facts
        named.add(str(facts.get("digest" if entry.kind is LedgerKind.POLICY_APPLIED else "policy")))
    rows = await ledger.database.owner.fetch(_POLICIES, sorted(named))
    return [Document(f"policy-{row['version']}", "application/toml", row["document"].encode()) for row in rows]
