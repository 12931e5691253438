"""Several exports of a key at a time, how far each is, and exports that are asked for again each day or month.

As for exports, only the owner writes the schedules, and the service's roles read them.
"""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.migrations import operations as ops

TEXTS = ("kind varchar(12)", "every varchar(8)", "time_zone varchar(64)", "requested_by varchar(16)")
TEXTS += ("role varchar(16)", "failure text")

COLLATE = [
    f'ALTER TABLE export_schedule ALTER COLUMN {name} TYPE {kind} COLLATE "C"'
    for name, kind in (one.split() for one in TEXTS)
]
# A period of a schedule is asked for once, whichever process comes first and however often.
ONCE = "CREATE UNIQUE INDEX export_once_a_period ON export (schedule, period_start) WHERE schedule IS NOT NULL"

WALLS = """
DO $$ BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname = 'calledger_app_all') = 1 THEN
        EXECUTE 'GRANT SELECT ON export_schedule TO calledger_app_all';
    END IF;
END $$
"""


class Migration(migrations.Migration):
    """Let a key have several exports under way, and create schedules."""

    dependencies = [("calledger", "0029_change_feed")]

    operations = [
        ops.RunSQL(
            [
                "DROP INDEX export_under_way",
                'ALTER TABLE export ALTER COLUMN state TYPE varchar(12) COLLATE "C"',
            ],
            reverse_sql=[],
        ),
        ops.AddField("Export", "total", fields.BigIntField(null=True)),
        ops.AddField("Export", "schedule", fields.UUIDField(null=True)),
        ops.AddField("Export", "period_start", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
        ops.CreateModel(
            name="ExportSchedule",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("kind", fields.CharField(max_length=12)),
                ("every", fields.CharField(max_length=8)),
                ("time_zone", fields.CharField(max_length=64)),
                ("requested_by", fields.CharField(max_length=16)),
                ("role", fields.CharField(max_length=16)),
                ("accounts", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("request", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("requested_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("period_start", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("due_at", fields.DatetimeField(auto_now=False, auto_now_add=False)),
                ("failure", fields.TextField(null=True, unique=False)),
            ],
            options={
                "table": "export_schedule",
                "app": "calledger",
                "pk_attr": "id",
                "table_description": "An export that is asked for again each day or month.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([*COLLATE, ONCE, WALLS], reverse_sql=[]),
    ]
