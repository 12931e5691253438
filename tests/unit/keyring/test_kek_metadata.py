"""What a keyring says of itself, and what this host keeps of it."""

import json
from pathlib import Path
from uuid import UUID

import pytest

from service.keyring import KeyringExposedError
from service.keyring.fallback_secrets import KEPT, FallbackSecrets
from service.keyring.metadata import KekRecord, Metadata

METADATA = Metadata(
    UUID(int=7),
    b"s" * 16,
    (
        KekRecord(b"new-kek!", "file:/new", b"check", ((b"old-kek!", b"word"),)),
        KekRecord(b"old-kek!", "file:/old", b"check", ((b"new-kek!", b"word"),)),
    ),
)
SECRETS = {name: name.encode().ljust(32, b".") for name in KEPT}


def test_round_trip() -> None:
    """Metadata reads back as it was written, order included: the first key-encryption key wraps new keys."""
    assert Metadata.decode(METADATA.encode()) == METADATA
    assert Metadata.decode(METADATA.encode()).current.id == b"new-kek!"


@pytest.mark.parametrize(
    "path", [["id"], ["salt"], ["keks"], ["keks", 0, "id"], ["keks", 0, "url"], ["keks", 0, "check"]]
)
@pytest.mark.parametrize("wrong", [None, 7, "zz", [], {}])
def test_garbage(path: list[str | int], wrong: object) -> None:
    """Metadata with anything else in any place is refused as unreadable, and by no other error."""
    value = json.loads(METADATA.encode())
    place = value
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    if path[-1] == "url" and wrong == "zz":
        return  # an address is any text until it is opened

    with pytest.raises((ValueError, KeyError, TypeError, AttributeError)):
        Metadata.decode(json.dumps(value))


def test_a_voucher_is_for_one_record() -> None:
    """Another id or another address gives another digest: a voucher fits no other record."""
    record = METADATA.current
    others = [KekRecord(b"new-kek?", record.url, record.check), KekRecord(record.id, "file:/other", record.check)]

    assert len({record.digest(), *(other.digest() for other in others)}) == 3


def test_standby(tmp_path: Path) -> None:
    """What was kept reads back, is replaced when it changes, and nobody else can read it."""
    standby = FallbackSecrets(tmp_path / "data" / "standby", UUID(int=1))
    assert standby.read() == {}

    standby.write(SECRETS)
    assert standby.read() == SECRETS
    standby.write(SECRETS | {"pepper": b"p" * 32})

    assert FallbackSecrets(tmp_path / "data" / "standby", UUID(int=1)).read()["pepper"] == b"p" * 32
    assert (tmp_path / "data" / "standby").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["standby"]


def test_standby_of_another_database(tmp_path: Path) -> None:
    """The standby of one database is none for another."""
    FallbackSecrets(tmp_path / "standby", UUID(int=1)).write(SECRETS)

    assert FallbackSecrets(tmp_path / "standby", UUID(int=2)).read() == {}


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b"\xff", b'{"database": "x"}'])
def test_standby_garbage(tmp_path: Path, content: bytes) -> None:
    """A standby that was cut or altered is none."""
    (tmp_path / "standby").write_bytes(content)
    (tmp_path / "standby").chmod(0o600)

    assert FallbackSecrets(tmp_path / "standby", UUID(int=1)).read() == {}


def test_standby_exposed(tmp_path: Path) -> None:
    """A standby that others can read is refused."""
    FallbackSecrets(tmp_path / "standby", UUID(int=1)).write(SECRETS)
    (tmp_path / "standby").chmod(0o644)

    with pytest.raises(KeyringExposedError):
        FallbackSecrets(tmp_path / "standby", UUID(int=1)).read()
