"""Gateways whose logs are pulled: where each is, how far it was read, and why it cannot be read at the moment."""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0035_tag_sums")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE source (
                    id uuid NOT NULL PRIMARY KEY,
                    name text COLLATE "C" NOT NULL UNIQUE,
                    format text COLLATE "C" NOT NULL,
                    shown_address text COLLATE "C" NOT NULL,
                    account_id integer,
                    options jsonb NOT NULL,
                    sealed bytea NOT NULL,
                    every_s integer NOT NULL CHECK (every_s > 0),
                    created_at timestamptz NOT NULL,
                    reached text COLLATE "C",
                    rows bigint NOT NULL DEFAULT 0,
                    refused bigint NOT NULL DEFAULT 0,
                    last_row_at timestamptz,
                    read_at timestamptz,
                    failures integer NOT NULL DEFAULT 0,
                    failure text COLLATE "C",
                    due_at timestamptz NOT NULL,
                    leased_until timestamptz
                )
                """,
                "ALTER TABLE source ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE source"],
        )
    ]
