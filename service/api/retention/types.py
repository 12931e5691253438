"""What is kept and what was destroyed, as the schema shows it: nothing of any call, only windows, counts and ids."""

from datetime import datetime, timedelta
from enum import Enum

import strawberry

from policies.policy.model import DataClass as PolicyDataClass
from policies.retention import PARTITION_CLASSES, Partition
from service.api.types.calls import Node
from service.api.types.declarations import described, value
from service.api.types.enums import DataClass, Store
from service.api.types.public_ids import encode_id
from service.api.types.scalars import BigInt, Digest, big_int
from service.retention import purge_runs as runs
from service.retention.audit import report
from service.retention.context import RetentionContext
from service.retention.erasure import erasure_record as erasures
from service.retention.holds import holds
from service.storage.ids import encode_call_id


@strawberry.enum
class PurgeState(Enum):
    """How far a purge came, in this order."""

    REQUESTED = value("REQUESTED", "Asked for by its digest; the worker takes it up.")
    PLANNED = value("PLANNED", "What goes is decided.")
    HOLDS_CHECKED = value("HOLDS_CHECKED", "The holds in force are noted.")
    INTENT_LEDGERED = value("INTENT_LEDGERED", "The ledger says what will be destroyed.")
    KEYS_DESTROYED = value("KEYS_DESTROYED", "Period keys are destroyed, the record keys of held rows in escrow.")
    DETACHED = value("DETACHED", "No query can reach the partitions.")
    DROPPED = value("DROPPED", "Held rows are copied, and the partitions are gone.")
    VERIFIED = value("VERIFIED", "Seen to be gone from the catalogue and the keyring.")
    DONE = value("DONE", "The ledger says what was destroyed.")
    FAILED = value("FAILED", "Ended before its end; `failure` says why.")


@strawberry.enum
class ErasureKind(Enum):
    """Whose data goes."""

    USER = value("USER", "One person's, in one account.")
    ACCOUNT = value("ACCOUNT", "All of an account.")


@strawberry.enum
class ErasureState(Enum):
    """How far an erasure is."""

    REQUESTED = value("REQUESTED", "On record; the worker comes to it.")
    RESTRICTED = value(
        "RESTRICTED", "Erased where everybody reads; what holds keep is in their own exports alone, until they end."
    )
    DONE = value("DONE", "Nothing is left to erase.")


@strawberry.type
class HoldScope:
    """What a hold names. What is null does not narrow it."""

    account: str = described("Calls of this account.")
    from_: datetime | None = described("That started at this moment or later.", "from")
    to: datetime | None = described("That started before this moment.")
    model: str | None = described("Of this model.")
    api_key: str | None = described("Of this key of the gateway.")
    call_ids: list[strawberry.ID] | None = described("These calls and no others.")


@strawberry.type
class Hold(Node):
    """A legal hold: what it names outlives its window."""

    id: strawberry.ID = described("Opaque id.")
    name: str = described("What it is called.")
    owner: str = described("Who answers for it.")
    reason: str | None = described("Why it was placed; null once it was erased.")
    scope: HoldScope = described("What it names.")
    classes: list[DataClass] = described("Classes of data that it keeps.")
    placed_at: datetime = described("From when it holds.")
    expires_at: datetime | None = described("When it ends by itself; null: it does not.")
    lifted_at: datetime | None = described("When it was lifted; null: it was not.")
    rows: BigInt = described("Rows past their window that were copied for it.")
    ledger_index: BigInt = described("The ledger's entry of its placing.")


@strawberry.type
class PurgedPartition:
    """One partition of a purge."""

    name: str = described("Its name in the database.")
    class_: DataClass = described("What it counts as: its rows hold several classes, and go as a whole.", "class")
    tier: str = described("Tier of its rows.")
    from_: datetime = described("Its rows are of this moment or later.", "from")
    to: datetime = described("Its rows are of before this moment.")
    rows: BigInt = described("Rows; exact once it is detached, estimated before.")
    bytes: BigInt = described("Size on disk with its indexes.")


