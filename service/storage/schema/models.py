"""The small control tables as Tortoise models. The high-volume tables are made by statements in `migrations`."""

import re
from typing import Any, Final
from uuid import UUID

from tortoise import fields
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.indexes import Index
from tortoise.models import Model, ModelMeta

_BEFORE_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class _Plain(ModelMeta):
    """Stores a model in the table of its name: `ApiKey` in `api_key`.

    It also keeps Tortoise from parsing the source of every model for `#:` comments, since there are none here.
    """

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> ModelMeta:
        table = _BEFORE_CAPITAL.sub("_", name).lower()
        meta = type("Meta", (attributes.get("Meta", Model.Meta),), {"table": table})
        return super().__new__(cls, name, bases, {**attributes, "Meta": meta, "_no_comments": True})


class Installation(Model, metaclass=_Plain):
    """One row: which ledger this database is. The keyring is bound to `database_id`."""

    id = fields.SmallIntField(primary_key=True)
    database_id = fields.UUIDField()
    created_at = fields.DatetimeField()
    demo = fields.BooleanField(default=False)


class Account(Model, metaclass=_Plain):
    """A tenant. Its id is in every stored row; its name is what callers know."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=200, unique=True)
    created_at = fields.DatetimeField()
    name_salt = fields.BinaryField(null=True)


class AccountTier(Model, metaclass=_Plain):
    """From `from_at` (a UTC midnight) on, the account's calls are of `tier`. The first row starts at the epoch."""

    id = fields.IntField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "calledger.Account", related_name="tiers", on_delete=fields.RESTRICT
    )
    tier = fields.SmallIntField()
    from_at = fields.DatetimeField()

    class Meta(Model.Meta):
        """An account has one tier from a time on."""

        unique_together = (("account", "from_at"),)


class ApiKey(Model, metaclass=_Plain):
    """An API key without its secret: `prefix` finds it, `mac` is HMAC-SHA256 of the complete key under the pepper."""

    prefix = fields.CharField(max_length=16, primary_key=True)
    name = fields.TextField(null=True)
    role = fields.CharField(max_length=16)
    accounts = fields.JSONField[list[int] | None](null=True)
    mac = fields.BinaryField()
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)
    sessions_hour = fields.DatetimeField(null=True)


class PolicyVersion(Model, metaclass=_Plain):
    """A policy that was applied: its canonical text and digest. The highest version is in force."""

    version = fields.IntField(primary_key=True)
    name = fields.TextField()
    digest = fields.CharField(max_length=71)
    document = fields.TextField()
    applied_at = fields.DatetimeField()
    applied_by = fields.TextField()
    approved_by = fields.TextField(null=True)
    ledger_index = fields.BigIntField(null=True)


class PolicyProposal(Model, metaclass=_Plain):
    """A policy that waits for a second admin, in place of version `replaces`."""

    id = fields.IntField(primary_key=True)
    replaces = fields.IntField()
    digest = fields.CharField(max_length=71)
    document = fields.TextField()
    proposed_at = fields.DatetimeField()
    proposed_by = fields.TextField()


class PurgeRun(Model, metaclass=_Plain):
    """One purge: its plan as decided, and how far it came."""

    id = fields.UUIDField(primary_key=True)
    state = fields.CharField(max_length=20)
    plan_digest = fields.CharField(max_length=71)
    plan = fields.JSONField[dict[str, object]]()
    planned_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)
    requested_by = fields.TextField()
    keys_destroyed = fields.BigIntField(default=0)
    rows_dropped = fields.BigIntField(default=0)
    failure = fields.TextField(null=True)
    rows_held_back = fields.BigIntField(default=0, db_default=0)
    ledger_index = fields.BigIntField(null=True)

    class Meta(Model.Meta):
        """Listed by time."""

        indexes = (Index(fields=("planned_at",), name="purge_run_planned_at"),)


