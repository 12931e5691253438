"""The ledger's hashing and signing give what others publish."""

from hashlib import sha256

import pytest

from policies.evidence import (
    EvidenceError,
    Node,
    Range,
    Signer,
    Tree,
    VerifierKey,
    completed,
    consistency,
    fold,
    inclusion,
    leaf_hash,
    read_key,
    verify_consistency,
    verify_inclusion,
)

# The test tree of the reference implementation of RFC 6962 (certificate-transparency, merkletree tests).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Published proofs of the same tests: leaf and size counted as there from 1, and from 0 here.
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCY = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

# The example key and note of the Go reference implementation of signed notes (golang.org/x/mod/sumdb/note).
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
NOTE = f"{TEXT}\n\u2014 PeterNeumann {SIGNATURE}\n"


def stored_nodes() -> dict[Node, bytes]:
    """The published leaves, stored as the ledger stores its own."""
    nodes: dict[Node, bytes] = {}
    for index, leaf in enumerate(LEAVES):
        for level, value in enumerate(completed(leaf, index, nodes.__getitem__)):
            nodes[Node(level, index >> level)] = value
    return nodes


def test_roots_are_the_published_ones() -> None:
    """Each size of the reference tree has its published root, grown leaf by leaf and folded from stored nodes."""
    tree, nodes = Tree(), stored_nodes()
    grown, folded = [tree.root().hex()], [sha256().hexdigest()]
    for size, leaf in enumerate(LEAVES, 1):
        tree.append(leaf)
        grown.append(tree.root().hex())
        folded.append(fold(Range(0, size), nodes.__getitem__).hex())

    assert grown == ROOTS
    assert folded == ROOTS


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int) -> None:
    """The hashes come in the order of RFC 9162, and its algorithm accepts them."""
    nodes = stored_nodes()

    proof = [fold(part, nodes.__getitem__) for part in inclusion(index, size)]

    assert [value.hex() for value in proof] == INCLUSION[index, size]
    assert verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), CONSISTENCY)
def test_consistency_proofs_are_the_published_ones(first: int, second: int) -> None:
    """The hashes come in the order of RFC 9162, and its algorithm accepts them."""
    nodes = stored_nodes()

    proof = [fold(part, nodes.__getitem__) for part in consistency(first, second)]
    roots = bytes.fromhex(ROOTS[first]), bytes.fromhex(ROOTS[second])

    assert [value.hex() for value in proof] == CONSISTENCY[first, second]
    assert verify_consistency(first, second, *roots, proof)


def test_a_signed_note_is_the_one_that_go_makes() -> None:
    """Ed25519 is deterministic: the same key and text give the published note, key id and verifier key."""
    signer = Signer("PeterNeumann", bytes.fromhex(SEED))

    assert str(signer.key) == VKEY
    assert signer.note(TEXT) == NOTE
    assert read_key(VKEY) == VerifierKey("PeterNeumann", signer.key.public)


def test_a_mangled_verifier_key_is_refused() -> None:
    """No part of a verifier key, and no other character in it, passes for one."""
    parts = {VKEY[i:j] for i in range(len(VKEY) + 1) for j in range(i + 1, len(VKEY) + 1)} - {VKEY}
    changed = {VKEY[:i] + chr(ord(VKEY[i]) + 1) + VKEY[i + 1 :] for i in range(len(VKEY))}

    for text in parts | changed:
        with pytest.raises(EvidenceError):
            read_key(text)
