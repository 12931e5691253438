"""The ledger's tree: RFC 6962, section 2.1, with the proofs of RFC 9162, section 2.1.

Whoever stores the tree keeps, beside each leaf, the hashes of the complete subtrees that this leaf completes. Every
proof is then a handful of look-ups: a node (level, number) covers the 2**level leaves from number << level on.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from policies.evidence.verify import leaf_hash, node_hash

HASH_BYTES = 32


class Node(NamedTuple):
    """A complete subtree."""

    level: int
    number: int

    @property
    def completed_by(self) -> int:
        """Index of the leaf that completes it: with that leaf its hash is stored, as the `level`th, from 0."""
        return ((self.number + 1) << self.level) - 1


class Range(NamedTuple):
    """The leaves from `start` to `end`, not included: one subtree, complete or at the right edge of the tree."""

    start: int
    end: int

    def nodes(self) -> list[Node]:
        """The complete subtrees that it consists of, left to right."""
        found: list[Node] = []
        start = self.start
        while start < self.end:
            level = (self.end - start).bit_length() - 1
            found.append(Node(level, start >> level))
            start += 1 << level
        return found


Hashes = Callable[[Node], bytes]


def peaks(size: int) -> list[Node]:
    """The largest complete subtrees of a tree, left to right: all that its growth needs."""
    return Range(0, size).nodes()


def completed(leaf: bytes, index: int, hashes: Hashes) -> list[bytes]:
    """What is stored with the leaf `leaf` at `index`: its hash, then those of the subtrees that it completes, upwards.

    `hashes` gives the peaks of the tree of `index` leaves.
    """
    found = [leaf_hash(leaf)]
    while index >> (len(found) - 1) & 1:
        level = len(found) - 1
        found.append(node_hash(hashes(Node(level, (index >> level) - 1)), found[-1]))
    return found


def fold(part: Range, hashes: Hashes) -> bytes:
    """The hash of a subtree."""
    return reduce(lambda right, left: node_hash(left, right), [hashes(node) for node in reversed(part.nodes())])


def inclusion(index: int, size: int) -> list[Range]:
    """The subtrees whose hashes prove that leaf `index` is in the tree of `size` leaves (RFC 9162, 2.1.3.1).

    Raises ValueError unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} in a tree of {size}")
    path: list[Range] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            path.append(Range(middle, end))
            end = middle
        else:
            path.append(Range(start, middle))
            start = middle
    return path[::-1]


def consistency(first: int, second: int) -> list[Range]:
    """The subtrees whose hashes prove that the tree of `second` leaves begins with that of `first` (RFC 9162, 2.1.4.1).

    Nothing has to be proved of the empty tree, or of a tree and itself. Raises ValueError unless 0 <= first <= second.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves does not begin with one of {first}")
    if first in (0, second):
        return []
    path: list[Range] = []
    start, end, known = 0, second, True
    while first != end:
        middle = start + _largest_power_below(end - start)
        if first <= middle:
            path.append(Range(middle, end))
            end = middle
        else:
            path.append(Range(start, middle))
            start, known = middle, False
    return ([] if known else [Range(start, end)]) + path[::-1]


def _largest_power_below(number: int) -> int:
    return 1 << (number - 1).bit_length() - 1


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the tree of `second` leaves begins with the tree of `first` leaves, not none (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    path = [*([first_root] if first.bit_count() == 1 else []), *proof]
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root
