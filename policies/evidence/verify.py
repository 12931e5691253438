"""Verify a bundle of evidence or a statement of `attest`. This file stands alone: copy it out, read it, and run it with
Python 3.11 or later and `cryptography`: `python3 verify.py FILE [--key VKEY] [--since CHECKPOINT]`. See docs/ledger.md.
Of a bundle it checks that every line is canonical JSON; that the checkpoint is signed; that the entries, and the hashes
of those before them, give its root (RFC 6962, section 2.1), and that of the checkpoint that you kept; that free text
has the salted hash in its entry; that policies are those that entries name; that the last line signs all before it. Of
a statement it checks that the checkpoint is signed, and that the statement's digest and every entry that it lists are
in the signed tree (RFC 9162, section 2.1.3). It proves that these statements were made, in this order, and not altered.
"""

import base64
import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce
from typing import IO, Any, NamedTuple, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT, ATTESTATION = "calledger-evidence/1", "calledger-attestation/1"
LOST = "says that the keyring was lost, and names a signer that the one before it did not name"
SHOWN = ("kind", "actor", "recorded_at", "facts")
ED25519, NAME, BASE64 = b"\x01", "[^\0-\x20+]+", "[0-9A-Za-z+/]+={0,2}"
NOTE = re.compile(f"(({NAME})\n(0|[1-9][0-9]{{0,17}})\n({BASE64})\n)\n((?:\u2014 {NAME} {BASE64}\n)+)")
LATER = ("document", "entry", "signature")
AFTER = {"": ("header",), "header": ("checkpoint",), "checkpoint": LATER, "document": LATER, "entry": LATER[1:]}


