"""Whatever a bundle holds, the verifier says that it holds or that it does not; it never fails in another way."""

import hashlib
import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.evidence import BundleWriter, EvidenceError, Leaf, LedgerKind, Signer, Tree, leaf_bytes, note_hash, verify
from policies.evidence.attestation import verify_attestation

SIGNER, OTHER = Signer("calledger/one", bytes(32)), Signer("calledger/one", bytes([1]) * 32)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SALT = bytes(32)
LEAVES = [
    leaf_bytes(Leaf(LedgerKind.STARTED, NOW, "system", {"policy": "sha256:00"})),
    leaf_bytes(Leaf(LedgerKind.HOLD_PLACED, NOW, "cli", {"hold": "hold_1"}, note_hash(SALT, "why"))),
    leaf_bytes(Leaf(LedgerKind.SIGNER_ROTATED, NOW, "cli", OTHER.rotation(SIGNER))),
]


def a_bundle() -> list[dict[str, Any]]:
    tree, writer = Tree(), BundleWriter(SIGNER)
    for leaf in LEAVES:
        tree.append(leaf)
    lines = [
        writer.header(start=0, peaks=[], created_at="now"),
        writer.checkpoint(SIGNER.checkpoint(3, tree.root())),
        writer.document("retention", "text/plain", b"thirty days"),
        *(writer.entry(index, leaf, (SALT, "why") if index == 1 else None) for index, leaf in enumerate(LEAVES)),
    ]
    return [json.loads(line) for line in lines]


def signed_again(lines: list[object]) -> list[bytes]:
    """As a signer that lies would write it: canonical, and signed with the true key."""
    written = [json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n" for line in lines]
    digest = hashlib.sha256(b"".join(written)).digest()
    end = {"signature": b64encode(SIGNER.end_of_bundle(digest)).decode(), "type": "signature"}
    return [*written, json.dumps(end, sort_keys=True, separators=(",", ":")).encode() + b"\n"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=4,
)


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [place for name, inner in value.items() for place in places(inner, (*path, name))]
    if isinstance(value, list):
        return found + [place for index, inner in enumerate(value) for place in places(inner, (*path, index))]
    return found


def put(value: Any, path: tuple[Any, ...], new: object) -> None:
    for step in path[:-1]:
        value = value[step]
    value[path[-1]] = new


def test_the_untouched_bundle_holds() -> None:
    """What the attacks start from is a bundle that is verified, also by who holds the first signer's key."""
    assert verify(signed_again(a_bundle()), key=str(SIGNER.key)).key_checked
    assert verify(signed_again(a_bundle()), key=str(OTHER.key)).key_checked


@settings(max_examples=400)
@given(st.data())
def test_a_lying_signer_cannot_break_the_verifier(data: st.DataObject) -> None:
    """Any value of a truly signed bundle may be anything: the answer is a verdict or a refusal, and the entries that
    a verdict counts are those of the tree."""
    lines = a_bundle()
    for _ in range(data.draw(st.integers(1, 2))):
        put(lines, data.draw(st.sampled_from(places(lines))), data.draw(values))
    key = data.draw(st.sampled_from([None, str(SIGNER.key)]))
    try:
        verdict = verify(signed_again(lines), key=key)
    except EvidenceError:
        return

    assert verdict.kinds == {"STARTED": 1, "HOLD_PLACED": 1, "SIGNER_ROTATED": 1}


@given(
    st.lists(st.binary(max_size=60), max_size=4), st.none() | st.binary(max_size=60), st.none() | st.text(max_size=60)
)
def test_any_bytes_are_refused(lines: list[bytes], since: bytes | None, key: str | None) -> None:
    """Bytes that are no bundle are refused as such, whatever else is given with them."""
    for judge in (lambda: verify(lines, key=key, since=since), lambda: verify_attestation(b"".join(lines), key=key)):
        try:
            judge()
        except EvidenceError:
            continue
        raise AssertionError("rubbish was verified")


@given(values)
def test_any_json_is_refused_as_an_attestation(value: object) -> None:
    """JSON that is no attestation is refused as such."""
    for said in (value, {"format": "calledger-attestation/1", "statement": value, "evidence": value}):
        try:
            verify_attestation(json.dumps(said).encode())
        except EvidenceError:
            continue
        raise AssertionError("rubbish was verified")
