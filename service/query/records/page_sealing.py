"""AES-SIV (RFC 5297) of all positions of a page at once.

A library seals one text at a time, which takes longer than everything else that an edge is made of. Here each step is
taken for all texts together: AES of many blocks is one call, and between the calls is arithmetic on one long integer,
in which every text has a lane of 32 bytes. The result is the library's byte for byte, and is opened by the library.
"""

from binascii import b2a_base64
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

LENGTH: Final = 24
"""Bytes of each text: a position by time, as `ordering.KEY` says."""
URLSAFE: Final = bytes.maketrans(b"+/", b"-_")

_BLOCK: Final = 16
_LANE: Final = 2 * _BLOCK
_PAD: Final = b"\x80".ljust(_LANE - LENGTH, b"\0")
# Two bits of the counter stay zero (RFC 5297, section 2.5): adding to it never carries out of a lane.
_COUNTER_BITS: Final = bytes.fromhex("ffffffff ffffffff 7fffffff 7fffffff")
_SEALED: Final = 54
"""Characters of a sealed text in base64: of a block and its own length."""
_APART: Final = 64
"""Characters from one to the next: of 48 bytes, since base64 goes by three and words have eight."""


class PageSealing:
    """Seals under the two halves of `key`, the first for CMAC and the second for CTR."""

    def __init__(self, key: bytes) -> None:
        half = len(key) // 2
        # ECB is AES itself: block by block, without a state between calls.
        self._mac = Cipher(AES(key[:half]), ECB()).encryptor().update  # noqa: S305 - CMAC and CTR are made of it
        self._stream = Cipher(AES(key[half:]), ECB()).encryptor().update  # noqa: S305
        whole_end = _doubled(self._mac(bytes(_BLOCK)))
        self._ends = whole_end, _doubled(whole_end)
        self._begun = _doubled(self._cmac(bytes(_BLOCK)))

    def seal_all(self, texts: Sequence[bytes], binding: bytes) -> list[str]:
        """Texts of LENGTH bytes, each sealed with `binding` as its associated data; base64 for addresses, unpadded."""
        count = len(texts)
        size = _LANE * count
        plain = int.from_bytes(_PAD.join(texts) + _PAD)
        mixed = bytes(8) + _xor(self._begun, self._cmac(binding)) + bytes(8)
        blocks = plain ^ int.from_bytes(_xor(mixed, bytes(_BLOCK) + self._ends[1]) * count)
        # CMAC: the second block of each lane goes into AES mixed with what became of the first.
        first = int.from_bytes(self._mac(blocks.to_bytes(size)))
        macs = self._mac((blocks ^ first >> 8 * _BLOCK).to_bytes(size))
        counters = int.from_bytes(macs) & _lanes(bytes(_BLOCK) + _COUNTER_BITS, count)
        counters = (counters | counters << 8 * _BLOCK) + _lanes(b"\1".rjust(_LANE, b"\0"), count)
        hidden = (plain ^ int.from_bytes(self._stream(counters.to_bytes(size)))).to_bytes(size)
        written = b2a_base64(_interleaved(macs, hidden, count), newline=False).translate(URLSAFE).decode()
        return [written[start : start + _SEALED] for start in range(0, _APART * count, _APART)]

    def _cmac(self, data: bytes) -> bytes:
        """CMAC of one text (RFC 4493)."""
        cut = max(len(data) - 1, 0) // _BLOCK * _BLOCK
        last = data[cut:]
        whole, padded = self._ends
        last = _xor(last, whole) if len(last) == _BLOCK else _xor((last + b"\x80").ljust(_BLOCK, b"\0"), padded)
        made = bytes(_BLOCK)
        for block in [*(data[start : start + _BLOCK] for start in range(0, cut, _BLOCK)), last]:
            made = self._mac(_xor(made, block))
        return made


def _interleaved(macs: bytes, hidden: bytes, count: int) -> memoryview:
    """48 bytes a lane: its MAC, which is the second block in `macs`, the 24 bytes that are hidden, and 8 of nothing."""
    made = memoryview(bytearray(48 * count)).cast("Q")
    mac, text = memoryview(macs).cast("Q"), memoryview(hidden).cast("Q")
    made[0::6], made[1::6] = mac[2::4], mac[3::4]
    made[2::6], made[3::6], made[4::6] = text[0::4], text[1::4], text[2::4]
    return made


@lru_cache(maxsize=512)
def _lanes(lane: bytes, count: int) -> int:
    return int.from_bytes(lane * count)


def _doubled(block: bytes) -> bytes:
    """Twice the block in the field of 128 bits."""
    number = int.from_bytes(block) << 1
    return (number ^ (1 << 128 | 0x87) if number >> 128 else number).to_bytes(_BLOCK)


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
