"""Advisory locks of work that changes stored rows: each is taken by one process of a database at a time."""

from typing import Final

PURGE: Final = 0x63616C6C_0004
ERASURE: Final = 0x63616C6C_0016
WITHDRAWAL: Final = 0x63616C6C_0021
COLD: Final = 0x63616C6C_0030
