"""A bundle of evidence as lines: what `policies.evidence.verify` reads."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

from policies.evidence.signer import Signer
from policies.evidence.verify import FORMAT, canonical


class BundleWriter:
    """Gives the lines of one bundle, in the order of these methods; the last signs all before it."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._hash = hashlib.sha256()

    def header(self, *, start: int, peaks: Sequence[bytes], created_at: str) -> bytes:
        """The bundle holds the entries from `start` on; `peaks` are the hashes of all before."""
        return self._line(
            "header",
            format=FORMAT,
            origin=self._signer.key.name,
            key=str(self._signer.key),
            created_at=created_at,
            peaks=[_base64(peak) for peak in peaks],
            **{"from": start},
        )

    def checkpoint(self, note: str) -> bytes:
        """The signed checkpoint that the entries end at."""
        return self._line("checkpoint", note=note)

    def document(self, name: str, media_type: str, data: bytes) -> bytes:
        """What an auditor reads beside the entries. The digest of one called `policy...` must be named by an entry."""
        return self._line("document", name=name, media_type=media_type, data=_base64(data))

    def entry(self, index: int, leaf: bytes, note: tuple[bytes, str] | None) -> bytes:
        """One entry, with salt and text of its note if they are still there."""
        if note is None:
            return self._line("entry", index=index, leaf=_base64(leaf))
        return self._line("entry", index=index, leaf=_base64(leaf), note={"salt": _base64(note[0]), "text": note[1]})

    def signature(self) -> bytes:
        """The last line: the signature over all before it."""
        return self._line("signature", signature=_base64(self._signer.end_of_bundle(self._hash.digest())))

    def _line(self, kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - JSON
        line = canonical({"type": kind, **fields}) + b"\n"
        self._hash.update(line)
        return line


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
