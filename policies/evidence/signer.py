"""Signing for the ledger: C2SP signed-note and tlog-checkpoint, with Ed25519 (RFC 8032)."""

import base64
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from policies.evidence.verify import FORMAT, EvidenceError, VerifierKey, rotation_statement


def read_rotation(facts: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The public keys, old and new, of a SIGNER_ROTATED entry. Raises EvidenceError unless the old one signed for the
    new."""
    try:
        old, new, signature = (bytes.fromhex(facts[name]) for name in ("old", "new", "signature"))
        statement = rotation_statement(facts["origin"], facts["old"], facts["new"])
    except (KeyError, TypeError, ValueError):
        raise EvidenceError("an entry does not say what a SIGNER_ROTATED entry says") from None
    if not VerifierKey("", old).verifies(signature, statement):
        raise EvidenceError("the ledger is handed to a signer that the old one did not name")
    return old, new


class Signer:
    """The ledger's key: a 32-byte Ed25519 seed, under the name `origin`."""

    def __init__(self, origin: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(origin, self._private.public_key().public_bytes_raw())

    def note(self, text: str, *others: "Signer") -> str:
        """`text`, which ends in a newline, with a signature line of each signer."""
        return text + "\n" + "".join(signer._line(text) for signer in (self, *others))

    def checkpoint(self, size: int, root: bytes, *others: "Signer") -> str:
        """A signed checkpoint of the tree of `size` entries."""
        return self.note(f"{self.key.name}\n{size}\n{base64.b64encode(root).decode()}\n", *others)

    def rotation(self, successor: "Signer") -> dict[str, str]:
        """Facts of a SIGNER_ROTATED entry: this key names the next."""
        old, new = self.key.public.hex(), successor.key.public.hex()
        signature = self._private.sign(rotation_statement(self.key.name, old, new))
        return {"origin": self.key.name, "old": old, "new": new, "signature": signature.hex()}

    def end_of_bundle(self, digest: bytes) -> bytes:
        """Signature over the SHA-256 of all lines of a bundle before its last."""
        return self._private.sign(FORMAT.encode() + b"\n" + digest)

    def _line(self, text: str) -> str:
        signature = self.key.id() + self._private.sign(text.encode())
        return f"\u2014 {self.key.name} {base64.b64encode(signature).decode()}\n"
