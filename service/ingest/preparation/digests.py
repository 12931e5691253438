"""What the writer derives with the keyring's pepper: the digest of a call, the fingerprint of an error."""

import hmac
from decimal import Decimal
from hashlib import blake2b

from policies import Report

_DIGEST_LABEL = b"calledger/digest"
_ESTIMATED = "ESTIMATED"


class Identities:
    """Derives digests and fingerprints under one pepper."""

    def __init__(self, pepper: bytes) -> None:
        self._pepper = pepper
        # Begun once, copied for each call: the key and the label are taken in already.
        self._digest = blake2b(digest_size=8, key=pepper, person=_DIGEST_LABEL)

    def content_digest(self, report: Report) -> int:
        """8 bytes over what makes a second report of one call a duplicate or a conflict, as a signed integer.

        That is: how it ended, the model, input and output tokens, and the amount unless we estimated it. It is keyed,
        because a policy may keep less than what it is made of, and few amounts are quickly tried. No text that is
        stored holds a NUL, so that joining by it is unambiguous.
        """
        ended = "failed" if report.failed else "succeeded"
        asked = "" if report.input_tokens is None else report.input_tokens
        answered = "" if report.output_tokens is None else report.output_tokens
        money = "\0"
        if report.amount is not None and report.amount_source != _ESTIMATED:
            money = f"{_shortest(report.amount)}\0{report.currency or ''}"
        digest = self._digest.copy()
        digest.update(f"{ended}\0{report.model}\0{asked}\0{answered}\0{money}".encode("utf-8", "surrogatepass"))
        return int.from_bytes(digest.digest(), "big", signed=True)

    def error_fingerprint(self, basis: bytes) -> int:
        """The group that an error belongs to, as a signed integer."""
        return int.from_bytes(hmac.digest(self._pepper, b"fingerprint\0" + basis, "sha256")[:8], "big", signed=True)


def _shortest(amount: Decimal) -> str:
    """The amount's digits, without zeros at their end and without an exponent; most amounts come in that form."""
    text = str(amount)
    return f"{amount.normalize():f}" if "E" in text or ("." in text and text[-1] == "0") else text
