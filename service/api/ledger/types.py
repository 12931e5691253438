"""The ledger as the schema shows it: entries byte for byte, checkpoints as signed, proofs of both."""

from datetime import datetime
from enum import Enum
from typing import Any

import strawberry
from strawberry import Maybe

from policies.evidence import read_checkpoint
from service import ledger
from service.api.types.directives import Cost
from service.api.types.filter_inputs import BigIntFilter, DateTimeFilter
from service.api.types.scalars import Base64, BigInt, Digest


def _value(name: str, description: str) -> Any:  # noqa: ANN401 - Strawberry's marker
    return strawberry.enum_value(name, description=description)


def _field(description: str, *, name: str | None = None, weight: int | None = None) -> Any:  # noqa: ANN401 - any type
    directives = [Cost(weight=weight)] if weight else []
    return strawberry.field(description=description, name=name, directives=directives)


@strawberry.enum
class LedgerKind(Enum):
    """What an entry of the ledger records."""

    STARTED = _value("STARTED", "The service started, under which policy.")
    POLICY_APPLIED = _value("POLICY_APPLIED", "A policy was put in force.")
    KEY_CREATED = _value("KEY_CREATED", "A key of the keyring was made.")
    KEY_DESTROYED = _value("KEY_DESTROYED", "Keys of the keyring were destroyed.")
    KEY_LOST = _value("KEY_LOST", "A key is gone, and not by a destruction of ours.")
    KEYRING_ROTATED = _value("KEYRING_ROTATED", "The keyring was wrapped anew.")
    KEYRING_REPLACED = _value("KEYRING_REPLACED", "The keyring was lost, and a new one, with a new signer, begun.")
    SIGNER_ROTATED = _value("SIGNER_ROTATED", "The ledger was handed over to another signer, by the old one.")
    PURGE_INTENT = _value("PURGE_INTENT", "What a purge is about to destroy.")
    PURGE_RESULT = _value("PURGE_RESULT", "What a purge destroyed.")
    NOTHING_DUE = _value("NOTHING_DUE", "Purges found nothing due from `planned_at` to `finished_at`.")
    FIELD_REMOVED = _value("FIELD_REMOVED", "Older values of a field that the policy no longer keeps were removed.")
    HOLD_PLACED = _value("HOLD_PLACED", "A legal hold was placed.")
    HOLD_LIFTED = _value("HOLD_LIFTED", "A legal hold was lifted.")
    HOLD_RESTORED = _value("HOLD_RESTORED", "A hold that was deleted, lifted or narrowed behind our back was put back.")
    ERASURE_INTENT = _value("ERASURE_INTENT", "What an erasure is about to erase.")
    ERASURE_RESTRICTED = _value(
        "ERASURE_RESTRICTED", "What a hold keeps of whom an erasure is about was taken from everybody but the hold."
    )
    ERASURE_RESULT = _value("ERASURE_RESULT", "What an erasure erased.")
    ERROR_REVEALED = _value("ERROR_REVEALED", "Somebody was let into a sealed error.")
    EXPORTED = _value("EXPORTED", "Rows were written to a file.")
    EVIDENCE_CREATED = _value("EVIDENCE_CREATED", "A bundle of evidence was made.")
    API_KEY_CREATED = _value("API_KEY_CREATED", "An API key was made.")
    API_KEY_ROTATED = _value("API_KEY_ROTATED", "An API key ends at `ends_at`, and `successor` takes its place.")
    API_KEY_REVOKED = _value("API_KEY_REVOKED", "An API key was ended.")
    SESSION_TOKENS_CREATED = _value(
        "SESSION_TOKENS_CREATED", "A key gave out session tokens in an hour: one entry, before the first of them."
    )
    ACCOUNTS_NAMED = _value("ACCOUNTS_NAMED", "Which accounts have which names, as salted digests.")
    TIER_CHANGED = _value("TIER_CHANGED", "An account was moved to another tier.")
    NOTES_ERASED = _value("NOTES_ERASED", "Notes of entries were erased.")
    MIRROR_RENEWED = _value("MIRROR_RENEWED", "The mirror was gone, and was written anew from the database.")
    SUMS_REBUILT = _value("SUMS_REBUILT", "The sums of a day were made anew from its calls.")
    RESTORED = _value("RESTORED", "The database was restored from a backup, or lost entries were given up.")
    ATTESTED = _value("ATTESTED", "A statement of attestation was made.")


