"""Counts of refused reports by hour, source, reason and account.

`account_id` is 0 where the account is not known. Nothing of the refused content is stored.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    """Make the table."""

    dependencies = [("calledger", "0020_corrections")]

    operations = [
        ops.RunSQL(
            [
                """
                CREATE TABLE ingest_refusal (
                    hour timestamptz NOT NULL,
                    account_id integer NOT NULL,
                    source smallint NOT NULL,
                    reason text COLLATE "C" NOT NULL,
                    refused bigint NOT NULL,
                    PRIMARY KEY (hour, account_id, source, reason)
                )
                """,
                "ALTER TABLE ingest_refusal ENABLE ROW LEVEL SECURITY",
            ],
            reverse_sql=["DROP TABLE ingest_refusal"],
        )
    ]