class Hold(Model, metaclass=_Plain):
    """A legal hold: the calls that it names outlive their window. `rows`: copies that were made for it."""

    id = fields.UUIDField(primary_key=True)
    name = fields.TextField()
    owner = fields.TextField()
    reason = fields.TextField(null=True)
    account_id = fields.IntField()
    from_at = fields.DatetimeField(null=True)
    to_at = fields.DatetimeField(null=True)
    model = fields.TextField(null=True)
    api_key = fields.TextField(null=True)
    call_ids: list[UUID] | None = ArrayField("uuid", null=True)
    classes = fields.JSONField[list[str]]()
    placed_at = fields.DatetimeField()
    placed_by = fields.TextField()
    expires_at = fields.DatetimeField(null=True)
    lifted_at = fields.DatetimeField(null=True)
    lifted_by = fields.TextField(null=True)
    released_at = fields.DatetimeField(null=True)
    rows = fields.BigIntField(default=0, db_default=0)
    ledger_index = fields.BigIntField(null=True)

    class Meta(Model.Meta):
        """Listed by time."""

        indexes = (Index(fields=("placed_at",), name="hold_placed_at"),)


class Erasure(Model, metaclass=_Plain):
    """A request to erase a person or an account. `tokens`: the person's pseudonyms until it is carried out.

    `sealed_user`: the person's name, sealed, until every row was searched; `search`: what has been searched.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharField(max_length=8)
    account_id = fields.IntField()
    tokens = fields.JSONField[list[list[int | str]] | None](null=True)
    requested_at = fields.DatetimeField()
    requested_by = fields.TextField()
    finished_at = fields.DatetimeField(null=True)
    rows = fields.BigIntField(default=0, db_default=0)
    blocked_by = fields.JSONField[list[str]]()
    unreadable_at = fields.DatetimeField(null=True)
    ledger_index = fields.BigIntField(null=True)
    restricted_at = fields.DatetimeField(null=True)
    sealed_user = fields.BinaryField(null=True)
    search = fields.JSONField[dict[str, list[str]] | None](null=True)

    class Meta(Model.Meta):
        """Listed by time."""

        indexes = (Index(fields=("requested_at",), name="erasure_requested_at"),)


class LedgerEntry(Model, metaclass=_Plain):
    """One entry of the ledger: its exact leaf, and the hashes of the subtrees that it completes."""

    index = fields.BigIntField(primary_key=True, generated=False)
    recorded_at = fields.DatetimeField()
    kind = fields.CharField(max_length=32)
    actor = fields.TextField()
    leaf = fields.BinaryField()
    hashes = fields.BinaryField()


class LedgerNote(Model, metaclass=_Plain):
    """The free text of an entry, which can be erased: the leaf has its hash under `salt`."""

    index = fields.BigIntField(primary_key=True, generated=False)
    salt = fields.BinaryField()
    text = fields.TextField()


class LedgerCheckpoint(Model, metaclass=_Plain):
    """A signed checkpoint (C2SP tlog-checkpoint) of the first `size` entries."""

    size = fields.BigIntField(primary_key=True, generated=False)
    issued_at = fields.DatetimeField()
    note = fields.TextField()
    public_key = fields.TextField()


class Export(Model, metaclass=_Plain):
    """A file that was requested, and how far it is. `accounts`, `role` and `policy`: what the key might see then.

    `request` says what is in the file, until the file is gone. `worker`: the advisory lock that the writing process
    holds for as long as it lives.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharField(max_length=12)
    state = fields.CharField(max_length=12)
    requested_by = fields.CharField(max_length=16)
    role = fields.CharField(max_length=16)
    accounts = fields.JSONField[list[int] | None](null=True)
    policy = fields.CharField(max_length=71)
    request = fields.JSONField[dict[str, object]]()
    requested_at = fields.DatetimeField()
    worker = fields.BigIntField(null=True)
    ended_at = fields.DatetimeField(null=True)
    expires_at = fields.DatetimeField(null=True)
    rows = fields.BigIntField(null=True)
    bytes = fields.BigIntField(null=True)
    sha256 = fields.CharField(max_length=71, null=True)
    manifest = fields.TextField(null=True)
    failure = fields.TextField(null=True)
    total = fields.BigIntField(null=True)
    schedule = fields.UUIDField(null=True)
    period_start = fields.DatetimeField(null=True)

    class Meta(Model.Meta):
        """Searched by key."""

        indexes = (Index(fields=("requested_by",), name="export_requested_by"),)


