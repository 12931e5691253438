"""The keyring in a directory: `file:DIR`. One host, any number of processes.

A key is a file: the format's number (1 byte), the id of the key-encryption key (8 bytes), the wrapped key. Its wrapping
is bound to the keyring's id and the key's name, so that files cannot stand in for one another.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn, ParamSpec, TypeVar
from uuid import UUID, uuid4

from service.keyring.cache import KeyCache
from service.keyring.disk import erase, locked, make_directory, publish, read_private, sync_directory
from service.keyring.errors import (
    KekError,
    KeyDamagedError,
    KeyDestroyedError,
    KeyLostError,
    KeyringForeignError,
    KeyringUnavailableError,
)
from service.keyring.kek import KEK_ID_BYTES, Kek, UnwrapError, open_kek
from service.keyring.layout import SALT_BYTES, Layout, Metadata
from service.keyring.names import AccountKeyName, HoldKeyName, KeyName, PeriodKeyName, parse_name
from service.keyring.protocol import SECRETS, KeyCounts, KeyringCounts
from service.keyring.tombstones import Tombstones

_FORMAT: Final = b"\x01"
_KEY_BYTES: Final = 32
_HEADER_BYTES: Final = len(_FORMAT) + KEK_ID_BYTES
_CHECK: Final = b"calledger keyring check value v1"

P = ParamSpec("P")
R = TypeVar("R")


async def open_file_keyring(root: Path, kek_url: str, *, create: bool) -> "FileKeyring":
    """The keyring in the directory `root`; made there first if absent and `create`.

    `KeyringMissingError`, `KeyringDamagedError`, `KeyringExposedError` and `KekError` as their names say. A destruction
    that a crash cut short is finished before anything else.
    """
    layout = Layout(root)
    if create and not await _in_thread(layout.exists):
        await _create(layout, kek_url)
    metadata = await _in_thread(layout.metadata)
    kek = await open_kek(kek_url, salt=metadata.salt)
    try:
        check = await kek.unwrap(metadata.check, context=_context(metadata.id, "check"))
    except UnwrapError:
        check = b""
    if check != _CHECK:
        raise KekError(f"the key-encryption key does not open the keyring `{root}`: is it the one it was made with?")
    tombstones = await _in_thread(Tombstones, layout.tombstones_path)
    keyring = FileKeyring(layout, metadata, kek, tombstones)
    await keyring.recover()
    return keyring


class FileKeyring:
    """A `Keyring` in a directory. Made by `open_file_keyring`; belongs to one event loop."""

    def __init__(self, layout: Layout, metadata: Metadata, kek: Kek, tombstones: Tombstones) -> None:
        self._layout = layout
        self._id = metadata.id
        self._kek = kek
        self._tombstones = tombstones
        self._cache = KeyCache()
        self._fetching: dict[tuple[KeyName, bool], asyncio.Task[bytes]] = {}

    @property
    def id(self) -> UUID:
        return self._id

    def describe(self) -> str:
        return f"files in `{self._layout.root}`, wrapped by {self._kek.describe()}"

    async def bind(self, database_id: UUID) -> None:
        bound = await _in_thread(self._bind, database_id)
        if bound != str(database_id):
            raise KeyringForeignError(
                f"the keyring `{self._layout.root}` belongs to database `{bound}`, not to `{database_id}`:"
                " name the keyring of this database"
            )

    async def period_key(self, tier: int, data_class: str, period: str, *, mint: bool) -> bytes:
        return await self._key(PeriodKeyName(tier, data_class, period), mint)

    async def account_key(self, account: int, *, mint: bool) -> bytes:
        return await self._key(AccountKeyName(account), mint)

    async def hold_key(self, hold: UUID, *, mint: bool) -> bytes:
        return await self._key(HoldKeyName(hold), mint)

    async def secret(self, name: str) -> bytes:
        if name not in SECRETS:
            raise ValueError(f"a keyring has no secret `{name}`")
        cached = self._cache.get(name)
        if cached is not None:
            return cached
        generation = self._cache.generation
        content = _read(self._layout.secret_path(name))
        if content is None:
            raise KeyLostError(f"the secret `{name}` is gone: restore it from the keyring's backup")
        key = await self._unwrap(f"secret/{name}", content)
        self._cache.put(name, key, generation=generation)
        return key

    async def destroy_periods(self, keys: Iterable[PeriodKeyName]) -> int:
        return await self._destroy(keys)

    async def destroy_account(self, account: int) -> int:
        return await self._destroy([AccountKeyName(account)])

    async def destroy_hold(self, hold: UUID) -> int:
        return await self._destroy([HoldKeyName(hold)])

    async def tombstones(self) -> list[str]:
        await _in_thread(self._tombstones.refresh)
        return [str(name) for name in self._tombstones.names()]

    async def replay(self, tombstones: Iterable[str]) -> int:
        return await self._destroy([parse_name(text) for text in tombstones])

    async def recover(self) -> int:
        """Finish what a crash cut short. Returns how many destroyed keys still had a file."""
        return await _in_thread(self._erase, self._tombstones.names())

    async def periods(self) -> list[PeriodKeyName]:
        return sorted(await _in_thread(self._live_periods))

    async def counts(self) -> KeyringCounts:
        return await _in_thread(self._counts)

    def forget(self, keys: Iterable[PeriodKeyName] = (), accounts: Iterable[int] = ()) -> None:
        names = [*keys, *(AccountKeyName(account) for account in accounts)]
        for name in names:
            self._cache.forget(name)
        if not names:
            self._cache.clear()

    async def close(self) -> None:
        self._cache.clear()

    async def _key(self, name: KeyName, mint: bool) -> bytes:
        key = self._cache.get(name)
        if key is not None:
            if not self._is_gone(name):
                return key
            self._cache.forget(name)
            self._raise_gone(name)
        task = self._fetching.get((name, mint))
        if task is None:
            task = asyncio.create_task(self._fetch(name, mint))
            self._fetching[name, mint] = task
            task.add_done_callback(lambda done: self._fetched((name, mint), done))
        # One caller that gives up must not take the key from the others that wait for it.
        return await asyncio.shield(task)

    def _fetched(self, request: tuple[KeyName, bool], done: asyncio.Task[bytes]) -> None:
        del self._fetching[request]
        # Looked at here, since those who asked may all have given up.
        if not done.cancelled():
            done.exception()

    async def _fetch(self, name: KeyName, mint: bool) -> bytes:
        parse_name(str(name))
        generation = self._cache.generation
        self._refuse_destroyed(name)
        content = _read(self._layout.key_path(name))
        if content is None and mint:
            content = await self._mint(name)
        if content is None:
            self._raise_gone(name)
        try:
            key = await self._unwrap(str(name), content)
        except KeyDamagedError:
            # Another process that destroys a key overwrites its file first.
            self._refuse_destroyed(name)
            raise
        self._refuse_destroyed(name)
        self._cache.put(name, key, generation=generation)
        return key

    async def _mint(self, name: KeyName) -> bytes | None:
        wrapped = await self._kek.wrap(os.urandom(_KEY_BYTES), context=_context(self._id, str(name)))
        await _in_thread(self._publish, name, _FORMAT + self._kek.id + wrapped)
        return _read(self._layout.key_path(name))

    def _publish(self, name: KeyName, content: bytes) -> None:
        path = Path(self._layout.key_path(name))
        make_directory(path.parent)
        with locked(self._layout.lock_path):
            # Under the lock, so that no key appears after its tombstone.
            self._tombstones.refresh()
            if name not in self._tombstones:
                publish(path, content, scratch=self._layout.root)

    async def _unwrap(self, name: str, content: bytes) -> bytes:
        if content[:1] != _FORMAT or content[1:_HEADER_BYTES] != self._kek.id:
            raise KeyDamagedError(f"the file of key `{name}` is cut, or was wrapped by another key-encryption key")
        try:
            key = await self._kek.unwrap(content[_HEADER_BYTES:], context=_context(self._id, name))
        except UnwrapError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise KeyDamagedError(f"the file of key `{name}` is not what was written: restore it from the backup")
        return key

    async def _destroy(self, names: Iterable[KeyName]) -> int:
        names = [parse_name(str(name)) for name in dict.fromkeys(names)]
        erased = await _in_thread(self._erase, names)
        for name in names:
            self._cache.forget(name)
        return erased

    def _erase(self, names: list[KeyName]) -> int:
        with locked(self._layout.lock_path):
            self._layout.remove_unfinished()
            paths = {name: Path(self._layout.key_path(name)) for name in names}
            self._tombstones.add([(name, path.exists()) for name, path in paths.items()], at=datetime.now(UTC))
            erased = [path for path in paths.values() if erase(path)]
            for directory in {path.parent for path in erased}:
                sync_directory(directory)
        return len(erased)

    def _bind(self, database_id: UUID) -> str:
        with locked(self._layout.lock_path):
            publish(self._layout.database_path, f"{database_id}\n".encode(), scratch=self._layout.root)
        return read_private(self._layout.database_path).decode("ascii", "replace").strip()

    def _refresh(self) -> None:
        try:
            self._tombstones.refresh()
        except OSError as error:
            raise _unavailable(error) from error

    def _refuse_destroyed(self, name: KeyName) -> None:
        self._refresh()
        if name in self._tombstones:
            raise KeyDestroyedError(f"the key `{name}` was destroyed on purpose and is never made again")

    def _is_gone(self, name: KeyName) -> bool:
        # Two system calls for a key from memory: a destruction by another process is noticed at once.
        self._refresh()
        return name in self._tombstones or not os.access(self._layout.key_path(name), os.F_OK)

    def _raise_gone(self, name: KeyName) -> NoReturn:
        self._refuse_destroyed(name)
        raise KeyLostError(f"the key `{name}` is neither in the keyring nor among those that were destroyed")

    def _live_periods(self) -> list[PeriodKeyName]:
        self._tombstones.refresh()
        return [name for name in self._layout.period_keys() if name not in self._tombstones]

    def _counts(self) -> KeyringCounts:
        live = Counter((name.tier, name.data_class) for name in self._live_periods())
        accounts = sum(name not in self._tombstones for name in self._layout.account_keys())
        buried = self._tombstones.destroyed()
        destroyed = Counter((name.tier, name.data_class) for name in buried if isinstance(name, PeriodKeyName))
        return KeyringCounts(
            {group: KeyCounts(live[group], destroyed[group]) for group in sorted(live.keys() | destroyed.keys())},
            KeyCounts(accounts, sum(isinstance(name, AccountKeyName) for name in buried)),
        )


async def _create(layout: Layout, kek_url: str) -> None:
    keyring_id, salt = uuid4(), os.urandom(SALT_BYTES)
    kek = await open_kek(kek_url, salt=salt)
    secrets = {
        name: _FORMAT + kek.id + await kek.wrap(os.urandom(_KEY_BYTES), context=_context(keyring_id, f"secret/{name}"))
        for name in SECRETS
    }
    check = await kek.wrap(_CHECK, context=_context(keyring_id, "check"))
    await _in_thread(layout.create, Metadata(keyring_id, salt, check), secrets)


def _context(keyring_id: UUID, name: str) -> bytes:
    """What a wrapped key is bound to: `\\0\\x10`, the keyring's id, the name's length in 2 bytes, the name."""
    encoded = name.encode()
    return b"".join((b"\x00\x10", keyring_id.bytes, len(encoded).to_bytes(2, "big"), encoded))


def _read(path: Path | str) -> bytes | None:
    try:
        return read_private(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unavailable(error) from error


def _unavailable(error: OSError) -> KeyringUnavailableError:
    return KeyringUnavailableError(f"the keyring cannot be used now: {error.strerror or error}")


async def _in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except OSError as error:
        raise _unavailable(error) from error
