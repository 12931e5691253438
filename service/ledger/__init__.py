"""The tamper-evident ledger: what the system did about privacy, in a Merkle log, signed and mirrored."""

from policies.evidence import LedgerKind
from service.ledger.bundle import (
    EntryRange,
    EvidenceDocument,
    bundle_lines,
    entry_range_of,
    evidence_lines,
    record_evidence,
    request_evidence,
)
from service.ledger.checkpoints import Checkpoints
from service.ledger.checks.check import check
from service.ledger.checks.known_keys import KnownKeys, is_final, long_name, short_name
from service.ledger.checks.record import KeyRegister, WebhookRegister, read_record
from service.ledger.checks.related import check_columns, check_mirror, check_notes
from service.ledger.errors import LedgerDamagedError, LedgerMirrorError, LedgerRangeError, LedgerSignerError
from service.ledger.handover import hand_over
from service.ledger.heads import accept_loss, history_problem
from service.ledger.publisher import LedgerPublisher
from service.ledger.reconcile import reconcile
from service.ledger.replacement import record_replacement, refuse_replaced
from service.ledger.signed_checkpoint import SignedCheckpoint
from service.ledger.store import Entry, ErasedNotes, Ledger, Proof, Selection

__all__ = [
    "Checkpoints",
    "Entry",
    "EntryRange",
    "ErasedNotes",
    "EvidenceDocument",
    "KeyRegister",
    "KnownKeys",
    "Ledger",
    "LedgerDamagedError",
    "LedgerKind",
    "LedgerMirrorError",
    "LedgerPublisher",
    "LedgerRangeError",
    "LedgerSignerError",
    "Proof",
    "Selection",
    "SignedCheckpoint",
    "WebhookRegister",
    "accept_loss",
    "bundle_lines",
    "check",
    "check_columns",
    "check_mirror",
    "check_notes",
    "entry_range_of",
    "evidence_lines",
    "hand_over",
    "history_problem",
    "is_final",
    "long_name",
    "read_record",
    "reconcile",
    "record_evidence",
    "record_replacement",
    "refuse_replaced",
    "request_evidence",
    "short_name",
]
