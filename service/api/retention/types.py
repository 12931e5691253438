"""What is kept and what was destroyed, as the schema shows it: nothing of any call, only windows, counts and ids."""

import base64
import binascii
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import strawberry

from policies.policy.model import DataClass as PolicyDataClass
from policies.retention import PARTITION_CLASSES, Partition
from service.api.types.calls import Node
from service.api.types.directives import Cost
from service.api.types.enums import DataClass, Store
from service.api.types.scalars import BigInt, Digest, big_int
from service.retention import purge_runs as runs
from service.retention.audit import report
from service.retention.context import RetentionContext
from service.retention.erasure import erasure_record as erasures
from service.retention.holds import holds
from service.storage.ids import encode_call_id


def _value(name: str, description: str) -> Any:  # noqa: ANN401 - Strawberry's marker
    return strawberry.enum_value(name, description=description)


def _field(description: str, *, name: str | None = None, weight: int | None = None) -> Any:  # noqa: ANN401 - any type
    directives = [Cost(weight=weight)] if weight else []
    return strawberry.field(description=description, name=name, directives=directives)


@strawberry.enum
class PurgeState(Enum):
    """How far a purge came, in this order."""

    REQUESTED = _value("REQUESTED", "Asked for by its digest; the worker takes it up.")
    PLANNED = _value("PLANNED", "What goes is decided.")
    HOLDS_CHECKED = _value("HOLDS_CHECKED", "The holds in force are noted.")
    INTENT_LEDGERED = _value("INTENT_LEDGERED", "The ledger says what will be destroyed.")
    KEYS_DESTROYED = _value("KEYS_DESTROYED", "Period keys are destroyed, the record keys of held rows in escrow.")
    DETACHED = _value("DETACHED", "No query can reach the partitions.")
    DROPPED = _value("DROPPED", "Held rows are copied, and the partitions are gone.")
    VERIFIED = _value("VERIFIED", "Seen to be gone from the catalogue and the keyring.")
    DONE = _value("DONE", "The ledger says what was destroyed.")
    FAILED = _value("FAILED", "Ended before its end; `failure` says why.")


@strawberry.enum
class ErasureKind(Enum):
    """Whose data goes."""

    USER = _value("USER", "One person's, in one account.")
    ACCOUNT = _value("ACCOUNT", "All of an account.")


@strawberry.enum
class ErasureState(Enum):
    """How far an erasure is."""

    REQUESTED = _value("REQUESTED", "On record; the worker comes to it.")
    RESTRICTED = _value(
        "RESTRICTED", "Erased where everybody reads; what holds keep is in their own exports alone, until they end."
    )
    DONE = _value("DONE", "Nothing is left to erase.")


@strawberry.type
class HoldScope:
    """What a hold names. What is null does not narrow it."""

    account: str = _field("Calls of this account.")
    from_: datetime | None = _field("That started at this moment or later.", name="from")
    to: datetime | None = _field("That started before this moment.")
    model: str | None = _field("Of this model.")
    api_key: str | None = _field("Of this key of the gateway.")
    call_ids: list[strawberry.ID] | None = _field("These calls and no others.")


@strawberry.type
class Hold(Node):
    """A legal hold: what it names outlives its window."""

    id: strawberry.ID = _field("Opaque id.")
    name: str = _field("What it is called.")
    owner: str = _field("Who answers for it.")
    reason: str | None = _field("Why it was placed; null once it was erased.")
    scope: HoldScope = _field("What it names.")
    classes: list[DataClass] = _field("Classes of data that it keeps.")
    placed_at: datetime = _field("From when it holds.")
    expires_at: datetime | None = _field("When it ends by itself; null: it does not.")
    lifted_at: datetime | None = _field("When it was lifted; null: it was not.")
    rows: BigInt = _field("Rows past their window that were copied for it.")
    ledger_index: BigInt = _field("The ledger's entry of its placing.")


@strawberry.type
class PurgedPartition:
    """One partition of a purge."""

    name: str = _field("Its name in the database.")
    class_: DataClass = _field("What it counts as: its rows hold several classes, and go as a whole.", name="class")
    tier: str = _field("Tier of its rows.")
    from_: datetime = _field("Its rows are of this moment or later.", name="from")
    to: datetime = _field("Its rows are of before this moment.")
    rows: BigInt = _field("Rows; exact once it is detached, estimated before.")
    bytes: BigInt = _field("Size on disk with its indexes.")


