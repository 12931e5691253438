"""The small control tables, as Tortoise models. The high-volume tables are named statements in `migrations`."""

from tortoise import fields
from tortoise.indexes import Index
from tortoise.models import Model


class Installation(Model):
    """One row: which ledger this database is. The keyring is bound to `database_id`."""

    id = fields.SmallIntField(primary_key=True)
    database_id = fields.UUIDField()
    created_at = fields.DatetimeField()
    demo = fields.BooleanField(default=False)

    class Meta(Model.Meta):
        table = "installation"


class Account(Model):
    """A tenant. Its number stands in every stored row; its name is what callers know."""

    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=200, unique=True)
    created_at = fields.DatetimeField()

    class Meta(Model.Meta):
        table = "account"


class AccountTier(Model):
    """From `from_at` (a UTC midnight) on, the account's calls are of `tier`. The first row starts at the epoch."""

    id = fields.IntField(primary_key=True)
    account: fields.ForeignKeyRelation[Account] = fields.ForeignKeyField(
        "calledger.Account", related_name="tiers", on_delete=fields.RESTRICT
    )
    tier = fields.SmallIntField()
    from_at = fields.DatetimeField()

    class Meta(Model.Meta):
        table = "account_tier"
        unique_together = (("account", "from_at"),)


class ApiKey(Model):
    """An API key without its secret: `prefix` finds it, `mac` is HMAC-SHA256 of the whole key under the pepper."""

    prefix = fields.CharField(max_length=16, primary_key=True)
    name = fields.TextField(null=True)
    role = fields.CharField(max_length=16)
    accounts = fields.JSONField[list[int] | None](null=True)
    mac = fields.BinaryField()
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    last_used_at = fields.DatetimeField(null=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta(Model.Meta):
        table = "api_key"


class PolicyVersion(Model):
    """A policy that was applied: its canonical text and digest. The highest version is in force."""

    version = fields.IntField(primary_key=True)
    name = fields.TextField()
    digest = fields.CharField(max_length=71)
    document = fields.TextField()
    applied_at = fields.DatetimeField()
    applied_by = fields.TextField()

    class Meta(Model.Meta):
        table = "policy_version"


class PurgeRun(Model):
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

    class Meta(Model.Meta):
        table = "purge_run"
        indexes = (Index(fields=("planned_at",), name="purge_run_planned_at"),)