class EvidenceError(Exception):
    """The evidence is not what it says. The message tells an auditor what does not hold."""


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf, 32 bytes (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of the node above two hashes, 32 bytes (RFC 6962, section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """An RFC 6962 tree that grows leaf by leaf. It keeps the roots of its largest complete subtrees, left to right."""

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        self.size, self.peaks = size, list(peaks)
        if size < 0 or len(self.peaks) != size.bit_count():
            raise EvidenceError("the tree does not have one hash for each of its complete subtrees")

    def append(self, leaf: bytes) -> None:
        """Add `leaf`, the bytes of an entry, at the right end."""
        self.size, self.peaks = self.size + 1, [*self.peaks, leaf_hash(leaf)]
        while len(self.peaks) > self.size.bit_count():
            self.peaks[-2:] = [node_hash(*self.peaks[-2:])]

    def root(self) -> bytes:
        """The root hash over all leaves, 32 bytes; that of no bytes when there are none."""
        return reduce(lambda right, left: node_hash(left, right), reversed(self.peaks or [hashlib.sha256().digest()]))


def canonical(value: object) -> bytes:
    """JSON with sorted keys, no spaces and ASCII only (RFC 8785 on all that we write: text, integers, no floats)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def read_canonical(line: bytes, what: str) -> dict[str, Any]:
    """The object that `line` says, if it says it in the one way that it may be said."""
    with suppress(ValueError, RecursionError):
        value = json.loads(line)
        if isinstance(value, dict) and canonical(found := cast("dict[str, Any]", value)) == line:
            return found
    raise EvidenceError(f"{what} is not canonical JSON: it was altered or cut off")


def read_base64(text: object, what: str, length: int | None = None) -> bytes:
    """Bytes from base64 (RFC 4648, section 4) that encodes back to the same text."""
    with suppress(ValueError):
        data = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
        if base64.b64encode(data).decode() == text and length in (None, len(data)):
            return data
    raise EvidenceError(f"{what} is not canonical base64 of the right length")


class VerifierKey(NamedTuple):
    """A verifier key: `<name>+<id in hex>+<base64 of 0x01 and the Ed25519 public key>`."""

    name: str
    public: bytes

    def id(self) -> bytes:
        """The four bytes that name the key in a signed note."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id().hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's Ed25519 signature of `message`."""
        with suppress(InvalidSignature, ValueError):
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
            return True
        return False


def read_key(text: str) -> VerifierKey:
    """The key that `text` says. Raises EvidenceError."""
    name, _, rest = text.partition("+")
    data = read_base64(rest.partition("+")[2], "the verifier key", 33)
    key = VerifierKey(name, data[1:])
    if data[:1] != ED25519 or str(key) != text or not name or any(c.isspace() for c in name):
        raise EvidenceError("the verifier key is not one: it has the form `name+id+base64`, and the id fits the rest")
    return key


class Checkpoint(NamedTuple):
    """`note` is the whole signed note, `text` the part that is signed."""

    origin: str
    size: int
    root: bytes
    text: bytes
    note: bytes

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether a signature line of `key` is there and holds; a line of that key that does not hold spoils all."""
        found = False
        for line in self.note[len(self.text) + 1 : -1].decode().split("\n"):
            _, name, signature = line.split(" ")
            data = read_base64(signature, "a signature of the checkpoint")
            if name == key.name and data[:4] == key.id():
                if not key.verifies(data[4:], self.text):
                    raise EvidenceError("a signature of the checkpoint does not hold: the checkpoint was altered")
                found = True
        return found


def read_checkpoint(note: bytes) -> Checkpoint:
    """The checkpoint that the signed note holds, its signatures unchecked. Raises EvidenceError."""
    match = NOTE.fullmatch(note.decode(errors="replace"))
    if match is None:
        raise EvidenceError("the checkpoint is not a signed note of origin, size and root hash")
    root = read_base64(match[4], "the root hash of the checkpoint", 32)
    return Checkpoint(match[2], int(match[3]), root, match[1].encode(), note)


def rotation_statement(origin: str, old: str, new: str) -> bytes:
    """What the old signer signs about its successor; keys as 64 hexadecimal digits."""
    return f"calledger signer rotation v1\n{origin}\n{old}\n{new}\n".encode()


@dataclass
class Verification:
    """What was found to hold."""

    key: VerifierKey
    checkpoint: Checkpoint
    key_checked: bool
    since: Checkpoint | None
    replaced: int | None = None
    kinds: Counter[str] = field(default_factory=Counter[str])
    documents: dict[str, str] = field(default_factory=dict[str, str])

    def lines(self) -> list[str]:
        """What holds, as lines for the reader."""
        c, since = self.checkpoint, self.since
        lines = ["verified: signed by the key you gave" if self.key_checked else "consistent; signer not checked"]
        if since is not None:
            lines.append(f"nothing was changed or removed that your checkpoint of {since.size} entries covers")
        lines += [] if self.replaced is None else [f"entry {self.replaced} {LOST}"]
        lines += [f"ledger      {c.origin}", f"checkpoint  {c.size} entries, root {base64.b64encode(c.root).decode()}"]
        lines.append(f"entries     {self.kinds.total()} here" + "".join(f", {k} {n}" for k, n in self.kinds.items()))
        return [*lines, *(f"document    {name}, {d}" for name, d in self.documents.items()), f"signer      {self.key}"]


class _Bundle:
    """The lines of a bundle, each checked by the method named after its type, in the order of these methods."""

    def __init__(self, key: str | None, since: bytes | None) -> None:
        self.yours = read_key(key) if key is not None else None
        self.since = read_checkpoint(since) if since is not None else None
        self.since_root: bytes | None = None
        self.hash, self.seen, self.former = hashlib.sha256(), "", set[bytes]()
        self.trusted, self.origins, self.policies, self.signers = set[bytes](), set[str](), set[str](), list[bytes]()

    def take(self, line: bytes) -> None:
        """Check the next line, its newline included. Raises EvidenceError saying what does not hold."""
        fields = read_canonical(line[:-1] if line.endswith(b"\n") else b"", "a line of the bundle")
        kind = fields.get("type", "")
        if kind not in AFTER.get(self.seen, ()):
            raise EvidenceError(f"a line of the bundle is out of place after its `{self.seen}`")
        try:
            getattr(self, f"_{kind}")(fields)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise EvidenceError(f"a line of the bundle does not say what a `{kind}` says") from error
        self.hash.update(line)
        self.seen = kind

    def _header(self, fields: dict[str, Any]) -> None:
        self.signer = read_key(fields["key"])
        if fields["format"] != FORMAT or self.signer.name != fields["origin"]:
            raise EvidenceError(f"the bundle is not of format {FORMAT}, or its key is not of its ledger")
        self.tree = Tree(fields["from"], [read_base64(peak, "a hash of the header", 32) for peak in fields["peaks"]])
        self._compare()
        self.trusted, self.origins = {self.yours.public if self.yours else self.signer.public}, {self.signer.name}

    def _checkpoint(self, fields: dict[str, Any]) -> None:
        c = read_checkpoint(fields["note"].encode())
        if c.origin != self.signer.name or not c.signed_by(self.signer):
            raise EvidenceError("the checkpoint is not signed by the key that the bundle names")
        self.verdict = Verification(self.signer, c, self.yours is not None, self.since)

    def _document(self, fields: dict[str, Any]) -> None:
        data, name = read_base64(fields["data"], "a document"), fields["name"]
        if self.verdict.documents.setdefault(name, digest := "sha256:" + hashlib.sha256(data).hexdigest()) != digest:
            raise EvidenceError(f"two documents are called `{name}`")

    def _entry(self, fields: dict[str, Any]) -> None:
        index, data = fields["index"], read_base64(fields["leaf"], "the leaf of an entry")
        leaf = read_canonical(data, f"the leaf of entry {index}")
        if index != self.tree.size:
            raise EvidenceError(f"entry {index} stands where entry {self.tree.size} belongs")
        self.tree.append(data)
        self._compare()
        self.verdict.kinds[leaf["kind"]] += 1
        if "note" in fields:
            salt = read_base64(fields["note"]["salt"], f"the salt of entry {index}", 32)
            if leaf["note"] != "hmac-sha256:" + hmac.digest(salt, fields["note"]["text"].encode(), "sha256").hex():
                raise EvidenceError(f"the note of entry {index} is not the one that was written")
        self._apply(index, leaf["kind"], leaf["facts"])

    def _apply(self, index: int, kind: str, facts: dict[str, Any]) -> None:
        if kind == "SIGNER_ROTATED":
            old, new, signature = (bytes.fromhex(facts[name]) for name in ("old", "new", "signature"))
            statement = rotation_statement(facts["origin"], facts["old"], facts["new"])
            if self.signers[-1:] not in ([], [old]) or not VerifierKey("", old).verifies(signature, statement):
                raise EvidenceError(f"entry {index} hands the ledger to a signer that the old one did not name")
            self.signers = [*(self.signers or [old]), new]
        if kind == "KEYRING_REPLACED":
            self.former.update(self.signers or ([bytes.fromhex(facts["old"])] if facts["old"] else []))
            self.signers, self.verdict.replaced = [bytes.fromhex(facts["new"])], index
        if kind == "RESTORED" and "old_origin" in facts:
            self.origins.add(facts["old_origin"])
        if kind in ("POLICY_APPLIED", "STARTED"):
            self.policies.add(facts["digest" if kind == "POLICY_APPLIED" else "policy"])

    def _compare(self) -> None:
        """Note the root of the tree when it has the size of the checkpoint that was kept."""
        if self.since is not None and self.tree.size == self.since.size:
            self.since_root = self.tree.root()

    def _signature(self, fields: dict[str, Any]) -> None:
        c, since = self.verdict.checkpoint, self.since
        if (self.tree.size, self.tree.root()) != (c.size, c.root):
            raise EvidenceError("the entries do not give the root hash of the checkpoint: one was altered or left out")
        for name, digest in self.verdict.documents.items():
            if name.startswith("policy") and digest not in self.policies:
                raise EvidenceError(f"the document `{name}` is no policy that an entry of this bundle names")
        message = FORMAT.encode() + b"\n" + self.hash.digest()
        if not self.signer.verifies(read_base64(fields["signature"], "the last signature", 64), message):
            raise EvidenceError("the last line does not sign the bytes before it: something was altered")
        if self.signers and self.signers[-1] != self.signer.public:
            raise EvidenceError("the bundle is signed by a key that had handed the ledger to another")
        self.trusted.update(self.signers if self.trusted.intersection(self.signers) else ())
        if self.signer.public in self.trusted:
            self.trusted |= self.former  # who signed what you kept; from them nothing leads to the signer
        elif self.trusted & self.former:
            raise EvidenceError(f"entry {self.verdict.replaced} {LOST}: get the new key by the way that yours came")
        if self.yours and (self.signer.public not in self.trusted or self.yours.name not in self.origins):
            raise EvidenceError("the bundle is signed by another key than yours, and nothing leads from yours to it")
        if since is not None:
            self._hold_against(since, c)

    def _hold_against(self, since: Checkpoint, now: Checkpoint) -> None:
        """Whether what the kept checkpoint covers is still what the ledger begins with."""
        signed = any(since.signed_by(VerifierKey(since.origin, public)) for public in self.trusted)
        if since.origin not in self.origins or not signed:
            raise EvidenceError("the checkpoint that you kept is not one that this ledger signed")
        if since.size > now.size:
            raise EvidenceError(_cut(since, now))
        if self.since_root is None:
            raise EvidenceError(f"the bundle does not reach back to your checkpoint: ask for one since {since.size}")
        if self.since_root != since.root and since.origin != now.origin:
            raise EvidenceError(f"history was cut below your checkpoint, and went on under the name `{now.origin}`")
        if self.since_root != since.root:
            raise EvidenceError("the ledger was rewritten: it does not begin with what your checkpoint covers")


def _cut(since: Checkpoint, now: Checkpoint) -> str:
    ends = f"it ends after {now.size} entries, and your checkpoint covers {since.size}"
    return f"{ends}: either it is older than the checkpoint, or history was cut; ask for a new one"


def verify(lines: Iterable[bytes], *, key: str | None = None, since: bytes | None = None) -> Verification:
    """Check a bundle line by line. `key`: the verifier key that you trust, `since`: a checkpoint that you kept."""
    bundle = _Bundle(key, since)
    for line in lines:
        bundle.take(line)
    if bundle.seen != "signature":
        raise EvidenceError("the bundle is cut off: its last line is not a signature")
    return bundle.verdict


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Iterable[bytes], root: bytes) -> bool:
    """Whether the leaf with the hash `leaf` is at `index` of the tree of `size` leaves (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def verify_attestation(data: bytes, *, key: str | None = None, since: bytes | None = None) -> list[str]:
    """Check a statement of `attest`; what holds, for the reader. Raises EvidenceError saying what does not."""
    try:
        fields = json.loads(data)
        if not isinstance(fields, dict) or (fields := cast("dict[str, Any]", fields))["format"] != ATTESTATION:
            raise EvidenceError(f"the statement is not of format {ATTESTATION}")
        return _attested(fields["statement"], fields["evidence"], key, since)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise EvidenceError("the file is not a statement of `attest`, or it was altered or cut off") from error


def _attested(statement: dict[str, Any], proofs: dict[str, Any], key: str | None, since: bytes | None) -> list[str]:
    signer, entries = read_key(proofs["key"]), statement["entries"]
    if key is not None and read_key(key) != signer:
        raise EvidenceError("the attestation is signed by another key than yours")
    c, kept = read_checkpoint(proofs["checkpoint"].encode()), None if since is None else read_checkpoint(since)
    if c.origin != signer.name or not c.signed_by(signer):
        raise EvidenceError("the checkpoint is not signed by the key that the attestation names")
    if kept is not None and (kept.origin != c.origin or not kept.signed_by(signer)):
        raise EvidenceError("the checkpoint that you kept is not one that this ledger signed")
    if kept is not None:
        other = "a statement proves single entries: ask for a bundle to compare it with your checkpoint"
        raise EvidenceError(_cut(kept, c) if kept.size > c.size else other)
    leaves = [_included(item, c) for item in (proofs["statement"], *proofs["items"])]
    digest = "sha256:" + hashlib.sha256(canonical(statement)).hexdigest()
    if leaves[0]["kind"] != "ATTESTED" or leaves[0]["facts"]["statement"] != digest:
        raise EvidenceError("the statement is not the one that the ledger holds: it was altered")
    proved = [(i["index"], *(leaf[n] for n in SHOWN)) for i, leaf in zip(proofs["items"], leaves[1:], strict=True)]
    if [(entry["index"], *(entry[name] for name in SHOWN)) for entry in entries] != proved:
        raise EvidenceError("the entries that the statement lists are not those that are proved")
    return [
        "verified: signed by the key you gave" if key is not None else "consistent; signer not checked",
        f"statement   of {statement['as_of']}, entry {proofs['statement']['index']} of the ledger",
        f"ledger      {c.origin}",
        f"entries     {len(proved)} listed, each proved",
        *(f"{'holds' if x['holds'] else 'FAILS':<11} {x['title']}: {x['finding']}" for x in statement["checks"]),
        f"signer      {signer}",
    ]


def _included(item: dict[str, Any], c: Checkpoint) -> dict[str, Any]:
    """The leaf of an entry, when its proof leads to the root of the checkpoint."""
    data = read_base64(item["leaf"], "a leaf")
    proof = [read_base64(text, "a hash of a proof", 32) for text in item["proof"]]
    if not verify_inclusion(leaf_hash(data), item["index"], c.size, proof, c.root):
        raise EvidenceError(f"entry {item['index']} is not in the ledger at that place")
    return read_canonical(data, f"the leaf of entry {item['index']}")


def verify_file(file: IO[bytes], *, key: str | None = None, since: bytes | None = None) -> list[str]:
    """Check a bundle or a statement (one indented object): lines on what holds. EvidenceError says what does not."""
    first = file.readline()
    file.seek(0)
    if first.strip() == b"{" or ATTESTATION.encode() in first:
        return verify_attestation(file.read(), key=key, since=since)
    return verify(file, key=key, since=since).lines()


if __name__ == "__main__":
    import argparse
    import sys

    parser = argparse.ArgumentParser(description="Verify a bundle of evidence, or a statement of `attest`.")
    read = argparse.FileType("rb")  # pyright: ignore[reportDeprecated] - in 3.14 only, and `-` is to stay stdin
    parser.add_argument("file", type=read)
    parser.add_argument("--key", help="the verifier key that you trust")
    parser.add_argument("--since", type=read, help="file with a checkpoint that you kept")
    given = parser.parse_args()
    try:
        found = verify_file(given.file, key=given.key, since=given.since and given.since.read())
    except (EvidenceError, OSError) as error:
        sys.exit(f"NOT verified: {error}")
    sys.stdout.write("\n".join(found) + "\n")