@strawberry.type
class PurgeRun(Node):
    """One purge: what it was to destroy, and how far it came."""

    id: strawberry.ID = _field("Opaque id.")
    state: PurgeState = _field("How far it came.")
    plan_digest: Digest = _field("Digest of what was planned.")
    planned_at: datetime = _field("When it was planned, or asked for.")
    finished_at: datetime | None = _field("When it ended.")
    requested_by: strawberry.ID | None = _field("Key id; `cli` for the operator's shell, `system` for the worker.")
    partitions: list[PurgedPartition] = _field("What was dropped, or is to be.")
    keys_destroyed: BigInt = _field("Period keys that were destroyed.")
    rows_held_back: BigInt = _field("Rows of these partitions that holds keep.")
    ledger_index: BigInt | None = _field("The ledger's entry of its result, or else of its intent.")
    failure: str | None = _field("Why it failed, or cannot go on for now.")
    unreadable_in_backups_at: datetime | None = _field(
        "From when what its keys opened can be read in no copy, the keyring's backups included; null without keys."
    )


@strawberry.type
class Erasure(Node):
    """A request to erase one person or one account."""

    id: strawberry.ID = _field("Opaque id.")
    kind: ErasureKind = _field("Whose data goes.")
    account: str = _field("The account; `erased:...` once its name is gone too.")
    requested_at: datetime = _field("When it was asked for.")
    state: ErasureState = _field("How far it is.")
    restricted_at: datetime | None = _field(
        "When what holds keep was taken from everybody: it is in their own exports alone, and goes when they end."
    )
    finished_at: datetime | None = _field("When nothing was left to erase.")
    rows: BigInt = _field("Rows that were deleted or lost what was the person's.")
    blocked_by_holds: list[strawberry.ID] = _field("Holds that keep copies for themselves; these go when they end.")
    unreadable_in_backups_at: datetime | None = _field(
        "From when no backup can be opened either: keys gone, and gone from the keyring's backups. Null while a hold "
        "keeps the account's key, and when nothing of the person was found."
    )
    ledger_index: BigInt | None = _field("The ledger's entry of its result, or else of its intent.")


@strawberry.type
class KeyCounts:
    """Keys of one class and tier."""

    live: BigInt = _field("Period keys that are here.")
    destroyed: BigInt = _field("Period keys that were destroyed.")
    lost: BigInt = _field("Neither here nor destroyed by us, though something is sealed with them.")
    held: BigInt = _field("Record keys that holds keep in escrow.")


@strawberry.type
class ClassRetention:
    """One class of data in one store, for the accounts of one tier."""

    name: DataClass = _field("The class.")
    tier: str = _field("The tier.")
    store: Store = _field("The table.")
    window_days: int = _field("Days that it can be read; reads cut off exactly there.")
    kept_at_most_days: int = _field(
        "Days after which it is gone from the disk, or its key is: the window, one partition or key period, and a day."
    )
    unreadable_everywhere_days: int | None = _field(
        "Days after which no copy can be opened, the keyring's backups included. Null where the class lies in clear: "
        "copies of that end with the database's own backups."
    )
    oldest: datetime | None = _field("Oldest row on disk now, outside holds.")
    oldest_served: datetime | None = _field("Oldest row that any query can return now.")
    overdue: BigInt = _field("Rows in partitions that should have been dropped by now: must be 0.")
    hidden: BigInt = _field("Rows hidden already and waiting for their partition's end.")
    held: BigInt = _field("Rows that holds keep copies of: past their window, or taken from everybody else.")
    next_purge_at: datetime | None = _field("When the next of it is due.")
    keys: KeyCounts = _field("Its keys.")


@strawberry.type
class Account(Node):
    """An account."""

    name: str = _field("Its name.")
    tier: str = _field("Tier of the calls that it makes now.")
    created_at: datetime = _field("When it was first heard of.")
    calls: BigInt = _field("Calls in the sums that are kept.", weight=20)


def encode_account_id(number: int) -> strawberry.ID:
    """`acct_` and seven characters."""
    return strawberry.ID("acct_" + base64.b32encode(number.to_bytes(4, "big")).decode().rstrip("=").lower())


def decode_account_id(text: str) -> int | None:
    """The account's number; None for what is no account's id."""
    body = text.removeprefix("acct_")
    try:
        number = int.from_bytes(base64.b32decode(body.upper() + "=" * (-len(body) % 8)), "big")
        return number if encode_account_id(number) == text and number < 2**31 else None
    except (binascii.Error, ValueError, OverflowError):
        return None


def encode_id(kind: str, id_: UUID) -> strawberry.ID:
    """`hold_` and 26 characters."""
    return strawberry.ID(f"{kind}_" + base64.b32encode(id_.bytes).decode().rstrip("=").lower())


