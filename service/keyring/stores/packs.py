"""Which keys lie together: a pack has the keys of 1,024 accounts, or of one tier and data class in one month.

The keys of a pack are wrapped by its pack key, and only that is wrapped by the key-encryption key. Each key-encryption
key that a keyring takes up has pack keys of its own for the keys that are made under it: who knows an earlier one, and
has an older copy of the keyring, opens nothing that was made since.
"""

import re
from typing import Final, NamedTuple

from service.keyring.names import AccountKeyName, KeyName, PeriodKeyName, parse_name

_ACCOUNTS_BITS: Final = 10
SLOTS_MAX: Final = 1 << _ACCOUNTS_BITS
"""How many keys a pack has at most."""
_PACK_KEY: Final = re.compile(
    r"pack/(accounts/[0-9]+|periods/[0-9]+/[a-z0-9_]+/[0-9]{4}-[0-9]{2})/[0-9a-f]{16}", re.ASCII
)


class PackSlot(NamedTuple):
    """Where a key is packed: `accounts/97` or `periods/1/personal/2026-11`, and its number in there from 0."""

    pack: str
    slot: int


def pack_slot_of(name: KeyName) -> PackSlot | None:
    """Where a key is packed; None for keys of holds and erasures, which are few, and stand alone."""
    if isinstance(name, AccountKeyName):
        return PackSlot(f"accounts/{name.account >> _ACCOUNTS_BITS}", name.account & SLOTS_MAX - 1)
    if isinstance(name, PeriodKeyName):
        month, day = name.period[:7], name.period[8:]
        return PackSlot(f"periods/{name.tier}/{name.data_class}/{month}", int(day or 0))
    return None


def name_at(at: PackSlot) -> KeyName | None:
    """The name of the key that `pack_slot_of` gives that slot; None if it is no key's."""
    kind, _, rest = at.pack.partition("/")
    try:
        if kind == "accounts":
            name = parse_name(f"account/{(int(rest) << _ACCOUNTS_BITS) + at.slot}")
        else:
            name = parse_name(f"period/{rest}-{at.slot:02}" if at.slot else f"period/{rest}")
    except ValueError:
        return None
    # A copy that somebody made beside a pack, as `00` or `2026-11-01`, is none.
    return name if pack_slot_of(name) == at else None


def pack_key_name(pack: str, kek_id: bytes) -> str:
    """The name of the key that wraps what was made in a pack under the key-encryption key of that id."""
    return f"pack/{pack}/{kek_id.hex()}"


def is_pack_key(name: str) -> bool:
    """Whether an entry of this name is a pack key."""
    return _PACK_KEY.fullmatch(name) is not None
