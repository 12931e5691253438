"""A bounded, short-lived cache of unwrapped keys in memory."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

CACHE_SECONDS_MAX: Final = 300.0
CACHE_KEYS_MAX: Final = 16_384
_SWEEP_SECONDS: Final = 60.0


class KeyCache:
    """A bounded map from key name to key that drops the least used entry, and every entry at the end of its age.

    `generation` rises whenever something is forgotten, so that a key fetched before is not put in afterwards.
    """

    def __init__(
        self,
        *,
        keys_max: int = CACHE_KEYS_MAX,
        seconds_max: float = CACHE_SECONDS_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._entries: OrderedDict[Hashable, tuple[float, bytes]] = OrderedDict()
        self._keys_max = keys_max
        self._seconds_max = seconds_max
        self._clock = clock
        self._swept_at = clock()
        self.generation = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, name: Hashable) -> bytes | None:
        """The key, if it is in the cache and young enough; else None."""
        now = self._clock()
        if now - self._swept_at >= _SWEEP_SECONDS:
            self._sweep(now)
        entry = self._entries.get(name)
        if entry is None or now >= entry[0]:
            return None
        self._entries.move_to_end(name)
        return entry[1]

    def put(self, name: Hashable, key: bytes, *, generation: int) -> None:
        """Keep a key that was fetched in `generation`; one from an older generation is not kept."""
        if generation != self.generation:
            return
        self._entries[name] = (self._clock() + self._seconds_max, key)
        self._entries.move_to_end(name)
        while len(self._entries) > self._keys_max:
            self._entries.popitem(last=False)

    def forget(self, name: Hashable) -> None:
        """Drop one key."""
        self.generation += 1
        self._entries.pop(name, None)

    def clear(self) -> None:
        """Drop all keys."""
        self.generation += 1
        self._entries.clear()

    def _sweep(self, now: float) -> None:
        # Without this, a key that is not used again would stay until it is the least used of `keys_max`.
        self._swept_at = now
        for name in [name for name, entry in self._entries.items() if now >= entry[0]]:
            del self._entries[name]