def decode_id(kind: str, text: str) -> UUID | None:
    """The id in `text`; None when it is none of that kind."""
    body = text.removeprefix(f"{kind}_")
    try:
        id_ = UUID(bytes=base64.b32decode(body.upper() + "=" * (-len(body) % 8)))
    except (binascii.Error, ValueError):
        return None
    return id_ if encode_id(kind, id_) == text else None


def hold_node(hold: holds.StoredHold, account: str) -> Hold:
    """The stored hold as the schema shows it; `account` is its account's name."""
    scope = HoldScope(
        account=account,
        from_=hold.start,
        to=hold.end,
        model=hold.model,
        api_key=hold.api_key,
        call_ids=None
        if hold.call_ids is None
        else [strawberry.ID(encode_call_id(hold.account_id, one)) for one in hold.call_ids],
    )
    return Hold(
        id=encode_id("hold", hold.id),
        name=hold.name,
        owner=hold.owner,
        reason=hold.reason,
        scope=scope,
        classes=[DataClass[one.name] for one in hold.classes],
        placed_at=hold.placed_at,
        expires_at=hold.expires_at,
        lifted_at=hold.lifted_at,
        rows=BigInt(hold.copies),
        ledger_index=entry_index(hold.ledger_index),
    )


def entry_index(index: int | None) -> BigInt:
    """The index of the ledger's entry. It is never None here: what answers requests has a ledger."""
    assert index is not None
    return BigInt(index)


def partition_node(retention: RetentionContext, part: Partition) -> PurgedPartition:
    """The partition of a purge as the schema shows it, its tier by name."""
    tier = retention.policy().tier_number(part.tier)
    return PurgedPartition(
        name=part.name,
        class_=_class(PARTITION_CLASSES[part.store]),
        tier=tier.name if tier else str(part.tier),
        from_=part.start,
        to=part.end,
        rows=BigInt(part.rows_estimate),
        bytes=BigInt(part.bytes),
    )


def purge_node(retention: RetentionContext, run: runs.Run) -> PurgeRun:
    """The stored purge as the schema shows it, with its partitions."""
    gone = run.finished_at if run.keys_destroyed else None
    return PurgeRun(
        id=encode_id("purge", run.id),
        state=PurgeState[run.state.name],
        plan_digest=Digest(run.digest),
        planned_at=run.planned_at,
        finished_at=run.finished_at,
        requested_by=strawberry.ID(run.requested_by),
        partitions=[partition_node(retention, part) for part in run.plan.partitions],
        keys_destroyed=BigInt(run.keys_destroyed),
        rows_held_back=BigInt(run.rows_held_back),
        ledger_index=big_int(run.ledger_index),
        failure=run.failure,
        unreadable_in_backups_at=gone and gone + timedelta(days=retention.keyring_backup_days),
    )


def erasure_node(erasure: erasures.StoredErasure, account: str) -> Erasure:
    """The stored erasure as the schema shows it; `account` is its account's name."""
    return Erasure(
        id=encode_id("erasure", erasure.id),
        kind=ErasureKind[erasure.kind.name],
        account=account,
        requested_at=erasure.requested_at,
        state=ErasureState[erasure.state],
        restricted_at=erasure.restricted_at,
        finished_at=erasure.finished_at,
        rows=BigInt(erasure.rows),
        blocked_by_holds=[encode_id("hold", one) for one in erasure.blocked_by],
        unreadable_in_backups_at=erasure.unreadable_at,
        ledger_index=big_int(erasure.ledger_index),
    )


def class_node(found: report.ClassState) -> ClassRetention:
    """The retention of one class, tier and store as the schema shows it."""
    keys = found.keys
    return ClassRetention(
        name=_class(found.window.data_class),
        tier=found.window.tier,
        store=Store[found.window.store.name],
        window_days=found.window.days,
        kept_at_most_days=found.kept_at_most_days,
        unreadable_everywhere_days=found.unreadable_days,
        oldest=found.state.oldest,
        oldest_served=found.state.oldest_served,
        overdue=BigInt(found.state.overdue),
        hidden=BigInt(found.state.hidden),
        held=BigInt(found.held),
        next_purge_at=found.state.next_due_at,
        keys=KeyCounts(
            live=BigInt(keys.live), destroyed=BigInt(keys.destroyed), lost=BigInt(keys.lost), held=BigInt(keys.held)
        ),
    )


def _class(one: PolicyDataClass) -> DataClass:
    return DataClass[one.name]
