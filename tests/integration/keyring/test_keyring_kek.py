"""Key-encryption keys in files."""

import os
from pathlib import Path

import pytest

from service.keyring import KekError, KeyringExposedError, create_kek_file, open_keyring
from service.keyring.kek.factory import open_kek
from service.keyring.kek.protocol import UnwrapError

SALT = bytes(16)


def private_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


async def test_bound_to_context(tmp_path: Path) -> None:
    """A wrapped key unwraps for its own context only, and under its own key only."""
    create_kek_file(tmp_path / "a")
    create_kek_file(tmp_path / "b")
    a, b = [await open_kek(f"file:{tmp_path / name}", salt=SALT) for name in "ab"]
    wrapped = await a.wrap(b"k" * 32, context=b"here")

    assert await a.unwrap(wrapped, context=b"here") == b"k" * 32
    for kek, content, context in ((a, wrapped, b"there"), (b, wrapped, b"here"), (a, b"", b"here"), (a, b"x", b"here")):
        with pytest.raises(UnwrapError):
            await kek.unwrap(content, context=context)


async def test_never_the_same_bytes(tmp_path: Path) -> None:
    """Wrapping the same key twice gives different bytes: no nonce is used again."""
    create_kek_file(tmp_path / "kek")
    kek = await open_kek(f"file:{tmp_path / 'kek'}", salt=SALT)

    assert len({(await kek.wrap(b"k" * 32, context=b""))[:12] for _ in range(50)}) == 50


async def test_passphrase(tmp_path: Path) -> None:
    """A keyring made with a passphrase opens with it, with or without the newline an editor adds, and with no other."""
    path = private_file(tmp_path / "passphrase", "correct horse bätterie staple\n".encode())
    ring = f"file:{tmp_path / 'ring'}"
    made = await open_keyring(ring, f"file:{path}", create=True)

    private_file(path, "correct horse bätterie staple".encode())
    assert (await open_keyring(ring, f"file:{path}", create=False)).id == made.id
    private_file(path, b"correct horse battery staple")
    with pytest.raises(KekError, match="does not open"):
        await open_keyring(ring, f"file:{path}", create=False)


async def test_salt(tmp_path: Path) -> None:
    """The same passphrase gives another key in another keyring."""
    path = private_file(tmp_path / "passphrase", b"correct horse battery staple")
    one, other = await open_kek(f"file:{path}", salt=SALT), await open_kek(f"file:{path}", salt=b"s" * 16)

    with pytest.raises(UnwrapError):
        await other.unwrap(await one.wrap(b"k" * 32, context=b""), context=b"")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"too small",
        b"eleven char\n",  # 11 characters
        b"two lines of\ntext that is long\n",
        bytes(31),
        bytes(33),
        b"\xff" * 31,
        b"passphrase with a\ttab",
        b"x" * 5000,
    ],
)
async def test_unfit(tmp_path: Path, content: bytes) -> None:
    """What is neither 32 random bytes nor a passphrase of 12 characters in one line is refused."""
    path = private_file(tmp_path / "kek", content)

    with pytest.raises(KekError) as caught:
        await open_kek(f"file:{path}", salt=SALT)

    said = str(caught.value).replace(str(path), "")
    assert not content.strip() or content.decode("latin-1").strip() not in said


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o644, 0o666])
async def test_exposed(tmp_path: Path, mode: int) -> None:
    """A key-encryption key that everyone can read, or a group can change, is refused."""
    path = private_file(tmp_path / "kek", os.urandom(32), mode)

    with pytest.raises(KeyringExposedError, match="chmod 600"):
        await open_kek(f"file:{path}", salt=SALT)


async def test_group_readable(tmp_path: Path) -> None:
    """A group may read it, as secrets mounted into a container are."""
    path = private_file(tmp_path / "kek", b"\x00" + os.urandom(31), 0o440)

    assert "kek" in (await open_kek(f"file:{path}", salt=SALT)).describe()


async def test_absent(tmp_path: Path) -> None:
    """A key-encryption key that is not there is refused, not made, and the message names the path."""
    with pytest.raises(KekError, match=str(tmp_path / "none")):
        await open_keyring(f"file:{tmp_path / 'ring'}", f"file:{tmp_path / 'none'}", create=True)

    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "ring").exists()


@pytest.mark.parametrize("url", ["", "file:", "passphrase", "aws-kms:passphrase", "file"])
async def test_unknown_url(url: str) -> None:
    """An address of no known kind is refused; it may be a passphrase, so it is not repeated."""
    with pytest.raises(KekError) as caught:
        await open_kek(url, salt=SALT)

    assert "passphrase" not in str(caught.value)


def test_created_once(tmp_path: Path) -> None:
    """A key-encryption key is never written over another."""
    path = tmp_path / "new folder" / "kek"

    assert create_kek_file(path)
    first = path.read_bytes()
    assert not create_kek_file(path)

    assert path.read_bytes() == first
    assert len(first) == 32
    assert path.stat().st_mode & 0o777 == 0o600
