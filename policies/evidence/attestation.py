"""An attestation: one statement, in the ledger by its digest, with a proof for each entry that it lists.

    {"evidence": {"checkpoint": NOTE, "key": VKEY, "statement": ITEM, "items": [ITEM ...]},
     "format": "calledger-attestation/1", "statement": {...}}

with ITEM {"index": N, "leaf": BASE64, "proof": [BASE64 ...]}. The leaf of `evidence.statement` is an ATTESTED entry
whose fact `statement` is the SHA-256 of the statement as canonical JSON. The proofs are those of RFC 9162, 2.1.3,
into the tree of the checkpoint.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from policies.evidence.merkle import verify_inclusion
from policies.evidence.verify import (
    EvidenceError,
    canonical,
    leaf_hash,
    read_base64,
    read_canonical,
    read_checkpoint,
    read_key,
)

ATTESTATION: Final = "calledger-attestation/1"
_SHOWN: Final = ("kind", "actor", "recorded_at", "facts")


def statement_digest(statement: Mapping[str, Any]) -> str:
    """`sha256:` and 64 hexadecimal digits of the statement as canonical JSON."""
    return "sha256:" + hashlib.sha256(canonical(statement)).hexdigest()


def verify_attestation(data: bytes, *, key: str | None = None) -> list[str]:
    """Check an attestation; what holds, for the reader. Raises EvidenceError saying what does not."""
    try:
        said = json.loads(data)
        if not isinstance(said, dict) or said["format"] != ATTESTATION:
            raise EvidenceError("the file is no attestation")
        return _check(said["statement"], said["evidence"], key)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise EvidenceError("the file is not an attestation, or it was altered or cut off") from error


def _check(statement: dict[str, Any], evidence: dict[str, Any], key: str | None) -> list[str]:
    signer = read_key(evidence["key"])
    if key is not None and read_key(key) != signer:
        raise EvidenceError("the attestation is signed by another key than yours")
    checkpoint = read_checkpoint(evidence["checkpoint"].encode())
    if checkpoint.origin != signer.name or not checkpoint.signed_by(signer):
        raise EvidenceError("the checkpoint is not signed by the key that the attestation names")
    leaves = [_included(item, checkpoint.size, checkpoint.root) for item in (evidence["statement"], *evidence["items"])]
    if leaves[0]["kind"] != "ATTESTED" or leaves[0]["facts"]["statement"] != statement_digest(statement):
        raise EvidenceError("the statement is not the one that the ledger holds: it was altered")
    listed = [{name: item[name] for name in _SHOWN} | {"index": item["index"]} for item in statement["entries"]]
    proved = [
        {name: leaf[name] for name in _SHOWN} | {"index": item["index"]}
        for item, leaf in zip(evidence["items"], leaves[1:], strict=True)
    ]
    if listed != proved:
        raise EvidenceError("the entries that the statement lists are not those that are proved")
    return [
        "verified: signed by the key you gave" if key is not None else "consistent; signer not checked",
        f"statement   of {statement['as_of']}, entry {evidence['statement']['index']} of the ledger",
        f"ledger      {checkpoint.origin}",
        f"entries     {len(proved)} listed, each proved",
        *(
            f"{'holds      ' if one['holds'] else 'FAILS      '} {one['title']}: {one['finding']}"
            for one in statement["checks"]
        ),
        f"signer      {signer}",
    ]


def _included(item: dict[str, Any], size: int, root: bytes) -> dict[str, Any]:
    data = read_base64(item["leaf"], "a leaf")
    proof = [read_base64(text, "a hash of a proof", 32) for text in item["proof"]]
    if not verify_inclusion(leaf_hash(data), item["index"], size, proof, root):
        raise EvidenceError(f"entry {item['index']} is not in the ledger at that place")
    return read_canonical(data, f"the leaf of entry {item['index']}")
