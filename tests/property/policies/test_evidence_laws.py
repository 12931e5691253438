"""Laws of the ledger's tree and of what may stand in a leaf."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evidence import (
    EntryError,
    Leaf,
    LedgerKind,
    Node,
    Range,
    Tree,
    completed,
    consistency,
    fold,
    inclusion,
    leaf_bytes,
    leaf_hash,
    read_leaf,
    verify_consistency,
    verify_inclusion,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LEAVES_MAX = 300
LEAVES = [b"leaf %d" % number for number in range(LEAVES_MAX)]


def grown() -> tuple[dict[Node, bytes], list[bytes]]:
    nodes: dict[Node, bytes] = {}
    tree, roots = Tree(), [Tree().root()]
    for index, leaf in enumerate(LEAVES):
        for level, value in enumerate(completed(leaf, index, nodes.__getitem__)):
            nodes[Node(level, index >> level)] = value
        tree.append(leaf)
        roots.append(tree.root())
    return nodes, roots


NODES, ROOTS = grown()


def by_the_book(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + by_the_book(leaves[:k]) + by_the_book(leaves[k:])).digest()


def proof(parts: list[Range]) -> list[bytes]:
    return [fold(part, NODES.__getitem__) for part in parts]


@given(st.integers(0, LEAVES_MAX))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    """Grown leaf by leaf or folded from stored nodes, the root is what RFC 6962 defines recursively."""
    assert ROOTS[size] == by_the_book(LEAVES[:size])
    if size:
        assert fold(Range(0, size), NODES.__getitem__) == ROOTS[size]


@given(st.data())
def test_every_entry_is_proved_and_no_other(data: st.DataObject) -> None:
    """A proof of inclusion holds for its leaf, place, size and root; with any of them changed it does not."""
    size = data.draw(st.integers(1, LEAVES_MAX))
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, LEAVES_MAX - 1).filter(lambda drawn: drawn != index))
    hashes = proof(inclusion(index, size))
    leaf = leaf_hash(LEAVES[index])

    assert verify_inclusion(leaf, index, size, hashes, ROOTS[size])
    assert not verify_inclusion(leaf_hash(LEAVES[other]), index, size, hashes, ROOTS[size])
    assert not verify_inclusion(leaf, other, size, hashes, ROOTS[size])
    assert not verify_inclusion(leaf, index, size, [*hashes, leaf], ROOTS[size])
    assert not hashes or not verify_inclusion(leaf, index, size, hashes[:-1], ROOTS[size])
    assert not verify_inclusion(leaf, index, size, hashes, ROOTS[size - 1])


@given(st.data())
def test_every_growth_is_proved_and_no_other(data: st.DataObject) -> None:
    """A proof of consistency holds for its two sizes and roots; with one of them changed it does not."""
    second = data.draw(st.integers(1, LEAVES_MAX))
    first = data.draw(st.integers(1, second))
    hashes = proof(consistency(first, second))

    assert verify_consistency(first, second, ROOTS[first], ROOTS[second], hashes)
    assert not verify_consistency(first, second, ROOTS[first - 1], ROOTS[second], hashes)
    assert not verify_consistency(first, second, ROOTS[first], ROOTS[second - 1], hashes)
    assert not verify_consistency(first, second, ROOTS[first], ROOTS[second], [*hashes, ROOTS[0]])
    assert not hashes or not verify_consistency(first, second, ROOTS[first], ROOTS[second], hashes[1:])


@given(st.integers(-3, LEAVES_MAX), st.integers(-3, LEAVES_MAX))
def test_impossible_proofs_are_refused(index: int, size: int) -> None:
    """No proof is made of an entry or a size that is not there."""
    if not 0 <= index < size:
        with pytest.raises(ValueError, match="there is no leaf"):
            inclusion(index, size)
    if not 0 <= index <= size:
        with pytest.raises(ValueError, match="does not begin"):
            consistency(index, size)


texts = st.text(st.sampled_from("abcXYZ019._:/+=-"), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)
facts = st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,10}", fullmatch=True), values, max_size=5)
leaves = st.builds(
    Leaf,
    st.sampled_from(LedgerKind),
    st.integers(0, 2**52).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds)),
    st.from_regex(r"[a-z0-9_]{1,20}", fullmatch=True),
    facts,
    st.none() | st.just("hmac-sha256:" + "0" * 64),
)


@given(leaves)
def test_a_leaf_says_what_was_put_into_it(leaf: Leaf) -> None:
    """Reading leaf bytes gives the leaf back, and writing it again the same bytes."""
    data = leaf_bytes(leaf)

    assert read_leaf(data) == leaf
    assert leaf_bytes(read_leaf(data)) == data


@given(leaves, st.data())
def test_no_altered_leaf_is_read_as_the_same(leaf: Leaf, data: st.DataObject) -> None:
    """Leaf bytes with one bit flipped are refused, or say something else: there is one way to say a thing."""
    written = leaf_bytes(leaf)
    place = data.draw(st.integers(0, len(written) * 8 - 1))
    altered = bytearray(written)
    altered[place // 8] ^= 1 << place % 8

    with suppress(EntryError):
        assert read_leaf(bytes(altered)) != leaf


@given(
    st.text(min_size=1).filter(lambda text: any(not (c.isascii() and c.isalnum()) and c not in "._:/+=-" for c in text))
)
def test_words_of_people_cannot_become_facts(text: str) -> None:
    """Anything with a space, an @ or a letter outside ASCII is refused wherever it stands, and never repeated."""
    for wrong in ({"fact": text}, {"fact": ["fine", text]}, {"fact": {"inner": text}}):
        with pytest.raises(EntryError) as refusal:
            leaf_bytes(Leaf(LedgerKind.HOLD_PLACED, NOW, "cli", wrong))
        assert text not in str(refusal.value).replace("`fact`", "").replace("`inner`", "") or len(text) < 3
