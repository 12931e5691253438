"""What somebody can do to a keyring in a directory who has the disk: it is noticed, and nothing is handed out."""

import shutil
from pathlib import Path

import pytest
from keyring_folder import DAY, NEXT_DAY, Environment, slot_of

from service.keyring import (
    AccountKeyName,
    KeyDamagedError,
    Keyring,
    KeyringUnavailableError,
    PeriodKeyName,
    open_keyring,
)
from service.keyring.stores.pack_file import SLOT_BYTES
from service.keyring.stores.protocol import PACKED_BYTES


class TestAttacks:
    async def test_swapped_files(self, env: Environment, keyring: Keyring) -> None:
        """A key file put in another's place is refused, for a day as for an account."""
        for name in (DAY, NEXT_DAY):
            await keyring.key(PeriodKeyName(*name), mint=True)
        for number in (1, 2):
            await keyring.key(AccountKeyName(number), mint=True)
        keyring.forget()
        env.file(DAY).write_bytes(env.file(NEXT_DAY).read_bytes())
        env.file(1).write_bytes(env.file(2).read_bytes())

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
        env.file(1).write_bytes(slot_of(tmp_path / "other", AccountKeyName(1)).read_bytes())

        with pytest.raises(KeyDamagedError):
            await keyring.key(AccountKeyName(1), mint=False)

    async def test_pack_key_of_another_pack(self, env: Environment, keyring: Keyring) -> None:
        """A pack key put in the place of another pack's is refused, and so is what it would open there."""
        for number in (1, 1024):
            await keyring.key(AccountKeyName(number), mint=True)
        keyring.forget()
        first, second = (next((env.root / "pack-keys" / "accounts" / pack).iterdir()) for pack in "01")
        shutil.copy(second, first)

        with pytest.raises(KeyDamagedError):
            await keyring.key(AccountKeyName(1), mint=False)
        first.unlink()
        with pytest.raises(KeyDamagedError, match="which wraps others"):
            await keyring.key(AccountKeyName(1), mint=True)

    async def test_every_cut(self, env: Environment, keyring: Keyring) -> None:
        """A pack cut anywhere within a key has a damaged key there, which is never replaced by a new one."""
        await keyring.key(AccountKeyName(1), mint=True)
        pack, content = env.file(1).pack, env.file(1).pack.read_bytes()
        for end in range(SLOT_BYTES + 1, SLOT_BYTES + PACKED_BYTES):
            pack.write_bytes(content[:end])
            keyring.forget()
            with pytest.raises(KeyDamagedError):
                await keyring.key(AccountKeyName(1), mint=True)
            assert pack.read_bytes() == content[:end]

    async def test_every_bit(self, env: Environment, keyring: Keyring) -> None:
        """A key with any byte changed, or one more, is damaged; so is the pack key, and every key in its pack."""
        await keyring.key(AccountKeyName(1), mint=True)
        (pack_key,) = (env.root / "pack-keys" / "accounts" / "0").iterdir()
        for file, length in ((env.file(1), PACKED_BYTES), (pack_key, len(pack_key.read_bytes()))):
            content = file.read_bytes()[:length]
            changed = [content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :] for at in range(length)]
            for wrong in (*changed, content + b"\1"):
                file.write_bytes(wrong)
                keyring.forget()
                with pytest.raises(KeyDamagedError):
                    await keyring.key(AccountKeyName(1), mint=False)
            file.write_bytes(content)
        keyring.forget()
        assert len(await keyring.key(AccountKeyName(1), mint=False)) == 32

    async def test_link(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A pack that is a symbolic link is not followed."""
        await keyring.key(AccountKeyName(1), mint=True)
        keyring.forget()
        shutil.move(env.file(1).pack, tmp_path / "elsewhere")
        env.file(1).pack.symlink_to(tmp_path / "elsewhere")

        with pytest.raises(KeyringUnavailableError):
            await keyring.key(AccountKeyName(1), mint=False)

    async def test_link_beside_memory(self, env: Environment, keyring: Keyring, tmp_path: Path) -> None:
        """A key in memory whose pack cannot be looked at any more is unavailable, as one that is not in memory."""
        await keyring.key(AccountKeyName(1), mint=True)
        shutil.move(env.file(1).pack, tmp_path / "elsewhere")
        env.file(1).pack.symlink_to(tmp_path / "elsewhere")

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