@strawberry.type
class PurgeRun(Node):
    """One purge: what it was to destroy, and how far it came."""

    id: strawberry.ID = described("Opaque id.")
    state: PurgeState = described("How far it came.")
    plan_digest: Digest = described("Digest of what was planned.")
    planned_at: datetime = described("When it was planned, or asked for.")
    finished_at: datetime | None = described("When it ended.")
    requested_by: strawberry.ID | None = described("Key id; `cli` for the operator's shell, `system` for the worker.")
    partitions: list[PurgedPartition] = described("What was dropped, or is to be.")
    keys_destroyed: BigInt = described("Period keys that were destroyed.")
    rows_held_back: BigInt = described("Rows of these partitions that holds keep.")
    ledger_index: BigInt | None = described("The ledger's entry of its result, or else of its intent.")
    failure: str | None = described(
        "Why it failed, or cannot go on for now; if it is done, which files of calls are left."
    )
    unreadable_in_backups_at: datetime | None = described(
        "From when what its keys opened can be read in no copy, the keyring's backups included; null without keys."
    )


@strawberry.type
class Erasure(Node):
    """A request to erase one person or one account."""

    id: strawberry.ID = described("Opaque id.")
    kind: ErasureKind = described("Whose data goes.")
    account: str = described("The account; `erased:...` once its name is gone too.")
    requested_at: datetime = described("When it was asked for.")
    state: ErasureState = described("How far it is.")
    restricted_at: datetime | None = described(
        "When what holds keep was taken from everybody: it is in their own exports alone, and goes when they end."
    )
    finished_at: datetime | None = described("When nothing was left to erase.")
    rows: BigInt = described("Rows that were deleted or lost what was the person's.")
    blocked_by_holds: list[strawberry.ID] = described("Holds that keep copies for themselves; these go when they end.")
    unreadable_in_backups_at: datetime | None = described(
        "From when no backup can be opened either: keys gone, and gone from the keyring's backups. Null while a hold "
        "keeps the account's key, and when nothing of the person was found."
    )
    ledger_index: BigInt | None = described("The ledger's entry of its result, or else of its intent.")


@strawberry.type
class KeyCounts:
    """Keys of one class and tier."""

    live: BigInt = described("Period keys that are here.")
    destroyed: BigInt = described("Period keys that were destroyed.")
    lost: BigInt = described("Neither here nor destroyed by us, though something is sealed with them.")
    held: BigInt = described("Record keys that holds keep in escrow.")


@strawberry.type
class ClassRetention:
    """One class of data in one store, for the accounts of one tier."""

    name: DataClass = described("The class.")
    tier: str = described("The tier.")
    store: Store = described("The table.")
    window_days: int = described("Days that it can be read; reads cut off exactly there.")
    kept_at_most_days: int = described(
        "Days after which it is gone from the disk, or its key is: the window, one partition or key period, and a day."
    )
    unreadable_everywhere_days: int | None = described(
        "Days after which no copy can be opened, the keyring's backups included. Null where the class lies in clear: "
        "copies of that end with the database's own backups."
    )
    oldest: datetime | None = described("Oldest row on disk now, outside holds.")
    oldest_served: datetime | None = described("Oldest row that any query can return now.")
    overdue: BigInt = described("Rows in partitions that should have been dropped by now: must be 0.")
    hidden: BigInt = described("Rows hidden already and waiting for their partition's end.")
    held: BigInt = described("Rows that holds keep copies of: past their window, or taken from everybody else.")
    next_purge_at: datetime | None = described("When the next of it is due.")
    keys: KeyCounts = described("Its keys.")


@strawberry.type
class Account(Node):
    """An account."""

    name: str = described("Its name.")
    tier: str = described("Tier of the calls that it makes now.")
    created_at: datetime = described("When it was first heard of.")
    calls: BigInt = described("Calls in the sums that are kept.", weight=20)


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
