"""Exports: files that a key requested. Only the owner writes these records.

The service's roles read them: a statement that somebody smuggles in as one of them must not be able to give a file to
another key, or to prolong its life.
"""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

TEXTS = ("kind varchar(12)", "state varchar(8)", "requested_by varchar(16)", "role varchar(16)", "policy varchar(71)")
TEXTS += ("sha256 varchar(71)", "manifest text", "failure text")

COLLATE = [
    f'ALTER TABLE export ALTER COLUMN {name} TYPE {kind} COLLATE "C"' for name, kind in (one.split() for one in TEXTS)
]
# A key has one unfinished export, however many requests come at the same time.
ONE_A_KEY = "CREATE UNIQUE INDEX export_under_way ON export (requested_by) WHERE state IN ('QUEUED', 'RUNNING')"

PRIVILEGES = """
DO $$ BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname = 'calledger_app_all') = 1 THEN
        EXECUTE 'GRANT SELECT ON export TO calledger_app_all';
    END IF;
END $$
"""


class Migration(migrations.Migration):
    """Create exports."""

    dependencies = [("calledger", "0008_purge")]

    operations = [
        ops.CreateModel(
            name="Export",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("kind", fields.CharField(max_length=12)),
                ("state", fields.CharField(max_length=8)),
                ("requested_by", fields.CharField(max_length=16)),
                ("role", fields.CharField(max_length=16)),
                ("accounts", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("policy", fields.CharField(max_length=71)),
                ("request", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("requested_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("worker", fields.BigIntField(null=True)),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("expires_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("rows", fields.BigIntField(null=True)),
                ("bytes", fields.BigIntField(null=True)),
                ("sha256", fields.CharField(null=True, max_length=71)),
                ("manifest", fields.TextField(null=True, unique=False)),
                ("failure", fields.TextField(null=True, unique=False)),
            ],
            options={
                "table": "export",
                "app": "calledger",
                "indexes": [Index(fields=["requested_by"], name="export_requested_by")],
                "pk_attr": "id",
                "table_description": "A file that was asked for, and how far it is.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([*COLLATE, ONE_A_KEY, PRIVILEGES], reverse_sql=[]),
    ]
