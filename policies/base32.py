"""Base32 of many short values at once (RFC 4648, section 6, in lower case): every id and pseudonym is one.

`base64.b32encode` is a loop in Python. Here the values are one long number, in which five steps move every group of
five bits to a byte of its own, whatever the number's length. docs/performance.md has the figure.
"""

from functools import lru_cache
from typing import Final

AT_ONCE: Final = 64
"""Values that are written at once, at most."""
WIDTH: Final = 40
"""Bytes that each value takes: its last 20 are written, as 32 characters."""
_BEFORE: Final = WIDTH - 32
"""Bytes of a lane before the characters: of a prefix, and of a blank at least, by which the texts are told apart."""
_ALPHABET: Final = b"abcdefghijklmnopqrstuvwxyz234567" + bytes(range(32, 256))


def base32_texts(prefix: str, data: bytes, count: int) -> list[str]:
    """`prefix`, of 7 characters at most, and the 32 characters of each of `count` values, at most AT_ONCE. `data` has
    WIDTH bytes of each, one by one.
    """
    bits = int.from_bytes(data, "big")
    for width, moved, kept in _SPREADS:
        bits = bits & kept | (bits & moved) << width
    bits |= _prefixes(prefix, count)
    return bits.to_bytes(WIDTH * count, "big").translate(_ALPHABET).decode("ascii").split()


@lru_cache(maxsize=4 * AT_ONCE)
def _prefixes(prefix: str, count: int) -> int:
    return int.from_bytes((prefix.rjust(_BEFORE).encode() + bytes(32)) * count, "big")


def _spreads() -> list[tuple[int, int, int]]:
    """Five steps from five bits a group to eight: (distance, what moves, what stays). Group `n` moves by 3n bits, a
    power of two at a time."""
    steps: list[tuple[int, int, int]] = []
    for power in (16, 8, 4, 2, 1):
        offsets = [5 * group + 3 * (group - group % (2 * power)) for group in range(32)]
        masks = [
            sum(31 << offset for group, offset in enumerate(offsets) if bool(group & power) is moved)
            for moved in (True, False)
        ]
        moved, kept = (sum(mask << (8 * WIDTH * index) for index in range(AT_ONCE)) for mask in masks)
        steps.append((3 * power, moved, kept))
    return steps


_SPREADS: Final = _spreads()
