"""Vault's transit engine as far as calledger asks it, over HTTP: derived keys, versions, rewrap, tokens, sealing.

It answers as Vault 1.15 does, errors included; what encrypts is AES-256-GCM under a key that HKDF derives from the
key's version and the context.
"""

import json
import os
import threading
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

TOKEN = "hvs.only-for-tests"


class RefusedError(Exception):
    """An HTTP status and what Vault says with it."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = list(errors)


@dataclass
class TransitKey:
    """A key with its versions, the first being 1."""

    derived: bool = True
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])

    def cipher(self, version: int, context: bytes) -> AESGCM:
        key = self.versions[version - 1]
        if self.derived:
            if not context:
                raise RefusedError(400, "missing 'context' for key derivation; the key was created using a derived key")
            key = HKDF(algorithm=SHA256(), length=32, salt=None, info=context).derive(key)
        return AESGCM(key)

    def encrypt(self, plaintext: bytes, context: bytes) -> str:
        version, nonce = len(self.versions), os.urandom(12)
        sealed = nonce + self.cipher(version, context).encrypt(nonce, plaintext, None)
        return f"vault:v{version}:{b64encode(sealed).decode()}"

    def decrypt(self, ciphertext: str, context: bytes) -> bytes:
        parts = ciphertext.split(":")
        if len(parts) != 3 or parts[0] != "vault" or not parts[1][1:].isdigit():
            raise RefusedError(400, "invalid ciphertext: no prefix")
        version = int(parts[1][1:])
        if not 1 <= version <= len(self.versions):
            raise RefusedError(400, "invalid ciphertext: version is too new")
        try:
            sealed = b64decode(parts[2], validate=True)
            return self.cipher(version, context).decrypt(sealed[:12], sealed[12:], None)
        except (ValueError, InvalidTag):
            raise RefusedError(400, "cipher: message authentication failed") from None


class VaultServer:
    """A Vault on a free port of this host. `sealed` and `token` may change while it runs."""

    def __init__(self) -> None:
        self.keys: dict[str, TransitKey] = {}
        self.sealed = False
        self.token = TOKEN
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        vault = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                try:
                    status, answer = 200, {"data": vault.answer(self.path, self.headers, json.loads(content))}
                except RefusedError as error:
                    status, answer = error.status, {"errors": error.errors}
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, headers: Any, body: dict[str, str]) -> dict[str, str]:
        if self.sealed:
            raise RefusedError(503, "Vault is sealed")
        if headers.get("X-Vault-Token") != self.token:
            raise RefusedError(403, "permission denied")
        _, version, mount, operation, name = path.split("/")
        if (version, mount) != ("v1", "transit"):
            raise RefusedError(404, f"no handler for route '{mount}/{operation}/{name}'")
        if name not in self.keys:
            raise RefusedError(400, "encryption key not found")
        key, context = self.keys[name], b64decode(body.get("context", ""))
        match operation:
            case "encrypt":
                return {"ciphertext": key.encrypt(b64decode(body["plaintext"]), context)}
            case "decrypt":
                return {"plaintext": b64encode(key.decrypt(body["ciphertext"], context)).decode()}
            case "rewrap":
                return {"ciphertext": key.encrypt(key.decrypt(body["ciphertext"], context), context)}
        raise RefusedError(404, "unsupported path")
