"""An entry of the ledger as bytes: what was done, when, by whom, in ids, counts and digests.

A leaf is there for ever, in every copy and bundle, so nothing of a person may be in it. Free text (a reason, a name)
goes into a note beside the tree, which can be erased; the leaf holds the note's salted hash.
"""

import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, cast

from policies.evidence.errors import EntryError
from policies.evidence.verify import EvidenceError, canonical, read_canonical

LEAF_BYTES_MAX: Final = 2**20
"""Enough for a purge that names tens of thousands of keys."""
NOTE_CHARACTERS_MAX: Final = 2000
SALT_BYTES: Final = 32
INTEGER_MAX: Final = 2**53 - 1

# No spaces, no @: an id, a digest, a number or a moment fits, a sentence or an address does not.
_TEXT: Final = re.compile(r"[A-Za-z0-9._:/+=-]{0,200}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class LedgerKind(StrEnum):
    """What an entry records."""

    STARTED = "STARTED"
    POLICY_APPLIED = "POLICY_APPLIED"
    KEY_CREATED = "KEY_CREATED"
    KEY_DESTROYED = "KEY_DESTROYED"
    KEY_LOST = "KEY_LOST"
    KEYRING_ROTATED = "KEYRING_ROTATED"
    KEYRING_REPLACED = "KEYRING_REPLACED"
    SIGNER_ROTATED = "SIGNER_ROTATED"
    PURGE_INTENT = "PURGE_INTENT"
    PURGE_RESULT = "PURGE_RESULT"
    NOTHING_DUE = "NOTHING_DUE"
    FIELD_REMOVED = "FIELD_REMOVED"
    HOLD_PLACED = "HOLD_PLACED"
    HOLD_LIFTED = "HOLD_LIFTED"
    HOLD_RESTORED = "HOLD_RESTORED"
    ERASURE_INTENT = "ERASURE_INTENT"
    ERASURE_RESTRICTED = "ERASURE_RESTRICTED"
    ERASURE_RESULT = "ERASURE_RESULT"
    ERROR_REVEALED = "ERROR_REVEALED"
    EXPORTED = "EXPORTED"
    EVIDENCE_CREATED = "EVIDENCE_CREATED"
    API_KEY_CREATED = "API_KEY_CREATED"
    API_KEY_ROTATED = "API_KEY_ROTATED"
    API_KEY_REVOKED = "API_KEY_REVOKED"
    SESSION_TOKENS_CREATED = "SESSION_TOKENS_CREATED"
    WEBHOOK_CREATED = "WEBHOOK_CREATED"
    WEBHOOK_CHANGED = "WEBHOOK_CHANGED"
    WEBHOOK_DELETED = "WEBHOOK_DELETED"
    BUDGET_SET = "BUDGET_SET"
    SOURCE_ADDED = "SOURCE_ADDED"
    SOURCE_REMOVED = "SOURCE_REMOVED"
    ACCOUNTS_NAMED = "ACCOUNTS_NAMED"
    TIER_CHANGED = "TIER_CHANGED"
    NOTES_ERASED = "NOTES_ERASED"
    MIRROR_RENEWED = "MIRROR_RENEWED"
    SUMS_REBUILT = "SUMS_REBUILT"
    PARTITION_FROZEN = "PARTITION_FROZEN"
    PARTITION_THAWED = "PARTITION_THAWED"
    REPRICE_INTENT = "REPRICE_INTENT"
    REPRICE_RESULT = "REPRICE_RESULT"
    RESTORED = "RESTORED"
    ATTESTATION_REQUESTED = "ATTESTATION_REQUESTED"
    ATTESTED = "ATTESTED"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a leaf says. `note` is the salted hash of the entry's free text, None when there was none."""

    kind: LedgerKind
    recorded_at: datetime
    actor: str
    facts: Mapping[str, Any]
    note: str | None = None


def leaf_bytes(leaf: Leaf) -> bytes:
    """The leaf as canonical JSON. Raises EntryError when a fact could carry text of a person, or is too long."""
    _check("actor", leaf.actor)
    _check_facts(leaf.facts.items())
    document = {
        "actor": leaf.actor,
        "facts": leaf.facts,
        "kind": leaf.kind.value,
        "recorded_at": moment(leaf.recorded_at),
    }
    if leaf.note is not None:
        document["note"] = leaf.note
    data = canonical(document)
    if len(data) > LEAF_BYTES_MAX:
        raise EntryError(f"an entry of the ledger has at most {LEAF_BYTES_MAX} bytes; this one has {len(data)}")
    return data


def read_leaf(data: bytes) -> Leaf:
    """What leaf bytes say. Raises EntryError when they are none of ours."""
    try:
        fields = read_canonical(data, "the leaf")
        recorded_at = datetime.fromisoformat(fields["recorded_at"])
        leaf = Leaf(LedgerKind(fields["kind"]), recorded_at, fields["actor"], fields["facts"], fields.get("note"))
        if leaf_bytes(leaf) == data:
            return leaf
    except (EvidenceError, EntryError, KeyError, TypeError, ValueError, AttributeError):
        pass
    raise EntryError("the bytes are not a leaf of a ledger")


def note_hash(salt: bytes, text: str) -> str:
    """What a leaf says of its note: HMAC-SHA256 of the text under a random salt, which is erased with the text."""
    return "hmac-sha256:" + hmac.digest(salt, text.encode(), "sha256").hex()


def moment(value: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond: `2026-11-22T10:00:00.000000Z`."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _check_facts(facts: Iterable[tuple[object, object]]) -> None:
    for name, value in facts:
        if not isinstance(name, str) or _NAME.fullmatch(name) is None:
            raise EntryError(f"a fact cannot be called `{str(name)[:64]}`: lower-case words joined by `_`")
        _check(name, value)


def _check(name: str, value: object) -> None:
    match value:
        case bool() | None:
            return
        case int():
            fits = -INTEGER_MAX <= value <= INTEGER_MAX
        case str():
            fits = _TEXT.fullmatch(value) is not None
        case list() | tuple():
            for item in cast("Sequence[object]", value):
                _check(name, item)
            return
        case Mapping():
            _check_facts(cast("Mapping[object, object]", value).items())
            return
        case _:
            fits = False
    if not fits:
        # The value is not named: it may be just what must not be written anywhere.
        raise EntryError(f"the fact `{name}` must be an id, a count, a digest or a moment: put text into the note")
