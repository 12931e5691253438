"""Legal holds and erasures, and the copies of held rows. Only the owner may write what destroys data.

The service's roles read purges, holds and erasures and cannot write them: a statement that somebody smuggles in as one
of them must not be able to invent a purge, lift a hold, or have a key destroyed.
"""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.contrib.postgres.fields import ArrayField
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

COLLATE = """
DO $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT c.oid::regclass AS relation, a.attname, format_type(a.atttypid, a.atttypmod) AS type
        FROM pg_attribute a
        JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relname = ANY (ARRAY['hold', 'erasure'])
          AND c.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND a.attcollation <> 0
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE %s COLLATE "C"', wanted.relation, wanted.attname, wanted.type);
    END LOOP;
END
$$
"""

# These tables are empty, because nothing was held before there were holds.
HELD = [
    "ALTER TABLE call_held ADD COLUMN hold_id uuid NOT NULL, DROP CONSTRAINT call_held_pkey",
    "ALTER TABLE call_held ADD PRIMARY KEY (account_id, hold_id, tier, started_at, id)",
    "ALTER TABLE call_error_held DROP CONSTRAINT call_error_held_pkey",
    "ALTER TABLE call_error_held ADD COLUMN hold_id uuid NOT NULL, ADD COLUMN record_key bytea",
    "ALTER TABLE call_error_held ADD PRIMARY KEY (account_id, hold_id, tier, occurred_at, id)",
]


def _when_roles_exist(*statements: str) -> str:
    body = "\n".join(f"EXECUTE $sql${statement}$sql$;" for statement in statements)
    condition = "(SELECT count(*) FROM pg_roles WHERE rolname IN ('calledger_app', 'calledger_app_all')) = 2"
    return f"DO $$ BEGIN IF {condition} THEN {body} END IF; END $$"


PRIVILEGES = _when_roles_exist(
    "REVOKE INSERT, UPDATE ON purge_run FROM calledger_app_all",
    "GRANT SELECT ON hold, erasure TO calledger_app_all",
)
OLD_PRIVILEGES = _when_roles_exist("GRANT INSERT, UPDATE ON purge_run TO calledger_app_all")


class Migration(migrations.Migration):
    """Create holds and erasures."""

    dependencies = [("calledger", "0004_ledger")]

    operations = [
        ops.AddField("PurgeRun", "rows_held_back", fields.BigIntField(default=0, db_default=0)),
        ops.AddField("PurgeRun", "ledger_index", fields.BigIntField(null=True)),
        ops.CreateModel(
            name="Hold",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("name", fields.TextField(unique=False)),
                ("owner", fields.TextField(unique=False)),
                ("reason", fields.TextField(null=True, unique=False)),
                ("account_id", fields.IntField()),
                ("from_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("to_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("model", fields.TextField(null=True, unique=False)),
                ("api_key", fields.TextField(null=True, unique=False)),
                ("call_ids", ArrayField("uuid", null=True)),
                ("classes", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("placed_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("placed_by", fields.TextField(unique=False)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("lifted_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("lifted_by", fields.TextField(null=True, unique=False)),
                ("released_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("rows", fields.BigIntField(default=0, db_default=0)),
                ("ledger_index", fields.BigIntField(null=True)),
            ],
            options={
                "table": "hold",
                "app": "calledger",
                "indexes": [Index(fields=["placed_at"], name="hold_placed_at")],
                "pk_attr": "id",
                "table_description": "A legal hold: what it names outlives its window. `rows`: copies that were made for it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Erasure",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("kind", fields.CharField(max_length=8)),
                ("account_id", fields.IntField()),
                ("tokens", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("requested_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("requested_by", fields.TextField(unique=False)),
                ("finished_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("rows", fields.BigIntField(default=0, db_default=0)),
                ("blocked_by", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("unreadable_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("ledger_index", fields.BigIntField(null=True)),
            ],
            options={
                "table": "erasure",
                "app": "calledger",
                "indexes": [Index(fields=["requested_at"], name="erasure_requested_at")],
                "pk_attr": "id",
                "table_description": "A request to erase a person or an account. `tokens`: the person's pseudonyms until it is carried out.",
            },
            bases=["Model"],
        ),
        ops.RunSQL(
            [COLLATE, *HELD, PRIVILEGES],
            reverse_sql=[
                OLD_PRIVILEGES,
                "DELETE FROM call_held",
                "DELETE FROM call_error_held",
                "ALTER TABLE call_held DROP COLUMN hold_id",
                "ALTER TABLE call_held ADD PRIMARY KEY (account_id, tier, started_at, id)",
                "ALTER TABLE call_error_held DROP COLUMN hold_id, DROP COLUMN record_key",
                "ALTER TABLE call_error_held ADD PRIMARY KEY (account_id, tier, occurred_at, id)",
            ],
        ),
    ]
