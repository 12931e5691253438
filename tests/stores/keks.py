"""Key-encryption keys of every kind, for tests that all of them must pass."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.keyring import create_kek_file

GOOGLE_PREFIX = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys"


def _nothing() -> None:
    pass


@dataclass
class KekHome:
    """Where keys of one kind live. `new` makes one and gives its address; `stop` and `start` are an outage."""

    new: Callable[[], str]
    is_remote: bool = False
    stop: Callable[[], None] = _nothing
    start: Callable[[], None] = _nothing
    missing: str = ""


@contextmanager
def file_home(folder: Path) -> Iterator[KekHome]:
    numbers = iter(range(100))

    def new() -> str:
        path = folder / f"kek-{next(numbers)}"
        create_kek_file(path)
        return f"file:{path}"

    yield KekHome(new, missing=f"file:{folder / 'none'}")


@contextmanager
def passphrase_home(folder: Path) -> Iterator[KekHome]:
    numbers = iter(range(100))

    def new() -> str:
        path = folder / f"passphrase-{next(numbers)}"
        path.write_text(f"correct horse battery {path.name}\n")
        path.chmod(0o600)
        return f"file:{path}"

    yield KekHome(new, missing=f"file:{folder / 'none'}")


@contextmanager
def aws_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[KekHome]:
    from aws_kms_server import AwsKmsServer

    server = AwsKmsServer()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)

    def new() -> str:
        return f"aws:{server.create_key()}"

    missing = "aws:arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    try:
        yield KekHome(new, True, server.stop, server.start, missing)
    finally:
        server.stop()


@contextmanager
def vault_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[KekHome]:
    from vault_server import TOKEN, TransitKey, VaultServer

    server = VaultServer()
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    numbers = iter(range(100))

    def new() -> str:
        name = f"calledger-{next(numbers)}"
        server.keys[name] = TransitKey()
        return f"vault:{server.url}/{name}"

    try:
        yield KekHome(new, True, server.stop, server.start, f"vault:{server.url}/none")
    finally:
        server.stop()


@contextmanager
def google_home() -> Iterator[KekHome]:
    from google_kms_server import GoogleKmsServer

    server = GoogleKmsServer()
    numbers = iter(range(100))

    def new() -> str:
        name = f"{GOOGLE_PREFIX}/calledger-{next(numbers)}"
        server.keys[name] = os.urandom(32)
        return f"gcp:http://127.0.0.1:{server.port}/{name}"

    missing = f"gcp:http://127.0.0.1:{server.port}/{GOOGLE_PREFIX}/none"
    try:
        yield KekHome(new, True, server.stop, server.start, missing)
    finally:
        server.stop()


@contextmanager
def kek_home(kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KekHome]:
    """The home of one kind: file, passphrase, aws, vault or gcp."""
    homes = {
        "file": lambda: file_home(folder),
        "passphrase": lambda: passphrase_home(folder),
        "aws": lambda: aws_home(monkeypatch),
        "vault": lambda: vault_home(monkeypatch),
        "gcp": google_home,
    }
    with homes[kind]() as home:
        yield home


KINDS = ("file", "passphrase", "aws", "vault", "gcp")
