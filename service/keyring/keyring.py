"""A keyring over any key store: makes keys, unwraps them, and keeps them in a bounded, short-lived cache in memory."""

import asyncio
import os
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable
from typing import Final
from uuid import UUID

from service.keyring import signer_rotation
from service.keyring.errors import (
    KeyDamagedError,
    KeyDestroyedError,
    KeyLostError,
    KeyringError,
    KeyringForeignError,
    KeyringUnavailableError,
)
from service.keyring.names import AccountKeyName, ErasureKeyName, HoldKeyName, KeyName, PeriodKeyName, parse_name
from service.keyring.protocol import SECRETS, BeforeMinting, KeyCounts, KeyringCounts, OnStep, Rotation, nobody_watches
from service.keyring.rotation import pack, rotate
from service.keyring.stores.protocol import KeyStore, StaleKekError
from service.keyring.wrapping import KEY_BYTES, Wrapping

_PUBLISH_TRIES: Final = 5
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


class StoredKeyring:
    """A `Keyring` over a `KeyStore`. Belongs to one event loop."""

    def __init__(self, store: KeyStore, wrapping: Wrapping) -> None:
        self._store = store
        self._wrapping = wrapping
        self._cache = KeyCache()
        self._before_minting: BeforeMinting | None = None
        self._vanished: set[KeyName] = set()
        self._fetching: dict[tuple[KeyName, bool], asyncio.Task[bytes]] = {}
        store.watch(self._cache.clear)

    @property
    def id(self) -> UUID:
        """The keyring's own id, from its metadata."""
        return self._wrapping.metadata.id

    @property
    def unavailable_reason(self) -> None:
        """Always None: this keyring was opened."""
        return None

    def describe(self) -> str:
        """Where the entries are stored and what wraps them, for `status`; no secrets."""
        return f"{self._store.location}, wrapped by {self._wrapping.describe()}"

    async def bind(self, database_id: UUID) -> None:
        """Bind the keyring to one database on first use; `KeyringForeignError` if it has another."""
        bound = await self._store.bind(database_id)
        if bound != str(database_id):
            raise KeyringForeignError(
                f"the keyring {self._store.location} belongs to database `{bound}`, not to `{database_id}`:"
                " name the keyring of this database"
            )

    async def key(self, name: KeyName, *, mint: bool) -> bytes:
        """The 32 bytes of the key of this name, as `Keyring.key`."""
        try:
            return await self._cached_key(name, mint)
        except KeyringError as error:
            # While the service runs, a failing keyring makes sealed fields unreadable, and nothing else.
            raise KeyringUnavailableError(str(error)) from error

    async def check(self) -> None:
        """`KeyringForeignError` if the store now has another keyring; `KekError` if its wrapping key is the
        wrong one.
        """
        if (await self._store.metadata()).id != self.id:
            raise KeyringForeignError(f"another keyring lies at {self._store.location} by now: start the service again")
        await self._wrapping.verify()

    async def secret(self, name: str) -> bytes:
        """One of `SECRETS`, 32 bytes. `KeyLostError` if the store has no such entry, `ValueError` for another name."""
        if name not in SECRETS:
            raise ValueError(f"a keyring has no secret `{name}`")
        cached = self._cache.get(name)
        if cached is not None:
            return cached
        generation = self._cache.generation
        entry = await self._store.read(f"secret/{name}")
        if entry is None:
            raise KeyLostError(f"the secret `{name}` is gone: restore it from the keyring's backup")
        key = await self._wrapping.unwrap(f"secret/{name}", entry)
        self._cache.put(name, key, generation=generation)
        return key

    async def signers(self) -> tuple[bytes, ...]:
        """The seeds of the ledger's signer and, if there is one, of its successor: 32 bytes each."""
        return await signer_rotation.signers(self._store, self._wrapping)

    async def new_successor(self) -> bytes:
        """Make a new successor of the ledger's signer and return its seed, 32 bytes."""
        return await signer_rotation.new_successor(self._store, self._wrapping)

    async def promote_successor(self) -> None:
        """Make the successor the ledger's signer; the old seed is gone from then on."""
        await signer_rotation.promote(self._store, self._wrapping)
        self._cache.forget("signer")

    async def head(self) -> bytes | None:
        """The 32 bytes that were last noted about the ledger; None before the first signature."""
        return await signer_rotation.head(self._store, self._wrapping)

    async def note_head(self, head: bytes) -> None:
        """Replace the 32 bytes that are noted about the ledger."""
        await signer_rotation.note_head(self._store, self._wrapping, head)

    async def destroy(self, names: Iterable[KeyName]) -> int:
        """Destroy these keys for good, whether they exist or not; how many existed."""
        names = [parse_name(str(name)) for name in dict.fromkeys(names)]
        erased = await self._store.destroy(names)
        for name in names:
            self._cache.forget(name)
        return erased

    async def tombstones(self) -> list[str]:
        """The names of all destroyed keys, in the order of their destruction."""
        return [str(name) for name in await self._store.tombstones()]

    async def replay(self, tombstones: Iterable[str]) -> int:
        """Destroy the keys named in `tombstones` again; how many existed. `ValueError` for a text that names no key."""
        return await self.destroy([parse_name(text) for text in tombstones])

    async def periods(self) -> list[PeriodKeyName]:
        """The names of the period keys that exist, sorted by tier, class and period."""
        return sorted(name for name in await self._store.names() if isinstance(name, PeriodKeyName))

    async def names(self) -> list[KeyName]:
        """The names of all keys that exist, without the secrets, in no order."""
        return list(await self._store.names())

    async def counts(self) -> KeyringCounts:
        """How many keys exist and how many were destroyed: by tier and class, of accounts, and of holds."""
        live = Counter(_group(name) for name in await self._store.names())
        tombstones = await self._store.tombstones()
        destroyed = Counter(_group(name) for name, had_key in tombstones.items() if had_key)
        groups = {group for group in live.keys() | destroyed.keys() if isinstance(group, tuple)}
        return KeyringCounts(
            {group: KeyCounts(live[group], destroyed[group]) for group in sorted(groups)},
            KeyCounts(live["account"], destroyed["account"]),
            KeyCounts(live["hold"], destroyed["hold"]),
        )

    async def rotate(self, to: str, *, on_step: OnStep = nobody_watches) -> Rotation:
        """Wrap everything under the key-encryption key at `to`, as `Keyring.rotate`; empties the memory."""
        rotation = await rotate(self._store, self._wrapping, to, on_step)
        self.forget()
        return rotation

    async def pack(self) -> int:
        """Pack the keys that an earlier version stored one by one, as `Keyring.pack`; how many."""
        return await pack(self._store, self._wrapping)

    def before_minting(self, hook: BeforeMinting) -> None:
        """Have `hook` called before a key is made, from now on; it replaces an earlier hook."""
        self._before_minting = hook

    def forget(self, keys: Iterable[PeriodKeyName] = (), accounts: Iterable[int] = ()) -> None:
        """Drop unwrapped keys from memory: the named ones, or all when none is named."""
        names = [*keys, *(AccountKeyName(account) for account in accounts)]
        for name in names:
            self._cache.forget(name)
        if not names:
            self._cache.clear()
            self._wrapping.forget()

    async def close(self) -> None:
        """Drop all keys from memory, cancel lookups that are under way, and close the store."""
        self.forget()
        for task in self._fetching.values():
            task.cancel()
        await self._store.close()

    async def _cached_key(self, name: KeyName, mint: bool) -> bytes:
        key = self._cache.get(name)
        if key is not None:
            if self._store.still_there(name):
                return key
            self._cache.forget(name)
            self._vanished.add(name)
            # There was a key. Whatever happened to it, a new one would not open what it has sealed.
            mint = False
        task = self._fetching.get((name, mint))
        if task is None:
            task = asyncio.create_task(self._fetch(name, mint))
            self._fetching[name, mint] = task
            task.add_done_callback(lambda done: self._fetched((name, mint), done))
        # Shielded: one caller that gives up must not cancel the lookup for the others that wait for it.
        return await asyncio.shield(task)

    def _fetched(self, request: tuple[KeyName, bool], done: asyncio.Task[bytes]) -> None:
        del self._fetching[request]
        # The exception is retrieved here, since all callers may have given up by now.
        if not done.cancelled():
            done.exception()

    async def _fetch(self, name: KeyName, mint: bool) -> bytes:
        parse_name(str(name))
        generation = self._cache.generation
        await self._refuse_destroyed(name)
        entry = await self._store.read(str(name))
        if entry is None and mint:
            entry = await self._mint(name)
        if entry is None:
            await self._refuse_destroyed(name)
            raise KeyLostError(f"the key `{name}` is neither in the keyring nor among those that were destroyed")
        key = await self._unwrap(name, entry)
        await self._refuse_destroyed(name)
        self._cache.put(name, key, generation=generation)
        return key

    async def _unwrap(self, name: KeyName, entry: bytes) -> bytes:
        try:
            return await self._wrapping.unwrap(str(name), entry)
        except KeyDamagedError:
            # Another process that destroys a key overwrites it first; one that writes it may be in the middle of that.
            await self._refuse_destroyed(name)
            again = await self._store.read(str(name))
            if again is None or again == entry:
                raise
            return await self._wrapping.unwrap(str(name), again)

    async def _mint(self, name: KeyName) -> bytes | None:
        if self._before_minting is not None:
            await self._before_minting(name, name in self._vanished)
        self._vanished.discard(name)
        for _ in range(_PUBLISH_TRIES):
            try:
                await self._store.publish(name, await self._wrapping.wrap_key(name, os.urandom(KEY_BYTES)))
            except StaleKekError:
                await self._wrapping.reload()
                continue
            # Read again: when two processes make a key at the same time, both use the one that was stored.
            return await self._store.read(str(name))
        raise KeyringUnavailableError("the keyring is rotated again and again: try again when that has ended")

    async def _refuse_destroyed(self, name: KeyName) -> None:
        if await self._store.is_destroyed(name):
            raise KeyDestroyedError(f"the key `{name}` was destroyed on purpose and is never made again")


def _group(name: KeyName) -> tuple[int, str] | str:
    """Tier and class of a period key; otherwise the kind of thing that has the key."""
    match name:
        case PeriodKeyName(tier, data_class, _):
            return tier, data_class
        case AccountKeyName():
            return "account"
        case HoldKeyName():
            return "hold"
        case ErasureKeyName():
            return "erasure"
