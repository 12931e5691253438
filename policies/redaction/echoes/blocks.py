"""Where a content and a text share a block: eight bytes that start at a multiple of eight in the content."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count
from typing import Final, TypeVar

BLOCK_BYTES: Final = 8
PIECE: Final = 8192
"""Items that one call of C works at: no other thread runs meanwhile."""

_FEW_BLOCKS: Final = 4
_Item = TypeVar("_Item")


def pieces(items: Sequence[_Item]) -> Iterable[Sequence[_Item]]:
    """The items, so many at a time that other threads have their turn in between."""
    if len(items) <= PIECE:
        return (items,)
    return (items[at : at + PIECE] for at in range(0, len(items), PIECE))


def candidates(data: bytes, content: bytes) -> Iterator[int]:
    """Where one of the content's blocks is in the text.

    A block is a number of eight bytes, which is quicker to make and to compare than a string.
    To make a set takes longer than to ask one, so it is made of the side that has the fewer blocks.
    """
    own = _numbers_of(data)
    size = len(content) // BLOCK_BYTES
    if size < len(own):
        numbers = struct.unpack(f"{size}Q", content)
        places = _positions(numbers, _shared(_set_of(numbers), own))
    else:
        places = _positions_of_many(memoryview(content).cast("Q"), _set_of(own))
    for place in places:
        yield place * BLOCK_BYTES


def _positions(numbers: tuple[int, ...], blocks: set[int]) -> Iterator[int]:
    """Where `numbers` are among `blocks`, all of which are there."""
    if len(blocks) > _FEW_BLOCKS:
        yield from _positions_of_many(numbers, blocks)
        return
    for block in blocks:
        place = -1
        for _ in range(numbers.count(block)):
            place = numbers.index(block, place + 1)
            yield place


def _positions_of_many(numbers: Sequence[int], blocks: set[int]) -> Iterator[int]:
    first = 0
    for some in pieces(numbers):
        if not blocks.isdisjoint(some):
            yield from compress(count(first), map(blocks.__contains__, some))
        first += PIECE


def _numbers_of(data: bytes) -> Sequence[int]:
    """The blocks that begin at each place of `data`, in no order."""
    size = len(data)
    if size > PIECE:
        numbers: list[int] = []
        for shift in range(BLOCK_BYTES):
            numbers += struct.unpack_from(f"{(size - shift) // BLOCK_BYTES}Q", data, shift)
        return numbers
    shifted = b"".join([data[shift : size - (size - shift) % BLOCK_BYTES] for shift in range(BLOCK_BYTES)])
    return struct.unpack(f"{len(shifted) // BLOCK_BYTES}Q", shifted)


def _set_of(numbers: Sequence[int]) -> set[int]:
    if len(numbers) <= PIECE:
        return set(numbers)
    found: set[int] = set()
    for some in pieces(numbers):
        found.update(some)
    return found


def _shared(blocks: set[int], numbers: Sequence[int]) -> set[int]:
    """Those of `blocks` that are among `numbers`."""
    if len(numbers) <= PIECE:
        return blocks.intersection(numbers)
    found: set[int] = set()
    for some in pieces(numbers):
        found |= blocks.intersection(some)
    return found
