"""Google Cloud KMS as far as calledger asks it, over gRPC: encrypt and decrypt with additional authenticated data."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud.kms_v1.types import DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse

SERVICE = "google.cloud.kms.v1.KeyManagementService"


class GoogleKmsServer:
    """A KMS on a free port of this host. `keys` maps a resource's name to its key."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.disabled: set[str] = set()
        self.port = 0
        self.start()

    def start(self) -> None:
        self._threads = ThreadPoolExecutor(4)
        self._server = grpc.server(self._threads)
        handlers = {
            "Encrypt": grpc.unary_unary_rpc_method_handler(
                self._encrypt, EncryptRequest.deserialize, EncryptResponse.serialize
            ),
            "Decrypt": grpc.unary_unary_rpc_method_handler(
                self._decrypt, DecryptRequest.deserialize, DecryptResponse.serialize
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()
        self._threads.shutdown()

    def _cipher(self, name: str, context: Any) -> AESGCM:
        if name not in self.keys:
            context.abort(grpc.StatusCode.NOT_FOUND, f"CryptoKey {name} not found.")
        if name in self.disabled:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{name}/cryptoKeyVersions/1 is not enabled")
        return AESGCM(self.keys[name])

    def _encrypt(self, request: EncryptRequest, context: Any) -> EncryptResponse:
        nonce = os.urandom(12)
        cipher = self._cipher(request.name, context)
        sealed = nonce + cipher.encrypt(nonce, request.plaintext, request.additional_authenticated_data)
        return EncryptResponse(name=f"{request.name}/cryptoKeyVersions/1", ciphertext=sealed)

    def _decrypt(self, request: DecryptRequest, context: Any) -> DecryptResponse:
        cipher = self._cipher(request.name, context)
        nonce, sealed = request.ciphertext[:12], request.ciphertext[12:]
        try:
            return DecryptResponse(plaintext=cipher.decrypt(nonce, sealed, request.additional_authenticated_data))
        except (InvalidTag, ValueError):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Decryption failed: the ciphertext is invalid.")