class ExportSchedule(Model, metaclass=_Plain):
    """An export that is asked for again each day or month of a time zone. `accounts` and `role`: those of its key.

    `period_start`: where the next period begins that is to be exported; `due_at`: when that period has ended.
    """

    id = fields.UUIDField(primary_key=True)
    kind = fields.CharField(max_length=12)
    every = fields.CharField(max_length=8)
    time_zone = fields.CharField(max_length=64)
    requested_by = fields.CharField(max_length=16)
    role = fields.CharField(max_length=16)
    accounts = fields.JSONField[list[int] | None](null=True)
    request = fields.JSONField[dict[str, object]]()
    requested_at = fields.DatetimeField()
    period_start = fields.DatetimeField()
    due_at = fields.DatetimeField()
    failure = fields.TextField(null=True)

    class Meta(Model.Meta):
        """Stored in `export_schedule`."""

        table = "export_schedule"


class Webhook(Model, metaclass=_Plain):
    """Where events are sent. `accounts` and `role`: those of its key; `request`: filter and fields of calls.

    `sealed`: address and secrets; `shown_url`: as much of the address as is no secret. `feed_cursor`: behind which
    change the next calls are sent. `leased_until`: until then one process works for it, and others from `due_at` on.
    """

    id = fields.UUIDField(primary_key=True)
    name = fields.TextField(null=True)
    requested_by = fields.CharField(max_length=16)
    role = fields.CharField(max_length=16)
    accounts = fields.JSONField[list[int] | None](null=True)
    events = fields.JSONField[list[str]]()
    request = fields.JSONField[dict[str, object]]()
    shown_url = fields.TextField()
    sealed = fields.BinaryField()
    created_at = fields.DatetimeField()
    disabled_at = fields.DatetimeField(null=True)
    failure = fields.TextField(null=True)
    feed_cursor = fields.TextField(null=True)
    due_at = fields.DatetimeField()
    leased_until = fields.DatetimeField(null=True)


class WebhookDelivery(Model, metaclass=_Plain):
    """One event for one webhook. `subject`: what happened, once for each webhook; `facts`: what is said of it, without
    content of calls. `attempts`: when each began, how long it took, and what came of it; `since`: from when on it is
    tried, for three days.
    """

    id = fields.UUIDField(primary_key=True)
    webhook_id = fields.UUIDField()
    accounts = fields.JSONField[list[int] | None](null=True)
    event = fields.CharField(max_length=32)
    subject = fields.TextField()
    facts = fields.JSONField[dict[str, object]]()
    created_at = fields.DatetimeField()
    state = fields.CharField(max_length=12)
    attempts = fields.JSONField[list[dict[str, object]]]()
    since = fields.DatetimeField()
    next_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)

    class Meta(Model.Meta):
        """Listed by webhook and time."""

        indexes = (Index(fields=("webhook_id", "created_at"), name="webhook_delivery_log"),)


class Budget(Model, metaclass=_Plain):
    """What an account, or a key or tag of it, is meant to spend in a day of UTC. `thresholds`: in percent."""

    id = fields.UUIDField(primary_key=True)
    account_id = fields.IntField()
    api_key = fields.TextField(null=True)
    tag_key = fields.TextField(null=True)
    tag_value = fields.TextField(null=True)
    currency = fields.TextField()
    amount = fields.DecimalField(max_digits=38, decimal_places=12)
    thresholds = fields.JSONField[list[int]]()
    set_by = fields.CharField(max_length=16)
    set_at = fields.DatetimeField()


class FieldRemoval(Model, metaclass=_Plain):
    """Records that older values of a field were removed, after a version of the policy stopped keeping it."""

    id = fields.UUIDField(primary_key=True)
    field = fields.TextField()
    version = fields.IntField()
    finished_at = fields.DatetimeField()
    rows = fields.BigIntField()


class SchemaProgram(Model, metaclass=_Plain):
    """Which version of calledger ran a migration here."""

    migration = fields.CharField(max_length=100, primary_key=True)
    program = fields.TextField()
    applied_at = fields.DatetimeField()
