"""The small control tables, as `service.storage.schema.models` describes them."""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

# Text is compared by code point whatever the database's own collation is, so that every installation orders alike.
COLLATE = """
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT c.oid::regclass AS relation, a.attname, format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relname = ANY (ARRAY['account', 'api_key', 'policy_version', 'purge_run'])
          AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND a.attcollation <> 0
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s COLLATE "C"', wanted.relation, wanted.attname, wanted.type);
    END LOOP;
END
$$
"""


class Migration(migrations.Migration):
    """Create the control tables."""

    initial = True

    operations = [
        ops.CreateModel(
            name="Account",
            fields=[
                ("id", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("name", fields.CharField(unique=True, max_length=200)),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "account",
                "app": "calledger",
                "pk_attr": "id",
                "table_description": "A tenant. Its number stands in every stored row; its name is what callers know.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="AccountTier",
            fields=[
                ("id", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                (
                    "account",
                    fields.ForeignKeyField(
                        "calledger.Account",
                        source_field="account_id",
                        db_constraint=True,
                        to_field="id",
                        related_name="tiers",
                        on_delete=OnDelete.RESTRICT,
                    ),
                ),
                ("tier", fields.SmallIntField()),
                ("from_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "account_tier",
                "app": "calledger",
                "unique_together": (("account", "from_at"),),
                "pk_attr": "id",
                "table_description": "From `from_at` (a UTC midnight) on, the account's calls are of `tier`. The first row starts at the epoch.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="ApiKey",
            fields=[
                ("prefix", fields.CharField(primary_key=True, unique=True, db_index=True, max_length=16)),
                ("name", fields.TextField(null=True, unique=False)),
                ("role", fields.CharField(max_length=16)),
                ("accounts", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("mac", fields.BinaryField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("last_used_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("revoked_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "api_key",
                "app": "calledger",
                "pk_attr": "prefix",
                "table_description": "An API key without its secret: `prefix` finds it, `mac` is HMAC-SHA256 of the whole key under the pepper.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Installation",
            fields=[
                ("id", fields.SmallIntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("database_id", fields.UUIDField()),
                ("created_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("demo", fields.BooleanField(default=False)),
            ],
            options={
                "table": "installation",
                "app": "calledger",
                "pk_attr": "id",
                "table_description": "One row: which ledger this database is. The keyring is bound to `database_id`.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PolicyVersion",
            fields=[
                ("version", fields.IntField(generated=True, primary_key=True, unique=True, db_index=True)),
                ("name", fields.TextField(unique=False)),
                ("digest", fields.CharField(max_length=71)),
                ("document", fields.TextField(unique=False)),
                ("applied_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("applied_by", fields.TextField(unique=False)),
            ],
            options={
                "table": "policy_version",
                "app": "calledger",
                "pk_attr": "version",
                "table_description": "A policy that was applied: its canonical text and digest. The highest version is in force.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="PurgeRun",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("state", fields.CharField(max_length=20)),
                ("plan_digest", fields.CharField(max_length=71)),
                ("plan", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("planned_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("finished_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("requested_by", fields.TextField(unique=False)),
                ("keys_destroyed", fields.BigIntField(default=0)),
                ("rows_dropped", fields.BigIntField(default=0)),
                ("failure", fields.TextField(null=True, unique=False)),
            ],
            options={
                "table": "purge_run",
                "app": "calledger",
                "indexes": [Index(fields=["planned_at"], name="purge_run_planned_at")],
                "pk_attr": "id",
                "table_description": "One purge: its plan as decided, and how far it came.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([COLLATE], reverse_sql=["SELECT 1"]),
    ]
