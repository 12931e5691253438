"""The ledger as the schema shows it: entries byte for byte, checkpoints as signed, proofs of both."""

from datetime import datetime
from enum import Enum

import strawberry
from strawberry import Maybe

from policies.evidence import read_checkpoint
from service import ledger
from service.api.types.declarations import described, optional, value
from service.api.types.filter_inputs import BigIntFilter, DateTimeFilter
from service.api.types.scalars import Base64, BigInt, Digest


@strawberry.enum
class LedgerKind(Enum):
    """What an entry of the ledger records."""

    STARTED = value("STARTED", "The service started, under which policy.")
    POLICY_APPLIED = value("POLICY_APPLIED", "A policy was put in force.")
    KEY_CREATED = value("KEY_CREATED", "A key of the keyring was made.")
    KEY_DESTROYED = value("KEY_DESTROYED", "Keys of the keyring were destroyed.")
    KEY_LOST = value("KEY_LOST", "A key is gone, and not by a destruction of ours.")
    KEYRING_ROTATED = value("KEYRING_ROTATED", "The keyring was wrapped anew.")
    KEYRING_REPLACED = value("KEYRING_REPLACED", "The keyring was lost, and a new one, with a new signer, begun.")
    SIGNER_ROTATED = value("SIGNER_ROTATED", "The ledger was handed over to another signer, by the old one.")
    PURGE_INTENT = value("PURGE_INTENT", "What a purge is about to destroy.")
    PURGE_RESULT = value("PURGE_RESULT", "What a purge destroyed.")
    NOTHING_DUE = value("NOTHING_DUE", "Purges found nothing due from `planned_at` to `finished_at`.")
    FIELD_REMOVED = value("FIELD_REMOVED", "Older values of a field that the policy no longer keeps were removed.")
    HOLD_PLACED = value("HOLD_PLACED", "A legal hold was placed.")
    HOLD_LIFTED = value("HOLD_LIFTED", "A legal hold was lifted.")
    HOLD_RESTORED = value("HOLD_RESTORED", "A hold that was deleted, lifted or narrowed behind our back was put back.")
    ERASURE_INTENT = value("ERASURE_INTENT", "What an erasure is about to erase.")
    ERASURE_RESTRICTED = value(
        "ERASURE_RESTRICTED", "What a hold keeps of whom an erasure is about was taken from everybody but the hold."
    )
    ERASURE_RESULT = value("ERASURE_RESULT", "What an erasure erased.")
    ERROR_REVEALED = value("ERROR_REVEALED", "Somebody was let into a sealed error.")
    EXPORTED = value("EXPORTED", "Rows were written to a file.")
    EVIDENCE_CREATED = value("EVIDENCE_CREATED", "A bundle of evidence was made.")
    API_KEY_CREATED = value("API_KEY_CREATED", "An API key was made.")
    API_KEY_ROTATED = value("API_KEY_ROTATED", "An API key ends at `ends_at`, and `successor` takes its place.")
    API_KEY_REVOKED = value("API_KEY_REVOKED", "An API key was ended.")
    SESSION_TOKENS_CREATED = value(
        "SESSION_TOKENS_CREATED", "A key gave out session tokens in an hour: one entry, before the first of them."
    )
    WEBHOOK_CREATED = value("WEBHOOK_CREATED", "A webhook was made: what it is sent leaves the ledger from then on.")
    WEBHOOK_CHANGED = value(
        "WEBHOOK_CHANGED", "A webhook got another secret, was enabled again, or was sent something once more."
    )
    WEBHOOK_DELETED = value("WEBHOOK_DELETED", "A webhook was deleted.")
    BUDGET_SET = value("BUDGET_SET", "A budget was set, or removed where it has no amount.")
    SOURCE_ADDED = value("SOURCE_ADDED", "A gateway was added whose log is pulled: its calls come in from then on.")
    SOURCE_REMOVED = value("SOURCE_REMOVED", "A gateway's log is pulled no more.")
    ACCOUNTS_NAMED = value("ACCOUNTS_NAMED", "Which accounts have which names, as salted digests.")
    TIER_CHANGED = value("TIER_CHANGED", "An account was moved to another tier.")
    NOTES_ERASED = value("NOTES_ERASED", "Notes of entries were erased.")
    MIRROR_RENEWED = value("MIRROR_RENEWED", "The mirror was gone, and was written anew from the database.")
    SUMS_REBUILT = value("SUMS_REBUILT", "The sums of a day were made anew from its calls.")
    PARTITION_FROZEN = value("PARTITION_FROZEN", "Calls of a past partition moved to a file.")
    PARTITION_THAWED = value("PARTITION_THAWED", "Calls came back from a file into their partition.")
    REPRICE_INTENT = value("REPRICE_INTENT", "Calls are about to be priced anew, by the lists that are named.")
    REPRICE_RESULT = value("REPRICE_RESULT", "Calls were priced anew: how many, and what it changed.")
    RESTORED = value("RESTORED", "The database was restored from a backup, or lost entries were given up.")
    ATTESTATION_REQUESTED = value("ATTESTATION_REQUESTED", "A statement of retention was asked for, or begun.")
    ATTESTED = value("ATTESTED", "A statement of retention was made: its digest, and how much of it is not met.")


@strawberry.type
class LedgerEntry:
    """One entry of the ledger."""

    index: BigInt = described("Its place, from 0; none is ever missing.")
    recorded_at: datetime = described("When, by the database's clock; the leaf says it to the microsecond.")
    kind: LedgerKind = described("What it records.")
    actor: str = described("Key id, `system`, or `cli`.")
    leaf: Base64 = described("The exact leaf bytes: SHA-256(0x00 || leaf) is leafHash.")
    leaf_hash: Digest = described("Hash of the leaf in the tree.")
    note: str | None = described(
        "Free text kept outside the tree, erasable; the leaf holds its salted hash. Null: none, or erased."
    )


@strawberry.type
class Checkpoint:
    """What the ledger said at a size, signed (C2SP tlog-checkpoint)."""

    origin: str = described("Name of the ledger.")
    size: BigInt = described("How many entries it covers.")
    root_hash: Base64 = described("Root hash of these entries (RFC 6962).")
    issued_at: datetime = described("When it was signed.")
    note: str = described("C2SP signed note, as signed.")
    public_key: str = described("Verifier key (C2SP vkey).")


@strawberry.type
class Proof:
    """Hashes that lead to a root hash (RFC 9162, section 2.1)."""

    size: BigInt = described("Tree size it leads to.")
    root_hash: Base64 = described("Root hash of that tree; compare it with a checkpoint of that size.")
    hashes: list[Base64] = described("The proof, in the order in which it is worked through.")


@strawberry.input
class LedgerKindFilter:
    """Compares kinds of entries."""

    eq: Maybe[LedgerKind] = described("Equal.")
    in_: list[LedgerKind] | None = optional("One of these; an empty list matches nothing.", name="in")


@strawberry.input
class LedgerFilter:
    """Chooses entries of the ledger. All given fields must hold."""

    kind: LedgerKindFilter | None = optional("What it records.")
    recorded_at: DateTimeFilter | None = optional("When, compared as it is shown: to the millisecond.")
    index: BigIntFilter | None = optional("Its place.")


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
