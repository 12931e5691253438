"""Where a content and a text share a block: eight bytes that start at a multiple of eight in the content."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, count
from typing import Final, TypeVar

BLOCK_BYTES: Final = 8
PIECE: Final = 8192
"""Items that one call of C works at: no other thread runs meanwhile."""

_FEW_BLOCKS: Final = 4
_LITTLE_WORK: Final = 2**15
"""Blocks times bytes up to which it is quicker to look for block after block than to make numbers."""
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
    size = len(content) // BLOCK_BYTES
    if size * len(data) <= _LITTLE_WORK:
        yield from [at for at in range(0, len(content), BLOCK_BYTES) if content[at : at + BLOCK_BYTES] in data]
        return
    own = _numbers_of(data)
    if size < len(own):
        content_blocks = struct.unpack(f"{size}Q", content)
        positions = _positions(content_blocks, _shared(_set_of(content_blocks), own))
    else:
        positions = _positions_of_many(memoryview(content).cast("Q"), _set_of(own))
    for position in positions:
        yield position * BLOCK_BYTES


def _positions(content_blocks: tuple[int, ...], blocks: set[int]) -> Iterator[int]:
    """Where `content_blocks` are among `blocks`, all of which are there."""
    if len(blocks) > _FEW_BLOCKS:
        yield from _positions_of_many(content_blocks, blocks)
        return
    for block in blocks:
        position = -1
        for _ in range(content_blocks.count(block)):
            position = content_blocks.index(block, position + 1)
            yield position


def _positions_of_many(content_blocks: Sequence[int], blocks: set[int]) -> Iterator[int]:
    first = 0
    for some in pieces(content_blocks):
        if not blocks.isdisjoint(some):
            yield from compress(count(first), map(blocks.__contains__, some))
        first += PIECE


def _numbers_of(data: bytes) -> Sequence[int]:
    """The blocks that begin at each position of `data`, in no order."""
    size = len(data)
    if size > PIECE:
        content_blocks: list[int] = []
        for shift in range(BLOCK_BYTES):
            content_blocks += struct.unpack_from(f"{(size - shift) // BLOCK_BYTES}Q", data, shift)
        return content_blocks
    shifted = b"".join([data[shift : size - (size - shift) % BLOCK_BYTES] for shift in range(BLOCK_BYTES)])
    return struct.unpack(f"{len(shifted) // BLOCK_BYTES}Q", shifted)


def _set_of(content_blocks: Sequence[int]) -> set[int]:
    if len(content_blocks) <= PIECE:
        return set(content_blocks)
    found: set[int] = set()
    for some in pieces(content_blocks):
        found.update(some)
    return found


def _shared(blocks: set[int], content_blocks: Sequence[int]) -> set[int]:
    """Those of `blocks` that are among `content_blocks`."""
    if len(content_blocks) <= PIECE:
        return blocks.intersection(content_blocks)
    found: set[int] = set()
    for some in pieces(content_blocks):
        found |= blocks.intersection(some)
    return found