@strawberry.type
class LedgerEntry:
    """One entry of the ledger."""

    index: BigInt = _field("Its place, from 0; none is ever missing.")
    recorded_at: datetime = _field("When, by the database's clock; the leaf says it to the microsecond.")
    kind: LedgerKind = _field("What it records.")
    actor: str = _field("Key id, `system`, or `cli`.")
    leaf: Base64 = _field("The exact leaf bytes: SHA-256(0x00 || leaf) is leafHash.")
    leaf_hash: Digest = _field("Hash of the leaf in the tree.")
    note: str | None = _field(
        "Free text kept outside the tree, erasable; the leaf holds its salted hash. Null: none, or erased."
    )


@strawberry.type
class Checkpoint:
    """What the ledger said at a size, signed (C2SP tlog-checkpoint)."""

    origin: str = _field("Name of the ledger.")
    size: BigInt = _field("How many entries it covers.")
    root_hash: Base64 = _field("Root hash of these entries (RFC 6962).")
    issued_at: datetime = _field("When it was signed.")
    note: str = _field("C2SP signed note, as signed.")
    public_key: str = _field("Verifier key (C2SP vkey).")


@strawberry.type
class Proof:
    """Hashes that lead to a root hash (RFC 9162, section 2.1)."""

    size: BigInt = _field("Tree size it leads to.")
    root_hash: Base64 = _field("Root hash of that tree; compare it with a checkpoint of that size.")
    hashes: list[Base64] = _field("The proof, in the order in which it is worked through.")


@strawberry.input
class LedgerKindFilter:
    """Compares kinds of entries."""

    eq: Maybe[LedgerKind] = _field("Equal.")
    in_: list[LedgerKind] | None = strawberry.field(
        default=strawberry.UNSET, description="One of these; an empty list matches nothing.", name="in"
    )


@strawberry.input
class LedgerFilter:
    """Chooses entries of the ledger. All given fields must hold."""

    kind: LedgerKindFilter | None = strawberry.field(default=strawberry.UNSET, description="What it records.")
    recorded_at: DateTimeFilter | None = strawberry.field(
        default=strawberry.UNSET, description="When, compared as it is shown: to the millisecond."
    )
    index: BigIntFilter | None = strawberry.field(default=strawberry.UNSET, description="Its place.")


def entry_node(entry: ledger.Entry, *, note: bool) -> LedgerEntry:
    """An entry; its note only if `note`."""
    return LedgerEntry(
        index=BigInt(entry.index),
        recorded_at=entry.recorded_at,
        kind=LedgerKind[entry.kind.name],
        actor=entry.actor,
        leaf=Base64(entry.leaf),
        leaf_hash=Digest(f"sha256:{entry.leaf_hash.hex()}"),
        note=entry.note if note else None,
    )


def checkpoint_node(issued: ledger.SignedCheckpoint) -> Checkpoint:
    """A checkpoint; origin, size and root hash are those of the signed note, not of any column beside it."""
    signed = read_checkpoint(issued.note.encode())
    return Checkpoint(
        origin=signed.origin,
        size=BigInt(signed.size),
        root_hash=Base64(signed.root),
        issued_at=issued.issued_at,
        note=issued.note,
        public_key=issued.public_key,
    )


def proof_node(proof: ledger.Proof) -> Proof:
    """A proof as it is worked through."""
    return Proof(size=BigInt(proof.size), root_hash=Base64(proof.root), hashes=[Base64(one) for one in proof.hashes])
