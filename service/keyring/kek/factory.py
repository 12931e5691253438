"""Key-encryption keys: what wraps the keys of a keyring. One small protocol, and which kind an address names."""

from typing import Final, Protocol

from service.keyring.errors import KekAddressError

FORMS: Final = "`file:PATH`, `aws:KEY_ARN`, `vault:ADDRESS/KEY` or `gcp:RESOURCE`"


class UnwrapError(Exception):
    """Not wrapped by this key for this context, or altered since."""


class Kek(Protocol):
    """Wraps 32-byte keys. It is never destroyed here: its owner does that, where it lives.

    Every method but `describe` may raise `KeyringUnavailableError` when the key's home is away or refuses us for now,
    and `KekError` when there is no such key.
    """

    def describe(self) -> str:
        """What it is, in words for `status`; never a secret."""
        ...

    async def wrap(self, key: bytes, *, context: bytes) -> bytes:
        """`key` wrapped, and bound to `context`."""
        ...

    async def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The key in `wrapped`; `UnwrapError` if key-encryption key, context or any bit differ."""
        ...

    async def rewrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """The same key under the newest version of the key-encryption key; where that can, without showing it."""
        ...


async def open_kek(url: str, *, salt: bytes) -> Kek:
    """The key-encryption key at `url`. `salt`: the keyring's own 16 bytes, for passphrases.

    `KekError` if the address is of no known kind, a file is absent or unfit, or the kind's package is not installed;
    `KeyringExposedError` if everyone can read the file. A key that lives elsewhere is not asked yet.
    """
    # Each kind brings its own package, which only those who use it have to install and wait for.
    match url.partition(":")[0]:
        case "file":
            from service.keyring.kek.file import open_file_kek

            return await open_file_kek(url, salt=salt)
        case "aws":
            from service.keyring.kek.aws_kms import AwsKek

            return AwsKek(url)
        case "vault":
            from service.keyring.kek.vault import VaultKek

            return VaultKek(url)
        case "gcp":
            from service.keyring.kek.gcp_kms import GcpKek

            return GcpKek(url)
    raise KekAddressError(f"a key-encryption key is named as {FORMS}")


def is_local(url: str) -> bool:
    """Whether the key-encryption key is a file of this host, which is never away."""
    return url.startswith("file:")
