"""A keyring in a directory, and what a test does to it."""

from pathlib import Path

from service.keyring import (
    Keyring,
    PeriodKeyName,
    create_kek_file,
    open_keyring,
)

DAY = PeriodKeyName(1, "personal", "2026-11-22")
NEXT_DAY = PeriodKeyName(1, "personal", "2026-11-23")


class Environment:
    """A place for a keyring and its key-encryption key."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a ring"
        self.kek = folder / "kek"
        create_kek_file(self.kek)

    async def open(self, *, create: bool = False) -> Keyring:
        return await open_keyring(f"file:{self.root}", f"file:{self.kek}", create=create)

    def file(self, name: PeriodKeyName | int) -> Path:
        if isinstance(name, int):
            return self.root / "accounts" / f"{name % 256:02x}" / str(name)
        return self.root / "periods" / str(name.tier) / name.data_class / name.period
