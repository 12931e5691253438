"""A key-encryption key in Google Cloud KMS: `gcp:projects/P/locations/L/keyRings/R/cryptoKeys/K`.

Credentials are the application's default ones. The context is sent as additional authenticated data. The caller needs
the role `roles/cloudkms.cryptoKeyEncrypterDecrypter` on the key. `gcp:https://HOST/projects/...` uses a private
endpoint, and `gcp:http://127.0.0.1:PORT/projects/...` an emulator on this host, unencrypted and without credentials.
"""

import re
from typing import Any, Final

from service.keyring.errors import KekError
from service.keyring.kek.protocol import UnwrapError
from service.keyring.kek.remote import READ_S, KekUnavailableError, RemoteKek, optional_module

_RESOURCE: Final = re.compile(
    r"(?:(https?)://([A-Za-z0-9.:\[\]-]+)/)?"
    r"(projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+)"
)
# Without this, a new connection would inherit the waiting time of the one that failed.
_CHANNEL_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)
_LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


class GcpKek(RemoteKek):
    """A symmetric key of Google Cloud KMS."""

    def __init__(self, url: str) -> None:
        match = _RESOURCE.fullmatch(url.removeprefix("gcp:"))
        if match is None:
            raise KekError(
                f"`{url}` is no key of Google Cloud KMS: write"
                " `gcp:projects/P/locations/L/keyRings/R/cryptoKeys/K`, without a version"
            )
        scheme, host, self._resource = match.groups()
        super().__init__(f"Google Cloud KMS key `{self._resource}`")
        self._errors = optional_module("google.api_core.exceptions", extra="gcp")
        self._auth_errors = optional_module("google.auth.exceptions", extra="gcp")
        self._options = (scheme, host)
        self._client_made: Any = None

    def _wrap(self, key: bytes, context: bytes) -> bytes:
        request = {"name": self._resource, "plaintext": key, "additional_authenticated_data": context}
        return self._call("encrypt", request).ciphertext

    def _unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        if not wrapped:
            raise UnwrapError
        request = {"name": self._resource, "ciphertext": wrapped, "additional_authenticated_data": context}
        return self._call("decrypt", request).plaintext

    def _call(self, operation: str, request: dict[str, Any]) -> Any:  # noqa: ANN401 - the package is optional
        try:
            return getattr(self._client(), operation)(request=request, timeout=READ_S, retry=None)
        except self._errors.InvalidArgument:
            raise UnwrapError from None
        except self._errors.NotFound:
            raise KekError(f"there is no key `{self._resource}`") from None
        except self._errors.ServiceUnavailable as error:
            # A connection that failed waits longer before every attempt: start with a new one.
            self._client_made = None
            raise KekUnavailableError(type(error).__name__) from None
        except (self._errors.GoogleAPIError, self._auth_errors.GoogleAuthError) as error:
            raise KekUnavailableError(type(error).__name__) from None

    def _client(self) -> Any:  # noqa: ANN401 - the package is optional
        # Made in the thread that first needs it, since it looks for credentials, which may take a while.
        if self._client_made is None:
            self._client_made = _connect(*self._options)
        return self._client_made


def _connect(scheme: str | None, host: str | None) -> Any:  # noqa: ANN401 - the package is optional
    kms = optional_module("google.cloud.kms_v1", extra="gcp")
    transports = optional_module("google.cloud.kms_v1.services.key_management_service.transports", extra="gcp")
    transport = transports.KeyManagementServiceGrpcTransport
    if scheme == "http" and host is not None:
        if host.rsplit(":", 1)[0] not in _LOOPBACK:
            raise KekError(
                "a key-encryption key is asked without encryption on this host only: write `gcp:https://...`"
            )
        channel = optional_module("grpc", extra="gcp").insecure_channel(host, options=_CHANNEL_OPTIONS)
    else:
        channel = transport.create_channel(host or transport.DEFAULT_HOST, options=_CHANNEL_OPTIONS)
    return kms.KeyManagementServiceClient(transport=transport(channel=channel))
