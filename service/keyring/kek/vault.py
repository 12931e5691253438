"""A key-encryption key in the transit engine of HashiCorp Vault or OpenBao: `vault:ADDRESS/KEY`.

The key must be made with `derived=true`: then Vault derives the key that really encrypts from the context, decryption
under another context fails, and Vault's own rewrap keeps the binding. (Rewrapping drops associated data, so the context
cannot be sent as that.)

The token comes from VAULT_TOKEN or `~/.vault-token`, the namespace from VAULT_NAMESPACE, a private certificate
authority from VAULT_CACERT. The token needs `update` on `transit/encrypt/KEY`, `transit/decrypt/KEY` and, to rotate in
place, `transit/rewrap/KEY`.
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from service.keyring.errors import KekError
from service.keyring.kek.protocol import UnwrapError
from service.keyring.kek.remote import CONNECT_S, READ_S, KekUnavailableError, RemoteKek, optional_module

_FORM: Final = "write `vault:https://HOST:8200/KEY`, or `.../MOUNT/KEY` where transit is mounted elsewhere"
_MOUNT: Final = "transit"
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_PREFIX: Final = b"vault:v"
# What Vault answers with 400 when there is no such key, as opposed to a ciphertext that is not its own.
_NO_SUCH_KEY: Final = ("encryption key not found", "no handler for route", "unsupported path")


class VaultKek(RemoteKek):
    """A derived key of Vault transit."""

    def __init__(self, url: str) -> None:
        address, self._mount, self._key = _parts(url)
        super().__init__(f"Vault key `{self._mount}/{self._key}` at `{address}`")
        self._errors = optional_module("hvac.exceptions", extra="vault")
        self._network_errors = optional_module("requests.exceptions", extra="vault").RequestException
        hvac = optional_module("hvac", extra="vault")
        self._client = hvac.Client(
            url=address,
            namespace=os.environ.get("VAULT_NAMESPACE"),
            verify=os.environ.get("VAULT_CACERT") or True,
            timeout=(CONNECT_S, READ_S),
            allow_redirects=False,
        )
        self._read_token = hvac.utils.get_token_from_env

    def _wrap(self, key: bytes, context: bytes) -> bytes:
        transit = self._client.secrets.transit
        data = self._call(transit.encrypt_data, plaintext=_text(key), context=_text(context))
        return str(data["ciphertext"]).encode("ascii")

    def _unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        data = self._call(
            self._client.secrets.transit.decrypt_data, ciphertext=_ciphertext(wrapped), context=_text(context)
        )
        return b64decode(data["plaintext"])

    def _rewrap(self, wrapped: bytes, context: bytes) -> bytes:
        data = self._call(
            self._client.secrets.transit.rewrap_data, ciphertext=_ciphertext(wrapped), context=_text(context)
        )
        return str(data["ciphertext"]).encode("ascii")

    def _call(self, operation: Callable[..., dict[str, Any]], **arguments: object) -> dict[str, Any]:
        try:
            return operation(self._key, mount_point=self._mount, **arguments)["data"]
        except self._errors.InvalidRequest as error:
            self._refuse(str(error))
            raise UnwrapError from None
        except self._errors.InvalidPath:
            raise KekError(f"there is no key `{self._mount}/{self._key}` in this Vault") from None
        except self._errors.Forbidden:
            # An agent may have renewed the token meanwhile.
            self._client.token = self._read_token() or self._client.token
            raise KekUnavailableError("it refuses our token") from None
        except (self._errors.VaultError, self._network_errors) as error:
            raise KekUnavailableError(type(error).__name__) from None

    def _refuse(self, message: str) -> None:
        if any(sign in message for sign in _NO_SUCH_KEY):
            raise KekError(f"there is no key `{self._mount}/{self._key}` in this Vault")


def _parts(url: str) -> tuple[str, str, str]:
    """The address, mount and name of the key in `vault:ADDRESS/MOUNT/KEY`."""
    try:
        parts = urlsplit(url.removeprefix("vault:"))
        authority = f"{parts.hostname}:{parts.port or 8200}" if ":" not in (parts.hostname or "") else parts.netloc
    except ValueError:
        raise KekError(f"this is no address of a Vault: {_FORM}") from None
    *mount, key = parts.path.strip("/").split("/")
    if parts.scheme not in ("https", "http") or not parts.hostname or not key or parts.query or "@" in parts.netloc:
        # The address is not repeated in the message: it may hold a password.
        raise KekError(f"this is no address of a Vault: {_FORM}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise KekError("a Vault is asked without encryption on this host only: write `vault:https://...`")
    return f"{parts.scheme}://{authority}", "/".join(mount) or _MOUNT, key


def _ciphertext(wrapped: bytes) -> str:
    if not wrapped.startswith(_PREFIX) or not wrapped.isascii():
        raise UnwrapError
    return wrapped.decode("ascii")


def _text(content: bytes) -> str:
    return b64encode(content).decode("ascii")
