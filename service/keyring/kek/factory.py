"""Which kind of key-encryption key an address names, and opening it."""

from typing import Final

from service.keyring.errors import KekAddressError
from service.keyring.kek.protocol import Kek

FORMS: Final = "`file:PATH`, `aws:KEY_ARN`, `vault:ADDRESS/KEY` or `gcp:RESOURCE`"


async def open_kek(url: str, *, salt: bytes) -> Kek:
    """The key-encryption key at `url`. `salt`: the keyring's own 16 bytes, for passphrases.

    `KekError` if the address is of no known kind, a file is absent or unfit, or the kind's package is not installed;
    `KeyringExposedError` if everyone can read the file. A remote key is not contacted yet.
    """
    # Imported here: each kind needs a package of its own, which only its users have to install and load.
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
