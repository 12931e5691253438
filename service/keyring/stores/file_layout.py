"""Which file of a file keyring is what, and how a keyring is created.

- `keyring.json`: format, id, salt for passphrases, and a check value wrapped by each key-encryption key
- `database`: the id of the one database that the keyring belongs to
- `tombstones`: the names of destroyed keys
- `lock`: held while a key is made or destroyed
- `secrets/pepper`, `cursor` and `signer`; `successor`, once the ledger was handed over; `head`, once it was signed
- `packs/periods/1/personal/2026-11`: the keys of a tier's and class's month
- `packs/accounts/97`: the keys of 1,024 accounts
- `pack-keys/accounts/97/5b0c...`: what wraps those that were made under the key-encryption key of that id
- `holds/fb3e...`: by the hold's id
- `erasures/0c1f...`: by the erasure's id, until it has looked everywhere

A keyring that an earlier version made has a file for each key, until they are packed: `periods/1/personal/2026-11-22`,
and `accounts/2a/42` in a directory named by the account id modulo 256.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from service.keyring.errors import KeyringDamagedError, KeyringMissingError
from service.keyring.metadata import Metadata
from service.keyring.names import AccountKeyName, ErasureKeyName, HoldKeyName, KeyName, PeriodKeyName, parse_name
from service.keyring.protocol import HEAD, SECRETS, SUCCESSOR
from service.keyring.stores.packs import is_pack_key
from service.keyring.stores.private_files import (
    SCRATCH_PREFIX,
    check_private_directory,
    locked,
    make_directory,
    publish,
    read_private,
)


class Layout:
    """The paths of one file keyring."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.metadata_path = root / "keyring.json"
        self.database_path = root / "database"
        self.tombstones_path = root / "tombstones"
        self.lock_path = root / "lock"
        self._root_text = str(root)

    def pack_path(self, pack: str) -> str:
        """The file of a pack, which is named as `pack_slot_of` names it."""
        return f"{self._root_text}/packs/{pack}"

    def key_path(self, name: KeyName) -> str:
        """The file of a key that stands alone.

        The name must have come from `parse_name`, or from a caller that checks it.
        """
        if isinstance(name, AccountKeyName):
            return f"{self._root_text}/accounts/{name.account & 255:02x}/{name.account}"
        if isinstance(name, HoldKeyName):
            return f"{self._root_text}/holds/{name.hold}"
        if isinstance(name, ErasureKeyName):
            return f"{self._root_text}/erasures/{name.erasure}"
        return f"{self._root_text}/periods/{name.tier}/{name.data_class}/{name.period}"

    def entry_path(self, name: str) -> str:
        """The file of a secret, as `secret/pepper`, or of a pack key."""
        if is_pack_key(name):
            return f"{self._root_text}/pack-keys/{name.removeprefix('pack/')}"
        secret = name.removeprefix("secret/")
        if secret not in (*SECRETS, SUCCESSOR, HEAD):
            raise ValueError(f"a keyring has no secret `{secret}`")
        return f"{self._root_text}/secrets/{secret}"

    def exists(self) -> bool:
        """Whether a keyring was made here."""
        return self.metadata_path.is_file()

    def metadata(self) -> Metadata:
        """The metadata in `keyring.json`.

        Raises `KeyringMissingError` if there is no keyring, `KeyringDamagedError` if its metadata is unreadable.
        """
        if not self.exists():
            raise KeyringMissingError(f"no keyring is at `{self.root}`: set CALLEDGER_KEYRING, or restore its backup")
        check_private_directory(self.root)
        try:
            metadata = Metadata.decode(read_private(self.metadata_path))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise KeyringDamagedError(
                f"`{self.metadata_path}` is not a keyring's metadata: restore it from the keyring's backup"
            ) from None
        if not self.tombstones_path.is_file():
            raise KeyringDamagedError(f"`{self.tombstones_path}` is gone: restore it from the keyring's backup")
        return metadata

    def period_keys(self) -> Iterator[PeriodKeyName]:
        """The period keys that have a file."""
        for path in self.root.glob("periods/*/*/*"):
            name = key_of(f"period/{'/'.join(path.parts[-3:])}")
            if isinstance(name, PeriodKeyName):
                yield name

    def account_keys(self) -> Iterator[AccountKeyName]:
        """The account keys that have a file."""
        for path in self.root.glob("accounts/*/*"):
            name = key_of(f"account/{path.name}")
            # Where it is looked for, and in no other folder.
            if isinstance(name, AccountKeyName) and str(path) == self.key_path(name):
                yield name

    def hold_keys(self) -> Iterator[HoldKeyName]:
        """The keys of holds that have a file."""
        for path in self.root.glob("holds/*"):
            name = key_of(f"hold/{path.name}")
            if isinstance(name, HoldKeyName):
                yield name

    def erasure_keys(self) -> Iterator[ErasureKeyName]:
        """The keys of erasures that have a file."""
        for path in self.root.glob("erasures/*"):
            name = key_of(f"erasure/{path.name}")
            if isinstance(name, ErasureKeyName):
                yield name

    def keys_alone(self) -> Iterator[KeyName]:
        """All keys that have a file of their own, without the secrets."""
        yield from self.loose_keys()
        yield from self.hold_keys()
        yield from self.erasure_keys()

    def loose_keys(self) -> Iterator[KeyName]:
        """Those of them that an earlier version made, and that are to be packed."""
        yield from self.period_keys()
        yield from self.account_keys()

    def packs(self) -> Iterator[str]:
        """The packs that have a file."""
        folder = self.root / "packs"
        for pattern in ("accounts/*", "periods/*/*/*"):
            for path in folder.glob(pattern):
                yield str(path.relative_to(folder))

    def secrets_and_pack_keys(self) -> Iterator[str]:
        """The names of the entries that `entry_path` has a file for."""
        yield from (f"secret/{name}" for name in (*SECRETS, SUCCESSOR, HEAD) if (self.root / "secrets" / name).exists())
        folder = self.root / "pack-keys"
        names = (f"pack/{path.relative_to(folder)}" for path in folder.glob("**/*"))
        yield from (name for name in names if is_pack_key(name))

    def remove_empty_folders(self) -> None:
        """Remove the folders of an earlier version once the last key was taken out of them."""
        for kind in ("accounts", "periods"):
            for folder in sorted((self.root / kind).glob("**/"), reverse=True):
                with suppress(OSError):
                    folder.rmdir()

    def remove_unfinished(self) -> None:
        """Remove what a crash left of files that were being written. The caller holds the lock."""
        for path in self.root.glob(f"{SCRATCH_PREFIX}*"):
            path.unlink(missing_ok=True)

    def create(self, metadata: Metadata, secrets: Mapping[str, bytes]) -> bool:
        """Make the keyring, `keyring.json` last. Returns False if another process made it first.

        Files that a crash left of an earlier attempt are replaced, unless a key was ever made in it: then its metadata
        was lost, and a new id would make every key in it unreadable.
        """
        self._make_root()
        with locked(self.lock_path):
            if self.exists():
                return False
            self._check_unused()
            self.remove_unfinished()
            for name, content in secrets.items():
                path = Path(self.entry_path(name))
                make_directory(path.parent)
                path.unlink(missing_ok=True)
                publish(path, content, scratch=self.root)
            publish(self.tombstones_path, b"", scratch=self.root)
            return publish(self.metadata_path, metadata.encode().encode(), scratch=self.root)

    def _make_root(self) -> None:
        make_directory(self.root)
        if not any(self.root.iterdir()):
            self.root.chmod(0o700)
        check_private_directory(self.root)

    def _check_unused(self) -> None:
        used = self.database_path.exists() or any(self.packs()) or any(self.keys_alone())
        if used or (self.tombstones_path.exists() and self.tombstones_path.stat().st_size):
            raise KeyringDamagedError(f"`{self.metadata_path}` is gone: restore it from the keyring's backup")


def key_of(text: str) -> KeyName | None:
    """The name of a key that prints as `text`; None for anything else, as a secret or a pack key."""
    try:
        return parse_name(text)
    except ValueError:
        return None
