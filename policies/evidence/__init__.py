"""Evidence: the ledger's entries, hashed, proved and signed, so that auditors need not trust the operator.

entry    what one entry says, as bytes          merkle  the tree, and proofs from its stored hashes
signer   signed notes, checkpoints, rotations   bundle  the lines of a bundle
verify   stands alone: an auditor reads and runs that one file
"""

from policies.evidence.bundle import BundleWriter
from policies.evidence.entry import (
    NOTE_CHARACTERS_MAX,
    SALT_BYTES,
    Leaf,
    LedgerKind,
    leaf_bytes,
    moment,
    note_hash,
    read_leaf,
)
from policies.evidence.errors import EntryError
from policies.evidence.merkle import (
    HASH_BYTES,
    Node,
    Range,
    completed,
    consistency,
    fold,
    inclusion,
    peaks,
    verify_consistency,
)
from policies.evidence.signer import Signer, read_rotation
from policies.evidence.verify import (
    Checkpoint,
    EvidenceError,
    Tree,
    Verification,
    VerifierKey,
    leaf_hash,
    read_base64,
    read_checkpoint,
    read_key,
    verify,
    verify_inclusion,
)

__all__ = [
    "HASH_BYTES",
    "NOTE_CHARACTERS_MAX",
    "SALT_BYTES",
    "BundleWriter",
    "Checkpoint",
    "EntryError",
    "EvidenceError",
    "Leaf",
    "LedgerKind",
    "Node",
    "Range",
    "Signer",
    "Tree",
    "Verification",
    "VerifierKey",
    "completed",
    "consistency",
    "fold",
    "inclusion",
    "leaf_bytes",
    "leaf_hash",
    "moment",
    "note_hash",
    "peaks",
    "read_base64",
    "read_checkpoint",
    "read_key",
    "read_leaf",
    "read_rotation",
    "verify",
    "verify_consistency",
    "verify_inclusion",
]
