"""Blocks of the feed that an earlier check found right: one that has not changed is not checked again."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, LiteralString, Protocol

import msgspec

BLOCK: Final = 100_000
"""The positions of a block. The last one, which still grows, is checked each time."""
DIGEST: Final[LiteralString] = """
SELECT count(*) || ' ' || coalesce(sum(hash_record_extended(change, $3::bigint)), 0) FROM call_change AS change
WHERE position > $1 AND position <= $2
"""
"""The state of a block of the feed."""


class FeedMemory(Protocol):
    """Where results of earlier checks are kept."""

    @property
    def seed(self) -> int:
        """The seed of hashes: unknown to others, and the same each time."""
        ...

    async def recall(self, part: str, state: str) -> str | None:
        """What was kept of the part in this state; None if nothing was, or it counts no more."""
        ...

    async def keep(self, part: str, state: str, result: str) -> None:
        """Keep the result of a part in which nothing is wrong."""
        ...

    async def calls_state(self, tier: int, since: datetime, until: datetime) -> str:
        """The state of the calls of a tier that started in this time, both ends included."""
        ...


@dataclass(slots=True)
class Block:
    """What was found of a block of the feed in which nothing was wrong.

    `reached`: its last position that has a row; `newest`: when that was recorded; `in_files`: changes whose calls are;
    `gone`: positions without a row, the last of them in `gaps`, as (after, until); `calls`: by tier, the first and last
    start of the calls that it leads to, and their state.
    """

    reached: int = 0
    newest: datetime | None = None
    changes: int = 0
    in_files: int = 0
    gone: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    calls: dict[int, tuple[datetime, datetime, str]] = field(default_factory=dict[int, tuple[datetime, datetime, str]])

    def text(self) -> str:
        """The block as JSON."""
        return msgspec.json.encode(self).decode()


def block_of(text: str) -> Block:
    """The block that `Block.text` wrote."""
    return msgspec.json.decode(text, type=Block)
