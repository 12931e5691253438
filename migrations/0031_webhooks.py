"""Webhooks, what is to be delivered to them, and budgets of a day.

As for exports, only the owner writes them, and the service's roles read them. A delivery has no content of calls: what
it is about is read again for each attempt, by the rights of the webhook's key.
"""

from uuid import uuid4

from orjson import loads
from tortoise import fields, migrations
from tortoise.fields.data import JSON_DUMPS
from tortoise.indexes import Index
from tortoise.migrations import operations as ops

TEXTS = (
    *("webhook name text", "webhook requested_by varchar(16)", "webhook role varchar(16)", "webhook shown_url text"),
    *("webhook failure text", "webhook feed_cursor text", "webhook_delivery event varchar(32)"),
    *("webhook_delivery subject text", "webhook_delivery state varchar(12)", "budget api_key text"),
    *("budget tag_key text", "budget tag_value text", "budget currency text", "budget set_by varchar(16)"),
)
COLLATE = [
    f'ALTER TABLE {table} ALTER COLUMN {name} TYPE {kind} COLLATE "C"'
    for table, name, kind in (one.split() for one in TEXTS)
]
ONE_OF_A_KIND = """
    CREATE UNIQUE INDEX budget_of ON budget (account_id, currency, api_key, tag_key, tag_value) NULLS NOT DISTINCT
"""
# What happens once is delivered once to each webhook, whichever process sees it first and however often.
ONCE = "CREATE UNIQUE INDEX webhook_delivery_once ON webhook_delivery (webhook_id, subject)"
DUE = "CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_at) WHERE state = 'PENDING'"
GONE_WITH = """
    ALTER TABLE webhook_delivery ADD CONSTRAINT webhook_delivery_webhook
    FOREIGN KEY (webhook_id) REFERENCES webhook (id) ON DELETE CASCADE
"""
WALLS = """
DO $$ BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname = 'calledger_app_all') = 1 THEN
        EXECUTE 'GRANT SELECT ON webhook, webhook_delivery, budget TO calledger_app_all';
    END IF;
END $$
"""


def _moment() -> fields.DatetimeField:
    return fields.DatetimeField(auto_now=False, auto_now_add=False)


class Migration(migrations.Migration):
    """Create webhooks, deliveries and budgets."""

    dependencies = [("calledger", "0030_export_schedules")]

    operations = [
        ops.CreateModel(
            name="Webhook",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("name", fields.TextField(null=True, unique=False)),
                ("requested_by", fields.CharField(max_length=16)),
                ("role", fields.CharField(max_length=16)),
                ("accounts", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("events", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("request", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("shown_url", fields.TextField(unique=False)),
                ("sealed", fields.BinaryField()),
                ("created_at", _moment()),
                ("disabled_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
                ("failure", fields.TextField(null=True, unique=False)),
                ("feed_cursor", fields.TextField(null=True, unique=False)),
                ("due_at", _moment()),
                ("leased_until", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "webhook",
                "app": "calledger",
                "pk_attr": "id",
                "table_description": "Where events are sent, for the key that asked for it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("webhook_id", fields.UUIDField()),
                ("accounts", fields.JSONField(null=True, encoder=JSON_DUMPS, decoder=loads)),
                ("event", fields.CharField(max_length=32)),
                ("subject", fields.TextField(unique=False)),
                ("facts", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("created_at", _moment()),
                ("state", fields.CharField(max_length=12)),
                ("attempts", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("since", _moment()),
                ("next_at", _moment()),
                ("ended_at", fields.DatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={
                "table": "webhook_delivery",
                "app": "calledger",
                "indexes": [Index(fields=["webhook_id", "created_at"], name="webhook_delivery_log")],
                "pk_attr": "id",
                "table_description": "One event for one webhook, and every attempt to deliver it.",
            },
            bases=["Model"],
        ),
        ops.CreateModel(
            name="Budget",
            fields=[
                ("id", fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ("account_id", fields.IntField()),
                ("api_key", fields.TextField(null=True, unique=False)),
                ("tag_key", fields.TextField(null=True, unique=False)),
                ("tag_value", fields.TextField(null=True, unique=False)),
                ("currency", fields.TextField(unique=False)),
                ("amount", fields.DecimalField(max_digits=38, decimal_places=12)),
                ("thresholds", fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ("set_by", fields.CharField(max_length=16)),
                ("set_at", _moment()),
            ],
            options={
                "table": "budget",
                "app": "calledger",
                "pk_attr": "id",
                "table_description": "What an account, or a key or tag of it, is meant to spend in a day.",
            },
            bases=["Model"],
        ),
        ops.RunSQL([*COLLATE, ONE_OF_A_KIND, ONCE, DUE, GONE_WITH, WALLS], reverse_sql=[]),
    ]
