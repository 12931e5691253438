"""What the writer derives with the keyring's pepper: the digest of a call, the fingerprint of an error."""

import hmac
from hashlib import blake2b

from policies import Report

_DIGEST_LABEL = b"calledger/digest"


def content_digest(report: Report, pepper: bytes) -> int:
    """8 bytes over what makes a second report of one call a duplicate or a conflict, as a signed integer.

    That is: how it ended, the model, input and output tokens, and the amount unless we estimated it. It is keyed,
    because a policy may keep less than what it is made of, and few amounts are quickly tried. No text that is stored
    holds a NUL, so that joining by it is unambiguous.
    """
    amount = report.amount if report.amount_source != "ESTIMATED" else None
    parts = (
        "failed" if report.failed else "succeeded",
        report.model,
        "" if report.input_tokens is None else str(report.input_tokens),
        "" if report.output_tokens is None else str(report.output_tokens),
        "" if amount is None else f"{amount.normalize():f}",
        "" if amount is None else report.currency or "",
    )
    basis = "\0".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(basis, digest_size=8, key=pepper, person=_DIGEST_LABEL).digest(), "big", signed=True)


def error_fingerprint(basis: bytes, pepper: bytes) -> int:
    """The group that an error belongs to, as a signed integer."""
    return int.from_bytes(hmac.digest(pepper, b"fingerprint\0" + basis, "sha256")[:8], "big", signed=True)
