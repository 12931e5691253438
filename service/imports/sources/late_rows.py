"""How far a source was read whose rows come in later than the time that they are about: a call has its row when it has
ended, under the time at which it began.

A cursor is that time, in milliseconds since 1970, and when late rows were looked for at last. Whoever comes back reads
the last quarter of an hour again, and once an hour two hours: calls that take longer than that are few.
"""

from dataclasses import dataclass, replace
from typing import Final

_SHORT_MS: Final = 900_000
_LONG_MS: Final = 7_200_000
_LOOK_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class TimeCursor:
    """All before `reached` was read, but for what came in too late; up to `looked` that was, too."""

    reached: int
    looked: int = 0

    @classmethod
    def of(cls, text: str) -> "TimeCursor":
        """What `str` makes of a cursor, read back."""
        reached, _, looked = text.partition(" ")
        return cls(int(reached), int(looked or 0))

    def __str__(self) -> str:
        return f"{self.reached} {self.looked}"

    def at(self, reached: int) -> "TimeCursor":
        """The cursor once more was read."""
        return replace(self, reached=reached)

    def again(self) -> "TimeCursor":
        """Where to begin in order to find what was late."""
        if self.reached - self.looked < _LOOK_MS:
            return self.at(max(0, self.reached - _SHORT_MS))
        return TimeCursor(max(0, self.reached - _LONG_MS), self.reached)
