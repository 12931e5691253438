"""How much a token looks like chance rather than like words: the gate of every rule without a fixed shape.

A token is priced by a character-pair model: bits that each character costs after the one before it.
Words, identifiers and paths cost about 3.5 bits a character, generated keys 5 and more.
"""

import math
from collections import Counter
from functools import lru_cache
from operator import getitem

# Bits (rounded, 9 = rare) that a letter costs after another, a row per first letter, a column per second;
# counted over identifiers and prose of Python's own library.
_PAIRS = [
    "85448759597343949343677769",
    "36563688458377369446499949",
    "38673793594478279463589969",
    "36652678288577479546588979",
    "47436569798453756234867579",
    "47664389299477379455499969",
    "48772754499564579346488978",
    "28872898398667389564599969",
    "56455659998452359544959695",
    "39672789496797369738397979",
    "47651657399475567636585969",
    "38752799398387369855579949",
    "25862899398657339856599969",
    "48433538496686479843569979",
    "66448669696442549354465799",
    "38773775498388349354598959",
    "68778999899387776657088999",
    "38552769396656379444568959",
    "58472774396677447742487959",
    "38672794399678469345587948",
    "54564669599343649343899999",
    "28691879399777589778979999",
    "26663784398684379347897799",
    "57363586399668639752778558",
    "56554778599454529633776877",
    "37771697399668479757797966",
]

_DIGIT, _LOWER, _UPPER, _OTHER = range(4)


def _class_of(byte: int) -> int:
    if 0x30 <= byte <= 0x39:
        return _DIGIT
    if 0x61 <= byte <= 0x7A:
        return _LOWER
    return _UPPER if 0x41 <= byte <= 0x5A else _OTHER


_CLASSES = bytes(map(_class_of, range(256)))


# Bits for crossing from one class of character to another (rows: from, columns: to).
_CROSSING = (
    (3, 6, 6, 2),  # a digit, then digit, lower, upper, other
    (5, 0, 4, 2),
    (5, 0, 0, 2),
    (3, 3, 3, 1),
)
_UPPER_TO_LOWER_BITS = 1


def _prices_after(first: int) -> bytes:
    """What each byte costs after `first`."""
    a = _CLASSES[first]
    prices = bytearray(_CLASSES.translate(bytes(_CROSSING[a]).ljust(256)))
    if a in (_LOWER, _UPPER):
        pairs = bytes(map(int, _PAIRS[(first | 0x20) - 0x61]))
        own = 0x61 if a == _LOWER else 0x41
        prices[own : own + 26] = pairs
        if a == _UPPER:
            prices[0x61:0x7B] = bytes(_UPPER_TO_LOWER_BITS + bits for bits in pairs)
    return bytes(prices)


_PRICES = tuple(map(_prices_after, range(256)))


def bits_per_char(token: bytes) -> float:
    """Mean bits of a character of `token` under the pair model; 0.0 for less than two characters."""
    if len(token) < 2:
        return 0.0
    return sum(map(getitem, map(_PRICES.__getitem__, token), token[1:])) / (len(token) - 1)


def entropy(token: bytes) -> float:
    """Shannon entropy of the bytes of `token`, in bits per byte."""
    total = len(token)
    return math.log2(total) - sum([_weight(number) for number in Counter(token).values()]) / total if total else 0.0


def has_entropy(token: bytes, floor: float) -> bool:
    """Whether the entropy of `token` is `floor` bits per byte or more; mostly the number of different bytes tells."""
    return len(set(token)) >= _telling(len(token), floor) or entropy(token) >= floor


@lru_cache(maxsize=4096)
def _telling(total: int, floor: float) -> int:
    """The number of different bytes from which on every token of `total` bytes has the entropy `floor`."""
    for different in range(1, min(total, 256) + 1):
        # no token with as many different bytes has less than one that repeats a single byte as often as it can
        if math.log2(total) - _weight(total - different + 1) / total >= floor:
            return different
    return total + 1  # none tells


@lru_cache(maxsize=4096)
def _weight(number: int) -> float:
    """What a byte that occurs `number` times takes off the entropy of its token, times the token's length."""
    return number * math.log2(number)
