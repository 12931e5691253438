"""The cache of unwrapped keys, with a clock of the test's own."""

from service.keyring.keyring import KeyCache


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_age() -> None:
    """A key is served for its time and not a moment longer, however often it is used."""
    clock = Clock()
    cache = KeyCache(seconds_max=300, clock=clock)
    cache.put("a", b"key", generation=cache.generation)

    clock.now += 299
    assert cache.get("a") == b"key"
    clock.now += 1
    assert cache.get("a") is None


def test_unused_keys_leave() -> None:
    """A key that nobody asks for again leaves memory when any other key is asked for."""
    clock = Clock()
    cache = KeyCache(seconds_max=300, clock=clock)
    for number in range(5):
        cache.put(f"old-{number}", b"key", generation=cache.generation)
    clock.now += 301

    cache.get("another")

    assert len(cache) == 0


def test_bounded() -> None:
    """Beyond its bound the cache drops the key that was not used for longest."""
    cache = KeyCache(keys_max=2)
    for name in ("a", "b"):
        cache.put(name, name.encode(), generation=cache.generation)
    cache.get("a")

    cache.put("c", b"c", generation=cache.generation)

    assert [cache.get(name) for name in ("a", "b", "c")] == [b"a", None, b"c"]


def test_late_arrival() -> None:
    """A key that was being fetched while keys were forgotten does not come in afterwards."""
    cache = KeyCache()
    generation = cache.generation
    cache.forget("a")

    cache.put("a", b"key", generation=generation)

    assert cache.get("a") is None


def test_clear() -> None:
    """Clearing drops every key, and those under way."""
    cache = KeyCache()
    generation = cache.generation
    cache.put("a", b"key", generation=generation)

    cache.clear()
    cache.put("b", b"key", generation=generation)

    assert len(cache) == 0
