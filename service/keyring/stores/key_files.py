"""The keys of a file keyring: in packs, or in a file each as earlier versions wrote them and holds still have them.

A key that is being packed is in its pack before its own file goes, so a reader that looks for the pack first misses it
only if it is moved in between: then it is in the pack by now.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from service.disk import sync
from service.keyring.names import KeyName
from service.keyring.stores.file_layout import Layout
from service.keyring.stores.pack_file import clear_slots, read_slot, read_slots, write_slot
from service.keyring.stores.packs import PackSlot, name_at, pack_slot_of
from service.keyring.stores.private_files import erase, make_directory, publish, read_private, replace
from service.keyring.stores.protocol import is_packed

_PLACES_MAX: Final = 4096


class KeyFiles:
    """Reads and writes the entries of keys. Whoever writes or erases holds the keyring's lock."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        # Asked for with every use of a key. By type too: names of two kinds with one id are equal tuples.
        self.where = lru_cache(_PLACES_MAX, typed=True)(self._find)

    def read(self, name: KeyName) -> bytes | None:
        """The entry of a key; None if there is none."""
        pack, slot, alone = self.where(name)
        if pack and (entry := read_slot(pack, slot)) is not None:
            return entry
        try:
            return read_private(alone)
        except FileNotFoundError:
            return read_slot(pack, slot) if pack else None

    def add(self, name: KeyName, entry: bytes) -> None:
        """Write the entry of a new key, unless there is one."""
        if self.read(name) is not None:
            return
        pack, slot, alone = self.where(name)
        if is_packed(entry):
            write_slot(pack, slot, entry)
        else:
            make_directory(Path(alone).parent)
            publish(Path(alone), entry, scratch=self._layout.root)

    def replace(self, name: KeyName, entry: bytes) -> None:
        """Write another entry of an existing key. A key that is packed by now no longer has a file of its own."""
        pack, slot, alone = self.where(name)
        if not is_packed(entry):
            replace(Path(alone), entry, scratch=self._layout.root)
            return
        write_slot(pack, slot, entry)
        if erase(Path(alone)):
            self._tidy({Path(alone).parent})

    def present(self, names: Iterable[KeyName]) -> set[KeyName]:
        """Those of `names` that have an entry, or may: in a pack that cannot be read. Each pack is read once."""
        packs, found = defaultdict[str, dict[int, KeyName]](dict), set[KeyName]()
        for name in names:
            pack, slot, alone = self.where(name)
            if pack:
                packs[pack][slot] = name
            if os.access(alone, os.F_OK):
                found.add(name)
        for pack, slots in packs.items():
            try:
                found |= {slots[slot] for slot in read_slots(pack, slots)}
            except OSError:
                found |= set(slots.values())
        return found

    def erase(self, names: Iterable[KeyName]) -> None:
        """Overwrite the entries of these keys in the packs and in files of their own, as far as there are any.

        Raises OSError when some could not be; the others are.
        """
        packs, folders, failed = defaultdict[str, set[int]](set), set[Path](), list[OSError]()
        # One file that cannot be removed, or pack that cannot be written, keeps no key in another.
        for name in names:
            pack, slot, alone = self.where(name)
            if pack:
                packs[pack].add(slot)
            try:
                if erase(Path(alone)):
                    folders.add(Path(alone).parent)
            except OSError as error:
                failed.append(error)
        for pack, slots in packs.items():
            try:
                clear_slots(pack, slots)
            except OSError as error:
                failed.append(error)
        self._tidy(folders)
        for error in failed:
            raise error

    def every(self) -> Iterator[KeyName]:
        """The names of all keys."""
        for pack in self._layout.packs():
            for slot in read_slots(self._layout.pack_path(pack)):
                if (name := name_at(PackSlot(pack, slot))) is not None:
                    yield name
        for name in self._layout.keys_alone():
            pack, slot, _ = self.where(name)
            if not pack or read_slot(pack, slot) is None:
                yield name

    def _find(self, name: KeyName) -> tuple[str, int, str]:
        """The path of a key's pack, empty if it is in none, its slot there, and the path of a file of its own."""
        at = pack_slot_of(name)
        pack, slot = (self._layout.pack_path(at.pack), at.slot) if at else ("", 0)
        return pack, slot, self._layout.key_path(name)

    def _tidy(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            sync(folder)
