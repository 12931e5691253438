"""What somebody can do to a keyring in a directory who has the disk: it is noticed, and nothing is handed out."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keyring_folder import DAY, NEXT_DAY, Environment

from service.keyring import (
    AccountKeyName,
    KeyDamagedError,
    Keyring,
    KeyringUnavailableError,
    PeriodKeyName,
    open_keyring,
)


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


@pytest.fixture
async def keyring(env: Environment) -> AsyncIterator[Keyring]:
    keyring = await env.open(create=True)
    yield keyring
    await keyring.close()


class TestAttacks:
    async def test_swapped_files(self, env: Environment, keyring: Keyring) -> None:
        """A key file put in another's place is refused, for a day as for an account."""
        for name in (DAY, NEXT_DAY):
            await keyring.key(PeriodKeyName(*name), mint=True)
        for number in (1, 2):
            await keyring.key(AccountKeyName(number), mint=True)
        keyring.forget()
        shutil.copy(env.file(NEXT_DAY), env.file(DAY))
        shutil.copy(env.file(2), env.file(1))

        with pytest.raises(KeyDamagedError):
            await keyring.key(PeriodKeyName(*DAY), mint=True)
        with pytest.raises(KeyDamagedError):
            await keyring.key(AccountKeyName(1), mint=True)

    async def test_swapped_secrets(self, env: Environment, keyring: Keyring) -> None:
        """A secret put in another's place is refused: the pepper never signs."""
        shutil.copy(env.root / "secrets" / "pepper", env.root / "secrets" / "signer")

        with pytest.raises(KeyDamagedError):
            await keyring.secret("signer")

    async def test_key_of_another_keyring(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A key file of another keyring under the same key-encryption key is refused."""
        other = await open_keyring(f"file:{tmp_path / 'other'}", f"file:{env.kek}", create=True)
        await other.key(AccountKeyName(1), mint=True)
        await keyring.key(AccountKeyName(1), mint=True)
        keyring.forget()
        shutil.copy(tmp_path / "other" / "accounts" / "01" / "1", env.file(1))

        with pytest.raises(KeyDamagedError):
            await keyring.key(AccountKeyName(1), mint=False)

    async def test_every_cut(self, env: Environment, keyring: Keyring) -> None:
        """A key file cut at any length is damaged, and is never replaced by a new key."""
        await keyring.key(AccountKeyName(1), mint=True)
        content = env.file(1).read_bytes()
        for end in range(len(content)):
            env.file(1).write_bytes(content[:end])
            keyring.forget()
            with pytest.raises(KeyDamagedError):
                await keyring.key(AccountKeyName(1), mint=True)
            assert env.file(1).read_bytes() == content[:end]

    async def test_every_bit(self, env: Environment, keyring: Keyring) -> None:
        """A key file with any byte changed, or one more, is damaged."""
        await keyring.key(AccountKeyName(1), mint=True)
        content = env.file(1).read_bytes()
        changed = [content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in range(len(content))]
        for wrong in (*changed, content + b"\0"):
            env.file(1).write_bytes(wrong)
            keyring.forget()
            with pytest.raises(KeyDamagedError):
                await keyring.key(AccountKeyName(1), mint=False)

    async def test_link(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A key file that is a symbolic link is not followed."""
        await keyring.key(AccountKeyName(1), mint=True)
        keyring.forget()
        shutil.move(env.file(1), tmp_path / "elsewhere")
        env.file(1).symlink_to(tmp_path / "elsewhere")

        with pytest.raises(KeyringUnavailableError):
            await keyring.key(AccountKeyName(1), mint=False)

    async def test_messages_hold_no_key(self, env: Environment, keyring: Keyring) -> None:
        """What the keyring says of itself and of a damaged key holds no key."""
        key = await keyring.key(AccountKeyName(1), mint=True)
        env.file(1).write_bytes(key)
        keyring.forget()

        with pytest.raises(KeyDamagedError) as caught:
            await keyring.key(AccountKeyName(1), mint=False)

        for secret in (key, env.kek.read_bytes()):
            assert secret.hex() not in str(caught.value) + keyring.describe()
            assert repr(secret) not in str(caught.value) + keyring.describe()
