"""The key-encryption key in a file of this host: `file:PATH`, 32 random bytes or a passphrase."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from service.keyring.errors import KekError, KeyringExposedError
from service.keyring.kek.protocol import UnwrapError
from service.keyring.stores.private_files import path_of_url, publish

KEY_BYTES: Final = 32
PASSPHRASE_CHARACTERS_MIN: Final = 12
_FILE_BYTES_MAX: Final = 4096
_NONCE_BYTES: Final = 12
# scrypt (RFC 7914) with OWASP's first choice of parameters: 128 MiB, used once at the start.
_SCRYPT_N: Final = 2**17
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1


class LocalKek:
    """AES-256-GCM under a key in this process's memory. A random nonce is safe for 2**32 wraps (SP 800-38D, 8.3)."""

    def __init__(self, key: bytes, description: str) -> None:
        if len(key) != KEY_BYTES:
            raise KekError("a key-encryption key must be 32 bytes")
        self._aead = AESGCM(key)
        self._description = description

    def describe(self) -> str:
        """Which file the key or passphrase is in, for `status`."""
        return self._description

    async def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """The 12-byte nonce and the ciphertext with its 16-byte tag; `context` is authenticated."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, key, context)

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The key that `wrap` was given. `UnwrapError` if context or any bit differ."""
        try:
            return self._aead.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise UnwrapError from None

    async def rewrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The same key under a new nonce. `UnwrapError` as `unwrap`."""
        return await self.wrap(await self.unwrap(wrapped, context=context), context=context)


async def open_file_kek(url: str, *, salt: bytes) -> LocalKek:
    """The key-encryption key at `url`. `salt`: the keyring's own 16 bytes, for passphrases.

    `file:PATH` holds either 32 random bytes or one line of text, a passphrase of 12 characters or more. `KekError` if
    it is absent or neither; `KeyringExposedError` if everyone can read it.
    """
    path = path_of_url(url)
    if path is None:
        raise KekError("a key-encryption key is named as `file:PATH`")
    content = await asyncio.to_thread(_read, path)
    if _is_passphrase(content):
        return LocalKek(await asyncio.to_thread(_stretch, content, salt, path), f"passphrase in `{path}`")
    if len(content) == KEY_BYTES:
        return LocalKek(content, f"key in `{path}`")
    raise KekError(
        f"`{path}` holds neither 32 random bytes nor a passphrase in one line of text: write one of them there"
    )


def create_kek_file(path: Path) -> bool:
    """Write 32 random bytes to `path`, mode 0600, unless a file exists there. Returns whether it was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = os.urandom(KEY_BYTES)
    while _is_passphrase(key):
        key = os.urandom(KEY_BYTES)
    return publish(path, key, scratch=path.parent)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KekError(f"the key-encryption key `{path}` cannot be read: {error.strerror}") from None
    # Refused: reading by others and writing by group or others. A group may read, as with mounted secrets.
    if stat.S_ISREG(mode) and mode & 0o026:
        raise KeyringExposedError(f"others can read or change `{path}`: chmod 600 it, and consider the key known")
    if len(content) > _FILE_BYTES_MAX:
        raise KekError(f"`{path}` is too long for a key or a passphrase")
    return content


def _is_passphrase(content: bytes) -> bool:
    # Random bytes that are printable text would be taken for a passphrase: `create_kek_file` writes none such.
    try:
        text = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return False
    return bool(text) and text.isprintable()


def _stretch(content: bytes, salt: bytes, path: Path) -> bytes:
    passphrase = content.decode().rstrip("\r\n")
    if len(passphrase) < PASSPHRASE_CHARACTERS_MIN:
        raise KekError(
            f"the passphrase in `{path}` is shorter than {PASSPHRASE_CHARACTERS_MIN} characters: use a longer one"
        )
    return Scrypt(salt=salt, length=KEY_BYTES, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P).derive(passphrase.encode())
