"""A statement of retention as a file that verifies by itself: with a signed checkpoint, and a proof of each entry.

Statements are stored without proofs. These are made from the ledger when the file is asked for, so nobody can have
changed them, and they are signed by the ledger's signer of that moment.
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from policies.evidence.attestation import ATTESTATION
from service.errors import ServiceError
from service.ledger import Checkpoints, Ledger, SignedCheckpoint

_ITEMS_AT_ONCE: Final = 50


class NotCoveredError(ServiceError):
    """no checkpoint that covers the statement is signed yet: ask again in some minutes"""


async def covering_checkpoint(ledger: Ledger, index: int) -> SignedCheckpoint:
    """The newest checkpoint, which covers the entry `index`. Raises NotCoveredError."""
    issued = await Checkpoints(ledger).latest()
    if issued is None or issued.size <= index:
        raise NotCoveredError
    return issued


async def attestation_lines(
    ledger: Ledger, issued: SignedCheckpoint, statement: Mapping[str, Any], index: int
) -> AsyncIterator[bytes]:
    """The file of a statement that is entry `index` of the ledger, some lines at a time.

    The format is that of `policies.evidence.attestation`: one JSON object, indented for people.
    """
    yield f'{{\n "evidence": {{\n  "checkpoint": {json.dumps(issued.note)},\n  "items": ['.encode()
    indexes: list[int] = [entry["index"] for entry in statement["entries"]]
    for start in range(0, len(indexes), _ITEMS_AT_ONCE):
        items = [await _item(ledger, one, issued.size) for one in indexes[start : start + _ITEMS_AT_ONCE]]
        yield (("," if start else "") + ",".join(f"\n   {item}" for item in items)).encode()
    own = await _item(ledger, index, issued.size)
    yield f'\n  ],\n  "key": {json.dumps(issued.public_key)},\n  "statement": {own}\n }},\n'.encode()
    text = await asyncio.to_thread(json.dumps, statement, sort_keys=True, indent=1)
    yield f' "format": "{ATTESTATION}",\n "statement": {text}\n}}\n'.encode()


async def _item(ledger: Ledger, index: int, size: int) -> str:
    entry = await ledger.entry(index)
    assert entry is not None, "a statement lists entries of this ledger"
    proof = await ledger.inclusion_proof(index, size)
    item = {"index": index, "leaf": _base64(entry.leaf), "proof": [_base64(value) for value in proof.hashes]}
    return json.dumps(item, sort_keys=True)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
