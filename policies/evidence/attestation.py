"""An attestation: one statement, in the ledger by its digest, with a proof for each entry that it lists.

    {"evidence": {"checkpoint": NOTE, "key": VKEY, "statement": ITEM, "items": [ITEM ...]},
     "format": "calledger-attestation/1", "statement": {...}}

with ITEM {"index": N, "leaf": BASE64, "proof": [BASE64 ...]}. The leaf of `evidence.statement` is an ATTESTED entry
whose fact `statement` is the SHA-256 of the statement as canonical JSON. The proofs are those of RFC 9162, 2.1.3,
into the tree of the checkpoint. `policies.evidence.verify` checks it.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from policies.evidence.verify import ATTESTATION, canonical, verify_attestation

__all__ = ["ATTESTATION", "canonical", "statement_digest", "verify_attestation"]


def statement_digest(statement: Mapping[str, Any]) -> str:
    """`sha256:` and 64 hexadecimal digits of the statement as canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical(statement)).hexdigest()
